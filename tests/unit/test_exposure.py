"""Whether a model can have seen a task's data: dates, what its card says of its own, and what is said of a run and on a board."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.model_cards import base, dated, languages, licence, published
from query_api.producing.submitting import Batch, Submission, requested, submissions_of
from query_api.reading.exposure import exposed
from schemas.requests import ModelRef, TaskChoice
from schemas.runs import PlannedTask, Published
from streams.errors import Invalid
from streams.quality.exposure import check_date, data_age, in_words, joined

TASKS = (TaskChoice(name="t"),)


def planned(task: str, date: str | None = None, group: str | None = None) -> PlannedTask:
    """A task whose data are of that date."""
    return PlannedTask(task=task, task_version="1", build_id="b", samples=1, repeats=1, expected=(), main_metric="acc", main_filter="none",
                       group=group, data_published=date)  # fmt: skip


@given(data=st.dates(), model=st.dates())
def test_data_are_newer_in_a_later_month_only(data: Any, model: Any) -> None:
    """However exactly the dates are given; in the model's own month they may have been seen."""
    later = (data.year, data.month) > (model.year, model.month)
    for told in (model.isoformat(), model.isoformat()[:7]):
        assert data_age(data.isoformat()[:7], told) == ("newer" if later else "older")


def test_without_both_dates_it_is_unknown() -> None:
    """Never guessed."""
    assert data_age(None, "2024-07") == data_age("2019-05", None) == data_age(None, None) == "unknown"


def test_of_several_data_older_holds_where_any_is_and_newer_where_all_are() -> None:
    """One that is unknown may be older."""
    assert joined(["newer", "older", "unknown"]) == "older"
    assert joined(["newer", "newer"]) == "newer"
    assert joined(["newer", "unknown"]) == joined(["unknown"]) == joined([]) == "unknown"


@pytest.mark.parametrize("date", ["2024", "2024-7", "2024-13", "2024-02-30", "July 2024", "2024-07-23T00:00", "", "0000-01"])
def test_what_is_no_date_is_refused_with_what_to_give(date: str) -> None:
    """When it is asked for, before anything runs."""
    with pytest.raises(Invalid, match="give the month or the day as YYYY-MM or YYYY-MM-DD"):
        requested(Submission(model=ModelRef(uri="m"), tasks=TASKS, model_published=date), organisation="o")
    assert check_date("2024-02-29") == "2024-02-29"
    assert (
        requested(Submission(model=ModelRef(uri="m"), tasks=TASKS, model_published="2024-07"), organisation="o").model_published
        == "2024-07"
    )


def test_one_date_is_not_said_of_several_models() -> None:
    """Each has its own."""
    one, other = ModelRef(uri="a"), ModelRef(uri="b")
    with pytest.raises(Invalid, match="is one model's date, and there are 2: ask for each by itself"):
        submissions_of(Batch(models=(one, other), tasks=TASKS, model_published="2024-07"), organisation="o")
    batch = Batch(models=(one,), tasks=TASKS, model_published="2024-07", campaign="c")
    (ours,), (theirs,) = (submissions_of(batch, organisation=name) for name in ("ours", "theirs"))
    assert ours.model_published == "2024-07"
    assert ours.run_id != theirs.run_id  # a campaign's name is nobody's alone


def test_a_run_says_what_was_older_newer_and_not_known() -> None:
    """A group once, each with its date."""
    tasks = [planned("mmlu_a", "2020-09", "mmlu"), planned("mmlu_b", "2020-09", "mmlu"), planned("new", "2024-08"), planned("own")]
    assert list(in_words(Published(date="2024-07-23", source="README.md"), tasks)) == [
        "data are older than the model (2024-07-23, as its README.md says): it may have seen mmlu (2020-09)",
        "data are newer than the model (2024-07-23, as its README.md says): it cannot have seen new (2024-08), "
        "as far as the dates are right",
        "whether the model (2024-07-23, as its README.md says) has seen own is unknown: when these data were published is",
    ]
    (unknown,) = in_words(None, tasks)
    assert unknown.endswith("say when it was published: --model-published YYYY-MM")
    assert list(in_words(None, [planned("own")])) == []


def test_the_api_tells_it_task_by_task() -> None:
    """By the plan; a run without one, and a plan from before, tell nothing."""
    plan: dict[str, Any] = {
        "submitter": "s", "model": {"uri": "m"}, "model_sha": "", "tokenizer_sha": "", "chat_template_sha": "", "engine": {}, "chat": {},
        "suite": None, "licences": [], "skipped": [], "estimate": {}, "jobs": 1,
        "tasks": [planned("t", "2019-05").model_dump()], "model_published": {"date": "2024-07", "source": "request"},
    }  # fmt: skip
    told = exposed(plan, [{"task": "t", "expected": 3}])
    assert told["tasks"] == [{"task": "t", "expected": 3, "data_published": "2019-05", "data_age": "older"}]
    assert told["model_published"] == {"date": "2024-07", "source": "request"}
    assert told["exposure"] == ["data are older than the model (2024-07, as its request says): it may have seen t (2019-05)"]
    before = exposed(plan | {"tasks": [planned("t").model_dump(exclude={"data_published"})], "model_published": None}, [{"task": "t"}])
    assert before == {"tasks": [{"task": "t", "data_published": None, "data_age": "unknown"}], "model_published": None, "exposure": []}
    assert exposed({}, []) == {"tasks": [], "model_published": None, "exposure": []}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2024-07-23", "2024-07-23"),
        ('"2024-07"', "2024-07"),
        ("2024-07-23T10:00:00Z", "2024-07-23"),
        ("2024-07-231", None),
        ("July 23, 2024.", "2024-07-23"),
        ("Sept 25, 2024", "2024-09-25"),
        ("Dec. 12th, 2024 |", "2024-12-12"),
        ("July 2024", "2024-07"),
        ("23 July 2024", "2024-07-23"),
        ("February 30, 2024", None),
        ("10/24/24", None),
        ("Ju 3, 2024", None),
        ("soon, in 2024", None),
    ],
)
def test_dates_are_read_as_people_write_them(text: str, found: str | None) -> None:
    """And what could be read in two ways is not read."""
    assert dated(text) == found


@pytest.mark.parametrize(
    ("card", "found"),
    [
        ("---\nlicense: mit\nrelease_date: 2024-07-23\n---\n# A model\n", "2024-07-23"),
        ("---\nlicense: mit\n---\n**Model Release Date:** July 23, 2024.\n", "2024-07-23"),
        ("---\nlicense: mit\n---\n**Model Release Date** April 18, 2024.\n", "2024-04-18"),
        ("---\nlicense: mit\n---\n| **Release date** | December 12, 2024 |\n", "2024-12-12"),
        ("---\nlicense: mit\ndate: 2023-01\n---\nRelease date: 2024-07-23\n", "2024-07-23"),
        ("---\nlicense: mit\n---\nIts data were collected until July 23, 2024.\nThe release date is not known.\n", None),
        ("---\nlicense: mit\n", None),
        ("", None),
    ],
)
def test_a_card_says_when_its_model_was_published(tmp_path: Path, card: str, found: str | None) -> None:
    """In its metadata or in a line of its text; of several dates the last counts."""
    (tmp_path / "README.md").write_text(card)
    assert published(tmp_path) == found
    assert licence(tmp_path) == ("mit" if card else None)


def test_a_model_without_a_card_has_no_date(tmp_path: Path) -> None:
    """Nor a licence."""
    assert (published(tmp_path), licence(tmp_path)) == (None, None)


@pytest.mark.parametrize(
    ("card", "told", "made_from"),
    [
        ("---\nlanguage: en\nbase_model: org/base\n---\n", ("en",), "org/base"),
        ("---\nlanguage:\n- en\n  - de\nlicense: mit\nbase_model:\n- org/base\n---\n", ("en", "de"), "org/base"),
        ("---\nlanguage: ['en', \"de\"]\n---\n", ("en", "de"), None), ("language: en\n", (), None), ("---\nlanguage:\n---\n", (), None),
    ],
)  # fmt: skip
def test_a_card_says_the_languages_and_what_the_model_was_made_from(
    tmp_path: Path, card: str, told: tuple[str, ...], made_from: str | None
) -> None:
    """One, several in brackets, or each on its line; only in the metadata."""
    (tmp_path / "README.md").write_text(card)
    assert (languages(tmp_path), base(tmp_path)) == (told, made_from)
