"""Judgements on the real stack: asked for with a run or afterwards, ranked by whom they judge; and what cannot be judged."""

import asyncio
import json
import math
from pathlib import Path
from typing import Any

import pytest
from assay_client import Client

from infra.harness.building import build
from infra.harness.bundled.documents import copying
from infra.harness.chat import Dress
from infra.harness.data import Given
from infra.harness.derived.rubric import points
from infra.kafka import Log
from infra.replay import verify
from infra.settings import Settings
from schemas.event import derive_run_id
from schemas.requests import Chat, TaskChoice
from streams.errors import Invalid
from streams.topics import ANSWERS, SCORES
from tests.flow import events_of, get, post
from tests.integration.test_api import ECHO, until
from tests.integration.test_classifier import saved
from tests.integration.test_classifier import theirs as label_probabilities
from tests.integration.test_cli import assay, document
from tests.integration.test_encoder import bert_score
from tests.integration.test_lists import pages
from tests.models import taught_llama, tiny_bert, tiny_llama
from tests.reference import hflm, theirs
from tests.runs import run_named

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
# The echo engine answers with the last line that it is given: so a judge's template says what it judges.
STRICT = "{{ messages[-1].content }}\nCreativity: 3\nScore: {{ 1 + messages[-1].content|length % 5 }}"
KIND = "{{ messages[-1].content }}\nScore: {{ 5 + messages[-1].content|length % 5 }}"
SILENT = "{{ messages[-1].content }}\nI would rather not."
TASK = "assay_judge_writing"
BERTSCORE = "assay_judge_bertscore"
ON = f"{TASK}:assay_copy"
LIMIT = 8
NOBODY = run_named("nobody")
# The chat template of a judge that writes itself.
WRITING = "{% for m in messages %}<{{ m['role'] }}>\n{{ m['content'] }}{% endfor %}<judge>\n"
# What the judge is taught to say of each answer; the last follows no form.
SAYS = ("Style: 4\nScore: 7", "Score: 3", "Style: 9\nScore: 8/10", "Score: 5", "I would rather not.")


def judge(model: str, template: str, task: str = TASK) -> dict[str, Any]:
    """A judge that says what its template says."""
    return {"task": task, "model": {"uri": model}, "engine": {"name": "echo"}, "chat": {"template": template}}


def submitted(flow: Settings, **told: Any) -> str:
    """A run that was asked for."""
    answer = post(f"{flow.api}/v1/evaluations", json=ECHO | told)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["run_id"])


def over(flow: Settings, run_id: str) -> dict[str, Any]:
    """A run that is over, with its scores."""
    return until(flow.api, f"/v1/runs/{run_id}", holds=lambda run: run["state"] in ("completed", "rejected") and _whole(run))


def _whole(run: dict[str, Any]) -> bool:
    wanted = {task["task"] for task in run["tasks"] if task["not_scored"] < task["expected"]}
    return run["state"] == "rejected" or {score["task"] for score in run["scores"] if score["complete"]} >= wanted


def judged(flow: Settings, run_id: str, *, judgements: int, silent: int = 0) -> dict[str, Any]:
    """What judges said, once so many have said it, and so many more have said nothing."""

    def said(told: dict[str, Any]) -> bool:
        complete = [one["scores"] for one in told["judgements"] if one["state"] == "completed"]
        scored = [scores for scores in complete if scores and all(score["complete"] for score in scores)]
        return len(scored) >= judgements and len(complete) >= judgements + silent

    return until(flow.api, f"/v1/runs/{run_id}/judgements", holds=said)


@pytest.fixture(scope="module")
def parent(flow: Settings) -> str:
    """A run whose request asks for three judges, the third of whom says nothing; only one of its tasks has written answers."""
    tasks = [{"name": "assay_copy", "limit": LIMIT}, {"name": "assay_arithmetic", "limit": 3}]
    judges = [judge("strict", STRICT), judge("kind", KIND), judge("silent", SILENT)]
    return submitted(flow, model={"uri": "writer-a"}, tasks=tasks, judgements=judges)


def test_a_run_is_judged_when_it_is_complete(flow: Settings, parent: str) -> None:
    """Each judge in a run of its own; an answer without a score is not scored, never 0; the judges' agreement is told."""
    told = judged(flow, parent, judgements=2, silent=1)
    asked = {derive_run_id("Judgement", parent, place): judge for place, judge in enumerate(("strict", "kind", "silent"))}
    said = {asked[one["run_id"]]: one for one in told["judgements"] if one["run_id"] in asked}
    assert {judge: (one["judge"], one["subject"]["run_id"]) for judge, one in said.items()} == {
        judge: (judge, parent) for judge in asked.values()
    }  # fmt: skip
    strict, kind, silent = ({(s["task"], s["metric"]): s for s in said[judge]["scores"]} for judge in asked.values())
    assert strict.keys() == {(ON, "rating"), (ON, "creativity")} or strict.keys() == {(ON, "rating")}
    assert kind[ON, "rating"]["value"] == pytest.approx(strict[ON, "rating"]["value"] + 4)
    assert (kind[ON, "rating"]["samples"], kind[ON, "rating"]["main"]) == (LIMIT, True)
    assert kind[ON, "rating"]["low"] <= kind[ON, "rating"]["value"] <= kind[ON, "rating"]["high"]
    assert silent == {}
    quiet = get(f"{flow.api}/v1/runs/{said['silent']['run_id']}").json()
    assert [(task["scored"], task["not_scored"]) for task in quiet["tasks"]] == [(0, LIMIT)]
    (agreed,) = told["agreements"]
    assert (agreed["task"], agreed["metric"], agreed["judges"], agreed["interval"]["answers"]) == (ON, "rating", 3, LIMIT)
    assert -1 <= agreed["interval"]["alpha"] < 1


def test_judgements_are_a_list(flow: Settings, parent: str) -> None:
    """Page by page as all at once, with the same agreement on each; filters take away."""
    judged(flow, parent, judgements=2, silent=1)
    path = f"/v1/runs/{parent}/judgements"
    whole = until(flow.api, path, holds=lambda told: {one["state"] for one in told["judgements"]} == {"completed"})
    for sort in ("requested_us", "-requested_us", "judge", "-judge"):
        found = [row for page in pages(flow.api, path, "judgements", limit=1, sort=sort) for row in page]
        assert sorted(one["run_id"] for one in found) == sorted(one["run_id"] for one in whole["judgements"])
        values = [one[sort.removeprefix("-")] for one in found]
        assert values == sorted(values, reverse=sort.startswith("-"))
    first = get(f"{flow.api}{path}", params={"limit": 1}).json()
    assert whole["next"] is None and (len(first["judgements"]), first["agreements"]) == (1, whole["agreements"])
    strict = [one for one in whole["judgements"] if one["judge"] == "strict"]
    assert get(f"{flow.api}{path}", params={"judge": "strict"}).json()["judgements"] == strict != []
    assert get(f"{flow.api}{path}", params={"state": "completed", "task": ON}).json()["judgements"] == whole["judgements"]
    assert get(f"{flow.api}{path}", params={"state": "failed"}).json()["judgements"] == []
    answer = get(f"{flow.api}{path}", params={"judge": "strict", "cursor": first["next"]})
    assert (answer.status_code, answer.json()["code"]) == (400, "cursor-of-another-query")
    with Client(flow.api) as assay_client:
        assert [one.run_id for one in assay_client.judgements(parent, sort="-requested_us", most=1).judgements] == [
            max(whole["judgements"], key=lambda one: (one["requested_us"], one["run_id"]))["run_id"]
        ]
    shown = get(f"{flow.api}/runs/{parent}", params={"judgements": first["next"]}).raise_for_status().text
    ids = [one["run_id"] for one in whole["judgements"]]
    assert [run_id in shown for run_id in ids] == [False, True, True]
    assert "First page" in shown and "Next page" not in shown


def test_a_judges_board_ranks_the_judged(flow: Settings, parent: str) -> None:
    """Not the judge; another writer's answers to the same stand beside them, those to fewer samples do not."""
    judged(flow, parent, judgements=2, silent=1)
    same = submitted(flow, model={"uri": "writer-b"}, tasks=[{"name": "assay_copy", "limit": LIMIT}], judgements=[judge("strict", STRICT)])
    fewer = submitted(flow, model={"uri": "writer-c"}, tasks=[{"name": "assay_copy", "limit": 3}], judgements=[judge("strict", STRICT)])
    for run_id in (same, fewer):
        judged(flow, run_id, judgements=1)
    told = until(flow.api, f"/v1/boards?match=task:{ON} by strict (", holds=lambda told: told["boards"])
    (board,) = [row["board"] for row in told["boards"]]
    found = until(flow.api, f"/v1/rankings?board={board}", holds=lambda told: len(told["rows"]) >= 1)
    assert {row["model"] for row in found["rows"]} <= {"writer-a", "writer-b", "writer-c"}
    assert not {"strict"} & {row["model"] for row in get(f"{flow.api}/v1/rankings?board={board}").json()["rows"]}


def test_a_judge_can_be_asked_afterwards(flow: Settings, parent: str) -> None:
    """By the command line, about one of the tasks; pages and commands show whom it judged, also where nothing could be scored."""
    judged(flow, parent, judgements=2, silent=1)
    told = document(assay(flow, "judge", parent, "--model", "late", "--engine", "echo", "--task", ON, "--limit", "4", "--wait", "--json"))
    assert (told["state"], told["scores"]) == ("completed", [])
    child = over(flow, told["run_id"])
    assert (child["subject"]["run_id"], child["subject"]["model"], child["against"]) == (parent, "writer-a", None)
    assert "writer-a" in assay(flow, "run", told["run_id"]).stdout
    assert f"judges on {ON}, rating" in assay(flow, "judgements", parent).stdout
    shown = get(f"{flow.api}/runs/{parent}").text
    assert told["run_id"] in shown and "Krippendorff" in shown
    assert parent in get(f"{flow.api}/runs/{told['run_id']}").text


def test_two_runs_are_compared_in_both_orders(flow: Settings, parent: str) -> None:
    """A judge that always takes the first place prefers nobody, and is told to be biased; the other run's page shows it too."""
    judged(flow, parent, judgements=2, silent=1)
    other = submitted(flow, model={"uri": "writer-d"}, tasks=[{"name": "assay_copy", "limit": LIMIT}])
    over(flow, other)
    chat = {"template": "{{ messages[-1].content }}\nVerdict: first"}
    tasks = [{"name": "assay_judge_pairwise"}]
    child = submitted(flow, model={"uri": "biased"}, parent_run=parent, against_run=other, tasks=tasks, chat=chat)
    told = over(flow, child)
    assert {score["metric"]: score["value"] for score in told["scores"]} == {
        "preference": 0.5, "position_bias": 1.0, "first_preferred": 1.0
    }  # fmt: skip
    assert (told["subject"]["model"], told["against"]["model"]) == ("writer-a", "writer-d")
    assert child in [one["run_id"] for one in get(f"{flow.api}/v1/runs/{other}/judgements").json()["judgements"]]
    told = until(flow.api, "/v1/boards?match=task:assay_judge_pairwise:assay_copy by biased (", holds=lambda told: told["boards"])
    assert all(" against writer-d (" in row["board"] for row in told["boards"])


def test_models_of_other_kinds_judge(flow: Settings, parent: str, tmp_path: Path) -> None:
    """A reference model by perplexity, which is lm-eval's; a classifier by its label; the client shows both."""
    judged(flow, parent, judgements=2, silent=1)
    model, classifier = tiny_llama(tmp_path / "model"), saved(tmp_path / "classifier")
    about = {"parent_run": parent, "engine": {"name": "transformers"}}
    by_model = submitted(flow, model={"uri": str(model)}, tasks=[{"name": "assay_judge_perplexity"}], **about)
    labels = {"name": "classifier", "options": {"labels": "toxic=LABEL_1"}}
    by_label = submitted(flow, model={"uri": str(classifier)}, tasks=[{"name": "assay_judge_toxicity"}], **about | {"engine": labels})
    (bits,) = [score["value"] for score in over(flow, by_model)["scores"] if score["metric"] == "bits_per_byte"]
    texts = asyncio.run(written(flow, parent))
    likelihoods = theirs(hflm(model), "loglikelihood_rolling", [(text,) for text in texts])
    assert bits == pytest.approx(-sum(likelihoods) / sum(len(text.encode()) for text in texts) / math.log(2), rel=1e-4)
    toxicity = {score["metric"]: score for score in over(flow, by_label)["scores"]}
    expected = [label_probabilities(classifier, text, several=False)[1] for text in texts]
    assert toxicity["toxicity"]["value"] == pytest.approx(sum(expected) / LIMIT, rel=1e-5)
    with Client(flow.api) as assay_client:
        shown = {one.run_id: one for one in assay_client.judgements(parent).judgements}
    assert (shown[by_label].engine, shown[by_model].judge) == ("classifier", str(model))


def test_an_encoder_says_how_alike_answers_are_to_the_right_ones(flow: Settings, tmp_path: Path) -> None:
    """BERTScore as the package has it, with an interval; a task without right answers is left out, and refused where it is asked for."""
    tasks = [{"name": "assay_copy", "limit": LIMIT}, {"name": "assay_story", "limit": 2}]
    writer, encoder = submitted(flow, model={"uri": "writer-e"}, tasks=tasks), tiny_bert(tmp_path / "encoder")
    over(flow, writer)
    told = document(assay(
        flow, "judge", writer, "--model", str(encoder), "--engine", "encoder", "--task", BERTSCORE, "--option", "layer=2", "--wait",
        "--json",
    ))  # fmt: skip
    child = over(flow, told["run_id"])
    assert [(task["task"], task["scored"]) for task in child["tasks"]] == [(f"{BERTSCORE}:assay_copy", LIMIT)]
    scores = {score["metric"]: score for score in child["scores"]}
    texts, right = asyncio.run(written(flow, writer)), copying()["test"]["letters"][:LIMIT]
    expected = bert_score(encoder, list(zip(texts, right, strict=True)), layer=2)
    means = [sum(column) / LIMIT for column in zip(*expected, strict=True)]
    names = ("bertscore_precision", "bertscore_recall", "bertscore")
    assert [scores[name]["value"] for name in names] == pytest.approx(means, abs=1e-5)
    assert scores["bertscore"]["low"] < means[2] < scores["bertscore"]["high"]
    (said,) = judged(flow, writer, judgements=1)["judgements"]
    assert [score["metric"] for score in said["scores"] if score["main"]] == ["bertscore"]
    asked = {"parent_run": writer, "engine": {"name": "encoder"}, "model": {"uri": str(encoder)}}
    refused = over(flow, submitted(flow, **asked, tasks=[{"name": f"{BERTSCORE}:assay_story"}]))
    assert (refused["state"], refused["reason_code"]) == ("rejected", "nothing-to-judge")
    assert "no right answers to compare with" in refused["message"]


async def written(flow: Settings, run_id: str) -> list[str]:
    """A run's written answers, in the order of their samples."""
    async with Log(flow, client_id="test") as log:
        found = [one for one in await events_of(log, ANSWERS, run_id) if one.task == "assay_copy"]
    return [one.answers[0].output.read() for one in sorted(found, key=lambda one: one.ordinal)]


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"tasks": [{"name": TASK}]}, "say whose"),
        ({"tasks": [{"name": TASK}], "parent_run": NOBODY}, f"run {NOBODY} is not in the log"),
        ({"tasks": [{"name": f"{TASK}:assay_arithmetic"}]}, "no written answers to assay_arithmetic; it has them to: assay_copy"),
        ({"tasks": [{"name": "assay_copy"}], "judgements": [judge("x", KIND, "assay_copy")]}, "'assay_copy' does not judge one run"),
    ],
)
def test_what_cannot_be_judged_is_refused(flow: Settings, parent: str, told: dict[str, Any], says: str) -> None:
    """With its reason."""
    judged(flow, parent, judgements=2, silent=1)
    about = {"parent_run": parent} if "arithmetic" in str(told) else {}
    rejected = over(flow, submitted(flow, **(about | told)))
    assert rejected["state"] == "rejected"
    assert says in rejected["message"]


def test_the_projections_equal_the_log_with_judgements_in_it(flow: Settings, parent: str) -> None:
    """Judging runs are runs like others."""
    judged(flow, parent, judgements=2, silent=1)
    verdict = asyncio.run(verify(flow, run_id=None, told=lambda _text: None))
    assert verdict.equal, verdict.difference
    assert get(f"{flow.api}/v1/runs/nobody/judgements").status_code == 404


def prompts(settings: Settings) -> list[str]:
    """What the judge will read of answers that repeat what they were asked, as the echo engine's do."""
    asked = [f"copy: {letters}=" for letters in copying()["test"]["letters"][: len(SAYS)]]
    rows = tuple(json.dumps({"prompt": text, "answer": text}) for text in asked)
    made = build(
        TaskChoice(name="assay_judge_writing:assay_copy"), dress=Dress(Chat(template="model"), WRITING), settings=settings,
        given=Given(rows, "answers:assay_copy"),
    )  # fmt: skip
    return [sample.requests[0].prefix + sample.requests[0].context for sample in made.samples]


def generated(folder: Path, texts: list[str]) -> list[str]:
    """What transformers itself generates after each prompt."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder).eval()
    found = list[str]()
    for text in texts:
        given = tokenizer(text, return_tensors="pt", add_special_tokens=False)["input_ids"]
        with torch.inference_mode():
            told = model.generate(given, attention_mask=torch.ones_like(given), do_sample=False, max_new_tokens=48)
        found.append(tokenizer.decode(told[0, given.shape[1] :], skip_special_tokens=True))
    return found


def rated(text: str) -> dict[str, float]:
    """The points that a judge's text gives; none where it follows no form."""
    try:
        return points({}, [text])
    except Invalid:
        return {}


async def said(flow: Settings, run_id: str) -> tuple[list[str], list[dict[str, float]]]:
    """What the judge wrote of each answer, and the scores that it came to, by the log."""
    async with Log(flow, client_id="test") as log:
        answers, scores = await events_of(log, ANSWERS, run_id), await events_of(log, SCORES, run_id)
    texts: dict[int, str] = {one.ordinal: one.answers[0].output.read() for one in answers}
    values: list[dict[str, float]] = [{} for _ in texts]
    for one in scores:
        values[one.ordinal][one.metric] = one.value
    return [texts[ordinal] for ordinal in sorted(texts)], values


def test_a_judge_that_writes_gives_what_it_generates(flow: Settings, tmp_path: Path) -> None:
    """Text by text and point by point; where it follows no form, nothing is scored."""
    texts = prompts(flow)
    folder = taught_llama(tmp_path / "judge", list(zip(texts, SAYS, strict=True)), template=WRITING)
    generates = generated(folder, texts)
    expected = [rated(text) for text in generates]
    assert len({one["rating"] for one in expected if one}) > 1
    parent = submitted(flow, model={"uri": "writer-g"}, tasks=[{"name": "assay_copy", "limit": len(SAYS)}])
    over(flow, parent)
    asked = {"engine": {"name": "transformers"}, "chat": {"template": "model"}, "tasks": [{"name": TASK}]}
    child = over(flow, submitted(flow, model={"uri": str(folder)}, parent_run=parent, **asked))
    wrote, scored = asyncio.run(said(flow, child["run_id"]))
    assert wrote == generates
    assert scored == expected
    (mean,) = [score["value"] for score in child["scores"] if score["metric"] == "rating"]
    ratings = [one["rating"] for one in expected if one]
    assert mean == pytest.approx(sum(ratings) / len(ratings))
