"""What follows from a run that is over, worked out anew: what may never come to an end in processes of its own (infra/apart.py)."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Self, TypeVar

from infra.apart import Apart, Hangs
from infra.builds import Builds
from infra.harness.aggregating import Aggregated, aggregated
from infra.harness.limits import GRACE_S
from infra.identity import producer
from infra.settings import Settings
from infra.text_keys import FORGOTTEN
from infra.vault import Vault
from schemas.event import Event
from schemas.results import RunScored
from schemas.runs import PlannedTask
from schemas.settled import LeftOut
from streams.errors import Invalid, Permanent
from streams.quality.scores import Key, Opened, TaskScores
from streams.settling import results
from streams.settling.runs import Run

STAMP: Final = producer("replay")
PATIENT_EACH: Final = 100_000  # samples or requests
E = TypeVar("E", bound=Event)
T = TypeVar("T")
Does = Callable[[Callable[[], Any]], Any]


@dataclass(frozen=True, slots=True)
class Ways:
    """Where it is worked out: `apart` what a settler may have hung over; in `aggregating` tasks' own aggregations, of `limit_s` each."""

    apart: Apart
    aggregating: Apart
    limit_s: float

    @classmethod
    @contextmanager
    def of(cls, settings: Settings) -> Iterator[Self]:
        """For as long as it lasts."""
        limit_s = settings.aggregate_limit_s
        with Apart(hang_s=settings.hang_s) as apart, Apart(hang_s=limit_s + 2 * GRACE_S) as aggregating:
            yield cls(apart, aggregating, limit_s)

    def aggregated(self, config_json: str, metric: str, parts: Sequence[str], groups: Sequence[int] | None) -> Aggregated:
        """As the settler has it."""
        try:
            return self.aggregating.of(partial(_untold, partial(aggregated, config_json, metric, parts, groups, self.limit_s)))
        except Hangs:
            return Aggregated(None, None, f"aggregating {metric} over {len(parts)} samples ended its process")


async def recomputed(run: Run, builds: Builds, ways: Ways, vault: Vault, *, doubtful: bool) -> AsyncIterator[tuple[str, Event]]:
    """What follows from a run, each with its kind. `doubtful`: its settler may have hung over it.

    Raises: Permanent, where that rests on texts that were forgotten.
    """
    size = sum(planned.samples * planned.repeats for planned in run.plan.tasks) + (run.plan.perf_requests or 0) if run.plan else 0
    does = partial(_apart, ways.apart, 1 + size / PATIENT_EACH) if doubtful else _here
    scores, missing = dict[str, RunScored](), list[LeftOut]()
    for planned in run.plan.tasks if run.plan else ():
        config_json = await builds.config_of(planned.build_id)
        for found in run.each_standing(planned.task):
            opened = vault.parts_of(planned.task, found[0], run_id=run.run_id, organisation_id=run.organisation_id)
            scoring = partial(_scored, run, planned, found, config_json=config_json, opened=opened, ways=ways, does=does)
            if said := _where_it_can(scoring, planned.task, found[0], missing):
                scores[planned.task] = said
                yield "run_scores", said
                break
    works = [work for job_id in sorted(run.speeds) if (work := results.summarising(run, job_id, stamp=STAMP))]
    speeds = [speed for work in works if (speed := _where_it_can(partial(does, work), None, None, missing))]
    for speed in speeds:
        yield "performance", speed
    yield "results", results.settled(run, scores, speeds[-1] if speeds else None, through={}, stamp=STAMP, missing=missing)


def _scored(
    run: Run, planned: PlannedTask, found: tuple[str, TaskScores], *, config_json: str, opened: Opened, ways: Ways, does: Does
) -> RunScored | None:  # fmt: skip
    parts = found[1].parts(means=results.means(planned), opened=opened)
    known = {key: ways.aggregated(config_json, key[1], told, found[1].groups(key)) for key, told in parts.items()}
    said: RunScored | None = does(partial(results.scored, run, planned.task, aggregate=partial(_of, known), stamp=STAMP, taken=found))
    return said


def _of(known: Mapping[Key, Aggregated], key: Key, _parts: list[str]) -> tuple[float | None, float | None]:
    if (found := known[key]).why:
        raise Invalid(found.why, code="not-aggregated")
    return found.value, found.stderr


def _where_it_can(work: Callable[[], E | None], task: str | None, version: str | None, missing: list[LeftOut]) -> E | None:
    """What comes of it; None where it breaks, which is then missing of the run, as it is where the run is settled."""
    try:
        return work()
    except Exception as error:  # one run's: what it says of that is compared
        if isinstance(error, Permanent) and error.code == FORGOTTEN:
            raise
        missing.append(results.left_out(task, version, error))
        return None


def _here(work: Callable[[], T]) -> T:
    return work()


def _apart(apart: Apart, patience: float, work: Callable[[], T]) -> T:
    return apart.of(partial(_untold, work), patience=patience)


def _untold(work: Callable[[], T], _moved: Callable[[], None]) -> T:
    """What work gives that tells of no step."""
    return work()
