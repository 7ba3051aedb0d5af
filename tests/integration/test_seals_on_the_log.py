"""Runs are sealed, exported and verified on the real stack; two sealers make one chain; what comes late is told; a result is taken back."""

import asyncio
import io
import json
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import assay_verify
import pytest

from infra import seal_keys
from infra.exporting import export, found
from infra.kafka import Log
from infra.settings import Settings
from schemas.results import SampleScored
from streams.errors import Conflict, Invalid, Permanent
from streams.topics import ANSWERS, SCORES
from streams.trust.stretches import SEALED_TOPICS, run_of_key
from tests.conftest import end, spawn
from tests.flow import events_of, get, post, request, until, until_row, until_state
from tests.integration.test_cli import assay, document
from tests.sealed import link_of

pytestmark = pytest.mark.integration
SEALS_OF = "SELECT run_id FROM fact_seals WHERE run_id IN {run_ids:Array(String)}"


def started(flow: Settings, count: int = 1, **told: Any) -> list[str]:
    """Runs that were asked for, of a small task on the echo engine."""
    asked = [request("assay_copy", limit=6, **told) for _ in range(count)]

    async def act() -> None:
        async with Log(flow, client_id="test") as log:
            await log.publish_all(asked)

    asyncio.run(act())
    return [one.run_id for one in asked]


def sealed(flow: Settings, run_ids: list[str]) -> None:
    """Returns once all of them are completed and sealed."""

    async def act() -> None:
        for run_id in run_ids:
            await until_state(flow, run_id, "completed")
        await until_row(flow, SEALS_OF, holds=lambda rows: {row["run_id"] for row in rows} == set(run_ids), run_ids=run_ids)

    asyncio.run(act())


@pytest.fixture(scope="module")
def run(flow: Settings) -> str:
    """A run that is sealed."""
    (run_id,) = started(flow)
    sealed(flow, [run_id])
    return run_id


@pytest.fixture(scope="module")
def file(flow: Settings, run: str) -> Path:
    """That run as a file."""
    told = document(assay(flow, "export", run, str(flow.home / "run.zip"), "--json"))
    assert told["run_id"] == run
    return flow.home / "run.zip"


def members(path: Path) -> dict[str, bytes]:
    """What a file is made of."""
    with zipfile.ZipFile(path) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def exported(flow: Settings, run_id: str, name: str, *, private: bool = False) -> Path:
    """A run as a file of that name; the command line's own way to it is tried once."""

    async def act() -> None:
        async with Log(flow, client_id="test") as log:
            await export(log, flow, run_id, flow.home / name, private=private)

    asyncio.run(act())
    return flow.home / name


async def of_run(flow: Settings, run_id: str) -> int:
    """How many records of a run lie in the topics that a seal is over."""
    async with Log(flow, client_id="test") as log:
        return len([record async for record in log.read(SEALED_TOPICS) if run_of_key(record.key) == run_id])


@pytest.mark.slow
def test_a_run_that_is_not_over_cannot_be_exported(flow: Settings) -> None:
    """Nobody serves its pool, so it stays open."""
    (run_id,) = started(flow, pool="nobody")
    refused = assay(flow, "export", run_id, str(flow.home / "early.zip"))
    assert refused.returncode == 1 and len(refused.stderr.splitlines()) == 1
    assert f"run {run_id} is " in refused.stderr
    assert not (flow.home / "early.zip").exists()


def test_a_sealed_run_is_one_file_that_proves_itself(flow: Settings, run: str, file: Path) -> None:
    """All of its events are in it; an altered one is named; another key is refused."""
    public = document(assay(flow, "keys", "show", "--json"))["public_key"]
    told = document(assay(flow, "verify", str(file), "--key", public, "--json"))
    assert (told["valid"], told["run_id"], told["key_checked"], told["events"]) == (True, run, True, asyncio.run(of_run(flow, run)))
    assert (flow.home / "keys" / f"{told['key_id']}.pem").stat().st_mode & 0o777 == 0o600
    shown = get(f"{flow.api}/v1/runs/{run}").json()
    assert shown["seal"] == {"root": told["root"], "key_id": told["key_id"], "events": told["events"]}
    assert (shown["quarantined"], shown["retraction"]) == (0, None)

    whole, altered = members(file), flow.home / "altered.zip"
    score = whole["events.bin"].index(b"SampleScored\x00")
    at = score + len(b"SampleScored\x00") + 32 + 60
    whole["events.bin"] = whole["events.bin"][:at] + bytes([whole["events.bin"][at] ^ 1]) + whole["events.bin"][at + 1 :]
    with zipfile.ZipFile(altered, "w") as out:
        for name, content in whole.items():
            out.writestr(name, content)
    wrong = assay(flow, "verify", str(altered), "--key", public)
    assert wrong.returncode == 1 and "was altered: it is SampleScored" in wrong.stdout
    assert "which is not the key given" in assay_verify.verify(file, bytes(32)).reasons[0]


def test_a_sealed_runs_results_are_written_as_others_read_them(flow: Settings, run: str, tmp_path: Path) -> None:
    """Each form has the value that the API tells; a row stands for each sample."""
    (score,) = [one for one in get(f"{flow.api}/v1/runs/{run}").json()["scores"] if one["task"]]
    for form in ("in-toto", "model-index"):
        assert assay(flow, "export", run, str(tmp_path / form), "--form", form).returncode == 0
    claims = json.loads((tmp_path / "in-toto").read_text())["predicate"]["claims"]
    assert float(claims[0]["value"]) == score["value"] and claims[0]["metric"] == f"{score['task']}/{score['metric']}"
    assert f"value: {score['value']}" in (tmp_path / "model-index").read_text()
    told = document(assay(flow, "export", run, str(tmp_path / "records"), "--form", "every-eval-ever", "--json"))
    whole, rows = map(Path, told["files"])
    assert json.loads(whole.read_text())["evaluation_results"][0]["score_details"]["score"] == score["value"]
    lines = [json.loads(line) for line in rows.read_text().splitlines()]
    assert len(lines) == score["samples"] == 6 and all(line["input"]["raw"] and line["output"]["raw"] for line in lines)
    assert sum(line["evaluation"]["score"] for line in lines) / 6 == pytest.approx(score["value"])


def test_what_comes_after_the_seal_is_quarantined_and_a_repeat_is_not(flow: Settings, run: str, file: Path) -> None:
    """Told as an event, in a table, in the API and on the page; the seal holds."""

    async def act() -> SampleScored:
        async with Log(flow, client_id="test") as log:
            known = (await events_of(log, SCORES, run))[0]
            late = SampleScored.model_validate(known.model_dump(exclude={"event_id"}) | {"ordinal": 999})
            await log.publish_all([known, late, known, (await events_of(log, ANSWERS, run))[0]])
        sql = "SELECT late_id, late_event FROM quarantine WHERE run_id = {run_id:String}"
        rows = await until_row(flow, sql, holds=bool, run_id=run)
        assert rows == [{"late_id": late.event_id, "late_event": "SampleScored"}]
        return late

    late = asyncio.run(act())
    until(lambda: get(f"{flow.api}/v1/runs/{run}").json()["quarantined"] == 1)
    (told,) = get(f"{flow.api}/v1/runs/{run}").json()["late"]
    assert told["late_id"] == late.event_id
    assert f"{SCORES.name}/{told['partition']}@{told['offset']}" in get(f"{flow.api}/runs/{run}").text
    assert "1 event said of it after its seal" in assay(flow, "run", run).stdout
    again = exported(flow, run, "again.zip")
    assert assay_verify.verify(again).valid and members(again)["events.bin"] == members(file)["events.bin"]


@pytest.fixture(scope="module")
def second(flow: Settings) -> Iterator[None]:
    """Another sealer beside the stack's, which is killed while it works, and started again."""
    child = spawn("agents", "seal", settings=flow)
    runs = started(flow, 3)
    asyncio.run(until_state(flow, runs[0], "completed"))
    child.kill()
    child.wait()
    again = spawn("agents", "seal", settings=flow)
    try:
        sealed(flow, runs)
        yield
    finally:
        end(again)


@pytest.mark.usefixtures("second")
def test_two_sealers_make_one_chain_and_a_kill_loses_nothing(flow: Settings, run: str) -> None:
    """Each run has one link that counts, whoever wrote it; a link that does not count says why."""
    runs = [run, *started(flow, 4)]
    sealed(flow, runs)
    told = document(assay(flow, "seals", "--json"))["seals"]
    counted = [one for one in told if one["void"] is None]
    assert len({one["chain"] for one in counted}) == 1
    assert [one["position"] for one in counted] == list(range(len(counted)))
    assert len({one["run_id"] for one in counted}) == len(counted)
    assert set(runs) <= {one["run_id"] for one in counted}
    assert all("another sealer" in one["void"] or "missing" in one["void"] for one in told if one["void"])


@pytest.mark.usefixtures("run")
def test_a_new_key_is_endorsed_by_the_one_before(flow: Settings) -> None:
    """What it seals is verified by the old public key. (The run is private: its file is not written unasked.)"""
    before, new = seal_keys.keys_of(flow)[0], document(assay(flow, "keys", "rotate", "--json"))
    (run_id,) = started(flow, visibility="private")
    sealed(flow, [run_id])
    with pytest.raises(Invalid, match="say --private"):
        exported(flow, run_id, "rotated.zip")
    assert not (flow.home / "rotated.zip").exists()
    found = assay_verify.verify(exported(flow, run_id, "rotated.zip", private=True), before.public)
    assert (found.valid, found.key_checked, found.key_id) == (True, True, new["key_id"])
    assert [key.key_id for key in seal_keys.keys_of(flow)] == [new["key_id"], before.key_id]
    with pytest.raises(Conflict, match="assay keys rotate"):
        seal_keys.create(flow)


def test_a_lost_key_is_waited_for_and_another_begins_a_chain_that_names_the_old(flow: Settings, run: str) -> None:
    """Nothing is sealed meanwhile, and nothing is lost."""
    key = seal_keys.signing(seal_keys.keys_of(flow))
    assert key is not None
    (flow.home / "keys" / f"{key.key_id}.pem").rename(flow.home / "lost.pem")
    (run_id,) = started(flow)
    until(lambda: "`assay keys create` makes another" in (flow.home / "logs" / "agents-seal.log").read_text())
    asyncio.run(until_state(flow, run_id, "completed"))
    with pytest.raises(Conflict, match="not sealed yet"):
        exported(flow, run_id, "none.zip")
    seal_keys.create(flow)
    sealed(flow, [run_id])
    path = exported(flow, run_id, "new.zip")
    statement: dict[str, Any] = json.loads(json.loads(members(path)["seal.json"])["statement"])
    assert statement["position"] == 0 and statement["previous"] is not None
    assert assay_verify.verify(path).valid and assay_verify.verify(exported(flow, run, "old.zip")).valid


def test_a_retracted_run_has_no_rank_and_stays_where_it_was(flow: Settings) -> None:
    """With who and why, on its page and on its boards."""
    (newest,) = started(flow, model="retracted")
    sealed(flow, [newest])

    def row() -> dict[str, Any]:
        rows = get(f"{flow.api}/v1/rankings?task=assay_copy&limit=500").json()["rows"]
        return next((one for one in rows if one["run_id"] == newest), {})

    until(lambda: row().get("rank") is not None)
    document(assay(flow, "retract", newest, "--reason", "the answers were in the prompts", "--json"))
    until(lambda: bool(row()) and row()["rank"] is None)
    until(lambda: get(f"{flow.api}/v1/runs/{newest}").json()["retraction"] is not None)
    assert (row()["retracted"], row()["sealed"]) == (True, True)
    shown = get(f"{flow.api}/v1/runs/{newest}").json()
    assert (shown["state"], shown["retraction"]["reason"]) == ("completed", "the answers were in the prompts")
    assert "the answers were in the prompts" in get(f"{flow.api}/runs/{newest}").text
    assert "retracted" in assay(flow, "rank", "assay_copy").stdout
    body = {"by": "me", "reason": "x"}
    assert post(f"{flow.api}/v1/runs/01890a5d-ac96-774b-bcce-b302099a8057/retract", json=body).status_code == 404


def test_a_file_has_no_more_than_its_seal_says(file: Path) -> None:
    """Each event begins with a name that a seal is over."""
    told, names = io.BytesIO(members(file)["events.bin"]), set[str]()
    while head := told.read(4):
        names.add(told.read(struct.unpack(">I", head)[0]).partition(b"\x00")[0].decode())
    assert names <= {topic.event.__name__ for topic in SEALED_TOPICS}
    assert {"EvaluationRequested", "RunChanged", "SampleAnswered", "SampleScored", "RunScored", "RunSettled"} <= names


def test_what_the_log_says_no_longer_is_not_exported(flow: Settings, run: str) -> None:
    """Here by a seal over other events than it holds, as it would be after somebody altered them."""
    key = seal_keys.signing(seal_keys.keys_of(flow))
    assert key is not None

    async def act() -> None:
        async with Log(flow, client_id="test") as log:
            told = await found(log, flow, of=run)
            assert told.seal is not None and key.private is not None
            other = {"root": "00" * 32, "events": told.seal.events, "stretches": told.seal.stretches, "scorers": told.seal.scorers}
            await log.publish(link_of(told.chains, run, key.private, **other))

    asyncio.run(act())
    with pytest.raises(Permanent, match="the log no longer says what was sealed"):
        exported(flow, run, "altered-log.zip")
    assert not list(flow.home.glob("*altered-log.zip*"))
