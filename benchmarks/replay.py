"""Replaying: events a second that `assay replay --verify` reads, projects anew and compares.

    python -m benchmarks.replay [--events N] [--rounds N]

Writes results/replay.json.
"""

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

from benchmarks.harness import median, show, write
from benchmarks.projector import fill
from infra.kafka import Log
from infra.replay import verify
from infra.retrying import until_available
from infra.settings import Settings
from streams.topics import SCORES, TOKEN_TIMINGS
from tests.conftest import end, spawn, stack_in

PATIENCE_S = 180.0


async def until_projected(settings: Settings) -> None:
    """Returns when the projector has committed all that the log holds."""
    async with Log(settings, client_id="benchmark") as log, asyncio.timeout(PATIENCE_S):
        ends = await log.ends((SCORES, TOKEN_TIMINGS))
        written = {place: end for place, end in ends.items() if end}
        while await until_available(lambda: log.committed("assay-project", list(written)), what="projector") != written:  # noqa: ASYNC110
            await asyncio.sleep(0.2)


async def measure(settings: Settings, events: int) -> dict[str, float]:
    """One replay of everything. Raises: AssertionError where it finds a difference."""
    wall, cpu = time.perf_counter(), time.process_time()
    verdict = await verify(settings, run_id=None, told=lambda _text: None)
    assert verdict.equal, verdict.difference
    return {"events_per_s": events / (time.perf_counter() - wall), "cpu_s_per_million": (time.process_time() - cpu) / events * 1e6}


def main() -> None:
    """Measures, writes and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, stack_in(Path(folder)) as settings:
        projector = spawn("agents", "project", settings=settings)
        try:
            asyncio.run(fill(settings, given.events))
            asyncio.run(until_projected(settings))
            rounds = [asyncio.run(measure(settings, given.events)) for _ in range(given.rounds)]
        finally:
            end(projector)
    told = {name: median([one[name] for one in rounds]) for name in rounds[0]}
    write("replay", {"events": given.events, "rounds": given.rounds, "measured": told})
    show(f"Replay with --verify, {given.events:,} events, median of {given.rounds}", [told])


if __name__ == "__main__":
    main()
