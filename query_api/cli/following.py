"""Following a run to its end."""

from typing import Any

import typer

from query_api.cli import showing
from query_api.cli.client import Client


def followed(client: Client, run_id: str, *, quiet: bool) -> dict[str, Any]:
    """The run once it is over; Ctrl-C leaves it, and says how to go on."""
    try:
        return showing.followed(run_id, lambda one: client.get(f"/v1/runs/{one}"), quiet=quiet)
    except KeyboardInterrupt:
        showing.remark(f"\nthe run goes on. Follow it: assay run {run_id} · cancel it: assay cancel {run_id}")
        raise typer.Exit(130) from None
