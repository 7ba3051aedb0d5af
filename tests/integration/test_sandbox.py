"""Programs that try to get out, to stay, to take all there is, or to be taken for right: each is survived, none passes."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import pytest

from infra.sandbox import running
from infra.sandbox.running import PROBE, Limits, Outcome, run, walls_here
from infra.sandbox.syscalls import ALLOWED, MACHINES, seccomp_filter
from infra.sandbox.walls import KINDS, Walls, readable
from streams.errors import AssayError, Invalid

pytestmark = [pytest.mark.integration, pytest.mark.slow]
SHORT = Limits(processor_s=1, wall_s=8.0, memory_bytes=512 * 2**20, files_bytes=4 * 2**20, output_bytes=2**22)
WAITS = {"sleeping for ever", "silence and sleep"}  # what has nothing to do but wait until it is ended
SECRET = "a-secret-that-nobody-may-read"
WITHIN = "What runs within the walls"  # how a process of the sandbox is told by its command line


@dataclass(frozen=True)
class Outside:
    """What a program would reach if it got out; its fields are what the programs below are filled with."""

    secret: Path
    folder: Path
    port: int
    decoy: int
    parent: int


# Each gets out if it comes to its end.
ESCAPES = {
    "loopback": "import socket; socket.create_connection(('127.0.0.1', {port}), 2)",
    "another host": "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 9))",
    "a socket by name": "import socket; socket.socket(socket.AF_UNIX).bind('\\0name')",
    "a fork": "import os; os.fork()",
    "fork bomb": "import os\nwhile os.fork() >= 0: pass",
    "spawn": "import os; os.posix_spawn('/bin/true', ['true'], {{}})",
    "a shell": "import subprocess; subprocess.run(['/bin/sh', '-c', 'true'], check=True)",
    "becoming a shell": "import os; os.execv('/bin/sh', ['sh', '-c', 'exit 0'])",
    "threads without end": "import threading, time\nfor n in range(100000): threading.Thread(target=time.sleep, args=(9,)).start()",
    "a child that stays": "import os, time\nif os.fork() == 0:\n    os.setsid(); time.sleep(1000)",
    "reading a secret": "open('{secret}').read()",
    "reading through a link": "import os\nos.symlink('{secret}', 'link'); open('link').read()",
    "reading by going up": "open('../../../../..{secret}').read()",
    "listing a folder": "import os; os.listdir('{folder}')",
    "accounts": "open('/etc/passwd').read()",
    "writing beside it": "open('{folder}/written', 'w').write('x')",
    "writing over it": "open('{secret}', 'a').write('x')",
    "writing to the interpreter": "import os; open(os.__file__, 'a').write('x')",
    "removing": "import os; os.remove('{secret}')",
    "changing modes": "import os; os.chmod('{secret}', 0o777)",
    "cutting by name": "import os; os.truncate('{secret}', 0)",
    "filling the disk": "for n in range(100000): open(str(n), 'wb').write(b'x' * 2**20)",
    "one huge file": "with open('file', 'wb') as file:\n    while True: file.write(b'x' * 2**20)",
    "all memory at once": "x = bytearray(16 * 2**30)",
    "all memory bit by bit": "x = []\nwhile True: x.append(bytearray(2**20))",
    "a loop without end": "while True: pass",
    "a loop that hears no signal": "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass",
    "sleeping for ever": "import time; time.sleep(1000)",
    "waiting for input": "input()",
    "output without end": "while True: print('x' * 65536)",
    "errors without end": "import sys\nwhile True: sys.stderr.write('x' * 65536)",
    "a kill": "import os; os.kill({decoy}, 9)",
    "a kill of the parent": "import os; os.kill(os.getppid(), 9)",
    "a signal to all": "import os; os.kill(-1, 0)",
    "a signal by a file's owner": (
        "import fcntl, os\nread, write = os.pipe()\nfcntl.fcntl(read, fcntl.F_SETOWN, {decoy}); fcntl.fcntl(read, 10, 9)"
    ),
    "the environment": "import os; assert '{SECRET}' in str(dict(os.environ))",
    "another's environment": "open('/proc/{parent}/environ', 'rb').read()",
    "its own memory": "open('/proc/self/mem', 'rb')",
    "processes": "import os; assert [name for name in os.listdir('/proc') if name.isdigit()]",
    "ptrace": "import ctypes; assert ctypes.CDLL(None).ptrace(16, {decoy}, 0, 0) == 0",
    "more time": "import resource; resource.setrlimit(resource.RLIMIT_CPU, (100, 100))",
    "another's limits": "import resource; resource.prlimit({decoy}, resource.RLIMIT_CPU, (1, 1))",
    "another user": "import os; os.setuid(0)",
    "another root": "import os; os.chroot('.')",
    "a device": "import os; os.mknod('disk', 0o60600, os.makedev(8, 0))",
    "a deep fall": "import sys\nsys.setrecursionlimit(10**9)\ndef f(x): return [f(x)]\nf(repr)",
}
# Each is followed by a test that fails; it is taken for right if it gets round that.
FORGERIES = {
    "leaving early": "import os; os._exit(0)",
    "leaving gently": "import sys; sys.exit(0)",
    "leaving at exit": "import atexit, os; atexit.register(os._exit, 0)",
    "silence": "import os\nos.closerange(0, 64)",
    "silence and sleep": "import os, time\nos.closerange(0, 64); time.sleep(1000)",
    "a word of its own": (
        "import os\nfor n in range(64):\n    try: os.write(n, b'begun ' + bytes(32))\n    except OSError: pass\nprint('passed')"
    ),
    "the word as told": (
        "import os\nfor n in range(64):\n    try: word = os.pread(n, 10**6, 0)[-32:]\n    except OSError: continue\n"
        "    [os.write(m, word) for m in range(3, 9)]; os._exit(0)"
    ),
    "the word in a frame": (
        "import os, sys\nframe = sys._getframe()\nwhile frame:\n    for found in [*frame.f_locals.values(), *frame.f_globals.values()]:\n"
        "        if isinstance(found, bytes) and len(found) == 32: [os.write(n, found) for n in range(3, 9)]; os._exit(0)\n"
        "    frame = frame.f_back"
    ),
    "the word among all objects": "import gc\nfound = [one for one in gc.get_objects() if isinstance(one, bytes)]",
    "the word in other frames": "import sys\nsys._current_frames()",
    "the word in memory": "import ctypes\nctypes.string_at(id(0), 10**6)",
    "tracing": (
        "import sys\ndef trace(frame, event, argument):\n    frame.f_globals['right'] = lambda: True\n    return trace\nsys.settrace(trace)"
    ),
    "tracing, tried": (
        "import sys\ndef trace(frame, event, argument):\n    frame.f_globals['right'] = lambda: True\n    return trace\n"
        "try: sys.settrace(trace)\nexcept Exception: pass"
    ),
    "profiling": "import sys\nsys.setprofile(lambda frame, *_: frame.f_globals.update(right=lambda: True))",
    "a thread that patches": (
        "import threading\ndef patch():\n    while True: globals()['right'] = lambda: True\n"
        "threading.Thread(target=patch, daemon=True).start()"
    ),
    "other builtins": (
        "import builtins, os\nbuiltins.AssertionError = None\nbuiltins.exec = lambda *_: None\n"
        "os.write = lambda *_: 0\nos._exit = lambda _: None\n"
        "try: __builtins__['__build_class__'] = None\nexcept Exception: pass"
    ),
    "a hook for what is raised": "import sys, os\nsys.excepthook = lambda *_: os._exit(0)",
    "a crash": (
        "import sys\nsys.setrecursionlimit(10**9)\nx = ()\nfor n in range(10**6): x = (x,)\ntry: hash(x)\nexcept BaseException: pass"
    ),
}
FAILING_TEST = "\ndef right(): return False\nassert right()\n"


def available(walls: Walls) -> bool:
    """This machine can put up such walls."""
    try:
        return run(PROBE, walls=walls).passed
    except AssayError:
        return False


@pytest.fixture(scope="module", params=KINDS)
def walls(request: pytest.FixtureRequest) -> Walls:
    """Each kind of walls that there is here."""
    kind: Walls = request.param
    if not available(kind):
        pytest.skip(f"no {kind} here")
    return kind


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    """A secret, a listener, another process and an environment, all of which must be as they were."""
    folder = tmp_path_factory.mktemp("outside")
    (folder / "secret").write_text(SECRET)
    os.environ["ASSAY_TEST_SECRET"] = SECRET
    decoy = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield Outside(folder / "secret", folder, server.getsockname()[1], decoy.pid, os.getpid())
    del os.environ["ASSAY_TEST_SECRET"]
    assert decoy.poll() is None
    decoy.communicate(b"\n")
    assert (folder / "secret").read_text() == SECRET
    assert os.listdir(folder) == ["secret"]


def stays() -> list[int]:
    """Processes of the sandbox that still run after a moment: what is killed with its namespace is killed soon, not at once."""
    give_up, found = time.monotonic() + 60, [0]
    while found and time.monotonic() < give_up:
        every = psutil.process_iter(["cmdline"])
        found = [process.pid for process in every if any(WITHIN in part for part in process.info["cmdline"] or ())]
    return found


def filled(program: str, outside: Outside) -> str:
    """The program with what it is to reach."""
    return program.format(SECRET=SECRET, **vars(outside))


def test_this_machine_has_walls() -> None:
    """Else nothing of this file says anything."""
    assert walls_here() in KINDS


def test_an_honest_program_passes(walls: Walls) -> None:
    """With what answers use: the standard library, numpy, event loops, output; a scratch file where there is a scratch folder."""
    honest = "import asyncio, collections, dataclasses, numpy, random, re, traceback\nprint('x' * 100000)\nrandom.random()\n"
    honest += "point = collections.namedtuple('point', 'x y')\n@dataclasses.dataclass\nclass C:\n    x: int\n"
    honest += "async def f(): return numpy.arange(3).sum()\nassert asyncio.run(f()) == 3\n"
    honest += "try: 1 / 0\nexcept ZeroDivisionError: assert 'division' in traceback.format_exc()\n"
    assert run(honest, walls=walls) == Outcome(True, "", walls)
    written = run("open('file', 'w').write('x')\nassert open('file').read() == 'x'", walls=walls)
    assert written.passed == (walls != "landlock")


def test_a_wrong_program_says_why(walls: Walls) -> None:
    """In one line."""
    assert run("assert 1 == 2, 'not so'", walls=walls) == Outcome(False, "AssertionError: not so", walls)
    assert run("def f(:", walls=walls).why.startswith("SyntaxError")
    assert run("while True: pass", walls=walls, limits=SHORT).why == "it was killed: 1 s of processor time are the most"
    assert "more than 1 s" in run("import time; time.sleep(99)", walls=walls, limits=Limits(wall_s=1.0)).why


def limits_of(name: str) -> Limits:
    """Enough for what the program does."""
    return replace(SHORT, wall_s=2.0) if name in WAITS else SHORT


def test_main_is_not_run_as_in_the_reference(walls: Walls) -> None:
    """There `__name__` is not `__main__` either."""
    assert run("if __name__ == '__main__': raise ValueError", walls=walls).passed


@pytest.mark.parametrize("name", ESCAPES)
def test_nothing_gets_out(name: str, walls: Walls, outside: Outside) -> None:
    """It fails, everything outside is as it was, and nothing of it stays."""
    assert not run(filled(ESCAPES[name], outside), walls=walls, limits=limits_of(name)).passed
    assert psutil.pid_exists(outside.decoy)
    assert stays() == []


@pytest.mark.parametrize("name", FORGERIES)
def test_nothing_wrong_is_taken_for_right(name: str, walls: Walls) -> None:
    """Whatever it does to its interpreter."""
    assert not run(FORGERIES[name] + FAILING_TEST, walls=walls, limits=limits_of(name)).passed
    assert stays() == []


def test_libraries_may_lie_where_the_new_root_is_made(walls: Walls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment under /tmp, say: folders are told from files before the root hides them."""
    (tmp_path / "said").write_text("here")
    known = readable()
    monkeypatch.setattr("infra.sandbox.walls.readable", lambda: (*known, str(tmp_path)))
    outcome = run(f"assert open({str(tmp_path / 'said')!r}).read() == 'here'", walls=walls)
    assert outcome.passed, outcome.why


def test_where_there_are_no_walls_nothing_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what to install."""
    monkeypatch.setattr(running, "KINDS", ())
    walls_here.cache_clear()
    try:
        with pytest.raises(Invalid, match="install bubblewrap"):
            run("pass")
    finally:
        walls_here.cache_clear()


def test_the_filter_knows_two_machines() -> None:
    """All names have a number where the machine has the call; a third machine is refused."""
    assert all(row[0] is not None for row in ALLOWED.values())
    assert {len(seccomp_filter(machine)) % 8 for machine in MACHINES} == {0}
    with pytest.raises(Invalid, match="riscv64"):
        seccomp_filter("riscv64")
