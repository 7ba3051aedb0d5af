"""Python that a task's definition brings runs where the request and the machine let it, and nowhere else."""

import asyncio
import json
from pathlib import Path
from typing import Any, cast

import pytest
from datasets.packaged_modules import _PACKAGED_DATASETS_MODULES

from infra import deriving
from infra.embedded.processes import environment, stack
from infra.harness.building import build, identify
from infra.harness.chat import Dress
from infra.harness.definition_files import alone
from infra.harness.definitions import READERS, checked
from infra.harness.processes import ToScore, score_all
from infra.harness.tasks import without_data
from infra.kafka import Log
from infra.settings import Settings
from infra.trust import TASK_CODE
from schemas.requests import Chat, TaskChoice, TaskPart
from schemas.runs import RunChanged
from streams.errors import Invalid
from tests.in_memory import InMemory
from tests.unit.test_results import HEADER, R, planned

YAML = """task: t
dataset_path: me/x
test_split: test
doc_to_text: !function m.asked
doc_to_target: "{{a}}"
"""
DRESS = Dress(Chat(), None)


def choice(mark: Path, *, trust_code: bool = True) -> TaskChoice:
    """A task whose module leaves a mark as it is imported."""
    text = f"import pathlib\npathlib.Path({str(mark)!r}).touch()\n\ndef asked(doc):\n    return doc['q']\n"
    return TaskChoice(name="t", definition=YAML, file="a.yaml", parts=(TaskPart(path="m.py", text=text),), trust_code=trust_code)


def settings(folder: Path, allowed: bool | None) -> Settings:
    """Of a machine with the task's data."""
    data = folder / "data" / "me__x" / "default"
    data.mkdir(parents=True, exist_ok=True)
    (data / "test.jsonl").write_text('{"q": "a", "a": "b"}\n' * 2)
    return Settings(home=folder, datasets=folder / "data", allow_task_code=allowed)


@pytest.mark.parametrize("allowed", [None, False])
def test_a_requests_word_alone_runs_nothing(allowed: bool | None, tmp_path: Path) -> None:
    """It is refused before anything of it is imported, in words that say whose consent lacks."""
    mark = tmp_path / "ran"
    for work in (identify, build):
        with pytest.raises(Invalid, match=r"task t trusts its definition .*ASSAY_ALLOW_TASK_CODE=true") as refused:
            work(choice(mark), dress=DRESS, settings=settings(tmp_path, allowed))
        assert refused.value.code == TASK_CODE
    assert not mark.exists()


def test_of_a_build_made_elsewhere_nothing_runs_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scoring it, as aggregating, says why it does not; where the machine lets it, it is scored."""
    mark = tmp_path / "ran"
    made = build(choice(mark), dress=DRESS, settings=settings(tmp_path, True))
    mark.unlink()
    work = [ToScore(made.config_json, json.dumps({"q": "a", "a": "b"}), 0, (), {}, ())]
    monkeypatch.delenv("ASSAY_ALLOW_TASK_CODE")
    without_data.cache_clear()
    (outcome,) = score_all(work)
    assert not outcome.scores and not outcome.broke and "ASSAY_ALLOW_TASK_CODE=true" in (outcome.reason or "")
    assert not mark.exists()
    monkeypatch.setenv("ASSAY_ALLOW_TASK_CODE", "true")
    assert without_data(made.config_json) is not None and mark.exists()


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({}, "True"),
        ({"allow_task_code": False}, "False"),
        ({"api": "http://0.0.0.0:18000"}, "False"),
        ({"api": "http://0.0.0.0:18000", "api_door": "open"}, "False"),
        ({"api_door": "closed"}, "False"),
        ({"kafka": "127.0.0.1:19092,10.0.0.1:9092"}, "False"),
        ({"api": "http://0.0.0.0:18000", "allow_task_code": True}, "True"),
    ],
)
def test_a_stack_that_its_own_machine_alone_reaches_lets_it(told: dict[str, Any], expected: str) -> None:
    """As a person who works alone means it; one that others reach wants it said."""
    given = Settings(**{"allow_task_code": None} | told)
    assert {environment(process, given)["ASSAY_ALLOW_TASK_CODE"] for process in stack()} == {expected}


def test_a_run_whose_tasks_bring_python_is_named_and_not_recomputed(tmp_path: Path) -> None:
    """What was said of it is no difference: it stands as it is."""
    run, log = planned(R, samples=1), InMemory()
    assert run.plan is not None
    tasks = tuple(one.model_copy(update={"trust_code": True}) for one in run.plan.tasks)
    log.write(run.model_copy(update={"plan": run.plan.model_copy(update={"tasks": tasks})}))
    log.write(RunChanged(**HEADER, run_id=R, state="failed", reason_code="x"))

    def recomputed(allowed: bool | None) -> deriving.Derived:
        given = Settings(home=tmp_path, allow_task_code=allowed)
        return asyncio.run(deriving.recompute(cast("Log", log), given, told=lambda _: None, run_id=None))

    found = recomputed(None)
    assert found.not_trusted == [R] and found.equal and "ASSAY_ALLOW_TASK_CODE=true" in (found.why_left or "")
    allowing = recomputed(True)
    assert not allowing.not_trusted and not allowing.equal  # here nobody has settled it


def test_a_reader_of_files_is_no_data_set() -> None:
    """Each that the library has would read the folder in which the planner runs."""
    assert set(_PACKAGED_DATASETS_MODULES) <= READERS
    for name in sorted(READERS):
        with pytest.raises(Invalid, match=f"dataset_path '{name}' reads files where it is planned"):
            checked(alone(YAML.replace("!function m.asked", '"{{q}}"').replace("me/x", name)), trust_code=False)
