"""Beside a board: whose runs it leaves out and why, whether its scores are chance-corrected; and which board was meant."""

import asyncio
from typing import Any

import pytest

from query_api.drawing import dressing
from query_api.reading import rankings
from query_api.reading.standing import beside
from schemas.requests import Chat, EngineChoice, ModelRef
from schemas.runs import Estimate, ExpectedMetric, Plan, PlannedTask
from streams.errors import NotFound


def task(name: str, *, build: str = "b", samples: int = 100, chance: float | None = 0.25) -> PlannedTask:
    """A planned task."""
    return PlannedTask(task=name, task_version="1", build_id=build, samples=samples, repeats=1, expected=(), main_metric="acc",
                       main_filter="none", chance=chance)  # fmt: skip


def plan(model: str, *tasks: PlannedTask, suite: str | None = None, chat: Chat | None = None) -> str:
    """A run's plan, as its result has it."""
    return Plan(
        submitter="me", model=ModelRef(uri=model), model_sha=model, tokenizer_sha="", chat_template_sha="", engine=EngineChoice(),
        chat=chat or Chat(), suite=suite, tasks=tasks, licences=(), skipped=(), estimate=Estimate(), jobs=1,
    ).model_dump_json()  # fmt: skip


class Told:
    """What is read: rows by the name of the query; the tasks of the one run that has a rank."""

    def __init__(self, *tasks: PlannedTask, **rows: list[dict[str, Any]]) -> None:
        self._tasks, self._rows = tasks, rows

    async def rows(self, name: str, **_: Any) -> list[dict[str, Any]]:
        """The rows of that name."""
        return self._rows.get(name, [])

    async def planned(self, run_id: str) -> list[dict[str, Any]]:
        """The tasks."""
        return [one.model_dump(mode="json") for one in self._tasks] if run_id == "ranked" else []

    async def page(self, *_: Any, board: str, **__: Any) -> tuple[list[dict[str, Any]], None]:
        """No row of any board, whose name comes back in its head."""
        self._rows["board_head"] = [{"board": board}] if {"board": board} in self._rows.get("boards", []) else []
        return [], None


ROWS = [{"run_id": run, "model": model, "model_sha": model, "engine": "transformers", "chat": "{}", "rank": rank}
        for run, model, rank in (("partly", "a", None), ("ranked", "b", 1))]  # fmt: skip


def told_of(board: str, others: list[str], *tasks: PlannedTask) -> dict[str, Any]:
    """What is told beside a board of these tasks, of other runs' plans, the newest first."""
    runs = [{"run_id": f"run-{at}", "settled_plan": one} for at, one in enumerate(others)]
    reading: Any = Told(*tasks, board_models=ROWS, not_on_board=runs)
    return asyncio.run(beside(reading, board))


def test_models_that_a_board_leaves_out_are_told_with_the_reason() -> None:
    """Each once, by its newest run; not those that have another run there, nor those whose data are the board's."""
    others = [
        plan("m/few", task("t", samples=10)), plan("m/few", task("t", samples=20)), plan("m/new", task("t", build="c")),
        plan("b", task("t", samples=10)), plan("m/same", task("t")), plan("m/other", task("u", samples=1)),
        plan("b", task("t", samples=10), chat=Chat(template="model")),
    ]  # fmt: skip
    assert told_of("task:t", others, task("t"))["left_out"] == [
        {"model": "m/few", "run_id": "run-0", "reason": "other sample counts"},
        {"model": "m/new", "run_id": "run-2", "reason": "other data"},
        {"model": "b", "run_id": "run-6", "reason": "other sample counts"},
    ]


def test_a_suites_board_leaves_out_runs_of_that_suite_alone() -> None:
    """Or of the same tasks, where it has no other name."""
    some = task("t", samples=5), task("u", samples=5)
    others = [plan("x", *some, suite="s"), plan("y", *some), plan("z", *some, suite="other")]
    assert [one["model"] for one in told_of("s", others, task("t"), task("u"))["left_out"]] == ["x"]
    assert [one["model"] for one in told_of("t+u", others, task("t"), task("u"))["left_out"]] == ["y"]


@pytest.mark.parametrize(
    ("board", "chance", "corrected"), [("s", 0.25, True), ("s", None, False), ("task:t", 0.25, False)], ids=["suite", "no chance", "task"]
)
def test_scores_that_are_chance_corrected_are_said_to_be(board: str, chance: float | None, corrected: bool) -> None:
    """A task's own board has the metric as it is."""
    assert told_of(board, [], task("t", chance=chance))["chance_corrected"] is corrected


def test_a_board_without_a_rank_has_nothing_beside_it() -> None:
    """Nor has none."""
    reading: Any = Told(board_models=ROWS[:1])
    for board in ("s", None):
        assert asyncio.run(beside(reading, board)) == {"chance_corrected": False, "left_out": [], "no_places": None}


def test_who_is_left_out_is_said_by_the_reason() -> None:
    """With as many names as can be read."""
    runs = [{"model": f"/models/m{n}", "reason": "other sample counts"} for n in range(10)] + [{"model": "org/x", "reason": "other data"}]
    first, second = dressing.left_out(runs).splitlines()
    assert first == "10 models left out: other sample counts (m0, m1, m2, m3, m4, m5, m6, m7 and 2 more)"
    assert second == "1 model left out: other data (x)"


@pytest.mark.parametrize(
    ("asked", "known", "found"),
    [("arc_easy", ["task:arc_easy"], "task:arc_easy"), ("arc_easy", ["arc_easy", "task:arc_easy"], "arc_easy"), ("s", ["s"], "s")],
)
def test_a_tasks_own_board_is_found_by_the_tasks_name(asked: str, known: list[str], found: str) -> None:
    """Unless there is another board of that name."""
    rows = [{"board": name} for name in known]
    reading: Any = Told(boards_named=rows, boards=rows)
    assert asyncio.run(rankings.ranking(reading, asked))["board"] == found


def test_a_board_that_is_not_there_names_those_that_were_meant() -> None:
    """Else those that there are."""
    reading: Any = Told(boards=[{"board": name} for name in ("reasoning", "task:arc_easy", "task:arc_challenge")])
    with pytest.raises(NotFound, match=r"no board 'arc_esy'; did you mean task:arc_easy\?"):
        asyncio.run(rankings.ranking(reading, "arc_esy"))
    with pytest.raises(NotFound, match="no board 'zzz'; there are: reasoning, task:arc_easy"):
        asyncio.run(rankings.ranking(reading, "zzz"))
    assert rankings.meant("x", []) == "there is none yet"


def test_a_board_of_what_is_no_mean_says_why_it_has_no_ranges_of_places() -> None:
    """Also one of what a judge says; a board of a mean, of which less may be better, and a suite say nothing."""
    bleu = task("t").model_copy(
        update={"main_metric": "bleu", "expected": (ExpectedMetric(filter="none", metric="bleu", aggregation="bleu"),)}
    )
    less = task("u").model_copy(update={"expected": (ExpectedMetric(filter="none", metric="acc", higher_is_better=False),)})
    for name, told in (("task:t", True), ("task:t by j (123456)", True), ("task:u", False), ("s", False)):
        assert bool(told_of(name, [], bleu, less)["no_places"]) is told
