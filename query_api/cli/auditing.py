"""Audits on the command line: having a run run again, looking at what came of it, and reporting the same under a key of one's own."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from infra.settings import Settings
from query_api.cli import showing
from query_api.cli.client import Client
from query_api.cli.completing import run_ids
from query_api.cli.following import followed
from query_api.cli.options import ME, AsJson, RunId, Submitter
from query_api.drawing.auditing import headline, marks, percent
from query_api.drawing.charts import number
from streams.errors import Invalid

SHOWN = 12


def audit(
    run_id: RunId,
    share: Annotated[float | None, typer.Option(help="only this share of its documents, drawn by the seal of the run: 0.1")] = None,
    pool: Annotated[str | None, typer.Option(help="the pool that runs it; the run's own, where none is named")] = None,
    priority: Annotated[int, typer.Option(help="higher goes first")] = 0,
    submitter: Submitter = None,
    wait: Annotated[bool, typer.Option("--wait", "--watch", help="follow the audit to its end, and show what differs")] = False,
    as_json: AsJson = False,
) -> None:
    """Runs a run again with everything pinned, and compares both, sample by sample.

    The audit is a run of its own, which stands on no board. Its model must be where the run had it, with the same files; its prompts are
    those of the log.

    Examples: `assay audit RUN_ID --wait` · `assay audit RUN_ID --share 0.1 --watch --json`
    """
    client = Client(Settings())
    body = {"submitter": submitter or ME, "share": share, "pool": pool, "priority": priority}
    asked = client.post(f"/v1/runs/{run_id}/audits", body)
    if not wait:
        own = asked["run_id"]
        showing.document(asked) if as_json else showing.say(f"{own}\nfollow it: assay run {own} · what came of it: assay audits {own}")
        return
    told = followed(client, asked["run_id"], quiet=as_json)
    if told["state"] in ("rejected", "cancelled"):
        raise Invalid(f"audit {told['run_id']} is {told['state']}: {told.get('message') or 'no reason given'}", code="audit")
    if not as_json:
        showing.remark(
            f"both are compared once both are sealed; Ctrl-C leaves it, and `assay audits {told['run_id']}` shows what came of it"
        )
    found = _reported(client, asked["run_id"])
    report = next(iter(found["reports"]), None)
    if report is None:
        raise Invalid(f"audit {found['run_id']} is {found['state']}, and no sample of it could be compared", code="audit")
    showing.document(report | {name: found[name] for name in ("run_id", "audit_of", "state", "share")}) if as_json else _shown(found)


def _reported(client: Client, audit_run: str) -> dict[str, Any]:
    """The audit, once what came of it is reported, or it is sealed without a report."""
    while True:
        sealed = client.get(f"/v1/runs/{audit_run}")["seal"] is not None
        found: dict[str, Any] = client.get("/v1/audits", run_id=audit_run)["audits"][0]
        if found["reports"] or sealed:
            return found
        time.sleep(showing.POLL_S)


def audits(
    run_id: Annotated[str | None, typer.Argument(help="a run, or an audit (default: all)", autocompletion=run_ids)] = None,
    as_json: AsJson = False,
) -> None:
    """Lists audits, the newest first: of one run, or of all; of one run with all that differs.

    Examples: `assay audits` · `assay audits RUN_ID` · `assay audits --json`
    """
    found = Client(Settings()).whole("/v1/audits", "audits", run_id=run_id)
    if as_json:
        showing.document(found)
    elif not found["audits"]:
        showing.say("no audit yet: `assay audit RUN_ID` runs a run again")
    elif run_id is None:
        rows = [_row(one, report) for one in found["audits"] for report in one["reports"] or [None]]
        showing.table(["run", "audit of", "model", "state", ">share", ">equal", ">samples", ">of these", "by"], rows)
    else:
        for one in found["audits"]:
            _shown(one)


def _row(one: Mapping[str, Any], report: Mapping[str, Any] | None) -> tuple[Any, ...]:
    share = None if one["share"] == 1 else number(one["share"])
    told = (one["run_id"], one["audit_of"], showing.short(one["model"]), one["state"], share)
    if report is None:
        return *told, None, None, None, None
    return *told, percent(report["equal_ratio"]), report["samples"], report["equal"], ", ".join(marks(report))


def _shown(one: Mapping[str, Any]) -> None:
    """Prints an audit with its reports."""
    showing.say((f"audit {one['run_id']}", "bold"), f"  of run {one['audit_of']}  {one['state']}")
    if one["message"]:
        showing.say(f"  {one['message']}")
    for report in one["reports"]:
        _report(report)


def _report(report: Mapping[str, Any]) -> None:
    showing.say("  ", headline(report), (f"  {', '.join(marks(report))}", "dim"))
    for sentence in report["differences"]:
        showing.say("  ", (sentence, "yellow"))
    if report["metrics"]:
        rows = [(one["task"], one["metric"], number(one["run"], 4), number(one["audit"], 4), number(one["difference"], 4),
                 f"{number(one['low'])} – {number(one['high'])}", one["n"]) for one in report["metrics"]]  # fmt: skip
        showing.table(["task", "metric", ">run", ">audit", ">difference", ">95 % interval", ">documents"], rows)
    _first(["task", ">document", ">repeat", "differs (run and audit)"],
           [(one["task"], one["ordinal"], one["repeat"], "; ".join(one["what"])) for one in report["differing"]])  # fmt: skip
    _first(["where it ran", "run", "audit"], [(one["what"], one["run"], one["audit"]) for one in report["environment"]])


def _first(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    if rows:
        showing.table(columns, rows[:SHOWN])
    if len(rows) > SHOWN:
        showing.note(f"and {len(rows) - SHOWN} more: --json")


def countersign(
    audit_run: Annotated[str, typer.Argument(help="an audit's id, as `assay audits` shows it", autocompletion=run_ids)],
    as_json: AsJson = False,
) -> None:
    """Compares an audit with its run from the log, oneself, and reports what comes of it under one's own key.

    The key is the one that `assay keys create` made (ASSAY_SEAL_KEYS). Where that is none of those that seal runs here, the report counts
    as another party's, apart. Beside it the run's figures are recomputed from its own answers, as `assay replay --derive --run` does.

    Example: `ASSAY_SEAL_KEYS=~/my-keys assay countersign AUDIT_ID`
    """
    told = asyncio.run(_countersigned(Settings(), audit_run))
    if as_json:
        showing.document(told)
        return
    showing.say(f"{headline(told)}: reported under key {told['key_id']}")
    what = "follows from its own answers" if told["derived_equal"] else f"was said otherwise than follows: {told['derived_difference']}"
    showing.say(f"what run {told['run_id']} came to {told['derived_left'] or what}")


async def _countersigned(settings: Settings, audit_run: str) -> dict[str, Any]:
    from infra.countersigning import countersigned
    from infra.deriving import recompute
    from query_api.cli.logs import opened

    async with opened(settings) as log:
        said = await countersigned(log, settings, audit_run)
        derived = await recompute(log, settings, told=lambda _: None, run_id=said.run_id)
    names = ("run_id", "audit_run", "state", "equal_ratio", "samples", "equal", "failed", "unmatched", "asked", "key_id")
    told = {"derived_equal": derived.equal, "derived_difference": derived.difference, "derived_left": derived.why_left}
    return {name: getattr(said, name) for name in names} | told
