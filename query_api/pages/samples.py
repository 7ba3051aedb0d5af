"""The samples browser: what a model was asked, what it answered, what was expected, and how that scored."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request

from query_api.pages.rendering import Content, page, short
from query_api.reading import samples as reading_samples
from query_api.state import state_of

SHOWN = 10
BELOW_ONE = math.nextafter(1.0, 0.0)
# What people choose from, and the bounds of the value that it means.
OUTCOMES: Mapping[str, tuple[str, Mapping[str, float]]] = {
    "": ("all", {}),
    "right": ("right (value 1)", {"min_value": 1.0}),
    "wrong": ("wrong (value below 1)", {"max_value": BELOW_ONE}),
}
ORDERS = {"task": "as in the task", "value": "lowest value first", "-value": "highest value first"}


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several continuations that a model weighed up."""

    text: str
    context: str
    loglikelihood: float | None
    is_greedy: bool | None
    chosen: bool
    expected: bool


@dataclass(frozen=True, slots=True)
class Shown:
    """A sample as the page shows it: its prompt with the few-shot prefix apart, and either choices or outputs."""

    sample: Mapping[str, Any]
    prefix: str
    prompt: str
    choices: Sequence[Choice]
    outputs: Sequence[Mapping[str, Any]]


async def load(request: Request) -> Content:
    """A page of a run's samples."""
    reading, run_id, asked = state_of(request).reading, request.path_params["run_id"], request.query_params
    run = await reading.run(run_id)
    chosen = {name: asked.get(name, "") for name in ("task", "metric", "outcome", "sort")}
    found = await reading_samples.page(
        reading, run_id, limit=SHOWN, cursor=asked.get("cursor", ""), sort=chosen["sort"] if chosen["sort"] in ORDERS else "task",
        **filters(chosen),
    )  # fmt: skip
    following = (
        f"?{urlencode({name: value for name, value in chosen.items() if value} | {'cursor': found['next']})}" if found["next"] else None
    )
    return {
        "title": f"Samples of {short(run['model'])}", "run": run, "chosen": chosen, "next": following, "paged": bool(asked.get("cursor")),
        "samples": [shown(sample, found["contents"]) for sample in found["samples"]],
        "tasks": [task["task"] for task in run["tasks"]], "metrics": metrics_of(run["scores"]), "outcomes": OUTCOMES, "orders": ORDERS,
    }  # fmt: skip


def metrics_of(scores: Sequence[Mapping[str, Any]]) -> list[str]:
    """Metrics with their filters, as the address names them."""
    return sorted({f"{score['metric']},{score['filter']}" for score in scores})


def filters(chosen: Mapping[str, str]) -> dict[str, Any]:
    """The reading's filters, from what the address says."""
    metric, _, name = chosen["metric"].partition(",")
    bounds = OUTCOMES.get(chosen["outcome"], OUTCOMES[""])[1]
    told = {"task": chosen["task"], "metric": metric, "filter": name, "doc_id": None, "min_value": None, "max_value": None}
    return told | {"differs_from": ""} | dict(bounds)


def shown(sample: Mapping[str, Any], contents: Mapping[str, str]) -> Shown:
    """A sample taken apart for people."""
    requests = sample["requests"]
    if not requests:
        return Shown(sample, "", "", (), ())
    first = requests[0]
    outputs = [answer for request in requests for answer in request["answers"] if answer["output"] is not None]
    choices = _choices(sample) if len(requests) > 1 or not outputs else ()
    return Shown(sample, contents.get(first["prefix_ref"] or "", ""), first["context"], choices, outputs)


def _choices(sample: Mapping[str, Any]) -> list[Choice]:
    weighed: list[tuple[Any, Mapping[str, Any]]] = [(request, next(iter(request["answers"]), {})) for request in sample["requests"]]
    known = [answer["loglikelihood"] for _, answer in weighed if answer.get("loglikelihood") is not None]
    most = max(known) if len(weighed) > 1 and known else None
    shared = all(request["context"] == sample["requests"][0]["context"] for request, _ in weighed)
    target = (sample["target"] or "").strip()
    return [
        Choice(
            request["continuation"] or "", "" if shared else request["context"], answer.get("loglikelihood"), answer.get("is_greedy"),
            most is not None and answer.get("loglikelihood") == most, bool(target) and (request["continuation"] or "").strip() == target,
        )
        for request, answer in weighed
    ]  # fmt: skip


ROUTES = page("/runs/{run_id}/samples", "samples.html", load, live=False)
