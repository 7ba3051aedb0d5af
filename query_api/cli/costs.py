"""What runs cost, on the command line."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from infra.settings import Settings
from query_api.cli import showing
from query_api.cli.client import Client
from query_api.cli.options import AsJson
from query_api.drawing.charts import number, usd
from streams.errors import Invalid

ROWS = (
    ("run_usd", "the whole run", usd),
    ("per_correct_answer_usd", "a correct answer", usd),
    ("per_1m_input_tokens_usd", "1M input tokens", usd),
    ("per_1m_output_tokens_usd", "1M output tokens", usd),
    ("per_1m_tokens_usd", "1M tokens of both", usd),
    ("energy_usd", "energy, apart", usd),
    ("energy_j", "energy, J", lambda value: number(value, 1)),
    ("per_correct_answer_j", "energy of a correct answer, J", lambda value: number(value, 2)),
    ("co2e_g", "CO2e, g", lambda value: number(value, 3)),
    ("per_1k_output_tokens_wh", "1k output tokens: energy, Wh", lambda value: number(value, 4)),
    ("per_1k_output_tokens_water_l", "1k output tokens: water, L", lambda value: number(value, 6)),
    ("per_1k_output_tokens_co2e_g", "1k output tokens: CO2e of energy, g", lambda value: number(value, 4)),
    ("per_1k_output_tokens_embodied_co2e_g", "1k output tokens: CO2e of making, g", lambda value: number(value, 4)),
    ("per_1k_output_tokens_sci_g", "1k output tokens: CO2e of both (SCI), g", lambda value: number(value, 4)),
)


def cost(
    run_id: Annotated[str | None, typer.Argument(help="the run's id, as `assay runs` shows it")] = None,
    board: Annotated[str | None, typer.Option(help="what tokens and right answers cost of every model on a board")] = None,
    as_json: AsJson = False,
) -> None:
    """Shows what a run cost under every version of the price book, or what tokens and right answers cost of every model on a board.

    Without either: the board that changed last.

    Examples: `assay cost RUN_ID` · `assay cost --board assay-demo --json`
    """
    if run_id and board:
        raise Invalid("give a run's id or --board, not both", code="cost")
    client = Client(Settings())
    if run_id:
        told = client.whole(f"/v1/runs/{run_id}/cost", "versions")
        showing.document(told) if as_json else of_run(told)
        return
    found = client.board(board=board)
    showing.document(_board(found)) if as_json else of_board(found)


def of_run(told: Mapping[str, Any]) -> None:
    """Prints a run's cost: a column for each version of the price book, and why what is missing is missing."""
    versions = told["versions"]
    if not versions:
        showing.note(f"no cost: {told['why']}")
        return
    rows = [(label, *(shown(version[name]) for version in versions)) for name, label, shown in ROWS]
    showing.table(["", *(f">{version['price_version']}" for version in versions)], rows, title="cost by prices")
    newest = versions[0]
    for name, label, _ in ROWS:
        if why := newest["why_undefined"].get(name):
            showing.note(f"{label}: {why}")
    if newest["energy_grade"]:
        showing.note(f"energy by {newest['energy_grade']}; it is no part of the run's cost")


def _board(found: Mapping[str, Any]) -> dict[str, Any]:
    rows = [{"rank": row["rank"], "model": row["model"], "run_id": row["run_id"], "score": row["score"], "cost": row["cost"],
             "answers": row["answers"]}
            for row in found["rows"]]  # fmt: skip
    return {"board": found["board"], "rows": rows}


def of_board(found: Mapping[str, Any]) -> None:
    """Prints what tokens and right answers cost of a board's models."""
    names = ("per_1m_input_tokens_usd", "per_1m_output_tokens_usd", "per_1m_tokens_usd")
    rows = [
        (row["rank"], showing.short(row["model"]), number(row["score"]), *(usd((row["cost"] or {}).get(name)) for name in names),
         usd((row["answers"] or {}).get("per_correct_answer_usd")), number((row["answers"] or {}).get("per_correct_answer_j"), 2))
        for row in found["rows"]
    ]  # fmt: skip
    showing.table(
        [">#", "model", ">score", ">$/1M\ninput", ">$/1M\noutput", ">$/1M\nboth", ">$/right\nanswer", ">J/right\nanswer"],
        rows,
        title=f"cost: {found['board']}",
    )
    told = [one["price_version"] for row in found["rows"] for one in (row["cost"], row["answers"]) if one]
    if told:
        showing.note(f"by the prices of {', '.join(sorted(set(told)))}; a right answer's are over all tasks of its run")
    else:
        showing.note("no cost is known: it needs a workload (`assay perf`) and prices (`assay prices import FILE`)")
