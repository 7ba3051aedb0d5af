"""A group of two tasks over the same documents, of which each has them from a source of its own, in its own order: on the real stack."""

import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from infra.harness.building import build
from infra.harness.chat import Dress
from infra.settings import Settings
from schemas.requests import Chat, TaskChoice
from streams.quality.matching import Asked, matched
from streams.statistics.intervals import joint_interval, ratio_of
from streams.statistics.joining import covariance
from tests.flow import until_listed
from tests.integration.test_api import until
from tests.integration.test_cli import assay, document

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
TASK = """task: {name}
custom_dataset: !function data.{name}
output_type: multiple_choice
test_split: test
doc_to_text: "Question {{{{question}}}}:"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: answer
should_decontaminate: true
doc_to_decontamination_query: question
metric_list:
  - metric: acc
"""
DATA = """import datasets

ROWS = [{"question": f"number {n}", "choices": ["left", "right"], "answer": n % 2} for n in range(40)]


def forth(**_):
    return {"test": datasets.Dataset.from_list(ROWS)}


def back(**_):
    return {"test": datasets.Dataset.from_list([row | {"asked": "again"} for row in ROWS[::-1]])}
"""
FILES = {"twins.yaml": "group: twins\ntask: [forth, back]\n", "data.py": DATA} | {
    f"{name}.yaml": TASK.format(name=name) for name in ("forth", "back")
}


@pytest.fixture(scope="module")
def run(flow: Settings, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The run of both."""
    folder = tmp_path_factory.mktemp("twins")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    asked = ("--engine", "echo", "--model", "echo-one", "--task-file", str(folder / "twins.yaml"), "--trust-code")
    told = document(assay(flow, "submit", *asked, "--wait", "--json"))
    until_listed(flow, told["run_id"], samples=80)
    return told


def values(flow: Settings, run_id: str, task: str) -> dict[str, float]:
    """What the run has of each question."""
    samples = httpx.get(f"{flow.api}/v1/runs/{run_id}/samples", params={"task": task, "limit": 50}, timeout=60).json()["samples"]
    return {one["document"]["question"]: next(own["value"] for own in one["scores"] if own["metric"] == "acc") for one in samples}


def test_a_groups_interval_is_the_one_that_what_its_tasks_share_gives(flow: Settings, run: dict[str, Any]) -> None:
    """Document by document: the same answers to the same questions are no surer twice than once."""
    assert run["state"] == "completed", run
    told = httpx.get(f"{flow.api}/v1/runs/{run['run_id']}", timeout=60).json()
    scores, (group,) = {one["task"]: one for one in told["scores"]}, told["groups"]
    forth, back = (next(one for task, one in scores.items() if name in task) for name in ("forth", "back"))
    first, second = (values(flow, run["run_id"], one["task"]) for one in (forth, back))
    assert first == second and len(first) == 40 and 0 < sum(first.values()) < 40  # the model is asked the same in both
    one = other = np.array([*first.values()])
    at = [np.arange(40)] * 2
    ratios = [ratio_of(score["value"], (score["low"], score["high"])) for score in (forth, back)]
    expected = joint_interval(ratios, [0.5, 0.5], covariance([one / 2, other / 2], at), families=["d", "d"])
    assert (group["low"], group["high"]) == pytest.approx(expected, abs=1e-12)
    assert (group["low"], group["high"]) == pytest.approx((forth["low"], forth["high"]), abs=0.003)
    alone = joint_interval(ratios, [0.5, 0.5])
    assert group["high"] - group["low"] > 1.3 * (alone[1] - alone[0])


def test_boards_say_what_made_their_intervals_and_places(flow: Settings, run: dict[str, Any]) -> None:
    """Those of the tasks as their own figures do; that of both, as wide as the group's row, joins them."""
    forth = run["scores"][0]
    task, joined = (
        until(flow.api, f"/v1/rankings?board={name}", holds=lambda found: found["rows"]) for name in (f"task:{forth['task']}", "twins")
    )
    (row,), (whole,) = task["rows"], joined["rows"]
    assert (row["method"], whole["method"], forth["method"]) == ("Wilson", "Wilson, joined", "Wilson")
    assert task["places_method"] == joined["places_method"] == "tests of all pairs, with Holm's correction"
    assert (row["low"], row["high"]) == pytest.approx((forth["low"], forth["high"]))


def test_truthfulqas_three_are_known_to_ask_the_same(tmp_path: Path) -> None:
    """lm-eval's own tasks over made data: the written answers' file has another order and other fields."""
    asked = [f"What is number {n}?" for n in range(12)]
    choices = {"choices": ["yes", "no"], "labels": [1, 0]}
    picked: list[dict[str, Any]] = [{"question": one, "mc1_targets": choices, "mc2_targets": choices} for one in asked]
    written: list[dict[str, Any]] = [
        {"type": "t", "category": "c", "question": one, "best_answer": "yes", "correct_answers": ["yes"], "incorrect_answers": ["no"],
         "source": "s"}
        for one in asked[::-1]
    ]  # fmt: skip
    for name, rows in {"multiple_choice": picked, "generation": written}.items():
        file = tmp_path / "truthfulqa__truthful_qa" / name / "validation.jsonl"
        file.parent.mkdir(parents=True)
        file.write_text("\n".join(json.dumps(row) for row in rows))
    settings = Settings(home=tmp_path, datasets=tmp_path)
    made = [build(TaskChoice(name=f"truthfulqa_{name}"), dress=Dress(Chat()), settings=settings) for name in ("mc1", "mc2", "gen")]
    one, two, three = matched([Asked(own.data_sha, len(own.samples), own.questions) for own in made])
    assert one == two and one.documents == three.documents and one.places == three.places[::-1]
    assert made[0].data_sha == made[1].data_sha != made[2].data_sha
