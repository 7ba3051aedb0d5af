"""The split pipeline (build, answer, score, aggregate, each from events) against lm_eval.simple_evaluate: equal in every figure."""

import gzip
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.harness.aggregating import aggregate
from infra.harness.building import Build, BuiltSample, build, identify
from infra.harness.catalogue import BUNDLED, BUNDLED_TASKS, Leaf, find, resolve
from infra.harness.chat import Dress
from infra.harness.data import reading
from infra.harness.scoring import Scorer
from infra.settings import Settings
from schemas.builds import BuiltRequest
from schemas.event import Text
from schemas.measurements import Answer
from schemas.requests import Chat, TaskChoice
from streams.errors import Invalid, NotFound
from tests.models import tiny_llama

# What lm-eval and the libraries below it warn of is not ours to mend.
pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore")]
PLAIN = Dress(Chat())
LONG = {"assay_poem", "assay_scene", "assay_story"}
REFUSED = 2  # a harmful request and its harmless twin, each answered at length
DRAWN = {"assay_continuations"}  # by chance, which lm-eval's executor has of its own; tests/integration/test_safety.py is about it


@pytest.fixture(scope="module")
def lm(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """lm-eval's own executor on a small random model."""
    from lm_eval.models.huggingface import HFLM

    folder = tiny_llama(tmp_path_factory.mktemp("model"), max_length=2048, template=True)
    return HFLM(pretrained=str(folder), device="cpu", dtype="float32", batch_size=1)


@pytest.fixture
def settings(home: Path) -> Settings:
    """Settings; data sets where they are."""
    datasets = os.environ.get("ASSAY_DATASETS")
    return Settings(home=home, datasets=Path(datasets) if datasets else None)


def answered(sample: BuiltSample, lm: Any) -> tuple[Answer, ...]:
    """The sample's answers by lm-eval's executor, which sees the requests alone."""
    from lm_eval.api.instance import Instance

    answers = []
    for index, call in enumerate(sample.requests):
        last = call.continuation if call.continuation is not None else json.loads(call.generation_json or "null")
        arguments = (call.prefix + call.context,) if call.request_type == "loglikelihood_rolling" else (call.prefix + call.context, last)
        instance = Instance(request_type=call.request_type, doc={}, arguments=arguments, idx=0, metadata=("t", 0, 1))
        (response,) = getattr(lm, call.request_type)([instance], disable_tqdm=True)
        told: dict[str, Any] = {"request_index": index, "request_type": call.request_type, "finish_reason": "stop", "prompt_tokens": 0}
        if call.request_type == "generate_until":
            told |= {"output": Text.plain(response)}
        elif call.request_type == "loglikelihood_rolling":
            told |= {"loglikelihood": response}
        else:
            told |= {"loglikelihood": response[0], "is_greedy": response[1]}
        answers.append(Answer.model_validate(told))
    return tuple(answers)


def on_the_wire(sample: BuiltSample) -> tuple[tuple[BuiltRequest, ...], dict[str, str]]:
    """The sample's requests as SampleBuilt has them, and the prefixes that they refer to."""
    calls = tuple(
        BuiltRequest(
            request_type=call.request_type, context=Text.plain(call.context), prefix_ref="p" if call.prefix else None,
            continuation=Text.plain(call.continuation) if call.continuation is not None else None,
            generation_json=call.generation_json, repeats=call.repeats,
        )
        for call in sample.requests
    )  # fmt: skip
    return calls, {"p": sample.requests[0].prefix}


def ours(made: Build, lm: Any, *, limit: int) -> tuple[dict[str, list[float | None]], dict[str, tuple[float | None, float | None]]]:
    """Per-sample values and aggregates by "metric,filter"."""
    scorer, values, parts = Scorer(made.config_json), {}, {}  # type: ignore[var-annotated]
    for sample in made.samples[:limit]:
        requests, prefixes = on_the_wire(sample)
        for score in scorer.score(sample.document, sample.doc_id, requests, prefixes, answered(sample, lm)):
            values.setdefault(f"{score.metric},{score.filter}", []).append(score.value)
            parts.setdefault(f"{score.metric},{score.filter}", []).append(score.parts_json)
    return values, {key: aggregate(made.config_json, key.partition(",")[0], told) for key, told in parts.items()}


def theirs(name: str, lm: Any, settings: Settings, *, limit: int, fewshot: int | None, chat: Chat) -> Any:
    """What lm_eval.simple_evaluate says."""
    import lm_eval
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_defaults=False, include_path=[str(find(name).folder)])
    with reading(settings.datasets):
        return lm_eval.simple_evaluate(
            lm, tasks=[name], task_manager=manager, limit=limit, num_fewshot=fewshot, log_samples=True,
            apply_chat_template=chat.template is not None, system_instruction=chat.system, fewshot_as_multiturn=chat.multiturn,
        )  # fmt: skip


DRAWN_ERRORS = {"perplexity", "f1", "mcc", "bleu", "chrf", "ter"}


def assert_equal(name: str, lm: Any, settings: Settings, *, limit: int, fewshot: int | None = None, dress: Dress = PLAIN) -> None:
    """Every per-sample value, every aggregate and every standard error."""
    made = build(TaskChoice(name=name, fewshot=fewshot), dress=dress, settings=settings)
    values, aggregates = ours(made, lm, limit=limit)
    reference = theirs(name, lm, settings, limit=limit, fewshot=fewshot, chat=dress.chat)
    told = reference["results"][name]
    assert {f"{one.metric},{one.filter}" for one in made.expected} == set(aggregates)
    for key, (value, stderr) in aggregates.items():
        metric, _, filter_name = key.partition(",")
        assert value == told[key]
        its_error = None if told[f"{metric}_stderr,{filter_name}"] == "N/A" else told[f"{metric}_stderr,{filter_name}"]
        # What is no mean has its error from draws there, and in closed form here (tests/unit/test_standard_errors.py).
        assert stderr == its_error or (metric in DRAWN_ERRORS and stderr is not None and its_error is not None)
        samples = sorted((s for s in reference["samples"][name] if s["filter"] == filter_name), key=lambda s: s["doc_id"])
        told_of = [sample[metric] for sample in samples if metric in sample]  # a metric may be undefined for some
        if not isinstance(told_of[0], tuple):
            assert values[key] == [float(one) for one in told_of]
        for mine, sample in zip(made.samples, samples, strict=False):
            if isinstance(sample["target"], str):
                assert mine.target == (sample["target"] or None)
            elif mine.requests[0].continuation is not None:
                assert mine.target


def limit_of(name: str, usual: int) -> int:
    """How many samples of a task are enough: long texts for one, and refusals of both kinds."""
    return 1 if name in LONG else REFUSED if name == "assay_refusals" else usual


@pytest.mark.parametrize("name", sorted({*BUNDLED_TASKS} - DRAWN))
def test_bundled_tasks_equal_the_standard_harness(name: str, lm: Any, settings: Settings) -> None:
    """Multiple choice, generation and rolling likelihood."""
    assert_equal(name, lm, settings, limit=limit_of(name, 12))


@pytest.mark.parametrize("chat", [Chat(template="model"), Chat(template="model", system="Be brief.", multiturn=True)])
@pytest.mark.parametrize("name", sorted({*BUNDLED_TASKS} - LONG - DRAWN))
def test_dressed_tasks_equal_the_standard_harness(name: str, chat: Chat, lm: Any, settings: Settings) -> None:
    """In the model's chat template, few-shot examples as text and as turns."""
    template, variables = lm.tokenizer.chat_template, tuple(sorted(lm.tokenizer.special_tokens_map.items()))
    assert_equal(name, lm, settings, limit=limit_of(name, 4), fewshot=2, dress=Dress(chat, template, variables))


@pytest.mark.datasets
@pytest.mark.suites
@pytest.mark.parametrize(
    ("name", "fewshot", "limit"),
    [
        ("hellaswag", None, 12), ("arc_easy", None, 12), ("gsm8k", 0, 3), ("mmlu_anatomy", 2, 12), ("boolq", None, 8),
        ("lambada_openai", None, 4), ("truthfulqa_mc2", None, 6), ("winogrande", None, 12),
    ],
)  # fmt: skip
def test_real_tasks_equal_the_standard_harness(name: str, fewshot: int | None, limit: int, lm: Any, settings: Settings) -> None:
    """On the data sets of ASSAY_DATASETS."""
    assert_equal(name, lm, settings, limit=limit, fewshot=fewshot)


def mirror(folder: Path, rows: int = 30, *, splits: tuple[str, ...] = ("train", "validation", "test")) -> Path:
    """A folder in the mirror's layout with a data set for arc_easy, whose questions are our own."""
    place = folder / "allenai__ai2_arc" / "ARC-Easy"
    place.mkdir(parents=True)
    for split in splits:
        with (place / f"{split}.jsonl").open("w") as file:
            for n in range(rows):
                choices = {"text": [f"{n}", f"{n + 1}", f"{n + 2}"], "label": ["A", "B", "C"]}
                file.write(json.dumps({"id": f"{split}{n}", "question": f"What is {n} + 1?", "choices": choices, "answerKey": "B"}) + "\n")
    return folder


@pytest.fixture
def mirrored(home: Path, tmp_path: Path) -> Settings:
    """Settings with a mirror that the test made."""
    return Settings(home=home, datasets=mirror(tmp_path / "data"))


def test_a_sample_is_scored_when_the_data_are_gone(mirrored: Settings) -> None:
    """All that scoring needs is in the events."""
    made = build(TaskChoice(name="arc_easy"), dress=PLAIN, settings=mirrored)
    assert mirrored.datasets is not None
    shutil.rmtree(mirrored.datasets)
    requests, prefixes = on_the_wire(made.samples[3])
    answers = tuple(
        Answer(
            request_index=n, request_type="loglikelihood", loglikelihood=float(-n), is_greedy=False, finish_reason="none", prompt_tokens=1
        )
        for n in range(3)
    )
    scores = Scorer(made.config_json).score(made.samples[3].document, 3, requests, prefixes, answers)
    assert [(score.metric, score.value) for score in scores] == [("acc", 0.0), ("acc_norm", 0.0)]


def test_a_build_is_the_same_every_time_and_depends_on_its_inputs(mirrored: Settings) -> None:
    """Same inputs, same id and requests; other shots or data, another id; a limit changes nothing."""
    choice = TaskChoice(name="arc_easy", fewshot=2)
    first, second = (build(choice, dress=PLAIN, settings=mirrored) for _ in range(2))
    assert first == second
    assert first.build_id == identify(choice.model_copy(update={"limit": 3}), dress=PLAIN, settings=mirrored).build_id
    assert first.build_id != identify(TaskChoice(name="arc_easy", fewshot=1), dress=PLAIN, settings=mirrored).build_id
    assert mirrored.datasets is not None
    with (mirrored.datasets / "allenai__ai2_arc/ARC-Easy/test.jsonl").open("a") as file:
        file.write(json.dumps({"id": "x", "question": "?", "choices": {"text": ["1", "2"], "label": ["A", "B"]}, "answerKey": "A"}) + "\n")
    assert first.build_id != identify(choice, dress=PLAIN, settings=mirrored).build_id


def test_a_truncated_file_is_named_with_its_line(mirrored: Settings) -> None:
    """Plain and compressed."""
    assert mirrored.datasets is not None
    file = mirrored.datasets / "allenai__ai2_arc/ARC-Easy/test.jsonl"
    body = file.read_bytes()
    file.write_bytes(body[:-20])
    with pytest.raises(Invalid, match=r"test\.jsonl, line 30: not JSON"):
        build(TaskChoice(name="arc_easy"), dress=PLAIN, settings=mirrored)
    file.unlink()
    file.with_suffix(".jsonl.gz").write_bytes(gzip.compress(body)[:-20])
    with pytest.raises(Invalid, match=r"test\.jsonl\.gz is truncated"):
        build(TaskChoice(name="arc_easy"), dress=PLAIN, settings=mirrored)


def test_a_split_that_is_not_there_is_missed_only_where_it_is_needed(home: Path, tmp_path: Path) -> None:
    """Examples are drawn from the training split; without it, no shots; without the test split, nothing."""
    settings = Settings(home=home, datasets=mirror(tmp_path / "data", splits=("validation", "test")))
    assert len(build(TaskChoice(name="arc_easy"), dress=PLAIN, settings=settings).samples) == 30
    with pytest.raises(Invalid, match="draws examples from split train"):
        build(TaskChoice(name="arc_easy", fewshot=2), dress=PLAIN, settings=settings)
    only = Settings(home=home, datasets=mirror(tmp_path / "other", splits=("train",)))
    with pytest.raises(Invalid, match="needs split"):
        build(TaskChoice(name="arc_easy"), dress=PLAIN, settings=only)


def test_an_unknown_task_names_its_neighbours() -> None:
    """A slip of the finger is answered with what was meant."""
    with pytest.raises(NotFound, match="did you mean assay_arithmetic"):
        resolve("assay_arithmetics")
    with pytest.raises(NotFound, match="did you mean hellaswag"):
        resolve("helaswag")
    assert len(resolve("mmlu")) == 57
    assert [{leaf.weight_by_size for leaf in resolve(name)} for name in ("mmlu", "blimp", "lingoly")] == [{True}, {False}, {False}]


def test_a_group_is_its_members_as_it_wants_them() -> None:
    """Groups in groups are opened; few-shot examples that a group asks for are kept; a group that changes more is refused."""
    assert Leaf("tinyArc", fewshot=25) in resolve("tinyBenchmarks")
    assert len(resolve("mmlu_generative")) == 57
    assert {leaf.fewshot for leaf in resolve("mmlu")} == {None}
    with pytest.raises(Invalid, match="group 'openllm' changes fewshot_split of its task 'arc_challenge'"):
        resolve("openllm")


def test_a_chat_template_dresses_the_prompt(mirrored: Settings) -> None:
    """System text, turns and the generation prompt, with the tokenizer's special tokens."""
    turns = "{{ bos_token }}{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}\n{% endfor %}"
    template = turns + "{% if add_generation_prompt %}[bot]{% endif %}"
    dress = Dress(Chat(template="model", system="Be brief."), template, (("bos_token", "<s>"),))
    made = build(TaskChoice(name="arc_easy"), dress=dress, settings=mirrored)
    assert made.samples[0].requests[0].prefix + made.samples[0].requests[0].context == (
        "<s>[system] Be brief.\n[user] Question: What is 0 + 1?\nAnswer:\n[bot]"
    )
    assert made.build_id != build(TaskChoice(name="arc_easy"), dress=PLAIN, settings=mirrored).build_id


def bundled_files() -> Iterator[Path]:
    """The definitions of the bundled tasks."""
    yield from BUNDLED.glob("*.yaml")


def test_bundled_tasks_need_neither_network_nor_files(tmp_path: Path) -> None:
    """Every one of them, in an empty home, is the same build as in another."""
    ids = [
        {name: identify(TaskChoice(name=name), dress=PLAIN, settings=Settings(home=tmp_path / home)).build_id for name in BUNDLED_TASKS}
        for home in ("a", "b")
    ]
    assert ids[0] == ids[1]
    assert len(list(bundled_files())) == len(BUNDLED_TASKS) == len(set(ids[0].values()))


def test_a_task_is_built_and_scored_without_torch(tmp_path: Path) -> None:
    """Planning and scoring processes are many and small: what would import the models' libraries is not imported."""
    program = (
        "import sys; from pathlib import Path; from infra.harness.building import build; from infra.harness.chat import Dress; "
        "from infra.harness.scoring import Scorer; "
        "from infra.settings import Settings; from schemas.requests import Chat, TaskChoice; "
        "made = build(TaskChoice(name='assay_copy'), dress=Dress(Chat()), settings=Settings(home=Path(sys.argv[1]))); "
        "Scorer(made.config_json); assert not {'torch', 'transformers', 'evaluate'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", program, str(tmp_path)], check=True)
