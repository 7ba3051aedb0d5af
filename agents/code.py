"""Scores answers that are programs, by running them in the sandbox: agents/score.py with a pool, and a place in the log, of its own.

So programs that loop until they are stopped hold up no other scores. Batches are small: what has been run is in the log before long, and a
kill in the middle repeats little. A repeated event has the same id, and of several the first counts.
"""

from agents.app import consume
from agents.score import Scorer, missed
from infra.kafka import Log
from infra.settings import Settings
from streams.topics import ANSWERS, RUNS

BATCH_EVENTS = 64


async def main(settings: Settings) -> None:
    """Scores until SIGTERM. The scoring processes start with the first program, for most runs have none."""
    async with Log(settings, client_id="agents.code") as log:
        scorer = Scorer(log, processes=settings.code_processes, code=True, at_once=settings.code_processes)
        small = settings.model_copy(update={"batch_events": min(BATCH_EVENTS, settings.batch_events)})
        try:
            await consume("code", (ANSWERS, RUNS), scorer.handle, log=log, settings=small, tells=missed)
        finally:
            scorer.close()
