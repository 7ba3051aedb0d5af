"""A definition with the files that it leans on: includes, groups, tags and functions are what lm-eval makes of them."""

import json
import re
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lm_eval
import pytest
import yaml
from lm_eval.config.group import GroupConfig
from lm_eval.tasks import TaskManager
from lm_eval.tasks._yaml_loader import load_yaml

from infra.harness.catalogue import Leaf
from infra.harness.data import standing_in
from infra.harness.defined_documents import check_own
from infra.harness.definition_files import CODE, Files, fields_of, files_of
from infra.harness.definition_groups import Member, member, members, only, remarks
from infra.harness.definition_loading import task_of, unpacked
from infra.harness.definitions import checked
from infra.marked_yaml import PLAIN, TAGGED, nodes, value_of
from infra.model_shapes import Shape
from infra.preparing import expanded, leaves_of, remarks_of
from query_api.cli.task_files import is_path, tasks_in
from query_api.operations.parsing import validated
from query_api.producing.submitting import Submission, requested
from schemas.requests import TaskChoice
from streams.errors import Invalid
from tests.unit.test_definitions import GENERATED, WHOLE

pytestmark = pytest.mark.filterwarnings("ignore")
TASKS = Path(lm_eval.__file__).parent / "tasks"
REST = "\n".join(line for line in WHOLE.splitlines() if not line.startswith("task:"))
GROUP = """group: lands
task:
  - north
  - task: south
    include: _rest
    doc_to_text: "South of {{country}}"
  - group: old
    num_fewshot: 2
    task: [west]
  - arc_easy
  - task: boolq
    num_fewshot: 3
  - marked
  - group: cold
num_fewshot: 1
"""
LANDS = {
    "lands.yaml": GROUP,
    "north.yaml": "task: north\ninclude: _rest\ntask_alias: North\n",
    "west.yaml": "task: west\ninclude: _rest\nnum_fewshot: 5\n",
    "cold.yaml": "group: cold\ntask: [pole]\ntest_split: cold\naggregate_metric_list:\n  metric: acc\n",
    "deep/pole.yaml": "task: pole\ninclude: ../_rest\n",
    "deep/east.yaml": "task: east\ninclude: ../_rest\ntag: marked\n",
    "_rest": REST,
}


def refused(texts: dict[str, str], *, main: str = "a.yaml", trust_code: bool = False) -> str:
    """What is said of a definition that is refused."""
    with pytest.raises(Invalid) as told:
        checked(Files(main, texts), trust_code=trust_code)
    assert told.value.code in (CODE, TAGGED)
    return str(told.value)


def test_a_file_has_the_fields_of_what_it_includes_and_its_own_first() -> None:
    """Through several files, each named from where it lies."""
    files = Files("sub/a.yaml", {
        "sub/a.yaml": "include: [../b, c.yaml]\ntask: mine\n", "b": "include: sub/d\ntask: theirs\nrepeats: 1\ndescription: b\n",
        "sub/c.yaml": "repeats: 2\n", "sub/d": "description: d\ndataset_name: d\n",
    })  # fmt: skip
    fields, paths = fields_of(files, files.main)
    assert {name: value.value for name, (_, value) in fields.items()} == {
        "task": "mine", "repeats": "2", "description": "b", "dataset_name": "d",
    }  # fmt: skip
    assert paths == set(files.texts)
    assert [fields[name][0].start_mark.name for name in ("task", "repeats", "dataset_name")] == ["sub/a.yaml", "sub/c.yaml", "sub/d"]


def test_lm_evals_own_files_are_merged_as_lm_eval_merges_them() -> None:
    """Some of those that include, but for functions, whose names have a path there."""
    told = [path for path in sorted(TASKS.rglob("*.yaml"))[::150] if "\ninclude:" in f"\n{path.read_text()}"]
    assert len(told) > 20
    for path in told:
        try:
            fields, _ = fields_of(Files(str(path), Disk()), str(path))
        except Invalid as fault:  # of the few that give a key twice
            assert "is there twice" in str(fault)
            continue
        ours = {name: value_of(node) for name, (_, node) in fields.items() if all(one.tag in PLAIN for one in nodes(node))}
        theirs = load_yaml(path, resolve_func=False)
        assert fields.keys() == theirs.keys()
        assert ours == {name: theirs[name] for name in ours}


class Disk(dict[str, str]):
    """Every file that there is."""

    def __missing__(self, path: str) -> str:
        return Path(path).read_text()

    def __contains__(self, path: object) -> bool:
        return Path(str(path)).is_file()


def test_a_groups_tasks_are_lm_evals(tmp_path: Path) -> None:
    """Written in it, in files beside it, in groups within it, by tag, and lm-eval's own; what the group says counts for each."""
    some = members(Files("lands.yaml", LANDS))
    assert [one.name for one in some] == ["north", "lands::south", "west", "arc_easy", "boolq", "east", "pole"]
    assert [one for one in some if isinstance(one, Leaf)] == [Leaf("arc_easy", 1), Leaf("boolq", 3)]
    south = '    include: _rest\n    doc_to_text: "South of {{country}}"\n'
    theirs = GROUP.replace("  - arc_easy\n  - task: boolq\n    num_fewshot: 3\n", "").replace(south, INLINE)
    with unpacked(Files("lands.yaml", LANDS | {"lands.yaml": theirs})) as folder, standing_in(DOCUMENT):
        loaded = TaskManager(include_defaults=False, include_path=str(folder)).load("lands")["tasks"]
        ours = {one.name: task_of(one.name, one.fields, folder, {}) for one in some if isinstance(one, Member)}
    assert {name: plain(task) for name, task in ours.items()} == {name: plain(task) for name, task in loaded.items()}


DOCUMENT = {"country": "Land", "choices": ["Here", "There"], "answer": 0}
# What lm-eval has no include for.
INLINE = "".join(f"    {line}\n" for line in REST.replace("The capital of {{country}} is", "South of {{country}}").splitlines())


def plain(task: Any) -> dict[str, Any]:
    """What a task is, but for where it came from."""
    return {**task.dump_config(), "metadata": None}


def test_a_group_is_one_choice_and_its_tasks_are_planned_by_themselves() -> None:
    """With its files for those that it brings; lm-eval's own without."""
    files = Files("lands.yaml", LANDS)
    parts = [{"path": path, "text": text} for path, text in LANDS.items() if path != "lands.yaml"]
    choice = TaskChoice.model_validate({"name": "lands", "definition": LANDS["lands.yaml"], "file": "lands.yaml", "parts": parts})
    assert files_of(choice) == files
    told = {one.name: one for one in expanded([choice], [leaves_of(choice)])}
    assert {one.group for one in told.values()} == {"lands"}
    assert (told["boolq"].definition, told["boolq"].parts, told["boolq"].fewshot) == (None, (), 3)
    assert (told["east"].definition, told["east"].fewshot) == (choice.definition, None)
    with pytest.raises(Invalid, match="asked for with a definition of 'lands'"):
        leaves_of(choice.model_copy(update={"name": "other"}))


def test_a_task_that_is_asked_for_in_two_ways_is_refused() -> None:
    """By name and in a group, or in two groups; it keeps its group where nothing differs, in whichever order."""

    def named(*told: dict[str, Any]) -> list[tuple[str, str | None, int | None]]:
        choices = [TaskChoice.model_validate(one) for one in told]
        of_all = {"blimp": ["one", "two"], "other": ["two"]}
        leaves = [[Leaf(name) for name in of_all.get(one.name, [one.name])] for one in choices]
        return [(one.name, one.group, one.fewshot) for one in expanded(choices, leaves)]

    alike = {("one", "blimp", None), ("two", "blimp", None)}
    assert set(named({"name": "blimp"}, {"name": "one"})) == alike
    assert set(named({"name": "one"}, {"name": "blimp"})) == alike
    short: dict[str, Any] = {"name": "one", "fewshot": 5, "limit": 3}
    for told in ([{"name": "blimp"}, short], [short, {"name": "blimp"}]):
        with pytest.raises(
            Invalid, match=r"task 'one' is asked for twice, with another fewshot, limit; a run has each task once: leave one out"
        ):
            named(*told)
    with pytest.raises(Invalid, match=r"task 'two' is asked for twice, with another group \(blimp, other\)"):
        named({"name": "blimp"}, {"name": "other"})


def test_two_files_of_a_folder_that_define_one_task_are_told(tmp_path: Path) -> None:
    """Both by their names."""
    for name in ("b.yaml", "c.yaml"):
        (tmp_path / name).write_text(WHOLE)
    with pytest.raises(Invalid, match=r"b\.yaml and .*c\.yaml both define 'capitals': give one of them another name"):
        tasks_in([tmp_path], trust_code=False)


@pytest.mark.parametrize(("said", "by_size"), [("", True), (", weight_by_size: true", True), (", weight_by_size: false", False)])
def test_a_groups_tasks_count_by_their_samples_unless_it_says_otherwise(said: str, by_size: bool) -> None:
    """Its own, and lm-eval's in it; as lm-eval takes the same figures."""
    text = f"group: mine\ntask: [boolq, arc_easy]\naggregate_metric_list:\n  - {{metric: acc{said}}}\n"
    choice = TaskChoice(name="mine", definition=text)
    assert {(one.group, one.weight_by_size) for one in expanded([choice], [leaves_of(choice)])} == {("mine", by_size)}
    (figure,) = GroupConfig(**yaml.safe_load(text)).aggregate_metric_list or []
    assert figure.weight_by_size == by_size


def test_what_one_task_of_a_group_needs_is_told_from_what_others_need() -> None:
    """And is enough to make it again."""
    files = Files("lands.yaml", LANDS)
    needed = only(files, [member(files, "east")])
    assert set(needed.texts) == {"lands.yaml", "deep/east.yaml", "_rest"}
    assert member(needed, "east").name == "east"


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        ({"a.yaml": "task: x\ninclude: _b\n"}, "a.yaml, line 2: there is no file '_b'"),
        ({"a.yaml": "task: x\ninclude: _bose\n", "_base": "repeats: 1"}, "a.yaml, line 2: there is no file '_bose'; did you mean _base?"),
        ({"a.yaml": "task: x\ninclude: /etc/passwd\n"}, "a.yaml, line 2: /etc/passwd is a path of this machine alone"),
        ({"a.yaml": "task: x\ninclude: b\n", "b": "include: a.yaml\n"}, "b, line 1: a.yaml is included twice, or includes itself"),
        ({"a.yaml": "task: x\ninclude: b\n", "b": f"{REST}\ndoc_to_txt: y\n"}, "b, line 9: there is no field 'doc_to_txt'; did you mean"),
        ({"a.yaml": "task: x\ninclude: b\n", "b": "a: [b"}, "b, line 1: not YAML"),
        ({"a.yaml": "task: x\ninclude: b\n", "b": REST.replace("answer", "!function f.g")}, "b, line 6: !function f.g runs Python"),
        ({"a.yaml": "group: x\ntask: y\n"}, "a.yaml, line 2: group x: task must list its tasks; a task alone"),
        ({"a.yaml": "group: x\ntask: [hellaswga]\n"}, "a.yaml, line 2: group x: there is no task 'hellaswga'; did you mean hellaswag?"),
        ({"a.yaml": "group: x\ntask: [b]\n", "b.yaml": "group: b\ntask: [b]\n"}, "b.yaml, line 2: group b is a part of itself: x > b > b"),
        ({"a.yaml": "group: x\ntask: [b]\n", "b.yaml": "task: [b\n"}, "b.yaml, line 2: not YAML"),
        ({"a.yaml": "group: x\ntask:\n  - task: boolq\n    doc_to_text: y\n"}, "a.yaml, line 4: the group changes doc_to_text of"),
        ({"a.yaml": f"group: x\ntask:\n  - task: y\n    doc_to_txt: y\n{REST}\n"}, "a.yaml, line 4: there is no field 'doc_to_txt'"),
        ({"a.yaml": "group: x\ntask: [boolq]\naggregate_metric_list:\n  - metric: acc\n    aggregation: meen\n"},
         "a.yaml, line 5: aggregation 'meen' of a group is not supported: write mean"),
        ({"a.yaml": "group: x\ntask: [boolq]\naggregate_metric_list:\n  - metric: acc\n    weight_by_size: maybe\n"},
         "a.yaml, line 5: weight_by_size must be true (samples count alike) or false (tasks do)"),
        ({"a.yaml": "group: x\ntask: [boolq]\naggregate_metric_list:\n  - {metric: acc, weight_by_size: false}\n  - metric: f1\n"},
         "a.yaml, line 4: weight_by_size must be the same for all figures of a group"),
        ({"a.yaml": "group: b\ntask: [b, c]\n", "b.yaml": f"task: b\n{REST}", "c.yaml": f"task: c\n{REST}"},
         "a.yaml, line 1: group 'b' has a task of its own name: give one of them another"),
        ({"a.yaml": "group: x\ntask:\n  - b\n", "b.yaml": f"task: b\n{REST}", "c.yaml": f"task: b\n{REST}"},
         "a.yaml, line 3: 'b' is defined in b.yaml and in c.yaml: give one of them another name, or take it out of the folder"),
        ({"a.yaml": "group: x\ntask: [b, {task: b, num_fewshot: 1}]\n", "b.yaml": f"task: b\n{REST}"},
         "a.yaml, line 2: group x: task 'b' is in it twice, with another num_fewshot; only the first would count: keep one"),
        ({"a.yaml": "group: x\ntask: [boolq, {task: boolq, num_fewshot: 1}]\n"},
         "a.yaml, line 2: group x: task 'boolq' is in it twice, with another num_fewshot"),
        ({"a.yaml": "group: x\ntask: [boolq]\naggregate_metric_list:\n  - metric: acc\n    agregation: mean\n"},
         "a.yaml, line 5: aggregate_metric_list has no 'agregation'; did you mean aggregation?"),
        ({"a.yaml": "group: x\ntask: [boolq]\naggregate_metric_list:\n  - metric: acc\n    weight_by_size: !function a.b\n"},
         "a.yaml, line 5: a plain value must be here: could not determine a constructor for the tag '!function'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_file_and_line(texts: dict[str, str], says: str) -> None:
    """Wherever it stands."""
    assert says in refused(texts)


FUNCTIONS = {"a.yaml": WHOLE.replace("answer", "!function code.answer"), "code.py": "def answer(doc):\n    return doc['answer']\n"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"code.py": "def anser(doc):\n    return 0\n"}, "a.yaml, line 7: !function code.answer: code.py has no 'answer'; did you mean"),
        ({"code.py": "x = 1\ndef answer(:\n"}, "code.py, line 2: not Python: "),
        ({"code.py": f"x = {'-' * 100_000}1\n"}, "code.py, line 1: not Python: "),
        ({"code.py": f"x = 1{'+1' * 100_000}\n"}, "code.py, line 1: not Python: "),
        ({"a.yaml": WHOLE.replace("answer", "!function cod3.answer")}, "a.yaml, line 7: !function cod3.answer: there is no cod3.py beside"),
        ({"a.yaml": WHOLE.replace("answer", "!function answer")}, "a.yaml, line 7: !function 'answer' names no module"),
        ({"a.yaml": WHOLE.replace("answer", "!!python/name:os.system")}, "is not understood; a function is written !function"),
    ],
)  # fmt: skip
def test_a_function_that_cannot_be_found_is_told_with_its_line(change: dict[str, str], says: str) -> None:
    """And the one that was meant, without anything being run."""
    assert checked(Files("a.yaml", FUNCTIONS), trust_code=True) == "capitals"
    assert says in refused(FUNCTIONS | change, trust_code=True)


@pytest.mark.parametrize(
    "module",
    ["from lm_eval.tasks import *\n", "globals().update(answer=len)\n", "answer = len\n", "from os import listdir as answer\n"],
)
def test_a_function_that_a_module_makes_is_no_fault(module: str) -> None:
    """lm-eval's own modules make some as they are imported, which nothing here does."""
    assert checked(Files("a.yaml", FUNCTIONS | {"code.py": module}), trust_code=True) == "capitals"


def test_a_groups_metric_that_no_task_has_is_left_out_with_a_word() -> None:
    """As in lm-eval, which says none."""
    files = Files("a.yaml", {"a.yaml": "group: x\naggregate_metric_list:\n  - metric: akk\ntask: [b]\n", "b.yaml": f"task: b\n{REST}"})
    assert checked(files, trust_code=False) == "x"
    assert remarks(files) == ["a.yaml, line 3: no task of group x has metric 'akk', which is left out as in lm-eval; there are acc"]
    assert remarks(Files("lands.yaml", LANDS)) == []


def test_an_argument_that_no_metric_takes_is_told() -> None:
    """As lm-eval's afrimmlu has it, of which lm-eval says nothing; with what is generated it counts."""
    more = "acc\n    ignore_case: true\n  - metric: f1\n    average: macro\n    weight_by_size: false"
    files = Files("a.yaml", {"a.yaml": WHOLE.replace("acc", more)})
    assert checked(files, trust_code=False) == "capitals"
    assert remarks(files) == [
        "a.yaml, line 10: ignore_case counts for nothing with metric acc of multiple_choice, as in lm-eval: leave it out",
        "a.yaml, line 12: average counts for nothing with metric f1 of multiple_choice, as in lm-eval: leave it out",
        "a.yaml, line 13: weight_by_size counts for nothing with metric f1 of multiple_choice, as in lm-eval: leave it out",
    ]
    generated = WHOLE.replace("multiple_choice", "generate_until").replace("acc", "exact_match\n    ignore_case: true")
    assert remarks(Files("a.yaml", {"a.yaml": generated})) == []


@pytest.mark.parametrize("until", ["['']", "''", "[x, '']"])
def test_a_stop_text_that_ends_every_answer_is_told(until: str) -> None:
    """Of a definition with its line, of a request with its task; answers end as lm-eval's do."""
    says = "until has an empty text, which ends every answer after one token, as in lm-eval: leave it out"
    asked = f"{GENERATED}generation_kwargs:\n  until: {until}\n"
    assert remarks(Files("a.yaml", {"a.yaml": asked})) == [f"a.yaml, line 10: {says}"]
    of_request = {"name": "boolq", "generation": {"json_text": json.dumps({"until": yaml.safe_load(until)})}}
    request = {
        "submitter": "me",
        "model": {"uri": "m"},
        "engine": {"name": "echo"},
        "tasks": [of_request, {"name": "capitals", "definition": asked}],
    }
    assert remarks_of(requested(validated(json.dumps(request).encode(), Submission), organisation="me"), None) == [
        f"task boolq: {says}", f"line 10: {says}",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("engine", "said", "own", "says"),
    [
        ("gguf", "num_beams: 2", {}, "task capitals: engine gguf does not take generation argument num_beams=2"),
        (
            "transformers",
            "suppress_tokens: [0, 9]",
            {},
            "task capitals: generation argument suppress_tokens names token 9, and the model has",
        ),
        ("transformers", "suppress_tokens: [0, 9]", {"suppress_tokens": [8]}, None),
        ("transformers", "num_beams: 2", {}, None),
        ("transformers", "max_length: 301", {}, "task capitals: generation argument max_length is 301, and the model's window 300 tokens"),
        ("transformers", "max_gen_toks: 300", {}, "task capitals: 300 tokens are to be generated, and the model's window is 300 tokens"),
        ("transformers", "max_gen_toks: 300", {"max_gen_toks": 299}, None),
        ("transformers", "max_length: 300", {}, None),
    ],
)
def test_what_an_engine_takes_is_asked_of_a_definition_too(engine: str, said: str, own: dict[str, Any], says: str | None) -> None:
    """Of its arguments with the request's in place of them; before anything runs."""
    task = {"name": "capitals", "definition": f"{GENERATED}generation_kwargs: {{{said}}}\n", "generation": {"json_text": json.dumps(own)}}
    request = {"submitter": "me", "model": {"uri": "m"}, "engine": {"name": engine}, "tasks": [task]}
    facts: Any = SimpleNamespace(shape=Shape(vocabulary=9), older=(), max_len=300)
    with pytest.raises(Invalid, match=re.escape(says)) if says else nullcontext():
        remarks_of(requested(validated(json.dumps(request).encode(), Submission), organisation="me"), facts)


@pytest.mark.parametrize("metric", ["!function code.bleu", "bleu", "!function other.bleu"])
def test_a_groups_metric_may_be_a_function(metric: str) -> None:
    """As in lm-eval's code2text: it is that of its tasks by the function's name."""
    own = WHOLE.replace("metric: acc", "metric: !function code.bleu\n    aggregation: mean\n    higher_is_better: true")
    group = f"group: x\ntask: [capitals]\naggregate_metric_list:\n  - metric: {metric}\n    aggregation: mean\n"
    texts = {"a.yaml": group, "b.yaml": own, "code.py": "def bleu(**kwargs):\n    return 1\n"}
    assert checked(Files("a.yaml", texts), trust_code=True) == "x"


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ("np.int32(1)", None),
        ("np.array(1)", None),
        ("[np.int64(0), 1]", None),
        ("np.int32(2)", "a.yaml, line 7: document 0, doc_to_target: the number 2 is none of the 2 choices"),
        ("np.array([0, 1])", "a.yaml, line 7: document 0, doc_to_target: an array of NumPy's, which would be taken for one answer"),
        ("np.array([])", "doc_to_target: an array of NumPy's"),
        ("[]", "doc_to_target: there is no right answer in its list"),
        ("type('Odd', (int,), {'__int__': len})(1)", "doc_to_target: what its function makes cannot be compared: TypeError"),
    ],
)
def test_what_functions_give_as_an_answer_is_taken_or_told(answer: str, says: str | None) -> None:
    """Numbers of NumPy's as lm-eval's own toxigen has them; what is no answer never ends the planning of the other tasks."""
    texts = FUNCTIONS | {"code.py": f"import numpy as np\ndef answer(doc):\n    return {answer}\n"}
    files = Files("a.yaml", texts)
    fields = member(files, "capitals").fields
    with unpacked(files) as folder, standing_in(DOCUMENT):
        task = task_of("capitals", fields, folder, {})
        with pytest.raises(Invalid, match=re.escape(says)) if says else nullcontext():
            check_own(task, fields)


def test_what_a_module_registers_is_there() -> None:
    """A filter by that name, where the request trusts the module."""
    texts = FUNCTIONS | {"a.yaml": FUNCTIONS["a.yaml"] + "filter_list:\n  - name: x\n    filter:\n      - function: mine\n"}
    assert "there is no filter 'mine'" in refused(texts, trust_code=True)
    assert checked(Files("a.yaml", texts | {"code.py": f"{FUNCTIONS['code.py']}register_filter('mine')\n"}), trust_code=True)


def test_the_folder_that_one_is_in_is_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the one above it; any other word is a task's name, whatever lies there."""
    (tmp_path / "capitals.yaml").write_text(WHOLE)
    (tmp_path / "arc_easy").mkdir()
    monkeypatch.chdir(tmp_path)
    assert [is_path(name) for name in (".", "..", "./arc_easy", "arc_easy")] == [True, True, True, False]
    assert [one["name"] for one in tasks_in([Path()], trust_code=False)] == ["capitals"]


def test_what_travels_is_told_apart_from_what_does_not() -> None:
    """A choice without a definition has no files; parts are told as they are."""
    assert files_of(TaskChoice(name="arc_easy")) is None
    choice = TaskChoice.model_validate({"name": "x", "definition": "task: x", "file": "d/x.yaml", "parts": [{"path": "b", "text": "c"}]})
    assert files_of(choice) == Files("d/x.yaml", {"b": "c", "d/x.yaml": "task: x"})
    assert json.loads(choice.model_dump_json())["parts"] == [{"path": "b", "text": "c"}]
