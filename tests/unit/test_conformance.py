"""The report of conformance: it finds what differs, and its page is what its figures say."""

import copy
import json
from typing import Any

from benchmarks.conformance_page import SOURCE, WRITTEN, page
from benchmarks.conforming import Ours, close, compared
from schemas.event import Text
from schemas.measurements import Answer
from schemas.results import Figure

REFERENCE: dict[str, Any] = {
    "results": {"t": {"acc,none": 0.5, "acc_stderr,none": 0.5}},
    "samples": {
        "t": [
            {"doc_id": n, "filter": "none", "metrics": ["acc"], "acc": float(n), "resps": [[(-1.0, False)], [(-2.0 - n, True)]]}
            for n in range(2)
        ]
    },
}


def ours() -> Ours:
    """What Assay's run came to, equal to the reference."""
    told = Ours(figures=(Figure(metric="acc", value=0.5, stderr=0.5, n=2),), doc_ids={0: 0, 1: 1})
    for n in range(2):
        told.answers[n] = tuple(
            Answer(request_index=index, request_type="loglikelihood", loglikelihood=value, finish_reason="none", prompt_tokens=1)
            for index, value in enumerate((-1.0, -2.0 - n))
        )
        told.items[n, "none", "acc"] = float(n)
    return told


def test_what_is_equal_is_said_to_be() -> None:
    """Samples, values, aggregates."""
    row = compared(ours(), REFERENCE, "t")
    assert row["equal"]
    assert (row["samples"], row["values"], row["values_equal"], row["max_relative"]) == (2, 2, 2, 0.0)


def test_every_kind_of_difference_is_found() -> None:
    """A likelihood that changes the choice, with its margin; a value; an aggregate; a sample that is not there."""
    other = copy.deepcopy(ours())
    other.answers[0] = tuple(answer.model_copy(update={"loglikelihood": -1.5 + answer.request_index}) for answer in other.answers[0])
    row = compared(other, REFERENCE, "t")
    assert row["argmax_differ"] == [{"doc_id": 0, "margin_nats": 1.0}]
    assert (row["equal"], row["max_relative"]) == (False, 0.75)
    other = ours()
    other.items[1, "none", "acc"] = 0.0
    assert not compared(other, REFERENCE, "t")["equal"]
    other = ours()
    other.figures = (Figure(metric="acc", value=0.51, stderr=0.5, n=2),)
    assert not compared(other, REFERENCE, "t")["equal"]
    other = ours()
    del other.answers[1]
    assert not compared(other, REFERENCE, "t")["equal"]


def test_a_text_that_differs_is_counted() -> None:
    """By its every character."""
    told = Ours(figures=(Figure(metric="acc", value=0.5, stderr=0.5, n=2),), doc_ids={0: 0}, items={(0, "none", "acc"): 1.0})
    told.answers[0] = (
        Answer(request_index=0, request_type="generate_until", output=Text.plain("so "), finish_reason="stop", prompt_tokens=1),
    )
    rows = [{"doc_id": 0, "filter": "none", "metrics": ["acc"], "acc": 1.0, "resps": [["so"]]}]
    row = compared(told, {"results": REFERENCE["results"], "samples": {"t": rows}}, "t")
    assert (row["texts_differ"], row["equal"]) == (1, False)


def test_closeness_is_relative_and_goes_into_sequences() -> None:
    """Within 1e-4; nothing is near None."""
    assert close([1.0, [100.0]], (1.00005, [100.005]))
    assert not close(1.0, 1.001)
    assert not close(None, 1.0)
    assert close(None, None)
    assert not close([1.0], [1.0, 2.0])


def test_the_page_is_what_the_figures_say() -> None:
    """`make conformance` writes both."""
    assert WRITTEN.read_text() == page(json.loads(SOURCE.read_text()))
