"""The keys of private texts: one for each organisation, a file each, wrapped by a master key; and how one is forgotten.

<folder>/<key id>.json   key_id, organisation, made_us, master, nonce, wrapped: the data key under AES-256-GCM, by that master key;
                         of one that is gone these are empty, and wrapped_sha256, forgotten_us, by and reason are not
<folder>/<key id>.gone   the same of one that is being forgotten, until it takes that file's place: it counts before the other

The folder is ASSAY_TEXT_KEYS, or the home's text-keys/. The master keys are in ASSAY_MASTER_KEY or the file ASSAY_MASTER_KEY_FILE, 64 hex
digits a line: the first wraps, the others unwrap what they wrapped before. Where neither is set and Kafka is this machine's own, the home's
master.key is one, made once. A key's number counts up: after the first is forgotten, an organisation's next text makes the second.

An organisation's key is nowhere but in its file: a topic would keep it in old segments, replicas and mirrors after its end was written.
Sources: NIST SP 800-38F (key wrapping), 800-38D (GCM).
"""

import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from infra.addresses import is_loopback
from infra.identity import now_us
from infra.settings import Settings
from infra.whole_files import put, synced
from streams.errors import Invalid, NotFound, Permanent, Unavailable
from streams.times import utc
from streams.trust.sealing import KEY_BYTES, NONCE_BYTES, Key

NO_MASTER, WRONG_MASTER, FORGOTTEN, BROKEN = "no-master-key", "master-key", "forgotten", "text-key"
MASTER_NAME: Final = "assay-master-1"
HOW: Final = "`assay keys master` prints a new one"
MOST_BYTES: Final = 64 * 1024
GONE: Final = ".gone"


@dataclass(frozen=True, slots=True)
class Kept:
    """A data key as its file has it: wrapped, or, once it is forgotten, what it was, by whom, when (`forgotten_us`, UTC) and why."""

    key_id: str
    organisation: str
    made_us: int
    master: str
    nonce: str = ""
    wrapped: str = ""
    wrapped_sha256: str = ""
    forgotten_us: int | None = None
    by: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Master:
    """A key that wraps others; its id is a hash of it."""

    secret: bytes

    @property
    def master_id(self) -> str:
        """Its name, which tells nothing of it."""
        return hashlib.sha256(MASTER_NAME.encode() + self.secret).hexdigest()[:16]


class TextKeys:
    """The keys of a folder. What others do to a file is seen at its next use."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.folder = settings.text_keys or settings.home / "text-keys"
        self._current: dict[str, str] = {}
        self._read: dict[str, tuple[tuple[int, int, int], Kept]] = {}
        self._open: dict[Kept, Key] = {}

    def check(self) -> None:
        """Says which files hold no key: their organisations' texts wait for them, and nobody else's.

        Raises: Invalid where the settings name no key, or no folder; Unavailable where another master key wrapped all that is here.
        """
        if self._settings.text_keys is not None and not self.folder.is_dir():
            raise Invalid(f"ASSAY_TEXT_KEYS={self.folder} is no folder: make it, or mount it", code=WRONG_MASTER)
        for error in self.broken():
            structlog.get_logger().warning("a key of texts cannot be used", why=str(error))
        known = {one.master for one in self.every() if one.forgotten_us is None} if _is_set(self._settings) else set()
        if known and not known & {one.master_id for one in masters(self._settings)}:
            raise self._not_unwrapped(min(known))

    def every(self) -> list[Kept]:
        """Every key that is here or was, by its organisation and number; without files that hold none, which `broken` tells."""
        return sorted(self._all()[0], key=lambda one: (one.organisation, _number(one.key_id)))

    def broken(self) -> list[Invalid]:
        """What is wrong with each file that holds no key, none of its name, or none that opens while others do."""
        return [*self._all()[1], *self._shut()]

    def _shut(self) -> Iterator[Invalid]:
        for one in self.every() if _is_set(self._settings) else ():
            try:
                if one.forgotten_us is None:
                    self._unwrapped(one)
            except Invalid as error:
                yield error
            except Unavailable:  # another master key's matter, which whoever wants it is told
                continue

    def _all(self) -> tuple[list[Kept], list[Invalid]]:
        found, broken = list[Kept](), list[Invalid]()
        for path in sorted(self.folder.glob("*.json")):
            try:
                found += [one] if (one := self._kept(path.stem)) else []
            except Invalid as error:
                broken.append(error)
        return found, broken + [_astray(path, kept) for path, kept in self._strays() if path.suffix != ".json"]

    def _strays(self) -> Iterator[tuple[Path, Kept]]:
        """Files that hold a key, wrapped, and are not its own: copies, as a restore may leave them, and what a process left that died."""
        for path in sorted(self.folder.iterdir()) if self.folder.is_dir() else ():
            with suppress(OSError, ValueError, TypeError, RecursionError):
                kept = kept_of(path.read_bytes()[:MOST_BYTES])
                if kept.wrapped and not _is_place(path.stem, kept, path.suffix):
                    yield path, kept

    def of(self, key_id: str) -> Key:
        """The key of that id.

        Raises: NotFound; Permanent where it was forgotten; Invalid where its file is broken; Unavailable where no master key unwraps it.
        """
        kept = self._kept(key_id) if _is_name(key_id) else None
        if kept is None:
            raise NotFound(f"there is no key {key_id[:60]!r} in {self.folder}; bring its file back (docs/privacy.md)", code="no-text-key")
        if kept.forgotten_us is not None:
            day = utc(kept.forgotten_us, "%Y-%m-%d")
            raise Permanent(
                f"the texts of this run were forgotten on {day} by {kept.by}: {kept.reason or 'no reason given'}", code=FORGOTTEN
            )
        return self._unwrapped(kept)

    def current(self, organisation: str) -> Key:
        """The key under which an organisation's texts are sealed from now on; the first time it is made.

        Raises: Invalid where no master key is set or the key's file is broken, Unavailable where it is not the one.
        """
        name, number = self._current.get(organisation), 1
        if name is not None:
            number = _number(name)
        while (kept := self._kept(_key_id(organisation, number))) and kept.forgotten_us is not None:
            number += 1
        self._current[organisation] = _key_id(organisation, number)
        return self._unwrapped(kept) if kept else self._made(organisation, number)

    def forget(self, organisation: str, *, by: str, reason: str) -> list[Kept]:
        """Ends every key of an organisation, also those that were ended before, whose end stands.

        When this returns, no file of the folder has the key, whatever it is called: it was written over, replaced or taken away, and
        that is on the disk. A copy that lies in another key's place is written over, and stays broken: nobody is given a new key there.
        Raises: NotFound where it never had one; Invalid where one of its files is broken, of which nothing could be told.
        """
        name = _key_id(organisation, 1).partition("-")[0]
        for path in self.folder.glob(f"{name}-*.json"):
            self._kept(path.stem)
        copies = [(path, kept) for path, kept in self._strays() if kept.organisation == organisation or kept.key_id.startswith(f"{name}-")]
        own = {kept.key_id: kept for _, kept in copies if _is_place(kept.key_id, kept)}  # of a key whose own file is lost a copy tells
        own |= {one.key_id: one for one in self.every() if one.organisation == organisation}
        if not own and not copies:
            told = f"no text of organisation {organisation!r} is sealed under a key in {self.folder}"
            raise NotFound(f"{told}; `assay keys texts` lists those that have one", code="no-text-key")
        for one in own.values():
            self._end(one, by=by, reason=reason)
        for path, _ in copies:
            _overwritten(path)
            if path.suffix != ".json" or not _is_name(path.stem):
                path.unlink()
        synced(self.folder)
        self._open.clear()
        return [one for one in self.every() if one.organisation == organisation]

    def _end(self, one: Kept, *, by: str, reason: str) -> None:
        path = self._path(one.key_id)
        gone = path.with_suffix(GONE)
        if one.forgotten_us is None:
            wrapped = hashlib.sha256(bytes.fromhex(one.wrapped)).hexdigest()
            _put(gone, replace(one, nonce="", wrapped="", wrapped_sha256=wrapped, forgotten_us=now_us(), by=by, reason=reason))
        if gone.exists():  # also of one over whose end a process died
            with suppress(FileNotFoundError):
                _overwritten(path)
            gone.replace(path)
            synced(self.folder)

    def rewrap(self) -> int:
        """Wraps every key that is not under the first master key by that one; how many. Broken ones stay as they are (`broken`).

        Raises: Invalid where no master key is set, Unavailable where none unwraps any.
        """
        wrapping, count = self._first(), 0
        for one in self.every():
            if one.forgotten_us is None and one.master != wrapping.master_id:
                try:
                    secret = self._unwrapped(one).secret
                except Invalid:
                    continue
                _put(self._path(one.key_id), _wrapped(one, secret, wrapping))
                count += 1
        return count

    def _first(self) -> Master:
        """The master key that wraps."""
        if found := masters(self._settings):
            return found[0]
        raise Invalid(
            f"private runs need a master key, under which their texts are sealed: set ASSAY_MASTER_KEY_FILE ({HOW}) for every process that "
            "reads or writes their texts, or ask without --private (docs/privacy.md)", code=NO_MASTER,
        )  # fmt: skip

    def _made(self, organisation: str, number: int) -> Key:
        """A new key; of several processes that make it at once, the first one's."""
        wrapping, name = self._first(), _key_id(organisation, number)
        self.check()  # where another master key wraps here, nothing is written
        kept = Kept(name, organisation, now_us(), wrapping.master_id)
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            _put(self._path(name), _wrapped(kept, secrets.token_bytes(KEY_BYTES), wrapping), first=True)
        except OSError as error:
            told = f"organisation {organisation[:60]!r} has no key of texts, and none can be written here ({error})"
            raise Invalid(f"{told}: the next private run that is asked for has one made", code=BROKEN) from error
        found = self._kept(name)
        assert found is not None
        return self._unwrapped(found)

    def _unwrapped(self, kept: Kept) -> Key:
        if found := self._open.get(kept):
            return found
        master = next((one for one in masters(self._settings) if one.master_id == kept.master), None)
        if master is None:
            raise self._without_master(kept)
        try:
            secret = AESGCM(master.secret).decrypt(bytes.fromhex(kept.nonce), bytes.fromhex(kept.wrapped), _about(kept))
        except (InvalidTag, ValueError) as error:
            raise _broken(self._path(kept.key_id), "is not what was wrapped") from error
        self._open[kept] = key = Key(kept.key_id, secret)
        return key

    def _without_master(self, kept: Kept) -> Invalid | Unavailable:
        """What it is that no master key unwraps this one: where others are unwrapped this file's matter, else everybody's."""
        held = {one.master_id for one in masters(self._settings)}
        others = (one for one in self.every() if one.forgotten_us is None and one.key_id != kept.key_id)
        if not any(one.master in held for one in others):
            return self._not_unwrapped(kept.master)
        told = f"says that master key {kept.master} wrapped it, and here is {', '.join(sorted(held))}, which opens others (another may be"
        return _broken(self._path(kept.key_id), f"{told} missing from ASSAY_MASTER_KEY_FILE)")

    def _not_unwrapped(self, master: str) -> Unavailable:
        held = ", ".join(one.master_id for one in masters(self._settings)) or "none"
        told = f"the keys in {self.folder} are wrapped by master key {master}, and here is {held}"
        return Unavailable(f"{told}: nothing is read or written; set ASSAY_MASTER_KEY_FILE to a file that has that one", code=WRONG_MASTER)

    def _kept(self, key_id: str) -> Kept | None:
        """A key's file, read again where it is another one than it was."""
        path = self._path(key_id)
        for told in (path.with_suffix(GONE), path):
            with suppress(FileNotFoundError):
                return self._read_from(told, key_id)
        return None

    def _read_from(self, path: Path, key_id: str) -> Kept:
        try:
            found = path.stat()
            mark = (found.st_mtime_ns, found.st_ino, found.st_size)
            if (known := self._read.get(key_id)) and known[0] == mark:
                return known[1]
            kept = kept_of(path.read_bytes()[:MOST_BYTES])
        except FileNotFoundError:
            raise
        except (OSError, ValueError, TypeError, RecursionError) as error:
            raise _broken(path, f"holds no key of texts ({type(error).__name__})") from error
        if not _is_place(key_id, kept):
            raise _astray(path, kept)
        self._read[key_id] = mark, kept
        return kept

    def _path(self, key_id: str) -> Path:
        return self.folder / f"{key_id}.json"


def masters(settings: Settings) -> list[Master]:
    """The master keys that are set, the first of which wraps; else the home's own, made once where Kafka is this machine's own; else none.

    Raises: Invalid for what is no key.
    """
    if told := settings.master_key.get_secret_value():
        return list(_masters(told, "ASSAY_MASTER_KEY"))
    if settings.master_key_file is not None:
        return list(_masters(_text(settings.master_key_file), f"ASSAY_MASTER_KEY_FILE={settings.master_key_file}"))
    path = settings.home / "master.key"
    if not path.exists():
        if not all(is_loopback(f"//{server.strip()}") for server in settings.kafka.split(",")):
            return []
        settings.home.mkdir(parents=True, exist_ok=True)
        put(path, new_master().encode(), first=True)
    return list(_masters(_text(path), str(path)))


def new_master() -> str:
    """A master key as a file has it, a line."""
    return secrets.token_hex(KEY_BYTES) + "\n"


def _is_set(settings: Settings) -> bool:
    return bool(settings.master_key.get_secret_value()) or settings.master_key_file is not None or (settings.home / "master.key").exists()


def _masters(told: str, where: str) -> Iterator[Master]:
    for number, line in enumerate(filter(None, map(str.strip, told.splitlines())), 1):
        try:
            secret = bytes.fromhex(line)
        except ValueError:
            secret = b""
        if len(secret) != KEY_BYTES:
            raise Invalid(f"{where}: key {number} is not 64 hex digits; {HOW}", code=NO_MASTER)
        yield Master(secret)
    if not told.strip():
        raise Invalid(f"{where} is empty; {HOW}", code=NO_MASTER)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"the master key's file {path} cannot be read ({error}); {HOW}", code=NO_MASTER) from error


def _key_id(organisation: str, number: int) -> str:
    """Such a name tells two organisations apart, and is a file's, whatever they are called."""
    return f"{hashlib.sha256(organisation.encode(errors='backslashreplace')).hexdigest()[:16]}-{number}"


def _is_place(name: str, kept: Kept, suffix: str = ".json") -> bool:
    """Whether a file of that name is where such a key lies: by its id, which is its organisation's."""
    return suffix in (".json", GONE) and name == kept.key_id == _key_id(kept.organisation, _number(kept.key_id))


def _is_name(key_id: str) -> bool:
    return len(key_id) < 40 and all(one in "0123456789abcdef-" for one in key_id)


def kept_of(content: bytes) -> Kept:
    """A key's file. Raises: ValueError, TypeError, RecursionError where it is none."""
    kept = Kept(**json.loads(content))
    for name, value in asdict(kept).items():
        if not isinstance(value, (int if name.endswith("_us") else str) if value is not None or name != "forgotten_us" else type(None)):
            raise TypeError(name)
    _number(kept.key_id)
    return kept


def _broken(path: Path, why: str) -> Invalid:
    return Invalid(
        f"{path} {why}; bring the right file back: its organisation's texts are neither read nor written until then", code=BROKEN
    )


def _astray(path: Path, kept: Kept) -> Invalid:
    told = (
        f"{path} holds key {kept.key_id[:60]} of organisation {kept.organisation[:60]!r}, and is not its place: take it out of the folder"
    )
    return Invalid(f"{told}, and where it took another key's place bring that one's file back: its texts wait for it", code=BROKEN)


def _number(key_id: str) -> int:
    return int(key_id.partition("-")[2])


def _wrapped(kept: Kept, secret: bytes, by: Master) -> Kept:
    nonce, kept = secrets.token_bytes(NONCE_BYTES), replace(kept, master=by.master_id)
    return replace(kept, nonce=nonce.hex(), wrapped=AESGCM(by.secret).encrypt(nonce, secret, _about(kept)).hex())


def _about(kept: Kept) -> bytes:
    """What a wrapped key is bound to."""
    return json.dumps([kept.key_id, kept.organisation, kept.master]).encode()


def _put(path: Path, kept: Kept, *, first: bool = False) -> None:
    put(path, json.dumps(asdict(kept), indent=1).encode(), first=first)


def _overwritten(path: Path) -> None:
    """Writes over a file's bytes where they lie. (A disk or a file system that writes elsewhere keeps them a while: docs/privacy.md.)"""
    with path.open("r+b") as file:
        file.write(b" " * path.stat().st_size)
        file.flush()
        os.fsync(file.fileno())
