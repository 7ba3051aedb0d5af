"""Repeats in several set-ups: their formats, their plan, the parts of their variance, and what is said of them."""

import math
from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from infra.harness.formats import FORMATS, OWN, between_tags
from query_api.cli.overriding import varied as vary_said
from query_api.drawing.varied import varied
from query_api.reading.precision import precision
from schemas.event import Producer
from schemas.jobs import BuildPlace, Need
from schemas.requests import EvaluationRequested, ModelRef, Stopping, TaskChoice
from schemas.results import Figure, SampleScored
from schemas.runs import PlannedTask, Setup
from streams import planning
from streams.errors import Invalid
from streams.quality.scores import TaskScores
from streams.statistics.components import Crossed, crossed
from streams.statistics.differences import Difference, difference, over_setups
from streams.statistics.intervals import RATIO, mean_of
from streams.statistics.power import detectable, needed
from tests.runs import run_named

HEADER: dict[str, Any] = {"occurred_us": 1, "producer": Producer(service="test", version="1")}
MMLU = "{{question.strip()}}\nA. {{choices[0]}}\nB. {{choices[1]}}\nAnswer:"


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("capitals", "{{question.strip()}}\nA. {{choices[0]}}\nB. {{choices[1]}}\nANSWER:"),
        ("dash", "{{question.strip()}}\nA. {{choices[0]}}\nB. {{choices[1]}}\nAnswer -"),
        ("bold", "{{question.strip()}}\nA. {{choices[0]}}\nB. {{choices[1]}}\n**Answer:**"),
        ("brackets", "{{question.strip()}}\n(A) {{choices[0]}}\n(B) {{choices[1]}}\nAnswer:"),
        ("spaced", "{{question.strip()}}\n\nA. {{choices[0]}}\n\nB. {{choices[1]}}\n\nAnswer:"),
        ("line", MMLU), ("ruled", MMLU), ("instruction", MMLU), (OWN, MMLU),
    ],
)  # fmt: skip
def test_a_format_changes_what_the_template_says_and_no_tag(name: str, written: str) -> None:
    """As it stands in the documentation; a label within a tag, or in the middle of a line, is none."""
    assert between_tags(MMLU, FORMATS[name].template) == written
    assert between_tags("{{ 'Label: x' }} at Time: now", FORMATS[name].template) == "{{ 'Label: x' }} at Time: now"


def request(**told: Any) -> EvaluationRequested:
    """A request for one task."""
    choice = TaskChoice.model_validate({"name": "t", "repeats": 4, "vary": ("seed", "format")} | told.pop("task", {}))
    return EvaluationRequested.model_validate(HEADER | {"run_id": run_named("v"), "model": ModelRef(uri="m"), "tasks": (choice,)} | told)


def test_what_cannot_vary_is_refused() -> None:
    """Two repeats tell nothing; a task that may stop early, and one that is judged, are asked as they are."""
    planning.check(request())
    with pytest.raises(Invalid, match="repeats 3 or more"):
        planning.check(request(task={"repeats": 2}))
    with pytest.raises(Invalid, match="leave out stopping"):
        planning.check(request(stopping=Stopping(half_width=0.1)))
    with pytest.raises(Invalid, match="not judged yet"):
        planning.check(request(judges=("j",)))


def test_set_ups_are_as_many_as_a_task_can_have() -> None:
    """With seeds one a repeat; with formats one each, which repeats share evenly, or are refused: of one format are no two."""
    choice = TaskChoice(name="t", repeats=8, vary=("format",))
    assert planning.setups_there(choice, formats=4, seeds=1) == 4
    assert planning.setups_there(choice.model_copy(update={"vary": ("seed", "format")}), formats=4, seeds=8) == 4
    assert planning.setups_there(choice.model_copy(update={"vary": ("seed",)}), formats=1, seeds=8) == 8
    with pytest.raises(Invalid, match=r"it has 2 prompt formats .*, 3 at least are needed; vary the seed alone"):
        planning.setups_there(choice.model_copy(update={"vary": ("seed", "format")}), formats=2, seeds=8)
    with pytest.raises(Invalid, match="ask for a multiple of 5 repeats, for 3 to 5, or vary the seed alone"):
        planning.setups_there(choice, formats=5, seeds=1)
    with pytest.raises(Invalid, match="cannot vary format: it has 2 prompt formats"):
        planning.setups_there(choice, formats=2, seeds=1)
    with pytest.raises(Invalid, match="no few-shot examples that are drawn by chance"):
        planning.setups_there(choice.model_copy(update={"vary": ("seed",)}), formats=1, seeds=1)


def place(name: str) -> BuildPlace:
    """Where a build lies."""
    return BuildPlace(build_id=name, task="t", partition=0, first_offset=0, last_offset=1)


def test_each_repeat_is_asked_from_its_own_build() -> None:
    """The plan names them; another plan of the same builds asks the same."""
    asked, places = request(), tuple(place(name) for name in "abab")
    chosen = planning.Chosen(asked.tasks[0], places[0], 2, (), places)
    jobs = planning.jobs(asked, [chosen], per_job=10, need=Need())
    assert [(job.repeat, job.build.build_id) for job in jobs.each if job.build] == [(0, "a"), (1, "b"), (2, "a"), (3, "b")]
    setups = tuple(Setup(build_id=name, seed=1, format=OWN) for name in "abab")
    planned = PlannedTask(task="t", task_version="1", build_id="a", samples=2, repeats=4, expected=(), main_metric="m", main_filter="none",
                          setups=setups)  # fmt: skip
    assert (planned.setup_numbers, planned.builds, planned.asked) == ((0, 1, 0, 1), ("a", "b"), "a+b")
    plain = planned.model_copy(update={"setups": ()})
    assert (plain.setup_numbers, plain.builds, plain.asked) == ((), ("a",), "a")


def test_the_parts_of_a_crossed_table_by_hand() -> None:
    """Two documents under two set-ups, rows 0 1 and 2 5: MS_d = 9, MS_s = 4, MS_e = 1."""
    found = crossed(np.asarray([[0.0, 1.0], [2.0, 5.0]]))
    assert found == Crossed(between=4.0, within=1.0, apart=1.5, documents=2, setups=2)
    assert found is not None and found.added == (1.5 + 1 / 2) / 2  # of two, all that documents make of it is left
    assert crossed(np.zeros((1, 5))) is None and crossed(np.zeros((5, 1))) is None and crossed(np.full((2, 2), math.inf)) is None


def test_what_was_put_in_comes_out() -> None:
    """2 between documents, 3 within, 0.5 between set-ups."""
    draw = np.random.default_rng(1)
    found = crossed(draw.normal(0, 2**0.5, (3000, 1)) + draw.normal(0, 0.5**0.5, (1, 300)) + draw.normal(0, 3**0.5, (3000, 300)))
    assert found is not None
    assert found.between == pytest.approx(2, rel=0.1)
    assert found.within == pytest.approx(3, rel=0.02)
    assert found.apart == pytest.approx(0.5, rel=0.2)


@pytest.mark.parametrize("setups", [3, 5, 10])
def test_an_interval_over_set_ups_holds_the_mean_over_all_set_ups(setups: int) -> None:
    """Of right and wrong answers of 100 documents whose set-ups differ (logit, SD 0.6): at least 0.92; without set-ups 0.85 at most."""
    draw, times = np.random.default_rng(setups), 400
    truth = float((1 / (1 + np.exp(-(0.85 + draw.normal(0, math.hypot(1, 0.6), 400_000))))).mean())
    held = plainly = 0
    for _ in range(times):
        logits = 0.85 + draw.normal(0, 1, (100, 1)) + draw.normal(0, 0.6, (1, setups))
        table = (draw.random((100, setups)) < 1 / (1 + np.exp(-logits))).astype(float)
        own, plain = (mean_of(table.mean(axis=1).tolist(), within=(0.0, 1.0), varied=one) for one in (crossed(table), None))
        assert own.interval and plain.interval and own.stderr and plain.stderr and own.stderr >= plain.stderr
        held += own.interval[0] <= truth <= own.interval[1]
        plainly += plain.interval[0] <= truth <= plain.interval[1]
    assert held / times > 0.92
    assert plainly / times < 0.85


def scores(table: list[list[float]]) -> TaskScores:
    """Scores of documents (rows), each repeat a column."""
    told = TaskScores()
    for ordinal, values in enumerate(table):
        for repeat, value in enumerate(values):
            told.add(SampleScored(
                **HEADER, run_id=run_named("v"), task="t", ordinal=ordinal, doc_id=ordinal, repeat=repeat, scorer_version="1",
                filter="none", metric="acc", value=value, parts_json=repr(value), metrics=1,
            ))  # fmt: skip
    return told


def figure(told: TaskScores, *setups: int) -> Figure:
    """The accuracy's."""
    (found,) = told.figures(
        lambda _key, parts: (math.fsum(map(float, parts)) / len(parts) + 1, 0.1), means=[("none", "acc")], setups=setups
    )
    return found


def test_a_figure_tells_documents_repeats_and_set_ups_apart() -> None:
    """Four repeats in two set-ups: a document's mean under each is what varies; the first has all right, and is far from the other."""
    found = figure(scores([[1, 0, 1, 0], [1, 1, 1, 0], [1, 0, 1, 0]]), 0, 1, 0, 1)
    assert (found.n, found.repeats, found.setups) == (3, 4, 2)
    assert found.value == pytest.approx(7 / 12)
    # Means under the second set-up: 0, ½, 0; so MS_d = MS_e = 1/24, MS_s = 3·2·(5/12)² = 25/24.
    assert (found.between, found.within, found.between_setups) == pytest.approx((0.0, 1 / 24, 1 / 3))
    assert found.stderr == pytest.approx(math.sqrt(1 / 48 / 3 + 1 / 6 + 1 / 24 / 3 / 2))
    assert found.method == "Wilson, known range, 2 set-ups"
    assert found.low is not None and found.high is not None and found.low < 0.1 and found.high > 0.9


def test_without_set_ups_all_is_as_before() -> None:
    """The same figures; and where no document has all set-ups, or the metric is no mean, there is no interval."""
    table = [[1.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    plain = figure(scores(table))
    assert (plain.setups, plain.between_setups, plain.method) == (1, None, "Wilson, known range")
    assert plain.within == pytest.approx(1 / 3)
    alone = figure(scores([[1.0], [0.0]]), 0, 1, 2)
    assert (alone.value, alone.stderr, alone.low, alone.setups) == (0.5, None, None, 3)
    (other,) = scores(table).figures(lambda _key, _parts: (7.0, 0.1), setups=(0, 1, 2))
    assert (other.value, other.stderr, other.low) == (7.0, None, None)


def test_in_words_it_says_what_buys_the_most() -> None:
    """Set-ups where they are apart, documents where these are."""
    row: dict[str, Any] = {
        "samples": 100,
        "repeats": 5,
        "setups": 5,
        "between_documents": 0.1,
        "within_documents": 0.05,
        "between_setups": 0.05,
    }
    said = varied(row | precision(row))
    assert said.startswith(" in 5 set-ups; variance: 50% between documents, 25% within them, 25% between set-ups; now ±0.28")
    assert said.endswith("more set-ups buy the most")
    near = row | {"between_setups": 0.0}
    told = precision(near)
    assert told["half_width"] == pytest.approx(math.sqrt(1.984**2 * (0.1 / 100 + 0.05 / 500) + 2.776**2 * 0.05 / 100 / 4 / 5), rel=1e-3)
    assert varied(near | told).endswith("more documents buy the most")
    assert precision(row | {"between_setups": None}) == {}
    assert varied(row | {"between_setups": None}) == " in 5 set-ups"


def test_vary_is_written_with_commas() -> None:
    """Each once; a slip is told with what there is."""
    assert vary_said("format, seed,seed") == ["format", "seed"]
    assert vary_said(None) is None
    with pytest.raises(Invalid, match="--vary 'sead': give seed, format, or both"):
        vary_said("sead")


def test_two_set_ups_that_happen_to_agree_are_not_taken_for_alike() -> None:
    """400 documents in two set-ups that differ (SD 0.3 in log-odds): 86 % of intervals held the mean, and 14 % found what is not there."""
    draw, held, found, truth = np.random.default_rng(2), 0, 0, 0.5
    for _ in range(200):
        document = draw.normal(size=(400, 1))
        one, other = ((draw.random((400, 2)) < expit(document + draw.normal(0, 0.3, (1, 2)))).astype(np.float64) for _ in range(2))
        interval = mean_of(one.mean(axis=1).tolist(), within=RATIO, varied=crossed(one)).interval
        held += interval is not None and interval[0] <= truth <= interval[1]
        varied = crossed(one - other)
        assert varied is not None
        found += over_setups(difference(one.mean(axis=1).tolist(), other.mean(axis=1).tolist(), width=1.0), varied).p <= 0.05
    assert held >= 190 and found <= 8


def test_what_can_be_found_over_set_ups_counts_how_few_they_are() -> None:
    """Told differences of runs in five set-ups were found in 69 of 100, not in 80; and no number of documents makes set-ups alike."""
    draw, found = np.random.default_rng(3), 0

    def compared(ahead: float) -> Difference:
        document = draw.normal(size=(100, 1))
        one, other = (document + draw.normal(0, 0.3, (1, 5)) + draw.normal(size=(100, 5)) + at for at in (ahead, 0.0))
        varied = crossed(one - other)
        assert varied is not None
        return over_setups(difference(one.mean(axis=1).tolist(), other.mean(axis=1).tolist()), varied)

    for _ in range(200):
        least = detectable(compared(0.0))
        assert least is not None
        found += compared(least).p <= 0.05
    assert found >= 144
    two = compared(0.0)
    assert two.varied is not None
    assert needed(two, difference=2 * math.sqrt(two.varied.added)) is None
    assert needed(two, difference=20 * math.sqrt(two.varied.added)) is not None
