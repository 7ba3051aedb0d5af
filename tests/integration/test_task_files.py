"""Task files as people have them: packed with what they lean on, built and scored where none of the files is."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra.harness.building import Build, build, identify
from infra.harness.chat import Dress
from infra.harness.processes import ToScore, score_all
from infra.preparing import expanded, leaves_of
from infra.settings import Settings
from query_api.cli.task_files import tasks_in
from schemas.measurements import Answer
from schemas.requests import Chat, TaskChoice
from streams.errors import Invalid
from tests.integration.test_documents import ROWS
from tests.integration.test_harness import on_the_wire
from tests.unit.test_definition_files import REST

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
TASKS = {
    "tasks/lands.yaml": "group: lands\ntask:\n  - north\n  - task: south\n    include: _rest\n    doc_to_target: !function code.other\n",
    "tasks/north.yaml": "task: north\ninclude: _rest\ndoc_to_text: !function code.asked\n",
    "tasks/alone.yaml": "task: alone\ninclude: ../shared/base\n",
    "tasks/_rest": "include: ../shared/base\nprocess_docs: !function code.first\nmetadata:\n  version: 3\n",
    "tasks/code.py": "NORTH = 'North of '\n\n\ndef asked(doc):\n    return NORTH + doc['country']\n\n\ndef other(doc):\n"
                     "    return 1 - doc['answer']\n\n\ndef first(docs):\n    return docs.select(range(4))\n",
    "tasks/unused.py": "raise SystemExit\n",
    "shared/base": REST,
}  # fmt: skip


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """With the data of the tasks, which lie in `files`."""
    for name, text in TASKS.items():
        (tmp_path / "files" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "files" / name).write_text(text)
    data = tmp_path / "data" / "me__capitals" / "default" / "test.jsonl"
    data.parent.mkdir(parents=True)
    data.write_text("\n".join(map(json.dumps, ROWS)))
    return Settings(home=tmp_path, datasets=tmp_path / "data")


def asked(told: list[dict[str, Any]]) -> dict[str, TaskChoice]:
    """The tasks that are planned of what the command line packed."""
    choices = [TaskChoice.model_validate_json(json.dumps(one)) for one in told]
    return {one.name: one for one in expanded(choices, [leaves_of(one) for one in choices])}


def built(choice: TaskChoice, settings: Settings) -> Build:
    """A build of a task as it is planned."""
    return build(choice, dress=Dress(Chat()), settings=settings)


def test_a_folder_is_its_tasks_and_groups(settings: Settings) -> None:
    """Each with what it leans on and no more; a group's tasks are asked for by the group."""
    told = {one["name"]: one for one in tasks_in([settings.home / "files" / "tasks"], trust_code=True)}
    assert {name: {one["file"], *(part["path"] for part in one["parts"])} for name, one in told.items()} == {
        "alone": {"tasks/alone.yaml", "shared/base"},
        "lands": {"tasks/lands.yaml", "tasks/north.yaml", "tasks/_rest", "tasks/code.py", "shared/base"},
    }
    shutil.rmtree(settings.home / "files")
    assert {name: one.group for name, one in asked(list(told.values())).items()} == {
        "alone": None, "north": "lands", "lands::south": "lands",
    }  # fmt: skip


def test_tasks_are_built_and_scored_where_their_files_are_not(settings: Settings) -> None:
    """Their functions are imported from what the request brought, and for scoring from what the build keeps."""
    choices = asked(tasks_in([settings.home / "files" / "tasks" / "lands.yaml"], trust_code=True))
    shutil.rmtree(settings.home / "files")
    made = {name: built(choice, settings) for name, choice in choices.items()}
    assert {name: (len(one.samples), one.task_version, one.samples[0].requests[0].context) for name, one in made.items()} == {
        "north": (4, "3", "North of Land 0"), "lands::south": (4, "3", "The capital of Land 0 is"),
    }  # fmt: skip
    assert [part["path"] for part in json.loads(made["north"].config_json)["parts"]] == [
        "shared/base", "tasks/_rest", "tasks/code.py", "tasks/north.yaml",
    ]  # fmt: skip
    for name, right in (("north", 1.0), ("lands::south", 0.0)):
        sample = made[name].samples[0]
        requests, prefixes = on_the_wire(sample)
        answers = tuple(
            Answer(request_index=n, request_type="loglikelihood", finish_reason="none", prompt_tokens=0, loglikelihood=-n, is_greedy=False)
            for n in range(len(requests))
        )
        (scored,) = score_all([ToScore(made[name].config_json, sample.document, 0, requests, prefixes, answers)])
        assert [(score.metric, score.value) for score in scored.scores] == [("acc", right)]


def test_a_build_is_named_by_what_its_task_leans_on(settings: Settings) -> None:
    """By the text of every module and include, and not by that of other tasks."""
    files = settings.home / "files" / "tasks"

    def ids() -> dict[str, str]:
        choices = asked(tasks_in([files], trust_code=True))
        return {name: identify(one, dress=Dress(Chat()), settings=settings).build_id for name, one in choices.items()}

    first = ids()
    assert ids() == first
    (files / "code.py").write_text(TASKS["tasks/code.py"].replace("North of", "Northern"))
    assert {name for name, told in ids().items() if told != first[name]} == {"north", "lands::south"}
    (files / "code.py").write_text(TASKS["tasks/code.py"])
    (files / "north.yaml").write_text(TASKS["tasks/north.yaml"] + "task_alias: North\n")
    assert {name for name, told in ids().items() if told != first[name]} == {"north"}


@pytest.mark.parametrize("name", ["lands.yaml", ""])
def test_functions_are_refused_where_the_request_does_not_trust_them(settings: Settings, name: str) -> None:
    """With the file, the line and the flag."""
    with pytest.raises(Invalid, match=r"tasks/north\.yaml, line 3: !function code\.asked runs Python; .*\(--trust-code\)"):
        tasks_in([settings.home / "files" / "tasks" / name], trust_code=False)


def test_a_folder_without_tasks_is_told(tmp_path: Path) -> None:
    """With what is looked for."""
    with pytest.raises(Invalid, match=r"holds no task: there is no \*\.yaml"):
        tasks_in([tmp_path], trust_code=False)


def test_a_file_is_checked_alike_in_a_process_that_has_loaded_nothing() -> None:
    """A scorer's process meets it first of all; what lm-eval knows must not depend on what was loaded before."""
    told = "import yaml; from infra.harness.defined_metrics import check_aggregations; check_aggregations(yaml.compose('- metric: acc'))"
    subprocess.run([sys.executable, "-c", told], check=True, timeout=120)
