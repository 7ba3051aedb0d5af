"""Runs one program in the sandbox, and tells whether it came to its end."""

import functools
import json
import os
import platform
import secrets
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from infra.sandbox.inside import BEGUN, WORD_BYTES
from infra.sandbox.syscalls import seccomp_filter
from infra.sandbox.walls import ENVIRONMENT, KINDS, Walls, command, site_packages
from streams.errors import AssayError, Invalid, Unavailable

LONGEST_REASON = 300
TAIL_BYTES = 4096
START_S = 60.0
DO = (
    "install bubblewrap, or let this user make user namespaces (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone, "
    "kernel.apparmor_restrict_unprivileged_userns), or use a kernel with Landlock (5.13 or later, lsm=landlock)"
)
# Behind walls all of this is refused; where a line is not, there is no wall.
PROBE = """
import math, os, socket
def refused(act):
    try: act()
    except OSError: return True
assert refused(socket.socket)
assert refused(os.fork)
assert refused(lambda: os.listdir("/proc"))
assert refused(lambda: open("/etc/passwd"))
assert refused(lambda: open("/written", "w"))
assert refused(lambda: os.kill(os.getppid(), 0))
"""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a program may use.

    The reference gives a program 3 s by the clock, which a busy machine makes shorter. `processor_s` is twice that, but of the processor:
    on slow ones right programs take more than 3 s (MBPP 123).
    """

    processor_s: int = 6
    wall_s: float = 15.0
    memory_bytes: int = 2**30
    files_bytes: int = 16 * 2**20
    output_bytes: int = 64 * 2**20

    @property
    def by_name(self) -> dict[str, int]:
        """As setrlimit knows them."""
        return {
            "RLIMIT_CPU": self.processor_s, "RLIMIT_AS": self.memory_bytes, "RLIMIT_FSIZE": self.files_bytes, "RLIMIT_NPROC": 0,
            "RLIMIT_NOFILE": 64, "RLIMIT_CORE": 0, "RLIMIT_MEMLOCK": 0,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Outcome:
    """`passed`: it came to its end without an error. `why` says why not; `walls` stood around it."""

    passed: bool
    why: str
    walls: Walls


@dataclass(slots=True)
class _Heard:
    """What came from the child: all of what it said, the end of what it printed, and what was too much."""

    said: bytes = b""
    printed: bytes = b""
    count: int = 0
    too_much: str = ""


@functools.cache
def walls_here() -> Walls:
    """The strongest walls that this machine gives; tried once. Raises: Invalid, saying what to install, where it gives none."""
    reasons = []
    for walls in KINDS:
        if walls == "bubblewrap" and shutil.which("bwrap") is None:
            continue
        try:
            outcome = run(PROBE, walls=walls)
        except AssayError as error:
            reasons.append(f"{walls}: {error}")
            continue
        if outcome.passed:
            return walls
        reasons.append(f"{walls}: {outcome.why}")
    raise Invalid(f"programs are not run without a sandbox, and this machine gives none ({'; '.join(reasons)}): {DO}", code="no-sandbox")


def run(program: str, *, walls: Walls | None = None, limits: Limits = Limits()) -> Outcome:  # it is frozen
    """Runs a program as its own `exec` in an empty namespace. Raises: Unavailable where the sandbox did not start."""
    walls, word = walls or walls_here(), secrets.token_bytes(WORD_BYTES)
    with _started(program, word, walls=walls, limits=limits) as child:
        heard = _listen(child, limits)
    if not heard.said.startswith(BEGUN):
        raise Unavailable(f"the sandbox ({walls}) did not start: {_last_line(heard.printed) or child.returncode}", code="sandbox")
    passed = not heard.too_much and heard.said == BEGUN + word
    return Outcome(passed, "" if passed else _why(heard, child.returncode, limits), walls)


@contextmanager
def _started(program: str, word: bytes, *, walls: Walls, limits: Limits) -> Iterator[subprocess.Popen[bytes]]:
    """The child, in a process group of its own; it is gone at the end, however that comes."""
    body = json.dumps({"program": program, "limits": limits.by_name, "libraries": [site_packages()]}).encode()
    told, filtering = _file(len(body).to_bytes(4, "big") + body + word), _file(seccomp_filter(platform.machine()))
    try:
        argv = command(walls, files_bytes=limits.files_bytes, filter_file=filtering)
        child = subprocess.Popen(
            argv, stdin=told, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT, pass_fds=(filtering,),
            start_new_session=True, close_fds=True, bufsize=0, cwd="/",
        )  # fmt: skip
    except OSError as error:  # bubblewrap is not here, or there are too many processes
        raise Unavailable(f"the sandbox ({walls}) did not start: {error}", code="sandbox") from error
    finally:
        os.close(told)
        os.close(filtering)
    with child:
        try:
            yield child
        finally:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)


def _file(body: bytes) -> int:
    """A file in memory that holds this, to be read from its beginning."""
    file = os.memfd_create("told")
    with os.fdopen(os.dup(file), "wb") as writer:
        writer.write(body)
    os.lseek(file, 0, os.SEEK_SET)
    return file


def _listen(child: subprocess.Popen[bytes], limits: Limits) -> _Heard:
    """Hears the child until it ends, or has used too much. The program's time begins when it does: walls take long on a busy machine."""
    heard, until = _Heard(), time.monotonic() + START_S
    with selectors.DefaultSelector() as selector:
        for pipe in filter(None, (child.stdout, child.stderr)):
            selector.register(pipe, selectors.EVENT_READ)
        while selector.get_map() and not heard.too_much:
            for key, _ in selector.select(max(0.0, until - time.monotonic())):
                piece = os.read(key.fd, 65536)
                if not piece:
                    selector.unregister(key.fileobj)
                begun = heard.said.startswith(BEGUN)
                _hear(heard, piece, said=key.fileobj is child.stdout)
                if not begun and heard.said.startswith(BEGUN):
                    until = time.monotonic() + limits.wall_s
            _stop_if_too_much(heard, limits, left_s=until - time.monotonic())
    try:
        child.wait(0 if heard.too_much else max(0.0, until - time.monotonic()))
    except subprocess.TimeoutExpired:
        heard.too_much = heard.too_much or _too_long(limits)
    return heard


def _hear(heard: _Heard, piece: bytes, *, said: bool) -> None:
    heard.count += len(piece)
    if said:
        heard.said = (heard.said + piece)[:TAIL_BYTES]
    else:
        heard.printed = (heard.printed + piece)[-TAIL_BYTES:]


def _stop_if_too_much(heard: _Heard, limits: Limits, *, left_s: float) -> None:
    if left_s <= 0:
        heard.too_much = _too_long(limits)
    elif heard.count > limits.output_bytes:
        heard.too_much = f"it wrote more than {limits.output_bytes // 2**20} MiB"


def _too_long(limits: Limits) -> str:
    return f"it ran for more than {limits.wall_s:g} s"


def _why(heard: _Heard, code: int | None, limits: Limits) -> str:
    if heard.too_much:
        return heard.too_much
    if code in (-signal.SIGKILL, 128 + signal.SIGKILL):
        return f"it was killed: {limits.processor_s} s of processor time are the most"
    return _last_line(heard.printed) or f"it ended ({code}) before its tests had passed"


def _last_line(printed: bytes) -> str:
    lines = printed.decode(errors="replace").strip().splitlines()
    return lines[-1][:LONGEST_REASON] if lines else ""
