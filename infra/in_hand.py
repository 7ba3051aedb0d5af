"""What a process has in hand, in a file that outlives it: who starts next finds over what it was killed.

A process that the system ends (SIGKILL where memory runs out, SIGSEGV in a library) says nothing more. So it writes what it takes in hand
before it goes at it, some kilobytes into a file that is open, in the folder of its machine's state (`<home>/in-hand`). It holds a lock on
that file for as long as it lives: a file whose lock is free is one of a process that has ended, and what is in it was in its hands then.
Who is told to end, ends by itself, or waits for a store, leaves nothing there.
Beside it lies what Python's faulthandler writes where the process dies of a fault of its own (SIGSEGV, SIGABRT …): who has nothing there
was killed by somebody else.
"""

import atexit
import faulthandler
import fcntl
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import structlog

from infra.pulse import Pulse

FAULT: Final = ".fault"
LONGEST_TOLD: Final = 1000


@dataclass(frozen=True, slots=True)
class Held:
    """Things in hand together. `near`: the one that is worked at is among them, or what follows from one.

    `pulse`: that of a thread which works at it beside all else, and may be silent so many times as long (`patience`). `told`: who is killed
    may be killed over it.
    """

    keys: Sequence[str]
    near: bool = False
    pulse: Pulse | None = None
    patience: float = 1.0
    told: bool = True


@dataclass(frozen=True, slots=True)
class Left:
    """What a process left that ended without a word; `fault`: of what it died by itself, the first lines of it."""

    held: Sequence[Held]
    fault: str


Doing = tuple[str, tuple[str, int, int]]  # what; topic, partition, offset


class InHand:
    """The hands of this process: several things at once, as work goes on beside work.

    `doing`: what is decoded or taken in just now, each with its topic, partition and offset; that is in no file.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / uuid4().hex
        self._process = os.getpid()
        self._file: int | None = None  # a descriptor, which is open for as long as the process lives
        self._fault: int | None = None  # the same: faulthandler writes to it as the process dies, so that nobody may close it before
        self._held: dict[int, Held] = {}
        self._taken = 0
        self._waits = 0
        self.doing: list[Doing] = []
        self._left = False

    @property
    def held(self) -> list[Held]:
        """Everything that is in hand."""
        return list(self._held.copy().values())  # also for a thread that watches

    @contextmanager
    def holding(self, keys: Sequence[str], *, near: bool = False, **beside: Any) -> Iterator[None]:
        """These are in hand while it lasts; `beside`: what more a `Held` says."""
        self._taken += 1
        number, self._held[self._taken] = self._taken, Held(keys, near, **beside)
        self._write()
        try:
            yield
        finally:
            del self._held[number]
            self._write()

    def waits(self, more: int) -> None:
        """Somebody more (-1: less) waits for what is elsewhere: while anybody does, nothing is told of what is in hand."""
        self._waits += more
        if self._held:
            self._write()

    def ends_within(self, s: float) -> None:
        """The process ends in so many seconds unless this is asked again: also where code that holds Python's lock lets no thread do it."""
        faulthandler.dump_traceback_later(s, exit=True, file=sys.stderr if self._fault is None else self._fault)

    def leave(self) -> None:
        """From now on nothing is told: the process ends for another reason than what it has in hand."""
        if os.getpid() != self._process:
            return  # a child's end is not ours
        self._left = True
        with suppress(OSError):
            if self._file is not None:
                os.ftruncate(self._file, 0)
            self._path.unlink(missing_ok=True)
            self._path.with_suffix(FAULT).unlink(missing_ok=True)

    def _write(self) -> None:
        """Where the folder cannot be written nothing is kept: whoever is killed there tells nobody why."""
        if self._left:
            return
        try:
            # A thread of its own goes on while others wait.
            told = json.dumps(
                [[one.near, list(one.keys)] for one in self.held if one.told and not (self._waits and one.pulse is None)]
            ).encode()
            if self._file is None:
                self._file = _opened(self._path)
                self._fault = os.open(self._path.with_suffix(FAULT), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
                faulthandler.enable(self._fault, all_threads=False)
            os.pwrite(self._file, told, 0)
            os.ftruncate(self._file, len(told))
        except OSError as error:
            self._left = True
            structlog.get_logger().warning("what is in hand is not kept", path=str(self._path), why=str(error))


def _opened(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return file


HANDS: Final[dict[Path, InHand]] = {}


def in_hand_of(folder: Path) -> InHand:
    """This process's hands, of which that folder tells."""
    if folder not in HANDS:
        HANDS[folder] = InHand(folder)
    return HANDS[folder]


@contextmanager
def waiting() -> Iterator[None]:
    """While it lasts this process waits for something else: who is killed meanwhile is not killed over what it has in hand."""
    for hands in HANDS.values():
        hands.waits(1)
    try:
        yield
    finally:
        for hands in HANDS.values():
            hands.waits(-1)


@atexit.register
def leave_nothing() -> None:
    """This process ends by itself, or was told to."""
    for hands in HANDS.values():
        hands.leave()


def left_by_the_dead(folder: Path) -> list[Left]:
    """What each process had in hand that ended without a word; it is told once."""
    return [left for path in sorted(folder.glob("*")) if path.suffix != FAULT and (left := _taken_from(path))]


def _taken_from(path: Path) -> Left | None:
    """What a dead process left; None where it lives, or left nothing."""
    try:
        file = os.open(path, os.O_RDWR)
    except OSError:
        return None  # somebody else has told it
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        told, fault = path.read_bytes(), path.with_suffix(FAULT)
        why = fault.read_text(errors="replace")[:LONGEST_TOLD] if fault.exists() else ""
        path.unlink()
        fault.unlink(missing_ok=True)
        held = [Held([str(key) for key in keys], bool(near)) for near, keys in json.loads(told)] if told else []
        return Left(held, why) if held else None
    except (OSError, ValueError, TypeError):
        return None
    finally:
        os.close(file)
