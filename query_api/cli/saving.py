"""What would save, for people: measured alternatives to what runs now, by what each saves a month."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from infra.settings import Settings
from query_api.cli import showing
from query_api.cli.client import Client
from query_api.cli.options import AsJson, RunId
from query_api.cli.requirement_files import requirement_from
from query_api.drawing.charts import number
from streams.deciding.savings import MARGIN


def savings(
    run: RunId,
    file: Annotated[Path, typer.Argument(help="a requirement as YAML: tasks and traffic; latency and allowed where they count")],
    margin: Annotated[float, typer.Option(min=0, help="by so much the quality may be lower, in ratios")] = MARGIN,
    as_json: AsJson = False,
) -> None:
    """Says what would save against what runs now: alternatives that were measured, each with its saving a month and its quality.

    RUN is a completed run of what runs now. Listed is what is cheaper under the traffic, keeps all constraints and loses no more quality
    than the margin, in at least half of the draws of all that was measured: another engine or precision for the same model, other hardware,
    another model. docs/deciding.md tells how.

    Examples: `assay recommend savings RUN requirement.yaml` · `assay recommend savings RUN requirement.yaml --margin 0 --json`
    """
    requirement = requirement_from(file)
    told = Client(Settings()).post("/v1/savings", {"run": run, "requirement": requirement, "margin": margin})
    showing.document(told) if as_json else _shown(told)


def _shown(told: Mapping[str, Any]) -> None:
    now = f"{showing.short(told['model'])} ({told['engine']}) on {told['hardware']}"
    showing.say(
        (now, "bold"), f": {_usd(told['usd_per_month'])} a month with {_replicas(told['replicas'])}, quality {told['quality']['value']:.3f}"
    )
    if told["savings"]:
        heads = ["model", "engine", "hardware", ">saves USD/month", ">quality", ">sure"]
        showing.table(heads, [_row(one) for one in told["savings"]])
    else:
        showing.say("Nothing that was measured would save.")
    if told["otherwise"]:
        rows = [
            (one["way"], one["usd_per_month"], f"{100 * one['redone_ratio']:.3g} %", "; ".join(one["sources"])) for one in told["otherwise"]
        ]
        showing.table(["the same, paid", ">USD/month", ">done again", "by"], rows)
    if told["stale_prices"]:
        showing.say((f"old prices, look them up again: {'; '.join(told['stale_prices'])}", "yellow"))
    if told["more"]:
        showing.note(f"and {told['more']} more that save less")
    if told["unlikely"]:
        showing.note(f"{told['unlikely']} cheaper ones probably break a constraint, or lose more than {told['margin']:g} of quality")


def _row(one: Mapping[str, Any]) -> tuple[Any, ...]:
    saved, quality = one["saved_usd_per_month"], one["quality_difference"]
    saving = f"{number(saved['value'], 3)} ({number(saved['low'], 3)} to {number(saved['high'], 3)})"
    worse = f"{quality['value']:+.3f} ({quality['low']:+.3f} to {quality['high']:+.3f})"
    return (showing.short(one["model"]), one["engine"], one["hardware"], saving, worse, f"{100 * one['chance']:.0f} %")


def _usd(span: Mapping[str, Any]) -> str:
    return f"{number(span['value'], 3)} USD ({number(span['low'], 3)} to {number(span['high'], 3)})"


def _replicas(count: int) -> str:
    return "1 replica" if count == 1 else f"{count} replicas"
