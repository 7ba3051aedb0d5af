"""The exact server of known delays: for benchmarks of load generators, whose own lateness must be far below theirs.

Two halves: script.py makes every byte and every delay of its answers, by what the other server has too (behaviour.py, wire.py); sender.c
sends them, and notes when, in record.py's lines. It never misbehaves: `python -m tests.delays` does. It needs Linux. Zig's C compiler
makes it, of a wheel in an environment of its own, at the first start.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from infra import environments
from infra.settings import Settings
from streams.errors import Unavailable
from tests.delays.running import Server, served
from tests.delays.script import script

SOURCE: Final = Path(__file__).with_name("sender.c")
COMPILER: Final = Path(__file__).with_name("compiler.txt")
SPIN_NS: Final = 0


def sender() -> Path:
    """The compiled sender; compiled where this source was not yet. Raises: Unavailable, where it cannot be."""
    if sys.platform != "linux":
        raise Unavailable("the exact server of known delays needs Linux (epoll, timerfd)", code="not-linux")
    folder = Settings().home.resolve() / "delays"
    program = folder / hashlib.sha256(SOURCE.read_bytes() + COMPILER.read_bytes()).hexdigest()[:16]
    if not program.exists():
        environments.ensure(folder / "compiler", COMPILER)
        whole = program.with_suffix(".new")
        command = [str(environments.python_of(folder / "compiler")), "-m", "ziglang", "cc", "-O2", "-o", str(whole), str(SOURCE)]
        told = subprocess.run(
            command, capture_output=True, text=True, check=False, env=os.environ | {"ZIG_GLOBAL_CACHE_DIR": str(folder / "cache")}
        )
        if told.returncode:
            raise Unavailable(f"{SOURCE.name} cannot be compiled: {told.stderr.strip()}", code="no-compiler")
        whole.replace(program)
    return program


@contextmanager
def exact_delays(model: str, *, tokens: int, requests: int, chat: bool = False, seed: int = 1) -> Iterator[Server]:
    """The server, while it lasts. It answers so many requests, until its record is forgotten. Raises: Unavailable, ValueError."""
    program = sender()
    with tempfile.NamedTemporaryFile() as file:
        file.write(script(model, tokens=tokens, requests=requests, chat=chat, seed=seed))
        file.flush()
        with served([str(program), file.name, str(SPIN_NS)]) as server:
            yield server
