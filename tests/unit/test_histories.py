"""A task's scores over time as charts: ours and others' apart, each where its time and value are."""

from typing import Any

import pytest

from query_api.drawing.histories import histories, named
from query_api.pages.rendering import TEMPLATES
from query_api.reading.histories import MEASURED, NOTHING, REPORTED

DAY_US = 86_400 * 10**6


def score(value: float, days: float | None, *, origin: str = MEASURED, **told: Any) -> dict[str, Any]:
    """A score of that day."""
    given = {"model": "org/m", "task": "t", "metric": "acc", "filter": "none", "value": value, "low": None, "high": None, "n": 10}
    own = (
        {"run_id": "r", "engine": "vllm"}
        if origin == MEASURED
        else {"source": "https://example.org/<b>", "licence": "MIT", "form": "lm-eval"}
    )
    return NOTHING | given | {"origin": origin, "at_us": None if days is None else round(days * DAY_US)} | own | told


ROWS = [
    score(0.7, 20, low=0.6, high=0.8), score(0.5, 0, origin=REPORTED), score(0.6, 10, origin=REPORTED), score(0.4, None, origin=REPORTED),
    score(12.0, 5, metric="word_perplexity", origin=REPORTED),
]  # fmt: skip


def test_each_metric_has_a_chart_with_the_scores_at_their_times() -> None:
    """From the first to the last; intervals reach as far as they are; what has no date is counted."""
    first, second = histories(ROWS)
    assert (first.metric, first.undated, second.metric) == ("acc", 1, "word_perplexity")
    told = {one.label.split(": ")[1].split(",")[0]: one for one in first.points}
    assert [told[value].x for value in ("0.500", "0.600", "0.700")] == pytest.approx([4, 50, 96])
    assert (told["0.700"].here, told["0.500"].here) == (True, False)
    assert told["0.500"].y > told["0.600"].y > told["0.700"].y  # from above: the better the higher
    assert told["0.700"].top < told["0.700"].y < told["0.700"].bottom and told["0.500"].top == told["0.500"].bottom
    (alone,) = second.points
    assert alone.x == 50 and len(second.x_ticks) == 1
    assert named(score(1, 1, filter="strict", unit="J")) == "acc (strict), J"
    assert histories([score(1, None)]) == []


def test_the_page_says_in_its_table_what_the_charts_draw() -> None:
    """Ours with a circle, others' with a diamond and their source, as text."""
    rows = [row | {"measure": named(row), "when": "2026-01-01", "linked": bool(row["source"])} for row in ROWS]
    told = TEMPLATES.env.get_template("history.html").render(
        task="t", model="", rows=rows, charts=histories(ROWS), tasks=["t"], most=500, number=lambda value: f"{value:.3f}"
    )
    assert told.count("<circle") == 1 and told.count("◇<title>") == 3
    assert told.count("<tr>") == len(ROWS) + 1
    assert "https://example.org/&lt;b&gt;" in told and "<b>" not in told
