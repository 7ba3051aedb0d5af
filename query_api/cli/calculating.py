"""Total cost of ownership on the command line: from a file of assumptions to figures that can be opened; as table, CSV, Markdown."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from infra.settings import Settings
from query_api.cli import showing
from query_api.cli.client import Client
from query_api.cli.options import AsJson
from query_api.cli.request_files import mapping_of
from query_api.cli.requirement_files import named
from query_api.drawing.calculating import as_csv, as_markdown, told
from streams.visible import plain


def tco(
    file: Annotated[Path, typer.Argument(help="assumptions as YAML: source, inputs, curve, rates, spreads, spread")],
    open_: Annotated[str, typer.Option("--open", help="a figure to open, with all that it rests on")] = "",
    as_: Annotated[Literal["table", "csv", "markdown"], typer.Option("--as", help="in which form")] = "table",
    as_json: AsJson = False,
) -> None:
    """Reckons the total cost of ownership, own against rent and hosted, and on which assumptions it hangs: docs/costs.md.

    Examples: `assay tco scenario.yaml` · `assay tco scenario.yaml --open break_even_hours` · `assay tco scenario.yaml --as markdown`
    """
    _, body = mapping_of(file, fields="source and inputs")
    found = Client(Settings()).post("/v1/costs/tco", named(body))
    if as_json:
        showing.document(found)
    elif as_ != "table":
        typer.echo(plain({"csv": as_csv, "markdown": as_markdown}[as_](found)), nl=False)
    elif open_:
        _opened(found, open_)
    else:
        _shown(found)


def _shown(found: Mapping[str, Any]) -> None:
    showing.table(
        ["figure", ">", "formula"], [(one["figure"], told(one["value"], one["unit"]), one["formula"]) for one in found["figures"]]
    )
    if found["components"]:
        rows = [(one["name"], told(one["usd"], "USD/year"), one["formula"]) for one in found["components"]]
        showing.table(["a year of owning", ">", "formula"], rows)
    for one in found["sensitivity"]:
        ends = f"{told(one['low'], one['unit'])} to {told(one['high'], one['unit'])}"
        showing.say(f"{one['figure']}: {ends} in nine of ten draws; it hangs most on "
                              f"{', '.join(bar['input'] for bar in one['tornado'][:3])}")  # fmt: skip
    for name, why in found["undefined"].items():
        showing.note(f"{name}: {why}")


def _opened(found: Mapping[str, Any], name: str) -> None:
    """Prints a figure and all that it rests on."""
    one = next((figure for figure in found["figures"] if figure["figure"] == name), None)
    if one is None:
        why = found["undefined"].get(name) or f"there is none; there are {', '.join(figure['figure'] for figure in found['figures'])}"
        showing.note(f"{name}: {why}")
        return
    rows = [(f"{'  ' * part['depth']}{part['name']}", told(part["value"], part["unit"]), part["formula"] or part["source"])
            for part in ({**one, "depth": 0}, *one["opened"])]  # fmt: skip
    showing.table(["", ">", "formula or source"], rows)
