"""How figures are shown to people."""

import pytest
from rich.console import Console

from query_api.cli import showing
from query_api.drawing.charts import usd


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0.0, "$0.00"),
        (1234.5, "$1,234.50"),
        (2.5, "$2.500"),
        (0.0425, "$0.04250"),
        (0.000002016, "$0.000002016"),
        (1e-9, "$0.000000001"),
    ],
)
def test_dollars_have_four_digits_that_count(value: float | None, text: str) -> None:
    """Small amounts are not rounded to nothing."""
    assert usd(value) == text


ROW = dict.fromkeys(("rank", "score", "low", "high", "output_tokens_per_s", "ttft_p50_s", "joules_per_token", "energy_grade", "cost"))


def test_a_board_marks_rows_by_the_age_of_their_data(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """With what the mark means; where it is known of no row, nothing is said."""
    rows = [
        ROW | {"model": model, "samples": 3, "sequential": False, "chat": {}, "data_age": age}
        for model, age in (("seen", "older"), ("unseen", "newer"), ("dateless", "unknown"))
    ]
    monkeypatch.setattr(showing, "console", Console(width=120))
    showing.ranking({"board": "b", "rows": rows})
    lines = capsys.readouterr().out.splitlines()
    marked = {words[0]: words[words.index("3") + 1] for line in lines if "3" in (words := line.split())}
    assert marked == {"seen": "older", "unseen": "newer", "dateless": "–"}
    assert any(line.startswith("data: older than the model, which may have seen them") for line in lines)
    showing.ranking({"board": "b", "rows": rows[2:]})
    assert "data" not in capsys.readouterr().out.replace("dateless", "")


SCORE = {"task": "t", "metric": "acc", "filter": "none", "value": 0.5, "stderr": 0.1, "low": 0.3, "high": 0.7, "samples": 20,
         "complete": True, "sequential": False, "truncated": 0}  # fmt: skip
RUN = {"run_id": "r", "model": "/models/m", "state": "completed", "progress": 1.0, "tasks": [], "flags": [], "exposure": [],
       "warnings": [], "skipped": [], "scores": [], "performance": None}  # fmt: skip


def test_truncated_samples_are_said_beside_the_score(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing where none is."""
    showing.run(RUN | {"scores": [SCORE | {"truncated": 1200}]})
    assert "1,200 truncated" in capsys.readouterr().out
    showing.run(RUN | {"scores": [SCORE]})
    assert "truncated" not in capsys.readouterr().out
