"""Decisions on the command line: writing one down, reporting what came of it, and what all of them come to."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from infra.settings import Settings
from query_api.cli import showing
from query_api.cli.client import Client
from query_api.cli.options import ME, AsJson
from query_api.drawing.charts import usd
from query_api.drawing.deciding import percent, share_told

DecisionId = Annotated[str, typer.Argument(help="the decision's id, as `assay decisions show` lists it")]


def decisions(context: typer.Context) -> None:
    """What was decided, and did it help? `record` writes a decision down, `outcome` what came of it, `show` what all come to.

    Examples: `assay decisions record --recommendation ID` · `assay decisions outcome ID --before-usd 3000 --after-usd 1900`
    · `assay decisions show`
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def record(
    recommendation: Annotated[str | None, typer.Option(help="the recommendation that it rests on")] = None,
    candidate: Annotated[str | None, typer.Option(help="which of its choices; the first, where none is named")] = None,
    chosen: Annotated[str, typer.Option(help="what was chosen, where it rests on no recommendation")] = "",
    by: Annotated[str, typer.Option(help="who decided; you, where nobody is named")] = ME,
    sure: Annotated[float | None, typer.Option(min=0, max=1, help="how sure that person is, from 0 to 1")] = None,
    note: Annotated[str, typer.Option(help="why")] = "",
    as_json: AsJson = False,
) -> None:
    """Writes down what was decided, by whom and how surely.

    Examples: `assay decisions record --recommendation ID --by ada` · `assay decisions record --chosen "stay hosted" --sure 0.7`
    """
    body = {"recommendation_id": recommendation, "candidate": candidate, "chosen": chosen, "by": by, "stated_ratio": sure, "note": note}
    told = Client(Settings()).post("/v1/decisions", body)
    if as_json:
        showing.document(told)
        return
    sure_told = f", {100 * told['confidence']:.0f} % sure by its recommendation" if told["confidence"] is not None else ""
    showing.say(f"{told['decision_id']}: {told['chosen']}{sure_told}")


def outcome(
    decision_id: DecisionId,
    before_usd: Annotated[float | None, typer.Option(min=0, help="the month's bill before it")] = None,
    after_usd: Annotated[float | None, typer.Option(min=0, help="and after it")] = None,
    before_quality: Annotated[float | None, typer.Option(help="quality before it, in whichever unit")] = None,
    after_quality: Annotated[float | None, typer.Option(help="and after it, in the same")] = None,
    satisfaction: Annotated[float | None, typer.Option(min=0, max=1, help="from 0 to 1")] = None,
    by: Annotated[str, typer.Option(help="who reports; you, where nobody is named")] = ME,
    note: Annotated[str, typer.Option(help="what else there is to say")] = "",
    as_json: AsJson = False,
) -> None:
    """Reports what a decision came to; a later report takes the place of an earlier one.

    Examples: `assay decisions outcome ID --before-usd 3000 --after-usd 1900 --satisfaction 0.9`
    """
    body = {"before_usd_per_month": before_usd, "after_usd_per_month": after_usd, "before_quality": before_quality,
            "after_quality": after_quality, "satisfaction_ratio": satisfaction, "by": by, "note": note}  # fmt: skip
    told = Client(Settings()).post(f"/v1/decisions/{decision_id}/outcomes", body)
    showing.document(told) if as_json else showing.say(f"report {told['revision'] + 1} of {told['decision_id']}")


def show(
    decision_id: Annotated[str | None, typer.Argument(help="one decision; all, where none is named")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500)] = 20,
    as_json: AsJson = False,
) -> None:
    """Shows decisions and what came of them: how many were made surely, and what they saved on average, with intervals.

    Examples: `assay decisions show` · `assay decisions show ID --json`
    """
    client = Client(Settings())
    found = client.get(f"/v1/decisions/{decision_id}") if decision_id else client.get("/v1/decisions", limit=limit)
    if as_json:
        showing.document(found)
        return
    rows = [found] if decision_id else found["decisions"]
    showing.table(["decision", "chosen", "by", ">sure", ">before", ">after", ">saved"], [_row(row) for row in rows])
    if not decision_id:
        for words, figure in (("made surely", found["figures"]["confident"]), ("saved on average", found["figures"]["saved"])):
            showing.note(f"{words}: {share_told(figure)}")


def _row(row: Mapping[str, Any]) -> tuple[Any, ...]:
    outcome = row["outcome"] or {}
    sure = row["confidence"] if row["confidence"] is not None else row["stated_ratio"]
    bills = [usd(outcome[name]) if outcome.get(name) is not None else None for name in ("before_usd_per_month", "after_usd_per_month")]
    saved = outcome.get("saved_ratio")
    return row["decision_id"], row["chosen"], row["by"], percent(sure), *bills, percent(saved)
