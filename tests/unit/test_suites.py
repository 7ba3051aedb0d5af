"""Suites: whole, pinned, and asked for by name; what differs from a pin or cannot run is told."""

from dataclasses import replace
from pathlib import Path

import pytest

from infra.suites.reading import check_version, chosen, licences, names, published, suite
from infra.suites.tasks.words import compared, varied
from query_api.producing.submitting import Submission, requested
from schemas.requests import ModelRef, TaskChoice
from streams.errors import Invalid, NotFound
from streams.quality import pins

MODEL = ModelRef(uri="echo")
ROOT = Path(__file__).parents[2]


def test_the_suites_are_there() -> None:
    """Those of the field, each by one name."""
    assert names() == [
        "coding",
        "creativity",
        "financial",
        "knowledge",
        "legal",
        "medical",
        "reasoning",
        "safety",
        "scientific",
        "standard",
    ]
    assert len(suite("reasoning").members) == 57 + 7


@pytest.mark.parametrize("name", names())
def test_every_task_is_pinned_and_licensed(name: str) -> None:
    """To a version, to data, with a chance level where there are choices; no task twice."""
    found = suite(name)
    tasks = [member.task for member in found.members]
    assert len(set(tasks)) == len(tasks)
    assert [member.task for member in found.members if member.pin is None] == []
    for member in found.members:
        assert member.licence == licences()[member.task]
        assert member.source.startswith("https://") or (ROOT / member.source).exists()
        assert member.pin is None or (len(member.pin.sha256) == 64 and member.pin.samples > 0)
        assert member.pin is None or member.pin.chance is None or 0 < member.pin.chance < 1


@pytest.mark.parametrize("name", names())
def test_a_suite_pins_what_its_version_says(name: str) -> None:
    """As `make check` holds it."""
    check_version(suite(name))


def test_a_changed_pin_wants_a_new_version() -> None:
    """Other data, another seed, another metric beside the tasks' own; the licence's words are nothing that is measured."""
    found = suite("creativity")
    first, *others = found.members
    assert first.pin is not None
    check_version(replace(found, members=(replace(first, licence="other", published="1999-01"), *others)))
    for changed in (replace(first, pin=replace(first.pin, sha256="0" * 64)), replace(first, metrics=())):
        with pytest.raises(Invalid, match=f"suite creativity pins something else than its version {found.version} did"):
            check_version(replace(found, members=(changed, *others)))
    with pytest.raises(Invalid, match=r"raise `version` in infra/suites/creativity\.yaml, and write `digest: "):
        check_version(replace(found, seed=1))


def test_data_have_one_date_in_whichever_suite_they_are() -> None:
    """Subjects of MMLU too; what is generated here has none."""
    dated = {(member.task, member.published) for name in names() for member in suite(name).members}
    assert len(dated) == len({task for task, _ in dated})
    assert {published()[task] for task, _ in dated if task.startswith("mmlu_")} == {"2020-09"}
    assert (published()["hellaswag"], published()["gsm8k"]) == ("2019-05", "2021-10")
    assert not {"assay_story", "creative_writing", "legalbench_proa"} & published().keys()


def test_a_suite_asks_for_metrics_beside_its_tasks_own() -> None:
    """In the request, task by task."""
    event = requested(Submission(model=MODEL, suite="creativity"), organisation="o")
    assert [choice.name for choice in event.tasks] == ["creative_writing", "assay_story", "assay_scene", "assay_poem"]
    assert {choice.metrics for choice in event.tasks} == {("distinct", "self_bleu", "repetition", "mtld")}


def test_a_suite_asked_for_by_name_is_its_tasks_with_their_pins() -> None:
    """The request on Kafka lists tasks, as any producer could; a limit goes to each."""
    event = requested(Submission(model=MODEL, suite="legal", limit=3), organisation="o")
    assert (event.suite, event.suite_version) == ("legal", suite("legal").version)
    assert [choice.name for choice in event.tasks] == [member.task for member in suite("legal").members]
    assert {choice.limit for choice in event.tasks} == {3}
    law = next(choice for choice in event.tasks if choice.name == "mmlu_jurisprudence")
    pin = next(member.pin for member in suite("legal").members if member.task == law.name)
    assert pin and (law.fewshot, law.group, law.version, law.data_revision) == (5, "mmlu_law", pin.version, pin.sha256)


def test_a_name_that_is_no_suite_is_a_board() -> None:
    """With tasks; without any, a slip of the finger is told. A suite's board is for its tasks alone."""
    mine = (TaskChoice(name="assay_copy"),)
    assert chosen("mine", mine) == (mine, None)
    assert chosen(None, mine) == (mine, None)
    with pytest.raises(Invalid, match="did you mean reasoning"):
        requested(Submission(model=MODEL, suite="reasonning"), organisation="o")
    with pytest.raises(Invalid, match="suite 'legal' has its own tasks, and not 'assay_copy'"):
        chosen("legal", mine)
    assert chosen("legal", (TaskChoice(name="legalbench_proa"),))[1] == suite("legal").version


def test_what_differs_from_a_pin_is_told() -> None:
    """Version and data, each in words; nothing is said where nothing is pinned."""
    choice = TaskChoice(name="t", version="1.0", data_revision="a" * 64)
    assert pins.differences(choice, version="1.0", data_sha="a" * 64) == ()
    assert pins.differences(TaskChoice(name="t"), version="2.0", data_sha="b" * 64) == ()
    told = pins.differences(choice, version="2.0", data_sha="b" * 64)
    assert told == ("t is version 2.0 here, and pinned to 1.0", "the data of t are bbbbbbbbbbbb… here, and pinned to aaaaaaaaaaaa…")
    pins.check(told, pinned=False)
    with pytest.raises(Invalid, match=r"pinned to 1\.0"):
        pins.check(told, pinned=True)


def test_all_that_cannot_run_is_named_at_once() -> None:
    """One task alone keeps its own reason."""
    alone, other = Invalid("no data", code="no-data"), NotFound("gone", code="gone")
    assert pins.refused({"a": alone}, asked=1) is alone
    told = pins.refused({"a": alone, "b": other}, asked=3)
    assert (str(told), told.code) == ("2 of 3 tasks cannot run; skip_missing goes on without them: a: no data; b: gone", "tasks-missing")
    assert pins.refused({"a": alone}, asked=2).code == "no-data"


def test_an_answer_on_a_table_is_compared_by_its_words() -> None:
    """Without case, articles, currency and separators; a part that is right counts in f1."""
    document = {"answer": ["$1,496.5"], "scale": "million"}
    assert compared(document, ["1496.5 Million"]) == {"exact_match": 1.0, "f1": 1.0}
    assert compared(document, ["1,496.5"]) == {"exact_match": 0.0, "f1": pytest.approx(2 / 3)}
    assert compared(document, [""]) == {"exact_match": 0.0, "f1": 0.0}
    assert compared({"answer": ["2019", "2018"], "scale": ""}, ["2019, 2018"])["exact_match"] == 1.0


def test_variety_is_counted_over_runs_of_words() -> None:
    """All different: 1 and 0. One word again and again: one pair of n - 1, and all runs but one repeated. Below four words: undefined."""
    assert varied({}, ["One two three, four!"]) == {"distinct_2": 1.0, "repetition_4": 0.0, "words": 4.0}
    assert varied({}, ["so " * 11]) == {"distinct_2": pytest.approx(1 / 10), "repetition_4": pytest.approx(7 / 8), "words": 11.0}
    with pytest.raises(ValueError, match="3 words"):
        varied({}, ["It's too short"])
