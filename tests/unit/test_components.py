"""Where a score's variance comes from: by hand, and by simulation."""

import numpy as np
import pytest

from query_api.drawing.varied import varied
from streams.statistics.components import components


def test_by_hand() -> None:
    """Two documents of two repeats: within (0.5 + 0) / 2, among 2·(½ - ¾)² + 2·(1 - ¾)² = ¼, so (¼ - ¼) / 2 between."""
    found = components([[0.0, 1.0], [1.0, 1.0]])
    assert found is not None
    assert (found.within, found.between) == (0.25, 0.0)
    assert components([[1.0], [0.0]]) is None
    assert components([[1.0, 0.0]]) is None
    none = components([[1.0, 1.0], [1.0, 1.0]])
    assert none is not None and none.share_between is None


def test_what_was_put_in_comes_out() -> None:
    """Documents of unlike counts, some 2 between and 3 within."""
    draw = np.random.default_rng(1)
    documents = [draw.normal(draw.normal(0, 2**0.5), 3**0.5, draw.integers(1, 8)).tolist() for _ in range(4000)]
    found = components(documents)
    assert found is not None
    assert found.between == pytest.approx(2, rel=0.1)
    assert found.within == pytest.approx(3, rel=0.1)
    assert found.share_between == pytest.approx(0.4, abs=0.03)


def test_in_words_it_says_what_buys_precision() -> None:
    """And nothing where there is nothing to say."""
    assert varied({"repeats": 1, "between_documents": None, "within_documents": None}) == ""
    assert varied({"repeats": 2, "between_documents": 0.0, "within_documents": 0.0}) == ""
    told = varied({"repeats": 5, "between_documents": 0.2, "within_documents": 0.05})
    assert told == "; 80% of the variance is between documents: more documents, not more repeats, make it surer"
    assert "more repeats make it surer too" in varied({"repeats": 2, "between_documents": 0.01, "within_documents": 0.2})
