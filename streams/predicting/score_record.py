"""How good predictions of scores have been: each beside the run of the model that scored the task later, of several the one that counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from schemas.predictions import ScorePredicted
from streams.deciding.evidence import Evidence, known_tasks
from streams.predicting.scored import runs_of, score_of
from streams.statistics.intervals import wilson


@dataclass(frozen=True, slots=True)
class ScoreCame:
    """A score that was measured after it was predicted. Errors are predicted less measured; `within`: its interval has it."""

    prediction_id: str
    task: str
    run_id: str
    measured: float
    within: bool
    promised: float
    error: float
    baseline_error: float


@dataclass(frozen=True, slots=True)
class ScoresKept:
    """All predicted scores that were measured since: the share of their intervals that held, with its 95 % interval, beside the share that
    was promised, and the median size of their errors beside that of the median of all models."""

    n: int
    within: float
    low: float
    high: float
    promised: float
    median_error: float
    median_baseline_error: float


def came_of(made: ScorePredicted, evidence: Evidence) -> list[ScoreCame]:
    """What came of a prediction, task by task, from the run behind it that scored the task: a newer one takes the place of one before."""
    groups = known_tasks(evidence.results.values())
    later = [run for run in runs_of(evidence, made.model, made.model_sha) if run.latest_us > made.occurred_us]
    found = []
    for told in made.scores:
        scored = ((run, score_of(run, groups.get(told.task, ()))) for run in later)
        if first := next(((run, score) for run, score in scored if score is not None), None):
            run, score = first
            within = told.low <= score <= told.high
            errors = told.value - score, told.baseline - score
            found.append(ScoreCame(made.prediction_id, told.task, run.run_id, score, within, told.level, *errors))
    return found


def kept_of(came: Sequence[ScoreCame]) -> ScoresKept | None:
    """The record of all of them; None where none was measured since."""
    if not came:
        return None
    share = sum(one.within for one in came) / len(came)
    low, high = wilson(share, len(came)) or (0.0, 1.0)
    errors, beside = ([abs(getattr(one, name)) for one in came] for name in ("error", "baseline_error"))
    return ScoresKept(len(came), share, low, high, sum(one.promised for one in came) / len(came), median(errors), median(beside))
