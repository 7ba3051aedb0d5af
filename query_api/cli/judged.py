"""What judges said, as the command line shows it, and waiting for it."""

import time
from collections.abc import Mapping
from typing import Any

from query_api.cli import showing
from query_api.cli.client import Client
from query_api.drawing.charts import number


def followed(client: Client, run_id: str, *, judgements: int) -> dict[str, Any]:
    """A complete run's judgements, once so many are over, with their figures."""
    while True:
        told = client.whole(f"/v1/runs/{run_id}/judgements", "judgements")
        over = [one for one in told["judgements"] if one["state"] in showing.OVER]
        if len(over) >= judgements and all(_whole(client, one) for one in over):
            return told
        time.sleep(showing.POLL_S)


def _whole(client: Client, one: Mapping[str, Any]) -> bool:
    """Its figures are here, or there will be none."""
    return any(score["complete"] for score in one["scores"]) or showing.whole(client.get(f"/v1/runs/{one['run_id']}"))


def shown(told: Mapping[str, Any]) -> None:
    """Prints a run's judgements."""
    rows = [row for one in told["judgements"] for row in _rows(one)]
    if not rows:
        showing.say("No judge was asked about this run: `assay judge` asks one.")
        return
    showing.table(["run", "judge", "task", "metric", ">value", ">95 % interval", ">answers", ""], rows)
    for one in told["agreements"]:
        said = "; ".join(f"{level} {_alpha(one[level])}" for level in ("ordinal", "interval"))
        showing.say(f"{one['judges']} judges on {one['task']}, {one['metric']}: {said}")


def _alpha(one: Mapping[str, Any]) -> str:
    """Krippendorff's alpha with its interval, or why there is none."""
    if one["alpha"] is None:
        return str(one["why_undefined"])
    ends = one["why_undefined"] if one["low"] is None else f"{number(one['low'], 3)} – {number(one['high'], 3)}"
    return f"alpha {number(one['alpha'], 3)} ({ends}) over {one['answers']} answers"


def _rows(one: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    name = showing.short(one["judge"])
    if one["state"] != "completed":
        return [(one["run_id"], name, None, None, None, None, None, one["message"] or one["state"])]
    return [
        (one["run_id"], name, score["task"], score["metric"], number(score["value"], 4),
         showing.interval(score), score["samples"],
         f"{score['not_scored']} not scored" if score["not_scored"] else "")
        for score in one["scores"]
    ]  # fmt: skip
