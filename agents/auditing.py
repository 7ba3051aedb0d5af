"""What the sealer says of audits: how one compares with its run, before it is sealed itself; and which runs the lottery has run again.

An audit's report is said before the audit's own seal: who is killed between says the same again. The lottery draws by a seal that counts,
so it asks after it, and only who wrote that seal does: who is killed in between has not asked.
"""

import asyncio

import structlog

from agents.care import Care
from infra.auditing import Side, audited
from infra.identity import producer
from infra.kafka import Log
from infra.logging import frames
from infra.retrying import until_available
from infra.seal_keys import Key
from infra.settings import Settings
from schemas.event import derive_run_id
from schemas.requests import EvaluationRequested
from schemas.runs import Plan, RunChanged
from streams.engines import is_elsewhere
from streams.topics import REQUESTS, RUNS
from streams.trust import again
from streams.trust.ledger import Ledger, Open, Result
from streams.trust.privacy import told

SERVICE = "agents.seal"
LOTTERY = "lottery"  # who asks for the audits of drawn runs
log_line = structlog.get_logger()


class Auditing:
    """The audits in hand: they are compared one after the other, beside the sealing of other runs."""

    def __init__(self, log: Log, settings: Settings, care: Care) -> None:
        self._log = log
        self._settings = settings
        self._care = care
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._turn = asyncio.Semaphore(1)

    def is_said(self, run_id: str, ledger: Ledger, key: Key) -> bool:
        """Whether all is said that comes before the run's seal; where it is not, it is begun, once the audited run is sealed."""
        run = ledger.open[run_id]
        if run.result is None or run.result.audit_of is None:
            return True
        if (audited_run := ledger.open.get(run.result.audit_of)) and (audited_run.broken or audited_run.refused):
            log_line.warning("not compared: its run cannot be sealed", run_id=run.result.audit_of, audit_run=run_id)
            return True
        if run.result.audit_of in ledger.sealed and run_id not in self._busy:
            self._busy = {one: task for one, task in self._busy.items() if one in ledger.open}  # not those that another sealer sealed
            self._busy[run_id] = asyncio.create_task(self._compare(run_id, run, run.result.audit_of, ledger, key))
        if run_id in self._busy and self._busy[run_id].done():
            del self._busy[run_id]
            return True
        return False

    def close(self) -> None:
        """Ends what is in hand: it is begun again at the next start."""
        for task in self._busy.values():
            task.cancel()

    async def _compare(self, run_id: str, run: Open, parent: str, ledger: Ledger, key: Key) -> None:
        """Says how an audit compares with its run. What cannot be compared is told, and the audit is sealed without."""
        assert key.private is not None
        private = key.private
        own, audit = Side(parent, ledger.stretches(parent)), Side(run_id, run.stretches.told())

        async def say() -> None:
            said = await audited(
                self._log, own, audit, key=private, seal=ledger.sealed[parent].seal, visibility=ledger.sealed[parent].visibility,
                stamp=producer(SERVICE),
            )  # fmt: skip
            if said:
                await self._log.publish(said)
                log_line.info("audited", run_id=parent, audit_run=run_id, equal=said.equal, samples=said.samples)

        try:
            async with self._turn:
                with self._care.at(run_id):
                    await until_available(say, what="an audit's answers")
        except Exception as error:  # noqa: BLE001  # one audit's: others go on
            log_line.error("cannot be compared", run_id=parent, audit_run=run_id, error=frames(error))

    async def draw(self, run_id: str, run: Open, seal: bytes) -> None:
        """Asks for the audit of a part of a run that the lottery draws by the signature of its seal."""
        result, share = run.result, self._settings.audit_share
        if result and result.completed and result.audit_of is None and again.is_drawn(seal, share):
            try:
                await until_available(lambda: self._ask(run_id, run, result, seal), what="a drawn run's plan")
            except Exception as error:  # noqa: BLE001  # one run's: others go on
                log_line.error("drawn, and cannot be asked for", run_id=run_id, error=frames(error))

    async def _ask(self, run_id: str, run: Open, result: Result, seal: bytes) -> None:
        plan, pool = await self._asked(run_id)
        if plan is None or not plan.tasks or is_elsewhere(plan.engine.name):  # a server elsewhere is paid for by who asks
            return
        request = again.request_of(
            run_id, plan, occurred_us=result.occurred_us, producer=producer(SERVICE), organisation_id=result.organisation_id,
            visibility=run.visibility, run_id=derive_run_id("Audit", run_id, seal.hex()), submitter=LOTTERY, pool=pool,
            audit_ratio=self._settings.audit_part,
        )  # fmt: skip
        await self._log.publish(request)
        log_line.info("drawn", run_id=run_id, audit_run=request.run_id)

    async def _asked(self, run_id: str) -> tuple[Plan | None, str]:
        """A run's plan, and the pool that it was asked for in."""
        plan, pool = None, "default"
        async for record in self._log.of_key(RUNS, run_id.encode()):
            if isinstance(record.event, RunChanged):
                plan = plan or told(record.event).plan  # what it asks again is asked as its jobs were
        async for record in self._log.of_key(REQUESTS, run_id.encode()):
            if isinstance(record.event, EvaluationRequested):
                pool = record.event.pool
                break
        return plan, pool
