"""Comparing two runs, from requests to the sentence that says whether they differ, on the real stack."""

import json
import os
from pathlib import Path

import pytest
from uuid6 import uuid7

from infra.harness.building import BuiltSample, build
from infra.harness.chat import Dress
from infra.harness.processes import ToScore, score_all
from infra.settings import Settings
from schemas.measurements import Answer
from schemas.requests import Chat, TaskChoice
from streams.boards.comparison import Measured, Sample, compare, in_words
from tests.flow import get, post, until, until_listed
from tests.integration.test_cli import assay, document
from tests.integration.test_harness import on_the_wire

pytestmark = [pytest.mark.integration, pytest.mark.slow]
TASKS = ("--task", "assay_agreement", "--task", "assay_copy", "--limit", "60")
GROUPED = (("assay_agreement", "grammar", 60), ("assay_arithmetic", "grammar", 20), ("assay_copy", None, 40))


@pytest.fixture(scope="module")
def runs(flow: Settings) -> tuple[str, str]:
    """Two runs of the same tasks by models that answer unlike."""
    told = [
        document(assay(flow, "submit", "--engine", "echo", "--model", name, *TASKS, "--wait", "--json"))
        for name in ("echo-one", "echo-two")
    ]
    until_listed(flow, *(one["run_id"] for one in told), samples=120)
    return told[0]["run_id"], told[1]["run_id"]


def values(flow: Settings, run_id: str, task: str) -> Measured:
    """A run's values as the list of its samples has them."""
    answer = get(f"{flow.api}/v1/runs/{run_id}/samples?task={task}", headers={"Accept": "application/x-ndjson"})
    rows = [json.loads(line) for line in answer.text.splitlines()]
    return Measured("build", "acc", "none", True, "mean", {row["ordinal"]: Sample(row["doc_id"], row["value"])
                                                           for row in rows if row["metric"] == "acc"})  # fmt: skip


def test_the_comparison_is_that_of_the_samples_values(flow: Settings, runs: tuple[str, str]) -> None:
    """Every figure, with Holm over both tasks; the samples that differ are those that differ."""
    told = document(assay(flow, "compare", *runs, "--samples", "500", "--json"))
    assert (told["a"]["run_id"], told["b"]["run_id"]) == runs
    assert [one["task"] for one in told["tasks"]] == ["assay_agreement", "assay_copy"]
    own = told["tasks"][0]
    (expected,) = compare(*({"t": values(flow, run_id, "assay_agreement")} for run_id in runs)).tasks
    assert own["difference"]["value"] == expected.difference.value
    assert (own["difference"]["low"], own["difference"]["high"]) == (expected.difference.low, expected.difference.high)
    assert own["p_holm"] == min(1.0, 2 * expected.difference.p)
    assert [one["ordinal"] for one in own["samples"]] == [one.ordinal for one in expected.differing]
    assert own["differing"] == len(own["samples"]) > 0


def test_a_comparison_that_is_kept_is_the_same(flow: Settings, runs: tuple[str, str]) -> None:
    """With as many samples as are asked for, whatever was asked before."""
    asked = {"a": runs[0], "b": runs[1]}
    many, few, again = (get(f"{flow.api}/v1/compare", params=asked | {"limit": n}).json() for n in (500, 1, 500))
    assert many == again
    assert [len(task["samples"]) for task in few["tasks"]] == [min(1, task["differing"]) for task in many["tasks"]]
    turned = get(f"{flow.api}/v1/compare", params={"a": runs[1], "b": runs[0]}).json()
    assert turned["tasks"][0]["difference"]["value"] == -many["tasks"][0]["difference"]["value"]


def test_people_read_whether_the_difference_is_real(flow: Settings, runs: tuple[str, str]) -> None:
    """A table, the words for each task, and samples that differ."""
    done = assay(flow, "compare", *runs, "--task", "assay_agreement")
    assert done.returncode == 0, done.stderr
    (expected,) = compare(*({"t": values(flow, run_id, "assay_agreement")} for run_id in runs)).tasks
    assert f"assay_agreement by acc: {in_words(expected)}" in " ".join(done.stdout.split())
    assert "samples that differ most" in done.stdout


def test_a_run_is_the_same_as_itself(flow: Settings, runs: tuple[str, str]) -> None:
    """Nothing differs."""
    told = document(assay(flow, "compare", runs[0], runs[0], "--json"))
    assert [(one["differing"], one["better"]) for one in told["tasks"]] == [(0, None), (0, None)]
    assert told["overall"]["difference"] == 0.0


def test_a_group_has_a_row_and_counts_as_one(flow: Settings, tmp_path: Path) -> None:
    """In the document, for people, on the page; and its tasks can be compared alone."""
    request, runs = tmp_path / "request.yaml", []
    for model in ("echo-one", "echo-two"):
        tasks = [{"name": name, "group": group, "limit": limit} for name, group, limit in GROUPED]
        request.write_text(json.dumps({"model": {"uri": model}, "engine": {"name": "echo"}, "tasks": tasks}))
        runs.append(document(assay(flow, "submit", str(request), "--wait", "--json"))["run_id"])
    until_listed(flow, *runs, samples=120)
    told = document(assay(flow, "compare", *runs, "--json"))
    parts, (group,) = {one["task"]: one["weight"] for one in told["tasks"]}, told["groups"]
    assert parts == pytest.approx({"assay_agreement": 0.375, "assay_arithmetic": 0.125, "assay_copy": 0.5})
    assert (told["overall"]["tasks"], told["overall"]["units"]) == (3, 2)
    own = {one["task"]: one["difference"]["value"] for one in told["tasks"]}
    assert told["overall"]["difference"] == pytest.approx(sum(parts[task] * own[task] for task in own))
    assert group["difference"]["value"] == pytest.approx(0.75 * own["assay_agreement"] + 0.25 * own["assay_arithmetic"])
    assert (group["group"], group["tasks"], group["difference"]["n"]) == ("grammar", 2, 80)
    shown = " ".join(assay(flow, "compare", *runs).stdout.split())
    assert f"grammar by acc: {group['words']}" in shown
    assert "Mean over tasks, 2 with groups as one: " in shown
    page = get(f"{flow.api}/compare", params={"a": runs[0], "b": runs[1]}).text
    assert page.index('<tr class="group">') < page.index('<tr class="member">') < page.index("<b>grammar</b>")
    assert "Mean over tasks, 2 with groups as one, positive where A is better" in page
    alone = document(assay(flow, "compare", *runs, "--task", "grammar", "--json"))
    assert [one["task"] for one in alone["tasks"]] == ["assay_agreement", "assay_arithmetic"]
    assert alone["groups"] == [group]
    listed = {run["run_id"]: run for run in get(f"{flow.api}/v1/runs", params={"model": "echo-two"}).json()["runs"]}
    assert sorted(listed[runs[1]]["asked"]) == ["assay_copy", "grammar"]
    assert sorted(listed[runs[1]]["tasks"]) == ["assay_agreement", "assay_arithmetic", "assay_copy"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("0", "1"), "no run 0; `assay runs` lists them"),
        (("A", "B", "--task", "hellaswag"), "neither run has a task 'hellaswag'; they have: assay_agreement, assay_copy"),
    ],
)
def test_what_cannot_be_compared_is_said(flow: Settings, runs: tuple[str, str], arguments: tuple[str, ...], says: str) -> None:
    """In one line."""
    named = {"A": runs[0], "B": runs[1]}
    done = assay(flow, "compare", *(named.get(one, one) for one in arguments))
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert says in done.stderr


def test_runs_that_share_no_sample_are_refused(flow: Settings, runs: tuple[str, str]) -> None:
    """With the reason of each task."""
    other = document(assay(flow, "submit", "--engine", "echo", "--model", "echo", "--task", "assay_agreement", "--fewshot", "2",
                           "--limit", "5", "--wait", "--json"))  # fmt: skip
    until_listed(flow, other["run_id"], samples=5)
    answer = get(f"{flow.api}/v1/compare", params={"a": runs[0], "b": other["run_id"]})
    assert (answer.status_code, answer.json()["code"]) == (422, "nothing-shared")
    assert "assay_agreement: built differently" in answer.json()["detail"]
    assert "assay_copy: only run A has it" in answer.json()["detail"]
    assert get(f"{flow.api}/v1/compare", params={"a": runs[0]}).status_code == 400


@pytest.fixture(scope="module")
def measured(flow: Settings, runs: tuple[str, str]) -> tuple[str, str]:
    """The speeds of the same models under one load, where their runs ran."""
    load = ("--profile", "single", "--requests", "40", "--output-tokens", "8", "--wait", "--json")
    told = [document(assay(flow, "perf", "--engine", "echo", "--model", name, *load)) for name in ("echo-one", "echo-two")]
    return told[0]["run_id"], told[1]["run_id"]


def test_a_run_is_held_to_a_reference(flow: Settings, runs: tuple[str, str], measured: tuple[str, str]) -> None:
    """The comparison's differences the other way round, p over all tests, and speed as multiples of runs that measured it."""
    told = document(assay(flow, "parity", *runs, "--margin", "0.02", "--json"))
    compared = document(assay(flow, "compare", runs[1], runs[0], "--json"))
    (row,) = told["rows"]
    assert (told["reference"]["run_id"], row["run_id"], told["tests"]) == (runs[0], runs[1], 2)
    for one, other in zip(row["tasks"], compared["tasks"], strict=True):
        assert (one["difference"], one["low"], one["high"], one["n"]) == tuple(
            other["difference"][name] for name in ("value", "low", "high", "n")
        )
        assert (one["p_holm"], one["changed"]) == (other["p_holm"], other["differing"])
        assert one["changed_ratio"] <= one["answered_differently_ratio"] <= 1  # what is scored differently was answered differently
    assert row["tasks"][0]["answered_differently_ratio"] > 0
    assert {fact["name"] for fact in row["differs"]} <= {"batch", "context"}  # the same engine, on the same machine
    assert (row["reference_speed_run"], row["speed_run"]) == measured
    speeds = [get(f"{flow.api}/v1/runs/{run_id}").json()["performance"] for run_id in measured]
    tokens, ttft, *others = row["figures"]
    assert tokens["ratio"] == pytest.approx(speeds[1]["capacity_tokens_per_s"] / speeds[0]["capacity_tokens_per_s"])
    assert ttft["ratio"] == pytest.approx(speeds[1]["ttft_s"]["p50"] / speeds[0]["ttft_s"]["p50"])
    assert ttft["low"] < ttft["ratio"] < ttft["high"]
    assert any("memory" in one["name"] for one in others) and all(one["ratio"] is not None or one["why"] for one in others)


def test_people_read_what_a_run_loses_and_gains(flow: Settings, runs: tuple[str, str], measured: tuple[str, str]) -> None:
    """In a terminal, and on a page that is readable without a script."""
    assert len(measured) == 2
    done = assay(flow, "parity", *runs)
    assert done.returncode == 0, done.stderr
    (row,) = get(f"{flow.api}/v1/parity", params={"reference": runs[0], "run": runs[1]}).json()["rows"]
    shown = " ".join(done.stdout.split())
    for one in row["tasks"]:
        assert f"{one['task']} by {one['metric']}: {one['words']}" in shown
    assert f"Over all: {row['words']}" in shown
    page = get(f"{flow.api}/parity", params={"reference": runs[0], "run": runs[1]}).text
    assert f'id="run-{runs[1]}"' in page and "tokens/s at capacity" in page
    alone = get(f"{flow.api}/parity", params={"reference": runs[0]})
    assert alone.status_code == 200 and "alone has nothing to be held to" in alone.text


def test_runs_that_are_not_to_be_held_to_one_another_are_refused(flow: Settings, runs: tuple[str, str]) -> None:
    """Each with the reason: the same twice, none of that name, one that measured speed alone, and one that waits."""
    speed = document(assay(flow, "perf", "--engine", "echo", "--model", "echo", "--requests", "3", "--wait", "--json"))["run_id"]
    asked = {
        "run_id": str(uuid7()),
        "model": {"uri": "echo"},
        "engine": {"name": "echo"},
        "tasks": [{"name": "assay_copy"}],
        "pool": "nobody",
    }
    waiting = str(post(f"{flow.api}/v1/evaluations", json=asked).raise_for_status().json()["run_id"])
    until(lambda: get(f"{flow.api}/v1/runs/{waiting}").status_code == 200)
    for others, status, code in (
        ([runs[0]], 422, "run-twice"),
        (["none"], 404, "unknown-run"),
        ([speed], 422, "nothing-shared"),
        ([waiting], 422, "not-completed"),
    ):
        answer = get(f"{flow.api}/v1/parity", params={"reference": runs[0], "run": others})
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    done = assay(flow, "parity", runs[0], runs[0])
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert get(f"{flow.api}/v1/parity", params={"reference": runs[0]}).status_code == 400


@pytest.mark.datasets
@pytest.mark.suites
@pytest.mark.filterwarnings("ignore")
def test_questions_on_one_passage_are_scored_as_one_cluster(home: Path) -> None:
    """boolq asks several questions about some of its passages."""
    settings = Settings(home=home, datasets=Path(os.environ["ASSAY_DATASETS"]))
    made = build(TaskChoice(name="boolq"), dress=Dress(Chat()), settings=settings)
    scored = score_all([_unlikely(made.config_json, sample) for sample in made.samples[:600]])
    passages = {json.loads(sample.document)["passage"] for sample in made.samples[:600]}
    assert len({one.cluster for one in scored}) == len(passages) < 600


def _unlikely(config_json: str, sample: BuiltSample) -> ToScore:
    """The sample with every answer as unlikely as any other."""
    requests, prefixes = on_the_wire(sample)
    answers = tuple(
        Answer(
            request_index=index, request_type="loglikelihood", finish_reason="none", prompt_tokens=0, loglikelihood=-1.0, is_greedy=False
        )
        for index in range(len(requests))
    )
    return ToScore(config_json, sample.document, sample.doc_id, requests, prefixes, answers)
