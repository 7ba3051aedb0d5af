"""Says what runs cost, under every version of the price book: the shell of streams/money/spending.py and streams/money/costs.py.

One process only: a price concerns every run. Its state is in memory, and is folded from the log anew at every start.
"""

import time
from collections.abc import Sequence
from contextlib import suppress

import structlog

from agents.app import consume
from infra.identity import producer
from infra.kafka import Log, Record
from infra.retrying import until_available
from infra.settings import Settings
from schemas.results import CostSummarised
from streams.errors import Invalid
from streams.money.costs import FORMULA_VERSION, summaries
from streams.money.spending import Ledger, Spending
from streams.topics import COSTS, ENVIRONMENTS, JOB_STATUS, JOBS_PLANNED, PERFORMANCE, PRICES, RESOURCES, RUN_SCORES, RUNS, TOPICS

INPUTS = (PRICES, ENVIRONMENTS, RUNS, JOBS_PLANNED, JOB_STATUS, RESOURCES, RUN_SCORES, PERFORMANCE)
RUNS_AT_ONCE = 20  # between them the event loop has its turn
log_line = structlog.get_logger()


class Accountant:
    """What all runs have used, and what has been said of it. `_open`: runs of which something new may have to be said."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._ledger = Ledger()
        self._said: set[str] = set()
        self._open: set[str] = set()

    async def rebuild(self) -> None:
        """Folds the log's past, then says what an earlier process had no time to say."""
        started, events = time.perf_counter(), 0
        async for record in self._log.read((*INPUTS, COSTS)):
            events += 1
            if isinstance(record.event, CostSummarised):
                self._said.add(record.event.event_id)
            elif record.event:
                with suppress(Invalid):  # a price that cannot be: when it came it was dead-lettered
                    self._open |= self._ledger.fold(record.event)
        await self._say()
        log_line.info("rebuilt", events=events, runs=len(self._ledger.runs), took_s=round(time.perf_counter() - started, 3))

    async def handle(self, records: Sequence[Record]) -> None:
        """Folds a batch, and says what has become known or has another price with it. Raises: Invalid for a price that cannot be."""
        for record in records:
            if record.event:
                self._open |= self._ledger.fold(record.event)
        await self._say()

    async def _say(self) -> None:
        while self._open:
            chosen = sorted(self._open)[:RUNS_AT_ONCE]
            events = [event for run_id in chosen for event in self._summarised(self._ledger.run(run_id))]
            new = [event for event in events if event.event_id not in self._said]
            await self._log.publish_all(new)
            self._said |= {event.event_id for event in new}
            self._open -= set(chosen)

    def _summarised(self, run: Spending) -> list[CostSummarised]:
        return [
            CostSummarised(
                occurred_us=summary.latest_us, producer=producer("agents.cost"), organisation_id=run.organisation_id, run_id=run.run_id,
                formula_version=FORMULA_VERSION, price_version=summary.price_version, complete=True, inputs_digest=summary.digest,
                figures=summary.figures,
            )
            for summary in summaries(run, self._ledger)
        ]  # fmt: skip


async def main(settings: Settings) -> None:
    """Reckons until SIGTERM."""
    async with Log(settings, client_id="agents.cost") as log:
        await until_available(lambda: log.create_topics(TOPICS), what="topics")
        accountant = Accountant(log)
        await accountant.rebuild()
        await consume("cost", INPUTS, accountant.handle, log=log, settings=settings)
