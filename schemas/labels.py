"""What people say of answers: the labels to which judges are held."""

from typing import ClassVar

from schemas.event import Event, Finite, RunId, Text


class AnswerLabelled(Event):
    """A person's word on one answer of a run, on the scale of one metric of a derived task.

    `judgement` is the derived task by its own name, `task` the one that was answered. Of answers that are compared, `value` is what the
    run's own is worth beside that of `against_run`: 1 better, 0.5 a tie, 0; `swapped`: the other stood first. Of several labels of one
    person the last in the log holds; `revision` tells it from the others.
    """

    identity: ClassVar[tuple[str, ...]] = (
        "run_id", "against_run", "judgement", "metric", "task", "ordinal", "repeat", "request", "draw", "by", "revision",
    )  # fmt: skip
    key: ClassVar[tuple[str, ...]] = ("run_id",)

    run_id: RunId
    against_run: RunId | None
    judgement: str
    metric: str
    task: str
    ordinal: int
    repeat: int
    request: int
    draw: int
    by: str
    value: Finite
    swapped: bool = False
    note: Text | None = None
    revision: int = 0
