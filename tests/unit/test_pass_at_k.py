"""pass@k: the unbiased estimator, held to its definition and to the form that the reference computes."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.harness.code import CodeEval, pass_at_k


@given(st.integers(1, 200), st.data())
def test_it_is_what_the_reference_computes(candidates: int, data: st.DataObject) -> None:
    """1 - Π (1 - k/i) for i from n-c+1 to n: Chen et al. (2021), figure 3."""
    passed, k = data.draw(st.integers(0, candidates)), data.draw(st.integers(1, candidates))
    factors = 1.0 - k / np.arange(candidates - passed + 1, candidates + 1)
    expected = 1.0 if candidates - passed < k else 1.0 - float(np.prod(factors))
    assert pass_at_k(candidates, passed, k) == pytest.approx(expected, abs=1e-12)


def test_it_is_the_share_of_draws_that_hold_one_that_passes() -> None:
    """All draws of 3 of 7 candidates, of which 2 pass."""
    draws = list(itertools.combinations([True, True] + [False] * 5, 3))
    assert pass_at_k(7, 2, 3) == pytest.approx(sum(map(any, draws)) / len(draws))


def test_a_metric_that_is_being_imported_runs_nothing() -> None:
    """A task can be built where there is no sandbox."""
    assert CodeEval(loading=True).compute(references=["assert f()"], predictions=[["raise SystemExit"]], k=[1]) == ({"pass@1": 0.0}, {})
