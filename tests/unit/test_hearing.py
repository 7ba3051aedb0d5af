"""Whoever plans a run hears which agents of its pool are alive, and what they have."""

import asyncio
from typing import cast

from agents.hearing import Hearing
from infra.identity import now_us
from infra.kafka import Log
from schemas.jobs import Device
from tests.in_memory import InMemory
from tests.pool import beat

GIB = 2**30


def test_the_agents_of_a_pool_that_were_heard_lately_are_its_machines() -> None:
    """Not those of another pool, nor those that leave, nor who has been silent; the newest heartbeat holds."""
    log, now = InMemory(), now_us()
    device = Device(uuid="d", name="d", memory_bytes=24 * GIB)
    told = ("engine:vllm", "device:cuda")
    for seconds, one in (
        (60, beat("silent", gib=8)), (3, beat("a", gib=8)), (2, beat("a", gib=16, sequence=1, devices=(device,), capabilities=told)),
        (1, beat("leaves", gib=8, draining=True)), (1, beat("b", gib=4)), (1, beat("other", gib=8).model_copy(update={"pool": "q"})),
    ):  # fmt: skip
        log.write(one, written_us=now - seconds * 1_000_000)
    machines = asyncio.run(Hearing(cast(Log, log), lease_s=8.0).machines("default"))  # as much of a log as it needs
    assert [(one.name, one.total_bytes // GIB, one.device_bytes) for one in machines] == [("a", 16, (24 * GIB,)), ("b", 4, ())]
    assert machines[0].capabilities == frozenset(told)
