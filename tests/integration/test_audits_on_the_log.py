"""Runs are run again and compared on the real stack: an honest one is equal, a forged one is not, and who reports it is told apart."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from infra import seal_keys
from infra.kafka import Log
from infra.settings import Settings
from schemas.event import Text
from schemas.measurements import SampleAnswered
from schemas.trust import RunAudited
from streams.topics import ANSWERS, AUDITS
from tests.conftest import end, spawn
from tests.flow import events_of, get, post, request, until, until_state
from tests.integration.test_cli import assay, document
from tests.integration.test_seals_on_the_log import sealed, started
from tests.models import tiny_llama
from tests.runs import run_named
from tests.sealed import STAMP

pytestmark = [pytest.mark.integration, pytest.mark.slow]
SAMPLES = 6
FORGED = (1, 4)


@pytest.fixture(scope="module")
def run(flow: Settings) -> str:
    """A run that is sealed."""
    (run_id,) = started(flow, model="audited")
    sealed(flow, [run_id])
    return run_id


@pytest.fixture(scope="module")
def audit(flow: Settings, run: str) -> dict[str, Any]:
    """What an audit of all of it came to."""
    return document(assay(flow, "audit", run, "--wait", "--json"))


def listed(flow: Settings, run_id: str) -> list[dict[str, Any]]:
    """The audits of a run, as the API tells them."""
    found: list[dict[str, Any]] = get(f"{flow.api}/v1/audits?run_id={run_id}").json()["audits"]
    return found


def row(flow: Settings, run_id: str) -> dict[str, Any]:
    """The run's row on its task's board."""
    rows = get(f"{flow.api}/v1/rankings?task=assay_copy&limit=500").json()["rows"]
    return next((one for one in rows if one["run_id"] == run_id), {})


def test_an_honest_run_audited_is_equal_in_all(flow: Settings, run: str, audit: dict[str, Any]) -> None:
    """On the same engine and machine; the figure stands beside its row, and the audit is no run of its model there."""
    names = (
        "audit_of",
        "equal_ratio",
        "samples",
        "equal",
        "asked",
        "failed",
        "unmatched",
        "differences",
        "differing",
        "environment",
        "own",
        "signed",
    )
    assert [audit[name] for name in names] == [run, 1.0, SAMPLES, SAMPLES, SAMPLES, 0, 0, [], [], [], True, True]
    assert audit["state"] == "completed"
    assert [(one["task"], one["difference"], one["n"]) for one in audit["metrics"]] == [("assay_copy", 0.0, SAMPLES)]
    until(lambda: row(flow, run).get("audits") == 1)
    told = row(flow, run)
    assert (told["audited"], told["equal_ratio"], told["other_audits"], told["run_count"]) == (True, 1.0, 0, 1)
    assert row(flow, audit["run_id"]) == {}
    assert get(f"{flow.api}/v1/runs/{run}").json()["audited"]["equal_ratio"] == 1.0
    assert get(f"{flow.api}/v1/runs/{audit['run_id']}").json()["audit_of"] == run


def test_an_audit_is_shown_where_its_run_is(flow: Settings, run: str, audit: dict[str, Any]) -> None:
    """On both pages, on the board, and on the command line."""
    page, other = (get(f"{flow.api}/runs/{run_id}").text for run_id in (run, audit["run_id"]))
    assert f"/runs/{audit['run_id']}" in page and "100 % equal: 6 of 6 samples" in page
    assert f"/runs/{run}" in other and "Audit of another run" in other
    assert "100 % equal in 1 audit" in get(f"{flow.api}/leaderboard?board=task:assay_copy").text
    assert "100 % equal in 1 audit" in assay(flow, "run", run).stdout
    assert "100 % equal: 6 of 6 samples" in assay(flow, "audits", run).stdout
    assert {run, audit["run_id"]} <= set(assay(flow, "audits").stdout.split())
    assert "100 % equal in 1 audit" in assay(flow, "rank", "assay_copy").stdout


def test_a_part_of_a_run_is_audited(flow: Settings, run: str, audit: dict[str, Any]) -> None:
    """As many of its documents as were asked for; audits are listed in pages, the newest first."""
    told = document(assay(flow, "audit", run, "--share", "0.5", "--watch", "--json"))
    assert (told["equal_ratio"], told["samples"], told["share"]) == (1.0, SAMPLES / 2, 0.5)
    first = get(f"{flow.api}/v1/audits?run_id={run}&limit=1").json()
    second = get(f"{flow.api}/v1/audits?run_id={run}&limit=1&cursor={first['next']}").json()
    assert [one["run_id"] for page in (first, second) for one in page["audits"]] == [told["run_id"], audit["run_id"]]
    assert second["next"] is None


async def forged(flow: Settings, honest: str) -> str:
    """A run that nobody ran: its answers were planted, all but two as an honest run's were."""
    asked = request("assay_copy", limit=SAMPLES, model="forged", pool="nobody")

    def planted(answered: SampleAnswered) -> SampleAnswered:
        wrong = [one.model_copy(update={"output": Text.plain("planted")}) for one in answered.answers]
        own = {"run_id": asked.run_id, "job_id": answered.job_id.replace(honest, asked.run_id)}
        told = answered.model_dump(exclude={"event_id"}) | own | ({"answers": wrong} if answered.ordinal in FORGED else {})
        return SampleAnswered.model_validate(told)

    async with Log(flow, client_id="test") as log:
        await log.publish(asked)
        await until_state(flow, asked.run_id, "planned")
        await log.publish_all([planted(one) for one in await events_of(log, ANSWERS, honest)])
    return asked.run_id


def test_a_forged_run_is_told_by_the_documents_that_differ(flow: Settings, run: str) -> None:
    """It is scored, sealed and ranked as any other; only running it again shows what it is."""
    run_id = asyncio.run(forged(flow, run))
    sealed(flow, [run_id])
    told = document(assay(flow, "audit", run_id, "--pool", "default", "--wait", "--json"))
    assert [(one["task"], one["ordinal"]) for one in told["differing"]] == [("assay_copy", ordinal) for ordinal in FORGED]
    assert all(any("the text of request 0" in words for words in one["what"]) for one in told["differing"])
    assert (told["samples"], told["equal"], told["differing_by"]["text"]) == (SAMPLES, SAMPLES - 2, 2)
    assert told["equal_ratio"] == pytest.approx(4 / 6)
    assert told["differences"][0].startswith("2 of 6 samples differ: 2 by text")
    assert told["environment"] == [{"what": what, "run": None, "audit": "known"} for what in ("engine", "machine")]
    assert "2 of 6 samples differ" in get(f"{flow.api}/runs/{run_id}").text


def test_another_partys_report_counts_apart_and_a_forged_one_is_told(flow: Settings, run: str, audit: dict[str, Any]) -> None:
    """By its key; of a report whose signature does not hold that is said."""
    theirs = flow.model_copy(update={"seal_keys": Path(flow.home / "theirs")})
    with pytest.raises(AssertionError, match="no key in"):
        document(assay(theirs, "countersign", audit["run_id"], "--json"))
    key = seal_keys.create(theirs)
    told = document(assay(theirs, "countersign", audit["run_id"], "--json"))
    assert (told["derived_equal"], told["derived_difference"]) == (True, None)
    assert (told["run_id"], told["equal_ratio"], told["key_id"]) == (run, 1.0, key.key_id)

    async def act() -> None:
        async with Log(flow, client_id="test") as log:
            own = next(one for one in await events_of(log, AUDITS, run) if one.key_id == key.key_id)
            await log.publish(RunAudited.model_validate(own.model_dump(exclude={"event_id"}) | {"key_id": "ab" * 16}))

    asyncio.run(act())
    until(lambda: len(next(one for one in listed(flow, run) if one["run_id"] == audit["run_id"])["reports"]) == 3)
    reports = next(one for one in listed(flow, run) if one["run_id"] == audit["run_id"])["reports"]
    assert {(one["own"], one["signed"]) for one in reports} == {(True, True), (False, True), (False, False)}
    until(lambda: row(flow, run)["other_audits"] == 2)
    shown = " ".join(assay(flow, "audits", run).stdout.split())
    assert "another party's" in shown and "its signature does not hold" in shown


def test_completed_audits_count_and_the_least_of_them_is_told(flow: Settings) -> None:
    """Each once, by its newest report; those of other parties apart, and a run that only they report is not called audited."""
    (run_id,) = started(flow, model="counted")
    sealed(flow, [run_id])
    own = get(f"{flow.api}/v1/runs/{run_id}").json()["seal"]["key_id"]

    def report(key_id: str, audit_run: str, ratio: float, **told: Any) -> RunAudited:
        given: dict[str, Any] = {"state": "completed", "key_id": key_id} | told
        return RunAudited(
            occurred_us=1, producer=STAMP, run_id=run_id, audit_run=run_named(audit_run), equal_ratio=ratio, differences=(), **given
        )

    async def act(*told: RunAudited) -> None:
        async with Log(flow, client_id="test") as log:
            await log.publish_all(told)

    def listed_row() -> dict[str, Any]:
        return next(one for one in get(f"{flow.api}/v1/runs?model=counted").json()["runs"] if one["run_id"] == run_id)

    asyncio.run(act(report("ab" * 16, "first", 0.0)))
    until(lambda: row(flow, run_id).get("other_audits") == 1)
    assert (row(flow, run_id)["audited"], listed_row()["audited"]) == (False, False)
    asyncio.run(act(
        report(own, "third", 0.1, state="cancelled"), report(own, "first", 0.2), report(own, "first", 0.9, seal="anew"),
        report(own, "second", 1.0),
    ))  # fmt: skip
    until(lambda: row(flow, run_id).get("audits") == 2)
    told = row(flow, run_id)
    assert (told["audited"], told["equal_ratio"], told["other_equal_ratio"], listed_row()["audited"]) == (True, 0.9, 0.0, True)


def test_the_lottery_has_runs_run_again(flow: Settings) -> None:
    """Those that it draws, in part; and no audit of an audit."""
    child = spawn("agents", "seal", settings=flow.model_copy(update={"audit_share": 1.0, "audit_part": 0.3}))
    try:
        until(lambda: "sweeps the log" in (flow.home / "logs" / "agents-seal.log").read_text())
        every = list[str]()

        def drawn() -> list[str]:
            every.extend(started(flow, model="drawn"))
            sealed(flow, every[-1:])
            return [one for one in every if listed(flow, one)]  # the request for an audit comes after the seal

        until(lambda: bool(drawn()))  # whoever of the two sealers is first
        run_id = next(one for one in every if listed(flow, one))
        until(lambda: bool(listed(flow, run_id)[0]["reports"]))
        (one,) = listed(flow, run_id)
        assert (one["submitter"], one["share"], one["reports"][0]["samples"], one["reports"][0]["equal_ratio"]) == ("lottery", 0.3, 2, 1.0)
        assert [again["audit_of"] for again in listed(flow, one["run_id"])] == [run_id]
    finally:
        end(child)


def test_a_model_run_again_is_equal_and_other_weights_are_refused(flow: Settings, tmp_path: Path) -> None:
    """Its log-likelihoods and texts; a part of it too. What lies in its folder now is not what the run had."""
    folder = tiny_llama(tmp_path / "model")
    asked = ("--model", str(folder), "--task", "assay_agreement", "--task", "assay_copy", "--limit", "8", "--wait", "--json")
    run_id = document(assay(flow, "submit", *asked))["run_id"]
    told = document(assay(flow, "audit", run_id, "--wait", "--json"))
    assert (told["equal_ratio"], told["samples"], told["differences"]) == (1.0, 16, [])
    assert [one["difference"] for one in told["metrics"]] == [0.0, 0.0]
    tiny_llama(folder, seed=1)
    refused = assay(flow, "audit", run_id, "--share", "0.1", "--wait", "--json")
    assert refused.returncode == 1 and "has other files" in refused.stderr and "bring them back" in refused.stderr


def test_what_cannot_be_audited_is_refused(flow: Settings, run: str, audit: dict[str, Any]) -> None:
    """With what to do."""
    (waiting,) = started(flow, pool="nobody")
    asyncio.run(until_state(flow, waiting, "planned"))
    for run_id, code, words in (
        ("01890a5d-ac96-774b-bcce-b302099a8057", 404, "no run"), (waiting, 422, "it is audited once it is over"),
        (audit["run_id"], 422, f"audit run {run} again"),
    ):  # fmt: skip
        refused = post(f"{flow.api}/v1/runs/{run_id}/audits", json={})
        assert refused.status_code == code and words in refused.json()["detail"]
    assert post(f"{flow.api}/v1/runs/{run}/audits", json={"share": 2}).status_code == 422
