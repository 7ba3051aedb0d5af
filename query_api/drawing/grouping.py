"""A table's rows as people read them: each group before its tasks, all by their names."""

from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]


def arranged(tasks: Sequence[Row], groups: Sequence[Row]) -> list[Row]:
    """The rows of groups and of tasks. A group's has `tasks`, and no `task`; a task's has its `group` where that has a row."""
    known = {one["group"] for one in groups}
    rows = [dict(one) | {"group": one["group"] if one["group"] in known else None} for one in tasks]
    rows += [dict(one) | {"task": None, "p_holm": None} for one in groups]
    return sorted(rows, key=lambda row: (row["group"] or row["task"], row["task"] or ""))


def mean_told(told: Mapping[str, Any]) -> str:
    """What the overall difference is a mean of."""
    whole = told["overall"]
    return "Mean over tasks" if whole["tasks"] == whole["units"] else f"Mean over tasks, {whole['units']} with groups as one"
