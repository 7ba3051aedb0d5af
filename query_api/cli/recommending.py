"""Recommendations on the command line: asking for one, looking at those that were made, and reckoning one again."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from infra.settings import Settings
from query_api.cli import showing
from query_api.cli.client import Client
from query_api.cli.options import ME, AsJson
from query_api.cli.requirement_files import requirement_from
from query_api.drawing.deciding import figure_told, interval_told
from streams.deciding.candidates import FIGURES
from streams.deciding.drawing import SEED
from streams.errors import Invalid

TAKEN = ("rules", "model")
REJECTED = 20  # that are printed; --json has more
RecommendationId = Annotated[str, typer.Argument(help="the recommendation's id, as `assay recommend list` shows it")]


def recommend(context: typer.Context) -> None:
    """Recommends a model, engine and hardware, from what was measured: docs/deciding.md. `assay recommend REQUIREMENT.yaml` asks.

    Examples: `assay recommend requirement.yaml` · `assay recommend list` · `assay recommend show ID` · `assay recommend again ID`
    · `assay recommend buy ID`
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def ask(
    file: Annotated[
        Path, typer.Argument(help="a requirement as YAML: tasks, floors, latency, traffic, budget, allowed, prefer, threshold")
    ],
    by: Annotated[str, typer.Option(help="who asks; you, where nobody is named")] = ME,
    seed: Annotated[int, typer.Option(help="of the draws: the same gives the same answer")] = SEED,
    as_json: AsJson = False,
) -> None:
    """Says what to choose and how surely, who was refused and why; or that it is undecided, and what to measure next, with its price.

    Examples: `assay recommend requirement.yaml` · `assay recommend ask requirement.yaml --by ada --json`
    """
    requirement = requirement_from(file)
    told = Client(Settings()).post("/v1/recommendations", {"requirement": requirement, "by": by, "seed": seed})
    showing.document(told) if as_json else shown(told)


def read(
    sentence: Annotated[str, typer.Argument(help="what you look for, in English")],
    file: Annotated[Path | None, typer.Option("--output", "-o", help="a new file for the requirement")] = None,
    reader: Annotated[
        bool, typer.Option("--reader", help="let the model of ASSAY_READER_URL read it too, and tell in what it differs")
    ] = False,
    take: Annotated[str, typer.Option(help="whose reading is written: rules or model")] = "rules",
    as_json: AsJson = False,
) -> None:
    """Reads a sentence into a requirement, and says what was understood and what was not. Nothing is recommended: look it over first.

    Examples: `assay recommend read "a chatbot, 20 requests a second, on L40S, German"` · `assay recommend read "…" -o requirement.yaml`
    · `assay recommend read "…" --reader --take model -o requirement.yaml`
    """
    _check_taken(take, reader=reader)
    told = Client(Settings()).post("/v1/requirements", {"sentence": sentence, "reader": reader})
    written = (told["by_model"] if take == "model" else told)["yaml"]
    if file is not None:
        _write(file, written)
    if as_json:
        showing.document(told)
        return
    _understood(told)
    if file is None:
        showing.say(written.rstrip())
    else:
        showing.say(f"{file} is written; look it over, then: assay recommend {file}")


def _check_taken(take: str, *, reader: bool) -> None:
    if take not in TAKEN or (take == "model" and not reader):
        raise Invalid(f"--take {take!r}: give {' or '.join(TAKEN)}; model wants --reader", code="option")


def _write(file: Path, text: str) -> None:
    """Writes a new file. Raises: Invalid for one that is there."""
    if file.exists():
        raise Invalid(f"{file} is there already; name another file", code="file-exists")
    file.write_text(text, encoding="utf-8")


def _understood(told: Mapping[str, Any]) -> None:
    """Prints what was understood of which words, what was not, and what a model understood."""
    for one in told["understood"]:
        mark = " (suggested: nobody has named a task)" if one["suggested"] else ""
        showing.remark(f"“{one['words']}”: {one['field']}{mark}")
    if told["left"]:
        showing.remark(f"not understood, and so not asked for: {', '.join(told['left'])}")
    if told["by_model"]:
        _compared(told["by_model"])


def _compared(told: Mapping[str, Any]) -> None:
    """What a model understood beside what rules did."""
    rows = [(one["field"], one["rules"], one["model"], "yes" if one["same"] else "differs") for one in told["compared"]]
    showing.table(["field", "rules", told["model"], "same"], rows)
    for one in told["refused"]:
        part = "" if one["why"].startswith(one["part"]) else f"{one['part']}: "
        showing.remark(f"of what the model said this counts for nothing: {part}{one['why']}")


def show(recommendation_id: RecommendationId, as_json: AsJson = False) -> None:
    """Shows a recommendation as it was made.

    Examples: `assay recommend show ID` · `assay recommend show ID --json`
    """
    told = Client(Settings()).get(f"/v1/recommendations/{recommendation_id}")
    showing.document(told) if as_json else shown(told)


def listed(limit: Annotated[int, typer.Option(min=1, max=500)] = 20, as_json: AsJson = False) -> None:
    """Lists recommendations, the newest first.

    Examples: `assay recommend list` · `assay recommend list --limit 5 --json`
    """
    found = Client(Settings()).get("/v1/recommendations", limit=limit)
    if as_json:
        showing.document(found)
        return
    rows = [(row["recommendation_id"], row["asked_by"], row["words"], row["considered"]) for row in found["recommendations"]]
    showing.table(["recommendation", "by", "answer", ">considered"], rows)


def buy(
    recommendation_id: RecommendationId,
    place: Annotated[int, typer.Option(min=1, max=100, help="which of the next runs, as the recommendation lists them")] = 1,
    by: Annotated[str, typer.Option(help="who asks; you, where nobody is named")] = ME,
    yes: Annotated[bool, typer.Option("--yes", help="ask for it without being asked whether")] = False,
    as_json: AsJson = False,
) -> None:
    """Asks for a next run that a recommendation names: shows what would run and its price, and asks for it once that is confirmed.

    Once for each recommendation and place: said again it tells the same runs.

    Examples: `assay recommend buy ID` · `assay recommend buy ID --place 2` · `assay recommend buy ID --yes --json`
    """
    client = Client(Settings())
    found = client.get(f"/v1/recommendations/{recommendation_id}")["next"]
    if place > len(found):
        raise Invalid(f"recommendation {recommendation_id} names {len(found)} next runs, and no number {place}", code="unknown-next-run")
    one = found[place - 1]
    if not yes:
        showing.remark(one["words"])
        for command in one["commands"]:
            showing.remark(f"  {command}")
        price = "for a price that nobody knows yet" if one["usd"] is None else f"for about {one['usd']:.2g} USD"
        if not typer.confirm(f"Ask for it, {price}?", err=True):
            raise Invalid("nothing was asked for", code="not-confirmed")
    told = client.post(f"/v1/recommendations/{recommendation_id}/next", {"place": place - 1, "by": by})
    if as_json:
        showing.document(told)
        return
    showing.say("asked for:" if told["new"] else "it was asked for before:")
    for run in told["runs"]:
        showing.say(f"{run['run_id']}  {run['command']}")


def again(recommendation_id: RecommendationId, as_json: AsJson = False) -> None:
    """Reckons a recommendation again from the runs, prices and seed that it names, and says whether it comes out the same.

    Examples: `assay recommend again ID` · `assay recommend again ID --json`
    """
    told = Client(Settings()).get(f"/v1/recommendations/{recommendation_id}/again")
    if as_json:
        showing.document(told)
        return
    showing.say("it comes out the same" if told["equal"] else f"it differs in {', '.join(told['differs'])}")


def shown(told: Mapping[str, Any]) -> None:
    """Prints a recommendation."""
    showing.say((told["words"], "bold"))
    showing.note(f"{told['recommendation_id']} · {told['considered']} considered, {told['contending']} left, {told['refused']} refused")
    counted = [name for name in FIGURES if any(_figure(choice, name) for choice in told["choices"])]
    heads = ["model", "engine", "hardware", ">sure", ">feasible", ">on the front", *(f">{FIGURES[name].words}" for name in counted)]
    if told["choices"]:
        showing.table(heads, [_row(choice, counted) for choice in told["choices"]])
    if told["stale_prices"]:
        showing.say((f"old prices, look them up again: {'; '.join(told['stale_prices'])}", "yellow"))
    for one in told["tradeoffs"]:
        showing.note(f"against the runner-up: {one['words']}")
    if told["methods"]:
        showing.note(told["methods"]["words"])
    _next(told)
    _rejected(told)
    if told["choices"]:
        _guide(told["choices"][0])


def _figure(choice: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    return next((figure for figure in choice["figures"] if figure["figure"] == name), None)


def _row(choice: Mapping[str, Any], counted: list[str]) -> tuple[Any, ...]:
    figures = [_figure(choice, name) for name in counted]
    told = [f"{figure_told(one)} ({interval_told(one)})" if one else None for one in figures]
    chances = [f"{100 * choice[name]:.0f} %" for name in ("confidence", "feasible", "pareto")]
    return (showing.short(choice["model"]), choice["engine"], choice["hardware"], *chances, *told)


def _next(told: Mapping[str, Any]) -> None:
    if told["next"]:
        showing.say("\nwhat to measure next:")
    for one in told["next"]:
        showing.say(f"  {one['words']}")
        for command in one["commands"]:
            showing.note(f"    {command}")


def _rejected(told: Mapping[str, Any]) -> None:
    if not told["rejected"]:
        return
    rows = [(showing.short(one["model"]), one["engine"], one["hardware"], one["reason"], "; ".join(one["changes"]))
            for one in told["rejected"][:REJECTED]]  # fmt: skip
    showing.table(["refused", "engine", "hardware", "because", "nearest change"], rows)
    if told["refused"] > REJECTED:
        showing.note(f"and {told['refused'] - REJECTED} more: --json has {len(told['rejected'])}")


def _guide(choice: Mapping[str, Any]) -> None:
    guide, size = choice["guide"], choice["capacity"]
    if size:
        showing.say(
            f"\n{size['replicas']} replicas: {size['by_rate']} by rate and headroom, {size['by_queue']} so that requests wait little. "
            f"At the peak they are busy {100 * size['busy_ratio']:.0f} %",
        )  # fmt: skip
    for note in (guide or {}).get("notes", ()):
        showing.note(note)
    if guide and guide["command"]:
        showing.command(guide["command"])
        showing.note(guide["compose"])
