"""Tasks that two scorer versions share: a newer one came while a run's answers were being scored, or has begun to score it anew.

No figure mixes versions, so that nothing comes of such a task until the newer one has all of its samples: it is asked for the others.
"""

from collections.abc import Iterator

from streams.quality.scores import TaskScores, settled_by
from streams.settling.runs import Run


def lacking(run: Run) -> Iterator[tuple[str, TaskScores]]:
    """Tasks, each with the newest scorer's scores: of which all is scored, but by no one version all that its run needs."""
    for planned in run.plan.tasks if run.plan else ():
        if (newest := _newest(run, planned.task)) is not None and not _is_known(run, planned.task, newest):
            yield planned.task, newest


def _newest(run: Run, task: str) -> TaskScores | None:
    """By the newest version that scores this task; of a run that is scored anew, that scores the run."""
    versions = [version for version in run.versions if (task, version) in run.scores or run.before]
    return run.scores.get((task, max(versions)), TaskScores()) if versions else None


def _is_known(run: Run, task: str, newest: TaskScores) -> bool:
    """Its figures are known; or samples of it are to be scored that nobody has scored."""
    expected, every = run.expected(task), [scores for (name, _), scores in run.scores.items() if name == task]
    if expected is None or newest.complete(expected) or (run.before is None and run.complete_scores(task)):
        return True
    return run.before is None and (len(every) < 2 or len(settled_by(every)) < expected)
