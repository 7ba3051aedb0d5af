"""Tasks of code from a request to their figures, through every process: an engine that is right for some samples, and pass@1 says so."""

import asyncio
import json
from pathlib import Path

import pytest

from infra.kafka import Log
from infra.sandbox.running import walls_here
from infra.settings import Settings
from schemas.requests import EngineChoice
from streams.topics import NOT_SCORED, SCORES
from tests.flow import events_of, request, until_row, until_state
from tests.integration.test_code import rows

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.datasets]
LIMIT = 6


def answers(folder: Path) -> Path:
    """The right answers to every other problem, by the end of its prompt; the echo engine says something else to the rest."""
    told = {row["prompt"]: row["canonical_solution"] for row in list(rows("openai__openai_humaneval", "default", "test.jsonl"))[:LIMIT:2]}
    tasks = list(rows("google-research-datasets__mbpp", "full", "test.jsonl"))[:LIMIT:2]
    told |= {"\n".join([*row["test_list"][:3], "[BEGIN]\n"]): row["code"] for row in tasks}
    file = folder / "answers.json"
    file.write_text(json.dumps(told))
    return file


def test_half_right_is_half_passed(flow: Settings, tmp_path: Path) -> None:
    """HumanEval and MBPP, beside a task of choices, and descriptions of code with their smoothed BLEU."""
    tasks = ("humaneval", "mbpp", "code2text_ruby", "assay_agreement")
    one = request(*tasks, limit=LIMIT, engine=EngineChoice(name="echo", options={"answers": str(answers(tmp_path))}))

    async def act() -> None:
        async with Log(flow, client_id="test") as log:
            await log.publish(one)
            state = await until_state(flow, one.run_id, "completed", "failed", "rejected")
            assert (state["state"], state["message"]) == ("completed", None)
            sql = "SELECT task, metric, value FROM run_figures WHERE run_id = {r:String} AND complete"
            found = await until_row(flow, sql, holds=lambda rows: len({row["task"] for row in rows}) == len(tasks), r=one.run_id)
            values = {(row["task"], row["metric"]): row["value"] for row in found}
            assert (values["humaneval", "pass@1"], values["mbpp", "pass_at_1"]) == (0.5, 0.5)
            assert 0 < values["code2text_ruby", "smoothed_bleu_4"] < 100
            assert await events_of(log, NOT_SCORED, one.run_id) == []
            scores = await events_of(log, SCORES, one.run_id)
            behind = {score.task: score.sandbox for score in scores}
            assert behind == {"humaneval": walls_here(), "mbpp": walls_here(), "code2text_ruby": None, "assay_agreement": None}
            ids = [score.event_id for score in scores]
            assert len(ids) == len(set(ids)) == sum(1 for task in tasks for _ in range(LIMIT))

    asyncio.run(act())
