"""What was recommended and on what it rests; what was decided then, and what came of it."""

from typing import ClassVar

from schemas.event import Double, Event, Finite, Record, RunId
from schemas.requirements import Requirement


class DrawnFigure(Record):
    """A figure as measured, and the 2.5 % and 97.5 % percentiles of its draws, in its unit."""

    figure: str
    unit: str
    value: Double
    low: Double
    high: Double


class Sized(Record):
    """How many replicas the day's peak needs: by goodput and headroom alone, and by the queue that requests wait in.

    `places`: requests that a replica has under way at a time, each for `service_s`; `waiting_ratio` and `too_long_ratio`: the share of
    requests that wait at all, and longer than `longest_wait_s`; `mean_wait_s` is null where the queue would grow without end.
    """

    replicas: int
    by_rate: int
    by_queue: int
    goodput_per_s: Double
    places: int
    service_s: Double
    busy_ratio: Finite
    waiting_ratio: Finite
    too_long_ratio: Finite
    longest_wait_s: Finite
    mean_wait_s: Finite | None


class Guide(Record):
    """How to run what was measured: the server's command, the same for `docker compose`, what to watch, and what to know before.

    `command` is null where nothing serves that engine; `notes` then say why. `speed_run`: the run that it rests on.
    """

    command: str | None
    compose: str | None
    alerts: tuple[str, ...]
    notes: tuple[str, ...]
    speed_run: RunId | None


class Contender(Record):
    """Somebody who may be chosen: the chances of keeping all constraints, of the front and of being right, and what choosing it loses.

    `why` is all of it in words; `measured_by` are the runs that it rests on; `lacks` are figures that count and were not measured.
    """

    candidate: str
    model: str
    engine: str
    hardware: str
    feasible: Finite
    pareto: Finite
    confidence: Finite
    loss: Double
    why: str
    figures: tuple[DrawnFigure, ...]
    lacks: tuple[str, ...]
    measured_by: tuple[RunId, ...]
    usd_per_hour: Double | None
    capacity: Sized | None
    guide: Guide | None


class Rejected(Record):
    """Somebody who is refused: what it breaks, and for each of these the nearest change that would admit it."""

    candidate: str
    model: str
    engine: str
    hardware: str
    feasible: Finite
    reason: str
    changes: tuple[str, ...]
    measured_by: tuple[RunId, ...]


class Tradeoff(Record):
    """The first choice less the runner-up in one figure, with the 95 % interval of the draws, and what that means."""

    figure: str
    unit: str
    difference: Double
    low: Double
    high: Double
    words: str


class Ways(Record):
    """Whom each method of weighing would choose, by candidate; null: nobody keeps all constraints as measured."""

    swing: str | None
    topsis: str | None
    lexicographic: str | None
    agree: bool
    words: str


class NextRun(Record):
    """A measurement worth taking: what it costs and brings, and the commands that ask for it.

    `usd`, `confidence` and `gain` are null where it has no price or the draws foretell nothing: nobody has measured that figure yet.
    """

    what: str
    usd: Double | None
    confidence: Finite | None
    gain: Double | None
    words: str
    commands: tuple[str, ...]


class RecommendationMade(Event):
    """An answer to a requirement. It follows from its inputs alone: the same again is the same event.

    `input_runs` are all runs that were read, `inputs_digest` a name of what they say, `prices` the version of the price book, `as_of_us`
    the time whose prices hold. `considered`, `contending` and `refused` count candidates; of long lists the event has the first.
    """

    identity: ClassVar[tuple[str, ...]] = ("recommendation_id",)
    key: ClassVar[tuple[str, ...]] = ("recommendation_id",)

    recommendation_id: str
    asked_by: str
    requirement: Requirement
    formula_version: str
    seed: int
    draws: int
    prices: str | None
    as_of_us: int
    inputs_digest: str
    input_runs: tuple[RunId, ...]
    considered: int
    contending: int
    refused: int
    decided: bool
    words: str
    choices: tuple[Contender, ...]
    rejected: tuple[Rejected, ...]
    tradeoffs: tuple[Tradeoff, ...]
    methods: Ways | None
    knee: str | None
    conflict: tuple[str, ...]
    nearest: Rejected | None
    next: tuple[NextRun, ...]


class DecisionRecorded(Event):
    """What somebody decided, and how sure they were: a candidate of a recommendation, or anything else in words.

    `stated_ratio` is how sure the person is; `confidence` what the recommendation said of the candidate; null where neither is known.
    """

    identity: ClassVar[tuple[str, ...]] = ("decision_id",)
    key: ClassVar[tuple[str, ...]] = ("decision_id",)

    decision_id: str
    recommendation_id: str | None
    candidate: str | None
    chosen: str
    by: str
    stated_ratio: Finite | None
    confidence: Finite | None
    note: str = ""


class OutcomeReported(Event):
    """What a decision came to: before it and after it. Of several reports of one decision the last in the log holds.

    `revision` tells it from the others. Bills are in billionths of a USD a month; quality is in the team's own unit; satisfaction from
    0 to 1.
    """

    identity: ClassVar[tuple[str, ...]] = ("decision_id", "revision")
    key: ClassVar[tuple[str, ...]] = ("decision_id",)

    decision_id: str
    revision: int
    by: str
    before_usd_nano: int | None
    after_usd_nano: int | None
    before_quality: Finite | None = None
    after_quality: Finite | None = None
    satisfaction_ratio: Finite | None = None
    note: str = ""
