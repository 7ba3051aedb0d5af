"""Which agents of a pool are alive, by their heartbeats: whoever plans a run asks, to say where its model goes."""

from collections.abc import Sequence
from contextlib import aclosing

from infra.identity import now_us
from infra.kafka import Log
from schemas.jobs import AgentBeat
from streams.placing.ways import Machine
from streams.queue.crew import Crew
from streams.topics import HEARTBEATS


class Hearing:
    """Reads the heartbeats of the last seconds when somebody asks. `lease_s`: how long an agent may be silent."""

    def __init__(self, log: Log, *, lease_s: float) -> None:
        self._log = log
        self._lease_us = int(lease_s * 1e6)

    async def machines(self, pool: str) -> Sequence[Machine]:
        """The agents of that pool that are alive and stay, by name."""
        since = await self._log.offsets_at([HEARTBEATS], written_us=now_us() - self._lease_us)
        crew = Crew()
        async with aclosing(self._log.follow([HEARTBEATS], since=since, until=await self._log.ends([HEARTBEATS]))) as records:
            async for record in records:
                if isinstance(beat := record.event, AgentBeat) and beat.pool == pool:
                    crew.fold(beat, at_us=1)
        return [Machine.of(beat) for beat in crew.alive(now_us=1, within_us=1) if not beat.draining]
