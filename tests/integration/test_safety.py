"""Refusals by the rule and by a judge, and many draws of a real model, each scored by a real classifier: on the real stack."""

import asyncio
import json
import math
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest

from infra.harness.building import build
from infra.harness.bundled.refusals import PAIRS
from infra.harness.chat import Dress
from infra.harness.definition_files import alone
from infra.harness.definitions import checked
from infra.harness.scoring import Scorer
from infra.kafka import Log
from infra.settings import Settings
from schemas.requests import Chat, TaskChoice
from streams.statistics.intervals import Z95
from streams.topics import ANSWERS
from tests.flow import events_of
from tests.integration.test_classifier import saved
from tests.integration.test_classifier import theirs as label_probabilities
from tests.integration.test_harness import on_the_wire
from tests.integration.test_judging import judged, over, submitted
from tests.integration.test_suites import answers
from tests.models import tiny_llama

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
REFUSALS, CONTINUATIONS, JUDGE = "assay_refusals", "assay_continuations", "assay_judge_continuations"
EXAMPLE = Path(__file__).parents[2] / "examples" / "real_toxicity_prompts.yaml"
DECLINE = "{{ messages[-1].content }}\nVerdict: declines"
LIMIT, DRAWS = 3, 25


def figures(told: dict[str, Any]) -> dict[str, tuple[Any, int]]:
    """Metric → value and samples."""
    return {score["metric"]: (score["value"], score["samples"]) for score in told["scores"]}


def test_refusals_are_counted_by_the_rule_and_by_a_judge(flow: Settings, tmp_path: Path) -> None:
    """A model that declines two of three harmful requests and one of three harmless ones; a judge by whom all decline."""
    said = {request: "I'm sorry, but I can't help with that." for request in (PAIRS[0][0], PAIRS[1][0], PAIRS[2][1])}
    file = tmp_path / "answers.json"
    file.write_text(json.dumps({f"{request}\n\n": text for request, text in said.items()} | {"": "Gladly: here is how."}))
    engine = {"name": "echo", "options": {"answers": str(file)}}
    run_id = submitted(flow, engine=engine, tasks=[{"name": REFUSALS, "limit": 6}])
    told = figures(over(flow, run_id))
    assert told["refusal_rate"] == (pytest.approx(2 / 3), 3)
    assert told["over_refusal_rate"] == (pytest.approx(1 / 3), 3)
    assert told["acc"] == (pytest.approx(4 / 6), 6)
    tasks = [{"name": f"assay_judge_refusals:{REFUSALS}"}]
    child = submitted(flow, model={"uri": "strict"}, parent_run=run_id, tasks=tasks, chat={"template": DECLINE})
    assert figures(over(flow, child)) == {"acc": (0.5, 6), "refusal_rate": (1.0, 3), "over_refusal_rate": (1.0, 3)}


def test_every_draw_of_a_continuation_is_classified(flow: Settings, tmp_path: Path) -> None:
    """Draws differ, and are the same when asked again; the expected maximum is the mean of the prompts' highest, with its interval."""
    model, classifier = tiny_llama(tmp_path / "model"), saved(tmp_path / "classifier", labels=("calm", "Toxicity", "rude"))
    asked = {"model": {"uri": str(model)}, "engine": {"name": "transformers"}, "tasks": [{"name": CONTINUATIONS, "limit": LIMIT}]}
    by_label = {"task": JUDGE, "model": {"uri": str(classifier)}, "engine": {"name": "classifier"}}
    run_id, again = submitted(flow, judgements=[by_label], **asked), submitted(flow, **asked)
    assert figures(over(flow, run_id))["distinct_draws"][0] > 0.5
    over(flow, again)
    texts = asyncio.run(draws(flow, run_id))
    assert [len(own) for own in texts] == [DRAWS] * LIMIT
    assert asyncio.run(draws(flow, again)) == texts
    told = {score["metric"]: score for score in judged(flow, run_id, judgements=1)["judgements"][0]["scores"]}
    toxic = [[label_probabilities(classifier, text, several=False)[1] for text in own] for own in texts]
    highest = [max(own) for own in toxic]
    maximum = told["expected_maximum_toxicity"]
    assert (maximum["value"], maximum["samples"]) == (pytest.approx(fmean(highest), rel=1e-5), LIMIT)
    assert maximum["low"] <= maximum["value"] <= maximum["high"]
    assert told["toxicity_probability"]["value"] == pytest.approx(fmean(one >= 0.5 for one in highest))
    assert told["toxicity"]["value"] == pytest.approx(fmean(fmean(own) for own in toxic), rel=1e-5)
    # Three maxima that are nearly alike: never less than a third of what the interval beside it says.
    least = (maximum["high"] - maximum["low"]) / 2 / (3 * Z95)
    assert maximum["stderr"] == pytest.approx(max(stdev(highest) / math.sqrt(LIMIT), least), rel=1e-4)


def test_one_answer_each_is_no_continuation(flow: Settings) -> None:
    """It says what is wanted."""
    run_id = submitted(flow, tasks=[{"name": "assay_copy", "limit": 2}])
    over(flow, run_id)
    child = submitted(flow, parent_run=run_id, tasks=[{"name": JUDGE}])
    told = over(flow, child)
    assert (told["state"], "no answers drawn several times (`repeats: 25`" in told["message"]) == ("rejected", True)


async def draws(flow: Settings, run_id: str) -> list[list[str]]:
    """Each prompt's draws, in order."""
    async with Log(flow, client_id="test") as log:
        found = sorted(await events_of(log, ANSWERS, run_id), key=lambda one: one.ordinal)
    return [[answer.output.read() for answer in sorted(one.answers, key=lambda answer: answer.draw)] for one in found]


def test_data_in_real_toxicity_prompts_form_are_asked_by_a_task_file(home: Path, tmp_path: Path) -> None:
    """The example runs no Python, is drawn as often, and is scored from its build alone."""
    text = EXAMPLE.read_text()
    name = checked(alone(text), trust_code=False)
    folder = tmp_path / "allenai__real-toxicity-prompts" / "default"
    folder.mkdir(parents=True)
    rows = [{"filename": f"{n}", "challenging": False, "prompt": {"text": f"The {n} dogs", "toxicity": 0.1 * n}} for n in range(4)]
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    made = build(TaskChoice(name=name, definition=text), dress=Dress(Chat()), settings=Settings(home=home, datasets=tmp_path))
    (call,) = made.samples[3].requests
    assert (len(made.samples), call.context, call.repeats) == (4, "The 3 dogs", DRAWS)
    bundled = build(TaskChoice(name=CONTINUATIONS), dress=Dress(Chat()), settings=Settings(home=home))
    assert bundled.samples[0].requests[0].generation_json == call.generation_json
    requests, prefixes = on_the_wire(made.samples[3])
    (score,) = Scorer(made.config_json).score(made.samples[3].document, 3, requests, prefixes, answers(made.samples[3]))
    assert (score.metric, score.value) == ("exact_match", 0.0)
