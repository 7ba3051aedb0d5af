"""Runs of models that a hub has, through every process; and an agent that fetches one itself."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from gpu_agent.runner import Engines
from infra.hub.cache import Cache, Lease
from infra.settings import Settings
from schemas.requests import EngineChoice, ModelRef
from streams.errors import Permanent
from streams.hub_names import Named
from tests.conftest import HUB, HUB_PORT
from tests.flow import get, until
from tests.hub_server import Hub, repository, serving
from tests.integration.test_cli import assay, document
from tests.models import tiny_llama
from tests.secrecy import files_with

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
KEY, WRONG = "hf_NobodyMayReadThis", "hf_OfSomebodyElse"
CARD = "---\nlicense: apache-2.0\n---\nA model of nothing.\n"
ASKED = ("--task", "assay_copy", "--limit", "4", "--wait", "--json")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random model with its card."""
    made = tiny_llama(tmp_path_factory.mktemp("model"))
    (made / "README.md").write_text(CARD)
    return made


@pytest.fixture(scope="module")
def hub(folder: Path) -> Iterator[Hub]:
    """A hub that has it as org/tiny, and as org/gated for whoever has the key; it breaks off within the weights."""
    with serving(HUB_PORT) as made:
        made.repositories |= {"org/tiny": repository(folder), "org/gated": repository(folder, token=KEY)}
        made.cut["model.safetensors"] = 150_000
        yield made


def test_a_model_runs_by_its_name_and_its_commit_is_in_the_record(flow: Settings, hub: Hub, folder: Path) -> None:
    """With the scores of its folder; shown with its licence and where it is from. The second run asks no hub."""
    commit = hub.repositories["org/tiny"].references["main"]
    told = document(assay(flow, "submit", "--model", "org/tiny@main", "--licence", "Apache-2.0,mit", *ASKED))
    assert told["scores"] == document(assay(flow, "submit", "--model", str(folder), *ASKED))["scores"]
    until(lambda: get(f"{flow.api}/v1/runs/{told['run_id']}").json()["origin"] is not None)
    run = document(assay(flow, "run", told["run_id"], "--json"))
    assert (run["model"], run["revision"], run["licence"]) == ("org/tiny", commit, "apache-2.0")
    fetched = {"fetched_bytes": 0, "peer_bytes": 0}  # the planner had fetched it
    assert run["origin"] == {"hub": HUB, "repository": "org/tiny", "commit": commit} | fetched
    assert (run["placement"]["device"], run["placement"]["dtype"], run["placement"]["devices"]) == ("cpu", "float32", 0)
    assert run["placement"]["reasons"][0].startswith("fits agent ")
    said = " ".join(assay(flow, "run", told["run_id"]).stdout.split())
    assert f"licence apache-2.0, commit {commit}, from {HUB}/org/tiny, nothing had to be fetched" in said
    assert f"licence apache-2.0, commit {commit}" in httpx.get(f"{flow.api}/runs/{told['run_id']}", timeout=60).text
    hub.asked.clear()
    again = document(assay(flow, "submit", "--model", f"org/tiny@{commit}", *ASKED))
    assert again["scores"] == told["scores"] and hub.asked == []


def test_what_a_dry_run_and_a_filter_say_of_its_licence(flow: Settings, hub: Hub) -> None:
    """It is shown before anything runs; another than those that are taken is refused."""
    dry = document(assay(flow, "submit", "--model", "org/tiny", "--task", "assay_copy", "--limit", "4", "--dry-run", "--json"))
    assert (dry["licence"], dry["revision"]) == ("apache-2.0", hub.repositories["org/tiny"].references["main"])
    done = assay(flow, "submit", "--model", "org/tiny", "--licence", "mit", *ASKED)
    assert done.returncode != 0
    assert "the licence of org/tiny is apache-2.0, and the request takes mit" in done.stderr


def test_a_gated_model_is_for_its_credential_and_the_key_is_nowhere(flow: Settings, hub: Hub) -> None:
    """Neither in the log nor in a log, a database or the arguments of a process."""
    keys = flow.home / "credentials"
    keys.mkdir(exist_ok=True)
    (keys / "hubs").write_text(f"{HUB}\n{KEY}\n")
    (keys / "wrong").write_text(f"{HUB}\n{WRONG}\n")
    done = assay(flow, "submit", "--model", "org/gated", "--credential", "wrong", *ASKED)
    assert done.returncode != 0 and "org/gated is gated" in done.stderr and "hf_" not in done.stderr
    assert document(assay(flow, "submit", "--model", "org/gated", "--credential", "hubs", *ASKED))["state"] == "completed"
    assert files_with(flow.home, KEY, WRONG) == []
    assert not [one for one in psutil.process_iter(["cmdline"]) if KEY in " ".join(one.info["cmdline"] or ())]


def test_an_agent_fetches_what_it_has_not_and_keeps_it_while_it_is_loaded(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the commit that was planned; how many bytes and how long is told, once; another hash than was planned is no model."""
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path))
    monkeypatch.setenv("HF_ENDPOINT", HUB)
    commit = hub.repositories["org/tiny"].references["main"]
    model, engine = ModelRef(uri="org/tiny", revision=commit), EngineChoice(options={"threads": "1"})
    place = Cache(Settings()).place(Named("org/tiny"), commit)

    async def act() -> None:
        engines = Engines("cpu", home=tmp_path)
        try:
            first, held = await engines.load(model, engine)
            assert first.origin is not None and first.origin.fetched_bytes > 400_000 and first.download_ns > 0 and not held
            again, held = await engines.load(model, engine, model_sha=first.model_sha)
            assert again.origin is not None and again.origin.fetched_bytes == 0 and held
            with pytest.raises(BlockingIOError):
                Lease(place, alone=True)
            with pytest.raises(Permanent, match="is not the model that was submitted"):
                await engines.load(model, engine, model_sha="0" * 64)
        finally:
            await engines.close()
        Lease(place, alone=True).close()

    asyncio.run(act())
