"""Models brought from a hub on this machine, which cuts, corrupts, refuses and gates; kept within a limit."""

import hashlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from gpu_agent.engines.served.tokens import Tokens
from infra import fetching, model_cards, preparing
from infra.hub import index
from infra.hub.bringing import bring
from infra.hub.brought import Brought
from infra.hub.cache import Cache, Lease
from infra.hub.sharing import sharing
from infra.models import locate
from infra.settings import Settings
from query_api.cli.main import assembled
from schemas.event import Producer
from schemas.requests import EvaluationRequested, Generation, ModelRef, TaskChoice
from streams import licences
from streams.errors import AssayError, Invalid, NotFound, Unavailable
from streams.hub_names import Named, named
from tests.hub_server import Hub, repository, serving
from tests.models import causal
from tests.runs import run_named

WEIGHTS = os.urandom(300_000)
FILES = {"config.json": b"{}", "tokenizer.json": b"{}" * 3000, "model.safetensors": WEIGHTS, "README.md": b"---\nlicense: mit\n---\n",
         "own_code.py": b"import os\n", "pytorch_model.bin": b"pickle" * 1000,
         "onnx/model.onnx": b"o" * 5000, "flax.msgpack": b"f"}  # fmt: skip
TAKEN = {"config.json", "tokenizer.json", "model.safetensors", "README.md", "own_code.py"}
KEY = "hf_SecretOfTheSubmitter"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A hub with the model org/toy, asked by whoever has no home of its own."""
    for module in (fetching, index):
        monkeypatch.setattr(module, "TRIES", 3)
    monkeypatch.setattr(fetching, "PAUSE_S", 0.01)
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_TOKEN", "hf_OfTheMachine")
    with serving() as made:
        made.repositories["org/toy"] = repository(FILES, licence="apache-2.0")
        monkeypatch.setenv("HF_ENDPOINT", made.url)
        yield made


def got(uri: str = "org/toy", revision: str | None = None, **told: Any) -> Brought:
    """What is brought, and let go of."""
    trusted = told.pop("trusted", False)
    with bring(ModelRef(uri=uri, revision=revision, trust_code=trusted), settings=Settings(), **told) as brought:
        return brought


def commit_of(hub: Hub, name: str = "org/toy") -> str:
    """The commit that main means."""
    return hub.repositories[name].references["main"]


def test_a_model_is_brought_once_and_pinned(hub: Hub) -> None:
    """Its own files alone, with their progress; the second time nobody is asked, by whatever name; no token but a request's is shown."""
    told: list[tuple[int, int]] = []
    brought, commit = got(told=lambda here, whole: told.append((here, whole))), commit_of(hub)
    assert brought.model.revision == commit and brought.licence == "apache-2.0" and brought.download_ns > 0
    assert brought.origin is not None and brought.origin.fetched_bytes == sum(len(FILES[name]) for name in TAKEN)
    assert told[-1] == (brought.origin.fetched_bytes,) * 2
    folder = locate(ModelRef(uri="org/toy"))
    assert {one.name: one.read_bytes() for one in folder.iterdir()} == {name: FILES[name] for name in TAKEN}
    assert {one.token for one in hub.asked} == {None}
    hub.asked.clear()
    for revision in (None, commit):
        again = got(revision=revision)
        assert again.model.revision == commit and again.origin is not None and again.origin.fetched_bytes == 0
    assert hub.asked == []


def test_a_revision_stays_what_it_was_until_it_is_pulled_anew(hub: Hub) -> None:
    """A branch that has moved on is another model; a tag is asked for by its name."""
    first, toy = got(), hub.repositories["org/toy"]
    newer = repository(FILES | {"config.json": b'{"newer": true}'})
    toy.commits |= newer.commits
    toy.references |= newer.references | {"v1/a": first.model.revision or ""}
    assert got().model.revision == first.model.revision
    moved = got(anew=True)
    assert moved.model.revision == newer.references["main"] == got().model.revision
    assert got(revision="v1/a").model.revision == first.model.revision
    with pytest.raises(NotFound, match=r"org/toy has no revision 'v9' at http.*; name a branch, a tag or a commit"):
        got(revision="v9")


def test_a_file_that_is_cut_is_gone_on_with_by_the_next_process(hub: Hub) -> None:
    """What came is kept when a hub breaks off for good, or is out of reach, and nothing of it comes twice."""
    hub.cut["model.safetensors"] = 100_000
    with pytest.raises(RuntimeError):
        got(told=_breaking(at=90_000))
    assert got().origin is not None
    starts = [one.first_byte for one in hub.asked if one.path.endswith("/model.safetensors") and "/files/" in one.path]
    assert starts[0] == 0 and 0 < starts[1] <= 100_000 and starts[-1] > 180_000
    assert (locate(ModelRef(uri="org/toy")) / "model.safetensors").read_bytes() == WEIGHTS


def _breaking(*, at: int) -> fetching.Told:
    def told(here: int, _: int) -> None:
        if here > at:
            raise RuntimeError

    return told


def test_what_comes_corrupt_is_fetched_once_more(hub: Hub) -> None:
    """And refused the second time; nothing of it stays."""
    hub.corrupt["model.safetensors"] = 1
    got()
    assert hub.fetched.count("model.safetensors") == 4  # each time asked of the hub and of the host that has it
    hub.repositories["org/other"] = repository(FILES | {"model.safetensors": WEIGHTS[::-1]})
    hub.corrupt["model.safetensors"] = 2
    with pytest.raises(Invalid, match=r"model.safetensors of org/other came twice .* with another hash .*: it is not kept"):
        got("org/other")
    with pytest.raises(Invalid, match="`assay pull org/other` fetches it"):
        locate(ModelRef(uri="org/other"))
    assert not [*Path(os.environ["ASSAY_HOME"]).glob("models/hub/org/other/*/model.safetensors*")]


def test_a_hub_that_is_busy_or_broken_is_asked_again(hub: Hub) -> None:
    """It says when; one that stays so is named, with what to do."""
    hub.refusals = [(503, {}), (429, {"Retry-After": "0"})]
    got()
    hub.repositories["org/next"] = repository(FILES | {"config.json": b"[]"})
    hub.refusals = [(500, {})] * 3
    with pytest.raises(Unavailable, match=r"org/next is not here, and http.* cannot be asked for it: it answers 500; set HF_ENDPOINT"):
        got("org/next")


def test_no_hub_at_all(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is here runs without; what is not is said with what to do."""
    got()
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert got().origin is not None
    with pytest.raises(
        Unavailable, match="set HF_ENDPOINT to a mirror that can be reached, or fetch the model elsewhere and name its folder"
    ):
        got("org/unknown")


@pytest.fixture
def gated(hub: Hub, tmp_path: Path) -> Hub:
    """The hub with a gated model and a private one, and two credentials, of which `mine` opens both."""
    hub.repositories["org/gated"] = repository(FILES, token=KEY)
    hub.repositories["org/hidden"] = repository(FILES, token=KEY, private=True)
    keys = tmp_path / "home" / "credentials"
    keys.mkdir(parents=True)
    (keys / "mine").write_text(f"{hub.url}\n{KEY}\n")
    (keys / "others").write_text(f"{hub.url}\nhf_Others\n")
    (keys / "elsewhere").write_text("https://elsewhere.example\nhf_Elsewhere\n")
    return hub


@pytest.mark.parametrize(
    ("credential", "name", "said"),
    [
        (None, "org/gated", r"org/gated is gated: accept its terms at http.*/org/gated, and name a key .* --credential NAME"),
        ("others", "org/gated", "the key of credential 'others' may not fetch it"),
        ("elsewhere", "org/gated", "credential 'elsewhere' is for https://elsewhere.example"),
        ("nobodys", "org/gated", "no credential 'nobodys' is kept"),
        (
            None,
            "org/hidden",
            r"no model org/hidden: .* no such folder here, and none at .* everybody may have \(a private one wants --credential NAME\)",
        ),
        ("others", "org/hidden", "no model org/hidden: .* that the key of credential 'others' opens"),
        ("mine", "org/missing", "no model org/missing: .* that the key of credential 'mine' opens"),
    ],
)
def test_who_may_not_have_a_model(gated: Hub, credential: str | None, name: str, said: str) -> None:
    """Is told why and what to do, and never a key."""
    with pytest.raises(AssayError, match=said) as caught:
        got(name, credential=credential)
    assert "hf_" not in str(caught.value)
    assert gated.fetched == []


@pytest.mark.parametrize("name", ["org/gated", "org/hidden"])
def test_a_restricted_model_is_for_its_credential_alone(gated: Hub, name: str) -> None:
    """Also when it is here; the key is shown to the hub, and not to the host that has its files."""
    assert got(name, credential="mine").origin is not None
    assert {(one.host, one.token) for one in gated.asked} == {(gated.url, KEY), (gated.files_url, None)}
    gated.asked.clear()
    assert got(name, credential="mine").origin is not None and gated.asked == []
    for credential in (None, "others"):
        with pytest.raises(AssayError, match=name):
            got(name, credential=credential)
    assert not [one for one in Path(os.environ["ASSAY_HOME"]).rglob("*") if one.is_file() and one.parent.name != "credentials"
                and KEY.encode() in one.read_bytes()]  # fmt: skip


def test_a_path_into_the_cache_is_the_hubs_model(gated: Hub, tmp_path: Path) -> None:
    """For its credential alone, however it is written; elsewhere a path is a folder's."""
    had = got("org/gated", credential="mine")
    folder, revision = had.folder, had.model.revision
    assert folder is not None and revision is not None
    (tmp_path / "link").symlink_to(folder)
    ways = (folder, folder.parent / "x" / ".." / folder.name, tmp_path / "link")
    for way in map(str, ways):
        again = got(way, credential="mine")
        assert (again.model.uri, again.model.revision, again.folder) == ("org/gated", revision, folder)
        for credential in (None, "others"):
            with pytest.raises(AssayError, match="org/gated"):
                got(way, credential=credential)
    with pytest.raises(AssayError, match=r"is org/gated at .*, and not at main"):
        got(str(folder), revision="main", credential="mine")
    for other in (folder.parent, folder / "config.json", folder.with_name(f"{folder.name}.manifest.json"), folder.parents[2]):
        with pytest.raises(Invalid, match=r"lies among what was fetched from a hub: name the model as there, ORG/NAME@COMMIT"):
            got(str(other), credential="mine")
    with pytest.raises(Invalid, match="lies among what was fetched from a hub; give a folder of your own"):
        Tokens(str(folder))
    assert got(str(tmp_path)).folder is None and got(str(tmp_path)).origin is None


def test_licences_are_known_before_anything_is_fetched(hub: Hub) -> None:
    """Where the hub tells them; else the card does, once it is here."""
    with pytest.raises(Invalid, match=r"the licence of org/toy is apache-2\.0, and the request takes mit: name another"):
        got(taken=("mit",))
    assert hub.fetched == []
    assert got(taken=("mit", "Apache-2.0")).licence == "apache-2.0"
    hub.repositories["org/silent"] = repository(FILES)
    assert got("org/silent", taken=("mit",)).licence is None
    assert model_cards.licence(locate(ModelRef(uri="org/silent"))) == "mit"


@pytest.mark.parametrize(
    ("licence", "taken", "said"),
    [("mit", (), None), (None, (), None), ("MIT", ("apache-2.0", "mit"), None),
     ("other", ("mit",), "the licence of m is other"), (None, ("mit",), "nothing in the files of m tells its licence")],
)  # fmt: skip
def test_licences_that_a_request_takes(licence: str | None, taken: tuple[str, ...], said: str | None) -> None:
    """All where it names none; a model that tells none has none of them."""
    with pytest.raises(Invalid, match=said) if said else nullcontext():
        licences.check(licence, taken=taken, model="m")


@pytest.mark.parametrize(
    ("licence", "taken", "yes", "said"),
    [("MIT", (), False, None), (None, (), False, None), ("generated", ("mit",), False, None), ("MIT", ("cc-by-4.0", "mit"), False, None),
     ("CC-BY-NC-SA-3.0", (), False, "under CC-BY-NC-SA-3.0, for non-commercial use alone: say that yours is with --non-commercial"),
     ("cc-by-nc-4.0", (), True, None), ("cc-by-nc-4.0", ("mit",), True, "are under cc-by-nc-4.0, and the request takes mit"),
     ("CNCF", (), False, None), (None, ("mit",), False, "nothing tells the licence of the data of task t"),
     ("MIT", (" ",), False, "a licence that is taken has no name")],
)  # fmt: skip
def test_licences_of_data_that_a_request_takes(licence: str | None, taken: tuple[str, ...], yes: bool, said: str | None) -> None:
    """Non-commercial ones with a yes alone; what is made here always."""
    with pytest.raises(Invalid, match=said) if said else nullcontext():
        licences.check_data(licence, taken=taken, non_commercial=yes, task="t")


def test_a_full_disk_keeps_what_came(hub: Hub, tmp_path: Path) -> None:
    """It is said before anything comes where the hub tells sizes, and while it comes where others fill the disk; then it goes on."""
    disk = tmp_path / "home" / "models"
    disk.mkdir(parents=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], capture_output=True, check=False).returncode:
        pytest.skip("no small disk without the right to mount one")
    try:
        with pytest.raises(Unavailable, match=r"0.00 GB are to be fetched, and the disk of .* has room for 0.00: make room"):
            got()
        wanted, place = fetching.Sum(hashlib.sha256(WEIGHTS).hexdigest()), disk / "weights"
        address = f"{hub.url}/org/toy/resolve/main/model.safetensors"
        with pytest.raises(Unavailable, match="is full: make room, and the same command goes on from there") as caught:
            fetching.fetch(address, place, wanted=wanted, told=lambda here, whole: None)
        assert caught.value.code == "disk-full" and (disk / "weights.part").stat().st_size > 0
        subprocess.run(["mount", "-o", "remount,size=100m", disk], check=True)
        fetching.fetch(address, place, wanted=wanted, told=lambda here, whole: None)
        assert [one.first_byte for one in hub.asked if "/files/" in one.path][-1] > 0
        assert got().origin is not None
    finally:
        subprocess.run(["umount", disk], check=True)


def test_pull_says_what_it_brought(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its commit and licence, and by what name it runs; doctor tells what the cache takes."""
    commit = commit_of(hub)
    told = CliRunner().invoke(assembled(), ["pull", "org/toy@main", "--json"])
    assert json.loads(told.stdout) == {
        "model": "org/toy", "folder": str(locate(ModelRef(uri="org/toy", revision="main"))), "licence": "apache-2.0", "commit": commit,
        "hub": hub.url, "fetched_bytes": sum(len(FILES[name]) for name in TAKEN), "peer_bytes": 0,
    }  # fmt: skip
    said = " ".join(CliRunner().invoke(assembled(), ["pull", "org/toy@main"]).stdout.split())
    assert f"org/toy is here, pinned to commit {commit} (apache-2.0): assay submit --model org/toy@main …" in said
    assert "1 from a hub, 0.00 GB, ASSAY_MODEL_CACHE_GB sets a limit, in" in Cache(Settings()).told()
    monkeypatch.setenv("ASSAY_MODEL_CACHE_GB", "2.5")
    assert "0.00 GB, of at most 2.5 GB, in" in Cache(Settings()).told()


def test_a_request_is_pinned_and_told_why_not(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What its plan and jobs name is a commit; a hub that is away refuses it, in words, as everything that another request would mend."""
    hub.repositories["org/lama"] = repository(causal(tmp_path / "lama"), licence="mit")
    request = EvaluationRequested(
        occurred_us=1, producer=Producer(service="t", version="0"), run_id=run_named("r"), model=ModelRef(uri="org/lama", revision="main"),
        tasks=(TaskChoice(name="t", generation=Generation(json_text='{"max_gen_tok": 1}')),),
    )  # fmt: skip
    with pytest.raises(Invalid, match="max_gen_tok"):
        preparing.brought(request, settings=Settings())
    assert hub.asked == []
    request = request.model_copy(update={"tasks": (TaskChoice(name="t"),)})
    pinned, facts = preparing.brought(request, settings=Settings())
    assert pinned.model == ModelRef(uri="org/lama", revision=commit_of(hub, "org/lama"))
    assert facts is not None and facts.licence == "mit"  # which its tags say, for it has no card
    assert preparing.brought(pinned, settings=Settings()) == (pinned, facts)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(Invalid, match="cannot be asked for it"):
        preparing.brought(request.model_copy(update={"model": ModelRef(uri="org/unknown")}), settings=Settings())


def test_pickled_weights_need_two_who_trust_them(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """The request and the agent; also where they are here."""
    hub.repositories["org/pickled"] = repository({name: FILES[name] for name in ("config.json", "tokenizer.json", "pytorch_model.bin")})
    for trusted, allowed in ((False, "false"), (True, "false"), (False, "true")):
        monkeypatch.setenv("ASSAY_ALLOW_CODE", allowed)
        with pytest.raises(Invalid, match=r"org/pickled \(pytorch_model.bin\) are pickled.* ASSAY_ALLOW_CODE=true"):
            got("org/pickled", trusted=trusted)
    assert hub.fetched == []
    monkeypatch.setenv("ASSAY_ALLOW_CODE", "true")
    assert got("org/pickled", trusted=True).origin is not None
    with pytest.raises(Invalid, match="are pickled"):
        got("org/pickled")


def test_of_several_gguf_files_one_is_named(hub: Hub) -> None:
    """By a name that a request can give; it lies alone."""
    hub.repositories["org/many"] = repository({"a.Q4.gguf": b"a" * 5000, "a.Q8.gguf": b"b" * 5000, "config.json": b"{}"})
    with pytest.raises(Invalid, match=r"org/many holds 2 GGUF files; name one, as org/many/FILE: a.Q4.gguf, a.Q8.gguf"):
        got("org/many")
    got("org/many/a.Q8.gguf")
    file = locate(ModelRef(uri="org/many/a.Q8.gguf"))
    assert file.read_bytes() == b"b" * 5000 and [one.name for one in file.parent.iterdir()] == ["a.Q8.gguf"]
    with pytest.raises(Invalid, match=r"has no a\.Q2\.gguf; it has a.Q4.gguf, a.Q8.gguf"):
        got("org/many/a.Q2.gguf")


def test_a_hub_cannot_place_files_elsewhere(hub: Hub) -> None:
    """Names with folders in them, upwards or not, are no files of a model."""
    hub.repositories["org/evil"] = repository({"../../escaped.json": b"{}", "/etc/x.json": b"{}", ".hidden.json": b"{}"} | FILES)
    got("org/evil")
    assert {one.name for one in locate(ModelRef(uri="org/evil")).iterdir()} == TAKEN
    assert not [*Path(os.environ["ASSAY_HOME"]).rglob("escaped.json")]


def test_an_adapter_brings_its_base(hub: Hub) -> None:
    """Both are here, and neither is evicted meanwhile."""
    hub.repositories["org/lora"] = repository(
        {"adapter_config.json": b'{"base_model_name_or_path": "org/toy"}', "adapter_model.safetensors": b"a"}
    )
    with bring(ModelRef(uri="org/lora"), settings=Settings()) as brought:
        assert brought.model.revision == commit_of(hub, "org/lora")
        for name in ("org/lora", "org/toy"):
            place = Cache(Settings()).place(_named(name), commit_of(hub, name))
            with pytest.raises(BlockingIOError):
                Lease(place, alone=True)


def _named(uri: str) -> Any:
    return named(ModelRef(uri=uri))


def test_what_was_not_used_for_longest_makes_room(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """But never what another process uses, whatever its age; that ends with the process, however it ends."""
    size = sum(len(FILES[name]) for name in TAKEN)
    for name in "abcd":
        hub.repositories[f"org/{name}"] = repository(FILES | {"config.json": name.encode()})
    monkeypatch.setenv("ASSAY_MODEL_CACHE_GB", str(2.5 * size / 10**9))
    got("org/a"), got("org/b")
    user = subprocess.Popen([sys.executable, "-c", USING, "org/a"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert user.stdin is not None and user.stdout is not None and user.stdout.readline() == b"uses it\n"
    got("org/b")  # used after the other, which is nevertheless kept
    got("org/c")
    assert here() == {"a", "c"}
    with bring(ModelRef(uri="org/c"), settings=Settings()), pytest.raises(Unavailable, match=r"org/d takes .* the models in it are in use"):
        got("org/d")
    user.kill()
    user.communicate()
    got("org/d")
    assert here() == {"c", "d"}
    assert Cache(Settings()).size_bytes == pytest.approx(2 * size, abs=10)
    monkeypatch.setenv("ASSAY_MODEL_CACHE_GB", str(0.5 * size / 10**9))
    with pytest.raises(Invalid, match="and the cache may hold"):
        got("org/a")


# Another process that has a model in use until it is killed.
USING = """
import sys
from infra.hub.bringing import bring
from infra.settings import Settings
from schemas.event import Producer
from schemas.requests import EvaluationRequested, Generation, ModelRef, TaskChoice
brought = bring(ModelRef(uri=sys.argv[1]), settings=Settings())
print("uses it", flush=True)
sys.stdin.read()
"""


def here() -> set[str]:
    """The models of org that are whole."""
    return {name for name in "abcd" if Cache(Settings()).folder_of(_named(f"org/{name}"))}


def test_two_who_want_a_model_fetch_it_once(hub: Hub) -> None:
    """The second process waits for the first."""
    hub.bytes_per_s = 10**6
    other = subprocess.Popen([sys.executable, "-c", USING, "org/toy"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    got()
    other.communicate()
    assert other.returncode == 0
    assert hub.fetched.count("model.safetensors") == 2  # of the hub, and of the host that has it


def test_huggingface_hub_takes_the_server_for_a_hub(hub: Hub, tmp_path: Path) -> None:
    """Its own client fetches the same bytes from it: what holds for the server holds for a hub."""
    from huggingface_hub import snapshot_download

    folder = Path(snapshot_download("org/toy", endpoint=hub.url, cache_dir=tmp_path / "theirs", token=False))
    assert hashlib.sha256((folder / "model.safetensors").read_bytes()).digest() == hashlib.sha256(WEIGHTS).digest()


@contextmanager
def given(home: Path) -> Iterator[str]:
    """The address at which the cache of a home is given to others."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with sharing(Settings(home=home, share_models=f"127.0.0.1:{port}")):
        yield f"http://127.0.0.1:{port}"


def test_what_another_agent_has_is_not_fetched_from_the_hub(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says how much that saved; from a peer that is away, or has nothing, nothing comes, and the hub is asked."""
    got()
    sizes, before = sum(len(FILES[name]) for name in TAKEN), len(hub.fetched)
    with given(Settings().home) as address:
        monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "other"))
        monkeypatch.setenv("ASSAY_PEERS", f"http://127.0.0.1:9, {address}")
        brought = got()
    assert brought.origin is not None and (brought.origin.fetched_bytes, brought.origin.peer_bytes) == (sizes, sizes)
    assert len(hub.fetched) == before
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "third"))
    alone = got()
    assert alone.origin is not None and alone.origin.peer_bytes == 0 and len(hub.fetched) > before


def test_a_file_goes_on_at_a_peer_and_a_wrong_one_is_not_kept(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an earlier try got counts; what has another hash than the hub says is fetched from the hub."""
    folder = got().folder
    assert folder is not None
    with given(Settings().home) as address:
        monkeypatch.setenv("ASSAY_PEERS", address)
        monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "other"))
        cut = Cache(Settings()).place(Named("org/toy"), commit_of(hub)).folder
        cut.mkdir(parents=True)
        (cut / "model.safetensors.part").write_bytes(WEIGHTS[:100])
        part = got().origin
        assert part is not None and part.peer_bytes == sum(len(FILES[name]) for name in TAKEN) - 100
        (folder / "model.safetensors").write_bytes(b"x" * len(WEIGHTS))
        monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "third"))
        third = got()
    assert third.origin is not None and third.origin.peer_bytes == sum(len(FILES[name]) for name in TAKEN) - len(WEIGHTS)
    assert third.folder is not None and (third.folder / "model.safetensors").read_bytes() == WEIGHTS


def test_what_is_gated_is_given_to_nobody(gated: Hub) -> None:
    """Whoever asks by its hash; nor is anything else that lies there."""
    got("org/gated", credential="mine")
    hash_ = hashlib.sha256(WEIGHTS).hexdigest()
    with given(Settings().home) as address:
        for path in (f"/files/{hash_}", "/files/../../credentials/mine", "/files/", "/"):
            assert httpx.get(f"{address}{path}", timeout=60).status_code == 404
