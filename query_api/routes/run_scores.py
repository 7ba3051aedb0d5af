"""What a run's page and a judgement's tell of its tasks: how far each is, and its figures with their intervals."""

from pydantic import Field

from query_api.operations.shapes import Shape
from streams.quality.exposure import DataAge


class TaskProgress(Shape):
    """How far a task of a run is, in samples."""

    task: str
    expected: int
    answered: int
    scored: int
    not_scored: int
    truncated: int = Field(default=0, description="samples of which the model's window truncated a prompt or a choice")
    planned: int = Field(description="more than expected where it stopped early")
    half_width: float | None = Field(description="what its figures are known to, where it stopped early")
    data_published: str | None = Field(default=None, description="the month in which its data first appeared; null where that is not known")
    data_age: DataAge = Field(default="unknown", description="older: the model may have seen its data; newer: they came after the model")


class Score(Shape):
    """A metric of a task of a run, with its 95 % interval. Undefined is null, with its reason."""

    task: str
    metric: str
    filter: str
    value: float | None
    stderr: float | None
    low: float | None
    high: float | None
    samples: int
    not_scored: int
    complete: bool
    why_undefined: str | None
    truncated: int = Field(default=0, description="samples of the task of which the model's window truncated a prompt or a choice")
    rows_skipped: int = Field(default=0, description="rows of the task's data that were left out: the value is over fewer")
    sequential: bool = Field(default=False, description="the interval is a confidence sequence's: the task stopped early")
    group: str | None = Field(default=None, description="the group that the task is of")
    repeats: int = Field(
        default=1, description="how often each of the samples was asked; the value is over samples, each the mean of its repeats"
    )
    method: str | None = Field(default=None, description="what made the interval (docs/rigor.md); null without one")
    between_documents: float | None = Field(default=None, description="the variance from document to document, where there are repeats")
    within_documents: float | None = Field(
        default=None, description="the variance of one answer to the same document, where there are repeats"
    )
    setups: int = Field(
        default=1, description="in how many set-ups (few-shot seeds, prompt formats) the repeats were asked: docs/variance.md"
    )
    between_setups: float | None = Field(default=None, description="the variance from set-up to set-up, where there are several")
    half_width: float | None = Field(default=None, description="the interval's half-width by these three variances, about")
    half_width_documents: float | None = Field(default=None, description="what it would be with twice the documents")
    half_width_setups: float | None = Field(default=None, description="what it would be with twice the set-ups")


class GroupScore(Shape):
    """The main metric over a group's tasks, each by its samples or alike, as lm-eval has it; the interval follows from theirs."""

    group: str
    tasks: int = Field(description="how many tasks it is of")
    metric: str
    filter: str
    value: float | None
    stderr: float | None
    low: float | None
    high: float | None
    samples: int
    not_scored: int
    truncated: int = Field(description="samples of which the model's window truncated a prompt or a choice")
    complete: bool
    why_undefined: str | None = Field(description="why there is no value")
    sequential: bool = Field(description="the interval of a task is a confidence sequence's")
    by_size: bool = Field(description="its tasks count by their samples; else each alike")
    method: str | None = Field(default=None, description="what made the interval (docs/rigor.md); null without one")
