"""Predicted scores: by size, family and other tasks, intervals that hold on what was left out, abstentions, and what came of them."""

from collections.abc import Iterable
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest

from benchmarks.planted_scores import scores
from query_api.drawing.scores import interval, points, score
from query_api.pages.predicting_scores import FIELDS, asked_by, spans
from query_api.pages.rendering import TEMPLATES
from query_api.reading.predicting_scores import Learned, ScoreWanted, foretold
from query_api.routes.score_predictions import ScorePrediction, told, wanted
from schemas.event import Producer
from schemas.predictions import PredictedScore, ScorePredicted, UnpredictedScore
from streams.deciding.evidence import Evidence
from streams.errors import Invalid
from streams.predicting.conformal import LEVEL
from streams.predicting.evidence import Size
from streams.predicting.families import family_of, parameters_of
from streams.predicting.score_record import came_of, kept_of
from streams.predicting.scored import groups_of, known_of, score_of, tasks_of
from streams.predicting.scores import Asked, Known, NotTold, ScoreTold, by_family, by_size, logits, median, predicted, ridge
from tests import measured
from tests.runs import run_named

GSM, ARC = measured.planned("gsm8k"), measured.planned("arc_easy")
HERE = measured.environment("L40S")


def known(family: str, parameters: float, **told: float) -> Known:
    """A model that was scored so."""
    return Known(f"{family}-{parameters:.3g}", "", family, parameters, told, {})


def test_a_name_tells_family_and_size() -> None:
    """As hubs write them; of experts, and of names without a size, no size."""
    for name, family, size in (
        ("HuggingFaceTB/SmolLM2-135M-Instruct", "smollm2", 135e6), ("/m/Qwen2.5-0.5B", "qwen2.5", 0.5e9), ("pythia-1.4b", "pythia", 1.4e9),
        ("meta-llama/Llama-3.2-1B/", "llama-3.2", 1e9), ("gpt2", "gpt2", None), ("Mixtral-8x7B-v0.1", "mixtral-8x7b-v0.1", None),
        ("Qwen3-30B-A3B", "qwen3", None), ("tiny-b", "tiny-b", None), ("", "", None),
    ):  # fmt: skip
        assert (family_of(name), parameters_of(name)) == (family, pytest.approx(size) if size else None), name


def test_the_ways_by_hand() -> None:
    """The median of sizes; a line through two points; half of one model's distance from it; a regression that has learned a copy."""
    rows = [known("a", 1e8), known("a", 1e9), known("b", 1e8), known("b", 1e9)]
    values = np.array([0.0, 1.0, 0.0, 1.0])
    new = [known("c", 1e10)]
    assert median(rows, values)(new) == pytest.approx([0.5])
    assert by_size(rows, values)(new) == pytest.approx([2.0])
    # a's three lie 1, 1 and 1 above the line of b's; weights are alike, so the line is lifted by half: 0.5 each, of which 2/3.
    apart = np.array([1.0, 2.0, 0.0, 1.0])
    assert by_family(rows, apart)([known("a", 1e10)]) == pytest.approx([2.5 + 0.5 * 2 / 3])
    assert by_size([known("a", 1e9)], np.array([3.0]))(new) == pytest.approx([3.0])
    copied = [known("a", 10.0**n, other=0.1 * n) for n in range(1, 9)]
    at = logits([one.scores["other"] for one in copied])
    (guess,) = ridge(["other"])(copied, at)([known("z", 10.0**4, other=0.4)])
    assert guess == pytest.approx(float(logits([0.4])[0]), abs=0.1)


@pytest.mark.parametrize(("new", "others"), [("model", 0), ("model", 3), ("family", 0), ("family", 3)])
def test_intervals_hold_on_what_was_left_out(new: str, others: int) -> None:
    """In planted worlds whose laws no fit is told: eight in ten, with a fraction of the error of the median of all models."""
    within, errors, beside = [], [], []
    for seed in range(40):
        world = scores(seed, families=8, each=4, tasks=5)
        one = world.known[seed % 4]
        rest = [row for row in world.known if (row is not one if new == "model" else row.family != one.family)]
        told = predicted(
            Asked(one.family, one.parameters, {task: one.scores[task] for task in world.tasks[1 : 1 + others]}), "task-0", rest
        )
        assert isinstance(told, ScoreTold)
        assert told.left_out == ("models" if new == "model" else "families")
        assert ("task-1" in told.method) or not others or told.method.startswith("size")
        value = one.scores["task-0"]
        within.append(told.low <= value <= told.high)
        errors.append(abs(told.value - value))
        beside.append(abs(told.baseline - value))
    assert np.mean(within) > LEVEL - 0.12
    assert np.median(errors) < (0.25 if others else 0.5) * np.median(beside)


def test_far_from_what_was_scored_nothing_is_said() -> None:
    """And why: nobody, too few, too large."""
    rows = [known(f"f{n}", 1e9 * (n + 1), t=0.5) for n in range(3)]
    asked = Asked("new", 2e9, {})

    def why(one: Asked, task: str, of: Iterable[Known]) -> str:
        found = predicted(one, task, list(of))
        assert isinstance(found, NotTold)
        return found.why

    assert why(asked, "u", rows) == "nobody whose size is known has been scored on it"
    assert why(asked, "t", rows) == "it was measured on 3 families, and an interval for another needs 4"
    assert why(replace(asked, family="f1"), "t", rows) == "it was measured on 3 models, and an interval for another needs 4"
    assert why(replace(asked, parameters=9e9), "t", rows) == "9e+09 parameters are far from all that were scored on it: 1e+09 to 3e+09"


def evidence(count: int = 5) -> Evidence:
    """Models of several families and sizes, scored on two tasks; the last on one of them."""
    told = []
    for n in range(1, count + 1):
        values = {GSM: measured.rights(0.1 * n + 0.2, seed=n), ARC: measured.rights(0.08 * n + 0.3, seed=n + 9)}
        own = {GSM: values[GSM]} if n == count else values
        told.append([HERE, *measured.run(n, f"org/F{n % 2}-{n}B", HERE, scores=own)])
    return measured.evidence(*told)


def learned(of: Evidence, sizes: dict[str, Size] | None = None) -> Learned:
    """What is learned of it."""
    return Learned(of, known_of(of, sizes or {}), groups_of(of), list(tasks_of(of)), "d")


def asking(**told: Any) -> ScoreWanted:
    """Of a model whose size lies among the measured ones."""
    given: dict[str, Any] = {"by": "t", "model": "org/F1-4B", "model_sha": None, "parameters": 4 * 10**9, "family": None, "known": {}}
    return ScoreWanted(**(given | {"tasks": ("arc_easy",)} | told))


def test_what_was_scored_is_learned_from() -> None:
    """By its weights, with the size that the engine told, else that of its name."""
    of = evidence()
    found = known_of(of, {run_named(2): Size(10**9, 2 * 10**9, None, None)})
    assert [(one.name, one.family, one.parameters) for one in found] == [
        ("org/F0-2B", "f0", 1e9), ("org/F0-4B", "f0", 4e9), ("org/F1-1B", "f1", 1e9), ("org/F1-3B", "f1", 3e9), ("org/F1-5B", "f1", 5e9),
    ]  # fmt: skip
    first = found[2]
    assert first.scores["gsm8k"] == pytest.approx(0.3, abs=0.01)
    assert first.runs == {"gsm8k": run_named(1), "arc_easy": run_named(1)}
    assert set(found[-1].scores) == {"gsm8k"}
    assert list(tasks_of(of)) == ["arc_easy", "gsm8k"]


def test_what_was_measured_of_the_model_is_known_and_never_predicted() -> None:
    """Its other tasks' scores are taken with those that are told; of the task itself it says which run measured it."""
    of = learned(evidence())
    resting, (said,) = foretold(asking(model="F1-5B", parameters=5 * 10**9, known={"mmlu": 0.4}), of)
    assert set(resting) == {"gsm8k", "mmlu"}
    assert isinstance(said, ScoreTold) and said.models == 4
    _, (measured_already,) = foretold(asking(model="org/F1-3B"), of)
    assert isinstance(measured_already, NotTold) and measured_already.why.endswith(f"in run {run_named(3)}")
    resting, _ = foretold(asking(model_sha="sha of org/F1-3B", model="renamed", tasks=("gsm8k",)), of)
    assert set(resting) == {"arc_easy"}


def test_a_groups_tasks_count_once() -> None:
    """As the group; a group can be asked for as well."""
    parts = [measured.planned(f"mmlu_{n}", group="mmlu") for n in range(2)]
    runs = [[HERE, *measured.run(n, f"F-{n}B", HERE, scores={one: measured.rights(0.1 * n + 0.1, seed=n) for one in (GSM, *parts)})]
            for n in range(1, 7)]  # fmt: skip
    of = learned(measured.evidence(*runs))
    resting, _ = foretold(asking(model="F-3B", tasks=("gsm8k",)), of)
    assert set(resting) == {"mmlu"}
    _, (said,) = foretold(asking(model="F-3.5B", tasks=("mmlu",)), of)
    assert isinstance(said, ScoreTold) and 0.2 < said.value < 0.6


def made(at_us: int, *told: ScoreTold) -> ScorePredicted:
    """A prediction of the last model's second task, as it is said."""
    return ScorePredicted(
        occurred_us=at_us, producer=Producer(service="t", version="0", commit=""), prediction_id=f"p-{at_us}", asked_by="t",
        model="F1-5B", model_sha=None, family="f1", parameters=5 * 10**9, known={"gsm8k": 0.7},
        scores=tuple(PredictedScore(**asdict(one)) for one in told), unpredicted=(UnpredictedScore(task="x", why="nobody"),),
        formula_version="1", inputs_digest="d", input_runs=(),
    )  # fmt: skip


def test_a_prediction_is_held_to_the_score_behind_it_that_counts() -> None:
    """Of the same model, the newest; never to one that was there before."""
    before = evidence()
    _, (said,) = foretold(asking(model="F1-5B", parameters=5 * 10**9), learned(before))
    assert isinstance(said, ScoreTold)
    one = made(100, said)
    assert came_of(one, before) == [] and kept_of([]) is None
    later = [
        [HERE, *measured.run(n, "org/F1-5B", HERE, scores={ARC: measured.rights(share, seed=3)}, told_figures=True)]
        for n, share in ((101, 0.1), (102, 0.7))
    ]
    (came,) = came_of(one, measured.evidence(*later))
    assert came.run_id == run_named(102)
    assert came.measured == pytest.approx(0.7, abs=0.01)
    assert came.error == pytest.approx(said.value - came.measured)
    assert came.within == (said.low <= came.measured <= said.high)
    kept = kept_of([came])
    assert kept and (kept.n, kept.promised, kept.median_error) == (1, LEVEL, abs(came.error))
    assert score_of(next(iter(before.results.values())), ("gsm8k", "nothing")) is None
    assert told(one, [came]).measured[0].run_id == run_named(102)


def test_the_form_is_the_question() -> None:
    """Shares as people write them; what is no share names its field."""
    query = {"model": "a-1B", "parameters": "1000000000", "tasks": "gsm8k, arc_easy,gsm8k", "known": "mmlu: 54 %", "family": ""}
    assert wanted(asked_by(query)) == ScoreWanted("anonymous", "a-1B", None, 10**9, None, ("gsm8k", "arc_easy"), {"mmlu": 0.54})
    with pytest.raises(Invalid, match=r"known.mmlu is .*a share, from 0 to 1"):
        asked_by(query | {"known": "mmlu: 54"})


def test_the_page_says_that_nothing_of_it_is_measured() -> None:
    """With interval and baseline of each task, why of others nothing is said, and no script."""
    _, (said,) = foretold(asking(model="F1-5B", parameters=5 * 10**9), learned(evidence()))
    assert isinstance(said, ScoreTold)
    answer: ScorePrediction = told(made(100, said), [])
    page = TEMPLATES.env.get_template("predict_scores.html").render(
        asked={}, fields=FIELDS, made=answer, came={}, spans=spans(answer), score=score, points=points, interval=interval, recent=[],
        percent=lambda share: f"{100 * share:.0f} %",
    )  # fmt: skip
    assert "Predicted, not measured: F1-5B" in page and "<b>x</b>: nobody." in page
    assert f"≈ {score(said.value)}" in page and f"{100 * said.low:.1f} – {score(said.high)}" in page and score(said.baseline) in page
