"""How sure a model is, and with what right: calibration of choices, and how well it foretells text."""

import functools
import math
import re
from collections.abc import Callable, Sequence

import numpy as np
from scipy.special import chdtri, ndtr

from infra.harness.metrics.measure import Case, Total, mean_of, of_sums
from streams.statistics.intervals import Z95, wilson
from streams.statistics.spreads import Floats

BINS = 15
SMALLEST = 1e-9


def probabilities(loglikelihoods: Sequence[float]) -> list[float]:
    """The choices' shares e^l / Σ e^l."""
    highest = max(loglikelihoods)
    shares = [math.exp(one - highest) for one in loglikelihoods]
    return [share / math.fsum(shares) for share in shares]


def _decided(case: Case) -> bool:
    return case.right is not None and len(case.choices) > 1 and math.isfinite(max(case.choices))


def brier(case: Case) -> float | None:
    """Σ (p_k - y_k)² over the choices, 0 to 2, y being 1 for the right one. Source: G. W. Brier, Monthly Weather Review 78 (1950) 1–3."""
    if not _decided(case):
        return None
    return math.fsum((share - (place == case.right)) ** 2 for place, share in enumerate(probabilities(case.choices)))


def confidence(case: Case) -> list[float] | None:
    """The highest share, and 1 where it is the right choice's, else 0."""
    if not _decided(case):
        return None
    shares = probabilities(case.choices)
    highest = max(shares)
    return [highest, float(shares.index(highest) == case.right)]


def binned(parts: list[float]) -> list[float]:
    """Confidence and rightness in the place of their bin ((m-1)/15, m/15]; two numbers a bin."""
    bin_of = min(BINS - 1, max(0, math.ceil(parts[0] * BINS) - 1))
    return [number if place == bin_of else 0.0 for place in range(BINS) for number in (*parts, 1.0)]


def ece(sums: list[float]) -> float | None:
    """Expected calibration error Σ_m n_m/n · |right_m - confidence_m| over 15 bins of equal width, 0 to 1, its bias and all.

    Source: Guo et al., ICML 2017, arXiv 1706.04599, equation 3.
    """
    bins = [sums[first : first + 3] for first in range(0, len(sums), 3)]
    count = math.fsum(one[2] for one in bins)
    return math.fsum(abs(sure - right) for sure, right, _ in bins) / count if count else None


def calibration(sums: list[float]) -> Total:
    """The debiased calibration error, and its standard error, 0 to 1: max(0, Σ_m w_m·(2·|d_m| - E|N(d_m, s_m²)|) - B/2) and
    √(Σ_m w_m²·e_m²) + B/2z, with B = Σ_m w_m·(2 - √2)·√(2/π)·s_m·e^(-(d_m/s_m)²/4).

    d is a bin's confidence less its share of right answers p, s² = p(1 - p)/n with p smoothed by half a sample either way, w its part of
    the samples; e the greater of s and how much farther off, over z, the farther end of p's interval (Wilson's) is: few wrong answers may
    be far too few. The plain error is never 0 by chance alone: of a calibrated model it is 0.09 at 100 samples. B is what the debiasing
    leaves of that, all of it in a bin that is calibrated and none in one that is far from it; which of them are nobody knows, so that the
    interval reaches lower by B, and no less high. Where the bins are consistent with calibration, by χ² at 5 %, the error is no less than
    value/z, so that the interval holds 0.
    Source: Kumar, Liang and Ma, NeurIPS 2019, arXiv 1909.10155, section 5, for the power 1 with the folded normal in place of draws;
    Roelofs et al., AISTATS 2022, arXiv 2012.08668; consistency: Vaicenavicius et al., AISTATS 2019, arXiv 1902.06977, section 4.
    """
    bins = np.asarray(sums).reshape(-1, 3)
    sure, right, n = bins[bins[:, 2] > 0].T
    if not len(n):
        return None, None
    apart, share, part = np.abs(sure - right) / n, (right + 0.5) / (n + 1), n / n.sum()
    error = np.sqrt(share * (1 - share) / n)
    folded = error * math.sqrt(2 / math.pi) * np.exp(-((apart / error) ** 2) / 2) + apart * (1 - 2 * ndtr(-apart / error))
    left = float(part @ (error * np.exp(-((apart / error) ** 2) / 4))) * (2 - math.sqrt(2)) * math.sqrt(2 / math.pi)
    value = max(0.0, float(part @ (2 * apart - folded)) - left / 2)
    reach = np.maximum(error, (_farthest(sure / n, right / n, n) - apart) / Z95)
    stderr = math.sqrt(float(part**2 @ reach**2)) + left / 2 / Z95
    if n.sum() < 2:
        return value, None
    return value, max(stderr, value / Z95) if _consistent(sure, right, n) else stderr


def _farthest(sure: Floats, share: Floats, n: Floats) -> Floats:
    """How far from each confidence the farther end of the interval of its bin's share of right answers is, of so many samples."""
    ends = np.asarray([wilson(one, count) for one, count in zip(share.tolist(), n.tolist(), strict=True)])
    found: Floats = np.abs(ends - sure[:, None]).max(axis=1)
    return found


def _consistent(sure: Floats, right: Floats, n: Floats) -> bool:
    """Σ (right - sure)² / (n·c(1 - c)), c = sure/n, has not passed χ²'s 95 % quantile for as many degrees of freedom as there are bins."""
    varied = np.maximum(sure * (1 - sure / n), SMALLEST)
    return float(((right - sure) ** 2 / varied).sum()) <= float(chdtri(len(n), 0.05))


def lengths(case: Case) -> list[float] | None:
    """Log-likelihood (nats), bytes and words of a text."""
    if case.likelihood is None or not case.told:
        return None
    return [case.likelihood, float(len(case.told.encode())), float(len(re.split(r"\s+", case.told)))]


def bits_per_byte(sums: list[float]) -> float | None:
    """-Σ l / (ln 2 · Σ bytes). Source: lm-eval 0.4.13, api/metrics.py, bits_per_byte; Gao et al., The Pile (2020), section 3.1."""
    return -sums[0] / (math.log(2) * sums[1]) if sums[1] and math.isfinite(sums[0]) else None


def perplexity(unit: int, sums: list[float]) -> float | None:
    """exp(-Σ l / Σ units), units being bytes (1) or words (2). Source: lm-eval 0.4.13, api/metrics.py, weighted_perplexity."""
    return math.exp(-sums[0] / sums[unit]) if sums[unit] and math.isfinite(sums[0]) and -sums[0] / sums[unit] < 700 else None


_Figure = Callable[[list[float]], float | None]
CALIBRATION = (
    of_sums("ece", "choices", confidence, ece, higher_is_better=False, spread=binned, whole=calibration),
    mean_of("brier", "choices", brier, higher_is_better=False),
)
BITS_PER_BYTE = (of_sums("bits_per_byte", "likelihood", lengths, bits_per_byte, higher_is_better=False),)
PERPLEXITY = tuple(
    of_sums(f"{name}_perplexity", "likelihood", lengths, functools.partial(perplexity, unit), higher_is_better=False)
    for unit, name in ((1, "byte"), (2, "word"))
)
