"""What a listener of the live stream gets: whole events, each once however often it is cut, with a cursor of what it asked for."""

import asyncio
import json
from contextlib import aclosing
from dataclasses import replace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.identity import producer
from infra.kafka import Ends, Log, Place, Record
from infra.partitioning import partition_for
from query_api.live import Heard, Live, Notice, Waiting, _all_that_waits
from query_api.operations.problems import Malformed
from query_api.positions import Position, position_of
from query_api.wanted import BY_NAME, TOPICS, Wanted, wanted
from schemas.event import Event
from schemas.requests import EvaluationRequested, ModelRef
from schemas.results import RunScored
from schemas.runs import RunChanged
from streams.topics import DEAD_LETTERS, RUN_SCORES, RUNS, Topic
from streams.trust.visibility import Seen
from tests.in_memory import InMemory
from tests.runs import run_named

R = run_named("r")

ONE = EvaluationRequested(occurred_us=1, producer=producer("test"), run_id=R, model=ModelRef(uri='a "quoted"\nline'))
RECORD = Record(Place("assay.requests.v1", 0, 4), b"", b"", 7, ONE)
ALL = wanted([], run_id=None, board=None, seen=Seen())
RUN_IDS = tuple(map(run_named, (1, 2, 3)))
ONE_RUN, TWO = RUN_IDS[:2]
Steps = list[tuple[list[tuple[Topic, str]], int]]  # what is written, and after how many events the connection is cut


def standing(**ahead: int) -> Position:
    """Before the record, everywhere else at the beginning."""
    places = {(topic.name, partition): 0 for topic in TOPICS for partition in range(4)}
    return Position(places | {("assay.requests.v1", 0): 4} | {(BY_NAME[name].name, 1): offset for name, offset in ahead.items()}, 5)


def test_an_event_is_one_frame_with_the_cursor_behind_it() -> None:
    """Its data is one line of JSON, whatever the event holds."""
    name, kind, data, *rest = Heard(RECORD).told(ALL, standing()).decode().split("\r\n")
    assert position_of(name.removeprefix("id: "), topics=BY_NAME) == Position(standing().next | {("assay.requests.v1", 0): 5}, 7)
    assert (kind, rest, json.loads(data.removeprefix("data: "))["run_id"]) == ("event: EvaluationRequested", ["", ""], R)


def test_listeners_that_have_come_equally_far_share_what_is_told() -> None:
    """It is made once; one that is ahead of the follower keeps a cursor of its own, else it would get again what it had."""
    heard, ahead = Heard(RECORD), standing(runs=9)
    assert heard.told(ALL, standing()) is heard.told(ALL, standing())
    assert heard.told(ALL, ahead).decode().startswith(f"id: {ahead.cursor()}\r\n")


def test_what_a_listener_had_or_does_not_want_is_not_told_and_passed_all_the_same() -> None:
    """Its position moves past what others want."""
    position = standing()
    assert Heard(RECORD).told(wanted([], run_id="another", board=None, seen=Seen()), position) == b""
    assert position.next["assay.requests.v1", 0] == 5
    assert Heard(RECORD).told(ALL, position) == b""


def test_what_a_listener_may_not_see_is_passed_and_not_told() -> None:
    """Who may see all is told the same record; of what two are told of a board, each has its own."""
    theirs, position = wanted([], run_id=None, board=None, seen=Seen("theirs")), standing()
    heard = Heard(RECORD)
    assert (heard.told(theirs, position), position.next["assay.requests.v1", 0]) == (b"", 5)
    assert heard.told(ALL, standing()) != b""
    public = Heard(replace(RECORD, event=ONE.model_copy(update={"visibility": "public"})))
    assert public.told(theirs, standing()) == public.told(ALL, standing())


def test_what_waits_is_taken_at_once_and_a_cut_off_listener_gets_the_rest_first() -> None:
    """Then it ends; while nothing waits it is asked again in time."""

    async def act() -> list[int | None]:
        queue: Waiting = asyncio.Queue()
        taken = [await _all_that_waits(queue, within_s=0)]
        for told in (Heard(RECORD), Notice("away", since_us=1), None):
            queue.put_nowait(told)
        taken += [await _all_that_waits(queue, within_s=None) for _ in range(2)]
        return [None if waiting is None else len(waiting) for waiting in taken]

    assert asyncio.run(act()) == [0, 2, None]


@pytest.mark.parametrize(
    "cursor", ["none", "2.", "2.1.runs", "2.1.runs-0", "2.1.runs-0_x", "2.1.runs-0_1.", "1.1", "eJxjYBgFo2AUjAIQAAAEgAAB"]
)
def test_what_is_no_cursor_is_refused_with_what_to_do(cursor: str) -> None:
    """Cursors of an older form among them."""
    with pytest.raises(Malformed, match="no cursor of this stream, or one of an older release; leave it out to begin now"):
        position_of(cursor, topics=BY_NAME)


@given(st.dictionaries(st.tuples(st.sampled_from([topic.name for topic in TOPICS]), st.integers(0, 99)), st.integers(0, 2**56)))
def test_a_cursor_says_what_it_was_made_of_in_letters_that_may_stand_in_an_address(ends: Ends) -> None:
    """And nothing of topics that are no longer told."""
    cursor = Position(ends, 12).cursor()
    assert position_of(cursor, topics=BY_NAME) == Position(ends, 12)
    assert cursor.replace(".", "").replace("-", "").replace("_", "").isalnum()
    assert position_of(cursor, topics={}) == Position({}, 12)


def test_one_run_is_looked_for_in_its_own_partition_and_only_in_topics_that_tell_of_runs() -> None:
    """But what clients write may lie in any."""
    ends = standing().next
    places = list(wanted(["runs", "rankings", "dead_letters", "requests"], run_id=R, board=None, seen=Seen()).places(ends))
    assert places == [*(("assay.requests.v1", n) for n in range(4)), (RUNS.name, partition_for(R.encode(), 4))]
    assert list(wanted(["runs", "rankings"], run_id=None, board="b", seen=Seen()).places(ends)) == [
        ("assay.rankings.v1", partition_for(b"b", 4))
    ]
    assert set(ALL.places(ends)) == set(ends)


def changed(topic: Topic, run_id: str, *, number: int) -> Event:
    """An event of the topic about the run."""
    if topic is RUNS:
        return RunChanged(occurred_us=number, producer=producer("test"), run_id=run_id, state="running")
    return RunScored(occurred_us=number, producer=producer("test"), run_id=run_id, task="t", scorer_version="1", complete=False,
                     scored=number, expected=1, inputs_digest=str(number), figures=())  # fmt: skip


async def heard(live: Live, wish: Wanted, *, cursor: str | None, at_most: int) -> list[tuple[str, str, dict[str, object]]]:
    """The first so many (kind, cursor, data) of a connection, which is cut then."""
    got: list[tuple[str, str, dict[str, object]]] = []
    async with aclosing(live.listen(wish, cursor=cursor)) as frames:
        async for frame in frames:
            for one in frame.decode().split("\r\n\r\n")[:-1]:
                name, kind, data = (line.split(": ", 1)[1] for line in one.split("\r\n"))
                got.append((kind, name, json.loads(data)))
                if len(got) == at_most:
                    return got
    raise AssertionError("the stream ended")


async def following(log: InMemory, *, cursor_every_s: float = 3600.0) -> tuple[Live, asyncio.Task[None]]:
    """A follower at work."""
    live = Live(cast("Log", log), cursor_every_s=cursor_every_s)  # as much of a log as it needs
    task = asyncio.create_task(live.follow())
    await live.ready.wait()
    return live, task


WRITTEN = st.lists(st.tuples(st.sampled_from([RUNS, RUN_SCORES]), st.sampled_from(RUN_IDS)), max_size=12)


@given(steps=st.lists(st.tuples(WRITTEN, st.integers(0, 9)), min_size=1, max_size=6), run_id=st.none() | st.sampled_from(RUN_IDS))
def test_wherever_a_stream_is_cut_nothing_is_missed_and_nothing_comes_twice(steps: Steps, run_id: str | None) -> None:
    """Whatever else is written meanwhile; and only places that were asked for are read again."""
    wish = wanted(["runs", "run_scores"], run_id=run_id, board=None, seen=Seen())

    async def act() -> None:
        log = InMemory()
        live, task = await following(log)
        ((_, cursor, _),) = await heard(live, wish, cursor=None, at_most=1)
        expected, got = list[Record](), list[object]()
        for events, cut in [*steps, ([], 10_000), ([(RUNS, run_id or ONE_RUN)], 1)]:
            written = [log.write(changed(topic, own, number=log.count())) for topic, own in events]
            expected += [record for record in written if wish.takes(record)]
            await asyncio.sleep(0)  # the follower may be behind
            told = await heard(live, wish, cursor=cursor, at_most=1 + min(cut, len(expected) - len(got)))
            got += [data["occurred_us"] for _, _, data in told[1:]]
            cursor = told[-1][1]
        task.cancel()
        assert sorted(map(str, got)) == sorted(str(record.event.occurred_us) for record in expected if record.event)
        assert all(set(read) <= set(wish.places(standing().next)) for read in log.ends_read)

    asyncio.run(act())


def test_a_listener_is_told_how_far_it_has_come_while_nothing_is_for_it() -> None:
    """So that whoever comes back to a quiet stream reads nothing again."""

    async def act() -> None:
        log = InMemory()
        live, task = await following(log, cursor_every_s=0.01)
        wish = wanted(["runs"], run_id=ONE_RUN, board=None, seen=Seen())
        ((_, cursor, _),) = await heard(live, wish, cursor=None, at_most=1)
        listening = asyncio.create_task(heard(live, wish, cursor=cursor, at_most=2))
        await asyncio.sleep(0)
        other = next(name for name in map(run_named, range(99)) if partition_for(name.encode(), 4) == partition_for(ONE_RUN.encode(), 4))
        for number in range(5):
            log.write(changed(RUNS, other, number=number))
        _, (kind, moved, data) = await listening
        assert (kind, data, position_of(moved, topics=BY_NAME).next) == ("cursor", {}, {(RUNS.name, partition_for(ONE_RUN.encode(), 4)): 5})
        await heard(live, wish, cursor=moved, at_most=1)
        assert log.ends_read == []
        task.cancel()

    asyncio.run(act())


def test_a_cursor_beyond_the_logs_end_is_told_so_and_goes_on_from_there() -> None:
    """The log was made anew, or never was so long; waiting until it is would tell nothing for as long."""

    async def act() -> None:
        log = InMemory()
        live, task = await following(log)
        log.write(changed(RUNS, ONE_RUN, number=1))
        wish, place = wanted(["runs"], run_id=ONE_RUN, board=None, seen=Seen()), (RUNS.name, partition_for(ONE_RUN.encode(), 4))
        beyond = Position({place: 10**17}, 10**17).cursor()
        listening = asyncio.create_task(heard(live, wish, cursor=beyond, at_most=3))
        await asyncio.sleep(0.01)
        log.write(changed(RUNS, ONE_RUN, number=2))
        stand, reset, event = await asyncio.wait_for(listening, 300)
        assert [kind for kind, *_ in (stand, reset, event)] == ["cursor", "reset", "RunChanged"]
        assert position_of(stand[1], topics=BY_NAME).next == {place: 1} and event[2]["occurred_us"] == 2
        task.cancel()

    asyncio.run(act())


def test_a_cursor_that_is_only_ahead_of_the_follower_is_none_beyond_the_end() -> None:
    """Another process of the API told it."""

    async def act() -> None:
        log, runs = InMemory(), wanted(["runs"], run_id=ONE_RUN, board=None, seen=Seen())
        live, task = await following(log)
        task.cancel()  # it hears nothing more
        log.write(changed(RUNS, ONE_RUN, number=1))
        place = (RUNS.name, partition_for(ONE_RUN.encode(), 4))
        position = await live._resumed(Position({place: 1}, 0), {place: 0})
        assert position.next == {place: 1}
        ((kind, cursor, _),) = await heard(live, runs, cursor=position.cursor(), at_most=1)
        assert (kind, position_of(cursor, topics=BY_NAME).next) == ("cursor", {place: 1})

    asyncio.run(act())


def test_a_topic_that_the_cursor_lacks_begins_at_the_cursors_time() -> None:
    """As one that was added since, or was not asked for: neither makes the cursor invalid."""

    async def act() -> None:
        log = InMemory()
        live, task = await following(log)
        log.write(changed(RUN_SCORES, ONE_RUN, number=1))
        only_runs = wanted(["runs"], run_id=None, board=None, seen=Seen())
        begun = Position({(RUNS.name, n): 0 for n in range(4)}, 0).cursor()
        log.write(changed(RUNS, ONE_RUN, number=1))
        cursor = (await heard(live, only_runs, cursor=begun, at_most=2))[-1][1]
        later = [log.write(changed(RUN_SCORES, TWO, number=2)), log.write(changed(RUNS, TWO, number=2))]
        told = await heard(live, wanted(["runs", "run_scores"], run_id=None, board=None, seen=Seen()), cursor=cursor, at_most=3)
        task.cancel()
        assert {data["event_id"] for _, _, data in told[1:]} == {record.event.event_id for record in later if record.event}

    asyncio.run(act())


def test_dead_letters_are_told_to_whoever_asks_for_everything() -> None:
    """A topic without runs has no events of one."""
    assert DEAD_LETTERS in ALL.topics
    assert not list(wanted(["dead_letters"], run_id=R, board=None, seen=Seen()).places(standing().next))
