"""An audit compared with its run by whoever reads the log, and reported under a key of their own."""

from contextlib import aclosing

from infra import seal_keys
from infra.auditing import Side, audited
from infra.exporting import check_said, found
from infra.identity import producer
from infra.kafka import Log
from infra.sealed_events import tree_of
from infra.settings import Settings
from schemas.runs import Plan, RunChanged
from schemas.trust import RunAudited, RunSealed
from streams.errors import Conflict, Invalid, NotFound
from streams.topics import RUNS


async def countersigned(log: Log, settings: Settings, audit_run: str) -> RunAudited:
    """The report, once it is in the log. Raises: NotFound, Conflict where a seal is awaited, Invalid, Permanent, Unavailable."""
    key = seal_keys.signing(seal_keys.keys_of(settings))
    if key is None or key.private is None:
        raise NotFound(f"no key in {seal_keys.folder_of(settings)} signs; `assay keys create` makes one", code="no-key")
    plan = await _plan(log, audit_run)
    if plan is None or plan.audit_of is None:
        raise Invalid(f"run {audit_run} is no audit; `assay audits` lists those that are", code="no-audit")
    run, audit = await _seal(log, settings, plan.audit_of), await _seal(log, settings, audit_run)
    said = await audited(
        log, Side(run.run_id, run.stretches), Side(audit.run_id, audit.stretches), key=key.private, seal=run.event_id,
        visibility=run.visibility, stamp=producer("cli"),
    )  # fmt: skip
    if said is None:
        raise Invalid(f"run {plan.audit_of} and audit {audit_run} have no sample that both answered", code="nothing-to-audit")
    await log.publish(said)
    return said


async def _plan(log: Log, run_id: str) -> Plan | None:
    async with aclosing(log.of_key(RUNS, run_id.encode())) as records:
        async for record in records:
            if isinstance(record.event, RunChanged) and record.event.plan:
                return record.event.plan
    return None


async def _seal(log: Log, settings: Settings, run_id: str) -> RunSealed:
    """The run's seal, of which the log says what was sealed."""
    seal = (await found(log, settings, of=run_id)).seal
    if seal is None:
        raise Conflict(f"run {run_id} is not sealed yet: what is compared is what was sealed", code="not-sealed")
    check_said(seal, await tree_of(log, run_id, seal.stretches))
    return seal
