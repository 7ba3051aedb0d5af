"""Documents of a client's task: what would be asked or scored wrongly is told with line, document and field, before anything runs."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from infra.harness.building import Build, build
from infra.harness.chat import Dress
from infra.settings import Settings
from schemas.requests import Chat, TaskChoice, TaskPart
from streams.errors import Invalid
from tests.unit.test_definitions import GENERATED, WHOLE

pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore")]
ROWS = [{"country": f"Land {n}", "choices": ["Here", "There"], "answer": n % 2} for n in range(6)]


def built(folder: Path, definition: str, written: str, **told: Any) -> Build:
    """The build of a definition over the lines of a data set."""
    data = folder / "me__capitals" / "default" / "test.jsonl"
    data.parent.mkdir(parents=True, exist_ok=True)
    data.write_text(written)
    choice = TaskChoice(name="capitals", definition=definition, **told)
    return build(choice, dress=Dress(Chat()), settings=Settings(home=folder, datasets=folder))


def lines(place: int, **instead: Any) -> str:
    """The rows, one of them changed."""
    return "\n".join(json.dumps(row | (instead if number == place else {})) for number, row in enumerate(ROWS))


def without_place(told: str) -> str:
    """What is told, without the file and line of a document's row."""
    return re.sub(r" \(me__capitals/default/test\.jsonl, line \d+\)", "", told)


@pytest.mark.parametrize("place", [0, 3])
@pytest.mark.parametrize(
    ("instead", "says"),
    [
        ({"choices": None}, "line 6: document {n}, doc_to_choice: null: it must be a list of texts"),
        ({"choices": []}, "line 6: document {n}, doc_to_choice: there are no choices"),
        ({"choices": ["a"]}, "line 6: document {n}, doc_to_choice: there is one choice"),
        ({"choices": ["a", ""]}, "line 6: document {n}, doc_to_choice: choice 1 is a text of 0"),
        (
            {"answer": 7},
            "line 7: document {n}, doc_to_target: the number 7 is none of the 2 choices; give a choice's place, 0 to 1, or its text",
        ),
        ({"answer": -1}, "line 7: document {n}, doc_to_target: the number -1 is none of the 2 choices"),
        ({"answer": None}, "line 7: document {n}, doc_to_target: null is none of the 2 choices"),
        ({"country": None}, "line 5: document {n}, doc_to_text: country is null, and would be shown as None"),
        ({"answer": 2**70}, "test.jsonl, line {line}, field answer: 1180591620717411303424 has more than 64 bits"),
        ({"country": "\ud800"}, "test.jsonl, line {line}, field country: holds half of a letter"),
    ],
)
def test_what_is_wrong_in_a_row_is_told_with_its_place(tmp_path: Path, place: int, instead: dict[str, Any], says: str) -> None:
    """In the first document too, which lm-eval tries as it makes a task."""
    with pytest.raises(Invalid) as refused:
        built(tmp_path, WHOLE, lines(place, **instead))
    assert says.format(n=place, line=place + 1) in without_place(str(refused.value))


@pytest.mark.parametrize("shown", ["{{country.name}}", "{{country['name']|default('x')}}", "{{[country.name][0]}}"])
def test_what_is_made_of_a_column_may_be_null_too(tmp_path: Path, shown: str) -> None:
    """A field of it, what a filter leaves of it."""
    task = WHOLE.replace("{{country}}", shown)
    rows = "\n".join(json.dumps(row | {"country": {"name": "x" if number else None}}) for number, row in enumerate(ROWS))
    with pytest.raises(Invalid, match=r"doc_to_text: country\.name is null, and would be shown as None"):
        built(tmp_path, task, rows)


def test_a_word_that_is_right_for_every_document_is_written_as_a_template(tmp_path: Path) -> None:
    """As its refusal says."""
    assert built(tmp_path, GENERATED.replace("doc_to_target: answer", "doc_to_target: \"{{ 'solution' }}\""), lines(0)).samples


def test_one_number_that_is_written_with_a_point_makes_no_fractions_of_the_others(tmp_path: Path) -> None:
    """As 1.0 for a label; a fraction does, and it is said what it does."""
    rows = [json.loads(line) for line in lines(-1).splitlines()]
    rows[3]["answer"] = float(rows[3]["answer"])
    assert len(built(tmp_path, WHOLE, "\n".join(map(json.dumps, rows))).samples) == len(rows)
    rows[3]["answer"] = 0.5
    with pytest.raises(Invalid, match="where one row of a column has a fraction, all numbers of it are fractions"):
        built(tmp_path, WHOLE, "\n".join(map(json.dumps, rows)))


def test_an_empty_answer_that_the_definition_says_itself_hides_nothing(tmp_path: Path) -> None:
    """The share of answers that are empty is then what its author measures, as in examples/real_toxicity_prompts.yaml."""
    assert built(tmp_path, GENERATED.replace("doc_to_target: answer", 'doc_to_target: ""'), lines(0)).samples


def test_a_label_of_lm_evals_own_task_that_is_no_choice_is_told(tmp_path: Path) -> None:
    """As where a split hides its labels: every answer would be wrong."""
    place = tmp_path / "nyu-mll__glue" / "sst2" / "validation.jsonl"
    place.parent.mkdir(parents=True)
    place.write_text("\n".join(json.dumps({"sentence": f"a film {n}", "label": -1, "idx": n}) for n in range(3)))
    with pytest.raises(Invalid, match=r"task sst2, document 0 .*, doc_to_target: the number -1 is none of the 2 choices"):
        build(TaskChoice(name="sst2"), dress=Dress(Chat()), settings=Settings(home=tmp_path, datasets=tmp_path))


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("[1, 2]\n", "line 1: a row must be an object such as"),
        ('{"a": 1}\nnull\n', "line 2: a row must be an object such as"),
        ("3\n", "not a number"),
        ('{"a": NaN}\n', "line 1: not JSON (NaN is no value of JSON; write null)"),
        ("{}\n", "not an object without fields"),
        ('{"a": [1]}\n{"a": 2}\n', "line 2, field a: a number, where line 1 has a list"),
        ('{"a": "x"}\n{"a": {"b": 1}}\n', "line 2, field a: an object, where line 1 has a text; give all rows the same kind, or null"),
        ('{"a": {"b": 1}}\n{"a": [1]}\n{"a": {"b": 2}}\n', "line 2, field a: a list, where line 1 has an object"),
        ('{"a": [{"b": 1}]}\n{"a": ["x"]}\n{"a": [{"b": 2}]}\n', "line 2, field a[]: a text, where line 1 has an object"),
        ('{"a": 1152921504606846977}\n{"a": 0.5}\n', "line 1, field a: 1152921504606846977: beside fractions it would be rounded"),
        ('{"a": {"b": "x"}}\n{"a": {"b": 2}}\n', "line 2, field a.b: a number, where line 1 has a text"),
    ],
)
def test_rows_that_make_no_table_are_told_with_file_line_and_field(tmp_path: Path, written: str, says: str) -> None:
    """In words, not in a library's."""
    with pytest.raises(Invalid, match=r"default/test\.jsonl, ") as refused:
        built(tmp_path, WHOLE, written)
    assert says in without_place(str(refused.value))


@pytest.mark.parametrize(
    ("whole", "change", "says"),
    [
        (WHOLE, ("{{country}}", "{{contry}}"), "line 5: document 0, doc_to_text: there is no 'contry'; did you mean country?"),
        (WHOLE, ('"{{choices}}"', "choics"), "doc_to_choice: there is no column 'choics'; did you mean choices?"),
        (WHOLE, ("doc_to_target: answer", "doc_to_target: answr"), "line 7: doc_to_target: there is no column 'answr'; did you mean"),
        (GENERATED, ("doc_to_target: answer", "doc_to_target: answr"), "line 6: doc_to_target: there is no column 'answr'; did you mean"),
        (GENERATED, ("doc_to_target: answer", "doc_to_target: solution"), "a word that is right for every document is written {{ 'sol"),
        (WHOLE, ("metric_list:", "should_decontaminate: true\ndoc_to_decontamination_query: cuntry\nmetric_list:"),
         "line 9: doc_to_decontamination_query: there is no column 'cuntry'; did you mean country?"),
        (WHOLE, ("doc_to_target: answer", "doc_to_target: solution"), "none of the 2 choices; there is no column 'solution'"),
        (GENERATED, ('"The capital of {{country}} is"', "contry"), "line 5: doc_to_text: there is no column 'contry'; did you mean"),
        (GENERATED, ("{{country}}", "{{country + 1}}"), "line 5: document 0, doc_to_text: country is a text of 6, of which it"),
    ],
)  # fmt: skip
def test_a_column_that_is_not_there_is_told_with_the_one_that_was_meant(
    tmp_path: Path, whole: str, change: tuple[str, str], says: str
) -> None:
    """lm-eval would take its name for a text."""
    with pytest.raises(Invalid) as refused:
        built(tmp_path, whole.replace(*change), lines(-1))
    assert says in without_place(str(refused.value))


LISTS = GENERATED.replace("answer", "answers")
LIKELY = LISTS.replace("generate_until", "loglikelihood").replace("exact_match", "acc")
ROLLING = LISTS.replace("generate_until", "loglikelihood_rolling").replace("exact_match", "byte_perplexity")
CHOSEN = WHOLE.replace("answer", "answers")
PLACES = LISTS.replace("metric_list", 'doc_to_choice: "{{choices}}"\nmetric_list')


@pytest.mark.parametrize("place", [0, 3])
@pytest.mark.parametrize(
    ("whole", "answers", "says"),
    [
        (LISTS, (["a", "b"], []), "document {n}, doc_to_target: there is no right answer in its list"),
        (LISTS.replace("exact_match", "bleu"), (["a"], ["b"]), "document 0, doc_to_target: a list of 1, which metric bleu does not take"),
        (LISTS, ([1, 2], [1]), "document 0, doc_to_target: the number 1 is in its list: each must be a text"),
        (CHOSEN.replace("metric: acc", "metric: mcc"), ([0], [1]), "document 0, doc_to_target: a list of 1, which metric mcc"),
        (CHOSEN, (["Here"], ["Here"]), "document 0, doc_to_target: a text of 4 is in its list: each must be the place of a choice"),
        (PLACES, (0, 2), "document {n}, doc_to_target: the number 2 is no place of its 2 choices: give 0 to 1"),
        (LISTS, ("a", None), "document {n}, doc_to_target: null, and would be compared as its Python form"),
        (LISTS, ({"a": 1}, {"a": 1}), "document 0, doc_to_target: an object of 1, and would be compared"),
        (LISTS, (True, True), "document 0, doc_to_target: true or false, and would be compared as its Python form"),
        (LISTS, ("", ""), "line 6: every document's right answer is empty, as where labels are hidden: no answer can be right"),
        (LISTS, ([""], [""]), "line 6: every document's right answer is empty"),
        (LIKELY, ("a", None), "document {n}, doc_to_target: null, and its Python form would be asked; give a text"),
        (LIKELY, (True, True), "document 0, doc_to_target: true or false, and its Python form would be asked"),
        (LIKELY, ({"k": "x"}, {"k": "x"}), "document 0, doc_to_target: an object of 1, and its Python form would be asked"),
        (LIKELY, ("a", " "), "document {n}, doc_to_target: it is empty, and nothing has no likelihood"),
        (ROLLING, ("a", None), "document {n}, doc_to_target: null: what is measured must be a text"),
        (ROLLING, (5, 5), "document 0, doc_to_target: the number 5: what is measured must be a text"),
        (ROLLING, (True, True), "document 0, doc_to_target: true or false: what is measured must be a text"),
    ],
)
def test_right_answers_that_a_metric_does_not_take_are_told(
    tmp_path: Path, place: int, whole: str, answers: tuple[Any, Any], says: str
) -> None:
    """lm-eval would score them, wrongly, or break when the last one is scored."""
    rows = [row | {"answers": answers[number == place]} for number, row in enumerate(ROWS)]
    with pytest.raises(Invalid) as refused:
        built(tmp_path, whole, "\n".join(map(json.dumps, rows)))
    assert says.format(n=place) in without_place(str(refused.value))


@pytest.mark.parametrize(
    ("target", "gold"),
    [
        ("code", "1"),
        ('"{{choices.index(code)}}"', "1"),
        ('"{{code|int}}"', "0"),
        ('"{{number}}"', "0"),
        ("1", "0"),
        ('"{{code}}"', None),
        ('"{{code|trim}}"', None),
        ("'1'", None),
    ],
)
def test_digits_that_are_a_choices_text_and_anothers_place_are_told(tmp_path: Path, target: str, gold: str | None) -> None:
    """A number is a place, and a column's text a choice's, as in lm-eval; of a template's text it takes the place without a word."""
    rows = [row | {"choices": ["1", "0"], "code": "1", "number": 1} for row in ROWS]
    whole, written = WHOLE.replace("doc_to_target: answer", f"doc_to_target: {target}"), "\n".join(map(json.dumps, rows))
    if gold is not None:
        assert built(tmp_path, whole, written).samples[0].target == gold
        return
    with pytest.raises(
        Invalid, match=r"line 7: document 0.*, doc_to_target: its digits are the text of choice 0, and taken for the place of"
    ):
        built(tmp_path, whole, written)


def test_digits_of_an_examples_answer_are_told_too(tmp_path: Path) -> None:
    """They would show another choice."""
    sample = '{country: x, choices: ["1", "0"], code: "1"}'
    drawn = f"num_fewshot: 1\nfewshot_config: {{sampler: first_n, samples: [{sample}], doc_to_target: '{{{{code}}}}'}}\n"
    with pytest.raises(
        Invalid, match=r"line 11: few-shot document 0 .*, doc_to_target: its digits are the text of choice 0, and taken for"
    ):
        built(tmp_path, WHOLE + drawn, lines(-1))


def test_a_right_answer_may_be_empty_in_some_documents(tmp_path: Path) -> None:
    """As where there is nothing to find."""
    assert (
        len(built(tmp_path, LISTS, "\n".join(json.dumps(row | {"answers": "" if n else "a"}) for n, row in enumerate(ROWS))).samples) == 6
    )


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ('{{ ["a", "b"] if country == "Land 2" else "a" }}', "a list of 2, where the first document has one answer"),
        ('{{ "a" if country == "Land 2" else ["a", "b"] }}', "a text of 1, where the first document has a list of 2"),
    ],
)
def test_lists_of_right_answers_among_single_ones_are_told(tmp_path: Path, answers: str, says: str) -> None:
    """lm-eval looks at the first document, and takes all others for alike."""
    with pytest.raises(Invalid) as refused:
        built(tmp_path, GENERATED.replace("doc_to_target: answer", f"doc_to_target: '{answers}'"), lines(-1))
    assert f"line 6: document 2, doc_to_target: {says}; give all a list, or none" in without_place(str(refused.value))


@pytest.mark.parametrize(
    ("told", "says"),
    [
        (None, "document {n}, doc_to_text: null: the prompt must be a text"),
        ([1, 2], "document 0, doc_to_text: a list of 2: the prompt must be a text"),
        (5, "document 0, doc_to_text: the number 5: the prompt must be a text"),
        (True, "document 0, doc_to_text: true or false: the prompt must be a text"),
    ],
)
def test_a_prompt_that_is_no_text_is_told(tmp_path: Path, told: Any, says: str) -> None:
    """Where a row has an array, a number or null in the column that is asked."""
    for n, rows in ((0, [told] * 6), (3, ["a", "b", "c", None, "d", "e"])):
        written = "\n".join(json.dumps(row | {"asked": one}) for row, one in zip(ROWS, rows, strict=True))
        with pytest.raises(Invalid) as refused:
            built(tmp_path / str(n), GENERATED.replace('"The capital of {{country}} is"', "asked"), written)
        assert (says if n == 0 else "document {n}, doc_to_text: null").format(n=n) in without_place(str(refused.value))


def test_an_example_that_cannot_be_shown_is_told(tmp_path: Path) -> None:
    """Which of those that are drawn from, where they are another split's."""
    train = tmp_path / "me__capitals" / "default" / "train.jsonl"
    train.parent.mkdir(parents=True)
    train.write_text(lines(3, choices=None))
    whole = WHOLE.replace("test_split: test", "test_split: test\nfewshot_split: train")
    with pytest.raises(
        Invalid,
        match=re.escape("line 7: few-shot document 3 (me__capitals/default/train.jsonl, line 4), doc_to_choice: null: it must be a list"),
    ):
        built(tmp_path, whole, lines(-1), fewshot=5)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("return docs.map(lambda one: {'x': one['contry']})", "task capitals cannot be made: mine.py, line 2 raised KeyError: 'contry'"),
        ("return docs.filter(lambda one: False)", "task capitals has no document: its process_docs leaves none"),
    ],
)
def test_what_a_tasks_own_code_raises_is_told_as_its_own(tmp_path: Path, body: str, says: str) -> None:
    """And where that leaves nothing to ask."""
    whole = WHOLE.replace("test_split: test", "test_split: test\nprocess_docs: !function mine.docs")
    parts = (TaskPart(path="mine.py", text=f"def docs(docs):\n    {body}\n"),)
    with pytest.raises(Invalid, match=re.escape(says)):
        built(tmp_path, whole, lines(-1), file="a.yaml", parts=parts, trust_code=True)


def test_a_split_that_is_not_there_is_told_with_the_one_that_was_meant(tmp_path: Path) -> None:
    """With its line."""
    with pytest.raises(
        Invalid, match=r"line 4: task capitals needs split tset, which folder:me__capitals does not have; did you mean test\?"
    ):
        built(tmp_path, WHOLE.replace("test_split: test", "test_split: tset"), lines(-1))


def test_f1_of_three_choices_is_refused(tmp_path: Path) -> None:
    """It could be aggregated of two alone."""
    three = "\n".join(json.dumps(row | {"choices": ["a", "b", "c"]}) for row in ROWS)
    with pytest.raises(Invalid, match=r"document 0 \(.*, line 1\), doc_to_choice: metric f1 is for two choices, and there are 3"):
        built(tmp_path, WHOLE.replace("metric: acc", "metric: f1"), three)


def test_more_examples_than_documents_are_refused(tmp_path: Path) -> None:
    """With how many there are."""
    with pytest.raises(Invalid, match="task capitals at 7 shots needs 7 examples, and has 6; ask for fewer"):
        built(tmp_path, WHOLE, lines(-1), fewshot=7)


def test_a_field_that_only_later_rows_have_is_kept(tmp_path: Path) -> None:
    """The library looks for fields in the first row alone."""
    made = built(tmp_path, WHOLE, lines(4, hint="north"))
    assert [json.loads(sample.document)["hint"] for sample in made.samples] == [None, None, None, None, "north", None]


def test_documents_are_left_out_of_their_own_examples_where_it_is_asked(tmp_path: Path) -> None:
    """The task's only split is the one that is asked. Without that the prompts are lm-eval's, and it is told how many show their answer."""
    shown, left = (
        built(tmp_path / name, WHOLE, lines(0), fewshot=5, fewshot_exclude_self=exclude) for name, exclude in (("a", False), ("b", True))
    )
    assert (shown.own_examples, left.own_examples) == (5, 0)
    assert shown.build_id != left.build_id
    for sample in left.samples:
        (asked,) = {call.prefix + call.context for call in sample.requests}
        assert asked.count(f"The capital of {json.loads(sample.document)['country']} is") == 1
    none, same = (built(tmp_path / name, WHOLE, lines(0), fewshot_exclude_self=exclude) for name, exclude in (("c", False), ("d", True)))
    assert none.build_id == same.build_id
    with pytest.raises(Invalid, match="at 6 shots needs 6 examples, and has 5"):
        built(tmp_path / "e", WHOLE, lines(0), fewshot=6, fewshot_exclude_self=True)
    one = {"country": "Elsewhere", "choices": ["a", "b"], "answer": 0}
    written = f"{WHOLE}fewshot_config: {json.dumps({'sampler': 'first_n', 'samples': [one]})}\n"
    made = built(tmp_path / "f", written, lines(0), fewshot=1, fewshot_exclude_self=True)
    assert all("Elsewhere" in call.prefix + call.context for sample in made.samples for call in sample.requests)


def test_a_document_among_its_examples_is_found_though_its_row_has_another_id(tmp_path: Path) -> None:
    """By what is shown; lm-eval compares rows. Each document is there twice, and neither is shown where it is left out."""
    twice = "\n".join(json.dumps(row | {"id": 6 * copy + n}) for copy in range(2) for n, row in enumerate(ROWS))
    shown, left = (
        built(tmp_path / name, WHOLE, twice, fewshot=4, fewshot_exclude_self=exclude) for name, exclude in (("a", False), ("b", True))
    )
    asked = [(f"The capital of Land {json.loads(one.document)['country'][5:]} is", one.requests[0]) for one in shown.samples]
    assert shown.own_examples == sum((call.prefix + call.context).count(text) > 1 for text, call in asked) > 0
    for sample in left.samples:
        (prompt,) = {call.prefix + call.context for call in sample.requests}
        assert prompt.count(f"The capital of {json.loads(sample.document)['country']} is") == 1
        assert prompt.count("The capital of") == 5


STEPS = "filter_list: [{{name: own, filter: {}}}]\n"
NAMED = GENERATED.replace("doc_to_target: answer", 'doc_to_target: "{{country}}"')
FIRST = "{function: take_first}"


@pytest.mark.parametrize(
    ("whole", "steps", "says"),
    [
        (WHOLE, f"[{{function: regex}}, {FIRST}]", "line 10: filter 'own' makes a text of a log-likelihood, which cannot be scored (Value"),
        (WHOLE, "[{function: lowercase}]", "line 10: filter 'own': lowercase breaks over a log-likelihood (AttributeError: 'tuple' object"),
        (WHOLE, "[{function: majority_vote}]", "; log-likelihoods are filtered here, and no texts: leave filter_list out, or give output"),
        (NAMED, f"[{{function: map, mapping_dict: {{b: c}}}}, {FIRST}]",
         "line 9: filter 'own' makes null of an empty answer, which cannot be scored (TypeError: NoneType takes no arguments); give map"),
        (NAMED, f"[{{function: map, mapping_dict: {{b: c}}, default_value: 0}}, {FIRST}]",
         "line 9: filter 'own' makes a number of an empty answer, which cannot be scored (ValueError: invalid literal"),
        (NAMED, "[{function: take_first_k, k: 2}]", "line 9: filter 'own': take_first_k breaks over an empty answer (AssertionError: Need"),
        (NAMED, f"[{FIRST}, {FIRST}]", "take_first breaks over an empty answer (IndexError: string index out of range); let it take"),
        (NAMED.replace("exact_match", "exact_match\n    ignore_case: true"), "[{function: remove_whitespace}]", None),
        (NAMED, f"[{{function: multi_choice_regex}}, {FIRST}]", None),  # its documents have choices
        (NAMED, f"[{{function: regex, group_select: -1}}, {{function: map, mapping_dict: {{b: c}}, default_value: x}}, {FIRST}]", None),
        (WHOLE, f"[{FIRST}]", None),
    ],
)  # fmt: skip
def test_a_filter_that_breaks_over_an_answer_is_told_before_a_model_runs(tmp_path: Path, whole: str, steps: str, says: str | None) -> None:
    """With its line: it would break when the first sample is scored. What a model could answer is tried."""
    if says is None:
        assert built(tmp_path, whole + STEPS.format(steps), lines(-1)).samples
        return
    with pytest.raises(Invalid, match=re.escape(says)):
        built(tmp_path, whole + STEPS.format(steps), lines(-1))


BAD = [
    ({"choices": None}, "document {n} (me__capitals/default/test.jsonl, line {m}), doc_to_choice: null: it must be a list of texts"),
    ({"choices": ["a"]}, "document {n} (me__capitals/default/test.jsonl, line {m}), doc_to_choice: there is one choice"),
    ({"answer": 7}, "document {n} (me__capitals/default/test.jsonl, line {m}), doc_to_target: the number 7 is none"),
    ({"answer": 2**70}, "test.jsonl, line {m}, field answer: 1180591620717411303424 has more than 64 bits"),
    ({"answer": "1"}, "test.jsonl, line {m}, field answer: a text, where line {first} has a number"),
    ({"country": "\ud800"}, "test.jsonl, line {m}, field country: holds half of a letter"),
]


@pytest.mark.parametrize("place", [0, 3])
@pytest.mark.parametrize(("instead", "says"), BAD)
def test_bad_rows_are_left_out_where_the_request_says_so(tmp_path: Path, place: int, instead: dict[str, Any], says: str) -> None:
    """And counted, with the first; the others keep their order, and the first document may be bad as any."""
    made = built(tmp_path, WHOLE, lines(place, **instead), skip_bad_rows=True)
    assert [json.loads(one.document)["country"] for one in made.samples] == [f"Land {n}" for n in range(6) if n != place]
    assert [one.ordinal for one in made.samples] == list(range(5))
    assert made.rows_skipped == 1
    assert says.format(n=place, m=place + 1, first=1 if place else 2) in str(made.skipped_first)


@pytest.mark.parametrize("line", ["{", "[1]", "3", "{}", "null"])
def test_lines_that_are_no_rows_are_left_out_too(tmp_path: Path, line: str) -> None:
    """Whether they are JSON or not."""
    made = built(tmp_path, WHOLE, f"{line}\n{lines(-1)}\n{line}\n", skip_bad_rows=True)
    assert (len(made.samples), made.rows_skipped) == (6, 2)
    assert "test.jsonl, line 1: " in str(made.skipped_first)


def test_what_is_sound_is_built_as_it_is_without(tmp_path: Path) -> None:
    """The same build, which any run shares; one that leaves out rows is another."""
    plain, skipping = (built(tmp_path / name, WHOLE, lines(-1), skip_bad_rows=skips) for name, skips in (("a", False), ("b", True)))
    assert (plain.build_id, plain.rows_skipped) == (skipping.build_id, 0)
    fewer = built(tmp_path / "c", WHOLE, lines(2, answer=7), skip_bad_rows=True)
    assert fewer.build_id != plain.build_id


def test_examples_that_cannot_be_shown_are_left_out_too(tmp_path: Path) -> None:
    """A task may draw them from the rows that it asks."""
    made = built(tmp_path, WHOLE, lines(1, choices=None), skip_bad_rows=True, fewshot=4)
    assert len(made.samples) == 5
    assert all("Land 1" not in call.prefix + call.context for one in made.samples for call in one.requests)


def test_where_every_row_is_bad_none_is_left(tmp_path: Path) -> None:
    """Which is a refusal, with the first."""
    rows = "\n".join(json.dumps(row | {"choices": []}) for row in ROWS)
    with pytest.raises(Invalid, match=r"none of its 6 rows can be asked; the first: document 0 \(me__capitals.*there are no choices"):
        built(tmp_path, WHOLE, rows, skip_bad_rows=True)
    with pytest.raises(Invalid, match="no row is left"):
        built(tmp_path / "b", WHOLE, "[1]\n[2]", skip_bad_rows=True)


def test_mixed_lists_of_right_answers_leave_what_most_rows_have(tmp_path: Path) -> None:
    """lm-eval would go by the first document."""
    answers = '{{ "a" if country == "Land 0" else ["a", "b"] }}'
    made = built(tmp_path, GENERATED.replace("doc_to_target: answer", f"doc_to_target: '{answers}'"), lines(-1), skip_bad_rows=True)
    assert (len(made.samples), made.rows_skipped) == (5, 1)
    assert "document 0 (me__capitals/default/test.jsonl, line 1), doc_to_target: a text of 1, where" in str(made.skipped_first)


def test_no_word_of_pythons_is_told_of_a_template(tmp_path: Path) -> None:
    """Of a list that is too short, or a value of another kind."""
    for name, template in (("a", "{{choices[5].name}}"), ("b", "{{country + answer}}"), ("c", "{{choices | int + choices}}")):
        with pytest.raises(Invalid) as refused:
            built(tmp_path / name, WHOLE.replace("{{country}}", template), lines(-1))
        assert "of which it cannot be made; give what the other rows have" in str(refused.value)
        assert not [word for word in ("Error", "object", "concatenate", "NoneType") if word in str(refused.value)]


def test_a_fraction_among_labels_is_the_only_row_left_out(tmp_path: Path) -> None:
    """All numbers of a column would be fractions for it, and no label a place: the others stay as they are written, `1.0` and null too."""
    made = built(tmp_path / "a", WHOLE.replace("{{country}}", "{{country}} {{answer}}"), lines(3, answer=0.5), skip_bad_rows=True)
    assert (len(made.samples), made.rows_skipped) == (5, 1)
    assert "test.jsonl, line 4, field answer: 0.5 is a fraction, where other rows have whole numbers; write one" in str(made.skipped_first)
    assert [one.requests[0].context for one in made.samples][:2] == ["The capital of Land 0 0 is", "The capital of Land 1 1 is"]
    two = lines(3, answer=0.5).replace('"answer": 0}', '"answer": 0.0}', 1).replace("Land 4", "Land 4 in all")
    assert built(tmp_path / "b", WHOLE, two, skip_bad_rows=True).rows_skipped == 1
    with pytest.raises(Invalid, match=r"document 0 .*the number 0\.0 is none of the 2 choices"):
        built(tmp_path / "c", WHOLE, lines(3, answer=0.5))


def test_fractions_that_are_no_labels_stay(tmp_path: Path) -> None:
    """A column of weights beside it: what is left out is the row with the broken label, and no other."""
    rows = "\n".join(
        json.dumps(row | {"weight": 0.5 if n == 1 else n, "answer": 0.5 if n == 3 else row["answer"]}) for n, row in enumerate(ROWS)
    )
    made = built(tmp_path, WHOLE, rows, skip_bad_rows=True)
    assert [json.loads(one.document)["weight"] for one in made.samples] == [0.0, 0.5, 2.0, 4.0, 5.0]
    assert (made.rows_skipped, [json.loads(one.document)["answer"] for one in made.samples]) == (1, [0, 1, 0, 0, 1])


def test_a_fraction_among_labels_of_a_file_that_a_library_reads(tmp_path: Path) -> None:
    """Of JSON and CSV, whose kinds it says: a null makes fractions of whole numbers there too."""
    rows = [row | {"answer": {1: 0.5, 4: None}.get(n, row["answer"])} for n, row in enumerate(ROWS)]
    (tmp_path / "own.json").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "own.csv").write_text("\n".join(["country,answer", *(f"{row['country']},{_cell(row['answer'])}" for row in rows)]))
    for kind in ("json", "csv"):
        source = f"dataset_path: {kind}\ndataset_kwargs:\n  data_files:\n    test: {tmp_path}/own.{kind}\n  cache_dir: {tmp_path}/cache"
        task = WHOLE.replace("dataset_path: me/capitals", source).replace('"{{choices}}"', "[Here, There]")
        made = built(tmp_path, task.replace("{{country}}", "{{country}} {{answer}}"), lines(-1), skip_bad_rows=True, trust_code=True)
        assert [one.requests[0].context for one in made.samples] == [f"The capital of Land {n} {n % 2} is" for n in (0, 2, 3, 5)]
        assert made.rows_skipped == 2
        assert f"own.{kind}, row 2, field answer: 0.5 is a fraction, where other rows have whole numbers; write one" in str(
            made.skipped_first
        )


def _cell(value: Any) -> str:
    return "" if value is None else str(value)


@pytest.mark.parametrize("name", ["../../secret", "..", "{folder}/secret"])
def test_no_configurations_name_leads_out_of_the_folder_of_data_sets(tmp_path: Path, name: str) -> None:
    """What a request that nobody trusts may name is a data set."""
    data, secret = tmp_path / "data", tmp_path / "secret"
    secret.mkdir()
    (secret / "test.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    whole = WHOLE.replace("me/capitals", f"me/capitals\ndataset_name: {name.format(folder=tmp_path)}")
    with pytest.raises(Invalid, match=r"^line 2: data set me/capitals .* (leads out of|is not in) "):
        built(data, whole, lines(0))


@pytest.mark.parametrize("change", [("me/capitals", "x" * 300), ("me/capitals", f"me/capitals\ndataset_name: {'y' * 300}")])
def test_a_data_set_by_a_name_that_no_folder_can_have_is_told(tmp_path: Path, change: tuple[str, str]) -> None:
    """Not in the machine's words."""
    with pytest.raises(Invalid, match=r"^line 2: data set .* has a name that no folder can have"):
        built(tmp_path, WHOLE.replace(*change), lines(0))


def test_a_library_that_would_read_a_file_of_that_name_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a folder of data sets they are the hub's."""
    (tmp_path / "me" / "capitals").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Invalid, match=r"^line 2: data set me/capitals is the name of a file where it is planned too"):
        build(TaskChoice(name="capitals", definition=WHOLE), dress=Dress(Chat()), settings=Settings(home=tmp_path, datasets=None))
