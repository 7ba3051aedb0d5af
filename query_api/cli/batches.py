"""The same evaluation of several models: a run for each, asked for together."""

from collections.abc import Mapping, Sequence
from typing import Any

from infra.settings import Settings
from query_api.cli import showing
from query_api.cli.client import Client
from query_api.cli.following import followed
from streams.errors import Invalid


def submit_batch(terms: Mapping[str, Any], models: Sequence[Mapping[str, Any]], *, wait: bool, as_json: bool) -> None:
    """Asks for a run of each model, all or none; with `wait` follows them to their ends. Raises: Invalid where one is not completed."""
    client = Client(Settings())
    body = {name: value for name, value in terms.items() if name not in ("model", "run_id")}
    told = client.post("/v1/batches", body | {"models": list(models)})
    if not wait:
        showing.document(told) if as_json else showing.table(["run", "model"], [(one["run_id"], one["model"]) for one in told["runs"]])
        return
    ended = [followed(client, one["run_id"], quiet=as_json) for one in told["runs"]]
    if as_json:
        runs = [{name: run.get(name) for name in ("run_id", "model", "state", "message", "scores")} for run in ended]
        showing.document({"campaign": told["campaign"], "runs": runs})
    else:
        for run in ended:
            showing.run(run)
    if late := [run for run in ended if run["state"] != "completed"]:
        raise Invalid(f"{len(late)} of {len(ended)} runs are not completed: {', '.join(run['run_id'] for run in late)}", code="run")
