"""Rows that are left out: asked for once for all tasks, and told wherever a score over fewer rows stands."""

from query_api.cli.showing import _notes
from query_api.producing.submitting import Submission, requested
from schemas.requests import ModelRef, TaskChoice
from streams.quality.skipping import told_of


def test_a_request_says_it_for_all_of_its_tasks() -> None:
    """Those of a suite too; a task may say it by itself."""
    model = ModelRef(uri="m")
    for asked in (
        Submission(model=model, suite="creativity", skip_bad_rows=True),
        Submission(model=model, tasks=TASKS, skip_bad_rows=True),
    ):
        assert {choice.skip_bad_rows for choice in requested(asked, organisation="o").tasks} == {True}
    told = requested(Submission(model=model, tasks=TASKS), organisation="o")
    assert [choice.skip_bad_rows for choice in told.tasks] == [False, True]


TASKS = (TaskChoice(name="a"), TaskChoice(name="b", skip_bad_rows=True))


def test_what_was_left_out_is_told_with_its_count_and_the_first() -> None:
    """And nothing where all rows are in."""
    assert told_of("t", 0, None) is None
    assert told_of("t", 1, "line 3: x") == "t: 1 row was left out, which cannot be asked or scored: its score is over fewer; line 3: x"
    assert str(told_of("t", 1200, "line 3: x")).startswith(
        "t: 1,200 rows were left out, which cannot be asked or scored: its score is over"
    )


def test_a_score_over_fewer_rows_is_marked() -> None:
    """Beside it."""
    score = {"complete": True, "sequential": False, "rows_skipped": 1200}
    assert list(_notes(score)) == ["1,200 rows left out"]
    assert list(_notes(score | {"rows_skipped": 0})) == []
