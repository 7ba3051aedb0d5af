"""Results of many attempts and documents: packed as a record holds them, read back equal, and where none holds them the run says so."""

import asyncio
import random
import zlib
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.aggregating import Aggregating
from agents.care import Care
from agents.settle import Here, Settling
from infra.deriving import _differing
from infra.kafka import Log, Record
from infra.kafka.records import MAX_RECORD_BYTES
from infra.settings import Settings
from schemas.codec import size
from schemas.released import released_codec
from schemas.results import Figure, RunScored
from schemas.runs import ExpectedMetric, RunChanged
from schemas.settled import AttemptUsed, LeftOut, RunSettled, TaskSettled
from streams import bounds
from streams.errors import Invalid
from streams.money.costs import METRICS, summaries
from streams.money.prices import PriceBook
from streams.settling import attempts, results
from streams.settling.documents import MOST_PLAIN_BYTES, packed, unpacked
from streams.settling.runs import OpenRuns, Run
from streams.topics import RUN_SCORES, RUNS
from tests.in_memory import InMemory
from tests.runs import run_named
from tests.unit.test_costs import environment
from tests.unit.test_prices import price
from tests.unit.test_results import HEADER, STAMP, planned, scored
from tests.unit.test_settling import over

R = run_named("r")
LARGE = 20_000  # characters of a metric's name

words = st.text(st.characters(codec="utf-8"), max_size=5)
attempt_of = st.builds(
    AttemptUsed, job_id=words.map(f"{R}/t/".__add__), agent_id=words, attempt=st.integers(1, 9), first_us=st.integers(0, 2**53),
    last_us=st.integers(0, 2**53), environment_sha=st.none() | words, finished=st.booleans(), energy_uj=st.none() | st.integers(0, 2**62),
    energy_grade=st.none() | st.sampled_from(["A", "B"]),
)  # fmt: skip


def many(count: int) -> list[AttemptUsed]:
    """As many attempts of some hundred agents, as a long run has them."""
    chance = random.Random(1)
    begins = sorted(1_700_000_000_000_000 + chance.randrange(10**12) for _ in range(count))
    return [
        AttemptUsed(
            job_id=f"{R}/gsm8k/{number % 4}/{number * 256}", agent_id=f"agent-{chance.randrange(100)}", attempt=1 + number % 3,
            first_us=at, last_us=at + chance.randrange(10**9), environment_sha=f"{chance.randrange(5):064x}", finished=number % 3 == 2,
            energy_uj=chance.randrange(10**11), energy_grade="nvml-total-energy",
        )
        for number, at in enumerate(begins)
    ]  # fmt: skip


def settled_with(used: list[AttemptUsed]) -> RunSettled:
    """The result of a run that is scored anew, whose result before tells these attempts."""
    _, run = over()
    score = results.scored(run, "t", aggregate=lambda *_: (0.5, None), stamp=STAMP)
    assert score is not None
    before = results.settled(run, {"t": score}, None, through={}, stamp=STAMP).model_copy(update={"attempts": tuple(used)})
    run.before = before
    return results.settled(run, {"t": score}, None, through={}, stamp=STAMP)


@given(st.lists(attempt_of, max_size=20))
def test_attempts_are_read_back_as_they_were_packed(used: list[AttemptUsed]) -> None:
    """Whatever is in them."""
    assert attempts.unpacked(attempts.packed(used, run_id=R), run_id=R) == tuple(used)


def test_a_result_tells_three_attempts_of_each_of_as_many_jobs_as_a_run_may_have() -> None:
    """In one record, written and read; what it costs follows from them as from attempts one by one."""
    used = many(3 * bounds.MOST_JOBS)
    told = settled_with(used)
    codec = released_codec()
    assert told.attempts == () and size(told) < MAX_RECORD_BYTES // 2
    assert attempts.unfolded(codec.decode(codec.encode(told), RunSettled)).attempts == tuple(used)
    book, plain = PriceBook(), attempts.unfolded(told)
    book.fold(price())
    seen = {f"{number:064x}": environment() for number in range(5)}
    (summary,) = summaries(told, book, seen)
    assert [summary] == list(summaries(plain, book, seen))
    assert summary.figures[0].n == len(used)


def test_few_attempts_are_named_one_by_one_and_how_they_are_packed_names_no_result() -> None:
    """The id of a result is that of its inputs: a log of before is recomputed under the ids that it has."""
    few = settled_with(many(attempts.MOST_NAMED))
    assert (len(few.attempts), few.attempts_packed) == (attempts.MOST_NAMED, None)
    plain = attempts.unfolded(more := settled_with(many(attempts.MOST_NAMED + 1)))
    assert more.attempts_packed is not None
    assert (plain.event_id, plain.inputs_digest) == (more.event_id, more.inputs_digest)
    assert _differing(plain, more) is None
    assert _differing(plain.model_copy(update={"attempts": plain.attempts[1:]}), more) == "attempts"


def test_a_result_whose_attempts_no_record_holds_says_so_and_so_does_every_cost() -> None:
    """Boards have it all the same."""
    told = settled_with(many(110_000))
    assert (told.attempts, told.attempts_packed) == ((), None)
    assert told.attempts_untold and told.attempts_untold.startswith("its 110,000 attempts are more than a record holds")
    book = PriceBook()
    book.fold(price())
    book.fold(price(version="2", published_us=2))
    (summary,) = summaries(told, book, {})
    whys = {figure.metric: figure.why_undefined for figure in summary.figures}
    assert len(whys) == len(METRICS) and {whys["run_usd_nano"], whys["energy_uj"], whys["per_correct_answer_usd_nano"]} == {
        told.attempts_untold
    }
    assert {figure.value for figure in summary.figures} == {None}


@pytest.mark.parametrize("share", [1, 3, 40])
def test_many_documents_are_packed_closer_and_read_back_to_the_bit(share: int) -> None:
    """Values of any bits, in clusters of any size, of which each ordinal may be in any."""
    chance = np.random.default_rng(share)
    ordinals = np.unique(chance.integers(0, 2**31, MOST_PLAIN_BYTES // 8)).tolist()
    values = dict(zip(ordinals, chance.standard_normal(len(ordinals)).tolist(), strict=True))
    numbers = chance.integers(0, len(ordinals) // share, len(ordinals)).tolist()
    clusters = {ordinal: f"passage {number}" for ordinal, number in zip(ordinals, numbers, strict=True)} if share > 1 else {}
    told = packed(values, clusters)
    found = unpacked(told)
    assert told.packed is not None
    assert dict(zip(found.ordinals.tolist(), found.values.tolist(), strict=True)) == values
    if share > 1:
        assert found.clusters is not None
        assert len(set(zip(found.clusters, clusters.values(), strict=True))) == len(set(found.clusters)) == len(set(numbers))
    else:
        assert found.clusters is None


def test_as_many_documents_as_a_task_may_have_fit_into_a_record_with_their_passages() -> None:
    """Log-likelihoods, which hardly compress, of documents whose passages have long names."""
    chance, count = np.random.default_rng(1), bounds.MOST_DOCUMENTS
    values = dict(enumerate(np.log(chance.random(count)).tolist()))
    told = packed(values, {ordinal: f"passage {ordinal // 3:0300}" for ordinal in values})
    assert told.packed is not None and len(told.packed) < 1_600_000


@pytest.mark.parametrize("told", [b"\x00\xff", zlib.compress(b"[]"), zlib.compress(b"[" * 100_000), zlib.compress(bytes(2**27))])
def test_what_is_no_attempts_is_refused_with_words(told: bytes) -> None:
    """It came by Kafka."""
    result = settled_with([]).model_copy(update={"attempts_packed": told})
    with pytest.raises(Invalid, match=f"the attempts of run {R} cannot be read"):
        list(summaries(result, PriceBook(), {}))


@pytest.mark.parametrize("body", [b"", b"\x01\0\0\0", b"\x01\0\0\0" + bytes(13), b"\0\0\0\0"])
def test_what_is_no_columns_is_refused(body: bytes) -> None:
    """It came by Kafka."""
    with pytest.raises(Invalid, match="are not the columns of"):
        unpacked(packed({0: 1.0}, {}).model_copy(update={"packed": zlib.compress(body)}))


def test_the_bound_of_an_event_leaves_room_in_a_record() -> None:
    """For its key, and for what a batch adds."""
    assert bounds.MOST_EVENT_BYTES == MAX_RECORD_BYTES - 4096
    _, run = over()
    event = results.settled(run, {}, None, through={}, stamp=STAMP)
    assert size(event) == len(released_codec().encode(event))


def test_a_plan_that_leaves_no_room_for_what_comes_of_it_is_refused() -> None:
    """It is in the run's result too."""
    with pytest.raises(Invalid, match="its plan has 1,221,054 bytes: give at most 1,048,576"):
        bounds.check_plan(many_figures(60)[0])
    bounds.check_plan(many_figures(10)[0])


@pytest.mark.parametrize("scored", [True, False])
def test_a_result_of_as_many_tasks_as_a_plan_may_have_is_a_record(scored: bool) -> None:
    """Whether each is scored, or none can be and says why at length."""
    change = planned(R, samples=1, tasks=tuple(f"{number:060}" for number in range(2_300)))
    bounds.check_plan(change)
    run = Run(R)
    run.take(change)
    run.take(RunChanged(**HEADER, run_id=R, state="completed"))
    assert change.plan is not None
    numbers: dict[str, Any] = dict.fromkeys(("value", "stderr", "low", "high", "between", "within", "between_setups"), 0.1)
    figure = Figure(metric="acc", **numbers, n=10**6, method="Wilson, known range", unit="u" * 20, origin="o" * 20, why_undefined="w" * 150)
    tasks = tuple(TaskSettled(task=one.task, scorer_version="1.2.3", documents=10**6, figure=figure) for one in change.plan.tasks)
    missing = [LeftOut(task=one.task, scorer_version="1.2.3", why="é" * 1000) for one in change.plan.tasks]
    told = results.settled(run, {}, None, through={}, stamp=STAMP, missing=[] if scored else missing)
    assert size(told.model_copy(update={"tasks": tasks if scored else ()})) + bounds.REST_BYTES / 2 < bounds.MOST_EVENT_BYTES
    assert len(told.left_out) == (0 if scored else 2_300)
    with pytest.raises(Invalid, match=r"the result of 3,000 tasks, with their plan, may have .* ask for fewer tasks"):
        bounds.check_plan(planned(R, samples=1, tasks=tuple(f"{number:060}" for number in range(3_000))))


def many_figures(count: int) -> tuple[RunChanged, list[Record]]:
    """A plan of one task with so many metrics of long names, each of which one sample has; and its scores as records."""
    names = [f"{number:0{LARGE}}" for number in range(count)]
    change = planned(R, samples=1)
    assert change.plan is not None
    task = change.plan.tasks[0].model_copy(update={
        "expected": tuple(ExpectedMetric(filter="none", metric=name) for name in names), "main_metric": names[0],
    })  # fmt: skip
    change = change.model_copy(update={"plan": change.plan.model_copy(update={"tasks": (task,)})})
    memory = InMemory()
    return change, [memory.write(scored(R, 0, 1.0, metric=name, metrics=count)) for name in names]


def lived(home: Path, memory: InMemory, change: RunChanged, scores: list[Record]) -> Run | None:
    """What is left of a run that Settling was told of, once it has said all of it; its events come back as the log gives them."""
    log = cast("Log", memory)
    settling, state = Settling(log, Aggregating(limit_s=1.0), Care("settle", log, Settings(home=home))), Here(OpenRuns())

    async def act() -> None:
        for record in [memory.write(change), *scores]:
            await settling.fold(state, record)
        for _ in range(5):
            await settling.say(state, 0)
            await asyncio.gather(*state.busy.values())
            for place, records in list(memory.records.items()):
                if place[0] == RUNS.name:
                    for record in records:
                        await settling.fold(state, record)

    asyncio.run(act())
    return state.runs.runs.get(R)


def test_scores_that_no_record_holds_are_the_runs_failure_with_its_reason_and_its_result_is_said(tmp_path: Path) -> None:
    """It is forgotten then, like any run that is over: it neither stays open nor is passed over."""
    memory = InMemory()
    left = lived(tmp_path, memory, *many_figures(120))
    said = [record.event for records in memory.records.values() for record in records]
    (failed,) = (one for one in said if isinstance(one, RunChanged) and one.state == "failed")
    assert failed.reason_code == "cannot-settle"
    assert failed.message is not None and "its RunScored has 2,4" in failed.message and "ask for it in several runs" in failed.message
    (result,) = (one for one in said if isinstance(one, RunSettled))
    assert (result.state, result.final, result.tasks) == ("failed", True, ())
    assert left is None
    assert not [one for one in said if isinstance(one, RunScored)] and RUN_SCORES.name not in {topic for topic, _ in memory.records}


def test_scores_that_a_record_holds_complete_their_run(tmp_path: Path) -> None:
    """The same run, with fewer metrics."""
    memory = InMemory()
    assert lived(tmp_path, memory, *many_figures(20)) is None
    states = [record.event.state for (topic, _), each in memory.records.items() if topic == RUNS.name for record in each
              if isinstance(record.event, RunChanged)]  # fmt: skip
    assert states == ["planned", "completed"]
