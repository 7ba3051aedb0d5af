"""Every topic, in the order in which a run meets them. A topic's partition count is chosen when it is made, and fixed for life."""

import zlib
from dataclasses import dataclass
from typing import Final

from schemas import builds, decisions, external, jobs, labels, measurements, predictions, requests, results, runs, settled, trust
from schemas.event import Event

FOREVER_MS: Final = -1
DAY_MS: Final = 24 * 3600 * 1000
WEEK_MS: Final = 7 * DAY_MS
JOB_PARTITIONS: Final = 16  # that a job topic is made with


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic, its one event type, and how long it is kept (-1: for ever). `partitions`: it is made with, where not as all others.

    How many it has the log says (`Log.partitions`).
    """

    name: str
    event: type[Event]
    partitions: int | None = None
    retention_ms: int = FOREVER_MS

    @property
    def subject(self) -> str:
        """The registry subject of its values."""
        return f"{self.name}-value"


REQUESTS: Final = Topic("assay.requests.v1", requests.EvaluationRequested)
CANCELLATIONS: Final = Topic("assay.cancellations.v1", requests.CancellationRequested)
RUNS: Final = Topic("assay.runs.v1", runs.RunChanged)
BUILDS: Final = Topic("assay.builds.v1", builds.TaskBuilt)
CONTENTS: Final = Topic("assay.contents.v1", builds.ContentPublished)
SAMPLES: Final = Topic("assay.samples.v1", builds.SampleBuilt)
JOBS_PLANNED: Final = Topic("assay.jobs-planned.v1", jobs.JobPlanned)
DISPATCHERS: Final = Topic("assay.dispatchers.v1", jobs.DispatcherTook)
DISPATCHER_BEATS: Final = Topic("assay.dispatcher-beats.v1", jobs.DispatcherBeat, retention_ms=DAY_MS)
DELAYS: Final = Topic("assay.delays.v1", runs.RunDelayed, retention_ms=WEEK_MS)
JOB_STATUS: Final = Topic("assay.job-status.v1", jobs.JobChanged)
MODEL_LOADS: Final = Topic("assay.model-loads.v1", jobs.ModelLoaded)
ENVIRONMENTS: Final = Topic("assay.environments.v1", jobs.EnvironmentSeen)
HEARTBEATS: Final = Topic("assay.heartbeats.v1", jobs.AgentBeat, retention_ms=WEEK_MS)
ANSWERS: Final = Topic("assay.answers.v1", measurements.SampleAnswered)
REQUEST_TIMINGS: Final = Topic("assay.request-timings.v1", measurements.RequestTimed)
TOKEN_TIMINGS: Final = Topic("assay.token-timings.v1", measurements.TokensTimed)
RESOURCES: Final = Topic("assay.resources.v1", measurements.ResourceRead)
SCORES: Final = Topic("assay.scores.v1", results.SampleScored)
NOT_SCORED: Final = Topic("assay.not-scored.v1", results.SampleNotScored)
RUN_SCORES: Final = Topic("assay.run-scores.v1", results.RunScored)
STOPS: Final = Topic("assay.stops.v1", results.TaskStopped)
LABELS: Final = Topic("assay.labels.v1", labels.AnswerLabelled)
PERFORMANCE: Final = Topic("assay.performance.v1", results.PerformanceSummarised)
RESULTS: Final = Topic("assay.results.v1", settled.RunSettled)
PROGRESS: Final = Topic("assay.progress.v1", settled.RunProgressed, retention_ms=WEEK_MS)
COSTS: Final = Topic("assay.costs.v1", results.CostSummarised)
RANKINGS: Final = Topic("assay.rankings.v1", results.RankingChanged)
PRICES: Final = Topic("assay.prices.v1", results.PricePublished)
RECOMMENDATIONS: Final = Topic("assay.recommendations.v1", decisions.RecommendationMade)
DECISIONS: Final = Topic("assay.decisions.v1", decisions.DecisionRecorded)
OUTCOMES: Final = Topic("assay.outcomes.v1", decisions.OutcomeReported)
PREDICTIONS: Final = Topic("assay.predictions.v1", predictions.PredictionMade)
SCORE_PREDICTIONS: Final = Topic("assay.score-predictions.v1", predictions.ScorePredicted)
EXTERNAL: Final = Topic("assay.external-results.v1", external.ExternalResultImported)
SEALS: Final = Topic("assay.seals.v1", trust.RunSealed)
QUARANTINE: Final = Topic("assay.quarantine.v1", trust.EventQuarantined)
AUDITS: Final = Topic("assay.audits.v1", trust.RunAudited)
RETRACTIONS: Final = Topic("assay.retractions.v1", trust.RunRetracted)
FORGOTTEN: Final = Topic("assay.forgotten.v1", trust.TextsForgotten)
ACCESS: Final = Topic("assay.access.v1", trust.AccessChanged)
DEAD_LETTERS: Final = Topic("assay.dead-letters.v1", trust.DeadLettered)


def partition_of(agent_id: str, *, partitions: int) -> int:
    """The partition of its pool's job topic, of so many as the broker says that it has, which an agent reads."""
    return zlib.crc32(agent_id.encode()) % partitions


def jobs_topic(pool: str) -> Topic:
    """The topic on which a pool's leases are written; an agent reads just its own partition of it."""
    return Topic(f"assay.jobs.{pool}.v1", jobs.JobReleased, partitions=JOB_PARTITIONS)


JOBS_DEFAULT: Final = jobs_topic("default")
TOPICS: Final[tuple[Topic, ...]] = tuple(value for value in list(globals().values()) if isinstance(value, Topic))
BY_NAME: Final = {topic.name: topic for topic in TOPICS}
BY_EVENT: Final = {topic.event: topic for topic in TOPICS}


def topic_named(name: str) -> Topic | None:
    """The topic of that name, job topics of any pool included; None where there is none."""
    if name in BY_NAME:
        return BY_NAME[name]
    pool = name.removeprefix("assay.jobs.").removesuffix(".v1")
    return jobs_topic(pool) if name == f"assay.jobs.{pool}.v1" else None


def topic_of(event: Event) -> Topic:
    """The topic that an event is written to."""
    if isinstance(event, jobs.JobReleased):
        return jobs_topic(event.pool)
    return BY_EVENT[type(event)]
