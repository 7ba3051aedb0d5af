"""Which walls this machine can put around a program, and the command that runs the interpreter within them.

*bubblewrap*, where it is installed and works: it may be allowed what we are not. Else *namespaces* of our own, else *landlock*. All three
have the same seccomp filter and limits. A wall counts when a program behind it has been seen to reach nothing.
"""

import functools
import json
import os
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, get_args

Walls = Literal["bubblewrap", "namespaces", "landlock"]
KINDS: tuple[Walls, ...] = get_args(Walls)
SYSTEM = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache")  # the interpreter's shared libraries
LIBRARIES = ("numpy", "numpy.libs")  # lm-eval's own environment has it, so programs are judged with it there
HERE = Path(__file__).parent
# Threads are refused, so numpy's libraries must not want any; sets are in one order, so that a program's result is always the same.
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}


@functools.cache
def interpreter() -> str:
    """The interpreter itself, not the virtual environment's link to it."""
    return os.path.realpath(sys.executable)


@functools.cache
def site_packages() -> str:
    """The folder of the libraries that programs may import."""
    found = find_spec("numpy")
    return str(Path(str(found.origin)).parents[1]) if found else ""


@functools.cache
def readable() -> tuple[str, ...]:
    """What a program can read: the interpreter with its library, the system's shared libraries, and numpy."""
    own = [interpreter(), sysconfig.get_path("stdlib"), sysconfig.get_config_var("LIBDIR") or "", sys.base_prefix + "/lib"]
    wanted = [*own, *SYSTEM, *(f"{site_packages()}/{name}" for name in LIBRARIES)]
    real = sorted({os.path.realpath(path) for path in wanted if path and os.path.exists(path)})
    linked = [path for path in SYSTEM if os.path.islink(path)]
    return tuple([*linked, *(path for path in real if not any(path.startswith(f"{other}/") for other in real))])


def command(walls: Walls, *, files_bytes: int, filter_file: int) -> list[str]:
    """What runs `inside.py` behind such walls; it reads the seccomp filter from the descriptor `filter_file`."""
    python = [interpreter(), "-S", "-s", "-P", "-B", "-c", (HERE / "inside.py").read_text()]
    if walls == "bubblewrap":
        return [*_bubblewrap(files_bytes, filter_file), *python]
    plan = {
        "walls": walls, "parent": os.getpid(), "read": readable(), "list": [site_packages()], "files_bytes": files_bytes,
        "filter_file": filter_file,
    }  # fmt: skip
    return [interpreter(), "-I", "-S", "-B", str(HERE / "entering.py"), json.dumps(plan), *python]


def _bubblewrap(files_bytes: int, filter_file: int) -> Iterator[str]:
    yield from (shutil.which("bwrap") or "bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL")
    yield from ("--uid", "65534", "--gid", "65534", "--seccomp", str(filter_file))
    yield from ("--size", str(files_bytes), "--perms", "0700", "--tmpfs", "/scratch")
    for path in readable():
        yield from ("--ro-bind", path, path)
    yield from ("--dev-bind", "/dev/null", "/dev/null", "--remount-ro", "/", "--chdir", "/scratch", "--")
