"""Strengths from comparisons in pairs: against the likelihood's own summit, what it does not depend on, and what has no answer."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import minimize

from streams.statistics.pairs import FEWEST, Bout, strengths


def drawn(seed: int, *, own: Sequence[float], documents: int, order: float = 0.0, tie: float = 0.5, length: float = 0.0) -> list[Bout]:
    """Both orders of every pair of models with these strengths."""
    draw, bouts = np.random.default_rng(seed), []
    written = draw.normal(size=(documents, len(own)))
    for document, (i, j) in itertools.product(range(documents), itertools.permutations(range(len(own)), 2)):
        longer = float(written[document, i] - written[document, j])
        ahead = own[i] - own[j] + order + length * longer
        chances = np.exp([ahead / 2, math.log(tie), -ahead / 2])
        bouts.append(Bout(f"m{i}", f"m{j}", 1 - draw.choice(3, p=chances / chances.sum()) / 2, longer, document))
    return bouts


def likelihood(parameters: Sequence[float], bouts: Sequence[Bout]) -> float:
    """The negative one, written anew, of three models."""
    own, (order, tie, length) = dict(zip(("m0", "m1", "m2"), [*parameters[:2], 0.0], strict=True)), parameters[2:]
    whole = 0.0
    for bout in bouts:
        ahead = own[bout.first] - own[bout.second] + order + length * bout.longer
        logs = {1.0: ahead / 2, 0.5: tie, 0.0: -ahead / 2}
        whole -= logs[bout.worth] - math.log(sum(map(math.exp, logs.values())))
    return whole


def test_it_is_the_summit_of_the_likelihood() -> None:
    """To the digits that another climber finds."""
    bouts = drawn(1, own=(0.5, 0.0, -0.5), documents=40, order=0.4, length=0.3)

    def aim(told: NDArray[np.float64]) -> np.float64:
        return np.float64(likelihood(told.tolist(), bouts))

    best = minimize(aim, x0=np.zeros(5)).x
    found = strengths(bouts, length=True)
    own = {one.model: one.strength.value for one in found.models}
    centre = (best[0] + best[1]) / 3
    assert [own["m0"], own["m1"], own["m2"]] == pytest.approx([best[0] - centre, best[1] - centre, -centre], abs=1e-3)
    assert [found.order.value, found.length.value] == pytest.approx([best[2], best[4]], abs=1e-3)
    assert found.ties.value == pytest.approx(math.exp(best[3]) / (2 + math.exp(best[3])), abs=1e-3)


def test_one_order_worth_nothing_and_no_ties_is_the_share_won() -> None:
    """Of two models, 3 of 4 won in either order: log 3 apart."""
    bouts = [Bout(*pair, float((pair[0] == "a") == (document % 4 > 0)), 0.0, document)
             for document in range(40) for pair in (("a", "b"), ("b", "a"))]  # fmt: skip
    found = strengths(bouts)
    assert [one.model for one in found.models] == ["a", "b"]
    assert found.models[0].strength.value == pytest.approx(math.log(3) / 2)
    assert found.models[0].points.value == pytest.approx(0.75)
    assert [found.order.value, found.ties.value] == pytest.approx([0, 0], abs=1e-9)
    assert found.order.interval is None and "nothing tells how sure" in str(found.order.why)


@settings(max_examples=10)
@given(seed=st.integers(0, 1000))
def test_places_changed_change_the_orders_sign_alone(seed: int) -> None:
    """Each comparison told from the other side."""
    bouts = drawn(seed, own=(0.3, -0.3), documents=FEWEST)
    turned = [Bout(one.second, one.first, 1 - one.worth, -one.longer, one.cluster) for one in bouts]
    one, other = strengths(bouts), strengths(turned)
    assert one.why == other.why
    if one.order.value is not None and other.order.value is not None:
        assert other.order.value == pytest.approx(-one.order.value, abs=1e-6)
        assert [m.model for m in one.models] == [m.model for m in other.models]
        assert [m.strength.value for m in one.models] == pytest.approx([m.strength.value for m in other.models], abs=1e-6)


def test_what_has_no_answer_says_so() -> None:
    """Few documents, models that nothing compares, one that always wins, one order alone, texts of one length."""
    fair = drawn(1, own=(0.0, 0.0), documents=FEWEST)
    apart = fair + [Bout(f"x{one.first}", f"x{one.second}", one.worth, one.longer, one.cluster) for one in fair]
    best = [Bout("a", "b", 1.0, 0.0, document) for document in range(30)] + [Bout("b", "a", 0.0, 0.0, document) for document in range(30)]
    once = [Bout("a", "b", float(document % 2), 0.0, document) for document in range(30)]
    even = [Bout(one.first, one.second, one.worth, 0.0, one.cluster) for one in fair]
    assert "too few" in str(strengths(fair[: 2 * FEWEST - 2]).why)
    assert strengths(apart).why == "not connected: nothing compares m0, m1 with xm0, xm1"
    assert strengths(best).why == "too one-sided: b never beat or equalled a"
    assert "both places" in str(strengths(once).why)
    assert "equally long" in str(strengths(even, length=True).why)
    assert all(strengths(bouts).models == () for bouts in (apart, best, once, []))


def test_a_model_that_rarely_loses_has_no_interval() -> None:
    """Its strength hangs on single documents."""
    bouts = [Bout(*pair, float((pair[0] == "a") == (document > 1)), 0.0, document)
             for document in range(60) for pair in (("a", "b"), ("b", "a"))]  # fmt: skip
    found = strengths(bouts).models[0]
    assert found.strength.value == pytest.approx(math.log(29) / 2)
    assert found.strength.interval is None and "lost" in str(found.strength.why)


def test_more_orders_of_one_document_are_no_more_documents() -> None:
    """Each comparison told five times is as sure as told once."""
    bouts = drawn(2, own=(0.3, -0.3), documents=60)
    once, often = strengths(bouts), strengths(bouts * 5)
    assert once.models[0].strength.interval == pytest.approx(often.models[0].strength.interval, abs=1e-6)


def test_the_intervals_hold_the_truth() -> None:
    """A slice of `make bench-rigor`."""
    held = [0, 0]
    for seed in range(80):
        found = strengths(drawn(seed, own=(0.4, -0.4), documents=40, order=0.5))
        own = next(one.strength.interval for one in found.models if one.model == "m0")
        held = [count + (ends is not None and ends[0] <= truth <= ends[1])
                for count, ends, truth in ((held[0], own, 0.4), (held[1], found.order.interval, 0.5))]  # fmt: skip
    assert min(held) / 80 >= 0.9


def test_two_runs_of_one_model_have_no_strengths() -> None:
    """It says so, as it were the same model asked with another seed; beside others such pairs tell of order and ties alone."""
    own = [Bout("a", "a", worth, 0.0, n) for n, worth in enumerate([1.0, 0.5, 0.0] * 10)]
    found = strengths(own)
    assert (found.models, found.why) == ((), "both runs are of one model, a: there is nothing to be stronger than")
    others = [bout for n in range(30) for bout in (Bout("a", "b", float(n % 3 > 0), 0.0, n), Bout("b", "a", float(n % 4 == 0), 0.0, n))]
    alone, beside = strengths(others), strengths([*others, *own])
    assert [one.strength.value for one in beside.models] == pytest.approx([one.strength.value for one in alone.models], abs=0.1)
