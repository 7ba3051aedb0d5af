"""Checks a file of `assay export`: whether it holds exactly the events that were sealed, and who sealed them.

It imports nothing of Assay's, on purpose: who verifies need not trust the code that sealed. A file is a zip of

    format.json     what kind of file it is, and of which run
    seal.json       the run's seal: its statement (JSON, as it was signed), Ed25519 signature, public key
    head.json       the newest seal of the same chain
    proofs.json     Merkle proofs, hex: `inclusion` of the seal in the head's tree, `consistency` of the seal's tree with that one
    keys.json       which key of the chain endorsed which
    schemas/        the Avro schemas of the events, by name and SHA-256
    leaves.bin      the hash of each event, 32 bytes, in the order of the seal
    events.bin      the events: four bytes of length, then name, 0x00, the schema's SHA-256, Avro body

Sources: RFC 6962, section 2.1 (the tree); RFC 9162, sections 2.1.3.2 and 2.1.4.2 (how proofs are checked); RFC 8032 (Ed25519).
"""

import argparse
import base64
import hashlib
import json
import re
import struct
import sys
import zipfile
import zlib
from collections import Counter, defaultdict, deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final, NamedTuple

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

FORMAT: Final = "assay-run-1"
STATEMENT: Final = "assay-seal-1"
ENDORSES: Final = b"assay-key-1\x00"
SEALED: Final = {"statement", "signature", "public_key"}
# What no signature is over holds what is checked, and nothing else: else a reader of it could be told anything.
JSON_MEMBERS: Final = {
    "format.json": {"format", "run_id"}, "seal.json": SEALED, "head.json": SEALED, "proofs.json": {"inclusion", "consistency"},
    "keys.json": {"endorsements"},
}  # fmt: skip
ENDORSEMENT: Final = {"public_key", "by", "signature"}
LEAVES, EVENTS = "leaves.bin", "events.bin"
SCHEMA: Final = re.compile(r"schemas/(\w+)-([0-9a-f]{64})\.avsc")
HASH: Final = 32
MOST_KEY_BYTES: Final = 64 * 1024  # of a file of a public key
MOST_BYTES: Final = 16 * 1024 * 1024  # of an event, of a schema, of a JSON member
MOST_REASONS: Final = 20
DAMAGE: Final = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, NotImplementedError, RuntimeError, ValueError)


class Refused(Exception):
    """The file cannot be checked any further; the message says why."""


@dataclass
class Verdict:
    """What was found. `key_checked`: seal and head are signed by the key that was given, or by one that it endorsed."""

    valid: bool = False
    reasons: list[str] = field(default_factory=list)
    run_id: str = ""
    events: int = 0
    root: str = ""
    key_id: str = ""
    key_checked: bool = False
    chain: str = ""
    position: int = 0
    head: int = 0


class Event(NamedTuple):
    """An event of the file: its place there, the hash of it, its name with its id, and the schema that it names."""

    number: int
    leaf: bytes
    told: str
    schema: tuple[str, str] | None


class Seal(NamedTuple):
    """A seal: what it says, the bytes that are signed, and the key."""

    says: Mapping[str, Any]
    statement: bytes
    key: bytes


def verify(path: str | Path, key: bytes | None = None) -> Verdict:
    """Whether the file is what was sealed. `key`: the 32 bytes of the public key that it must be sealed with, or endorsed by."""
    verdict = Verdict()
    try:
        with zipfile.ZipFile(path) as file:
            _check(file, key, verdict)
    except Refused as refused:
        verdict.reasons.append(str(refused))
    except DAMAGE as error:
        verdict.reasons.append(f"the file is damaged, or none of `assay export`: {error}")
    verdict.valid = not verdict.reasons
    return verdict


def _check(file: zipfile.ZipFile, key: bytes | None, verdict: Verdict) -> None:
    _members(file, verdict)
    about = _json(file, "format.json")
    if about.get("format") != FORMAT:
        raise Refused(f"format.json names no format that is known here; this is a verifier of {FORMAT}")
    seal, head = _seal(file, "seal.json"), _seal(file, "head.json")
    _told(seal, head, verdict)
    _check_said(file, about, seal, verdict)
    endorsed = _endorsed(file)
    if key is None:
        _check_keys(seal, head, endorsed, verdict)
    else:
        _check_key(seal, head, key, endorsed, verdict)
    _check_head(file, seal, head, verdict)
    _check_events(file, seal, verdict)


def _told(seal: Seal, head: Seal, verdict: Verdict) -> None:
    says = seal.says
    verdict.run_id, verdict.events, verdict.root, verdict.key_id = says["run_id"], says["events"], says["root"], says["key_id"]
    verdict.chain, verdict.position, verdict.head = says["chain"], says["position"], head.says["position"]


def _check_said(file: zipfile.ZipFile, about: Mapping[str, Any], seal: Seal, verdict: Verdict) -> None:
    """What stands beside the seals says nothing else than they do."""
    if about.get("run_id") != seal.says["run_id"]:
        verdict.reasons.append(f"format.json names run {about.get('run_id')!r}, and the seal is of run {seal.says['run_id']}")
    for name, fields in JSON_MEMBERS.items():
        if unknown := sorted(_json(file, name).keys() - fields):
            verdict.reasons.append(f"{name} has {unknown[0]!r}, which is no part of an export")


# --- What the file is made of


def _members(file: zipfile.ZipFile, verdict: Verdict) -> None:
    """Exactly what a file has, each once."""
    names = file.namelist()
    wanted = (*JSON_MEMBERS, LEAVES, EVENTS)
    if missing := [name for name in wanted if name not in names]:
        raise Refused(f"it has no {missing[0]}: it is no file of `assay export`, or not whole")
    for name in dict.fromkeys(names):
        if names.count(name) > 1:
            raise Refused(f"it has {name} {names.count(name)} times")
        if name not in wanted and not SCHEMA.fullmatch(name):
            verdict.reasons.append(f"it has {name}, which is no part of an export")


def _read(file: zipfile.ZipFile, name: str) -> bytes:
    with file.open(name) as member:
        told = member.read(MOST_BYTES + 1)
    if len(told) > MOST_BYTES:
        raise Refused(f"{name} is larger than {MOST_BYTES} bytes")
    return told


def _json(file: zipfile.ZipFile, name: str) -> dict[str, Any]:
    try:
        told = json.loads(_read(file, name), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise Refused(f"{name} is no JSON: {error}") from error
    if not isinstance(told, dict):
        raise Refused(f"{name} is no JSON object")
    return told


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object, each name of which stands there once: of two, readers take one or the other. Raises: ValueError."""
    told = dict(pairs)
    if len(told) < len(pairs):
        raise ValueError("a name stands twice in one object")
    return told


# --- The seal, its key, and its chain


def _seal(file: zipfile.ZipFile, name: str) -> Seal:
    """A seal that is signed by the key that stands beside it. Raises: Refused."""
    told = _json(file, name)
    try:
        statement, key = told["statement"].encode(), base64.b64decode(told["public_key"], validate=True)
        signature, says = base64.b64decode(told["signature"], validate=True), json.loads(statement)
        shape = {"type": str, "chain": str, "position": int, "chain_root": str, "run_id": str, "root": str, "events": int, "key_id": str}
        right = says["type"] == STATEMENT and all(type(says[field]) is kind for field, kind in shape.items())
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise Refused(f"{name} holds no seal: {type(error).__name__}: {error}") from error
    if not right or says["events"] < 0 or says["position"] < 0:
        raise Refused(f"{name} holds no seal of a kind that is known here")
    if not _signed(key, signature, statement):
        raise Refused(f"{name}: the signature is not of this statement by this key: one of them was altered")
    if says["key_id"] != key_id(key):
        raise Refused(f"{name}: it names key {says['key_id']}, and is signed by {key_id(key)}")
    return Seal(says, statement, key)


def key_id(public: bytes) -> str:
    """The name of a public key."""
    return hashlib.sha256(public).hexdigest()[:32]


def _signed(public: bytes, signature: bytes, told: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, told)
    except (InvalidSignature, ValueError):
        return False
    return True


def _endorsed(file: zipfile.ZipFile) -> dict[bytes, set[bytes]]:
    """Key → the keys that it endorsed, of the endorsements that are genuine."""
    found: dict[bytes, set[bytes]] = defaultdict(set)
    try:
        for one in _json(file, "keys.json")["endorsements"]:
            key, by, signature = (base64.b64decode(one[name], validate=True) for name in ("public_key", "by", "signature"))
            if one.keys() - ENDORSEMENT:
                raise ValueError(f"an endorsement has {min(one.keys() - ENDORSEMENT)!r}")
            if _signed(by, signature, ENDORSES + key):
                found[by].add(key)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise Refused(f"keys.json is not in its form: {type(error).__name__}: {error}") from error
    return found


def _reaches(key: bytes, wanted: bytes, endorsed: Mapping[bytes, set[bytes]]) -> bool:
    """A key is the wanted one, or the wanted one was endorsed by it, or by one that it endorsed."""
    seen, left = {key}, deque([key])
    while left:
        for one in endorsed.get(left.popleft(), set()) - seen:
            seen.add(one)
            left.append(one)
    return wanted in seen


def _check_key(seal: Seal, head: Seal, key: bytes, endorsed: Mapping[bytes, set[bytes]], verdict: Verdict) -> None:
    """Both are signed by the key given, or by one that it vouches for. That another endorsed it proves nothing: anybody can."""
    wrong = [f"{what} with key {key_id(one.key)}" for what, one in (("it is sealed", seal), ("the chain's head is signed", head))
             if not _reaches(key, one.key, endorsed)]  # fmt: skip
    verdict.reasons += [f"{told}, which is not the key given, {key_id(key)}, nor endorsed by it" for told in wrong]
    verdict.key_checked = not wrong


def _check_keys(seal: Seal, head: Seal, endorsed: Mapping[bytes, set[bytes]], verdict: Verdict) -> None:
    """Where no key is given: one of the two keys vouches for the other."""
    if not (_reaches(seal.key, head.key, endorsed) or _reaches(head.key, seal.key, endorsed)):
        verdict.reasons.append(f"the chain's head is signed by key {key_id(head.key)}: it and the seal's key did not endorse each other")


def _check_head(file: zipfile.ZipFile, seal: Seal, head: Seal, verdict: Verdict) -> None:
    """The seal is a link of the chain whose newest link the head is, and nothing before it was changed since."""
    index, size = seal.says["position"], head.says["position"]
    if head.says["chain"] != seal.says["chain"] or index > size:
        verdict.reasons.append("head.json is no later link of the seal's chain")
        return
    if index == size:
        if head.statement != seal.statement:
            verdict.reasons.append(f"the chain has two links of number {index}: head.json is not the seal")
        return
    told = _json(file, "proofs.json")
    try:
        inclusion, consistency = ([bytes.fromhex(one) for one in told[name]] for name in ("inclusion", "consistency"))
        root, before = bytes.fromhex(head.says["chain_root"]), bytes.fromhex(seal.says["chain_root"])
    except (KeyError, TypeError, ValueError) as error:
        raise Refused(f"proofs.json is not in its form: {type(error).__name__}: {error}") from error
    if not included(leaf_hash(seal.statement), index, size, inclusion, root):
        verdict.reasons.append(f"the chain's head does not hold the seal as its link {index}")
    if index and not consistent(index, size, before, root, consistency):
        verdict.reasons.append(f"the chain's first {index} links are not those that the seal goes on from")


# --- The events


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf."""
    return hashlib.sha256(b"\x00" + data).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def _check_events(file: zipfile.ZipFile, seal: Seal, verdict: Verdict) -> None:
    """All of them are those that were sealed, in their order; else what differs. In memory that goes with the differences alone."""
    schemas = _schemas(file, verdict)
    root, size = _root(_leaves(file))
    if (root.hex(), size) != (seal.says["root"], seal.says["events"]):
        verdict.reasons.append(f"leaves.bin is not the list of the {seal.says['events']} hashes that was sealed: its root is {root.hex()}")
    for reason in _differences(file, schemas):
        if len(verdict.reasons) == MOST_REASONS:
            verdict.reasons.append("and more")
            return
        verdict.reasons.append(reason)


def _schemas(file: zipfile.ZipFile, verdict: Verdict) -> set[tuple[str, str]]:
    """The schemas that are what their names say."""
    found = set()
    for name in file.namelist():
        if named := SCHEMA.fullmatch(name):
            told = _json(file, name)
            text = json.dumps(told, sort_keys=True, separators=(",", ":"))
            if told.get("name") == named[1] and hashlib.sha256(text.encode()).hexdigest() == named[2]:
                found.add((named[1], named[2]))
            else:
                verdict.reasons.append(f"{name} was altered: its SHA-256 is another")
    return found


def _root(leaves: Iterator[bytes]) -> tuple[bytes, int]:
    """The root over hashes of leaves, and how many they are."""
    parts, size = list[bytes](), 0
    for leaf in leaves:
        full, own = size, leaf
        while full & 1:
            own, full = _node(parts.pop(), own), full >> 1
        parts.append(own)
        size += 1
    if not parts:
        return hashlib.sha256().digest(), 0
    root = parts.pop()
    while parts:
        root = _node(parts.pop(), root)
    return root, size


def _leaves(file: zipfile.ZipFile) -> Iterator[bytes]:
    with file.open(LEAVES) as member:
        while leaf := member.read(HASH):
            if len(leaf) < HASH:
                raise Refused("leaves.bin ends within a hash")
            yield leaf


def _events(file: zipfile.ZipFile) -> Iterator[Event]:
    with file.open(EVENTS) as member:
        index = 0
        while head := member.read(4):
            length = struct.unpack(">I", head.ljust(4, b"\x00"))[0]
            body = member.read(length) if length <= MOST_BYTES else b""
            if len(head) < 4 or len(body) < length:
                raise Refused(f"events.bin ends within event {index}, or a length in it was altered")
            yield Event(index, leaf_hash(body), _named(body), _schema(body))
            index += 1


def _schema(body: bytes) -> tuple[str, str] | None:
    name, separator, rest = body.partition(b"\x00")
    return (name.decode(errors="replace"), rest[:HASH].hex()) if separator and len(rest) >= HASH else None


def _named(body: bytes) -> str:
    """The event's name, and its id, which is the first field of each: an Avro string, its length as a zigzag varint."""
    name, _, rest = body.partition(b"\x00")
    told, length, at = rest[HASH:], 0, 0
    while at < min(len(told), 5):
        length |= (told[at] & 0x7F) << 7 * at
        at += 1
        if not told[at - 1] & 0x80:
            break
    return f"{name[:60].decode(errors='replace')} {told[at : at + min(length >> 1, 60)].decode(errors='replace')}".strip()


def _differences(file: zipfile.ZipFile, schemas: set[tuple[str, str]]) -> Iterator[str]:
    """Each difference between the events and the list of what was sealed, in their order."""
    extra, absent, differs = yield from _unmatched(file, schemas)
    if not differs:
        return
    events, leaves = _events(file), enumerate(_leaves(file))
    event, sealed = next(events, None), next(leaves, None)
    while event or sealed:
        added, missing = event is not None and extra[event.leaf] > 0, sealed is not None and absent[sealed[1]] > 0
        if event and sealed and event.leaf == sealed[1]:
            event, sealed = next(events, None), next(leaves, None)
        elif event and sealed and added == missing:
            if added:
                extra[event.leaf] -= 1
                absent[sealed[1]] -= 1
                yield f"event {sealed[0]} was altered: it is {event.told or 'unreadable'} now"
            else:
                yield f"event {event.number} ({event.told}) was moved: it stands where event {sealed[0]} was"
            event, sealed = next(events, None), next(leaves, None)
        elif event and (added or not sealed):
            extra[event.leaf] -= 1
            yield f"event {event.number} ({event.told}) was added"
            event = next(events, None)
        elif sealed:
            absent[sealed[1]] -= 1
            yield f"event {sealed[0]} is missing"
            sealed = next(leaves, None)


def _unmatched(file: zipfile.ZipFile, schemas: set[tuple[str, str]]) -> Generator[str, None, tuple[Counter[bytes], Counter[bytes], bool]]:
    """The hashes of events that are not in the list, those of the list that no event has, and whether any is not in its place.

    Tells which events have no schema.
    """
    extra, absent, differs = Counter[bytes](), Counter[bytes](), False
    for event, leaf in zip_longest(_events(file), _leaves(file)):
        if event is not None and event.schema not in schemas:
            yield f"event {event.number} ({event.told}) has a schema that is not in the file"
        if event is not None and event.leaf == leaf:
            continue
        differs = True
        if event is not None:
            _count(extra, absent, event.leaf)
        if leaf is not None:
            _count(absent, extra, leaf)
    return extra, absent, differs


def _count(waiting: Counter[bytes], others: Counter[bytes], leaf: bytes) -> None:
    """Counts what waits for its like, or lets that wait no more."""
    if others[leaf] > 0:
        others[leaf] -= 1
        if not others[leaf]:
            del others[leaf]
    else:
        waiting[leaf] += 1


# --- Proofs


def included(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether the leaf of that index is in the tree of that size and root."""
    if index >= size:
        return False
    at, last, found = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return False
        if at & 1 or at == last:
            found = _node(sibling, found)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            found = _node(found, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and found == root


def consistent(first: int, second: int, before: bytes, after: bytes, path: Sequence[bytes]) -> bool:
    """Whether the tree of size `second` and root `after` goes on from that of size `first` ≥ 1 and root `before`."""
    if first >= second:
        return first == second and not path and before == after
    whole = [before, *path] if first & (first - 1) == 0 else list(path)
    if not whole:
        return False
    at, last = first - 1, second - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    old = new = whole[0]
    for node in whole[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            old, new = _node(node, old), _node(node, new)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            new = _node(new, node)
        at, last = at >> 1, last >> 1
    return last == 0 and old == before and new == after


# --- The command


def public_key(told: str) -> bytes:
    """The 32 bytes of a public key: 64 hex digits, or the path of a PEM file. Raises: ValueError."""
    if re.fullmatch(r"[0-9a-fA-F]{64}", told):
        return bytes.fromhex(told)
    try:
        with Path(told).open("rb") as file:
            key = load_pem_public_key(file.read(MOST_KEY_BYTES))
    except OSError as error:
        raise ValueError(f"{told!r} is neither 64 hex digits nor a file: {error}") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError(f"{told} holds no public key in PEM, which begins by -----BEGIN PUBLIC KEY-----") from error
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError(f"{told} holds no Ed25519 public key")
    return key.public_bytes_raw()


def lines(verdict: Verdict) -> list[str]:
    """What was found, in words."""
    if not verdict.valid:
        return [f"not valid: {reason}" for reason in verdict.reasons]
    whose = "the key given" if verdict.key_checked else "no key was given to check it by"
    return [
        f"valid: run {verdict.run_id}, {verdict.events} events, root {verdict.root}",
        f"sealed with key {verdict.key_id} ({whose}), link {verdict.position} of chain {verdict.chain}, whose head is link {verdict.head}",
    ]


def main() -> None:
    """Checks one file; exits 1 where it is not valid, and 2 where it cannot be asked."""
    parser = argparse.ArgumentParser("assay-verify", description="Checks a file of `assay export`.")
    parser.add_argument("file")
    parser.add_argument("--key", help="the public key that it must be sealed with, or endorsed by: 64 hex digits, or a PEM file")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    asked = parser.parse_args()
    try:
        key = public_key(asked.key) if asked.key else None
    except ValueError as error:
        parser.error(f"--key: {error}")
    verdict = verify(asked.file, key)
    sys.stdout.write(json.dumps(asdict(verdict)) + "\n" if asked.json else "\n".join(lines(verdict)) + "\n")
    raise SystemExit(0 if verdict.valid else 1)


if __name__ == "__main__":
    main()
