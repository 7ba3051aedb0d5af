"""From runs to a decision on the real stack: measured, recommended, kept as an event, reckoned again, looked at."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from assay_client import Client

from infra.kafka import Log
from infra.settings import Settings
from schemas.decisions import RecommendationMade
from streams.topics import RECOMMENDATIONS
from tests.flow import get, post
from tests.integration.test_api import until
from tests.integration.test_cli import assay, document

pytestmark = [pytest.mark.integration, pytest.mark.slow]
LOAD = {"profile": "concurrent", "concurrency": 4, "requests": 200, "input_tokens": 16, "output_tokens": 4}
PRICE = {"item": "cpu_hour", "amount": "0.05", "unit": "core-hour", "valid_from": "2020-01-01", "source": "test", "version": "deciding-1"}
REQUIREMENT: dict[str, Any] = {
    "tasks": {"assay_copy": 1}, "latency": {"e2e_p95": "20 s"}, "traffic": {"rate": "90/s", "input": "8 tokens", "output": "4 tokens"},
    "allowed": {"models": ["quick-echo", "slow-echo"]}, "prefer": {"points": {"quality": 100, "usd_per_month": 100}}, "threshold": "60 %",
}  # fmt: skip
YAML = """
tasks: {assay_copy: 1}
traffic: {curve: {0-8: 1/s, 8-24: 2/s}, input: 8 tokens, output: 4 tokens}
allowed: {models: [quick-echo, slow-echo]}
threshold: 0.1
"""

SCENARIO = """
source: Lenovo Press LP2368, 2026
inputs: {purchase: 250141.80 USD, running: 6.37, rent: 98.32, years: 5, tokens_per_s: 30576}
spread: 10 %
"""


@pytest.fixture(scope="module")
def runs(flow: Settings) -> list[str]:
    """Three models that answer alike, two of them slowly, scored and measured under a load; with a price for their cores."""
    post(f"{flow.api}/v1/prices", json={"prices": [PRICE]}).raise_for_status()
    ids = []
    for model, delay_ms in (("quick-echo", "1"), ("slow-echo", "40"), ("twin-echo", "40")):
        engine = {"name": "echo", "options": {"delay_ms": delay_ms}}
        body = {"model": {"uri": model}, "engine": engine, "tasks": [{"name": "assay_copy", "limit": 30}], "workload": LOAD}
        ids.append(str(post(f"{flow.api}/v1/evaluations", json=body).raise_for_status().json()["run_id"]))
    for run_id in ids:
        until(flow.api, f"/v1/runs/{run_id}", holds=lambda run: run["state"] == "completed" and run["performance"] and run["scores"])
        until(flow.api, f"/v1/runs/{run_id}/cost", holds=lambda cost: cost["versions"])
    return ids


def recommended(flow: Settings, **changed: Any) -> dict[str, Any]:
    """The answer to the requirement with other parts."""
    answer = post(f"{flow.api}/v1/recommendations", json={"requirement": REQUIREMENT | changed, "by": "ada"})
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/v1/recommendations/{answer.json()['recommendation_id']}"
    return dict(answer.json())


def test_runs_become_a_recommendation_that_is_an_event(flow: Settings, runs: list[str]) -> None:
    """The quick model for its bill, on the run that measured it; said once on its topic, listed, and the same when reckoned again."""
    told = recommended(flow)
    assert [one["model"] for one in told["choices"]] == ["quick-echo", "slow-echo"]
    first = told["choices"][0]
    assert (told["decided"], first["measured_by"]) == (True, [runs[0]])
    assert set(runs) <= set(told["input_runs"])
    assert first["capacity"]["replicas"] >= 1
    assert first["guide"]["command"] is None and "nothing serves the engine echo" in first["guide"]["notes"][0]
    assert told["tradeoffs"] and told["prices"]
    assert recommended(flow)["recommendation_id"] == told["recommendation_id"]
    kept = until(flow.api, f"/v1/recommendations/{told['recommendation_id']}", holds=bool)
    assert kept == told
    until(flow.api, "/v1/recommendations", holds=lambda page: [one for one in page["recommendations"] if one["model"] == "quick-echo"])
    again = get(f"{flow.api}/v1/recommendations/{told['recommendation_id']}/again").json()
    assert (again["equal"], again["differs"]) == (True, [])
    events = asyncio.run(said(flow))
    assert [event.asked_by for event in events if event.recommendation_id == told["recommendation_id"]] == ["ada"]


async def said(flow: Settings) -> list[RecommendationMade]:
    """All recommendations in the log."""
    async with Log(flow, client_id="test") as log:
        return [record.event async for record in log.read([RECOMMENDATIONS]) if isinstance(record.event, RecommendationMade)]


def test_the_command_line_recommends_and_shows(flow: Settings, runs: list[str], tmp_path: Path) -> None:
    """A requirement as YAML; the checks' shape; the same by its id."""
    file = tmp_path / "requirement.yaml"
    file.write_text(YAML)
    told = document(assay(flow, "recommend", str(file), "--json"))
    assert {"model", "engine", "hardware", "feasible", "pareto", "confidence", "why"} <= told["choices"][0].keys()
    shown = assay(flow, "recommend", "show", told["recommendation_id"]).stdout
    assert "quick-echo" in shown and "replicas" in shown
    assert document(assay(flow, "recommend", "again", told["recommendation_id"], "--json"))["equal"]
    file.write_text(YAML.replace("threshold: 0.1", "treshold: 0.1"))
    done = assay(flow, "recommend", str(file))
    assert (done.returncode, "did you mean threshold?" in done.stderr) == (1, True)


def test_what_would_save_is_told_against_what_runs_now(flow: Settings, runs: list[str], tmp_path: Path) -> None:
    """The quick model for the slow one, by API, client and command line; nothing for the quick one; what is unknown is told."""
    asked = {"run": runs[1], "requirement": REQUIREMENT}
    told = post(f"{flow.api}/v1/savings", json=asked).json()
    (saving,) = told["savings"]
    assert (told["model"], saving["model"], saving["changes"]) == ("slow-echo", "quick-echo", ["model"])
    assert saving["quality_difference"]["value"] == 0.0 and saving["saved_usd_per_month"]["low"] > 0
    assert saving["runs"]["speed"] == runs[0]
    with Client(flow.api) as client:
        assert client.savings(runs[1], REQUIREMENT).savings[0].saved_ratio == saving["saved_ratio"]
    file = tmp_path / "requirement.yaml"
    file.write_text(YAML.replace("{0-8: 1/s, 8-24: 2/s}", "{0-24: 90/s}"))
    shown = assay(flow, "recommend", "savings", runs[1], str(file)).stdout
    assert "slow-echo" in shown and "quick-echo" in shown and "+0.000" in shown
    assert "Nothing that was measured would save" in assay(flow, "recommend", "savings", runs[0], str(file)).stdout
    missing = post(f"{flow.api}/v1/savings", json=asked | {"run": "00000000-0000-7000-8000-000000000000"})
    assert (missing.status_code, missing.json()["code"]) == (404, "unknown-run")


def test_the_pages_show_it_without_a_script(flow: Settings, runs: list[str]) -> None:
    """The form's address is its link; one that was made is shown by its id; what is wrong is said beside the form; costs are reckoned."""
    told = recommended(flow)
    query = "tasks=assay_copy&rate=90/s&input=8+tokens&output=4+tokens&models=quick-echo,slow-echo&points=quality,usd_per_month"
    shown = get(f"{flow.api}/recommend?{query}").text
    assert "quick-echo" in shown and '<svg role="img"' in shown and "Keep it" in shown
    assert "quick-echo" in get(f"{flow.api}/recommend?id={told['recommendation_id']}").text
    assert "rate has no unit" in get(f"{flow.api}/recommend?{query.replace('90/s', '90')}").text
    costs = "purchase=250141.8&running=6.37&rent=98.32&years=5&spread=20+%25&source=quotes+of+2026-11"
    assert "2,720 hours" in get(f"{flow.api}/costs?{costs}").text
    assert get(f"{flow.api}/costs/csv?{costs}").text.startswith("figure,value,unit,formula,source\nper_hour,")
    assert get(f"{flow.api}/costs/pdf?{costs}").status_code == 422


def test_costs_are_reckoned_from_a_file_of_assumptions(flow: Settings, tmp_path: Path) -> None:
    """The checks' shape, to the published figure; a figure opened down to who states it; what is wrong is named."""
    file = tmp_path / "scenario.yaml"
    file.write_text(SCENARIO)
    told = document(assay(flow, "tco", str(file), "--json"))
    assert round(told["break_even_hours"]) == 2720  # Lenovo Press LP2368
    assert round(told["usd_per_hour"], 2) == 12.08 and round(told["usd_per_1m_tokens"], 3) == 0.11
    assert {"name", "usd", "formula", "inputs"} <= told["components"][0].keys()
    assert {one["figure"] for one in told["sensitivity"]} >= {"break_even_hours"}
    assert "Lenovo Press LP2368, 2026" in assay(flow, "tco", str(file), "--open", "break_even_hours").stdout
    assert assay(flow, "tco", str(file), "--as", "markdown").stdout.startswith("| figure | value |")
    file.write_text(SCENARIO.replace(", 2026", ""))
    assert "without a date" in assay(flow, "tco", str(file)).stderr


def test_undecided_it_names_the_next_run(flow: Settings, runs: list[str]) -> None:
    """Two that are equally fast cannot be told apart: a run is offered with its command and its price, where it is expected to help."""
    told = recommended(flow, prefer={"points": {"goodput_per_s": 100}}, allowed={"models": ["slow-echo", "twin-echo"]}, threshold=1.0)
    assert not told["decided"]
    assert told["words"].startswith("undecided: ")
    assert all(one["usd"] > 0 and one["commands"][0].startswith("assay perf --model ") for one in told["next"])


def test_the_next_run_is_asked_for_by_a_click_once(flow: Settings, runs: list[str]) -> None:
    """The page leads to what would run and its price; its form asks for it, from this site alone; a second time asks for nothing."""
    assert runs
    query = {"tasks": "assay_copy", "rate": "90/s", "input": "8 tokens", "output": "4 tokens", "points": "goodput_per_s",
             "models": "slow-echo,twin-echo", "threshold": "1"}  # fmt: skip
    told = recommended(flow, prefer={"points": {"goodput_per_s": 100}}, allowed={"models": ["slow-echo", "twin-echo"]}, threshold=1.0)
    place = next(n for n, one in enumerate(told["next"]) if "times" not in one["commands"][0])
    asked = {"id": told["recommendation_id"], "place": str(place)}
    until(flow.api, f"/v1/recommendations/{told['recommendation_id']}", holds=bool)
    assert 'action="/recommend/next"' in get(f"{flow.api}/recommend", params={"id": asked["id"]}).text
    assert 'action="/recommend/next"' in get(f"{flow.api}/recommend", params=query).text
    shown = get(f"{flow.api}/recommend/next", params=asked).text
    assert "What will run" in shown and "200 requests" in shown and 'method="post"' in shown
    form, here = {"recommendation_id": asked["id"]}, {"origin": flow.api}
    send = f"{flow.api}/recommend/next"
    assert httpx.post(send, params=asked, data=form, timeout=60).status_code == 403
    assert httpx.post(send, params=asked, data=form, headers={"origin": "http://elsewhere.example"}, timeout=60).status_code == 403
    assert httpx.post(send, params=asked, data={"recommendation_id": "another"}, headers=here, timeout=60).status_code == 409
    done = httpx.post(send, params=asked, data=form, headers=here, timeout=60)
    assert (done.status_code, done.headers["location"]) == (303, f"/recommend?id={asked['id']}#next")
    with Client(flow.api) as client:
        again = client.ask_for_next(asked["id"], place=place, by="ada")
    assert not again.new and len(again.runs) == len(told["next"][place]["commands"])
    run = until(flow.api, f"/v1/runs/{again.runs[0].run_id}", holds=lambda run: run["state"] not in ("requested",))
    assert run["submitter"] == "the page"
    page = get(f"{flow.api}/recommend/next", params=asked).text
    assert "asked for already" in page and again.runs[0].run_id in page and 'method="post"' not in page
    assert again.runs[0].run_id in get(f"{flow.api}/recommend", params={"id": asked["id"]}).text
    said_again = document(assay(flow, "recommend", "buy", asked["id"], "--place", str(place + 1), "--yes", "--json"))
    assert [one["run_id"] for one in said_again["runs"]] == [one.run_id for one in again.runs]
    missing = post(f"{flow.api}/v1/recommendations/{asked['id']}/next", json={"place": 99})
    assert (missing.status_code, missing.json()["code"]) == (404, "unknown-next-run")


def test_scores_over_time_are_told_with_their_origin(flow: Settings, runs: list[str]) -> None:
    """Ours at the ends of their runs, others' when they say; the page draws and tells both."""
    figure = {
        "place": "p",
        "model": "org/other",
        "task": "assay_copy",
        "metric": "exact_match",
        "value": 0.5,
        "measured_us": 1_700_000_000_000_000,
    }
    body = {"file_sha256": "1" * 64, "form": "lm-eval", "source": "a <b>lab</b>", "licence": "unknown", "by": "ada"}
    post(f"{flow.api}/v1/external-results", json=body | {"figures": [figure]}).raise_for_status()
    told = until(flow.api, "/v1/score-history?task=assay_copy", holds=lambda found: [one for one in found["scores"] if one["source"]])
    assert {one["run_id"] for one in told["scores"] if one["origin"] == "measured here"} >= set(runs)
    (other,) = (one for one in told["scores"] if one["origin"] == "reported elsewhere" and one["model"] == "org/other")
    assert (other["value"], other["at_us"], other["run_id"]) == (0.5, 1_700_000_000_000_000, None)
    assert [one["model"] for one in get(f"{flow.api}/v1/score-history?task=assay_copy&model=other").json()["scores"]] == ["org/other"]
    page = get(f"{flow.api}/history?task=assay_copy").text
    assert "<circle" in page and "◇<title>" in page and "a &lt;b&gt;lab&lt;/b&gt;" in page and "2023-11-14" in page
    assert "org/other" not in assay(flow, "external", "history", "assay_copy", "--model", "quick-echo").stdout
    assert document(assay(flow, "external", "history", "assay_copy", "--model", "other", "--json"))["scores"] == [other]


def test_a_decision_and_its_outcome_are_kept_and_counted(flow: Settings, runs: list[str]) -> None:
    """By its recommendation it knows how sure it was; a later report takes the place of the first; the figures count it."""
    made = recommended(flow)
    before = get(f"{flow.api}/v1/decisions").json()["figures"]  # of other tests on this stack
    told = document(assay(flow, "decisions", "record", "--recommendation", made["recommendation_id"], "--by", "ada", "--json"))
    assert (told["chosen"].split()[0], told["confidence"]) == ("quick-echo", made["choices"][0]["confidence"])
    decision_id = told["decision_id"]
    again = post(f"{flow.api}/v1/decisions", json={"decision_id": decision_id, "chosen": "another", "by": "bo"})
    assert (again.status_code, again.json()["code"]) == (409, "decision-known")
    for number, after in enumerate(("1500", "750")):
        said = assay(flow, "decisions", "outcome", decision_id, "--before-usd", "3000", "--after-usd", after, "--json")
        assert document(said)["revision"] == number
    kept = until(flow.api, f"/v1/decisions/{decision_id}", holds=lambda one: one.get("reports") == 2)
    assert kept["outcome"]["saved_ratio"] == 0.75
    figures = get(f"{flow.api}/v1/decisions").json()["figures"]
    assert figures["decisions"] == before["decisions"] + 1
    for name, value in (("confident", 1.0), ("saved", 0.75)):
        n = before[name]["n"] + 1
        assert (figures[name]["n"], figures[name]["value"]) == (n, pytest.approx(((before[name]["value"] or 0.0) * (n - 1) + value) / n))
    assert (
        f"saved on average: {100 * figures['saved']['value']:.0f} % of {figures['saved']['n']}" in assay(flow, "decisions", "show").stdout
    )
    assert "Did it help?" in get(f"{flow.api}/recommend").text
    with Client(flow.api) as client:
        # A run that was asked for above may end between the two.
        assert any(client.recommend(REQUIREMENT).recommendation_id == recommended(flow)["recommendation_id"] for _ in range(3))
        assert decision_id in [one.decision_id for one in client.decisions()]
    assert assay(flow, "decisions", "outcome", "none", "--after-usd", "1").returncode == 1
    assert post(f"{flow.api}/v1/decisions", json={"by": "ada"}).json()["code"] == "no-choice"


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"traffic": {"rate": 20, "input": "8 tokens", "output": "4 tokens"}}, "rate has no unit; write it as 20/s"),
        ({"traffic": {"curve": {"0-8": "2/s"}, "input": "8 tokens", "output": "4 tokens"}}, "the curve has holes"),
        ({"budget": {"per_month": "0 USD"}}, "nothing can be had for that"),
        ({"budget": {"per_month": "10 CHF"}}, "CHF, which has no rate"),
        ({"tasks": {"assay_cpoy": 1}}, "nobody has scores of assay_cpoy; there are assay_copy"),
        ({"traffic": {"rate": "1/s", "input": "9000 tokens", "output": "4 tokens"}, "latency": {}}, "assay perf --model "),
        ({"colour": "red"}, "has no field 'colour'"),
    ],
)
def test_a_wrong_requirement_is_told_what_is_wrong(flow: Settings, runs: list[str], changed: dict[str, Any], says: str) -> None:
    """With the field, and what to write or to do."""
    answer = post(f"{flow.api}/v1/recommendations", json={"requirement": REQUIREMENT | changed})
    assert (answer.status_code, says in answer.json()["detail"]) == (422, True), answer.text


def test_a_requirement_that_nobody_meets_names_the_conflict(flow: Settings, runs: list[str]) -> None:
    """The smallest set that conflicts, and the nearest miss with its change."""
    told = recommended(flow, floors={"assay_copy": 1.0}, allowed={"languages": ["de"], "models": ["quick-echo"]})
    assert (told["choices"], told["contending"]) == ([], 0)
    assert told["conflict"]
    assert told["nearest"]["changes"]
    assert get(f"{flow.api}/v1/recommendations/none").status_code == 404


def test_a_sentence_is_read_and_looked_over_before_anything_is_asked(flow: Settings, runs: list[str], tmp_path: Path) -> None:
    """The command line writes a requirement; the page fills in its form, says what was not understood, and recommends nothing yet."""
    assert runs
    sentence = "at least 20 % on assay_copy, 2 requests a second, prompts of 8 tokens, answers of 4 tokens, two of them blue"
    file = tmp_path / "read.yaml"
    told = document(assay(flow, "recommend", "read", sentence, "--json"))
    assert told["requirement"] == {
        "tasks": {"assay_copy": 1}, "floors": {"assay_copy": "20 %"},
        "traffic": {"rate": "2/s", "input": "8 tokens", "output": "4 tokens"},
    }  # fmt: skip
    assert told["left"] == ["two of them blue"]
    assert assay(flow, "recommend", "read", sentence, "-o", str(file)).returncode == 0
    assert document(assay(flow, "recommend", str(file), "--json"))["requirement"]["floors"] == {"assay_copy": 0.2}
    page = get(f"{flow.api}/recommend", params={"sentence": sentence}).text
    assert 'value="2/s"' in page and 'value="assay_copy: 20 %"' in page and "two of them blue" in page
    assert "Who may be chosen" not in page
