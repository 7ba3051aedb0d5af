"""BERTScore's matching: by hand, and what must always hold."""

import pytest
import torch

from gpu_agent.engines.matching import Embedded, Match, best, embedded, greedy

Row = tuple[float, float]


def text(*vectors: Row, added: int = 0) -> Embedded:
    """A text by its tokens' states; the first `added` of them are not its own."""
    return embedded(torch.tensor(vectors).reshape(-1, 2), [place >= added for place in range(len(vectors))])


def test_each_token_is_matched_with_the_likest_of_the_other_text() -> None:
    """By the cosine: how long a vector is does not count."""
    found = greedy(text((3.0, 0.0), (0.0, 2.0)), text((1.0, 0.0), (0.6, 0.8), (-1.0, 0.0)))
    precision, recall = (1.0 + 0.8) / 2, (1.0 + 0.8 + 0.0) / 3
    assert (found.precision, found.recall) == pytest.approx((precision, recall))
    assert found.f1 == pytest.approx(2 * precision * recall / (precision + recall))


def test_what_the_tokenizer_adds_can_be_matched_and_weighs_nothing() -> None:
    """As bert-score has it."""
    found = greedy(text((0.0, 1.0), (1.0, 0.0), added=1), text((1.0, 0.0), (0.8, 0.6), added=1))
    assert (found.precision, found.recall) == pytest.approx((1.0, 0.8))


def test_nothing_is_matched_by_an_empty_text() -> None:
    """Whether the tokenizer adds tokens to it or not."""
    some = text((1.0, 0.0))
    for nothing in (text(), text((1.0, 0.0), added=1)):
        assert greedy(nothing, some) == greedy(some, nothing) == Match(0.0, 0.0, 0.0)


def test_of_several_references_the_best_f1_counts() -> None:
    """With its own precision and recall, whatever others have."""
    candidate = text((1.0, 0.0), (0.0, 1.0))
    narrow, wide = text((1.0, 0.0)), text((1.0, 0.0), (0.1, 1.0))
    found = best(candidate, [narrow, wide])
    assert found == greedy(candidate, wide)
    assert greedy(candidate, narrow).recall > found.recall


def test_a_text_is_like_itself_and_the_other_way_about_is_the_other_way_about() -> None:
    """Precision and recall change places, F1 stays; all lie within -1 and 1."""
    draw = torch.Generator().manual_seed(5)
    for _ in range(200):
        one, other = (
            embedded(torch.randn(length, 5, generator=draw), [True] * length)
            for length in torch.randint(1, 7, (2,), generator=draw).tolist()
        )
        there, back = greedy(one, other), greedy(other, one)
        assert (there.precision, there.recall) == pytest.approx((back.recall, back.precision), abs=1e-6)
        # What F1 divides by may be next to nothing, and makes as much of a rounding.
        assert there.f1 == pytest.approx(back.f1, abs=1e-6 * max(1.0, (there.precision + there.recall) ** -2))
        assert -1 - 1e-6 <= min(there.precision, there.recall) <= max(there.precision, there.recall) <= 1 + 1e-6
        assert greedy(one, one).f1 == pytest.approx(1.0, abs=1e-6)
