"""What was predicted of something that nobody had measured, before anybody did."""

from typing import ClassVar

from schemas.event import Event, Finite, Record, RunId


class PredictedFigure(Record):
    """A figure with the interval that kept the share `level` of what was left out; `roofline` is what the hardware could do at best.

    `left_out`: among which this is new, models or machines; `groups` of them, with `loads` in all, were left out in turn, and
    `typical_error_ratio` is the median size of the error then. `method` in words.
    """

    figure: str
    unit: str
    value: Finite
    low: Finite
    high: Finite
    level: Finite
    roofline: Finite
    method: str
    left_out: str
    groups: int
    loads: int
    typical_error_ratio: Finite


class Unpredicted(Record):
    """A figure of which nothing is said, and why."""

    figure: str
    why: str


class PredictionMade(Event):
    """A prediction: no measurement, and never ranked among them. It follows from its inputs alone: the same again is the same event.

    What it is about: a model's size (`model_sha`, where its files are known), on an engine and hardware, under a load of requests. A
    measurement of the same that comes later shows how good it was. `inputs_digest` is a name of what `input_runs` had measured by then.
    """

    identity: ClassVar[tuple[str, ...]] = ("prediction_id",)
    key: ClassVar[tuple[str, ...]] = ("prediction_id",)

    prediction_id: str
    asked_by: str
    model: str
    model_sha: str | None
    parameters: int
    weights_bytes: int
    kv_bytes_per_token: int
    engine: str
    hardware: str
    in_flight: Finite
    input_tokens: Finite
    output_tokens: Finite
    figures: tuple[PredictedFigure, ...]
    unpredicted: tuple[Unpredicted, ...]
    formula_version: str
    inputs_digest: str
    input_runs: tuple[RunId, ...]


class PredictedScore(Record):
    """A task's score, a ratio, with the interval that kept the share `level` of what was left out; `baseline` is all models' median.

    `left_out`: among which the model is new, models or families; `groups` of them, with `models` in all, were left out in turn, and
    `typical_error` and `baseline_error` are the median sizes of errors then. `method` in words.
    """

    task: str
    value: Finite
    low: Finite
    high: Finite
    level: Finite
    baseline: Finite
    typical_error: Finite
    baseline_error: Finite
    method: str
    left_out: str
    groups: int
    models: int


class UnpredictedScore(Record):
    """A task of which nothing is said, and why."""

    task: str
    why: str


class ScorePredicted(Event):
    """What a model would score on tasks that it was not asked: no measurement, and never ranked among them.

    What it is about: a model's family and size (`model_sha`, where its files are known), and its scores of other tasks (`known`) as far as
    they were told or measured. A run that scores it later shows how good it was. `inputs_digest` is a name of what `input_runs` had scored.
    """

    identity: ClassVar[tuple[str, ...]] = ("prediction_id",)
    key: ClassVar[tuple[str, ...]] = ("prediction_id",)

    prediction_id: str
    asked_by: str
    model: str
    model_sha: str | None
    family: str
    parameters: int
    known: dict[str, Finite]
    scores: tuple[PredictedScore, ...]
    unpredicted: tuple[UnpredictedScore, ...]
    formula_version: str
    inputs_digest: str
    input_runs: tuple[RunId, ...]
