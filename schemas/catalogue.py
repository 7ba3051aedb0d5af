"""Every event, in the order in which a run meets them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from schemas import builds, decisions, external, jobs, labels, measurements, predictions, requests, results, runs, settled, trust
from schemas.event import Event

EVENTS: Final[Mapping[str, type[Event]]] = MappingProxyType(
    {
        event.__name__: event
        for event in (
            requests.EvaluationRequested,
            requests.CancellationRequested,
            runs.RunChanged,
            builds.TaskBuilt,
            builds.ContentPublished,
            builds.SampleBuilt,
            jobs.JobPlanned,
            jobs.DispatcherTook,
            jobs.DispatcherBeat,
            jobs.JobReleased,
            runs.RunDelayed,
            jobs.JobChanged,
            jobs.ModelLoaded,
            jobs.EnvironmentSeen,
            jobs.AgentBeat,
            measurements.SampleAnswered,
            measurements.RequestTimed,
            measurements.TokensTimed,
            measurements.ResourceRead,
            results.SampleScored,
            results.SampleNotScored,
            results.RunScored,
            results.TaskStopped,
            labels.AnswerLabelled,
            results.PerformanceSummarised,
            settled.RunSettled,
            settled.RunProgressed,
            results.CostSummarised,
            results.RankingChanged,
            results.PricePublished,
            decisions.RecommendationMade,
            decisions.DecisionRecorded,
            decisions.OutcomeReported,
            predictions.PredictionMade,
            predictions.ScorePredicted,
            external.ExternalResultImported,
            trust.RunSealed,
            trust.EventQuarantined,
            trust.RunAudited,
            trust.RunRetracted,
            trust.TextsForgotten,
            trust.AccessChanged,
            trust.DeadLettered,
        )
    }
)
