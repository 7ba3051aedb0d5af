"""Open runs: whatever is said of them is the same under any interleaving, redelivery, and snapshot; closed ones stay closed."""

import json
import math
import random
import zlib
from typing import Any, NoReturn, get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.event import Event, Visibility
from schemas.jobs import EngineUsed, JobChanged
from schemas.released import released_codec
from schemas.requests import CancellationRequested
from schemas.results import Documents, SampleScored
from schemas.runs import RunChanged
from schemas.settled import RunSettled
from schemas.trust import RunRetracted
from streams.boards import keeping
from streams.boards.books import Books
from streams.boards.ranking import Chosen, rank
from streams.errors import Invalid
from streams.money.costs import Summary
from streams.quality.ranges import LARGEST
from streams.quality.scores import TaskScores
from streams.queue.bits import pack
from streams.runs import state_of
from streams.settling import results
from streams.settling.documents import packed, unpacked
from streams.settling.dumping import PIECE, _pieces, canonical, dumped, loaded, pictured
from streams.settling.runs import OpenRuns, Run
from tests.runs import run_named
from tests.unit.test_costs import metered
from tests.unit.test_results import HEADER, STAMP, arrived, finished, interleaved, of_mean, planned, reading, scored, timed

R = run_named("r")
ANSWER, PERF = f"{R}/t/0/0", f"{R}/perf"


def report(state: str, at: int, *, attempt: int = 1, engine: str = "echo", done: int = 0, agent: str = "a") -> JobChanged:
    """An answering job's report; `done` of its samples are answered."""
    used = EngineUsed(name=engine, version="1", dtype="float32")
    return JobChanged.model_validate(HEADER | {
        "occurred_us": at, "pool": "p", "run_id": R, "job_id": ANSWER, "attempt": attempt, "agent_id": agent, "incarnation": 1,
        "state": state, "sequence": at, "done": pack(range(done)), "engine": used, "environment_sha": f"env-{engine}",
    })  # fmt: skip


def said(run: Run) -> list[Any]:
    """All that is said of a run once it is over: scores, speed and result."""
    assert run.plan is not None
    scores = {task.task: event for task in run.plan.tasks if (event := results.scored(run, task.task, aggregate=of_mean, stamp=STAMP))}
    speeds = [work() for job_id in run.speeds if (work := results.summarising(run, job_id, stamp=STAMP))]
    told = results.settled(run, scores, speeds[0] if speeds else None, through={}, stamp=STAMP)
    return [*scores.values(), *speeds, told, run.final]


def partitions(values: list[float], again: list[int]) -> list[list[Event]]:
    """Everything that a run with answers, a workload and two attempts brings, by topic."""
    scores: list[Event] = [scored(R, n, value) for n, value in enumerate(values)]
    scores += [scored(R, n, 1.0 - values[n]) for n in again]
    return [
        [planned(R, samples=len(values), perf=2), RunChanged(**HEADER, run_id=R, state="running"),
         RunChanged(**HEADER, run_id=R, state="completed"), RunChanged(**HEADER, run_id=R, state="failed")],
        scores,
        [report("loading", 10), report("failed", 20, engine="torn"), report("loading", 30, attempt=2),
         report("finished", 40, attempt=2, done=len(values)), report("finished", 41, attempt=3, engine="late"),
         finished(requests=2, token_timings=1, readings=2)],
        [timed(1, sent=1000, first=1100, ended=1300, tokens=3), timed(2, sent=1500, first=1700, ended=2000, tokens=4)],
        [arrived(1, [1100, 1200, 1300], [1, 1, 1])],
        [CancellationRequested(**HEADER, run_id=R, by="me")],
        [metered(1, 50, ANSWER), metered(2, 150, ANSWER), metered(3, 950, ANSWER, attempt=2), metered(4, 1000, ANSWER, attempt=2),
         reading(0, 0), reading(3000, 700)],
    ]  # fmt: skip


@pytest.mark.parametrize("visibility", get_args(Visibility))
def test_all_that_is_said_of_a_run_is_its_organisations_and_seen_by_who_may_see_the_run(visibility: Visibility) -> None:
    """Its plan says both; also after a snapshot, and of what it costs."""
    header, runs = {"organisation_id": "acme", "visibility": visibility}, OpenRuns()
    for event in (event for part in partitions([1.0, 0.0], []) for event in part):
        runs.fold(event.model_copy(update=header))
    *told, _ = said(loaded(dumped(runs)).run(R))
    told += [results.changed(runs.run(R), "failed", stamp=STAMP)]
    told += [results.cost(told[2], Summary("1", (), "d", 1), stamp=STAMP)]
    names = ["RunScored", "PerformanceSummarised", "RunSettled", "RunChanged", "CostSummarised"]
    assert [type(one).__name__ for one in told] == names
    assert {(one.organisation_id, one.visibility) for one in told} == {("acme", visibility)}


@given(seed=st.integers(0, 10**6), values=st.lists(st.sampled_from([0.0, 1.0, 0.5]), min_size=2, max_size=8), data=st.data())
def test_all_that_is_said_is_the_same_in_any_interleaving_and_snapshot(seed: int, values: list[float], data: st.DataObject) -> None:
    """Two attempts that differ, scores that conflict, a state that ended twice: the log decides, the same way each time."""
    parts = partitions(values, data.draw(st.lists(st.integers(0, len(values) - 1), max_size=3)))
    plain = OpenRuns()
    for event in (event for part in parts for event in part):
        plain.fold(event)
    chance, shuffled = random.Random(seed), OpenRuns()
    for event in interleaved(parts, seed=seed):
        shuffled.fold(event)
        if chance.random() < 0.1:
            shuffled = loaded(dumped(shuffled))
    assert said(shuffled.run(R)) == said(plain.run(R))
    energy = {(one.job_id, one.attempt): one.energy_uj for one in said(plain.run(R))[-2].attempts}
    assert (energy[ANSWER, 1], energy[ANSWER, 2]) == (100, 50)


def test_what_was_said_of_a_complete_run_is_said_alike_after_more_came_that_does_not_count() -> None:
    """To the last field: samples that are answered once more, later, and what another attempt measured."""
    runs, said_then = OpenRuns(), list[Any]()
    for event in (event for part in partitions([1.0, 0.0], []) for event in part):
        runs.fold(event)
    late = {"occurred_us": 10**9}
    more: list[Event] = [scored(R, n, 0.5).model_copy(update=late) for n in range(2)]
    more += [timed(1, sent=1, first=2, ended=3, tokens=3).model_copy(update=late | {"attempt": 7})]
    more += [arrived(1, [1, 2, 3], [1, 1, 1]).model_copy(update=late | {"attempt": 7})]
    for again in (None, *more):
        if again:
            runs.fold(again)
        said_then.append(said(loaded(dumped(runs)).run(R))[:2])
    assert [type(one).__name__ for one in said_then[0]] == ["RunScored", "PerformanceSummarised"]
    assert all(one == said_then[0] for one in said_then)


@given(st.integers(0, 2**32), st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=4), st.data())
def test_a_picture_of_open_runs_stays_what_it_is_while_they_go_on(seed: int, values: list[float], data: st.DataObject) -> None:
    """Its bytes are made in another thread, later: they are those of the moment at which it was taken."""
    again = data.draw(st.lists(st.integers(0, len(values) - 1), max_size=2))
    events = interleaved(partitions(values, again), seed=seed)
    cut, runs = data.draw(st.integers(0, len(events))), OpenRuns()
    for event in events[:cut]:
        runs.fold(event)
    then, picture = dumped(runs), pictured(runs)
    for event in events[cut:]:
        runs.fold(event)
    assert dumped(picture) == then


def test_a_snapshot_of_many_samples_is_written_in_pieces_and_read_back() -> None:
    """No piece is so long that other threads wait for it."""
    runs, count = OpenRuns(), 2 * PIECE + 1
    runs.fold(planned(R, samples=count))
    for number in range(count):
        runs.fold(scored(R, number, number / count))
    for number in range(3):
        runs.closed.put(run_named(number), number or None, frozenset({"1", "2"}))
    state = dumped(runs)
    assert canonical(loaded(state)) == canonical(runs)
    assert [loaded(state).closed.get(run_named(number)) for number in range(4)] == [
        (None, frozenset({"1", "2"})), (1, frozenset({"1", "2"})), (2, frozenset({"1", "2"})), None,
    ]  # fmt: skip
    assert max(map(len, _pieces(json.loads(state)))) < 40 * PIECE


def over(**more: Any) -> tuple[OpenRuns, Run]:
    """Open runs with one that is over, its report and both scores here."""
    runs = OpenRuns()
    runs.fold(planned(R, samples=2), offset=7)
    for event in (report("finished", 9, done=2), scored(R, 0, 1.0), scored(R, 1, 0.0)):
        runs.fold(event)
    runs.fold(RunChanged.model_validate(HEADER | {"run_id": R, "state": "completed"} | more))
    return runs, runs.run(R)


def test_a_run_is_final_only_when_nothing_is_awaited() -> None:
    """A running attempt may report, and an answer may be scored; a job that is given up says nothing more."""
    runs = OpenRuns()
    for event in (planned(R, samples=2), report("running", 5, done=2), RunChanged(**HEADER, run_id=R, state="cancelled")):
        runs.fold(event)
    run = runs.run(R)
    assert not run.final
    runs.fold(report("failed", 6).model_copy(update={"agent_id": "", "final": True}))
    assert not run.final  # both answers are to be scored
    runs.fold(scored(R, 0, 1.0))
    runs.fold(scored(R, 1, 1.0))
    assert run.final


def test_a_cancelled_run_whose_answers_two_scorers_share_is_final() -> None:
    """Neither has scored all three; an answer that both have scored counts once."""
    runs = OpenRuns()
    for event in (planned(R, samples=4), report("cancelled", 20, done=3), RunChanged(**HEADER, run_id=R, state="cancelled")):
        runs.fold(event)
    for ordinal, scorer, final in ((0, "1", False), (1, "1", False), (1, "2", False), (2, "2", True)):
        told = scored(R, ordinal, 1.0).model_dump(exclude={"event_id"}) | {"scorer_version": scorer}
        runs.fold(SampleScored.model_validate(told))
        assert runs.run(R).final is final


@given(
    steps=st.lists(st.sampled_from(["planned", "rejected", "running", "completed", "failed", "cancelled"]), max_size=6),
    cut=st.integers(0, 5),
)
@example(steps=["running", "planned", "running"], cut=2)
def test_a_run_is_in_the_state_that_its_log_says(steps: list[str], cut: int) -> None:
    """Of several steps to one state the first counts, allowed or not; over any snapshot."""
    runs, changes = OpenRuns(), [RunChanged.model_validate(HEADER | {"run_id": R, "state": state}) for state in steps]
    for place, change in enumerate(changes):
        runs = loaded(dumped(runs)) if place == cut else runs
        runs.fold(change)
    assert runs.run(R).state == state_of(changes)


def test_what_meters_counted_is_awaited_like_answers() -> None:
    """Readings come by another topic than an attempt's end, which says how many there are; one that comes again is none more."""
    runs = OpenRuns()
    ends = report("finished", 9, done=1).model_copy(update={"counts": {"samples": 1, "answered": 1, "readings": 3}})
    for event in (planned(R, samples=1), ends, scored(R, 0, 1.0), RunChanged(**HEADER, run_id=R, state="completed")):
        runs.fold(event)
    for read in (metered(1, 50, ANSWER), metered(2, 150, ANSWER), metered(2, 150, ANSWER)):
        runs.fold(read)
        runs = loaded(dumped(runs))
        assert not runs.run(R).final
    runs.fold(metered(3, 950, ANSWER))
    assert runs.run(R).final
    assert [one.energy_uj for one in results.settled(runs.run(R), {}, None, through={}, stamp=STAMP).attempts] == [900]


def test_a_run_that_nobody_has_begun_is_given_up_when_it_is_asked_to_stop_or_long_past_its_deadline() -> None:
    """What runs is its dispatcher's business."""
    late = 10**7 + 2
    runs = OpenRuns()
    runs.fold(planned(R, samples=1))
    run = runs.run(R)
    assert results.given_up(run, now_us=10**12, stamp=STAMP) is None
    run.deadline_us = 1
    assert results.given_up(run, now_us=late - 1, stamp=STAMP) is None
    ended = results.given_up(run, now_us=late, stamp=STAMP)
    assert ended is not None and (ended.state, ended.reason_code, ended.occurred_us) == ("cancelled", "deadline", 1)
    runs.fold(CancellationRequested(**HEADER, run_id=R, by="me"))
    asked = results.given_up(run, now_us=1, stamp=STAMP)
    assert asked is not None and (asked.reason_code, asked.message) == ("cancelled", "cancelled by me")
    runs.fold(RunChanged(**HEADER, run_id=R, state="running"))
    assert results.given_up(run, now_us=late, stamp=STAMP) is None


def test_what_comes_again_of_a_closed_run_changes_nothing() -> None:
    """Neither in this process nor in one that reads its result first."""
    runs, run = over()
    told = said(run)[-2]
    runs.close(run)
    fresh = OpenRuns()
    fresh.fold(told)
    for one in (runs, fresh, loaded(dumped(runs))):
        for event in (scored(R, 0, 0.0), report("running", 50), planned(R, samples=2), metered(1, 1, ANSWER)):
            assert one.fold(event) == frozenset()
        assert one.runs == {}


def test_another_scorer_opens_a_closed_run_again() -> None:
    """With its plan; all but its scores stands as before, and an interrupted run cannot be scored anew."""
    runs, run = over()
    told = said(run)[-2]
    assert isinstance(told, RunSettled) and told.final
    runs.close(run)
    newer = SampleScored.model_validate(scored(R, 0, 1.0).model_dump(exclude={"event_id"}) | {"scorer_version": "2"})
    assert runs.reopens(scored(R, 0, 1.0)) is None
    assert runs.reopens(newer) == 7
    again = runs.reopen(planned(R, samples=2), offset=7, before=told)
    runs.fold(newer)
    assert not again.complete
    runs.fold(newer.model_copy(update={"ordinal": 1, "event_id": "other"}))
    result = said(again)[-2]
    assert (result.attempts, result.changed_us, [task.scorer_version for task in result.tasks]) == (told.attempts, told.changed_us, ["2"])
    runs, run = over(state="failed")
    runs.close(run)
    assert runs.reopens(newer) is None


@given(st.dictionaries(st.integers(0, 2**31 - 1), st.floats(-LARGEST, LARGEST), max_size=30), st.data())
def test_documents_are_read_back_as_they_were_packed(values: dict[int, float], data: st.DataObject) -> None:
    """Values to the bit, and clusters by what they share."""
    clusters = {ordinal: data.draw(st.sampled_from([ordinal, "a", "b"])) for ordinal in values}
    found = unpacked(packed(values, clusters))
    assert dict(zip(found.ordinals.tolist(), found.values.tolist(), strict=True)) == values
    told = found.clusters or tuple(sorted(values))
    assert [a == b for a in told for b in told] == [clusters[a] == clusters[b] for a in sorted(values) for b in sorted(values)]


def test_documents_that_would_fill_the_memory_are_none() -> None:
    """A field of half a megabyte would be a gigabyte."""
    told = packed({0: 1.0}, {}).model_copy(update={"values": zlib.compress(bytes(2**27))})
    assert len(told.values) < 2**18
    with pytest.raises(Invalid, match="documents that would be over 64 MiB are none"):
        unpacked(told)


SOME = packed({0: 1.0, 1: 0.0, 2: 1.0}, {0: "a", 1: "a"})


@pytest.mark.parametrize(("told", "says"), [
    (SOME.model_copy(update={"values": packed({0: 1.0}, {}).values}), "1 values of 3 documents"),
    (SOME.model_copy(update={"values": zlib.compress(b"")}), "0 values of 3 documents"),
    (SOME.model_copy(update={"values": zlib.compress(b"123")}), "buffer size must be a multiple"),
    (SOME.model_copy(update={"values": b"no"}), "cannot be read"),
    (SOME.model_copy(update={"clusters": packed({0: 1.0, 1: 0.0}, {0: "a", 1: "a"}).clusters}), "cannot be read"),
    (SOME.model_copy(update={"clusters": zlib.compress(b"7")}), "cannot be read"),
    (SOME.model_copy(update={"ordinals": zlib.compress(b"\0" * 12)}), "not in ascending order"),
    (packed({-1: 1.0}, {}), "not in ascending order"),
    (packed({0: 1e308}, {}), r"beyond 1e\+60"),
    (packed({0: math.inf}, {}), "no number, or beyond"),
    (packed({0: math.nan}, {}), "no number, or beyond"),
])  # fmt: skip
def test_documents_that_statistics_cannot_take_in_are_refused(told: Documents, says: str) -> None:
    """A foreign producer's; they would take the whole board from everyone."""
    with pytest.raises(Invalid, match=says):
        unpacked(told)


def test_a_tasks_clusters_may_have_any_names() -> None:
    """What is no text is told as one."""
    named = SOME.model_copy(update={"clusters": zlib.compress(json.dumps([["a"], ["a"], ""]).encode())})
    assert unpacked(named).clusters == ("['a']", "['a']", 2)


def result_events(
    run: str, values: list[float], *, model: str, changed_us: int = 5, engine: str = "echo", speed: bool = False
) -> list[Event]:
    """What is said of a completed run; with a speed, where it has a workload."""
    run = run_named(run)
    runs = OpenRuns()
    runs.fold(planned(run, samples=len(values), model=model))
    for n, value in enumerate(values):
        runs.fold(scored(run, n, value))
    used = EngineUsed(name=engine, version="1", dtype="float32")
    runs.fold(JobChanged.model_validate(HEADER | {
        "pool": "p", "run_id": run, "job_id": f"{run}/t/0/0", "attempt": 1, "agent_id": "a", "incarnation": 1, "state": "finished",
        "engine": used, "environment_sha": f"env-{engine}",
    }))  # fmt: skip
    runs.fold(RunChanged.model_validate(HEADER | {"occurred_us": changed_us, "run_id": run, "state": "completed"}))
    found = runs.run(run)
    event = results.scored(found, "t", aggregate=of_mean, stamp=STAMP)
    assert event is not None
    told = results.settled(found, {"t": event}, None, through={}, stamp=STAMP)
    if speed:
        figure = {"metric": "capacity_tokens_per_s", "value": 100.0, "n": 1}
        told = RunSettled.model_validate(
            told.model_dump(exclude={"event_id"}) | {"speed": [figure], "inputs_digest": told.inputs_digest + "s"}
        )
    return [event, told]


def rows(books: Books) -> dict[str, list[tuple[str, float | None, float | None]]]:
    """Every board as it stands: run, score, tokens/s."""
    return {name: told for board in books.changed(books.boards) for name, told in rows_of(board).items()}


@given(order=st.permutations(range(10)))
def test_boards_are_the_same_in_whatever_order_results_come(order: list[int]) -> None:
    """The newest run of a model counts, wherever it is met; documents of what does not count are let go."""
    events = [
        *result_events("1", [0.0] * 4, model="a", changed_us=5), *result_events("2", [1.0] * 4, model="a", changed_us=9),
        *result_events("3", [0.5] * 4, model="b"), *result_events("4", [1.0] * 4, model="b", changed_us=4),
        *result_events("5", [0.0] * 4, model="c"),
    ]  # fmt: skip
    books = Books()
    for place in order:
        books.fold(events[place])
    assert rows(books) == {"task:t": [(run_named("2"), 1.0, None), (run_named("3"), 0.5, None), (run_named("5"), 0.0, None)]}
    assert {run for run, result in books.results.items() if result.documents} == {run_named(name) for name in ("2", "3", "5")}


def test_of_one_model_each_organisation_has_a_row_and_its_public_runs_another() -> None:
    """Nobody's newer run takes the place of what others see, or lends it a speed; runs are counted apart."""
    books, header = Books(), {"organisation_id": "acme", "visibility": "organisation"}
    told = {
        "1": ([1.0] * 4, header),
        "2": ([0.0] * 4, header | {"visibility": "public"}),
        "3": ([0.5] * 4, header | {"organisation_id": "umbra"}),
        "4": ([1.0, 1.0, 1.0, 0.0], header),
    }
    for place, (name, (values, own)) in enumerate(told.items()):
        for event in result_events(name, values, model="a", changed_us=place, speed=name == "3"):
            books.fold(event.model_copy(update=own))
    assert rows(books)["task:t"] == [(run_named("4"), 0.75, None), (run_named("3"), 0.5, 100.0), (run_named("2"), 0.0, None)]
    assert {entry.run.run_id: entry.runs for entry in books.entries("task:t")} == {run_named("4"): 2, run_named("3"): 1, run_named("2"): 1}


@pytest.mark.parametrize(("engine", "shown"), [("echo", 100.0), ("other", None)])
def test_a_row_has_the_speed_of_the_very_same_engine_and_machine(engine: str, shown: float | None) -> None:
    """Another machine's tokens/s are not this one's."""
    books = Books()
    for event in (
        *result_events("1", [1.0] * 4, model="a", changed_us=9),
        *result_events("2", [1.0] * 3, model="a", engine=engine, speed=True),
    ):
        books.fold(event)
    assert rows(books)["task:t"] == [(run_named("1"), 1.0, shown)]


def test_a_board_that_was_said_is_not_said_again() -> None:
    """Until something of it changes."""
    books = Books()
    for event in result_events("1", [1.0] * 4, model="a"):
        books.fold(event)
    (board,) = books.changed(["task:t"])
    books.said["task:t"] = board.digest
    for event in result_events("1", [1.0] * 4, model="a"):
        books.fold(event)
    assert list(books.changed(["task:t"])) == []
    for event in result_events("2", [0.0] * 4, model="b"):
        books.fold(event)
    assert [len(one.entries) for one in books.changed(["task:t"])] == [2]


def test_a_retracted_run_has_a_row_and_no_rank() -> None:
    """Whether that is said before its result or after; and the board is said anew, once."""
    retraction = RunRetracted(occurred_us=1, producer=STAMP, run_id=run_named("1"), by="me", reason="wrong prompts")
    events = [*result_events("1", [1.0] * 4, model="a"), *result_events("2", [0.0] * 4, model="b")]
    said, codec = set(), released_codec()
    for order in ([*events, retraction], [retraction, *events]):
        books = Books()
        for event in order:
            books.fold(event)
        assert "task:t" in books.touched
        (board,) = books.changed(["task:t"])
        assert [(row.run_id, row.rank, row.score) for row in rank(board).rows] == [(run_named("2"), 1, 0.0), (run_named("1"), None, None)]
        said.add(board.digest)
        books.said["task:t"] = board.digest
        books.fold(retraction.model_copy(update={"reason": "again"}))
        assert list(books.changed(["task:t"])) == []
        again = keeping.loaded(keeping.telling(books, codec)(), codec)
        assert list(again.changed(["task:t"])) == []
        again.said.clear()
        assert rows(again) == rows_of(board)
    assert len(said) == 1
    both = Books()
    for event in [*events, retraction, retraction.model_copy(update={"run_id": run_named("2"), "event_id": "other"})]:
        both.fold(event)
    assert [(row.rank, row.score) for board in both.changed(["task:t"]) for row in rank(board).rows] == [(None, None)] * 2


def rows_of(board: Chosen) -> dict[str, list[tuple[str, float | None, float | None]]]:
    """One board as it stands."""
    return {board.name: [(row.run_id, row.score, row.output_tokens_per_s) for row in rank(board).rows]}


class Whole(dict[tuple[str, str], TaskScores]):
    """Scores that nobody walks through."""

    def items(self) -> NoReturn:
        """Never."""
        raise AssertionError("all tasks were looked through for one")

    def __iter__(self) -> NoReturn:
        self.items()


def test_a_task_is_looked_up_by_its_name() -> None:
    """A run may have thousands, each of which is asked about at every batch, on the loop of everybody's."""
    runs, names = OpenRuns(), [f"t{n}" for n in range(30)]
    for event in (planned(R, samples=1, tasks=tuple(names)), *(scored(R, 0, 1.0, task=name) for name in names)):
        runs.fold(event)
    for run in (runs.run(R), loaded(dumped(runs)).run(R)):
        run.scores = Whole(run.scores)
        assert run.complete and [run.complete_scores(name) is not None for name in names] == [True] * 30
        assert [results.stopped(run, name, stamp=STAMP) for name in names] == [None] * 30
