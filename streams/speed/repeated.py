"""Several runs of one load: what a figure is on the mean over them, how much it differs from run to run, and whether that is chance.

A run's own interval says how sure its figure is for that run. What changes from one run to the next (how a server came up, where its memory
lies, what else the machine does) is in no run's interval, and only several runs tell of it.

- The mean's 95 % interval is Student's over the runs' figures: x̄ ± t · s / √k, with k - 1 degrees of freedom, and not below 0, for no such
  figure is.
- Whether the runs differ more than their own intervals say: Cochran's Q with equal weights, Q = Σ(xᵢ - x̄)² / σ², beside χ² with k - 1
  degrees of freedom; σ² is the mean of the runs' own squared errors (an interval's width / 2z). Equal, for all are of one load; with each
  run's own error, which is estimated too, equal runs are said to differ too often.

Held to what they say in tests/simulation/test_repeated.py.
Source: the interval, A. Georges, D. Buytaert and L. Eeckhout, Statistically Rigorous Java Performance Evaluation, OOPSLA 2007, section 3;
Q, W. G. Cochran, Biometrics 10 (1954) 101-129.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from scipy.special import chdtrc

from streams.statistics.intervals import Z95, t95

# The main figures: their names in answers and in words, their units, our metrics, and how much of those is one.
FIGURES: Final = (
    ("capacity_tokens_per_s", "tokens/s at capacity", "tokens/s", "capacity_tokens_per_s", 1.0),
    ("concurrent_tokens_per_s", "tokens/s at its concurrency", "tokens/s", "concurrent_tokens_per_s", 1.0),
    ("ttft_p50_s", "TTFT p50", "s", "ttft_p50", 1e9), ("ttft_p95_s", "TTFT p95", "s", "ttft_p95", 1e9),
    ("itl_p50_s", "ITL p50", "s", "itl_p50", 1e9), ("itl_p95_s", "ITL p95", "s", "itl_p95", 1e9),
    ("joules_per_token", "J/token", "J", "energy_per_output_token_uj", 1e6),
)  # fmt: skip
METHOD: Final = "Student, between runs"
NAMES: Final = {name: words for name, words, *_ in FIGURES}
UNITS: Final = {name: unit for name, _, unit, *_ in FIGURES}
TEST: Final = "Cochran's Q"
SURELY: Final = 0.01  # several figures are tested: by chance 4 % of four are said to differ
ALONE: Final = "one run alone: run the same load again"
NO_INTERVAL: Final = "figures of single runs have no interval here"
NO_WIDTH: Final = "the runs' own intervals have no width"


@dataclass(frozen=True, slots=True)
class Own:
    """A run's own figure, with its 95 % interval where it has one."""

    run_id: str
    value: float
    low: float | None = None
    high: float | None = None
    method: str | None = None

    @property
    def error(self) -> float | None:
        """The standard error that its interval says; None without one."""
        return None if self.low is None or self.high is None else (self.high - self.low) / (2 * Z95)


@dataclass(frozen=True, slots=True)
class Repeated:
    """A figure over at least one run: the mean, and its 95 % interval between runs (None for one run alone).

    `between`: the standard deviation from run to run; `within`: the standard error of one run by its own interval, the root of their mean
    square. `p`: how likely runs that are equal differ so much; `untested` says why it is not there.
    """

    metric: str
    runs: tuple[Own, ...]
    value: float
    low: float | None
    high: float | None
    between: float | None
    within: float | None
    p: float | None
    untested: str | None

    @property
    def differs(self) -> bool | None:
        """Whether the runs differ more than their own intervals say; None where that is not tested."""
        return None if self.p is None else self.p < SURELY


def repeated(metric: str, runs: Sequence[Own]) -> Repeated:
    """The figure, which is never below 0, over those runs, of which there is at least one."""
    k, values = len(runs), [run.value for run in runs]
    value, within = math.fsum(values) / k, _within(runs)
    if k < 2:
        return Repeated(metric, tuple(runs), value, None, None, None, within, None, ALONE)
    square = math.fsum((one - value) ** 2 for one in values)
    between = math.sqrt(square / (k - 1))
    half = t95(k - 1) * between / math.sqrt(k)
    untested = NO_INTERVAL if within is None else None if within > 0 else NO_WIDTH
    p = None if untested or not within else float(chdtrc(k - 1, square / within**2))
    return Repeated(metric, tuple(runs), value, max(0.0, value - half), value + half, between, within, p, untested)


def _within(runs: Sequence[Own]) -> float | None:
    errors = [run.error for run in runs]
    known = [error for error in errors if error is not None]
    return math.sqrt(math.fsum(error**2 for error in known) / len(known)) if len(known) == len(errors) else None


def said(figures: Iterable[Repeated]) -> str | None:
    """Which of the figures differ more from run to run than the runs' own intervals say, in words; None where none does."""
    told = [f"{NAMES[one.metric]} (p {_p(one.p)})" for one in figures if one.p is not None and one.differs]
    return f"runs differ more than their own intervals: {', '.join(told)}; {TEST}" if told else None


def _p(p: float) -> str:
    return "< 0.0001" if p < 1e-4 else f"= {p:.2g}"
