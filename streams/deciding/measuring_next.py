"""What to measure next: by how much the chance of a right choice is expected to grow, for each dollar.

An offer says what would be measured and how noisily. For results y that the draws foretell, each draw gets the weight with which it would
have given y; the chance that j is right is then the weight of the draws in which it is. The gain is how much likelier to be right the best
choice after y is than the choice of now, averaged over y; it is 0 where no result would change the choice.

One measurement may be too small to change the choice where four of them would. So each is weighed as it is and repeated four and
sixteen times, and counts by the best gain for a dollar of these; `times` says which.

After a precise result few draws have weight, and the best of noisy chances is too good to be true. So the choice after y is made by one
half of the draws and judged by the other, each half once: what is luck in one is none in the other.

Source: N. A. Menzies, An Efficient Estimator for the Expected Value of Sample Information, Med. Decis. Making 36 (2016) 308-320;
repeating: P. Frazier and W. Powell, Paradoxes in Learning and the Marginal Value of Information, Decis. Anal. 7 (2010) 378-403, KG(*).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from streams.deciding.confidence import NONE, Confidence, Places
from streams.errors import Invalid
from streams.statistics.spreads import Floats

RESULTS: Final = 128
TIMES: Final = (1, 4, 16)
SEED: Final = 20261129
RIDGE: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Offer:
    """A measurement that can be bought: draws of what it is about, shape [draws, quantities], and the covariance of its noise.

    Documents of a task have one quantity a model, and the covariance of the models' scores over the number of documents. A speed run has
    the logarithm of its figure, and its relative error squared. `once_usd` is what comes to `usd` however often it is bought: where what is
    known already is asked again.
    """

    name: str
    usd: float
    truths: Floats
    noise: Floats
    once_usd: float = 0.0

    def costs(self, times: int) -> float:
        """What it costs, taken so many times, in USD."""
        return self.once_usd + times * self.usd

    def __post_init__(self) -> None:
        if not self.usd > 0:
            raise Invalid(f"{self.name} costs {self.usd:g} USD; a measurement must cost something to be weighed", code="offer")


@dataclass(frozen=True, slots=True)
class Worth:
    """What an offer is expected to bring, taken so many times: the chance of a right choice after it, and its gain."""

    offer: Offer
    times: int
    confidence: float
    gain: float

    @property
    def usd(self) -> float:
        """What it costs, so many times."""
        return self.offer.costs(self.times)

    @property
    def per_usd(self) -> float:
        """The gain for a dollar."""
        return self.gain / self.usd

    @property
    def words(self) -> str:
        """As people read it."""
        what = self.offer.name if self.times == 1 else f"{self.times} × {self.offer.name}"
        usd = f"{self.usd:,.2f}" if self.usd >= 0.1 else f"{self.usd:.2g}"
        return f"{what}: about ${usd}, then {100 * self.confidence:.0f} % sure" if self.gain else f"{what}: would hardly help"


def worths(now: Confidence, offers: Sequence[Offer]) -> tuple[Worth, ...]:
    """Every offer, the greatest gain for a dollar first. A gain of 0 is not worth any price."""
    found = [max((_worth(now, offer, times) for times in TIMES), key=lambda one: (one.per_usd, -one.times)) for offer in offers]
    return tuple(sorted(found, key=lambda one: (-one.per_usd, one.usd, one.offer.name)))


def _worth(now: Confidence, offer: Offer, times: int) -> Worth:
    choice = now.choice
    if choice is None:
        return Worth(offer, times, 0.0, 0.0)
    right, own = _places(now.right), int(np.searchsorted(np.unique(now.right[now.right != NONE]), choice))
    truths = _whitened(offer, times)
    by_even, by_odd = (_weights(truths, first) @ right[first::2] for first in (0, 1))
    gain = max(0.0, (_judged(by_even, by_odd, own) + _judged(by_odd, by_even, own)) / 2)
    return Worth(offer, times, min(1.0, float(now.chosen[choice]) + gain), gain)


def _judged(choosing: Floats, judging: Floats, own: int) -> float:
    """How much likelier to be right what one half chooses is than the choice of now, by the other half; both [results, candidates]."""
    taken = np.take_along_axis(judging, choosing.argmax(axis=1)[:, None], axis=1)[:, 0]
    return float((taken - judging[:, own]).mean())


def _places(right: Places) -> Floats:
    """Which of those that are ever right is so in each draw, as 0 and 1, shape [draws, those]; in a draw without one nobody is."""
    return np.asarray(right[:, None] == np.unique(right[right != NONE])[None, :], dtype=np.float64)


def _whitened(offer: Offer, times: int) -> Floats:
    """What is measured in each draw, in standard errors of so many measurements, without correlation."""
    noise = offer.noise / times + RIDGE * np.trace(offer.noise) * np.eye(len(offer.noise))
    return np.asarray((offer.truths - offer.truths.mean(axis=0)) @ np.linalg.inv(np.linalg.cholesky(noise)).T)


def _weights(truths: Floats, first: int) -> Floats:
    """The weight of every second draw from `first` on after each of the foretold results, [results, draws / 2]; rows add up to 1."""
    seen = truths[np.linspace(0, len(truths) - 1, RESULTS).astype(int)]
    seen = seen + np.random.default_rng(SEED).standard_normal(seen.shape)
    half = truths[first::2]
    far = (seen**2).sum(axis=1)[:, None] - 2 * seen @ half.T + (half**2).sum(axis=1)[None, :]
    weights = np.exp(-0.5 * (far - far.min(axis=1, keepdims=True)))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))
