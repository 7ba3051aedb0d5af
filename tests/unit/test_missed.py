"""A record that is passed, for processes hang over it: the run that would wait for it learns of it."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest

from agents.aggregating import Aggregating
from agents.care import QUARANTINED, TAKEN, TWICE, Care, Tells
from agents.dispatch import Dispatcher
from agents.missed import by_dispatcher, by_planner, by_settler
from agents.plan import Planning
from agents.preparing import Preparing
from agents.score import missed
from agents.settle import Settling
from agents.shards import Shards
from infra.kafka import Log, Record
from infra.settings import Settings
from infra.stumbles import HANDLED, Stumbles, key_of
from schemas.codec import Undecodable
from schemas.event import Event
from schemas.jobs import JobChanged
from schemas.requests import CancellationRequested
from schemas.results import SampleNotScored, SampleScored
from schemas.runs import RunChanged, RunState
from schemas.trust import DeadLettered
from streams.errors import Permanent
from streams.queue.dispatch import Pool
from streams.runs import state_of
from streams.settling.dumping import dumped, loaded
from streams.settling.runs import OpenRuns
from streams.topics import DEAD_LETTERS, NOT_SCORED, RUNS, topic_of
from tests.in_memory import InMemory
from tests.pool import changed, job
from tests.pool import planned as job_planned
from tests.unit.test_bounds import asked
from tests.unit.test_costs import metered
from tests.unit.test_results import HEADER, planned, scored, timed
from tests.unit.test_scored_anew import R, World, answered
from tests.unit.test_settling import ANSWER, report

CANCELLED = CancellationRequested(**HEADER, run_id=R, by="me", message="no more")
WORK = job(f"{R}/t/0/0", run=R)
PLANNED = planned(R, samples=2)
RAN: list[Event] = [PLANNED, job_planned(WORK), changed(WORK, "running")]


def by_the_third(home: Path, memory: InMemory, record: Record, *, worker: str, tells: Tells) -> list[Event]:
    """What is said where two processes before hung over the record."""
    settings = Settings(home=home)
    for _ in range(TWICE):
        Stumbles(settings, worker=worker).note_hung([f"{HANDLED}{key_of(record.place)}"])

    async def handle(_records: Sequence[Record]) -> None:
        raise AssertionError("it is handled once more")

    before = memory.count()
    asyncio.run(Care(worker, cast("Log", memory), settings, tells=tells).in_parts([record], handle))
    said = [one.event for each in memory.records.values() for one in each if one is not record and one.event]
    assert memory.count() == before + len(said)
    assert [one.reason_code for one in said if isinstance(one, DeadLettered)] == [QUARANTINED]
    return [one for one in said if not isinstance(one, DeadLettered)]


def passed(memory: InMemory, event: Event, *, tells: Tells, code: str = QUARANTINED, undecoded: bool = False) -> list[Event]:
    """What is told of an event that is passed, as the log has it."""
    record = memory.write(event)
    if undecoded:
        record = Record(record.place, record.key, b"", 1, None, Undecodable(code, "it hung"))
    return list(tells(record, memory.dead_letter(record, code=code, message="it hung")))


def test_a_run_completes_though_its_scorer_hangs_over_an_answer(tmp_path: Path) -> None:
    """The sample is said to be not scored, with its dead letter; so a run of programs, which agents/code.py scores by the same."""
    memory, world = InMemory(), World(tmp_path / "settle")
    said = by_the_third(tmp_path, memory, memory.write(answered(1)[0]), worker="score", tells=missed)
    (event,), letters = said, [each[0].event for (topic, _), each in memory.records.items() if topic == DEAD_LETTERS.name and each]
    assert isinstance(event, SampleNotScored) and [event.dead_letter_ref] == [letter and letter.event_id for letter in letters]
    assert (event.run_id, event.task, event.ordinal) == (R, "t", 1) and "hung" in event.reason
    world.say(PLANNED, scored(R, 0, 1.0).model_copy(update={"scorer_version": event.scorer_version}), event)
    assert [(one.state, one.final) for one in world.results] == [("completed", True)]


def test_an_answer_that_the_log_does_not_take_scored_is_not_scored(tmp_path: Path) -> None:
    """Whatever is refused for good is told as well."""
    memory = InMemory()
    record = memory.write(answered(1)[0])

    async def handle(_records: Sequence[Record]) -> None:
        raise Permanent("a record is larger than 2097152 bytes", code="record-too-large")

    asyncio.run(Care("score", cast("Log", memory), Settings(home=tmp_path), tells=missed).in_parts([record], handle))
    (event,) = (one.event for (topic, _), each in memory.records.items() if topic == NOT_SCORED.name for one in each)
    assert isinstance(event, SampleNotScored) and event.reason == "a record is larger than 2097152 bytes"


@pytest.mark.parametrize(
    "event",
    [
        PLANNED, job_planned(WORK), report("finished", 20, done=1), report("failed", 20),
        timed(1, sent=0, first=1, ended=2, tokens=1),
    ],
    ids=lambda event: type(event).__name__,
)  # fmt: skip
def test_a_run_of_which_its_settler_passes_something_has_failed(event: Event) -> None:
    """In the settler's state too, which lacks what was passed: it awaits nothing more."""
    memory = InMemory()
    told = passed(memory, event, tells=by_settler)
    runs = OpenRuns()
    others = () if isinstance(event, JobChanged) else (report("failed", 30),)
    for one in (PLANNED, report("loading", 10), *others, *told):
        if one is not event:
            runs.fold(one)
    assert runs.runs[R].over and runs.runs[R].final
    changes = [one for one in (PLANNED, *told) if isinstance(one, RunChanged)]
    assert state_of(changes) == "failed" and changes[1].reason_code == "record-passed"
    assert f"{topic_of(event).name}/" in (changes[1].message or "") and "it hung" in (changes[1].message or "")


def test_a_run_has_failed_of_which_a_score_is_passed_and_its_result_is_final() -> None:
    """What was answered is awaited where a run is over: in the score's place comes one without a value."""
    runs, (failed, bare) = OpenRuns(), passed(InMemory(), scored(R, 1, 0.5, metrics=2), tells=by_settler)
    for event in (PLANNED, scored(R, 1, 1.0, metric="f1", metrics=2), report("finished", 20, done=1), failed):
        runs.fold(event)
    assert runs.runs[R].state == "failed" and runs.runs[R].settled_samples == 0
    runs.fold(bare)
    assert runs.runs[R].final and runs.runs[R].settled_samples == 1
    assert isinstance(bare, SampleScored) and (bare.value, bare.metric, bare.event_id) == (None, "acc", scored(R, 1, 0.5).event_id)
    assert [type(one) for one in passed(InMemory(), bare, tells=by_settler)] == [RunChanged]


def test_a_sample_that_is_not_scored_is_said_so_again_in_other_words() -> None:
    """Its run goes on; where those are passed as well, it has failed."""
    one = SampleNotScored(**HEADER, run_id=R, task="t", ordinal=1, repeat=0, scorer_version="1", reason="why")
    (again,) = passed(InMemory(), one, tells=by_settler)
    assert isinstance(again, SampleNotScored) and (again.event_id, again.reason) == (one.event_id, "record-passed")
    assert [type(one) for one in passed(InMemory(), again, tells=by_settler)] == [RunChanged]


def test_a_reading_that_is_passed_is_counted_as_one_that_says_nothing() -> None:
    """An attempt's result waits for as many readings as it says to have published."""
    reading, runs = metered(1, 500, ANSWER), OpenRuns()
    ended = report("finished", 20, done=1).model_copy(update={"counts": {"readings": 2}})
    (bare,) = passed(InMemory(), metered(2, 900, ANSWER), tells=by_settler)
    for event in (planned(R, samples=1), scored(R, 0, 1.0), ended, reading, RunChanged(**HEADER, run_id=R, state="completed")):
        runs.fold(event)
    assert not runs.runs[R].final
    runs.fold(bare)
    assert runs.runs[R].final and [one.energy_uj for one in runs.runs[R].used.told()] == [0]
    assert passed(InMemory(), bare, tells=by_settler) == []


@pytest.mark.parametrize("state", ["completed", "failed", "cancelled"])
def test_an_end_that_is_passed_is_said_again_in_other_words(state: RunState) -> None:
    """Once: over other words too a process may hang."""
    told = passed(InMemory(), RunChanged(**HEADER, run_id=R, state=state, message="why"), tells=by_settler)
    assert [(one.state, one.reason_code) for one in told if isinstance(one, RunChanged)] == [(state, "record-passed")]
    assert passed(InMemory(), told[0], tells=by_settler) == []


@pytest.mark.parametrize(
    ("event", "ends"), [(PLANNED, "failed"), (RAN[1], "failed"), (CANCELLED, "cancelled")], ids=["plan", "job", "cancellation"]
)
def test_a_run_of_which_a_dispatcher_passes_something_is_over(event: Event, ends: str, tmp_path: Path) -> None:
    """In the dispatcher's state too, and in the log's: none of its jobs waits for an agent."""
    memory = InMemory()
    settings, log = Settings(home=tmp_path), cast("Log", memory)
    records = {id(one): memory.write(one) for one in (PLANNED, RAN[1], CANCELLED)}
    for _ in range(TWICE):
        Stumbles(settings, worker="dispatch-default").note_hung([f"{TAKEN}{key_of(records[id(event)].place)}"])
    dispatcher = Dispatcher(log, settings)

    async def act() -> Pool:
        dispatcher._past = await memory.ends(dispatcher._topics)
        for record in (records[id(one)] for one in (*RAN[:2], *([event] if event is CANCELLED else []))):
            await dispatcher._fold(record)
        for record in list(memory.records[RUNS.name, records[id(PLANNED)].place.partition])[1:]:
            await dispatcher._fold(record)
        return dispatcher.pool

    pool = asyncio.run(act())
    assert R not in pool.runs and pool.entries == {} and R in pool.over
    changes = [one.event for one in memory.records[RUNS.name, records[id(PLANNED)].place.partition]]
    assert state_of([one for one in changes if isinstance(one, RunChanged)]) == ends


def test_a_request_over_which_its_planner_hangs_is_rejected(tmp_path: Path) -> None:
    """One that is refused, for its id was another request's before, ends nothing of that one's run."""
    memory, request = InMemory(), asked(run_id=R)
    (told,) = by_the_third(tmp_path, memory, memory.write(request), worker="plan", tells=by_planner)
    assert isinstance(told, RunChanged) and (told.run_id, told.state, told.reason_code) == (R, "rejected", "record-passed")
    assert passed(memory, asked(run_id=R, tasks=[{"name": "u"}]), tells=by_planner, code="run-id-used") == []


@pytest.mark.parametrize(
    ("event", "tells", "states"),
    [
        (answered(1)[0], missed, ["failed"]),
        (asked(run_id=R), by_planner, ["rejected"]),
        (RAN[1], by_dispatcher, ["failed"]),
        (PLANNED, by_dispatcher, ["failed", "cancelled"]),
        (scored(R, 0, 1.0), by_settler, ["failed"]),
        (report("finished", 20), by_settler, ["failed"]),
    ],
    ids=["answer", "request", "job", "plan", "score", "report"],
)
def test_of_what_hangs_whoever_decodes_it_the_key_names_the_run(event: Event, tells: Tells, states: list[RunState]) -> None:
    """Of what is no event nothing is told: anybody may have written that key."""
    told = passed(InMemory(), event, tells=tells, undecoded=True)
    assert [(one.run_id, one.state) for one in told if isinstance(one, RunChanged)] == [(R, state) for state in states]
    assert passed(InMemory(), event, tells=tells, undecoded=True, code="invalid-event") == []


def test_the_result_of_a_run_is_final_of_which_an_answer_could_not_be_decoded() -> None:
    """Its sample is never scored, nor said to be not scorable: what is in the log by then is all that there is; over snapshots too."""
    runs = OpenRuns()
    (failed,) = passed(InMemory(), answered(1)[0], tells=missed, undecoded=True)
    reported = report("finished", 20, done=2).model_copy(update={"counts": {"readings": 2}})
    for event in (PLANNED, scored(R, 0, 1.0), reported, metered(1, 500, ANSWER)):
        runs.fold(event)
    runs.fold(failed)
    runs = loaded(dumped(runs))
    assert (runs.runs[R].state, runs.runs[R].final) == ("failed", True)


def test_what_no_run_waits_for_is_told_to_nobody() -> None:
    """A step that is none of an end, a report that is not the last."""
    running = RunChanged(**HEADER, run_id=R, state="running")
    settler: list[Event] = [running, report("loading", 1), CANCELLED]
    dispatcher: list[Event] = [running, report("finished", 1), scored(R, 0, 1.0)]
    assert [passed(InMemory(), event, tells=by_settler) for event in settler] == [[], [], []]
    assert [passed(InMemory(), event, tells=by_dispatcher) for event in dispatcher] == [[], [], []]


@pytest.mark.parametrize("worker", ["settle", "plan"])
def test_also_what_is_passed_as_a_state_is_restored_is_told(worker: str, tmp_path: Path) -> None:
    """A worker takes the log in where it starts, and hangs there."""
    memory, settings = InMemory(), Settings(home=tmp_path)
    log = cast("Log", memory)
    record = memory.write(asked(run_id=R) if worker == "plan" else scored(R, 0, 1.0))
    for _ in range(TWICE):
        Stumbles(settings, worker=worker).note_hung([f"{TAKEN}{key_of(record.place)}"])

    async def act() -> None:
        if worker == "plan":
            fold = Planning(log, cast("Preparing", None), Care(worker, log, settings))
            await Shards(log, settings, worker=worker, fold=fold, tells=by_planner).assigned(range(4))
        else:
            settling = Settling(log, Aggregating(limit_s=1.0), Care(worker, log, settings))
            await Shards(log, settings, worker=worker, fold=settling, tells=by_settler).assigned(range(4))

    asyncio.run(act())
    told = [one.event for (topic, _), each in memory.records.items() if topic == RUNS.name for one in each]
    assert [one.state for one in told if isinstance(one, RunChanged)] == ["rejected" if worker == "plan" else "failed"]
