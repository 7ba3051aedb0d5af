"""What a run's plan says of whether its model may have seen the data."""

from collections.abc import Mapping, Sequence
from typing import Any

from schemas.runs import Plan
from streams.quality.exposure import data_age, in_words


def exposed(plan: Mapping[str, Any], tasks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The tasks with the ages of their data, when the model was published, and both in words, by the plan (as JSON; empty for none)."""
    found = Plan.model_validate(plan) if plan else None
    model = found.model_published if found else None
    dates = {one.task: one.data_published for one in found.tasks} if found else {}
    return {
        "tasks": [
            one | {"data_published": (told := dates.get(one["task"])), "data_age": data_age(told, model.date if model else None)}
            for one in map(dict, tasks)
        ],
        "model_published": model.model_dump() if model else None,
        "exposure": list(in_words(model, found.tasks)) if found else [],
    }  # fmt: skip
