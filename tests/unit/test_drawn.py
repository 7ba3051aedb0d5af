"""What pages say beside figures, drawn from what is read: no server, no store."""

from types import SimpleNamespace
from typing import Any

import pytest

from query_api.drawing.charts import intervals, shares
from query_api.drawing.dressing import left_out
from query_api.drawing.grouping import arranged
from query_api.pages.rendering import TEMPLATES
from tests.unit.test_shown import RUN, SCORE

REQUEST = SimpleNamespace(url=SimpleNamespace(path="/"), query_params={})
GROUP = {"group": "mmlu", "tasks": 57, "metric": "acc", "filter": "none", "value": 0.55, "stderr": 0.01, "low": 0.53, "high": 0.57,
         "samples": 400, "complete": True, "sequential": False, "truncated": 0, "not_scored": 0, "why_undefined": None,
         "by_size": True}  # fmt: skip
UNKNOWN = ("rank_low", "rank_high", "output_tokens_per_s", "ttft_p50_s", "joules_per_token", "energy_grade", "usd", "prices")
BOARD_ROW = dict.fromkeys(UNKNOWN) | {
    "rank": 1, "model": "org/m", "run_id": "r", "engine": "echo", "hardware": "", "samples": 3, "chat": {}, "data_age": "unknown",
    "score": -0.014, "low": -0.1, "high": 0.1, "sequential": False, "missing": (), "sealed": False, "audited": False,
}  # fmt: skip


def drawn(template: str, **told: Any) -> str:
    """The template's text, without tags' white space."""
    return " ".join(TEMPLATES.get_template(template).render(request=REQUEST, **told).split())


def scores(*told: dict[str, Any], groups: tuple[dict[str, Any], ...] = ()) -> str:
    """The scores of a run's page."""
    rows = arranged([SCORE | {"not_scored": 0, "why_undefined": None} | one for one in told], groups)
    return drawn("run/scores.html", run=RUN | {"scores": rows}, scores=rows, spans=shares(rows))


def test_a_runs_page_says_what_was_truncated_beside_the_score() -> None:
    """Nothing where nothing was."""
    assert "<small>1,200 truncated</small>" in scores({"truncated": 1200})
    assert "truncated" not in scores({})


def test_a_runs_page_has_a_row_for_a_group_before_its_tasks() -> None:
    """With how many tasks it is of; only tasks have samples to look at."""
    told = scores({"task": "mmlu_anatomy", "group": "mmlu"}, groups=(GROUP,))
    assert '<tr class="group"><th scope="row">mmlu<small>57 tasks by their samples</small></th>' in told
    assert told.index('class="group"') < told.index('class="member"')
    assert "task=mmlu_anatomy" in told and "task=mmlu&" not in told


@pytest.mark.parametrize("corrected", [True, False])
def test_a_board_says_beside_its_scores_that_they_are_corrected(corrected: bool) -> None:
    """The leaderboard and the overview alike; the leaderboard also whom it leaves out."""
    out = [{"model": "org/few", "run_id": "r", "reason": "other sample counts"}] if corrected else []
    board = {"board": "reasoning", "rows": [BOARD_ROW], "provisional": False, "chance_corrected": corrected, "left_out": out}
    head = {"name": "score", "heading": "Score", "link": "/", "sorted": None}
    told = drawn(
        "leaderboard.html", board=board, rows=[BOARD_ROW], spans=intervals([BOARD_ROW]), heads=[head], boards=[], more_boards=0, match="",
        left_out=left_out(out), shown=set(), reported={"rows": [], "more": False},
    )  # fmt: skip
    assert ("<small>chance-corrected</small>" in told) is corrected
    assert ("1 model left out: other sample counts (few)" in told) is corrected
    assert "-0.014" in told
    told = drawn(
        "overview.html", board=board, top=[BOARD_ROW], spans=intervals([BOARD_ROW]), corrected=corrected, active=[], ended=[], results={},
        speeds=[], agents=[], dead_letters=0,
    )  # fmt: skip
    assert ("<small>chance-corrected</small>" in told) is corrected


def test_a_board_shows_what_right_answers_take_and_what_others_report() -> None:
    """Beside the rows and below them; an address that is none of the web's is no link."""
    row = BOARD_ROW | {"answer_usd": 0.002, "answer_j": 3.25, "answer_grade": "counter, accelerator"}
    other = {
        "model": "org/theirs", "task": "t", "metric": "acc", "filter": "none", "value": 0.5, "unit": None, "stderr": 0.01, "num_fewshot": 5,
        "form": "lm-eval", "harness_version": "0.4.13", "source": "javascript:alert(1)", "licence": "unknown", "linked": False,
        "measured": "2026-11-01",
    }  # fmt: skip
    told = drawn(
        "leaderboard.html", board={"board": "task:t", "rows": [row]}, rows=[row], spans=intervals([row]), heads=[], boards=[], match="",
        shown={"answer-cost", "answer-energy"}, reported={"rows": [other], "more": True},
    )  # fmt: skip
    assert (
        'data-label="J/right answer">3.25<small>counter, accelerator</small>' in told and "divided by the answers that were right" in told
    )
    assert "Reported elsewhere" in told and "5-shot" in told and "± 0.010" in told and "There are more" in told
    assert 'href="javascript' not in told


def test_a_runs_page_says_how_its_prompts_are_dressed() -> None:
    """A folded system message among it; and why samples are not scored."""
    times = {"requested_us": 0, "changed_us": 0, "submitter": "me", "engine": "echo", "unscored": None, "visibility": "organisation"}
    chat = {"template": "model", "system": "Be brief.", "fold_system": True}
    assert "system message in the first user message" in drawn("run/head.html", run=RUN | times | {"chat": chat})
    why = {"unscored": "2 of 9 not scored", "why_unscored": [{"reason": "the thinking never ended", "samples": 2}]}
    assert "2: the thinking never ended" in drawn("run/head.html", run=RUN | times | why | {"chat": {}})
    assert "Prompts" not in drawn("run/head.html", run=RUN | times | {"chat": {}})


def test_pages_say_what_made_their_intervals() -> None:
    """Beside a judge's figures and agreement, below strengths and boards; nothing where there is none."""
    known = {"value": 0.4, "low": 0.1, "high": 0.7, "why_undefined": None, "method": "bootstrap of documents"}
    unknown = known | {"low": None, "high": None, "why_undefined": "too few", "method": None}
    model = {"model": "m", "strength": known, "points": known, "equally_long": unknown}
    one = {"why_undefined": None, "task": "t", "judge": "j", "bouts": 3, "documents": 30, "remarks": [], "models": [model]}
    assert "Intervals by: bootstrap of documents." in drawn("run/people.html", corrections=[], strengths=[one])
    alpha = {"alpha": 0.4, "low": 0.1, "high": 0.7, "answers": 4, "why_undefined": None, "method": "by answers"}
    score = {"task": "t", "metric": "rating", "value": 4.0, "low": 3.0, "high": 5.0, "samples": 3, "not_scored": 0, "complete": True}
    judged = {
        "judgements": [{"run_id": "r", "judge": "j", "state": "completed", "message": None, "scores": [score | {"method": "Wilson"}]}],
        "agreements": [{"judges": 2, "task": "t", "metric": "rating", "ordinal": alpha, "interval": alpha}], "next": None,
    }  # fmt: skip
    told = drawn("run/judgements.html", run=RUN, judged=judged, judged_paged=False)
    assert "<small>Wilson</small>" in told and told.count("0.100 – 0.700; by answers") == 2
    board = {"board": "t", "rows": [BOARD_ROW], "provisional": False, "chance_corrected": False, "left_out": []}
    top = [BOARD_ROW | {"method": "Wilson, joined"}]
    told = drawn(
        "overview.html", board=board, top=top, spans=intervals(top), corrected=False, active=[], ended=[], results={}, speeds=[], agents=[],
        dead_letters=0,
    )  # fmt: skip
    assert "Intervals by: Wilson, joined." in told
