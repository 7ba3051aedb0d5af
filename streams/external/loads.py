"""A run's load, and how a quantity of it was distributed: what is written of it for others (aiperf.py, guidellm.py).

Distributions are of the same values as our own figures (streams/speed/measured.py), in another unit.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from schemas.jobs import Job
from streams.speed.columns import Numbers
from streams.speed.measured import Measured, measured
from streams.speed.sweeping import Step, best_of, steps_of
from streams.speed.timings import Taken
from streams.speed.usage import asked_of
from streams.statistics.intervals import percentiles
from streams.statistics.order import needed

MS = 1e6  # nanoseconds


@dataclass(frozen=True, slots=True)
class Load:
    """A run's load, as it was asked for and measured; `steps`: of a sweep. `release`: the version of Assay that writes it.

    `remarks`: what is to be said wherever it is told of.
    """

    job: Job
    release: str
    whole: Measured
    steps: Sequence[Step] = ()
    remarks: Sequence[str] = ()

    @property
    def told(self) -> Measured:
        """What our own figures are of: of a sweep its best step, else all of it."""
        best = best_of(self.steps, slo=self.job.slo)
        return best.load if best else self.whole

    def note(self, form: str) -> str:
        """Who wrote it, of which run, and by what."""
        return (
            f"Written by Assay {self.release} of the load of run {self.job.run_id} (model {self.job.model.uri}), in the form of {form}. "
            "What Assay does not measure by the same definition is left out; a percentile that the sample cannot support is null "
            "(docs/speed.md)."
        ) + "".join(f" {one[0].upper()}{one[1:]}." for one in self.remarks)


def load_of(taken: Taken, job: Job, *, release: str, remarks: Sequence[str] = ()) -> Load:
    """The load that a job's measurements tell of."""
    steady, arrivals = taken.steady, taken.arrivals
    held_to: dict[str, Any] = {"slo": job.slo, "asked": asked_of(job.workload) if job.workload else None}
    return Load(job, release, measured(steady, arrivals, **held_to), steps_of(steady, arrivals, **held_to), remarks)


@dataclass(frozen=True, slots=True)
class Spread:
    """How at least one whole value was distributed; each figure is divided by `unit`."""

    values: Numbers
    unit: float = 1.0

    @property
    def mean(self) -> float:
        """Their mean."""
        return math.fsum(self.values) / len(self.values) / self.unit

    @property
    def deviation(self) -> float:
        """Their standard deviation, as of a whole population (over n), as both write it."""
        return float(np.std(self.values.astype(np.float64))) / self.unit

    @property
    def ends(self) -> tuple[float, float]:
        """The least and the greatest."""
        return int(self.values.min()) / self.unit, int(self.values.max()) / self.unit

    def percentiles(self, named: Mapping[str, float]) -> dict[str, float | None]:
        """Percentiles (0..100) by their names; None where the sample is too small for one, as in our own figures."""
        known = {name: share for name, share in named.items() if len(self.values) >= needed(share / 100)}
        found = dict(zip(known, percentiles(self.values, list(known.values())), strict=True)) if known else {}
        return {name: found[name] / self.unit if name in found else None for name in named}


def counted(load: Measured, name: str) -> Numbers:
    """How many tokens of that kind each request that succeeded had; those of which nothing tells are left out."""
    good = load.good if name in ("cached_tokens", "reasoning_tokens") else load.good[~load.good.are("counted_by", "none")]
    return good.known(name)
