"""How figures are shown to people."""

import pytest
from rich.console import Console

from query_api.cli import estimating, showing
from query_api.drawing.charts import number, usd


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


ROW = dict.fromkeys(
    (
        "rank",
        "rank_low",
        "rank_high",
        "score",
        "low",
        "high",
        "output_tokens_per_s",
        "ttft_p50_s",
        "joules_per_token",
        "energy_grade",
        "cost",
    )
)


def test_a_board_marks_rows_by_the_age_of_their_data(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """With what the mark means; where it is known of no row, nothing is said."""
    rows = [
        ROW | {"model": model, "samples": 3, "sequential": False, "chat": {}, "data_age": age}
        for model, age in (("seen", "older"), ("unseen", "newer"), ("dateless", "unknown"))
    ]
    monkeypatch.setattr(showing, "console", Console(width=120))
    showing.ranking({"board": "b", "rows": rows})
    lines = capsys.readouterr().out.splitlines()
    named = [
        words for line in lines if (words := [word for word in line.split() if word != "–"]) and words[0].endswith(("seen", "dateless"))
    ]
    marked = {words[0]: next((word for word in words if word in {"older", "newer"}), "–") for words in named}
    assert "3 samples of each model" in lines
    assert marked == {"seen": "older", "unseen": "newer", "dateless": "–"}
    assert any(line.startswith("data: older than the model, which may have seen them") for line in lines)
    showing.ranking({"board": "b", "rows": rows[2:]})
    assert "data" not in capsys.readouterr().out.replace("dateless", "")


SCORE = {"task": "t", "metric": "acc", "filter": "none", "value": 0.5, "stderr": 0.1, "low": 0.3, "high": 0.7, "samples": 20,
         "complete": True, "sequential": False, "truncated": 0, "group": None}  # fmt: skip
RUN = {"run_id": "r", "model": "/models/m", "state": "completed", "progress": 1.0, "tasks": [], "flags": [], "exposure": [],
       "warnings": [], "skipped": [], "scores": [], "groups": [], "performance": None}  # fmt: skip


def test_truncated_samples_are_said_beside_the_score(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing where none is."""
    showing.run(RUN | {"scores": [SCORE | {"truncated": 1200}]})
    assert "1,200 truncated" in capsys.readouterr().out
    showing.run(RUN | {"scores": [SCORE]})
    assert "truncated" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (None, 3, "–"), (0.12345, 4, "0.1235"), (-0.5, 3, "-0.500"), (9.99996, 4, "10.000"), (33.123456, 4, "33.123"),
        (1234.5678, 4, "1234.6"),
        (99999.4, 3, "99999"), (99999.6, 3, "1.000e5"), (123456.7, 4, "1.235e5"), (-4.2e12, 3, "-4.200e12"), (0.0, 4, "0.0000"),
        (float("inf"), 3, "inf"), (float("nan"), 3, "nan"),
    ],
)  # fmt: skip
def test_figures_have_at_most_five_digits_that_count(value: float | None, digits: int, text: str) -> None:
    """Perplexities may be of any size, and a column is as wide as its widest."""
    assert number(value, digits) == text


def test_long_figures_leave_names_their_columns(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a table in 80 columns no line is longer, and a name has 16 of them at least; so does a table of 57 subjects."""
    monkeypatch.setattr(showing, "console", Console(width=80))
    long = {"value": 98765432.1, "stderr": 7654321.0, "low": 87654321.0, "high": 1.2e9, "samples": 123456, "metric": "word_perplexity"}
    subject = "mmlu_high_school_government_and_politics"
    showing.run(RUN | {"scores": [SCORE | long | {"task": "assay_text"}, SCORE | {"task": subject}]})
    _, head, perplexity, *rest = capsys.readouterr().out.splitlines()
    assert max(map(len, (head, perplexity, *rest))) <= 80
    assert perplexity.startswith("assay_text ") and "9.877e7" in perplexity
    pieces = [line[:16] for line in rest]
    assert pieces[0] == subject[:16] and "".join(piece.strip() for piece in [line.split(" ")[0] for line in rest]) == subject


def test_what_is_not_scored_is_said_with_its_commonest_reasons(capsys: pytest.CaptureFixture[str]) -> None:
    """And a score without an interval shows none."""
    why = [{"reason": "the thinking never ended", "samples": 1200}, {"reason": "its answer is longer than the window", "samples": 1}]
    showing.run(RUN | {"unscored": "1,201 of 1,300 not scored", "why_unscored": why, "scores": [SCORE | {"low": None, "high": None}]})
    told = capsys.readouterr().out
    assert "1,201 of 1,300 not scored" in told
    assert "1,200: the thinking never ended" in told and "1: its answer is longer than the window" in told
    assert "– – –" not in told


def test_a_group_stands_before_its_tasks(capsys: pytest.CaptureFixture[str]) -> None:
    """With how many they are."""
    group = {"group": "mmlu", "tasks": 2, "metric": "acc", "filter": "none", "value": 0.55, "stderr": 0.01, "low": 0.53, "high": 0.57,
             "samples": 400, "complete": True, "sequential": False, "truncated": 0, "not_scored": 0}  # fmt: skip
    scores = [SCORE | {"task": task, "group": "mmlu"} for task in ("mmlu_anatomy", "mmlu_virology")]
    showing.run(RUN | {"scores": [*scores, SCORE | {"task": "piqa"}], "groups": [group]})
    names = [line.partition(" acc ")[0].rstrip() for line in capsys.readouterr().out.splitlines()[2:]]
    assert names == ["mmlu (2 tasks)", "  mmlu_anatomy", "  mmlu_virology", "piqa"]


def test_the_memory_shown_is_the_sum_of_the_parts_shown() -> None:
    """Activations among them."""
    memory = {"weights_bytes": 3 * 2**30, "kv_bytes": 2**20, "activation_bytes": 2**28 + 1, "overhead_bytes": 768 * 2**20}
    first, *parts = estimating._memory(memory)
    assert [line.split(" GiB ")[1] for line in parts] == ["weights", "keys and values", "activations", "runtime"]
    assert first == f"memory: {sum(float(line.split()[0]) for line in parts):.2f} GiB" == "memory: 4.02 GiB"


def test_a_board_says_that_its_scores_are_chance_corrected_and_whom_it_leaves_out(capsys: pytest.CaptureFixture[str]) -> None:
    """Or nothing of either."""
    rows = [ROW | {"model": "m", "samples": 3, "sequential": False, "chat": {}, "data_age": "unknown", "rank": 1, "score": -0.014}]
    out = [{"model": "a/few", "run_id": "r", "reason": "other sample counts"}]
    showing.ranking({"board": "b", "rows": rows, "chance_corrected": True, "left_out": out})
    told = capsys.readouterr().out
    assert "score: chance-corrected, (value - chance) / (1 - chance)" in told
    assert "1 model left out: other sample counts (few)" in told
    showing.ranking({"board": "b", "rows": rows, "chance_corrected": False, "left_out": [], "no_places": None})
    assert "chance" not in (plain := capsys.readouterr().out) and "left out" not in plain


def test_a_board_with_speed_and_cost_fits_a_narrow_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """80 columns; where models answered other numbers of samples, a column more says how many."""
    full = {
        "rank": 1, "rank_low": 1, "rank_high": 12, "score": 0.771, "low": 0.74, "high": 0.8, "output_tokens_per_s": 12345.6, "chat": {},
        "ttft_p50_s": 0.0512, "cost": {"per_1m_output_tokens_usd": 0.1234, "price_version": "v"}, "sequential": False,
        "data_age": "unknown",
    }  # fmt: skip
    rows = [ROW | full | {"model": f"org/{letter * 24}", "samples": 1319} for letter in "ab"]
    monkeypatch.setattr(showing, "console", Console(width=80))
    showing.ranking({"board": "task:arc_easy", "rows": rows})
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert "1319 samples of each model" in lines
    showing.ranking({"board": "task:arc_easy", "rows": [*rows, rows[0] | {"samples": 14}]})
    assert {"1319", "14"} <= set(capsys.readouterr().out.split())


def test_a_bare_figure_of_a_table_has_five_digits_that_count(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever else a cell is stays as it is; what is not known is a dash."""
    showing.table(["name", ">value", ">n", "note"], [("a", 1 / 3, 123456789, ""), ("b", -2.5e-9, 0, None), ("c", 1.0, None, None)])
    assert [line.split() for line in capsys.readouterr().out.splitlines()[1:]] == [
        ["a", "0.33333", "123456789"], ["b", "-2.5e-09", "0", "–"], ["c", "1", "–", "–"],
    ]  # fmt: skip


HOSTILE = "[/x] [bold]loud[/] [link=x]y\x1b]0;title\x07\x9b2J\u202egnp"


def test_texts_of_users_are_texts(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """No markup is read in them, and nothing that a terminal would obey reaches it: in tables, titles, remarks and progress bars."""
    monkeypatch.setattr(showing, "console", Console(width=200))
    remarks = {key: [HOSTILE] for key in ("flags", "warnings", "exposure")} | {"skipped": [{"task": HOSTILE, "reason": HOSTILE}]}
    showing.run(RUN | remarks | {"model": HOSTILE, "state": "failed", "message": HOSTILE, "scores": [SCORE | {"task": HOSTILE}]})
    showing.table([">n"], [(1,)], title=HOSTILE)
    showing.note(HOSTILE)
    showing.followed("r" * 8, lambda _run: RUN | {"model": HOSTILE, "state": "failed"}, quiet=False)
    told = capsys.readouterr()
    shown = "[/x] [bold]loud[/] [link=x]y␛]0;title␇�2J�gnp"
    assert told.out.count(shown) == 9
    assert told.out.count(shown.rpartition("/")[2]) == 10  # of a model's path the end is shown
    assert not set(told.out) & set("\x1b\x07\x9b\u202e")
    assert not set(told.err) & set("\x07\x9b\u202e")
