"""A comparison's rows as people read them: each group before its tasks, all by their names."""

from collections.abc import Mapping
from typing import Any


def arranged(told: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The rows of groups and of tasks. A group's has `tasks`, and no `task`; a task's has its `group` where that has a row."""
    groups = {one["group"]: one for one in told["groups"]}
    rows = [dict(one) | {"group": one["group"] if one["group"] in groups else None} for one in told["tasks"]]
    rows += [dict(one) | {"task": None, "p_holm": None} for one in groups.values()]
    return sorted(rows, key=lambda row: (row["group"] or row["task"], row["task"] or ""))


def mean_told(told: Mapping[str, Any]) -> str:
    """What the overall difference is a mean of."""
    whole = told["overall"]
    return "Mean over tasks" if whole["tasks"] == whole["units"] else f"Mean over tasks, {whole['units']} with groups as one"
