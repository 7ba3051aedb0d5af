"""People's labels of a run's answers, judges held to them, and the strengths of models that are compared in pairs."""

from typing import Any, Literal

from pydantic import ConfigDict, Field

from query_api.access.owning import header_of_own
from query_api.operations.routing import Call, Operation
from query_api.operations.shapes import Nothing, Shape
from query_api.producing.labelling import check_places, labels_of, publish
from query_api.reading import held, labels
from query_api.reading.paging import Paged
from query_api.routes.judgements import Agreed
from schemas.event import RunId
from streams.quality.labels import LARGEST, LONGEST_NOTE, scale_of

AT_ONCE = 10_000
EXAMPLE: dict[str, Any] = {
    "judgement": "assay_judge_writing", "by": "ada", "labels": [{"task": "my_story", "ordinal": 3, "label": "7", "note": "a weak end"}],
}  # fmt: skip


class LabelTold(Shape):
    """A person's word on one answer."""

    task: str = Field(description="the task that was answered")
    ordinal: int = Field(ge=0, lt=LARGEST, description="the sample, as the list of samples has it")
    repeat: int = Field(default=0, ge=0, lt=LARGEST)
    request: int = Field(default=0, ge=0, lt=LARGEST)
    draw: int = Field(default=0, ge=0, lt=LARGEST)
    label: str | int | float = Field(description="a number on the metric's scale; of two answers: first, second or tie")
    swapped: bool = Field(default=False, description="of two answers: the other run's was shown first")
    by: str = Field(default="", max_length=200, description="whose word it is, where not that of all")
    note: str = Field(default="", max_length=LONGEST_NOTE)


class LabelsTold(Shape):
    """Labels to publish, all or none."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    judgement: str = Field(description="the derived task on whose scale they are, as assay_judge_writing")
    metric: str = Field(default="", description="its metric; the usual one, where it is left out")
    against_run: RunId | None = Field(default=None, description="of two answers: the run whose the others are")
    by: str = Field(min_length=1, max_length=200, description="who labelled")
    labels: tuple[LabelTold, ...] = Field(min_length=1, max_length=AT_ONCE)


class LabelsPublished(Shape):
    """How many labels said something new; the others had been said before, alike."""

    published: int


class LabelsAsked(Paged):
    """Which labels."""

    judgement: str = Field(default="", description="only those on the scale of this derived task")
    by: str = Field(default="", description="only this person's")
    sort: Literal["task", "-task", "labelled_us", "-labelled_us"] = Field(default="task", description="by the answer, or by when")


class Label(Shape):
    """A person's word on one answer, as it stands. `value`: what it is on the scale; of two answers what the run's own is worth."""

    task: str
    ordinal: int
    repeat: int
    request: int
    draw: int
    judgement: str
    metric: str
    against_run: RunId | None
    by: str
    label: str
    value: float
    swapped: bool
    note: str
    revision: int = Field(description="how often it was corrected")
    labelled_us: int


class LabelPage(Shape):
    """Labels, in the order asked for."""

    labels: tuple[Label, ...]
    next: str | None = Field(description="the next page's cursor; null at the end")


class ToLabelAsked(Shape):
    """Which answers to draw."""

    judgement: str = Field(description="the derived task on whose scale they will be labelled; with `:task` of that task alone")
    against_run: RunId | None = Field(default=None, description="of two answers: the run whose the others are")
    count: int = Field(default=100, ge=1, le=1000, description="how many")
    seed: int = Field(default=0, description="the same seed draws the same answers; more of it are the same and more")


class ToLabel(Shape):
    """An answer for a person to label. Of two, `answer` stands first and `other` second; `swapped`: the first is the other run's."""

    task: str
    ordinal: int
    repeat: int
    request: int
    draw: int
    swapped: bool
    prompt: str
    answer: str
    other: str | None


class ToLabelPage(Shape):
    """A random sample of a run's written answers, and what a person may say of each."""

    judgement: str
    metric: str
    scale: str
    answers: tuple[ToLabel, ...]


class Measured(Shape):
    """A figure with its standard error and 95 % interval over n answers; what is null, perhaps the interval alone, says why."""

    value: float | None
    stderr: float | None
    low: float | None
    high: float | None
    n: int
    method: str
    why_undefined: str | None


class Correction(Shape):
    """A judge's metric held to people's labels.

    `judged`: the judge's own mean; `people`: that of the labels alone; `corrected`: what people would say of all answers, by both.
    """

    run_id: RunId = Field(description="the run that judges")
    judge: str
    task: str
    metric: str
    against_run: RunId | None
    judged: Measured
    people: Measured
    corrected: Measured
    tuning: float | None = Field(description="how much the judge is worth to it, 0 to 1: λ of PPI++")
    bias: Measured = Field(description="the judge's values less people's, on the same answers")
    agreement: Agreed = Field(description="of judge and people")
    among_people: Agreed = Field(description="of people, where several labelled the same")
    labels: int = Field(description="answers that people labelled and the judge scored")
    persons: int
    unmatched: int = Field(description="answers that people labelled and the judge did not score")


class Corrections(Shape):
    """Judges of a run's answers, held to people."""

    run_id: RunId
    corrections: tuple[Correction, ...]


class Estimated(Shape):
    """An estimate with its 95 % interval; what is null, perhaps the interval alone, says why."""

    value: float | None
    low: float | None
    high: float | None
    why_undefined: str | None
    method: str | None = Field(default=None, description="what made the interval (docs/rigor.md); null without one")


class StrongModel(Shape):
    """A model among those compared. `strength`: log-odds, 0 being the mean; `points`: what it is expected to win, a tie counting half."""

    model: str
    bouts: int
    strength: Estimated
    points: Estimated
    equally_long: Estimated = Field(description="its strength if all answers were equally long")


class Standing(Shape):
    """Strengths of models by one judge's comparisons in pairs (or people's), the strongest first: Bradley–Terry with ties and order."""

    judge: str
    task: str
    comparisons: int = Field(description="pairs of runs that were compared")
    bouts: int
    documents: int
    why_undefined: str | None
    models: tuple[StrongModel, ...]
    order: Estimated = Field(description="what the first place is worth, in log-odds")
    ties: Estimated = Field(description="the share of ties between equals")
    length: Estimated = Field(description="what being twice as long is worth, in log-odds")


class Strengths(Shape):
    """Strengths of the models that judges compared with a run's, each judge for itself."""

    run_id: RunId
    strengths: tuple[Standing, ...]


async def label_page(call: Call[LabelsAsked, Nothing]) -> LabelPage:
    """Lists people's labels of a run's answers, of each the newest."""
    found, following = await labels.labels(call.state.reading, call.path["run_id"], **call.query.model_dump())
    return LabelPage.model_validate({"labels": found, "next": following})


async def publish_labels(call: Call[Nothing, LabelsTold]) -> LabelsPublished:
    """Publishes people's labels of a run's answers, all or none.

    The same again is nothing new; another word of the same person on the same answer is a correction.
    """
    told, run_id = call.body, call.path["run_id"]
    header = await header_of_own(call.state, await call.state.reading.state(run_id))
    scale = scale_of(told.judgement, told.metric)
    places = await labels.places(call.state.reading, run_id, against_run=told.against_run, scale=scale, judgement=told.judgement)
    made = labels_of([one.model_dump() for one in told.labels], run_id=run_id, against_run=told.against_run, scale=scale, by=told.by,
                     header=header)  # fmt: skip
    check_places(made, places)
    return LabelsPublished(published=await publish(call.state.log, run_id, made))


async def to_label(call: Call[ToLabelAsked, Nothing]) -> ToLabelPage:
    """Draws a run's answers for people to label, with what was asked. Of two answers the order is drawn too."""
    asked = call.query
    scale = scale_of(asked.judgement)
    rows = await labels.to_label(call.state.reading, call.path["run_id"], **asked.model_dump())
    return ToLabelPage.model_validate({"judgement": asked.judgement, "metric": scale.metric, "scale": scale.told(), "answers": rows})


async def corrections(call: Call[Nothing, Nothing]) -> Corrections:
    """Shows what judges of a run's answers say when people's labels correct them (prediction-powered inference)."""
    run_id = call.path["run_id"]
    return Corrections.model_validate({"run_id": run_id, "corrections": await held.corrections(call.state.reading, run_id)})


async def strengths(call: Call[Nothing, Nothing]) -> Strengths:
    """Shows the strengths of models that were compared in pairs with a run's: ties, order and length are told apart."""
    run_id = call.path["run_id"]
    return Strengths.model_validate({"run_id": run_id, "strengths": await held.standing(call.state.reading, run_id)})


OPERATIONS = (
    Operation("GET", "/v1/runs/{run_id}/labels", label_page, tag="runs"),
    Operation("POST", "/v1/runs/{run_id}/labels", publish_labels, tag="runs", status=202),
    Operation("GET", "/v1/runs/{run_id}/to-label", to_label, tag="runs", refuses=(422,)),
    Operation("GET", "/v1/runs/{run_id}/corrections", corrections, tag="runs"),
    Operation("GET", "/v1/runs/{run_id}/strengths", strengths, tag="runs"),
)
