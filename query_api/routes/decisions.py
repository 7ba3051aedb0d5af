"""What was decided, how surely, and what came of it; and what all decisions come to."""

from typing import Literal

from pydantic import Field
from uuid6 import uuid7

from infra.identity import now_us, producer
from query_api.operations.routing import Call, Operation
from query_api.operations.shapes import Nothing, Shape
from query_api.producing.deciding import record, report
from query_api.reading import decisions as reading_decisions
from query_api.reading.paging import Paged
from schemas.decisions import Contender, DecisionRecorded, OutcomeReported
from streams.errors import Invalid
from streams.money.derivations import NANO

ID = r"^[0-9A-Za-z_.-]{1,64}$"
LONGEST_NOTE = 10_000
DEAREST_USD = 1e9  # a month


class DecisionTold(Shape):
    """A decision: for a candidate of a recommendation (its first, where none is named), or for anything else in words."""

    decision_id: str = Field(
        default_factory=lambda: str(uuid7()), pattern=ID, description="the idempotency key; drawn where it is left out"
    )
    recommendation_id: str | None = Field(default=None, description="the recommendation that it rests on")
    candidate: str | None = Field(default=None, description="a candidate of its choices; the first, where it is left out")
    chosen: str = Field(default="", max_length=500, description="what was chosen, where it rests on no recommendation")
    by: str = Field(min_length=1, max_length=200, description="who decided")
    stated_ratio: float | None = Field(default=None, ge=0, le=1, description="how sure that person is")
    note: str = Field(default="", max_length=LONGEST_NOTE)


class OutcomeTold(Shape):
    """What a decision came to. A later report takes the place of an earlier one."""

    by: str = Field(min_length=1, max_length=200, description="who reports")
    before_usd_per_month: float | None = Field(default=None, ge=0, le=DEAREST_USD)
    after_usd_per_month: float | None = Field(default=None, ge=0, le=DEAREST_USD)
    before_quality: float | None = Field(default=None, description="in whichever unit, the same for both")
    after_quality: float | None = None
    satisfaction_ratio: float | None = Field(default=None, ge=0, le=1)
    note: str = Field(default="", max_length=LONGEST_NOTE)


class Outcome(Shape):
    """The newest report of what a decision came to."""

    by: str
    before_usd_per_month: float | None
    after_usd_per_month: float | None
    saved_ratio: float | None = Field(description="the share of the bill that was saved; below 0 it grew")
    before_quality: float | None
    after_quality: float | None
    satisfaction_ratio: float | None
    note: str


class Decision(Shape):
    """A decision, and what came of it. `confidence` is what the recommendation said of what was chosen."""

    decision_id: str
    recommendation_id: str | None
    candidate: str | None
    chosen: str
    by: str
    stated_ratio: float | None
    confidence: float | None
    note: str
    decided_us: int
    reports: int
    outcome: Outcome | None


class ShareOfDecisions(Shape):
    """A figure over n decisions with its 95 % interval; what is null says why."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    why_undefined: str | None
    method: str | None = Field(default=None, description="what made the interval (docs/rigor.md); null without one")


class DecisionFigures(Shape):
    """What all decisions come to: the share made with 80 % confidence or more, and the mean share of the bill that was saved."""

    decisions: int
    confident: ShareOfDecisions
    saved: ShareOfDecisions


class DecisionsAsked(Paged):
    """Which decisions."""

    sort: Literal["-decided_us", "decided_us"] = Field(default="-decided_us", description="by when")


class DecisionPage(Shape):
    """Decisions, in the order asked for, and the figures of all."""

    decisions: tuple[Decision, ...]
    figures: DecisionFigures
    next: str | None = Field(description="the next page's cursor; null at the end")


class Recorded(Shape):
    """What was written down."""

    decision_id: str
    chosen: str
    confidence: float | None


class Reported(Shape):
    """Which report of the decision it was, from 0 on."""

    decision_id: str
    revision: int


async def record_decision(call: Call[Nothing, DecisionTold]) -> Recorded:
    """Writes down what was decided, by whom and how surely. The same `decision_id` again must say the same."""
    told = call.body
    chosen = await _chosen(call)
    event = DecisionRecorded(
        occurred_us=now_us(), producer=producer("query_api"), organisation_id=call.state.settings.organisation, by=told.by, note=told.note,
        decision_id=told.decision_id, recommendation_id=told.recommendation_id, candidate=chosen.candidate if chosen else None,
        chosen=f"{chosen.model} ({chosen.engine}) on {chosen.hardware}" if chosen else told.chosen.strip(),
        stated_ratio=told.stated_ratio, confidence=chosen.confidence if chosen else None,
    )  # fmt: skip
    await record(call.state.log, event)
    return Recorded(decision_id=event.decision_id, chosen=event.chosen, confidence=event.confidence)


async def _chosen(call: Call[Nothing, DecisionTold]) -> Contender | None:
    """The candidate that was chosen; None where the decision rests on no recommendation. Raises: NotFound, Invalid."""
    told = call.body
    if told.recommendation_id is None:
        if not told.chosen.strip():
            raise Invalid("what was decided? name a recommendation_id, or say in `chosen` what was chosen", code="no-choice")
        return None
    made = await call.state.deciding.kept(told.recommendation_id)
    found = next((one for one in made.choices if told.candidate in (None, one.candidate)), None)
    if found is None:
        raise Invalid(f"candidate {told.candidate} is none of recommendation {made.recommendation_id}'s choices", code="no-choice")
    return found


async def report_outcome(call: Call[Nothing, OutcomeTold]) -> Reported:
    """Reports what a decision came to: bill, quality and satisfaction, before it and after it."""
    told = call.body
    if told.model_dump(exclude={"by", "note"}, exclude_none=True) == {}:
        raise Invalid("the outcome has no figure; give the bill before and after, or quality, or satisfaction", code="no-outcome")
    event = OutcomeReported(
        occurred_us=now_us(), producer=producer("query_api"), organisation_id=call.state.settings.organisation, revision=0,
        decision_id=call.path["decision_id"], before_usd_nano=_nano(told.before_usd_per_month),
        after_usd_nano=_nano(told.after_usd_per_month), **told.model_dump(exclude={"before_usd_per_month", "after_usd_per_month"}),
    )  # fmt: skip
    newest = await report(call.state.log, event, seen=call.state.seen)
    return Reported(decision_id=newest.decision_id, revision=newest.revision)


def _nano(usd: float | None) -> int | None:
    return None if usd is None else round(usd * NANO)


async def decision_page(call: Call[DecisionsAsked, Nothing]) -> DecisionPage:
    """Lists decisions with what came of them, and what all of them come to."""
    return DecisionPage.model_validate(await reading_decisions.page(call.state.reading, **call.query.model_dump()))


async def decision(call: Call[Nothing, Nothing]) -> Decision:
    """Shows a decision, and what came of it."""
    return Decision.model_validate(await reading_decisions.one(call.state.reading, call.path["decision_id"]))


OPERATIONS = (
    Operation(
        "POST", "/v1/decisions", record_decision, tag="decisions", status=202, refuses=(404, 409), location="/v1/decisions/{decision_id}"
    ),
    Operation("GET", "/v1/decisions", decision_page, tag="decisions"),
    Operation("GET", "/v1/decisions/{decision_id}", decision, tag="decisions"),
    Operation("POST", "/v1/decisions/{decision_id}/outcomes", report_outcome, tag="decisions", status=202),
)
