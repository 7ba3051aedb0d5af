"""Grids of loads on the command line: every concurrency, or batch, with every length, one after the other, and what they came to as tables.

A batch of so many requests is as many in flight and no more: it is sent whole.
"""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, Final

from uuid6 import uuid7

from infra.settings import Settings
from query_api.cli import showing
from query_api.cli.client import Client
from query_api.cli.following import followed
from query_api.drawing.grids import maps
from streams.errors import Invalid
from streams.numbers import whole

AXES: Final = ("concurrency", "input_tokens", "output_tokens")
NOT_OF_A_BATCH: Final = ("concurrency", "requests", "duration", "profile", "rate", "trace", "slo")
MOST: Final = 100  # cells


def cells_of(options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The options of each load: one, or one for every way to take a value of each axis. Raises: Invalid."""
    batch = options["batch"] is not None
    axes = [_values(name, options[name]) for name in ("batch" if batch else AXES[0], *AXES[1:])]
    if batch and (other := next((name for name in NOT_OF_A_BATCH if options[name]), "sweep" if options["sweep"] else None)):
        raise Invalid(f"--batch is a load of its own, all sent at once: leave out --{other}, or the batch", code="option")
    count = len(axes[0]) * len(axes[1]) * len(axes[2])
    if count > MOST:
        raise Invalid(f"a grid of {count} loads is more than the {MOST} that one command runs; give fewer values", code="option")
    others = any(options[name] for name in ("sweep", "trace", "slo", "rate")) or options["profile"] not in (None, "concurrent")
    if count > 1 and others:
        raise Invalid(
            "a grid is of loads that keep so many requests in flight (--profile concurrent): leave the other one out", code="option"
        )
    gridded = {"profile": "concurrent"} if count > 1 or batch else {}
    cells = [dict(options) | gridded | dict(zip(AXES, values, strict=True)) for values in product(*axes)]
    if batch:
        return [cell | {"requests": cell["concurrency"]} for cell in cells]
    return [cell | {"concurrency": 1} if count > 1 and cell["concurrency"] is None else cell for cell in cells]


def _values(name: str, said: str | int | None) -> list[int | None]:
    """The values of an option, as 1,4,16; None where it is not given. Raises: Invalid."""
    if said is None:
        return [None]
    try:
        values = [whole(one) for one in str(said).split(",")]
    except ValueError as error:
        raise Invalid(f"--{name.replace('_', '-')} {said}: give a whole number, or several as 1,4,16", code="option") from error
    return list(dict.fromkeys(values))


def run_grid(body: Mapping[str, Any], workloads: Sequence[Mapping[str, Any]], repeat: int, *, as_json: bool) -> None:
    """Runs the loads one after the other, for two at once would measure one another, and shows them. Raises: Invalid where one fails."""
    settings, campaign = Settings(), f"grid-{uuid7()}"
    client = Client(settings)
    total = len(workloads) * repeat
    for number, workload in enumerate(one for one in workloads for _ in range(repeat)):
        run_id = client.post("/v1/evaluations", dict(body) | {"workload": dict(workload), "campaign": campaign})["run_id"]
        if not as_json:
            lengths = f"{workload['input_tokens']} → {workload['output_tokens']} tokens"
            showing.remark(f"load {number + 1} of {total}: {workload['concurrency']} at a time, {lengths}: {run_id}")
        run = followed(client, run_id, quiet=as_json)
        if run["state"] != "completed":
            why = run.get("message") or run.get("reason_code") or "no reason given"
            raise Invalid(f"run {run_id} is {run['state']}: {why}; what was measured until then: {settings.api}/grid?campaign={campaign}",
                          code="run")  # fmt: skip
    told = client.get("/v1/grids", campaign=campaign)
    showing.document(told) if as_json else shown(told, at=settings.api)


def shown(told: Mapping[str, Any], *, at: str) -> None:
    """Prints a grid: a table a figure."""
    for one in maps(told["cells"]):
        rows = [(name, *(cell.text if cell else None for cell in cells)) for name, cells in one.rows]
        showing.table(["tokens", *(f">{column}" for column in one.columns)], rows, title=f"{one.title}, by requests at a time")
    showing.note(f"as a page: {at}/grid?campaign={told['campaign']}")
