"""Confidence sequences of bounded means: intervals that hold at all times at once, however often they are looked at.

An interval of fixed size (Wilson's, a bootstrap's) holds the truth in 95 of 100 cases when it is looked at once, after a number of samples
that was fixed before. Whoever looks after every sample, and stops when it is narrow or pleasing, picks the moment, and it fails far more
often. A confidence sequence pays for all moments in advance: the chance that it *ever* fails is 5 %.

This is the predictable plug-in empirical Bernstein sequence. With values X_i in [0, 1], and λ_i and m_i that X_1 … X_(i-1) decide,

    (Σ λ_i·X_i ± (ln(2/α) + Σ 4·(X_i - m_i)²·ψ(λ_i))) / Σ λ_i,    ψ(λ) = (-ln(1 - λ) - λ) / 4

holds the mean at all times together with probability 1 - α, whatever the λ_i in [0, 1). The authors' λ are for no moment in particular;
here one is: it ends when it reaches ±h. With variance v the half-width after n samples of equal λ is (ln(2/α) + 4·n·v·ψ(λ)) / (n·λ), and
the λ that reaches h with the fewest samples is h / (v + h): that is taken, v being the variance so far. At v = 1/4 and h = 0.02 it ends
after some 4,900 samples; Wilson's interval, looked at once, needs 2,400.

A data set is finite. After i - 1 of N documents in random order, the next is drawn from those that are left, whose mean is
(N·m - S)/(N - i + 1) where m is the data set's mean and S the sum so far. With w_i = N/(N - i + 1) the same bound then holds m:

    (Σ λ_i·(X_i + S_(i-1)/(N - i + 1)) ± (ln(2/α) + Σ 4·(X_i - m_i)²·ψ(λ_i))) / Σ λ_i·w_i

and m is surely within (S + 0)/N and (S + N - n)/N. The λ that reaches h first is r·h / (v + r·h), where r is the mean of w up to the
sample at which it ends; that one is foretold by (Σ w)² / n = 2·v·ln(2/α) / h². Of 400 documents, ±0.05 needs some 280; without an end
it needs 900.

Source: I. Waudby-Smith and A. Ramdas, Estimating means of bounded random variables by betting, JRSS B 86 (2024) 1-27, theorem 2 and (14);
the same, Confidence sequences for sampling without replacement, NeurIPS 33 (2020), theorem 3.2;
Howard, Ramdas, McAuliffe and Sekhon, Ann. Statist. 49 (2021) 1055-1080, on what holds at all times.
"""

import math

import numpy as np

from streams.statistics.spreads import Floats


def sequence(values: Floats, *, half_width: float, confidence: float = 0.95, population: int | None = None) -> tuple[Floats, Floats]:
    """The lows and the highs after each of the values, shape [..., n], which lie in [0, 1]; narrowest where they reach ±half_width.

    `population`: how many values there are in all, in random order, whose mean is meant; None where they have no end.
    """
    counts = np.arange(1, values.shape[-1] + 1)
    sums = np.cumsum(values, axis=-1)
    # Half a value of 1/2 in front keeps what is foretold inside, and the variance above 0.
    means = (0.5 + sums) / (counts + 1)
    variances = (0.25 + np.cumsum((values - means) ** 2, axis=-1)) / (counts + 1)
    before, spread = _foretold(means, 0.5), _foretold(variances, 0.25)
    allowed = math.log(2 / (1 - confidence))
    aim = half_width * _gain(spread, 2 * allowed / half_width**2, population)
    bets = aim / (spread + aim)
    price = np.cumsum((values - before) ** 2 * (-np.log1p(-bets) - bets), axis=-1)
    left = None if population is None else population - counts + 1
    weight = 1.0 if left is None else population / left
    drawn = values if left is None else values + _foretold(sums, 0.0) / left
    staked = np.cumsum(bets * weight, axis=-1)
    centre, reach = np.cumsum(bets * drawn, axis=-1) / staked, (allowed + price) / staked
    least, most = (0.0, 1.0) if population is None else (sums / population, (sums + population - counts) / population)
    return np.maximum(centre - reach, least), np.minimum(centre + reach, most)


def _gain(spread: Floats, needed: float, population: int | None) -> Floats | float:
    """The mean of w up to the sample at which it is likely to end, for each variance."""
    if population is None:
        return 1.0
    counts = np.arange(1, population + 1)
    weights = np.cumsum(population / (population - counts + 1))
    place = np.searchsorted(weights**2 / counts, spread * needed)
    gain: Floats = (weights / counts)[np.minimum(place, population - 1)]
    return gain


def _foretold(found: Floats, first: float) -> Floats:
    """What was found one value before; `first` before all."""
    return np.concatenate([np.full((*found.shape[:-1], 1), first), found[..., :-1]], axis=-1)
