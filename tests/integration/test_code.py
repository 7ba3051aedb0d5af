"""Tasks of code: their values are lm-eval's, whose metric runs without walls; and all known solutions pass in the sandbox."""

import gzip
import json
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from infra.harness.building import Build, build
from infra.harness.chat import Dress
from infra.harness.scoring import Scorer, runs_code
from infra.pools import pool
from infra.sandbox import running
from infra.sandbox.running import run, walls_here
from infra.settings import Settings
from schemas.event import Text
from schemas.measurements import Answer
from schemas.requests import Chat, TaskChoice
from streams.errors import Invalid
from tests.code import PROBLEMS, WRONG, Reference, mirror
from tests.integration.test_harness import on_the_wire

# What lm-eval and the libraries below it warn of is not ours to mend.
pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore")]
PLAIN = Dress(Chat())


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings with a mirror of small problems."""
    folder = tmp_path_factory.mktemp("code")
    return Settings(home=folder / "home", datasets=mirror(folder / "data"))


def answers(*texts: str) -> tuple[Answer, ...]:
    """Texts as the draws of one request."""
    told = {"request_index": 0, "request_type": "generate_until", "finish_reason": "stop", "prompt_tokens": 0}
    return tuple(Answer.model_validate(told | {"draw": draw, "output": Text.plain(text)}) for draw, text in enumerate(texts))


def given(number: int, draws: int) -> list[str]:
    """A problem's answers: the right one, and wrong ones; of many none that takes all its time."""
    right, wrong = PROBLEMS[number]["canonical_solution"], WRONG if draws == 1 else WRONG[:2]
    return [right if (draw + number) % 3 == 0 else wrong[(draw + number) % len(wrong)] for draw in range(draws)]


def ours(made: Build, draws: int) -> dict[int, dict[str, float | None]]:
    """Values by ordinal and metric, from events alone."""
    scorer, found = Scorer(made.config_json), dict[int, dict[str, float | None]]()
    for sample in made.samples:
        requests, prefixes = on_the_wire(sample)
        scores = scorer.score(sample.document, sample.doc_id, requests, prefixes, answers(*given(sample.ordinal, draws)))
        assert {score.sandbox for score in scores} == {walls_here()}
        found[sample.ordinal] = {score.metric: score.value for score in scores}
    return found


def theirs(name: str, settings: Settings, draws: int) -> dict[int, dict[str, float]]:
    """What lm-eval's task computes by itself, its metric as it is where HF_ALLOW_CODE_EVAL is set."""
    import evaluate
    from lm_eval.tasks import TaskManager

    from infra.harness.catalogue import find
    from infra.harness.data import reading

    load, evaluate.load = evaluate.load, lambda *_: Reference()
    try:
        with reading(settings.datasets):
            (task,) = TaskManager(include_defaults=False, include_path=[find(name).folder]).load(name)["tasks"].values()
    finally:
        evaluate.load = load
    task.build_all_requests()
    for instance in task.instances:
        instance.resps = given(instance.doc_id, draws)
    task.apply_filters()
    (filtered,) = {name for instance in task.instances for name in instance.filtered_resps}
    return {one.doc_id: task.process_results(one.doc, [one.filtered_resps[filtered]]) for one in task.instances}


@pytest.mark.suites
@pytest.mark.parametrize(
    ("name", "draws"),
    [("humaneval", 1), ("humaneval_instruct", 1), ("humaneval_64", 64)],
)
def test_values_are_those_of_lm_eval(name: str, draws: int, settings: Settings) -> None:
    """On right and wrong answers, and on programs that loop, leave early or do not parse."""
    made = build(TaskChoice(name=name), dress=PLAIN, settings=settings)
    assert runs_code(made.config_json)
    made.samples[:] = made.samples[: 2 if draws > 1 else None]
    found = ours(made, draws)
    expected = theirs(name, settings, draws)
    assert found == {ordinal: pytest.approx(expected[ordinal]) for ordinal in found}
    assert {one.metric for one in made.expected} == set(found[0])


def test_a_build_has_one_name_in_every_process(settings: Settings) -> None:
    """Though its task names functions, whose addresses differ."""
    with pool(1) as processes:
        other = processes.submit(_built, settings).result()
    assert other == build(TaskChoice(name="humaneval"), dress=PLAIN, settings=settings).build_id


def _built(settings: Settings) -> str:
    return build(TaskChoice(name="humaneval"), dress=PLAIN, settings=settings).build_id


def test_without_a_sandbox_a_sample_is_refused_with_what_to_do(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is never run without."""
    made = build(TaskChoice(name="humaneval"), dress=PLAIN, settings=settings)
    requests, prefixes = on_the_wire(made.samples[0])
    monkeypatch.setattr(running, "KINDS", ())
    walls_here.cache_clear()
    try:
        with pytest.raises(Invalid, match="install bubblewrap"):
            Scorer(made.config_json).score(made.samples[0].document, 0, requests, prefixes, answers("    return a + b\n"))
    finally:
        walls_here.cache_clear()


def rows(*parts: str) -> Iterator[dict[str, Any]]:
    """Rows of a data set's split."""
    file = Path(os.environ["ASSAY_DATASETS"]).joinpath(*parts)
    body = file.read_bytes() if file.exists() else gzip.decompress(file.with_suffix(".jsonl.gz").read_bytes())
    yield from map(json.loads, body.decode().splitlines())


def humaneval() -> Iterator[tuple[str, str]]:
    """Name and program of every canonical solution."""
    for row in rows("openai__openai_humaneval", "default", "test.jsonl"):
        yield row["task_id"], f"{row['prompt']}{row['canonical_solution']}\n{row['test']}\ncheck({row['entry_point']})"


def mbpp() -> Iterator[tuple[str, str]]:
    """The same, of the test split; the data's own set-up code is not in lm-eval's programs."""
    for row in rows("google-research-datasets__mbpp", "full", "test.jsonl"):
        yield str(row["task_id"]), "\n".join([row["code"], *row["test_list"][:3]])


@pytest.mark.datasets
@pytest.mark.suites
@pytest.mark.parametrize(("solutions", "count"), [(humaneval, 164), (mbpp, 450)])
def test_every_canonical_solution_passes(solutions: Any, count: int) -> None:
    """In the sandbox as without it."""
    known = dict(solutions())
    assert len(known) == count
    with ProcessPoolExecutor(os.cpu_count()) as processes:
        outcomes = dict(zip(known, processes.map(run, known.values()), strict=True))
    assert {name: outcome.why for name, outcome in outcomes.items() if not outcome.passed} == {}
