"""What runs within the walls: it sets its own limits, runs the program, and says the word that it was given. The standard library alone.

The program and its tests run in one interpreter, as benchmarks of code have them, so the program can do to this interpreter what it wants.
What it cannot is say the word: that is in no variable, but in an argument of the call that comes after the program, and is read only by
that call. Frames do not show it; what could look further (the list of all objects, tracing, foreign memory) is refused by an audit hook,
which Python cannot take back. A program that ends, kills or silences its interpreter says nothing, and has not passed.
"""

import json
import os
import resource
import sys
from functools import partial
from operator import call

WORD_BYTES = 32
BEGUN = b"begun "


def refuse(event: str, arguments: tuple[object, ...]) -> None:
    """Raises for what would let a program see or change the interpreter that runs it."""
    if event.startswith("ctypes."):
        raise ImportError("ctypes is not here: this is a sandbox")
    if event in {
        "sys.settrace", "sys.setprofile", "sys._current_frames", "sys._current_exceptions", "gc.get_objects", "gc.get_referrers",
        "gc.get_referents", "sys.addaudithook",
    }:  # fmt: skip
        raise RuntimeError(f"{event} is not allowed in a sandbox")


def limit(limits: dict[str, int]) -> None:
    """Sets limits that nothing here can lift."""
    for name, most in limits.items():
        resource.setrlimit(getattr(resource, name), (most, most))


def read(count: int) -> bytes:
    """So many bytes of what is told."""
    told = b""
    while len(told) < count:
        told += os.read(0, count - len(told)) or sys.exit("nothing more is told")
    return told


def main() -> None:
    """Runs the program: `exec` in an empty namespace, as the reference does."""
    told = json.loads(read(int.from_bytes(read(4), "big")))
    limit(told["limits"])
    sys.path += told["libraries"]
    spoken = os.dup(1)
    os.dup2(2, 1)
    sys.addaudithook(refuse)
    # Called in turn by C code: where the program raises, the word is never said. Standard input holds the word, so it is closed.
    list(map(call, [  # type: ignore[arg-type]  # each is called without arguments
        partial(os.write, spoken, BEGUN), partial(os.close, 0), partial(exec, told["program"], {}),
        partial(os.write, spoken, read(WORD_BYTES)), partial(os._exit, 0),
    ]))  # fmt: skip


if __name__ == "__main__":
    main()
