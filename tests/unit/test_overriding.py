"""Options beside a request file: what is given counts, what is not leaves the file's."""

import inspect
from pathlib import Path

import pytest

from query_api.cli.options import ME
from query_api.cli.overriding import body_of, engine_said, judgement_of, submission_of, tasks_over
from query_api.cli.request_files import model_named
from query_api.cli.shares import limit_said
from query_api.cli.submitting import submit
from query_api.producing.submitting import Submission
from streams.errors import Invalid
from streams.quality.judging import PAIRWISE, USUAL
from tests.runs import run_named
from tests.unit.test_definitions import WHOLE

R = run_named("r")

FILE = """model: {uri: org/name, revision: main, trust_code: true}
engine: {name: echo, options: {delay_ms: "4", fail: never}}
tasks: [hellaswag, {name: arc_easy, limit: 7, fewshot: 2}]
priority: 3
budget: {s: 60}
submitter: their-team
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file."""
    written = tmp_path / "request.yaml"
    written.write_text(FILE)
    return written


def test_nothing_said_leaves_the_file_as_it_is(path: Path) -> None:
    """Its engine, priority and submitter among it."""
    unsaid = {"engine": engine_said(None, []), "priority": None, "submitter": None, "suite": None, "budget": {}, "chat": None}
    body = body_of(path, models=[], said=unsaid)
    assert body["engine"] == {"name": "echo", "options": {"delay_ms": "4", "fail": "never"}}
    assert (body["priority"], body["submitter"], body["budget"]) == (3, "their-team", {"s": 60})
    assert "suite" not in body and "chat" not in body


def test_what_is_said_counts_field_by_field(path: Path) -> None:
    """An engine's option beside those of the file, a budget beside its seconds; 0 is said too."""
    said = {"engine": engine_said("transformers", ["delay_ms=9"]), "priority": 0, "submitter": "me", "budget": {"usd_nano": 5}}
    body = body_of(path, models=[], said=said)
    assert body["engine"] == {"name": "transformers", "options": {"delay_ms": "9", "fail": "never"}}
    assert (body["priority"], body["submitter"], body["budget"]) == (0, "me", {"s": 60, "usd_nano": 5})


def test_a_model_that_is_named_is_another_model(path: Path) -> None:
    """Nothing of the file's stays with it: its revision would be wrong, its code not trusted."""
    assert body_of(path, models=[{"uri": "org/other", "revision": None}], said={})["model"] == {"uri": "org/other", "revision": None}


def test_settings_are_for_each_task(path: Path) -> None:
    """Of the file, or of those named in their place."""
    tasks = body_of(path, models=[], said={})["tasks"]
    assert tasks_over(tasks, [], {"limit": 2, "fewshot": None}) == [
        {"name": "hellaswag", "limit": 2},
        {"name": "arc_easy", "limit": 2, "fewshot": 2},
    ]
    assert tasks_over(tasks, [], limit_said("0.1")) == [
        {"name": "hellaswag", "limit_ratio": 0.1},
        {"name": "arc_easy", "limit_ratio": 0.1, "fewshot": 2},
    ]
    assert tasks_over(tasks, ["piqa"], {"limit": None, "fewshot": 0}) == [{"name": "piqa", "fewshot": 0}]
    assert tasks_over(tasks, [], {"limit": None, "fewshot": None}) == tasks


def test_without_a_file_who_asks_is_who_runs_it() -> None:
    """And a model must be named."""
    assert body_of(None, models=[{"uri": "a"}], said={})["submitter"] == ME
    with pytest.raises(Invalid, match="which model"):
        body_of(None, models=[], said={})
    with pytest.raises(Invalid, match="write name=value"):
        engine_said("echo", ["fast"])


def test_a_judgement_says_what_was_given_and_no_more() -> None:
    """So that the API fills in the rest: the engine among it."""
    options = dict.fromkeys(["task", "against", "limit", "engine", "option", "system", "fold_system", "submitter", "url", "credential"]) | {
        "run_id": R,
        "chat": False,
        "private": False,
        "visibility": None,
        "trust_model_code": False,
    }
    body = judgement_of(options | {"model": "org/judge"})
    assert body == {
        "model": {"uri": "org/judge"}, "engine": {"options": {}}, "submitter": ME, "parent_run": R,
        "chat": {}, "tasks": [{"name": USUAL}],
    }  # fmt: skip
    assert Submission.model_validate(body).engine.name == "transformers"
    assert judgement_of(options | {"model": "org/judge", "against": "s"})["tasks"] == [{"name": PAIRWISE}]
    assert judgement_of(options | {"model": "org/judge", "private": True})["visibility"] == "private"
    assert judgement_of(options | {"model": "org/judge", "visibility": "public"})["visibility"] == "public"
    served = judgement_of(options | {"model": "org/judge@7b", "url": "http://host", "credential": "mine"})
    assert (served["model"], served["engine"]) == ({"uri": "org/judge@7b"}, {"name": "openai", "options": {"url": "http://host"}})
    assert served["credential_ref"] == "mine"
    with pytest.raises(Invalid, match="which judge"):
        judgement_of(options | {"model": None})


def test_a_models_own_code_is_trusted_where_it_is_said(path: Path) -> None:
    """Of a model that is named, and of the file's; the tasks' code is another matter."""
    assert model_named("org/name", trust_code=True) == {"uri": "org/name", "revision": None, "trust_code": True}
    assert "trust_code" not in model_named("org/name")
    body = body_of(path, models=[], said={"model": {"trust_code": True}})
    assert body["model"] == {"uri": "org/name", "revision": "main", "trust_code": True}
    assert Submission.model_validate(body).tasks[0].trust_code is False


def test_a_file_or_a_folder_is_a_task_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside tasks by their names, and with the settings that are for each."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.yaml").write_text(WHOLE)
    monkeypatch.chdir(tmp_path)
    unsaid = dict.fromkeys(inspect.signature(submit).parameters)
    options = unsaid | {"model": ["m"], "task": ["hellaswag", "./mine/"], "fewshot": 2, "judge_task": USUAL, "trust_code": False}
    body = submission_of(options, models=[{"uri": "m"}])
    assert body["tasks"] == [
        {"name": "hellaswag", "fewshot": 2},
        {"name": "capitals", "definition": WHOLE, "trust_code": False, "fewshot": 2},
    ]
    assert submission_of(options | {"task": ["mine/a.yaml"]}, models=[{"uri": "m"}])["tasks"] == body["tasks"][1:]
    with pytest.raises(Invalid, match=r"there is no file none\.yaml"):
        submission_of(options | {"task": ["none.yaml"]}, models=[{"uri": "m"}])
