"""People's labels: what may be said, which answers are drawn, what is new; and judges held to them, metric by metric."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from infra.harness.catalogue import DERIVED, DERIVED_TASKS
from infra.harness.derived.pairwise import preference
from query_api.access.callers import PLACE, Caller
from query_api.operations.problems import Forbidden
from query_api.operations.routing import _signed
from query_api.producing.labelling import check_places, labels_of
from query_api.routes.labels import LabelsTold
from schemas.event import Text
from schemas.labels import AnswerLabelled
from streams.errors import Invalid
from streams.quality.held import held
from streams.quality.labels import SCALES, VERDICTS, Place, drawn, new_of, scale_of, value_of, word_of
from streams.quality.pairing import Pair, of_judge, of_person
from tests.runs import run_named

R, OTHER = run_named("r"), run_named("other")
RATING, PAIRS = scale_of("assay_judge_writing:story"), scale_of("assay_judge_pairwise")
PLACES = [Place("story", ordinal, repeat) for ordinal in range(50) for repeat in range(2)]


def labelled(*rows: dict[str, Any], by: str = "ada", scale: Any = RATING) -> list[AnswerLabelled]:
    """Labels of answers to one task."""
    whole = [{"task": "story", "repeat": 0, "request": 0, "draw": 0, "swapped": False, "by": "", "note": ""} | row for row in rows]
    return labels_of(
        whole, run_id=R, against_run=OTHER if scale.compares else None, scale=scale, by=by, header={"organisation_id": "local"}
    )


def test_nobody_labels_in_another_s_name() -> None:
    """By a key: the body is its member's, and a part of it in another's name is refused; where no key is wanted names are as they are."""
    told: dict[str, Any] = {"task": "t", "ordinal": 0, "label": "1"}

    def signed(*by: str, member: str) -> LabelsTold:
        request = Request({"type": "http", PLACE: Caller("submitter", member, "acme"), "headers": [], "method": "POST", "path": "/"})
        rows = [told | {"by": one} for one in by]
        return _signed(LabelsTold.model_validate({"judgement": "assay_judge_writing", "by": "x", "labels": rows}), request)

    assert signed("", "mallory", member="mallory").by == "mallory"
    with pytest.raises(Forbidden, match=r"labels\.1\.by is 'ada', and this key is mallory's"):
        signed("mallory", "ada", member="mallory")
    assert [one.by for one in signed("ada", "bob", member="").labels] == ["ada", "bob"]


def test_every_scale_is_a_derived_tasks_metric() -> None:
    """And the first is the main one, which is the first that the task lists."""
    for name, metrics in SCALES.items():
        assert name in DERIVED_TASKS
        text = (DERIVED / f"{name}.yaml").read_text().replace("!function ", "")
        known = [one["metric"] for one in yaml.safe_load(text)["metric_list"]]
        assert set(metrics) <= set(known) and next(iter(metrics)) == known[0]


@pytest.mark.parametrize(
    ("label", "value"),
    [("7", 7.0), (" 10 ", 10.0), ("1", 1.0), ("6.5", 6.5), ("0", None), ("11", None), ("nan", None), ("good", None), ("", None)],
)
def test_points_are_within_the_scale(label: str, value: float | None) -> None:
    """Or it is said what to write."""
    if value is not None:
        assert value_of(label, RATING, swapped=False) == value
        return
    with pytest.raises(Invalid, match="write a number of 1 to 10"):
        value_of(label, RATING, swapped=False)


@given(word=st.sampled_from(sorted(VERDICTS)), swapped=st.booleans())
def test_a_verdict_is_worth_the_same_in_either_order(word: str, swapped: bool) -> None:
    """The value is that of the run's own answer, and the word comes back."""
    value = value_of(word.upper(), PAIRS, swapped=swapped)
    assert word_of(value, PAIRS, swapped=swapped) == word
    assert value == (1 - VERDICTS[word] if swapped else VERDICTS[word])


@pytest.mark.parametrize(("judgement", "metric"), [("assay_judge_perplexity", ""), ("assay_judge_writing", "wit"), ("story", "")])
def test_what_nobody_can_label_is_refused(judgement: str, metric: str) -> None:
    """With what can be."""
    with pytest.raises(Invalid, match="that people can label"):
        scale_of(judgement, metric)


@given(seed=st.integers(0, 100), few=st.integers(1, 50), more=st.integers(50, 100))
def test_more_answers_of_a_seed_are_the_same_and_more(seed: int, few: int, more: int) -> None:
    """None twice, whatever order they come in."""
    one = drawn(PLACES, run_id=R, seed=seed, count=few)
    assert one == drawn(reversed(PLACES), run_id=R, seed=seed, count=more)[:few]
    assert len({place for place, _ in one}) == few


def test_a_sample_is_random() -> None:
    """Every answer as often as the others, over seeds, and either order as often as the other."""
    found = [one for seed in range(500) for one in drawn(PLACES, run_id=R, seed=seed, count=10)]
    counts = Counter(place for place, _ in found)
    assert max(abs(counts[place] - 50) for place in PLACES) < 5 * np.sqrt(50)
    assert np.mean([swapped for _, swapped in found]) == pytest.approx(0.5, abs=0.03)


def test_the_same_again_is_nothing_and_another_word_a_correction() -> None:
    """Back to the first word too; another person's is another label."""
    first = labelled({"ordinal": 1, "label": "7"}, {"ordinal": 2, "label": "3", "note": "dull"})
    assert new_of(first, []) == first
    assert new_of(labelled({"ordinal": 2, "label": 3, "note": "dull"}, {"ordinal": 1, "label": 7.0}), first) == []
    (second,) = new_of(labelled({"ordinal": 1, "label": "8"}), first)
    (third,) = new_of(labelled({"ordinal": 1, "label": "7"}), [*first, second])
    assert [(one.revision, one.value) for one in (second, third)] == [(1, 8.0), (2, 7.0)]
    assert len({one.event_id for one in (first[0], second, third)}) == 3
    assert [one.revision for one in new_of(labelled({"ordinal": 1, "label": "8"}, by="bo"), [*first, second])] == [0]


def test_a_huge_revision_is_corrected_as_any_other() -> None:
    """The last in the log holds, and what follows has a number that the wire can carry."""
    (first,) = labelled({"ordinal": 1, "label": "7"})
    forged = AnswerLabelled.model_validate(dict(first) | {"event_id": "", "revision": 2**63 - 1, "value": 1.0})
    (second,) = new_of([first], [first, forged])
    assert (second.value, second.revision) == (7.0, 2)
    assert new_of([first], [first, forged, second]) == []


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([{"ordinal": 1, "label": "7"}, {"ordinal": 2, "label": "12"}], r"labels\.1\.label: label '12': write a number of 1 to 10"),
        ([{"ordinal": 1, "label": "7"}, {"ordinal": 1, "label": "8"}], r"labels\.1\.ordinal: ada has labelled this answer in labels\.0"),
        ([{"ordinal": 1, "label": "7", "swapped": True}], r"labels\.0\.swapped: .* compares nothing"),
    ],
)
def test_what_is_wrong_in_a_body_names_the_entry(rows: list[dict[str, Any]], says: str) -> None:
    """And its field."""
    with pytest.raises(Invalid, match=says):
        labelled(*rows)


def test_a_label_of_no_answer_is_refused() -> None:
    """Whether the task or the sample is not there."""
    check_places(labelled({"ordinal": 49, "label": "7"}), PLACES)
    with pytest.raises(Invalid, match=r"labels\.1\.ordinal: run .* has no written answer to task story, sample 50, repeat 0"):
        check_places(labelled({"ordinal": 1, "label": "7"}, {"ordinal": 50, "label": "7"}), PLACES)
    with pytest.raises(Invalid, match=r"labels\.0\.task: "):
        check_places(labelled({"ordinal": 1, "label": "7", "task": "poem"}), PLACES)


def test_a_note_is_a_text() -> None:
    """So that it can be made private."""
    assert labelled({"ordinal": 1, "label": "7", "note": "wörtlich"})[0].note == Text.plain("wörtlich")


def test_a_judge_who_is_too_kind_is_held_to_people() -> None:
    """The corrected mean is people's, the bias is told, persons are counted, what the judge did not score is left out."""
    draw = np.random.default_rng(1)
    people = {Place("story", at): float(value) for at, value in enumerate(draw.binomial(9, 0.5, 400) + 1)}
    judged = {place: min(10.0, value + 1) for place, value in people.items()}
    clusters = {place: place.ordinal for place in people}
    said = {place: {"ada": people[place], "bo": people[place]} for place in list(people)[:80]}
    said[Place("story", 999)] = {"ada": 3.0}
    found = held(judged, said, clusters, RATING)
    assert found is not None and found.corrected.interval is not None and found.judge.interval is not None
    truth = float(np.mean(list(people.values())))
    assert found.judge.value == pytest.approx(truth + 1, abs=0.02)
    assert found.corrected.interval[0] < truth < found.corrected.interval[1] < found.judge.interval[0]
    assert (found.persons, found.unmatched, found.corrected.labels, found.corrected.answers) == (2, 1, 80, 400)
    assert found.bias.value == pytest.approx(1, abs=0.05)
    assert found.among.value == pytest.approx(1)
    assert held(judged, {Place("poem", 1): {"ada": 3.0}}, clusters, RATING) is None


@given(words=st.tuples(st.sampled_from(sorted(VERDICTS)), st.sampled_from(sorted(VERDICTS))))
def test_a_judges_two_verdicts_come_back_from_its_metrics(words: tuple[str, str]) -> None:
    """In the order in which they were asked."""
    told = preference({}, [f"Verdict: {word}" for word in words])
    bouts = list(of_judge(Pair("a", "b", 10, 20, "d"), preference=told["preference"], first_preferred=told["first_preferred"]))
    assert [(bout.first, bout.second, bout.worth) for bout in bouts] == [("a", "b", VERDICTS[words[0]]), ("b", "a", VERDICTS[words[1]])]
    assert bouts[0].longer == -bouts[1].longer < 0


def test_a_person_who_sees_them_swapped_says_it_of_the_other() -> None:
    """The order counts, for its effect is estimated."""
    pair = Pair("a", "b", 7, 0, "d")
    one = of_person(pair, value=1.0, swapped=True)
    assert (one.first, one.second, one.worth, one.longer) == ("b", "a", 0.0, -3.0)


def test_the_example_of_the_api_is_a_label() -> None:
    """As it stands in its description."""
    described = json.loads((Path(__file__).parents[2] / "docs" / "openapi.json").read_text())
    (example,) = described["components"]["schemas"]["LabelsTold"]["examples"]
    scale = scale_of(example["judgement"])
    assert [value_of(one["label"], scale, swapped=False) for one in example["labels"]] == [7.0]
