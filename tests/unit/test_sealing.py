"""The sealer: what breaks over one run is told, and the others are sealed."""

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from agents.ending import CRASHED
from agents.seal import Sealer
from infra.kafka import Log
from infra.sealed_events import tree_of
from infra.settings import Settings
from infra.snapshots import Snapshots
from schemas.runs import RunChanged
from schemas.settled import RunSettled
from schemas.trust import DeadLettered, RunSealed
from streams.topics import DEAD_LETTERS, RESULTS, SEALS, Topic
from streams.trust.ledger import VERSION
from tests.in_memory import InMemory
from tests.pool import STAMP
from tests.processes import ended
from tests.runs import run_named
from tests.unit.test_results import planned

HEADER: dict[str, Any] = {"occurred_us": 1, "producer": STAMP}
RUNS_OF_TEST = [run_named(number) for number in (1, 2, 3)]


def told(memory: InMemory, run_id: str, **more: Any) -> None:
    """A run's plan and end, and its result; `more`: fields of the result that no decoder would let through."""
    memory.write(planned(run_id, samples=1))
    memory.write(RunChanged(**HEADER, run_id=run_id, state="completed"))
    result = RunSettled(**HEADER, run_id=run_id, state="completed", final=True, inputs_digest="d", changed_us=1)
    memory.write(result.model_copy(update=more))


def said(memory: InMemory, topic: Topic) -> list[Any]:
    """The events of a topic."""
    return [record.event for (name, _), records in memory.records.items() if name == topic.name for record in records]


def turned(memory: InMemory, home: Path, *, times: int = 3) -> Sealer:
    """A sealer that has swept so often."""
    sealer = Sealer(cast("Log", memory), Settings(home=home))

    async def act() -> None:
        await sealer.start()
        for _ in range(times):
            await sealer.turn()
        await sealer.save()

    asyncio.run(act())
    return sealer


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ({"tasks": None}, "its run is not sealed, for this breaks what follows it: TypeError by "),  # no ledger can take it in
        ({"engine": "none"}, "its run cannot be sealed: "),  # it cannot be encoded, hence not be hashed
    ],
)
def test_a_run_over_which_sealing_breaks_is_a_dead_letter_and_the_others_are_sealed(
    tmp_path: Path, fault: dict[str, Any], why: str
) -> None:
    """Once: who starts at the snapshot knows of it. It holds up nobody."""
    memory = InMemory()
    for run_id, more in zip(RUNS_OF_TEST, ({}, fault, {}), strict=True):
        told(memory, run_id, **more)
    turned(memory, tmp_path)
    turned(memory, tmp_path)
    assert [one.run_id for one in said(memory, SEALS) if isinstance(one, RunSealed)] == [RUNS_OF_TEST[0], RUNS_OF_TEST[2]]
    (letter,) = said(memory, DEAD_LETTERS)
    assert isinstance(letter, DeadLettered)
    assert (letter.topic, letter.reason_code) == (RESULTS.name, "cannot-seal")
    assert letter.message.startswith(why)
    assert memory.records[letter.topic, letter.partition][letter.offset].key == RUNS_OF_TEST[1].encode()


def test_a_seal_over_which_following_breaks_does_not_count(tmp_path: Path) -> None:
    """The next ones do."""
    memory = InMemory()
    told(memory, RUNS_OF_TEST[0])
    turned(memory, tmp_path)
    (first,) = said(memory, SEALS)
    memory.write(first.model_copy(update={"stretches": None, "run_id": RUNS_OF_TEST[1]}))
    told(memory, RUNS_OF_TEST[2])
    turned(memory, tmp_path)
    assert [one.run_id for one in said(memory, SEALS)] == [RUNS_OF_TEST[0], RUNS_OF_TEST[1], RUNS_OF_TEST[2]]
    assert said(memory, SEALS)[2].position == first.position + 1


@pytest.mark.parametrize("state", [b"[]", b'{"sealed": 0, "open": []}', b'{"sealed": 0, "open": {"r": {}}}', b"{}", b"no JSON"])
def test_a_snapshot_that_is_no_state_is_swept_anew(tmp_path: Path, state: bytes) -> None:
    """Whatever it leads to."""
    memory = InMemory()
    told(memory, RUNS_OF_TEST[0])
    snapshots = Snapshots(cast("Log", memory), Settings(home=tmp_path), processor="seal", version=VERSION)
    asyncio.run(snapshots.save("all", {(RESULTS.name, partition): 10 for partition in range(4)}, state))
    turned(memory, tmp_path)
    assert [one.run_id for one in said(memory, SEALS)] == [RUNS_OF_TEST[0]]


async def hanging(log: Log, run_id: str, stretches: Any) -> Any:
    """Never comes to an end over one run."""
    while run_id == RUNS_OF_TEST[1]:
        pass
    return await tree_of(log, run_id, stretches)


async def sealed(home: Path, hang_s: float = 0.5) -> InMemory:
    """The log of a sealer, after two turns over three runs."""
    memory = InMemory()
    for run_id in RUNS_OF_TEST:
        told(memory, run_id)
    sealer = Sealer(cast("Log", memory), Settings(home=home, hang_s=hang_s))
    await sealer.start()
    for _ in range(2):
        await sealer.turn()
    return memory


def test_a_run_over_whose_seal_sealers_hang_is_a_dead_letter_by_the_third_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop stands still in it; the others are sealed."""
    assert [ended(sealed, tmp_path, planted={"agents.seal.tree_of": hanging}) for _ in range(2)] == [CRASHED, CRASHED]
    monkeypatch.setattr("agents.seal.tree_of", hanging)
    memory = asyncio.run(sealed(tmp_path, 60.0))  # in pytest's own process, which must not end where the machine stands still
    assert [one.run_id for one in said(memory, SEALS)] == [RUNS_OF_TEST[0], RUNS_OF_TEST[2]]
    (letter,) = said(memory, DEAD_LETTERS)
    assert letter.reason_code == "cannot-seal" and "the processor hung, died or was killed over it" in letter.message
