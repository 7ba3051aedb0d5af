"""A task of which a part is asked, on the real stack: other models' whole runs choose it; the estimate is held to the model's own.

The models are the echo engine's, with answers that a two-parameter world draws for each of them.
"""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from benchmarks.rigor_adaptive import answered
from infra.harness.bundled.documents import copying
from infra.kafka import Log
from infra.replay import verify
from infra.settings import Settings
from schemas.requests import EngineChoice
from schemas.runs import RunChanged
from streams.quality.adaptive import FEWEST_RUNS
from streams.topics import JOBS_PLANNED, RUNS
from tests.flow import events_of, request, until_listed, until_state
from tests.integration.test_api import until
from tests.integration.test_cli import assay, document

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
TASK, ASKED, MODELS = "assay_copy", 60, FEWEST_RUNS + 1


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A file of answers for each model; each is a little abler than the one before, the last somewhere in the middle."""
    letters = [str(row["letters"]) for row in copying()["test"]]
    abilities = np.linspace(-1.5, 1.5, MODELS - 1).tolist()
    right = answered(np.random.default_rng(7), np.asarray([*abilities, 0.4]), world="the model is true", documents=len(letters))
    folder, paths = tmp_path_factory.mktemp("answers"), list[Path]()
    for number, row in enumerate(right):
        told = {f"copy: {one}=": one if correct else "-" for one, correct in zip(letters, row, strict=True)}
        paths.append(folder / f"{number}.json")
        paths[-1].write_text(json.dumps(told))
    return paths


def submitted(flow: Settings, answers: Path, *arguments: str) -> Any:
    """The end of `assay submit` of the model that is held out."""
    engine = ("--engine", "echo", "--option", f"answers={answers}", "--model", "held-out")
    return assay(flow, "submit", *engine, "--task", TASK, *arguments, "--wait", "--json")


async def run_whole(flow: Settings, answers: list[Path]) -> None:
    """Every model but the last answers all."""
    async with Log(flow, client_id="test") as log:
        asked = [
            request(TASK, limit=None, model=f"source-{place}", engine=EngineChoice(name="echo", options={"answers": str(path)}))
            for place, path in enumerate(answers[:-1])
        ]
        await log.publish_all(asked)
        for one in asked:
            state = await until_state(flow, one.run_id, "completed", "failed", "rejected")
            assert state["state"] == "completed", state["message"]


async def planned(flow: Settings, run_id: str) -> tuple[Any, list[int]]:
    """What the plan says of the part, and the ordinals that its jobs ask."""
    async with Log(flow, client_id="test") as log:
        changes, made = await events_of(log, RUNS, run_id), await events_of(log, JOBS_PLANNED, run_id)
    (plan,) = [one.plan for one in changes if isinstance(one, RunChanged) and one.plan]
    return plan.tasks[0].adaptive, [ordinal for one in made for ordinal in one.job.samples]


def row_of(flow: Settings, run_id: str) -> dict[str, Any]:
    """The run's row on the task's board, once it is there."""
    path = f"/v1/rankings?board=task:{TASK}&limit=500"
    board = until(flow.api, path, holds=lambda told: any(row["run_id"] == run_id for row in told["rows"]))
    return next(dict(row) for row in board["rows"] if row["run_id"] == run_id)


def test_an_estimate_from_a_part_holds_what_the_whole_run_gives(flow: Settings, answers: list[Path]) -> None:
    """Refused before the runs are there; then marked in the run, on the board and on its page, and the same in a replay."""
    dry = assay(flow, "submit", "--engine", "echo", "--model", "held-out", "--task", TASK, "--adaptive", str(ASKED), "--dry-run").stdout
    assert f"adaptive, {ASKED} of 200" in " ".join(dry.split())
    early = submitted(flow, answers[-1], "--adaptive", str(ASKED))
    assert early.returncode == 1 and f"{FEWEST_RUNS} are needed" in early.stderr
    asyncio.run(run_whole(flow, answers))
    told = document(submitted(flow, answers[-1], "--adaptive", str(ASKED)))
    (score,) = told["scores"]
    part, ordinals = asyncio.run(planned(flow, told["run_id"]))
    assert sorted(ordinals) == list(part.ordinals) and len(ordinals) == ASKED == score["samples"]
    words = f"adaptive, {ASKED} of 200, IRT from {len(part.fitted_runs)} runs"
    assert score["method"] == words and any(words in warning for warning in told["warnings"])
    row = row_of(flow, told["run_id"])
    assert (row["rank"], row["adaptive"], row["score"]) == (None, words, pytest.approx(score["value"]))
    assert words in httpx.get(f"{flow.api}/runs/{told['run_id']}", timeout=60).text
    assert words in httpx.get(f"{flow.api}/leaderboard", params={"board": f"task:{TASK}"}, timeout=60).text
    whole = document(submitted(flow, answers[-1]))
    (truth,) = whole["scores"]
    assert score["low"] <= truth["value"] <= score["high"]
    assert abs(score["value"] - truth["value"]) < 0.1
    until_listed(flow, whole["run_id"], samples=200)
    assert words in assay(flow, "compare", told["run_id"], whole["run_id"]).stderr.replace("\n", " ")
    verdict = asyncio.run(verify(flow, run_id=told["run_id"], told=lambda _text: None))
    assert verdict.equal, verdict.difference
