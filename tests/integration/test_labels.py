"""People's labels on the real stack: a template is filled in and imported, judges are held to it; what is wrong leaves nothing behind."""

import csv
import io
import json
import random
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean, pvariance, variance
from typing import Any

import pytest
from assay_client import Client
from assay_client.errors import Invalid

from infra.harness.bundled.documents import copying
from infra.settings import Settings
from streams.visible import of_cell
from tests.flow import get, post, until_listed
from tests.integration.test_api import until
from tests.integration.test_cli import assay, document
from tests.integration.test_judging import over, submitted

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
LIMIT = 48
RATES = "{{ messages[-1].content }}\nScore: {{ 3 + messages[-1].content|length % 6 }}"
# Takes the answer that comes first in the alphabet, or none where they begin alike.
PREFERS = (
    "{{ messages[-1].content }}\n{% set a = messages[-1].content.split('[FIRST ANSWER]\n')[1][0] %}"
    "{% set b = messages[-1].content.split('[SECOND ANSWER]\n')[1][0] %}"
    "Verdict: {{ 'first' if a < b else 'second' if b < a else 'tie' }}"
)
WRITING, PAIRWISE = "assay_judge_writing", "assay_judge_pairwise"


def writer(flow: Settings, folder: Path, name: str, seed: int) -> str:
    """A run whose answers are words drawn by a seed, some of which a spreadsheet would take for formulas."""
    draw = random.Random(seed)
    letters = copying()["test"]["letters"][:LIMIT]
    words = ["".join(draw.choices("abcd=", k=draw.randint(1, 12))) for _ in letters]
    (folder / f"{name}.json").write_text(json.dumps({f"{one}=": word for one, word in zip(letters, words, strict=True)}))
    engine = {"name": "echo", "options": {"answers": str(folder / f"{name}.json")}}
    return submitted(flow, model={"uri": name}, engine=engine, tasks=[{"name": "assay_copy", "limit": LIMIT}])


@pytest.fixture(scope="module")
def runs(flow: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Two writers' runs, one judged by points, and both compared in pairs."""
    folder = tmp_path_factory.mktemp("writers")
    a, b = writer(flow, folder, "writer-a", 1), writer(flow, folder, "writer-b", 2)
    over(flow, a), over(flow, b)
    points = submitted(flow, model={"uri": "rates"}, parent_run=a, tasks=[{"name": WRITING}], chat={"template": RATES})
    pairs = submitted(flow, model={"uri": "prefers"}, parent_run=a, against_run=b, tasks=[{"name": PAIRWISE}], chat={"template": PREFERS})
    over(flow, points), over(flow, pairs)
    until_listed(flow, a, b, points, pairs, samples=LIMIT)
    yield a, b


def filled(path: Path, label: Any, *, columns: dict[str, str] | None = None) -> list[dict[str, str]]:
    """The template's rows, each with the label that a person gives."""
    rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")))
    for row in rows:
        row |= {"label": label(row), **(columns or {})}
    with path.open("w", encoding="utf-8", newline="") as out:
        told = csv.DictWriter(out, rows[0])
        told.writeheader()
        told.writerows(rows)
    return rows


def values(flow: Settings, run_id: str, task: str, metric: str) -> dict[int, float]:
    """A judge's values by sample; each has one answer."""
    lines = get(f"{flow.api}/v1/runs/{run_id}/samples", params={"limit": 500, "task": task}).json()["samples"]
    return {json.loads(json.dumps(one["document"]))["ordinal"]: next(s["value"] for s in one["scores"] if s["metric"] == metric)
            for one in lines}  # fmt: skip


def test_a_judge_is_held_to_people(flow: Settings, runs: tuple[str, str], tmp_path: Path) -> None:
    """Who is too kind by two is corrected by two; the same file again changes nothing, another word corrects; pages and client show it."""
    run_id, path = runs[0], tmp_path / "labels.csv"
    asked = ("judge", "labels", str(path), "--run", run_id, "--judgement", WRITING)
    assert document(assay(flow, *asked, "--template", "--count", "30", "--seed", "5", "--json")) == {"file": str(path), "answers": 30}
    refused = assay(flow, *asked, "--template")
    assert (refused.returncode, "is there already" in refused.stderr) == (1, True)
    (judging,) = [one for one in get(f"{flow.api}/v1/runs/{run_id}/judgements").json()["judgements"] if one["judge"] == "rates"]
    judged = values(flow, judging["run_id"], f"{WRITING}:assay_copy", "rating")
    rows = filled(path, lambda row: f"{judged[int(row['ordinal'])] - 2:g}")
    answers = {one["ordinal"]: one["requests"][0]["answers"][0]["output"]
               for one in get(f"{flow.api}/v1/runs/{run_id}/samples", params={"limit": 500}).json()["samples"]}  # fmt: skip
    assert all(of_cell(row["answer"]) == answers[int(row["ordinal"])] and not row["answer"].startswith("=") for row in rows)
    assert any(row["answer"].startswith("'=") for row in rows)
    first = document(assay(flow, *asked, "--by", "ada", "--json"))
    again = document(assay(flow, *asked, "--by", "ada", "--json"))
    assert (first, again) == ({"published": 30, "known": 0, "without_label": 0}, {"published": 0, "known": 30, "without_label": 0})
    all_there = until(flow.api, f"/v1/runs/{run_id}/corrections", holds=lambda told: [one["labels"] for one in told["corrections"]] == [30])
    (found,) = all_there["corrections"]
    mean = sum(judged.values()) / LIMIT
    assert (found["judge"], found["task"], found["metric"], found["labels"], found["persons"]) == (
        "rates", f"{WRITING}:assay_copy", "rating", 30, 1,
    )  # fmt: skip
    assert found["judged"]["value"] == pytest.approx(mean)
    assert found["corrected"]["low"] < mean - 2 < found["corrected"]["high"] < found["judged"]["low"]
    # Which answers are labelled goes with the run's id, so λ and what it makes of them are reckoned from these.
    chosen = [judged[int(row["ordinal"])] for row in rows]
    tuning = min(1.0, variance(chosen) / pvariance(judged.values()))
    assert found["corrected"]["value"] == pytest.approx(mean - 2 + (1 - tuning) * (fmean(chosen) - mean))
    assert (found["bias"]["value"], found["tuning"], found["corrected"]["n"]) == (pytest.approx(2), pytest.approx(tuning), LIMIT)
    shown = assay(flow, "judge", "show", run_id).stdout
    assert "corrected" in shown and "the judge gives 2.000 more than people" in shown
    page = get(f"{flow.api}/runs/{run_id}").raise_for_status().text
    assert "Judges held to people" in page and "prediction-powered" in page
    with Client(flow.api) as client:
        assert len(client.labels(run_id, by="ada")) == 30
        told = {"task": "assay_copy", "ordinal": int(rows[0]["ordinal"]), "label": rows[0]["label"], "note": "weak"}
        assert client.publish_labels(run_id, [told], judgement=WRITING, by="ada") == 1
        assert client.corrections(run_id).corrections[0].labels == 30
    newest = until(flow.api, f"/v1/runs/{run_id}/labels?limit=100", holds=lambda told: any(one["note"] for one in told["labels"]))
    assert [(one["note"], one["revision"]) for one in newest["labels"] if one["note"]] == [("weak", 1)]


def test_what_is_wrong_leaves_nothing_behind(flow: Settings, runs: tuple[str, str], tmp_path: Path) -> None:
    """Found here, or by the API: it is told with the file's line and column, and no row is published."""
    path = tmp_path / "wrong.csv"
    asked = ("judge", "labels", str(path), "--run", runs[1], "--judgement", WRITING, "--by", "bo")
    for text, says in (
        ("story,1,99", f"{path}, line 3, column label: label '99': write a number of 1 to 10"),
        (
            f"assay_copy,{LIMIT},5",
            f"{path}, line 3, column ordinal: run {runs[1]} has no written answer to task assay_copy, sample {LIMIT}",
        ),
        ("story,1,5", f"{path}, line 3, column task: run {runs[1]} has no written answer"),
    ):
        path.write_text(f"task,ordinal,label\nassay_copy,0,5\n{text}\n")
        done = assay(flow, *asked)
        assert (done.returncode, done.stdout) == (1, "")
        assert says in done.stderr and len(done.stderr.splitlines()) == 1
    assert get(f"{flow.api}/v1/runs/{runs[1]}/labels").json()["labels"] == []
    unfit = assay(flow, "judge", "labels", str(path), "--run", runs[1], "--judgement", PAIRWISE, "--template")
    assert "is there already" in unfit.stderr or "about two runs" in unfit.stderr
    with Client(flow.api) as client, pytest.raises(Invalid, match="that people can label"):
        client.publish_labels(runs[1], [{"task": "assay_copy", "ordinal": 0, "label": 1}], judgement="assay_judge_perplexity", by="bo")


def test_a_private_runs_answers_are_labelled_by_nobody(flow: Settings) -> None:
    """For nobody is told them."""
    private = submitted(flow, model={"uri": "writer-p"}, visibility="private", tasks=[{"name": "assay_copy", "limit": 2}])
    over(flow, private)
    answer = post(f"{flow.api}/v1/runs/{private}/labels",
                  json={"judgement": WRITING, "by": "bo", "labels": [{"task": "assay_copy", "ordinal": 0, "label": 5}]})  # fmt: skip
    assert (answer.status_code, answer.json()["code"]) == (422, "private")
    assert get(f"{flow.api}/v1/runs/{private}/to-label", params={"judgement": WRITING}).json()["code"] == "private"


def test_models_are_compared_in_pairs_by_judge_and_people(flow: Settings, runs: tuple[str, str], tmp_path: Path) -> None:
    """Strengths from both orders, on the page of either run; people who say the same as the judge have its strengths and its mean."""
    path = tmp_path / "pairs.csv"
    about = ("--run", runs[0], "--against", runs[1], "--judgement", PAIRWISE)
    document(assay(flow, "judge", "labels", str(path), *about, "--template", "--count", "40", "--json"))

    def prefers(row: dict[str, str]) -> str:
        one, other = of_cell(row["answer"])[0], of_cell(row["other"])[0]
        return "first" if one < other else "second" if other < one else "tie"

    rows = filled(path, prefers)
    assert {row["swapped"] for row in rows} == {"yes", "no"}
    assert document(assay(flow, "judge", "labels", str(path), *about, "--by", "ada", "--json"))["published"] == 40
    told = until(
        flow.api, f"/v1/runs/{runs[1]}/strengths", holds=lambda told: {one["documents"] for one in told["strengths"]} == {LIMIT, 40}
    )["strengths"]
    by = {one["judge"].partition(" ")[0]: one for one in told}
    judge, people = by["prefers"], by["people"]
    assert (judge["bouts"], judge["documents"], people["bouts"], people["documents"]) == (2 * LIMIT, LIMIT, 40, 40)
    assert judge["order"]["value"] == pytest.approx(0, abs=1e-6)
    assert sum(one["strength"]["value"] for one in judge["models"]) == pytest.approx(0)
    assert judge["models"][0]["points"]["low"] < judge["models"][0]["points"]["value"] < judge["models"][0]["points"]["high"]
    assert judge["length"]["low"] < judge["length"]["high"] and 0 < judge["ties"]["value"] < 1
    assert people["models"][0]["strength"]["value"] == pytest.approx(judge["models"][0]["strength"]["value"], abs=0.3)
    (found,) = [one for one in get(f"{flow.api}/v1/runs/{runs[0]}/corrections").json()["corrections"] if one["metric"] == "preference"]
    assert found["bias"]["value"] == pytest.approx(0) and found["agreement"]["alpha"] == pytest.approx(1)
    judged, labelled = found["judged"]["value"], found["people"]["value"]
    assert found["corrected"]["value"] == pytest.approx(judged + (1 - found["tuning"]) * (labelled - judged))
    shown = assay(flow, "judge", "show", runs[0]).stdout
    assert "twice as long is worth" in shown and "people: 40 comparisons" in shown
    assert "Equally long" in get(f"{flow.api}/runs/{runs[0]}").raise_for_status().text
