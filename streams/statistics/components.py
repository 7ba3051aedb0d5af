"""Where the variance of a score comes from.

From document to document, from one answer to the next on the same document, and from one set-up (few-shot examples, prompt format) to
another.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from streams.statistics.spreads import Floats


@dataclass(frozen=True, slots=True)
class Components:
    """The variance between documents' own means, and that within a document, of one answer.

    The mean over d documents with r repeats has the variance between/d + within/(d·r): more documents make both smaller, more repeats the
    second alone.
    """

    between: float
    within: float

    @property
    def share_between(self) -> float | None:
        """How much of one answer's variance is between documents, 0 to 1; None where nothing varies."""
        whole = self.between + self.within
        return self.between / whole if whole > 0 else None


def components(documents: Sequence[Sequence[float]]) -> Components | None:
    """Of documents' values, each of one or more repeats; None below two documents, or where none has two values.

    within = Σ (v - mean_d)² / (N - D); between = (Σ n_d·(mean_d - mean)² / (D - 1) - within) / n₀, 0 at least, with
    n₀ = (N - Σ n_d²/N) / (D - 1). Source: Searle, Casella and McCulloch, Variance Components (1992), section 3.6; what it is good for:
    Miller, Adding Error Bars to Evals (2024), arXiv 2411.00640, section 3.
    """
    count, total = len(documents), sum(map(len, documents))
    if count < 2 or total <= count:
        return None
    means = [math.fsum(one) / len(one) for one in documents]
    centre = math.fsum(value for one in documents for value in one) / total
    within = math.fsum((value - mean) ** 2 for one, mean in zip(documents, means, strict=True) for value in one) / (total - count)
    among = math.fsum(len(one) * (mean - centre) ** 2 for one, mean in zip(documents, means, strict=True)) / (count - 1)
    typical = (total - sum(len(one) ** 2 for one in documents) / total) / (count - 1)
    return Components(max(0.0, (among - within) / typical), within)


@dataclass(frozen=True, slots=True)
class Crossed:
    """The variance between documents' own means, between set-ups' own means, and within: of one document under one set-up beside both.

    `documents` and `setups` count them. The mean over all has the variance between/D + apart/S + within/(D·S).
    """

    between: float
    within: float
    apart: float
    documents: int
    setups: int

    @property
    def added(self) -> float:
        """What set-ups add to the variance of the mean, for others might have given another; it has S - 1 degrees of freedom."""
        return (self.apart + kept(self.within / self.documents, self.setups)) / self.setups

    def half_width(self, *, documents: int = 1, setups: int = 1) -> float:
        """The half-width of a 95 % interval with so many times the documents and set-ups, about, as if documents were independent.

        √(z²·(between/D + within/(D·S)) + t²·(apart + within/(D·(S - 1)))/S), t at S - 1 degrees of freedom; as the intervals have it
        (intervals.mean_of).
        """
        d, s = documents * self.documents, setups * self.setups
        z, t = (float(stdtrit(freedom, 0.975)) for freedom in (d - 1, s - 1))
        return math.sqrt(z**2 * (self.between / d + self.within / (d * s)) + t**2 * (self.apart + kept(self.within / d, s)) / s)


def kept(noise: float, setups: int) -> float:
    """How much of what documents alone set so many set-ups' means apart by (a variance) is not taken away from how far apart they are.

    Few set-ups may happen to agree, and would be taken for alike: two that differ by an SD of 0.3 to 1 (log-odds) on 400 documents had
    intervals that held 0.86 to 0.91 of means, and 0.96 or more with all of it kept. Source: `make bench-rigor`.
    """
    return noise / (setups - 1)


def crossed(table: Floats) -> Crossed | None:
    """Of values, shape [documents, set-ups], each a document's mean over its repeats under one; None below two, or where one is infinite.

    MS_e = Σ (v - v_d - v_s + v̄)² / ((D - 1)(S - 1)), MS_d = S·Σ (v_d - v̄)² / (D - 1), MS_s = D·Σ (v_s - v̄)² / (S - 1); within = MS_e,
    between = (MS_d - MS_e)/S and apart = (MS_s - MS_e)/D, 0 at least. Source: Searle, Casella and McCulloch, Variance Components (1992),
    section 4.3, the two-way crossed classification without interaction; of scores, Miller (2024), section 3; that set-ups differ: Sclar
    et al., ICLR 2024, arXiv 2310.11324.
    """
    documents, setups = table.shape
    if documents < 2 or setups < 2 or not np.isfinite(table).all():
        return None
    centre, rows, columns = float(table.mean()), table.mean(axis=1), table.mean(axis=0)
    rest = table - rows[:, None] - columns[None, :] + centre
    within = float((rest**2).sum()) / ((documents - 1) * (setups - 1))
    between = setups * float(((rows - centre) ** 2).sum()) / (documents - 1)
    apart = documents * float(((columns - centre) ** 2).sum()) / (setups - 1)
    return Crossed(max(0.0, between - within) / setups, within, max(0.0, apart - within) / documents, documents, setups)


def table_of(documents: Sequence[Sequence[Sequence[float]]]) -> Floats:
    """Documents' means under each set-up, shape [documents, set-ups], of their repeats' values; documents with a gap are left out."""
    whole = [[math.fsum(cell) / len(cell) for cell in one] for one in documents if one and all(one)]
    return np.asarray(whole, dtype=np.float64).reshape(len(whole), len(documents[0]) if documents else 0)
