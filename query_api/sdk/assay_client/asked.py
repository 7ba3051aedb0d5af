"""What submissions may say and lists be asked for, by name. Made from docs/openapi.json by `make schemas`."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

from assay_client import models


class Terms(TypedDict, total=False):
    """What a submission asks for, beside its model and tasks."""

    submitter: str
    """who asks; agents are shared fairly between submitters"""
    purpose: Literal["evaluate", "audit", "train"]
    parent_run: str | None
    """the run whose answers derived tasks judge"""
    engine: models.EngineChoice | Mapping[str, Any]
    suite: str | None
    """the board on which the run is ranked; one of the project's suites brings its tasks, where none are named"""
    chat: models.ChatInput | Mapping[str, Any]
    workload: models.Workload | Mapping[str, Any] | None
    """a load to measure speed under"""
    slo: models.Objective | Mapping[str, Any] | None
    judges: Sequence[str]
    """models that judge the answers by the usual rubric, once they are complete"""
    stop_rule: str | None
    priority: int
    """higher goes first"""
    budget: models.Budget | Mapping[str, Any]
    credential_ref: str | None
    labels: Mapping[str, str]
    pool: str
    visibility: Literal["public", "organisation", "private"]
    """private: its prompts and answers are told nowhere but in the log"""
    suite_version: str | None
    """a suite's version; the project's own suites say theirs"""
    pinned: bool
    """refuse tasks that differ from what they are pinned to, instead of telling it"""
    skip_missing: bool
    """go on without tasks that cannot run here, instead of refusing all"""
    skip_bad_rows: bool
    """leave out rows of any task's data that cannot be asked or scored, and count them"""
    judgements: Sequence[models.Judgement | Mapping[str, Any]]
    """judges of the answers, each in a run of its own"""
    against_run: str | None
    """the run whose answers those of parent_run are compared with"""
    stopping: models.Stopping | Mapping[str, Any] | None
    """when a task is known well enough to stop early; null: it runs whole"""
    model_published: str | None
    """when the model was published, YYYY-MM or YYYY-MM-DD: data that are older may have been seen; else its card says"""
    no_truncation: bool
    """fail over a request that the model's window would truncate"""
    model_licences: Sequence[str]
    """SPDX ids: a model under any other licence is refused; none: all are taken"""
    data_licences: Sequence[str]
    """SPDX ids: a task whose data are under any other licence is refused; none: all are taken"""
    non_commercial: bool
    """take data whose licence is for non-commercial use alone, which are refused else"""
    adaptive: int | None
    """ask so many documents of each task, and estimate the whole by other models' runs; null: it asks all"""
    audit_of: str | None
    """the run that an audit runs again; `POST /v1/runs/{run_id}/audits` asks for one"""
    audit_ratio: float | None
    """the share of its documents that are asked again, drawn by its seal; null: all"""
    limit: int | None
    """the first so many samples of each task that has no limit of its own"""
    limit_ratio: float | None
    """that share of each task's samples, where it has no limit of its own"""


class RunFilters(TypedDict, total=False):
    """Filters and order of `/v1/runs`; null is as left out."""

    state: Literal["requested", "planned", "rejected", "running", "completed", "failed", "cancelled"] | None
    """only those in this state"""
    model: str | None
    """only of this model: its whole address, or the last part of it"""
    task: str | None
    """only those that run this task"""
    suite: str | None
    """only those ranked on this board"""
    submitter: str | None
    """only those that this one asked for"""
    campaign: str | None
    """only those of this campaign"""
    sort: Literal["-requested_us", "requested_us", "-changed_us", "changed_us", "model", "-model"] | None
    """by what; a minus: the greatest first"""


class SampleFilters(TypedDict, total=False):
    """Filters and order of `/v1/runs/{run_id}/samples`; null is as left out."""

    task: str | None
    """only this task's"""
    metric: str | None
    """`value`, its bounds and differences are this metric's (else the task's main one)"""
    filter: str | None
    """the same, under this filter"""
    doc_id: int | None
    """only of this document"""
    min_value: float | None
    """only those whose value is at least this"""
    max_value: float | None
    """only those whose value is at most this"""
    differs_from: str | None
    """only those that another run of the same build scored otherwise: its run_id"""
    sort: Literal["task", "-task", "value", "-value"] | None
    """task and ordinal, or value"""


class BoardFilters(TypedDict, total=False):
    """Filters and order of `/v1/boards`; null is as left out."""

    match: str | None
    """only those whose name has this in it"""
    sort: Literal["board", "-board", "newest_us", "-newest_us"] | None
    """by name, or by when it changed"""


class PriceFilters(TypedDict, total=False):
    """Filters and order of `/v1/prices`; null is as left out."""

    item: str | None
    """only this item's"""
    version: str | None
    """only those of this version of the book"""
    sort: Literal["-published_us", "published_us", "item", "-item"] | None
    """by when, or by what"""


class AgentFilters(TypedDict, total=False):
    """Filters and order of `/v1/agents`; null is as left out."""

    pool: str | None
    """only those of this pool"""
    sort: Literal["pool", "-pool", "seen_us", "-seen_us"] | None
    """by pool and name, or by the last heartbeat"""


class LetterFilters(TypedDict, total=False):
    """Filters and order of `/v1/dead-letters`; null is as left out."""

    topic: str | None
    """only those that came from this topic"""
    reason_code: str | None
    """only those with this reason"""
    sort: Literal["written_us", "-written_us"] | None
    """by when it was said"""


class RankingFilters(TypedDict, total=False):
    """Filters and order of `/v1/rankings`; null is as left out."""

    model: str | None
    """only of this model: its whole address, or the last part of it"""
    engine: str | None
    """only those measured with this engine"""
    hardware: str | None
    """only those measured on this hardware"""
    max_rank: int | None
    """only those with this rank or a better one"""
    sort: (
        Literal[
            "rank",
            "-rank",
            "model",
            "-model",
            "score",
            "-score",
            "output_tokens_per_s",
            "-output_tokens_per_s",
            "ttft_p50_s",
            "-ttft_p50_s",
            "joules_per_token",
            "-joules_per_token",
        ]
        | None
    )
    """by what; a minus: the greatest first; what is not known comes last"""


class JudgementFilters(TypedDict, total=False):
    """Filters and order of `/v1/runs/{run_id}/judgements`; null is as left out."""

    state: Literal["requested", "planned", "rejected", "running", "completed", "failed", "cancelled"] | None
    """only those in this state"""
    judge: str | None
    """only those by this model: its whole address, or the last part of it"""
    task: str | None
    """only those that run this derived task"""
    sort: Literal["requested_us", "-requested_us", "changed_us", "-changed_us", "judge", "-judge"] | None
    """by what; a minus: the greatest first"""


class LabelFilters(TypedDict, total=False):
    """Filters and order of `/v1/runs/{run_id}/labels`; null is as left out."""

    judgement: str | None
    """only those on the scale of this derived task"""
    by: str | None
    """only this person's"""
    sort: Literal["task", "-task", "labelled_us", "-labelled_us"] | None
    """by the answer, or by when"""


class CostFilters(TypedDict, total=False):
    """Filters and order of `/v1/runs/{run_id}/cost`; null is as left out."""

    version: str | None
    """only under this version"""
    sort: Literal["-published_us", "published_us"] | None
    """by when the version was published"""


class SuiteFilters(TypedDict, total=False):
    """Filters and order of `/v1/suites`; null is as left out."""

    match: str | None
    """only those whose name has this in it"""
    sort: Literal["name", "-name"] | None
    """by name; a minus: backwards"""


class SuiteTaskFilters(TypedDict, total=False):
    """Filters and order of `/v1/suites/{suite}/tasks`; null is as left out."""

    match: str | None
    """only those whose name has this in it"""
    group: str | None
    """only those of this group"""
    licence: str | None
    """only those whose data have this licence"""
    sort: Literal["place", "-place", "task", "-task", "samples", "-samples"] | None
    """as the suite has them, by name, or by how many samples they have; what is not known comes last"""


class RecommendationFilters(TypedDict, total=False):
    """Filters and order of `/v1/recommendations`; null is as left out."""

    sort: Literal["-made_us", "made_us", "-confidence", "confidence"] | None
    """by when, or by how surely"""


class PredictionFilters(TypedDict, total=False):
    """Filters and order of `/v1/predictions`; null is as left out."""

    sort: Literal["-made_us", "made_us"] | None
    """by when"""


class ScorePredictionFilters(TypedDict, total=False):
    """Filters and order of `/v1/score-predictions`; null is as left out."""

    sort: Literal["-made_us", "made_us"] | None
    """by when"""


class DecisionFilters(TypedDict, total=False):
    """Filters and order of `/v1/decisions`; null is as left out."""

    sort: Literal["-decided_us", "decided_us"] | None
    """by when"""
