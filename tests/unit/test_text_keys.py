"""The keys of private texts: one an organisation, wrapped by a master key, gone for good when it is forgotten."""

import asyncio
import hashlib
import json
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from infra import text_keys
from infra.forgetting import forget
from infra.kafka import Log
from infra.settings import Settings
from infra.text_keys import TextKeys, masters, new_master
from infra.vault import Vault
from query_api.cli import forgetting
from schemas.event import Producer
from schemas.results import SampleNotScored, SampleScored
from schemas.runs import RunChanged
from schemas.trust import DeadLettered
from streams.errors import Invalid, NotFound, Permanent, Unavailable
from streams.trust.privacy import PRIVATE, WITHHELD
from tests.in_memory import InMemory
from tests.runs import run_named

FIRST, SECOND = "11" * 32, "22" * 32
SECRET = b"the dog walks at midnight"


def settings(tmp_path: Path, **told: Any) -> Settings:
    """Settings of a home of its own."""
    return Settings.model_validate({"home": tmp_path} | told)


def letter(**told: Any) -> DeadLettered:
    """A private dead letter."""
    about = {"occurred_us": 1, "producer": Producer(service="t", version="1"), "visibility": PRIVATE, "topic": "t", "partition": 0,
             "offset": 1, "reason_code": "c", "message": "it broke", "payload": SECRET}  # fmt: skip
    return DeadLettered.model_validate(about | told)


def test_an_organisation_has_one_key_which_every_process_finds(tmp_path: Path) -> None:
    """Its file is its owner's alone, and holds it wrapped; another organisation has another."""
    one, other = TextKeys(settings(tmp_path)), TextKeys(settings(tmp_path))
    key = one.current("acme")
    assert other.current("acme") == key == other.of(key.key_id) and len(key.secret) == 32
    assert one.current("../../other").secret != key.secret
    (path, _) = sorted(one.folder.iterdir(), key=lambda path: path.stem != key.key_id)
    assert (path.stat().st_mode & 0o777, one.folder.stat().st_mode & 0o777) == (0o600, 0o700)
    assert key.secret.hex() not in path.read_text()
    assert {one.organisation for one in one.every()} == {"acme", "../../other"}
    assert [path.name for path in one.folder.iterdir() if path.suffix != ".json"] == []


@pytest.mark.parametrize("organisation", ["", "/", "..", "ü\x00", "x" * 1000, "\ud800"])
def test_whatever_an_organisation_is_called_it_has_a_key(tmp_path: Path, organisation: str) -> None:
    """Whoever writes to Kafka names it; another process finds its key, and it is forgotten like any other."""
    key = TextKeys(settings(tmp_path)).current(organisation)
    keys = TextKeys(settings(tmp_path))
    assert keys.current(organisation) == key == keys.of(key.key_id)
    assert [one.organisation for one in keys.forget(organisation, by="ann", reason="asked")] == [organisation]
    assert TextKeys(settings(tmp_path)).current(organisation).secret != key.secret


def test_a_home_on_loopback_makes_its_master_key_once(tmp_path: Path) -> None:
    """Where Kafka is another machine's it makes none, and private texts are refused with what to do."""
    (made,) = masters(settings(tmp_path / "here"))
    assert masters(settings(tmp_path / "here")) == [made]
    assert (tmp_path / "here" / "master.key").stat().st_mode & 0o777 == 0o600
    away = settings(tmp_path / "there", kafka="127.0.0.1:9092,kafka.example.org:9092")
    assert masters(away) == []
    with pytest.raises(Invalid, match=r"set ASSAY_MASTER_KEY_FILE .* or ask without --private") as refused:
        TextKeys(away).current("acme")
    assert refused.value.code == "no-master-key"
    assert list((tmp_path / "there").rglob("*")) == []


def test_with_a_wrong_master_key_nothing_is_written_or_read(tmp_path: Path) -> None:
    """Not even a new organisation's key; the message says which one is missing."""
    right, wrong = settings(tmp_path, master_key=FIRST), settings(tmp_path, master_key=SECOND)
    key = TextKeys(right).current("acme")
    before = {path: path.read_bytes() for path in TextKeys(right).folder.iterdir()}
    keys = TextKeys(wrong)
    for act in (lambda: keys.current("acme"), lambda: keys.current("new"), lambda: keys.of(key.key_id), keys.check, keys.rewrap):
        with pytest.raises(
            Unavailable, match=f"wrapped by master key {masters(right)[0].master_id}, and here is {masters(wrong)[0].master_id}"
        ):
            act()
    with pytest.raises(Unavailable):
        Vault(wrong).sealed(letter())
    assert {path: path.read_bytes() for path in keys.folder.iterdir()} == before
    assert TextKeys(right).of(key.key_id) == key


@pytest.mark.parametrize("told", ["ab", "zz" * 32, "11" * 32 + "\nab", "11" * 31])
def test_what_is_no_master_key_is_refused(tmp_path: Path, told: str) -> None:
    """With the setting and what to do; the value is in no message."""
    for given in (settings(tmp_path, master_key=told), settings(tmp_path, master_key_file=tmp_path / "file")):
        (tmp_path / "file").write_text(told)
        with pytest.raises(Invalid, match="not 64 hex digits") as refused:
            masters(given)
        assert told not in str(refused.value)
    with pytest.raises(Invalid, match="cannot be read"):
        masters(settings(tmp_path, master_key_file=tmp_path / "none"))
    (tmp_path / "file").write_text(" \n")
    with pytest.raises(Invalid, match="is empty"):
        masters(settings(tmp_path, master_key_file=tmp_path / "file"))


def test_a_folder_that_is_not_mounted_is_told_at_the_start(tmp_path: Path) -> None:
    """Else every text would be without a key."""
    with pytest.raises(Invalid, match="make it, or mount it"):
        TextKeys(settings(tmp_path, text_keys=tmp_path / "none")).check()
    TextKeys(settings(tmp_path)).check()


def test_a_new_master_key_takes_the_place_of_the_old(tmp_path: Path) -> None:
    """While both are named all opens; rewrapped, the old one opens nothing, not of a backup's files either where it is gone."""
    file = tmp_path / "master"
    file.write_text(FIRST)
    given = settings(tmp_path, master_key_file=file)
    keys = TextKeys(given)
    acme, other = keys.current("acme"), keys.current("other")
    file.write_text(f"{SECOND}\n{FIRST}\n")
    assert (keys.of(acme.key_id), keys.current("third").key_id != other.key_id) == (acme, True)
    assert (keys.rewrap(), keys.rewrap()) == (2, 0)
    file.write_text(SECOND)
    assert (keys.of(acme.key_id), TextKeys(given).of(other.key_id)) == (acme, other)
    with pytest.raises(Unavailable):
        TextKeys(settings(tmp_path, master_key=FIRST)).of(acme.key_id)


def test_a_forgotten_key_is_gone_and_told(tmp_path: Path) -> None:
    """At once for whoever held it; what is left says what it was. The organisation's next text has another key, others keep theirs."""
    one, other = TextKeys(settings(tmp_path)), TextKeys(settings(tmp_path))
    key, theirs = one.current("acme"), one.current("other")
    other.of(key.key_id)
    wrapped = json.loads((one.folder / f"{key.key_id}.json").read_text())["wrapped"]
    (gone,) = one.forget("acme", by="ann", reason="asked by a customer")
    assert (gone.key_id, gone.by, gone.reason, gone.wrapped, gone.nonce) == (key.key_id, "ann", "asked by a customer", "", "")
    assert gone.forgotten_us is not None and len(gone.wrapped_sha256) == 64
    assert wrapped not in (one.folder / f"{key.key_id}.json").read_text()
    for keys in (one, other, TextKeys(settings(tmp_path))):
        with pytest.raises(
            Permanent, match=r"the texts of this run were forgotten on \d{4}-\d\d-\d\d by ann: asked by a customer"
        ) as refused:
            keys.of(key.key_id)
        assert refused.value.code == "forgotten"
    new = other.current("acme")
    assert new.key_id != key.key_id and new.secret != key.secret and one.of(theirs.key_id) == theirs
    assert one.forget("acme", by="bob", reason="")[0] == gone  # its end stands
    with pytest.raises(NotFound, match="no text of organisation 'nobody'"):
        one.forget("nobody", by="ann", reason="")


@pytest.mark.parametrize("step", ["written over", "put in its place"])
def test_a_process_that_dies_as_it_forgets_has_forgotten(tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads next is told so, and the file is written over by who asks again, with the words of the first."""
    keys = TextKeys(settings(tmp_path))
    key = keys.current("acme")
    path = keys.folder / f"{key.key_id}.json"
    wrapped = json.loads(path.read_text())["wrapped"]

    def dies(*told: Path) -> Path:
        if step == "put in its place" and told[0].suffix != ".gone":
            return own(*told)
        raise KeyboardInterrupt

    own = Path.replace
    with monkeypatch.context() as dying, pytest.raises(KeyboardInterrupt):
        where, name = (text_keys, "_overwritten") if step == "written over" else (Path, "replace")
        dying.setattr(where, name, dies)
        keys.forget("acme", by="ann", reason="asked")
    assert (wrapped in path.read_text()) == (step == "written over")
    others = TextKeys(settings(tmp_path))
    with pytest.raises(Permanent, match=r"were forgotten on .* by ann: asked"):
        others.of(key.key_id)
    (gone,) = others.forget("acme", by="bob", reason="again")
    assert (gone.by, gone.reason) == ("ann", "asked")
    assert [one.name for one in keys.folder.iterdir()] == [path.name] and wrapped not in path.read_text()


@pytest.mark.parametrize("name", ["", "../x", "0123456789abcdef-1", "x" * 200, "a\nb"])
def test_a_key_that_is_not_there_is_told(tmp_path: Path, name: str) -> None:
    """Whatever a foreign producer calls it, no path is led elsewhere."""
    with pytest.raises(NotFound, match="bring its file back"):
        TextKeys(settings(tmp_path)).of(name)


@pytest.mark.parametrize("name", ["organisation", "wrapped", "key_id", "master"])
def test_a_key_s_file_that_was_altered_does_not_open(tmp_path: Path, name: str) -> None:
    """It is bound to its name, its organisation and its master key."""
    keys = TextKeys(settings(tmp_path, master_key=f"{FIRST}\n{SECOND}"))
    path = keys.folder / f"{keys.current('acme').key_id}.json"
    said = json.loads(path.read_text())
    other = {
        "organisation": "evil",
        "wrapped": f"{int(said['wrapped'], 16) ^ 1:0{len(said['wrapped'])}x}",
        "key_id": "0-1",
        "master": masters(settings(tmp_path, master_key=SECOND))[0].master_id,
    }
    path.write_text(json.dumps(said | {name: other[name]}))
    why = "is not its place: take it out" if name in ("organisation", "key_id") else "is not what was wrapped"
    with pytest.raises(Invalid, match=why) as refused:
        TextKeys(settings(tmp_path, master_key=f"{FIRST}\n{SECOND}")).of(path.stem)
    assert refused.value.code == "text-key"


ROTTEN = (b"{", b"", b"[]", b"null", b"{}", b"\xff\xfe", b"[" * 100_000, b'{"key_id": 1}', None)


@pytest.mark.parametrize("rotten", ROTTEN, ids=range(len(ROTTEN)))
def test_a_key_s_file_that_is_broken_is_its_organisation_s_matter_alone(tmp_path: Path, rotten: bytes | None) -> None:
    """Processes start and say which file it is; others' texts are sealed and opened; of its own nothing is written or forgotten."""
    given = settings(tmp_path, master_key=FIRST)
    one = TextKeys(given)
    theirs, key = one.current("other"), one.current("acme")
    path = one.folder / f"{key.key_id}.json"
    whole = path.read_bytes()
    path.unlink()
    if rotten is None:
        path.mkdir()
    else:
        path.write_bytes(rotten)
    for keys in (one, TextKeys(given)):
        keys.check()
        (told,) = keys.broken()
        assert str(path) in str(told) and "bring the right file back" in str(told)
        assert [kept.organisation for kept in keys.every()] == ["other"]
        assert (keys.of(theirs.key_id), keys.current("other"), keys.current("third").key_id != key.key_id) == (theirs, theirs, True)
        for act in (partial(keys.of, key.key_id), partial(keys.current, "acme"), partial(keys.forget, "acme", by="ann", reason="")):
            with pytest.raises(Invalid, match="holds no key of texts") as refused:
                act()
            assert refused.value.code == "text-key"
        (keys.folder / f"{keys.current('third').key_id}.json").unlink()
    if rotten is None:
        path.rmdir()
    path.write_bytes(whole)
    assert one.of(key.key_id) == key == TextKeys(given).current("acme")


@pytest.mark.parametrize("name", ["copy-1.json", "0000000000000000-1.json", "{}.json.bak", ".{}.json.0a.new"])
def test_a_copy_of_a_key_is_told_and_goes_with_it(tmp_path: Path, name: str) -> None:
    """As a restore, or a process that died, leaves it: nothing is sealed under it, and whoever is forgotten is forgotten there too."""
    keys = TextKeys(settings(tmp_path))
    key, theirs = keys.current("acme"), keys.current("other")
    own = keys.folder / f"{key.key_id}.json"
    wrapped, copy = json.loads(own.read_text())["wrapped"], keys.folder / name.format(key.key_id)
    copy.write_bytes(own.read_bytes())
    (told,) = keys.broken()
    assert str(copy) in str(told) and "take it out of the folder" in str(told)
    assert [one.key_id for one in keys.every()] == sorted([key.key_id, theirs.key_id], key=lambda one: one != key.key_id)
    own.unlink()  # what is left is the copy: what it was is told all the same
    (gone,) = keys.forget("acme", by="ann", reason="asked")
    assert gone.key_id == key.key_id and gone.forgotten_us is not None
    assert not any(wrapped in path.read_text() for path in keys.folder.iterdir())
    assert copy.exists() == (name == "0000000000000000-1.json")
    with pytest.raises(Permanent, match="forgotten"):
        keys.of(key.key_id)
    assert keys.of(theirs.key_id) == theirs


def test_a_key_in_another_s_place_seals_nothing(tmp_path: Path) -> None:
    """Else an organisation's texts would go with another's key. The right file brought back, all is as before."""
    keys = TextKeys(settings(tmp_path))
    key, theirs = keys.current("acme"), keys.current("beta")
    own, other = (keys.folder / f"{one.key_id}.json" for one in (key, theirs))
    whole = own.read_bytes()
    own.write_bytes(other.read_bytes())
    for one in (keys, TextKeys(settings(tmp_path))):
        one.check()
        assert len(one.broken()) == 1 and [kept.organisation for kept in one.every()] == ["beta"]
        for act in (partial(one.current, "acme"), partial(one.of, key.key_id), partial(one.forget, "acme", by="ann", reason="")):
            with pytest.raises(Invalid, match=f"holds key {theirs.key_id} of organisation 'beta', and is not its place") as refused:
                act()
            assert refused.value.code == "text-key"
    keys.forget("beta", by="ann", reason="")
    assert not own.read_text().strip()
    with pytest.raises(Invalid, match="holds no key of texts"):  # and no new key has its name
        keys.current("acme")
    own.write_bytes(whole)
    assert TextKeys(settings(tmp_path)).current("acme") == key


def test_a_key_that_no_master_key_unwraps_is_its_organisation_s_matter_alone(tmp_path: Path) -> None:
    """While others are unwrapped: damaged, or brought back from before a rewrapping, it stops nobody else, and is told."""
    given = settings(tmp_path, master_key=FIRST)
    keys = TextKeys(given)
    key, theirs = keys.current("acme"), keys.current("beta")
    path = keys.folder / f"{key.key_id}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"master": "0" * 16}))
    for one in (keys, TextKeys(given)):
        one.check()
        (told,) = one.broken()
        assert str(path) in str(told) and "master key 0000000000000000 wrapped it" in str(told)
        assert one.current("beta") == one.of(theirs.key_id) == theirs
        for act in (partial(one.current, "acme"), partial(one.of, key.key_id)):
            with pytest.raises(Invalid, match="bring the right file back") as refused:
                act()
            assert refused.value.code == "text-key"
    assert TextKeys(given).current("gamma").key_id
    rotated = TextKeys(settings(tmp_path, master_key=f"{SECOND}\n{FIRST}"))
    assert rotated.rewrap() == 2 and len(rotated.broken()) == 1
    assert keys.forget("acme", by="ann", reason="")[0].forgotten_us is not None


def test_who_may_not_write_a_key_says_so_without_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose folder is mounted to be read: of an organisation without a key nothing is sealed there, and that it went wrong is said."""

    def refuses(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    vault = Vault(settings(tmp_path, master_key=FIRST))
    monkeypatch.setattr(text_keys, "put", refuses)
    with pytest.raises(Invalid, match=r"has no key of texts, and none can be written here .*Read-only") as refused:
        vault.keys.current("acme")
    assert refused.value.code == "text-key" and vault.sealed(letter()).message == WITHHELD


def test_what_cannot_be_sealed_under_a_broken_key_is_said_without_its_words(tmp_path: Path) -> None:
    """That something went wrong; what a model or a person wrote is not written, in the clear or otherwise."""
    vault = Vault(settings(tmp_path, master_key=FIRST))
    about: dict[str, Any] = {"occurred_us": 1, "producer": Producer(service="t", version="1"), "visibility": PRIVATE}
    key = vault.keys.current(letter().organisation_id)
    (vault.keys.folder / f"{key.key_id}.json").write_text("{")
    said = vault.sealed(letter())
    assert (said.message, said.payload, said.payload_bytes) == (WITHHELD, b"", len(SECRET))
    missing = SampleNotScored.model_validate(
        about | {"run_id": run_named("r"), "task": "t", "ordinal": 0, "repeat": 0, "scorer_version": "1", "reason": "quotes"}
    )
    assert vault.sealed(missing).reason == WITHHELD
    private = RunChanged.model_validate(about | {"run_id": run_named("r"), "state": "failed", "reason_code": "x", "message": "quotes"})
    assert vault.sealed(private).message == WITHHELD
    ours = private.model_copy(update={"reason_code": "text-key", "message": "bring it back"})
    assert vault.sealed(ours) == ours
    scored = SampleScored.model_validate(about | {
        "run_id": run_named("r"), "task": "t", "ordinal": 0, "repeat": 0, "doc_id": "0", "filter": "f", "metric": "m", "value": 1.0,
        "scorer_version": "1", "parts_json": '["words"]', "metrics": 1,
    })  # fmt: skip
    with pytest.raises(Invalid, match="holds no key of texts"):
        vault.sealed(scored)


def test_who_has_no_master_key_says_what_went_wrong_without_its_words(tmp_path: Path) -> None:
    """A letter whose payload is read from its origin; why a run ended by its code. Anything else is not written."""
    vault = Vault(settings(tmp_path, kafka="kafka.example.org:9092"))
    said = vault.sealed(letter())
    assert (said.message, said.payload, said.payload_bytes, said.event_id) == (WITHHELD, b"", len(SECRET), letter().event_id)
    ended: dict[str, Any] = {"occurred_us": 1, "producer": Producer(service="t", version="1"), "visibility": PRIVATE,
                             "run_id": run_named("r"), "state": "failed", "reason_code": "engine-failed", "message": "quotes"}  # fmt: skip
    assert vault.sealed(RunChanged.model_validate(ended)).message == WITHHELD
    ours = RunChanged.model_validate(ended | {"reason_code": "no-master-key", "message": "set it"})
    assert vault.sealed(ours) == ours
    with pytest.raises(Invalid, match="ASSAY_MASTER_KEY_FILE"):
        vault.check(ours)
    for visibility in ("organisation", "public"):
        assert vault.sealed(letter(visibility=visibility)) == letter(visibility=visibility)
        assert vault.named("sha", organisation="o", visibility=visibility) == "sha"


def test_who_has_no_master_key_passes_on_what_is_sealed(tmp_path: Path) -> None:
    """As the dispatcher does with jobs; it cannot open them."""
    sealed = Vault(settings(tmp_path, master_key=FIRST)).sealed(letter())
    keyless = Vault(settings(tmp_path, kafka="kafka.example.org:9092"))
    assert keyless.sealed(sealed) == sealed != letter()
    with pytest.raises(Unavailable, match="and here is none"):
        keyless.opened(sealed)
    assert Vault(settings(tmp_path, master_key=FIRST)).opened(sealed) == letter()


def test_a_new_master_key_is_one(tmp_path: Path) -> None:
    """As a file takes it; no two are alike."""
    (tmp_path / "m").write_text(new_master())
    assert len(masters(settings(tmp_path, master_key_file=tmp_path / "m"))) == 1 and new_master() != new_master()


def test_what_is_forgotten_is_said_once_for_each_key(tmp_path: Path) -> None:
    """What was wrapped under which key, who asked and when; asked again, the same."""
    log, given = InMemory(), settings(tmp_path, master_key=FIRST)
    log.vault = Vault(given)
    key, made = log.vault.keys.current("acme"), log.vault.keys.every()[0]
    (said,) = asyncio.run(forget(cast("Log", log), "acme", by="ann", reason="asked for"))
    assert (said.organisation, said.organisation_id, said.text_key, said.by, said.reason) == (
        "acme",
        "acme",
        key.key_id,
        "ann",
        "asked for",
    )
    assert (said.master_key, said.made_us) == (masters(given)[0].master_id, made.made_us)
    assert said.wrapped_sha256 == hashlib.sha256(bytes.fromhex(made.wrapped)).hexdigest()
    assert said.occurred_us > made.made_us
    log.vault.keys.current("acme")
    first, second = asyncio.run(forget(cast("Log", log), "acme", by="bob", reason=""))
    assert first == said and (second.text_key, second.by) == (f"{key.key_id[:-1]}2", "bob")
    assert [record.event for records in log.records.values() for record in records] == [said, first, second]


def test_the_command_line_asks_before_it_destroys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It names what would go. It lists, rewraps and makes keys."""
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path))
    monkeypatch.setenv("ASSAY_MASTER_KEY", FIRST)
    key = TextKeys(Settings()).current("acme")
    with pytest.raises(Invalid, match=f"this destroys {key.key_id} of acme, for ever: say --yes"):
        forgetting.forget("acme", reason="r", by="ann")
    with pytest.raises(Invalid, match="--by has 200 characters at most"):
        forgetting.forget("acme", reason="r", by="a" * 201, yes=True)
    assert TextKeys(Settings()).of(key.key_id) == key
    monkeypatch.setenv("ASSAY_MASTER_KEY", f"{SECOND}\n{FIRST}")
    forgetting.rewrap(as_json=True)
    assert json.loads(capsys.readouterr().out) == {"rewrapped": 1, "broken": []}
    forgetting.texts(as_json=True)
    (told,) = json.loads(capsys.readouterr().out)["keys"]
    assert (told["organisation"], told["text_key"], told["forgotten"]) == ("acme", key.key_id, None)
    assert told["master_key"] == masters(settings(tmp_path, master_key=SECOND))[0].master_id
    forgetting.master()
    assert len(bytes.fromhex(capsys.readouterr().out)) == 32


def test_broken_keys_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Beside the others; those are rewrapped, and nobody is told that the older master keys could go."""
    keys = TextKeys(settings(tmp_path, master_key=FIRST))
    keys.current("acme")
    path = keys.folder / f"{keys.current('other').key_id}.json"
    path.write_text("{")
    for name, value in (("HOME", str(tmp_path)), ("MASTER_KEY", f"{SECOND}\n{FIRST}")):
        monkeypatch.setenv(f"ASSAY_{name}", value)
    forgetting.texts(as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert [one["organisation"] for one in told["keys"]] == ["acme"] and str(path) in told["broken"][0]
    forgetting.rewrap(as_json=False)
    shown = capsys.readouterr()
    assert "rewrapped 1 keys; those of these files alone" in shown.out and "holds no key of texts" in shown.out + shown.err
