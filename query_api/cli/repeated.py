"""Several runs of one load, as the command line shows them."""

from collections.abc import Mapping
from typing import Any

from query_api.cli import showing
from query_api.drawing.repeated import COLUMNS, rows


def shown(told: Mapping[str, Any]) -> None:
    """Prints the figures over runs of one load, where there is more than this one."""
    if len(told["runs"]) < 2:
        return
    columns = ["", *(f">{name}" for name in COLUMNS)]
    showing.table(columns, rows(told["figures"]), title=f"{len(told['runs'])} runs of this load")
    if told["differ"]:
        showing.remark((told["differ"], "yellow"))
