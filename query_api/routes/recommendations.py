"""Recommendations: which model on which hardware, how surely, and what to measure next; each an event that can be reckoned again."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final, Literal

from pydantic import ConfigDict, Field, JsonValue

from query_api.access.callers import caller_of
from query_api.operations.routing import Call, Operation
from query_api.operations.shapes import Nothing, Shape
from query_api.producing.buying import bought, buying_of
from query_api.reading.deciding import LISTING, Asking, measured_names
from query_api.reading.paging import Paged
from query_api.state import State
from schemas.decisions import Contender, NextRun, RecommendationMade, Rejected, Tradeoff, Ways
from schemas.event import Who
from schemas.requirements import Requirement
from streams.deciding.drawing import SEED
from streams.deciding.readers import Taken, compared
from streams.deciding.reading import requirement_of
from streams.deciding.sentences import LONGEST, Read, as_yaml, read
from streams.errors import Invalid
from streams.money.prices import STALE_DAYS

OF_TODAY: Final = {"made_us", "stale_prices"}  # what the event itself does not tell
EXAMPLE: dict[str, JsonValue] = {
    "tasks": {"gsm8k": 1}, "floors": {"gsm8k": "60 %"}, "latency": {"ttft_p95": "800 ms"},
    "traffic": {"rate": "20/s", "input": "800 tokens", "output": "200 tokens"}, "budget": {"per_month": "3000 USD"},
}  # fmt: skip
LARGEST_SEED = 2**32


class RecommendationAsked(Shape):
    """A requirement, as docs/deciding.md writes it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"requirement": EXAMPLE}]})

    requirement: dict[str, Any] = Field(
        description="tasks, floors, latency, traffic, budget, allowed, prefer, threshold: amounts with units"
    )
    by: str = Field(default="anonymous", max_length=200, description="who asks")
    seed: int = Field(default=SEED, ge=0, lt=LARGEST_SEED, description="of the draws: the same gives the same answer")


class SentenceTold(Shape):
    """A sentence that says what somebody looks for."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"sentence": "a chatbot, 20 requests a second, on L40S, German"}]})

    sentence: str = Field(min_length=1, max_length=LONGEST, description="in English")
    reader: bool = Field(default=False, description="let the model of ASSAY_READER_URL read it too, and tell in what it differs")


class Phrase(Shape):
    """What words were taken to mean."""

    words: str
    field: str = Field(description="the part of the requirement, as traffic.rate")
    value: str | int | tuple[str, ...]
    suggested: bool = Field(description="nobody asked for it in so many words")


class ReadOtherwise(Shape):
    """A part that a model said and that no requirement can have."""

    part: str
    why: str


class FieldRead(Shape):
    """A field by both readers; null where one has nothing there."""

    field: str
    rules: str | None
    model: str | None
    same: bool


class ReadByModel(Shape):
    """What a model understood of the same sentence: validated, and not acted on. `said`: what it wrote, as text."""

    model: str
    requirement: dict[str, Any]
    yaml: str
    refused: tuple[ReadOtherwise, ...]
    compared: tuple[FieldRead, ...] = Field(description="every field that either reader has")
    said: str


class RequirementRead(Shape):
    """A requirement that was read from a sentence, to be looked over: nothing was recommended. `left`: what no rule knows."""

    requirement: dict[str, Any]
    yaml: str
    understood: tuple[Phrase, ...]
    left: tuple[str, ...]
    by_model: ReadByModel | None = Field(default=None, description="where a model was to read it too")


class Recommendation(Shape):
    """What is recommended, or between whom it is undecided and what to measure next; who was refused and why.

    Chances are shares of draws of all that was measured. Of long lists it has the first: `contending` and `refused` count all.
    """

    recommendation_id: str
    asked_by: str
    made_us: int
    decided: bool = Field(description="the first choice is surer than the threshold asks for")
    words: str
    requirement: Requirement
    considered: int
    contending: int
    refused: int
    choices: tuple[Contender, ...] = Field(description="those who keep all constraints often enough, the likeliest to be right first")
    rejected: tuple[Rejected, ...] = Field(description="the nearest to being admitted first")
    tradeoffs: tuple[Tradeoff, ...] = Field(description="the first choice less the second")
    methods: Ways | None
    knee: str | None = Field(description="the candidate where giving up a little more gains the least")
    conflict: tuple[str, ...] = Field(description="where nobody is left: the smallest set of constraints that nobody keeps together")
    nearest: Rejected | None = Field(description="where nobody is left: who comes nearest")
    next: tuple[NextRun, ...] = Field(description="where it is undecided: what to measure, the most expected for a dollar first")
    prices: str | None = Field(description="the version of the price book")
    as_of_us: int = Field(description="the time whose prices hold")
    formula_version: str
    seed: int
    draws: int
    inputs_digest: str
    input_runs: tuple[str, ...] = Field(description="all runs that were read")
    stale_prices: tuple[str, ...] = Field(
        description=f"prices of the choices that nobody has said for {STALE_DAYS} days to hold, as of today: look them up again"
    )


class RecommendationsAsked(Paged):
    """Which recommendations."""

    sort: Literal["-made_us", "made_us", "-confidence", "confidence"] = Field(default="-made_us", description="by when, or by how surely")


class RecommendationRow(Shape):
    """A recommendation and its first choice; null where nobody is left."""

    recommendation_id: str
    asked_by: str
    made_us: int
    decided: bool
    words: str
    considered: int
    contending: int
    refused: int
    model: str | None
    engine: str | None
    hardware: str | None
    confidence: float | None


class RecommendationPage(Shape):
    """Recommendations, in the order asked for."""

    recommendations: tuple[RecommendationRow, ...]
    next: str | None = Field(description="the next page's cursor; null at the end")


class Reckoned(Shape):
    """A recommendation reckoned again from the same runs, prices and seed."""

    recommendation_id: str
    equal: bool
    differs: tuple[str, ...] = Field(description="the fields in which what comes now differs from what was said")


class NextAsked(Shape):
    """Which of a recommendation's next runs is asked for, and by whom."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"place": 0, "by": "ada"}]})

    place: int = Field(default=0, ge=0, lt=100, description="its place in `next`: 0 is the first")
    by: Who = Field(default="anonymous", description="who asks; a member's key says its own name")


class RunAsked(Shape):
    """A run that carries out a part of it."""

    run_id: str
    command: str


class NextBought(Shape):
    """The runs of a next run. `new`: they are asked for now; else they were before, and nothing was."""

    recommendation_id: str
    place: int
    what: str
    usd: float | None = Field(description="what it is expected to cost; null where nobody has measured that")
    new: bool
    runs: tuple[RunAsked, ...]


def said(made: RecommendationMade, stale: tuple[str, ...]) -> Recommendation:
    """The event as the API tells it, and which of its prices are old."""
    fields = set(Recommendation.model_fields) - OF_TODAY
    return Recommendation(made_us=made.occurred_us, stale_prices=stale, **{name: getattr(made, name) for name in fields})


async def read_sentence(call: Call[Nothing, SentenceTold]) -> RequirementRead:
    """Reads a sentence into a requirement, by rules, and where `reader` says so by a model too.

    It is for people to look over, and then to ask a recommendation for. Where no rule understands anything, the model's stands alone.
    """
    asked, names = call.body, await measured_names(call.state.reading)
    by_model = await model_reading(call.state, asked.sentence, names) if asked.reader else None
    found = by_rules(asked.sentence, names, alone=by_model is None)
    told = dict(found.requirement)
    return RequirementRead.model_validate({
        "requirement": told, "yaml": as_yaml(told), "left": found.left, "understood": [asdict(one) for one in found.understood],
        "by_model": by_model and by_model_told(call.state.reader.name, by_model, told),
    })  # fmt: skip


def by_rules(sentence: str, names: Mapping[str, list[str]], *, alone: bool) -> Read:
    """What rules understand. Raises: Invalid where that is nothing, and they are the only ones who read it."""
    try:
        return read(sentence, **names)
    except Invalid:
        if alone or len(sentence) > LONGEST:
            raise
        return Read({}, (), (sentence,))


async def model_reading(state: State, sentence: str, names: Mapping[str, list[str]]) -> Taken:
    """What the model of the settings understands. Raises: Invalid where there is none, Unavailable where it does not answer."""
    return await state.reader.read(sentence, tasks=[*names["tasks"], *names["suites"]])


def by_model_told(model: str, found: Taken, rules: Mapping[str, Any]) -> dict[str, Any]:
    """A model's reading as the API tells it."""
    return {
        "model": model, "requirement": dict(found.requirement), "yaml": as_yaml(found.requirement), "said": found.said,
        "refused": [{"part": part, "why": why} for part, why in found.refused.items()],
        "compared": [asdict(one) | {"same": one.same} for one in compared(rules, found.requirement)],
    }  # fmt: skip


async def recommend(call: Call[Nothing, RecommendationAsked]) -> Recommendation:
    """Recommends a model, engine and hardware for a requirement, from what was measured.

    Below the threshold nothing is chosen, and `next` says what to measure, what that costs and with which command. The same question to
    the same measurements is the same recommendation.
    """
    asked = call.body
    asking = Asking(requirement_of(asked.requirement), asked.by, asked.seed)
    made = await call.state.deciding.recommended(asking, call.state.log.publish)
    return said(made, await call.state.deciding.stale_prices(made))


async def recommendation(call: Call[Nothing, Nothing]) -> Recommendation:
    """Shows a recommendation as it was made."""
    made = await call.state.deciding.kept(call.path["recommendation_id"])
    return said(made, await call.state.deciding.stale_prices(made))


async def recommendations(call: Call[RecommendationsAsked, Nothing]) -> RecommendationPage:
    """Lists recommendations, the newest first."""
    found, following = await call.state.reading.page(LISTING, **call.query.model_dump())
    return RecommendationPage.model_validate({"recommendations": found, "next": following})


async def reckon_again(call: Call[Nothing, Nothing]) -> Reckoned:
    """Reckons a recommendation again from the runs, prices and seed that it names, and says whether it comes out the same."""
    made = await call.state.deciding.kept(call.path["recommendation_id"])
    again = await call.state.deciding.again(made)
    names = sorted(name for name in set(Recommendation.model_fields) - OF_TODAY if getattr(made, name) != getattr(again, name))
    return Reckoned(recommendation_id=made.recommendation_id, equal=not names, differs=tuple(names))


async def ask_for_next(call: Call[Nothing, NextAsked]) -> NextBought:
    """Asks for a next run that a recommendation names: each of its commands as a run, labelled with the recommendation.

    Once for each recommendation and place: asked again it tells the same runs, and asks for nothing. Look at `next` before: it has the
    commands and the price.
    """
    made = await call.state.deciding.kept(call.path["recommendation_id"])
    buying = buying_of(made, call.body.place)
    new = await bought(call.state, buying, by=caller_of(call.request).member or call.body.by)
    runs = [
        RunAsked(run_id=run_id, command=ask.command) for ask, several in zip(buying.asks, buying.run_ids, strict=True) for run_id in several
    ]
    return NextBought(
        recommendation_id=made.recommendation_id, place=buying.place, what=buying.one.what, usd=buying.one.usd, new=new, runs=tuple(runs)
    )


OPERATIONS = (
    Operation("POST", "/v1/requirements", read_sentence, tag="decisions"),
    Operation("POST", "/v1/recommendations", recommend, tag="decisions", status=202, location="/v1/recommendations/{recommendation_id}"),
    Operation("GET", "/v1/recommendations", recommendations, tag="decisions"),
    Operation("GET", "/v1/recommendations/{recommendation_id}", recommendation, tag="decisions"),
    Operation("POST", "/v1/recommendations/{recommendation_id}/next", ask_for_next, tag="decisions", status=202, refuses=(404, 409)),
    Operation("GET", "/v1/recommendations/{recommendation_id}/again", reckon_again, tag="decisions", refuses=(422,)),
)
