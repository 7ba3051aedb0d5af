"""BERTScore: how well the tokens of two texts match, each with the one of the other text that its context makes most alike.

Source: Zhang et al. 2020, arXiv 1904.09675, section 3, without weights of rarity (idf) and without rescaling; as bert-score 0.3.13 computes
it (utils.py, greedy_cos_idf): tokens that the tokenizer adds can be matched, but weigh nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class Embedded:
    """A text's tokens: `vectors` of length 1, shape [tokens, width]; `own` tells those of the text from those that the tokenizer adds."""

    vectors: torch.Tensor
    own: torch.Tensor

    @property
    def empty(self) -> bool:
        """The text has no tokens of its own."""
        return not bool(self.own.any())


@dataclass(frozen=True, slots=True)
class Match:
    """How alike a candidate is to a reference, -1 to 1."""

    precision: float
    recall: float
    f1: float


def embedded(states: torch.Tensor, own: Sequence[bool]) -> Embedded:
    """A text by its tokens' hidden states, shape [tokens, width]."""
    return Embedded(torch.nn.functional.normalize(states.float(), dim=-1), torch.tensor(own, dtype=torch.bool))


def greedy(candidate: Embedded, reference: Embedded) -> Match:
    """P: the mean, over the candidate's tokens, of the cosine to the likest of the reference's. R: the other way about. F1: 2PR / (P + R).

    An empty text matches nothing: 0, as bert-score documents.
    """
    if candidate.empty or reference.empty:
        return Match(0.0, 0.0, 0.0)
    cosines = candidate.vectors @ reference.vectors.T
    precision = float(cosines.amax(dim=1)[candidate.own].mean())
    recall = float(cosines.amax(dim=0)[reference.own].mean())
    both = precision + recall
    return Match(precision, recall, 2 * precision * recall / both if both else 0.0)


def best(candidate: Embedded, references: Sequence[Embedded]) -> Match:
    """The match with the reference that has the best F1; of several the first."""
    return max((greedy(candidate, one) for one in references), key=lambda match: match.f1)
