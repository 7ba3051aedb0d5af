"""Where the variance of a score comes from: from document to document, or from one answer to the next on the same document."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


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
