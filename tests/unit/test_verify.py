"""A file of a sealed run: whatever is altered, left out, added or moved in it is found, and told where that can be told."""

import base64
import io
import json
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fastavro
import pytest
from assay_verify import MOST_REASONS, public_key, verify
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from schemas.catalogue import EVENTS
from schemas.event import Event
from schemas.results import SampleScored
from schemas.trust import RunSealed
from streams.trust.chains import Chains
from streams.trust.merkle import Tree, leaf_hash
from streams.trust.statements import endorsed, key_id, raw
from tests.runs import run_named
from tests.sealed import CODEC, STAMP, key_of, leaf_of, link_of, write_file
from tests.stored.write import filled

R = run_named("r")
KEY, NEW, FOREIGN = key_of(1), key_of(2), key_of(3)
Leaves = list[bytes]


def scored(ordinal: int) -> SampleScored:
    """A score."""
    return SampleScored(
        occurred_us=1, producer=STAMP, run_id=R, task="t", ordinal=ordinal, doc_id=0, repeat=0, scorer_version="1", filter="none",
        metric="acc", value=1.0,
    )  # fmt: skip


def root_of(events: list[Event]) -> tuple[str, int]:
    """The root over events, and how many they are."""
    tree = Tree()
    for event in events:
        tree.add(leaf_hash(leaf_of(event)[0]))
    return tree.root.hex(), tree.size


def sealed_file(path: Path, events: list[Event], *, before: int = 1, behind: int = 1) -> tuple[Path, RunSealed]:
    """A file of these events, sealed as a link with others before and behind it."""
    chains, links = Chains(frozenset({raw(KEY)})), list[RunSealed]()
    root, size = root_of(events)
    for number in range(before + 1 + behind):
        told = {"root": root, "events": size} if number == before else {}
        links.append(link_of(chains, R if number == before else run_named(number), KEY, **told))
        assert chains.fold(links[-1]) is None
    write_file(path, map(leaf_of, events), links[before], links)
    return path, links[before]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of a run with twelve scores."""
    return sealed_file(tmp_path / "run.zip", [scored(number) for number in range(12)])[0]


def members(path: Path) -> dict[str, bytes]:
    """What a file is made of."""
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def written(path: Path, told: dict[str, bytes]) -> Path:
    """A file made of that."""
    with zipfile.ZipFile(path, "w") as file:
        for name, content in told.items():
            file.writestr(name, content)
    return path


def events_in(told: bytes) -> Leaves:
    """The events of events.bin."""
    found, at = [], 0
    while at < len(told):
        (length,) = struct.unpack_from(">I", told, at)
        found.append(told[at + 4 : at + 4 + length])
        at += 4 + length
    return found


def with_events(path: Path, change: Callable[[Leaves], Leaves], *, hashes: bool = False) -> Path:
    """The file with other events; with `hashes`, whoever did it has put the list of hashes right too."""
    told = members(path)
    events = change(events_in(told["events.bin"]))
    told["events.bin"] = b"".join(struct.pack(">I", len(one)) + one for one in events)
    if hashes:
        told["leaves.bin"] = b"".join(map(leaf_hash, events))
    return written(path.with_name("altered.zip"), told)


def test_a_file_is_what_was_sealed(file: Path) -> None:
    """Its events, its key, its chain."""
    found = verify(file, raw(KEY))
    assert (found.valid, found.reasons, found.key_checked) == (True, [], True)
    assert (found.run_id, found.events, found.position, found.head, found.key_id) == (R, 12, 1, 2, key_id(raw(KEY)))
    assert verify(file).valid and not verify(file).key_checked


@pytest.mark.parametrize(("before", "behind"), [(0, 0), (0, 1), (1, 0), (3, 4), (7, 1)])
def test_a_seal_is_proved_to_be_a_link_of_its_chain(tmp_path: Path, before: int, behind: int) -> None:
    """Wherever it stands in it."""
    path, _ = sealed_file(tmp_path / "run.zip", [scored(0)], before=before, behind=behind)
    assert verify(path, raw(KEY)).reasons == []


OTHER: dict[type, Callable[[Any], Any]] = {
    bool: lambda told: not told,
    str: lambda told: f"{told}x",
    bytes: lambda told: told + b"\x01",
    int: lambda told: told + 1,
    float: lambda told: told + 1,
}


def altered(told: Any) -> Iterator[Any]:
    """What is told, altered in one place: each place once."""
    if isinstance(told, dict):
        for name, value in told.items():
            yield from ({**told, name: other} for other in altered(value))
    elif isinstance(told, list):
        if not told:
            yield [0]  # what only older records tell: numbers that an event of ours leaves empty
        for at, value in enumerate(told):
            yield from ([*told[:at], other, *told[at + 1 :]] for other in altered(value))
    elif told is not None:
        yield OTHER[type(told)](told)


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_every_field_of_every_event_that_is_altered_is_found(tmp_path: Path, name: str) -> None:
    """At any depth, and told in which event: twenty of one event, each altered elsewhere."""
    event = filled(EVENTS[name])
    assert isinstance(event, Event)
    path, _ = sealed_file(tmp_path / "run.zip", [event] * MOST_REASONS)
    payload = CODEC.encode(event)
    schema, fields, leaves = CODEC.writer(payload).schema, set[str](), Leaves()
    told = fastavro.schemaless_reader(io.BytesIO(payload[5:]), schema, None)
    for other in altered(told):
        out = io.BytesIO()
        fastavro.schemaless_writer(out, schema, other)
        leaves.append(CODEC.canonical(payload[:5] + out.getvalue(), EVENTS[name]))
        fields |= {field for field in told if told[field] != other[field]}
    assert fields == set(told)
    for first in range(0, len(leaves), MOST_REASONS):
        some = leaves[first : first + MOST_REASONS]
        found = verify(with_events(path, lambda events, some=some: [*some, *events[len(some) :]]), raw(KEY))  # type: ignore[misc]
        assert [reason.partition(" it is ")[0] for reason in found.reasons] == [f"event {at} was altered:" for at in range(len(some))]


numbers = st.integers(0, 11)


@given(numbers, numbers)
def test_an_event_that_is_missing_added_twice_or_moved_is_told(tmp_path_factory: pytest.TempPathFactory, one: int, two: int) -> None:
    """By its number in the run."""
    path, _ = sealed_file(tmp_path_factory.mktemp("file") / "run.zip", [scored(number) for number in range(12)])
    names = [f"SampleScored {scored(number).event_id}" for number in range(12)]

    def told(change: Callable[[Leaves], Leaves]) -> list[str]:
        found = verify(with_events(path, change), raw(KEY))
        assert found.valid == (found.reasons == [])
        return found.reasons

    assert told(lambda events: events[:one] + events[one + 1 :]) == [f"event {one} is missing"]
    copied = told(lambda events: [*events[:one], events[two], *events[one:]])
    assert copied in ([f"event {at} ({names[two]}) was added"] for at in (one, one + 1))
    swapped = list(range(12))
    swapped[one], swapped[two] = swapped[two], swapped[one]
    assert told(lambda events: [events[at] for at in swapped]) == [
        f"event {at} ({names[swapped[at]]}) was moved: it stands where event {at} was" for at in sorted({one, two}) if one != two
    ]
    stranger = leaf_of(scored(99))[0]
    assert told(lambda events: [*events[:one], stranger, *events[one + 1 :]]) == [
        f"event {one} was altered: it is SampleScored {scored(99).event_id} now"
    ]


def test_several_differences_are_all_told(file: Path) -> None:
    """One missing, one altered behind it, one added at the end."""
    other, more = leaf_of(scored(50))[0], leaf_of(scored(51))[0]
    found = verify(with_events(file, lambda events: [*events[:2], *events[3:7], other, *events[8:], more]), raw(KEY))
    assert [reason.partition(":")[0] for reason in found.reasons] == [
        "event 2 is missing", "event 7 was altered", f"event 11 (SampleScored {scored(51).event_id}) was added",
    ]  # fmt: skip


@pytest.mark.parametrize("change", [lambda e: e[1:], lambda e: [*e, e[0]], lambda e: [e[1], e[0], *e[2:]], lambda e: []])
def test_who_puts_the_list_of_hashes_right_too_cannot_sign_it(file: Path, change: Callable[[Leaves], Leaves]) -> None:
    """The root is another."""
    (reason,) = verify(with_events(file, change, hashes=True), raw(KEY)).reasons
    assert "leaves.bin is not the list of the 12 hashes that was sealed" in reason


def test_a_splice_of_two_sealed_runs_is_found(tmp_path: Path) -> None:
    """Events of one under the seal of another, and the seal of one in the other's chain."""
    one, _ = sealed_file(tmp_path / "one.zip", [scored(1), scored(2)])
    two, _ = sealed_file(tmp_path / "two.zip", [scored(3), scored(4)], before=2)
    for name in ("seal.json", "head.json", "events.bin", "leaves.bin"):
        assert verify(written(tmp_path / "spliced.zip", members(one) | {name: members(two)[name]}), raw(KEY)).reasons
    both = {name: members(two)[name] for name in ("events.bin", "leaves.bin")}
    assert verify(written(tmp_path / "spliced.zip", members(one) | both), raw(KEY)).reasons


def test_a_seal_of_another_key_is_refused_unless_the_key_endorsed_it(tmp_path: Path) -> None:
    """A key that took its place counts; a stranger's does not, whatever he writes beside it."""
    for endorsement, by, valid in ((endorsed(raw(NEW), KEY), KEY, True), (endorsed(raw(NEW), FOREIGN), KEY, False), (b"", KEY, False)):
        chains, links = Chains(frozenset({raw(KEY), raw(NEW)})), list[RunSealed]()
        root, size = root_of([scored(0)])
        links.append(link_of(chains, run_named(0), NEW))
        chains.fold(links[0])
        links.append(link_of(chains, R, NEW, root=root, events=size))
        path = tmp_path / "run.zip"
        write_file(path, [leaf_of(scored(0))], links[1], links, endorsements=[(raw(NEW), raw(by), endorsement)])
        found = verify(path, raw(KEY))
        assert (found.valid, found.key_checked) == (valid, valid)
        assert verify(path, raw(NEW)).valid and verify(path).valid


def test_while_a_key_is_changed_either_may_sign_the_head(tmp_path: Path) -> None:
    """The old key's link behind the new one's is of the same chain, for who holds the old key; the new one vouches for no other."""
    chains, links, told = Chains(frozenset({raw(KEY)})), list[RunSealed](), endorsed(raw(NEW), KEY)
    root, size = root_of([scored(0)])
    for key, said in ((KEY, {}), (NEW, {"endorsement": told, "root": root, "events": size}), (KEY, {})):
        links.append(link_of(chains, R, key, **said))
        assert chains.fold(links[-1]) is None
    path = tmp_path / "run.zip"
    write_file(path, [leaf_of(scored(0))], links[1], links, endorsements=[(raw(NEW), raw(KEY), told)])
    assert verify(path).reasons == [] and verify(path, raw(KEY)).reasons == []
    (reason,) = verify(path, raw(NEW)).reasons
    assert reason.startswith(f"the chain's head is signed with key {key_id(raw(KEY))}, which is not the key given, {key_id(raw(NEW))}")
    write_file(path, [leaf_of(scored(0))], links[1], links)
    assert "did not endorse each other" in verify(path).reasons[0]


def forged(path: Path, *, behind: int) -> dict[str, bytes]:
    """A file whose head a stranger signed that many links behind the seal, who "endorsed" the key that sealed the run."""
    told = members(path)
    seal = json.loads(told["seal.json"])
    says = json.loads(seal["statement"])
    leaf = leaf_hash(seal["statement"].encode())
    says |= {"position": says["position"] + behind, "key_id": key_id(raw(FOREIGN)), "chain_root": leaf.hex(), "run_id": "nobody"}
    statement = json.dumps(says, sort_keys=True, separators=(",", ":")).encode()

    def text(value: bytes) -> str:
        return base64.b64encode(value).decode()

    head = {"statement": statement.decode(), "signature": text(FOREIGN.sign(statement)), "public_key": text(raw(FOREIGN))}
    vouched = {"public_key": text(raw(KEY)), "by": text(raw(FOREIGN)), "signature": text(endorsed(raw(KEY), FOREIGN))}
    new = {"head.json": head, "keys.json": {"endorsements": [vouched]}, "proofs.json": {"inclusion": [], "consistency": []}}
    return told | {name: json.dumps(content).encode() for name, content in new.items()}


@pytest.mark.parametrize("behind", [0, 1])
def test_a_head_that_a_stranger_signed_is_refused_though_he_endorsed_the_key(tmp_path: Path, behind: int) -> None:
    """It is held to the key given, as the seal is."""
    path, _ = sealed_file(tmp_path / "run.zip", [scored(number) for number in range(3)], before=0, behind=0)
    found = verify(written(tmp_path / "forged.zip", forged(path, behind=behind)), raw(KEY))
    assert (found.valid, found.key_checked) == (False, False)
    assert found.reasons[0].startswith(f"the chain's head is signed with key {key_id(raw(FOREIGN))}, which is not the key given")


@pytest.mark.parametrize("name", ["format.json", "seal.json", "head.json", "proofs.json", "keys.json"])
def test_nothing_can_be_said_beside_what_is_signed(file: Path, name: str) -> None:
    """A field more, at any depth, another run's name, and a name that stands twice are told."""
    told, out = members(file), file.with_name("altered.zip")
    more = json.dumps(json.loads(told[name]) | {"note": "approved"}).encode()
    assert verify(written(out, told | {name: more}), raw(KEY)).reasons == [f"{name} has 'note', which is no part of an export"]
    first = next(iter(json.loads(told[name])))
    twice = b'{"' + first.encode() + b'": "another", ' + told[name].strip()[1:]
    assert "a name stands twice" in verify(written(out, told | {name: twice}), raw(KEY)).reasons[0]


def test_the_run_that_a_file_names_is_the_sealed_one(file: Path) -> None:
    """In format.json, which no signature is over."""
    for said in ({"format": "assay-run-1", "run_id": "another"}, {"format": "assay-run-1"}):
        (reason,) = verify(written(file.with_name("altered.zip"), members(file) | {"format.json": json.dumps(said).encode()})).reasons
        assert reason.startswith("format.json names run") and reason.endswith(f"and the seal is of run {R}")


def test_an_endorsement_says_who_endorsed_whom_and_no_more(file: Path) -> None:
    """A note beside it is told."""
    vouched = dict.fromkeys(("public_key", "by", "signature", "note"), "")
    told = {"keys.json": json.dumps({"endorsements": [vouched]}).encode()}
    (reason,) = verify(written(file.with_name("altered.zip"), members(file) | told), raw(KEY)).reasons
    assert reason == "keys.json is not in its form: ValueError: an endorsement has 'note'"


@pytest.mark.parametrize("name", ["seal.json", "head.json"])
def test_a_statement_that_is_altered_is_not_what_was_signed(file: Path, name: str) -> None:
    """Every field of it."""
    told = json.loads(members(file)[name])
    says = json.loads(told["statement"])
    for other in altered(says):
        changed = json.dumps(told | {"statement": json.dumps(other, sort_keys=True, separators=(",", ":"))}).encode()
        (reason,) = verify(written(file.with_name("altered.zip"), members(file) | {name: changed}), raw(KEY)).reasons
        assert reason.startswith(name)


def test_proofs_of_another_chain_prove_nothing(file: Path) -> None:
    """Each hash of them."""
    for other in altered(json.loads(members(file)["proofs.json"])):
        wrong = json.dumps(json.loads(json.dumps(other).replace("x", ""))).encode()
        spoilt = wrong.replace(b'"inclusion": ["', b'"inclusion": ["00')
        assert not verify(written(file.with_name("altered.zip"), members(file) | {"proofs.json": spoilt}), raw(KEY)).valid


def test_schemas_and_members_are_held_too(file: Path) -> None:
    """A schema that is altered or gone, a member that is gone, twice there or none of ours."""
    told = members(file)
    (schema,) = [name for name in told if name.startswith("schemas/")]
    out = file.with_name("altered.zip")
    assert "was altered" in verify(written(out, told | {schema: told[schema].replace(b"double", b"string")})).reasons[0]
    without = {name: content for name, content in told.items() if name != schema}
    assert "has a schema that is not in the file" in verify(written(out, without)).reasons[0]
    assert verify(written(out, told | {"more.txt": b""})).reasons == ["it has more.txt, which is no part of an export"]
    for name in ("seal.json", "events.bin"):
        assert f"it has no {name}" in verify(written(out, {n: c for n, c in told.items() if n != name})).reasons[0]
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(file, "a") as more:
        more.writestr("events.bin", b"")
    assert verify(file).reasons == ["it has events.bin 2 times"]


@given(st.data())
def test_no_byte_of_a_file_can_be_changed_unseen(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """It is told, and ends no verifier. (Of the zip's own words some say nothing of what it holds: then it is as it was.)"""
    path, _ = sealed_file(tmp_path_factory.mktemp("file") / "run.zip", [scored(number) for number in range(3)])
    whole, content = path.read_bytes(), members(path)
    at, by = data.draw(st.integers(0, len(whole) - 1)), data.draw(st.integers(1, 255))
    path.write_bytes(whole[:at] + bytes([whole[at] ^ by]) + whole[at + 1 :])
    if verify(path, raw(KEY)).valid:
        assert members(path) == content


@given(st.binary(max_size=60))
def test_what_is_no_file_of_ours_is_refused_with_a_reason(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """Any bytes, alone or in place of a member."""
    folder = tmp_path_factory.mktemp("file")
    path, _ = sealed_file(folder / "run.zip", [scored(0)])
    (folder / "other").write_bytes(content)
    assert verify(folder / "other").reasons
    for name in ("format.json", "seal.json", "proofs.json", "keys.json", "leaves.bin", "events.bin"):
        assert verify(written(folder / "altered.zip", members(path) | {name: content}), raw(KEY)).reasons


def test_a_private_key_that_signs_makes_the_same_file_twice(tmp_path: Path) -> None:
    """Nothing of the moment is in it."""
    one, two = (sealed_file(tmp_path / name, [scored(0), scored(1)])[0] for name in ("one.zip", "two.zip"))
    assert one.read_bytes() == two.read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"one.zip", "two.zip"}


def test_the_command_needs_no_module_of_ours(file: Path, tmp_path: Path) -> None:
    """Nothing but its own folder, the file and the key: exit code and document say what was found."""
    module = Path(sys.modules["assay_verify"].__file__ or "").parents[1]
    pem = tmp_path / "key.pub"
    pem.write_bytes(Ed25519PublicKey.from_public_bytes(raw(KEY)).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    assert public_key(str(pem)) == public_key(raw(KEY).hex()) == raw(KEY)
    with pytest.raises(ValueError, match=r"^/dev/zero holds no public key in PEM, which begins by -----BEGIN PUBLIC KEY-----$"):
        public_key("/dev/zero")
    code = "import sys; import assay_verify; assay_verify.main()"
    told = subprocess.run(
        [sys.executable, "-c", code, str(file), "--key", str(pem), "--json"],
        cwd=tmp_path, env={"PYTHONPATH": str(module)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (told.returncode, json.loads(told.stdout)["valid"], told.stderr) == (0, True, "")
    bad = with_events(file, lambda events: events[1:])
    told = subprocess.run(
        [sys.executable, "-c", code, str(bad)], cwd=tmp_path, env={"PYTHONPATH": str(module)}, capture_output=True, text=True, check=False
    )
    assert (told.returncode, told.stdout) == (1, "not valid: event 0 is missing\n")


def test_keys_are_told_by_their_hash() -> None:
    """The same on both sides."""
    assert base64.b16encode(raw(KEY)).decode().lower() == raw(KEY).hex()
    assert len(key_id(raw(KEY))) == 32
