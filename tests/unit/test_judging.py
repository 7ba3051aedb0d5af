"""Judging: answers as documents, whom a judge's board ranks, what is asked for at a run's end, and what a judge's text says."""

import asyncio
import json
from typing import Any, cast

import pytest

from agents.judged import Judging, Run
from infra.builds import Builds
from infra.harness.catalogue import DERIVED_TASKS
from infra.harness.derived.pairwise import preference
from infra.harness.derived.rubric import points
from infra.kafka import Log
from schemas.builds import BuiltRequest, SampleBuilt
from schemas.event import Producer, Text
from schemas.measurements import Answer, SampleAnswered
from schemas.requests import EvaluationRequested, Judgement, ModelRef, TaskChoice
from schemas.runs import Plan, RunChanged
from streams.boards.ranking import Entry, boards_of, chosen, rank
from streams.errors import Invalid
from streams.quality import judging
from streams.settling.runs import OpenRuns
from streams.statistics.clusters import cluster_of
from tests.in_memory import InMemory
from tests.runs import run_named
from tests.unit.test_results import HEADER, STAMP, planned, result, scored

R, S = run_named("r"), run_named("s")

TOXICITY, GATHERS = "assay_judge_toxicity", "assay_judge_continuations"
BERTSCORE = "assay_judge_bertscore"
DERIVED = frozenset({judging.USUAL, judging.PAIRWISE, TOXICITY, BERTSCORE})


def sample(ordinal: int, *, draws: int = 1) -> SampleBuilt:
    """A question with a shared beginning, answered by a text."""
    request = BuiltRequest(request_type="generate_until", context=Text.plain(f"q{ordinal}"), prefix_ref="p", repeats=draws)
    return SampleBuilt(
        **HEADER, build_id="b", ordinal=ordinal, doc_id=ordinal, document=Text.plain(json.dumps({"q": ordinal})), requests=(request,),
        arguments_sha="", target=Text.plain("right"),
    )  # fmt: skip


def answered(ordinal: int, *texts: str | None, repeat: int = 0) -> SampleAnswered:
    """The draws of a sample's one request; null where the engine failed."""
    answers = tuple(
        Answer(request_index=0, request_type="generate_until", draw=draw, output=None if text is None else Text.plain(text),
               finish_reason="stop", prompt_tokens=1, error="broke" if text is None else None)
        for draw, text in enumerate(texts)
    )  # fmt: skip
    return SampleAnswered(
        **HEADER, run_id=R, job_id=f"{R}/t/0/0", attempt=1, task="t", build_id="b", ordinal=ordinal, repeat=repeat, seed=1,
        arguments_sha="", answers=answers,
    )  # fmt: skip


def plan_of(change: RunChanged, **told: Any) -> Plan:
    """A plan with fields of its own."""
    assert change.plan is not None
    return change.plan.model_copy(update=told)


def side(*given: SampleAnswered, run: str = R, samples: int = 2, repeats: int = 1) -> judging.Side:
    """A run's answers."""
    task = plan_of(planned(run, samples=samples)).tasks[0].model_copy(update={"repeats": repeats})
    return judging.Side(run, task, {(one.ordinal, one.repeat): one for one in given})


def made(samples: dict[int, SampleBuilt], *sides: judging.Side) -> list[dict[str, Any]]:
    """The documents."""
    return [json.loads(row) for row in judging.documents(samples, {"p": "shared "}, sides)]


def test_every_expected_answer_is_a_document_in_the_samples_order() -> None:
    """Draws and repeats are documents of one cluster; one that is missing keeps its place, and says so."""
    given = side(answered(1, "c", None), answered(0, "a", "b"), answered(0, "d", "e", repeat=1), repeats=2)
    rows = made({0: sample(0, draws=2), 1: sample(1, draws=2)}, given)
    assert [(row["ordinal"], row["repeat"], row["draw"]) for row in rows] == [(o, r, d) for o in (0, 1) for r in (0, 1) for d in (0, 1)]
    assert [row["answer"] for row in rows] == ["a", "b", "d", "e", "c", "", "", ""]
    assert [row[judging.UNANSWERED] for row in rows] == [False] * 5 + [True] * 3
    assert [cluster_of(row) for row in rows] == ["sample 0"] * 4 + ["sample 1"] * 4
    assert (rows[0]["prompt"], rows[0]["target"], json.loads(rows[0]["document"])) == ("shared q0", "right", {"q": 0})


def test_two_runs_stand_side_by_side() -> None:
    """Where they were asked the same; else it is refused."""
    rows = made({0: sample(0), 1: sample(1)}, side(answered(0, "a"), answered(1, "b")), side(answered(0, "x"), run=S))
    assert [(row["answer"], row["other"], row[judging.UNANSWERED]) for row in rows] == [("a", "x", False), ("b", "", True)]
    with pytest.raises(Invalid, match="not asked the same"):
        made({0: sample(0)}, side(), side(run=S, samples=3))


@pytest.mark.parametrize(
    ("name", "tasks", "found"),
    [
        ("d", {"t": 1}, [("d:t", None)]), ("d", {"t": 1, "u": 25}, [("d:t", "d"), ("d:u", "d")]),
        ("d:u", {"t": 1, "u": 1}, [("d:u", None)]), (GATHERS, {"t": 1, "u": 25}, [(f"{GATHERS}:u", None)]),
    ],
)  # fmt: skip
def test_a_derived_task_is_about_each_task_that_it_means(name: str, tasks: dict[str, int], found: list[tuple[str, str | None]]) -> None:
    """Several count as one; where draws are gathered, those that were drawn more than once."""
    assert [(one.name, one.group) for one in judging.chosen(TaskChoice(name=name), tasks)] == found


@pytest.mark.parametrize(
    ("name", "tasks", "says"),
    [
        ("d:x", {}, "no written answers to x; it has them to: none"), ("d", {}, "no written answers to any task"),
        (GATHERS, {"t": 1}, "no answers drawn several times .* to any task; it has them to: none"),
        (f"{GATHERS}:t", {"t": 1, "u": 2}, "drawn several times .* to t; it has them to: u"),
    ],
)  # fmt: skip
def test_where_nothing_is_written_there_is_nothing_to_judge(name: str, tasks: dict[str, int], says: str) -> None:
    """It says what there is."""
    with pytest.raises(Invalid, match=says):
        judging.chosen(TaskChoice(name=name), tasks)


def test_all_draws_of_a_request_may_be_one_document() -> None:
    """For each sample and repeat; where a draw is missing, it says so."""
    given = side(answered(0, "a", "b"), answered(0, "c", None, repeat=1), repeats=2, samples=1)
    rows = [json.loads(row) for row in judging.documents({0: sample(0, draws=2)}, {"p": "shared "}, [given], together=True)]
    assert [(row["ordinal"], row["repeat"], row["answers"]) for row in rows] == [(0, 0, ["a", "b"]), (0, 1, ["c", ""])]
    assert [row[judging.UNANSWERED] for row in rows] == [False, True]
    assert (rows[0]["prompt"], [cluster_of(row) for row in rows]) == ("shared q0", ["sample 0", "sample 0"])
    assert (judging.draws_of(given.answered), judging.draws_of({})) == (2, 0)


def asked(**told: Any) -> EvaluationRequested:
    """A request."""
    return EvaluationRequested.model_validate(HEADER | {"run_id": run_named("child"), "model": {"uri": "judge"}} | told)


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"tasks": [{"name": judging.USUAL}]}, "say whose"),
        ({"tasks": [{"name": judging.USUAL}, {"name": "hellaswag"}], "parent_run": R}, "run of their own"),
        ({"tasks": [{"name": judging.USUAL}], "parent_run": R, "against_run": S}, "one run: leave against_run out"),
        ({"tasks": [{"name": judging.PAIRWISE}], "parent_run": R}, "two runs: give against_run"),
        ({"tasks": [{"name": judging.PAIRWISE}], "parent_run": R, "against_run": R}, "compared with itself"),
        ({"tasks": [{"name": TOXICITY}], "parent_run": R}, "give engine classifier"),
        ({"tasks": [{"name": BERTSCORE}], "parent_run": R, "engine": {"name": "classifier"}}, "give engine encoder"),
        ({"tasks": [{"name": judging.USUAL}], "parent_run": R, "engine": {"name": "encoder"}}, "give engine transformers"),
        ({"tasks": [{"name": "hellaswag"}], "engine": {"name": "encoder"}}, "which task hellaswag does not ask"),
    ],
)
def test_a_request_that_cannot_judge_is_told_why(told: dict[str, Any], says: str) -> None:
    """With what to do."""
    with pytest.raises(Invalid, match=says):
        judging.check_request(asked(**told), DERIVED)


@pytest.mark.parametrize(("state", "says"), [(None, "not in the log"), ("running", "when it is over")])
def test_who_is_not_over_is_not_judged_yet(state: str | None, says: str) -> None:
    """With what to do."""
    with pytest.raises(Invalid, match=says):
        judging.check_state("r", state)


def test_rules_of_derived_tasks_name_tasks_that_there_are() -> None:
    """The definitions lie in files, the rules about them here."""
    rules = {judging.USUAL, *judging.COMPARING, *judging.GATHERING, *judging.REFERRING, *judging.ENGINES}
    assert rules <= DERIVED_TASKS


def test_judgements_asked_for_twice_are_the_same_runs() -> None:
    """Derived ids, in the order asked for; a model among `judges` judges by the usual rubric."""
    request = asked(run_id=R, judgements=[Judgement(task="a", model=ModelRef(uri="j"))], judges=("k",), priority=3)
    completed = RunChanged(occurred_us=7, producer=STAMP, run_id=R, state="completed")
    first, again = (judging.requests_of(request, completed, stamp=Producer(service=name, version="1")) for name in ("x", "y"))
    assert [(one.tasks[0].name, one.model.uri, one.parent_run, one.priority, one.occurred_us) for one in first] == [
        ("a", "j", R, 3, 7), (judging.USUAL, "k", R, 3, 7)
    ]  # fmt: skip
    assert [one.event_id for one in first] == [one.event_id for one in again]
    assert len({one.run_id for one in first} | {R}) == 3
    assert judging.judgements_of(first[0]) == ()


def judged(results: OpenRuns, run: str, *, subject: str, judge: str, build: str, values: list[float]) -> None:
    """A judgement of that name, complete."""
    run = run_named(run)
    whom = judging.subject_of(run_named(f"of {subject}"), plan_of(planned(R, samples=2, model=subject)))
    change = planned(run, samples=len(values), model=judge)
    tasks = tuple(one.model_copy(update={"build_id": f"answers-of-{subject}", "judged": build}) for one in plan_of(change).tasks)
    results.fold(change.model_copy(update={"plan": plan_of(change, subject=whom, tasks=tasks)}))
    for ordinal, value in enumerate(values):
        results.fold(scored(run, ordinal, value))
    results.fold(RunChanged(**HEADER, run_id=run, state="completed"))


def test_a_judges_board_ranks_whom_it_judges() -> None:
    """Those who answered the same build, whatever they answered; another judge, or another build, is not compared."""
    results = OpenRuns()
    judged(results, "1", subject="good", judge="j", build="b", values=[1.0, 1.0])
    judged(results, "2", subject="bad", judge="j", build="b", values=[0.0, 1.0])
    judged(results, "3", subject="good", judge="k", build="b", values=[0.0, 0.0])
    judged(results, "4", subject="other", judge="j", build="older", values=[1.0, 1.0])
    found = {name: result(results.run(run_named(name))) for name in ("1", "2", "3", "4")}
    (name,) = boards_of(found["1"])
    assert name.startswith("task:t by j (")
    assert name == next(iter(boards_of(found["2"]))) != next(iter(boards_of(found["3"])))
    on_it = [run for run in found.values() if name in boards_of(run) and run.run_id != run_named("4")]
    board = rank(chosen(name, [Entry(run, boards_of(run)[name], hardware="", speed={}) for run in on_it]))
    assert [(row.rank, row.model, row.run_id, row.score) for row in board.rows] == [
        (1, "good", run_named("1"), 1.0),
        (2, "bad", run_named("2"), 0.5),
    ]
    newest = [Entry(run, boards_of(run)[name], hardware="", speed={}) for run in found.values() if name in boards_of(run)]
    assert [row.model for row in rank(chosen(name, newest)).rows] == ["other"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Coherence: 7\nCreativity: 6\nStyle: 5\nPrompt following: 8\nScore: 7 (the whole, all in all)",
         {"coherence": 7, "creativity": 6, "style": 5, "prompt_following": 8, "rating": 7}),
        ("**Score:** 8/10", {"rating": 8}),
        ("Score: 3\nno, rather\n- score : 4.5", {"rating": 4.5}),
        ("Style: 11\nScore: 10", {"rating": 10}),
    ],
)  # fmt: skip
def test_a_judges_points_are_read_line_by_line(text: str, found: dict[str, float]) -> None:
    """The last of several counts; what is out of range is left out."""
    assert points({}, [text]) == found


@pytest.mark.parametrize(
    ("orders", "preferred", "bias", "first"),
    [
        (("first", "second"), 1.0, 0.0, 0.5), (("second", "first"), 0.0, 0.0, 0.5), (("tie", "tie"), 0.5, 0.0, 0.5),
        (("first", "first"), 0.5, 1.0, 1.0), (("second", "second"), 0.5, 1.0, 0.0), (("first", "tie"), 0.75, 1.0, 0.75),
    ],
)  # fmt: skip
def test_a_preference_is_the_mean_over_both_orders(orders: tuple[str, str], preferred: float, bias: float, first: float) -> None:
    """What a judge feels for a place cancels out, and is told by itself; the last verdict counts."""
    texts = [f"Verdict: tie?\nno:\n**Verdict: [{order.upper()}]**" for order in orders]
    assert preference({}, texts) == {"preference": preferred, "position_bias": bias, "first_preferred": first}
    with pytest.raises(Invalid, match="in the other order"):
        preference({}, [texts[0], "the first one"])


@pytest.mark.parametrize(
    ("text", "says"), [("", "no line"), ("A fine 7.", "no line"), ("Score: 0", "gave 0 points"), ("Score: 70/100", "gave 70 points")]
)
def test_without_a_whole_score_nothing_is_scored(text: str, says: str) -> None:
    """Never 0."""
    with pytest.raises(Invalid, match=says):
        points({}, [text])


@pytest.mark.parametrize("hours", [10, 1])
def test_answers_are_found_whatever_their_agents_clock_said(hours: int) -> None:
    """Where topics have their writers' times: one that is hours behind has written, by its clock, long before its run was planned."""
    memory, hour_us = InMemory(), 3600 * 10**6
    change = planned(R, samples=2)
    assert change.plan is not None
    for ordinal in range(2):
        memory.write(answered(ordinal, "x"), written_us=hours * hour_us)
    run = Run(R, change.plan, 10 * hour_us, "organisation")
    found = asyncio.run(Judging(cast("Log", memory), cast("Builds", None))._answers(run))
    assert {task: sorted(answers) for task, answers in found.items()} == {"t": [(0, 0), (1, 0)]}
    assert memory.passed == 2
