"""What pages make of what they read: orders, bounds, samples, payloads, and the request to give again."""

import json
from pathlib import Path
from typing import Any

import pytest

from query_api.cli.request_files import from_file
from query_api.drawing.asking import command, request_of
from query_api.drawing.charts import histogram, shares, size
from query_api.pages.comparison import differences
from query_api.pages.dead_letters import as_text
from query_api.pages.leaderboard import ordered
from query_api.pages.samples import filters, shown
from query_api.producing.submitting import Submission, requested
from streams.projection import plain
from tests.runs import run_named

R = run_named("r")

ROW = {"rank": 1, "model": "/m/b", "score": 0.5, "output_tokens_per_s": None, "ttft_p50_s": 0.2, "joules_per_token": None, "usd": None}


def stored(body: dict[str, Any]) -> dict[str, Any]:
    """The row of `requests` that a body becomes."""
    event = requested(Submission.model_validate_json(json.dumps(body)), organisation="local")
    cells = {name: plain(getattr(event, name)) for name in type(event).model_fields}
    return {name: json.dumps(cell) if isinstance(cell, dict | list) else cell for name, cell in cells.items()}


BODY: dict[str, Any] = {
    "run_id": R, "submitter": "ana", "suite": "s", "priority": 3, "model": {"uri": "org/name", "revision": "v1"},
    "tasks": [{"name": "assay_copy", "limit": 5}, {"name": "assay_text", "fewshot": 2}], "chat": {"template": "model"},
    "workload": {"profile": "constant", "rate_per_s": 2.0, "duration_s": 5.0}, "labels": {"why": "yes: \"quoted\" 'text'"},
}  # fmt: skip


def test_a_request_can_be_given_again_as_it_was(tmp_path: Path) -> None:
    """The command's document, read as the command line reads it, asks for the same."""
    text = command(stored(BODY)) or ""
    first, _, rest = text.partition("\n")
    assert first == "assay submit /dev/stdin <<'END'"
    file = tmp_path / "request.yaml"
    file.write_text(rest.removesuffix("END"))
    assert request_of(stored(from_file(file) | {"run_id": run_named("other")})) == request_of(stored(BODY))


def test_a_request_with_a_long_trace_is_no_command_to_read() -> None:
    """A page of twenty thousand requests helps nobody."""
    trace = [{"at_ms": n, "input_tokens": 5, "output_tokens": 5} for n in range(1000)]
    assert command(stored({"run_id": R, "model": {"uri": "m"}, "workload": {"profile": "trace", "trace": trace}})) is None


def test_a_request_tells_no_more_than_was_asked() -> None:
    """Defaults stay away."""
    body = {"run_id": R, "model": {"uri": "m"}, "tasks": [{"name": "assay_copy"}]}
    assert request_of(stored(body)) == {"model": {"uri": "m"}, "tasks": [{"name": "assay_copy"}]}


@pytest.mark.parametrize(
    ("sort", "models"),
    [("score", "bca-"), ("-score", "acb-"), ("model", "-abc"), ("ttft", "bca-"), ("tokens", "cab-"), ("nonsense", "bca-")],
)
def test_a_board_is_ordered_by_any_column_what_is_unknown_last(sort: str, models: str) -> None:
    """The best first; the other way round with a minus."""
    rows: list[dict[str, Any]] = [
        ROW | {"model": "a", "rank": 3, "score": 0.1, "ttft_p50_s": 0.9, "output_tokens_per_s": 5.0}, ROW | {"model": "b", "score": 0.9},
        ROW | {"model": "c", "rank": 2, "output_tokens_per_s": 9.0, "ttft_p50_s": 0.3},
        ROW | {"model": "-", "rank": None, "score": None, "ttft_p50_s": None},
    ]  # fmt: skip
    assert "".join(row["model"] for row in ordered(rows, sort)) == models


def test_outcomes_are_bounds_of_the_value() -> None:
    """Right is 1, wrong is all below."""
    wrong = filters({"task": "t", "metric": "acc,none", "outcome": "wrong"})
    assert (wrong["metric"], wrong["filter"], wrong["min_value"]) == ("acc", "none", None)
    assert 0.999 < wrong["max_value"] < 1
    assert filters({"task": "", "metric": "", "outcome": "right"})["min_value"] == 1.0


def asked(continuation: str | None, **answer: Any) -> dict[str, Any]:
    """A request with its one answer."""
    told = {"draw": 0, "output": None, "loglikelihood": None, "is_greedy": None} | answer
    return {"prefix_ref": "p", "context": "Q:", "continuation": continuation, "answers": [told]}


def test_choices_name_the_chosen_and_the_expected() -> None:
    """The most likely is the chosen."""
    sample = {"target": "no", "requests": [asked(" yes", loglikelihood=-2.0), asked(" no", loglikelihood=-3.0)]}
    told = shown(sample, {"p": "examples\n"})
    assert [(one.text, one.chosen, one.expected) for one in told.choices] == [(" yes", True, False), (" no", False, True)]
    assert (told.prefix, told.prompt, told.outputs) == ("examples\n", "Q:", [])


def test_a_generation_shows_its_output_and_no_choices() -> None:
    """And a sample without texts is shown without."""
    told = shown({"target": "4", "requests": [asked(None, output=" 4")]}, {})
    assert ([answer["output"] for answer in told.outputs], told.choices) == ([" 4"], ())
    assert shown({"target": None, "requests": []}, {}).prompt == ""


def test_payloads_are_texts_where_they_are_one() -> None:
    """Else bytes with what can be printed."""
    assert as_text(b"no event\n") == "no event\n"
    assert as_text(b"\x00\x01abc") == f"{'00 01 61 62 63':<47}  ··abc"
    assert as_text(b"") == ""


def test_shares_have_spans_and_other_scales_have_none() -> None:
    """A perplexity's interval is no share of anything."""
    rows: list[dict[str, Any]] = [
        {"value": 0.5, "low": 0.4, "high": None},
        {"value": 12.0, "low": 11.0, "high": 13.0},
        {"value": None, "low": None, "high": None},
    ]
    first, *others = shares(rows)
    assert first is not None and (first.low, first.point, first.high) == (40.0, 50.0, 50.0)
    assert others == [None, None]


def test_differences_lie_around_a_zero_in_the_middle() -> None:
    """On one scale, whichever side they are on."""
    rows: list[dict[str, Any]] = [{"value": 0.1, "low": -0.1, "high": 0.2}, {"value": -0.4, "low": None, "high": None}]
    (first, second), zero = differences(rows)
    assert zero == 50
    assert (first.low, first.point, first.high) == (37.5, 62.5, 75.0)
    assert (second.low, second.point, second.high) == (0.0, 0.0, 0.0)


def test_a_histogram_shows_where_its_measurements_end() -> None:
    """An empty bucket on either side, where there is one."""
    bars, _ = histogram({"bounds": [10, 20, 30, 40], "counts": [0, 0, 7, 0, 0]})
    assert [bar.height for bar in bars] == [0, 100, 0]
    assert [bar.height for bar in histogram({"bounds": [10, 20], "counts": [3, 0, 0]})[0]] == [100, 0]


@pytest.mark.parametrize(
    ("value", "told"), [(None, "–"), (0, "0 B"), (1536, "1.5 KiB"), (2**30 * 80, "80 GiB"), (2**20 * 1000, "1,000 MiB")]
)
def test_sizes_are_in_powers_of_1024(value: float | None, told: str) -> None:
    """With the unit that fits."""
    assert size(value) == told
