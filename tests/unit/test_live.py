"""What a listener of the live stream gets: whole events, made once for all who have come equally far, with a cursor of its own else."""

import asyncio
import json

from infra.identity import producer
from infra.kafka import Place, Record
from query_api.live import PLACES, Heard, Notice, Waiting, _all_that_waits, cursor_of, ends_of, wanted
from schemas.requests import CancellationRequested
from tests.runs import run_named

R = run_named("r")

ONE = CancellationRequested(occurred_us=1, producer=producer("test"), run_id=R, by='a "quoted"\nline')
RECORD = Record(Place("assay.runs.v1", 0, 4), b"", b"", 1, ONE)
BEFORE = dict.fromkeys(PLACES, 0) | {("assay.runs.v1", 0): 4}
ENDS = BEFORE | {("assay.runs.v1", 0): 5}
ALL = wanted([], run_id=None, board=None)


def test_an_event_is_one_frame_with_the_cursor_behind_it() -> None:
    """Its data is one line of JSON, whatever the event holds."""
    name, kind, data, *rest = Heard(RECORD, ENDS).told(ALL, dict(BEFORE)).decode().split("\r\n")
    assert (ends_of(name.removeprefix("id: ")), kind, rest) == (ENDS, "event: CancellationRequested", ["", ""])
    assert json.loads(data.removeprefix("data: "))["by"] == ONE.by


def test_listeners_that_have_come_equally_far_share_what_is_told() -> None:
    """It is made once."""
    heard = Heard(RECORD, ENDS)
    assert heard.told(ALL, dict(BEFORE)) is heard.told(ALL, dict(BEFORE))


def test_a_listener_ahead_of_the_follower_keeps_its_own_cursor() -> None:
    """Else it would get again what it had."""
    ahead = BEFORE | {("assay.requests.v1", 2): 9}
    told = Heard(RECORD, ENDS).told(ALL, ahead).decode()
    assert told.startswith(f"id: {cursor_of(ENDS | ahead | {('assay.runs.v1', 0): 5})}\r\n")


def test_what_a_listener_had_or_does_not_want_is_not_told_and_passed_all_the_same() -> None:
    """Its position moves past what others want."""
    position, other = dict(BEFORE), wanted([], run_id="another", board=None)
    assert (Heard(RECORD, ENDS).told(other, position), position) == (b"", ENDS)
    assert Heard(RECORD, ENDS).told(ALL, position) == b""


def test_what_waits_is_taken_at_once_and_a_cut_off_listener_gets_the_rest_first() -> None:
    """Then nothing."""

    async def act() -> list[int]:
        queue: Waiting = asyncio.Queue()
        for told in (Heard(RECORD, ENDS), Notice("away", 1), None):
            queue.put_nowait(told)
        return [len(await _all_that_waits(queue)) for _ in range(2)]

    assert asyncio.run(act()) == [2, 0]
