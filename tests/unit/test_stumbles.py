"""Over what a process hung or was killed: whoever starts next finds it, and passes it by the third time; others are handled."""

import asyncio
import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from agents.care import Care
from agents.ending import leave
from infra.in_hand import in_hand_of, left_by_the_dead
from infra.kafka import Log, Place, Record
from infra.kafka.decoding import Decoding, Message
from infra.retrying import until_available
from infra.settings import Settings
from infra.snapshots import Snapshot
from infra.stumbles import SURE, Stumbles
from schemas.results import SampleScored
from schemas.trust import DeadLettered
from streams.errors import Unavailable
from streams.topics import DEAD_LETTERS, SCORES
from tests.in_memory import CODEC, InMemory
from tests.processes import ended
from tests.runs import run_named
from tests.unit.test_results import scored

R = run_named("r")
SNAPSHOT = Snapshot({}, b"state", "ab" * 32)


class Born:
    """A worker's process and its log: what it handled, and by which batches."""

    def __init__(self, home: Path, *, hurts: int | None = None, by: signal.Signals = signal.SIGKILL) -> None:
        self.memory = InMemory()
        self.records = [self.memory.write(scored(R, number, 1.0)) for number in range(6)]
        self.care = Care("settle", cast("Log", self.memory), Settings(home=home))
        self.hurts, self.by = hurts, by
        self.batches: list[list[int]] = []

    def _at(self, number: int) -> None:
        if number == self.hurts:
            os.kill(os.getpid(), self.by)

    async def _handle(self, records: Sequence[Record]) -> None:
        self.batches.append([record.place.offset for record in records])
        for record in records:
            self._at(record.place.offset)

    async def handled(self) -> None:
        """All records, in one batch."""
        await self.care.in_parts(self.records, self._handle)

    async def decoded(self) -> list[Record]:
        """All records, from what a consumer gives."""
        decoding = Decoding(Settings())
        decoding.codec, decoding.guard = CODEC, self.care

        async def decode(message: Message) -> Record:
            self._at(message.offset)
            return await once(message)

        once, decoding._record = decoding._record, decode  # type: ignore[method-assign]
        assert all(record.event for record in self.records)
        messages = [
            SimpleNamespace(
                topic=one.place.topic, partition=one.place.partition, offset=one.place.offset, timestamp=1, key=one.key,
                value=CODEC.encode(cast("SampleScored", one.event)),
            )
            for one in self.records
        ]  # fmt: skip
        return [record async for record in decoding.records(messages)]

    async def restored(self) -> str | None:
        """A snapshot."""
        return self.care.restored(SNAPSHOT, self._load, shard="3")

    def _load(self, state: bytes) -> str:
        self._at(0)
        return state.decode()

    @property
    def letters(self) -> list[DeadLettered]:
        """What was given up."""
        return [cast("DeadLettered", one.event) for (topic, _), each in self.memory.records.items() if topic == DEAD_LETTERS.name
                for one in each]  # fmt: skip


def lives(home: Path, work: str, hurts: int, by: signal.Signals) -> None:
    """A worker's life, until it is killed over a record."""
    asyncio.run(getattr(Born(home, hurts=hurts, by=by), work)())


def killed(home: Path, work: str, *, hurts: int, times: int, by: signal.Signals = signal.SIGSEGV) -> None:
    """A worker's processes end so often over one record: of a fault of their own, or killed by somebody."""
    for _ in range(times):
        assert ended(lives, home, work, hurts, by) == -by


def hung(home: Path) -> None:
    """A worker's life, until its thread ends it over a message that does not decode."""

    async def hangs(_message: Message) -> Record:
        assert Care("settle", cast("Log", InMemory()), Settings(home=home)).works  # whoever of the process looks
        care.hung()
        leave(0)

    async def act() -> None:
        with care.near([message, message]):
            await care.decoded(message, hangs)

    care = Born(home).care
    message = SimpleNamespace(topic=SCORES.name, partition=0, offset=3, timestamp=1, key=b"", value=b"")
    asyncio.run(act())


def left(home: Path) -> None:
    """A life that ends gently, and is killed at last."""
    with in_hand_of(home).holding(["a"]):
        in_hand_of(home).leave()
        os.kill(os.getpid(), signal.SIGKILL)


def waits(home: Path, killed_after: int) -> None:
    """A life that has something in hand, tries for a store that is away, and is killed: as it waits, or in the attempt after so many."""
    attempts = 0

    async def attempt() -> None:
        nonlocal attempts
        attempts += 1
        if attempts > killed_after:
            os.kill(os.getpid(), signal.SIGKILL)
        raise Unavailable("it is away")

    async def killed_in_time() -> None:
        await asyncio.sleep(0.05 if killed_after else 60.0)
        os.kill(os.getpid(), signal.SIGKILL)

    async def act() -> None:
        with in_hand_of(home).holding(["a"]):
            await asyncio.gather(until_available(attempt, what="a store"), killed_in_time())

    asyncio.run(act())


def test_a_record_over_which_a_process_dies_is_passed_by_the_fourth_start(tmp_path: Path) -> None:
    """The first knows only the batch; then each has its own turn, and the one at fault is found."""
    killed(tmp_path, "handled", hurts=3, times=1)
    first = Born(tmp_path)
    asyncio.run(first.handled())
    assert first.batches == [[0], [1], [2], [3], [4], [5]]
    killed(tmp_path, "handled", hurts=3, times=2)
    last = Born(tmp_path, hurts=3)
    asyncio.run(last.handled())
    assert last.batches == [[0], [1], [2], [4], [5]]
    (letter,) = last.letters
    assert (letter.offset, letter.reason_code) == (3, "quarantined")
    assert letter.message == "the processor hung, died or was killed over it again and again, and passes it now"


def test_a_record_over_which_processes_are_killed_takes_ten_to_be_passed(tmp_path: Path) -> None:
    """Nobody knows why: memory that ran out over it, or somebody who killed whatever ran."""
    killed(tmp_path, "handled", hurts=3, times=10, by=signal.SIGKILL)
    before = Born(tmp_path)
    asyncio.run(before.handled())
    assert before.letters == [] and [3] in before.batches
    killed(tmp_path, "handled", hurts=3, times=1, by=signal.SIGKILL)
    last = Born(tmp_path, hurts=3)
    asyncio.run(last.handled())
    assert [letter.offset for letter in last.letters] == [3]


def test_a_record_over_whose_decoding_a_process_dies_is_passed_by_the_fourth_start(tmp_path: Path) -> None:
    """Whoever reads it; it is handed on as one that cannot be decoded, which becomes a dead letter."""
    killed(tmp_path, "decoded", hurts=3, times=3)
    records = asyncio.run(Born(tmp_path, hurts=3).decoded())
    assert [record.place.offset for record in records if record.event] == [0, 1, 2, 4, 5]
    (passed,) = (record for record in records if record.fault)
    assert (passed.place.offset, passed.fault and passed.fault.code, passed.payload != b"") == (3, "quarantined", True)


def test_a_record_over_whose_decoding_a_process_hangs_is_passed_by_the_third_start(tmp_path: Path) -> None:
    """Its thread knows which of them it was, though no file was written for each."""
    for _ in range(2):
        assert ended(hung, tmp_path) == 0
    stumbles = Stumbles(Settings(home=tmp_path), worker="settle")
    assert stumbles.hangs(f"decoded {SCORES.name}/0/3") == 2 * SURE


def test_a_snapshot_over_whose_restoring_a_process_is_killed_is_thrown_away_by_the_second_start(tmp_path: Path) -> None:
    """Just that one: the next one is another."""
    killed(tmp_path, "restored", hurts=0, times=1)
    born = Born(tmp_path)
    assert asyncio.run(born.restored()) is None
    other = Snapshot({}, b"state", "cd" * 32)
    assert born.care.restored(other, lambda state: state, shard="3") == b"state"


@pytest.mark.parametrize("state", [b"[]", b"\xff", b"{}"])
def test_a_snapshot_that_is_no_state_is_not_used(tmp_path: Path, state: bytes) -> None:
    """Whatever it leads to."""
    found = Snapshot({}, state, "ab" * 32)
    assert Born(tmp_path).care.restored(found, lambda told: json.loads(told)["runs"], shard="3") is None


def test_workers_beside_one_another_lose_no_notes_of_each_other(tmp_path: Path) -> None:
    """Each writes its own; what counts is what all say, also to those that are there already."""
    settings, place = Settings(home=tmp_path), Place("t", 0, 7)
    one, other = (Stumbles(settings, worker="w") for _ in range(2))

    async def act() -> list[int]:
        await asyncio.gather(one.note(place), other.note(Place("t", 0, 8)))
        await other.note(place)
        return [await each.count(at) for each in (one, other) for at in (place, Place("t", 0, 8))]

    assert asyncio.run(act()) == [2, 1, 2, 1]
    assert Stumbles(settings, worker="w").hangs("t/0/8") == 1


def test_who_lives_or_was_told_to_end_leaves_nothing(tmp_path: Path) -> None:
    """A signal that kills it later is no fault of what it had in hand."""
    hands = in_hand_of(tmp_path)
    with hands.holding(["mine"]):
        assert ended(left, tmp_path) == -signal.SIGKILL
        assert left_by_the_dead(tmp_path) == []
        assert len(list(tmp_path.iterdir())) == 2
    hands.leave()
    assert list(tmp_path.iterdir()) == []


def test_who_is_killed_as_it_waits_is_not_killed_over_what_it_has_in_hand(tmp_path: Path) -> None:
    """A store may be away for long, and processes are killed then: no record is to blame."""
    assert ended(waits, tmp_path, 1) == -signal.SIGKILL
    assert left_by_the_dead(tmp_path) == []
    assert ended(waits, tmp_path, 0) == -signal.SIGKILL
    assert [list(held.keys) for left in left_by_the_dead(tmp_path) for held in left.held] == [["a"]]


def test_where_nothing_can_be_kept_work_goes_on(tmp_path: Path) -> None:
    """It costs that a process which is killed there tells nobody why."""
    (tmp_path / "file").touch()
    born = Born(tmp_path / "file")
    asyncio.run(born.handled())
    assert born.batches == [[0, 1, 2, 3, 4, 5]]
