"""Whether a load's state was steady over its window: no trend in how long requests took, by Mann and Kendall's test over batch means.

E2E of the requests sent behind the ramp, in the order of sending, is divided into 20 batches of one size (the first values, which do not
fill one, are left out). Means of batches depend little on one another, though the values do, so that

    S = Σ sign(m_j - m_i) over i < j,    Var S = n(n - 1)(2n + 5) / 18,    z = (S - sign S) / √Var S

is near normal where there is no trend. A trend is told where chance alone gives as much in 1 % of steady loads. It finds what rises or
falls all through (a queue that grows, a device that heats up), and hardly what swings to and fro; in a queue near saturation batches
depend on each other still, and a steady load is now and then said to have a trend: send for longer.

Source: H. B. Mann, Econometrica 13 (1945) 245-259; M. G. Kendall, Rank Correlation Methods (4th ed. 1975), chapter 4, for the variance and
the correction for continuity; batch means: A. M. Law, Simulation Modeling and Analysis (5th ed. 2015), section 9.5.3.
"""

import math
from typing import Final

import numpy as np
from scipy.special import ndtr

from schemas.results import Figure
from streams.speed.columns import Numbers

BATCHES: Final = 20
LEAST: Final = 2 * BATCHES  # a batch of one value is none
ALPHA: Final = 0.01
METHOD: Final = f"Mann-Kendall over {BATCHES} batch means"


def of_a_batch(n: int) -> Figure:
    """It has no steady state."""
    return Figure(metric="steady", value=None, n=n, unit="1", why_undefined="it was one batch: it has no steady state")


def steady(took_ns: Numbers) -> Figure:
    """1 where the times have no trend, 0 where they have one, which `origin` tells; undefined below 40. They are in sending order."""
    size = len(took_ns) // BATCHES
    if len(took_ns) < LEAST:
        return Figure(metric="steady", value=None, n=len(took_ns), unit="1", why_undefined=f"needs {LEAST} requests")
    means = took_ns[len(took_ns) - size * BATCHES :].reshape(BATCHES, size).mean(axis=1)
    signs = int(np.sign(means[None, :] - means[:, None])[np.triu_indices(BATCHES, 1)].sum())
    variance = BATCHES * (BATCHES - 1) * (2 * BATCHES + 5) / 18
    p = 2 * float(ndtr(-max(0, abs(signs) - 1) / math.sqrt(variance)))
    first, last = float(means[: BATCHES // 2].mean()), float(means[BATCHES // 2 :].mean())
    told = f"E2E {'rises' if signs > 0 else 'falls'}: {first / 1e6:.4g} ms in the window's first half, {last / 1e6:.4g} ms in its second"
    return Figure(
        metric="steady", value=float(p >= ALPHA), n=len(took_ns), unit="1", method=METHOD,
        origin=None if p >= ALPHA else f"{told} (p {'below 0.0001' if p < 1e-4 else f'= {p:.2g}'})",
    )  # fmt: skip
