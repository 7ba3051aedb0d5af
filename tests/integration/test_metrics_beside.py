"""Metrics beside a task's own, by the harness's own objects: which a task can have, what scoring gives, and what they come to."""

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.harness.aggregating import aggregate
from infra.harness.building import Build, BuiltSample, beside, build
from infra.harness.chat import Dress
from infra.harness.metrics.measure import Case
from infra.harness.metrics.registry import measured
from infra.harness.scoring import Score, Scorer
from infra.settings import Settings
from schemas.event import Text
from schemas.measurements import Answer
from schemas.requests import Chat, TaskChoice
from streams.errors import Invalid
from tests.integration.test_harness import on_the_wire
from tests.texts import texts

# What lm-eval and the libraries below it warn of is not ours to mend.
pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore")]
GENERATED = ("exact_match", "f1", "rouge", "bleu", "chrf", "ter", "distinct", "self_bleu", "repetition", "mtld", "contamination")


def made(name: str, tmp_path: Path) -> Build:
    """A bundled task's build."""
    return build(TaskChoice(name=name), dress=Dress(Chat()), settings=Settings(home=tmp_path))


def answer(index: int, kind: str, **told: Any) -> Answer:
    """An answer to a request."""
    return Answer.model_validate({"request_index": index, "request_type": kind, "finish_reason": "stop", "prompt_tokens": 0} | told)


def scored(task: Build, sample: BuiltSample, answers: tuple[Answer, ...], *names: str) -> dict[str, Score]:
    """The sample's scores by metric."""
    requests, prefixes = on_the_wire(sample)
    wanted = [(one.filter, one.metric) for one in beside(task.config_json, names)]
    return {one.metric: one for one in Scorer(task.config_json).score(sample.document, 0, requests, prefixes, answers, beside=wanted)}


def test_a_generating_task_has_those_of_texts(tmp_path: Path) -> None:
    """What says the right answer is perfect; the task's own exact match is its own still."""
    task = made("assay_copy", tmp_path)
    own = {one.metric for one in task.expected}
    found: list[dict[str, Score]] = []
    for sample in task.samples[:6]:
        said = Text.plain(f" {sample.target}" if sample.ordinal % 2 else " a wrong answer")
        found.append(scored(task, sample, (answer(0, "generate_until", output=said),), *GENERATED))
    figures = {one.metric for one in beside(task.config_json, GENERATED)}
    assert figures | own == set(found[0]) and not figures & own
    right = [one["f1"].value for one in found]
    assert right == [0.0, 1.0, 0.0, 1.0, 0.0, 1.0]
    for metric in figures:
        parts = [told for one in found if (told := one[metric].parts_json) is not None]
        value, error = aggregate(task.config_json, metric, parts)
        assert value is None or (math.isfinite(value) and (error is None or error >= 0))
    assert aggregate(task.config_json, "f1", [str(one["f1"].parts_json) for one in found])[0] == 0.5


def test_a_task_of_choices_has_calibration(tmp_path: Path) -> None:
    """A model that is sure of the right choice errs by nothing; bits and perplexity are of the right choice."""
    task = made("assay_agreement", tmp_path)
    sample = task.samples[0]
    scorer = Scorer(task.config_json)
    right = int(scorer._task.doc_to_target(json.loads(sample.document)))
    answers = tuple(
        answer(place, "loglikelihood", loglikelihood=-1.0 if place == right else -100.0, is_greedy=place == right)
        for place in range(len(sample.requests))
    )
    found = scored(task, sample, answers, "calibration", "bits_per_byte", "perplexity")
    assert found["brier"].value == pytest.approx(0.0) and found["ece"].value == pytest.approx(0.0)
    length = len(str(sample.requests[right].continuation).encode())
    assert found["bits_per_byte"].value == pytest.approx(1 / (math.log(2) * length))
    assert found["acc"].value == 1.0


def test_a_text_has_perplexities(tmp_path: Path) -> None:
    """By bytes the task has its own, which stays; by words it is beside it."""
    task = made("assay_text", tmp_path)
    assert [one.metric for one in beside(task.config_json, ["perplexity", "bits_per_byte"])] == ["word_perplexity"]
    found = scored(task, task.samples[0], (answer(0, "loglikelihood_rolling", loglikelihood=-50.0),), "perplexity")
    words = len(re.split(r"\s+", str(task.samples[0].target)))  # as lm-eval counts them: an end of line is one more
    assert found["word_perplexity"].value == pytest.approx(math.exp(50.0 / words))
    assert "byte_perplexity" in found


def test_what_a_task_does_not_give_is_refused(tmp_path: Path) -> None:
    """So is a name that is none."""
    task = made("assay_agreement", tmp_path)
    with pytest.raises(Invalid, match="metric rouge needs generated text, which task assay_agreement does not give"):
        beside(task.config_json, ["rouge"])
    with pytest.raises(Invalid, match="unknown metric 'rogue'; there are bits_per_byte, bleu"):
        beside(task.config_json, ["rogue"])
    with pytest.raises(Invalid, match=r"metric bertscore needs a model of its own: .*assay judge RUN --task assay_judge_bertscore"):
        beside(task.config_json, ["bertscore"])
    with pytest.raises(Invalid, match="metric calibration needs choices"):
        beside(made("assay_copy", tmp_path).config_json, ["calibration"])


@given(texts, st.lists(texts, min_size=1, max_size=3))
def test_rouge_is_rouge_scores(text: str, right: list[str]) -> None:
    """The best of several right answers."""
    from rouge_score.rouge_scorer import RougeScorer

    for kind in ("rouge1", "rouge2", "rougeL", "rougeLsum"):
        expected = max(RougeScorer([kind]).score(one, text)[kind].fmeasure for one in right)
        assert measured(kind, Case(text=text, references=tuple(right)))[0] == pytest.approx(expected)
