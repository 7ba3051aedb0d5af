"""Estimates drawn towards what all have in common, as far as their noise calls for it.

Whoever picks the best of many estimates picks luck too: the winner's true value lies, on average, below what was measured. The spread of
the estimates is their truths' spread plus noise, so the truths' is known, and each estimate x with variance v belongs at

    centre + (1 - B)·(x - centre),   with variance v·(1 - B·(k - 1)/k) + 2·B²·(x - centre)²/(k - 3),   B = (k - 3)/(k - 1) · v/(τ² + v).

That τ² is known from k estimates alone is in all three: where it is found to be 0 the estimates are not taken for one and the same.

Source: C. N. Morris, Parametric Empirical Bayes Inference, JASA 78 (1983) 47-55, equations 1.13 to 1.18; τ² by moments: R. DerSimonian and
N. Laird, Control. Clin. Trials 7 (1986) 177-188.
"""

from typing import Final

import numpy as np

from streams.statistics.spreads import Floats

FEWEST: Final = 4  # estimates below which their spread says too little


def shrunk(values: Floats, draws: Floats) -> tuple[Floats, Floats]:
    """Estimates, shape [n], and resamples of them, [draws, n], moved towards their centre; fewer than four are left as they are."""
    variances = draws.var(axis=0)
    if len(values) < FEWEST or not bool((variances > 0).all()):
        return values, draws
    count, (centre, spread) = len(values), common(values, variances)
    drawn_in = (count - 3) / (count - 1) * variances / (spread + variances)
    moved = values - drawn_in * (values - centre)
    left = variances * (1 - drawn_in * (count - 1) / count) + 2 * (drawn_in * (values - centre)) ** 2 / (count - 3)
    return moved, moved + np.sqrt(left / variances) * (draws - values)


def common(values: Floats, variances: Floats) -> tuple[float, float]:
    """The centre of the truths behind estimates, and their variance τ², which is not negative."""
    weights = 1 / variances
    mean = float(weights @ values / weights.sum())
    heterogeneity = float(weights @ (values - mean) ** 2)
    scale = float(weights.sum() - (weights**2).sum() / weights.sum())
    spread = max(0.0, (heterogeneity - (len(values) - 1)) / scale)
    pooled = 1 / (variances + spread)
    return float(pooled @ values / pooled.sum()), spread
