"""A task's own aggregation of its samples' scores, with its standard error (uncertainty.py)."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from infra.harness import uncertainty
from infra.harness.limits import Overdue, heard, within, words
from infra.harness.metrics.registry import METRICS, total
from streams.errors import Permanent

LONGEST_TOLD = 500


def aggregate(
    config_json: str, metric: str, parts: Sequence[str], groups: Sequence[int] | None = None
) -> tuple[float | None, float | None]:
    """Value and standard error of a metric over samples' parts, in the samples' order; None where undefined.

    `groups`: the group of each, where several belong to one document or passage, and stand or fall together.

    A metric that the task does not have itself is one of those beside it.
    Source: lm-eval 0.4.13, evaluator_utils._compute_task_aggregations.
    """
    if not parts:
        return None, None
    from lm_eval.api.metrics import mean

    from infra.harness.tasks import without_data  # it takes seconds to load, and the process that asks needs none of it

    items = [_item(part) for part in parts]
    own = without_data(config_json).aggregation()
    if metric in METRICS and metric not in own:
        return total(metric, [json.loads(part) for part in parts], groups)
    function = own.get(metric, mean)
    name = function.__name__ if getattr(function, "__module__", "") == mean.__module__ else ""  # a task's own may be called alike
    value = _finite(function(items))
    return value, _finite(uncertainty.stderr(name, items, groups)) if value is not None else None


@dataclass(frozen=True, slots=True)
class Aggregated:
    """Value and standard error; or, where there can be none, why."""

    value: float | None
    stderr: float | None
    why: str | None = None


def aggregated(
    config_json: str, metric: str, parts: Sequence[str], groups: Sequence[int] | None = None, limit_s: float | None = None
) -> Aggregated:
    """What comes of aggregating. Whatever a task's own function raises is a reason, and so is that it takes longer than `limit_s`."""
    try:
        with within(limit_s):
            return Aggregated(*heard(lambda: aggregate(config_json, metric, parts, groups)))
    except Overdue:
        return Aggregated(None, None, f"aggregating {metric} over {len(parts)} samples took longer than {limit_s:g} s")
    except Exception as error:  # noqa: BLE001  # a task's own code may raise anything
        told = str(error) if isinstance(error, Permanent) else words(error)
        return Aggregated(None, None, f"aggregating {metric} over {len(parts)} samples failed: {told}"[:LONGEST_TOLD])


def _item(part: str) -> Any:
    item = json.loads(part)
    return tuple(item) if isinstance(item, list) else item


def _finite(value: Any) -> float | None:
    if value is None:
        return None
    number = float(value)
    return None if math.isnan(number) else number
