"""Processes that do not outlive their supervisor, however it ends: the kernel sends each a signal when it has gone.

A stack without its supervisor would go on half alone: nothing starts again what dies, and nobody knows of it. A store is told to end
(it flushes, and closes); what works on the log is killed, for it would wait for a broker that is not coming back, and whatever it had in
hand the next stack takes up at the last commit. Elsewhere than on Linux `down` and the next `up` end what is left.

Source: man-pages prctl(2), PR_SET_PDEATHSIG; it holds across execve, hence in the broker's Java too.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from infra.sandbox.entering import PR_SET_PDEATHSIG, prctl


def start(command: Sequence[str], *, environment: Mapping[str, str], out: IO[bytes], at_our_end: signal.Signals) -> subprocess.Popen[bytes]:
    """A child in a session of its own, which gets that signal when the thread that calls this ends: let that be the main one."""
    ours = os.getpid()

    def tie() -> None:
        if sys.platform == "linux":
            prctl(PR_SET_PDEATHSIG, at_our_end, what="tying to the supervisor")
            if os.getppid() != ours:  # it has gone already, and no signal will come
                os._exit(1)

    return subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=Path.cwd(), start_new_session=True,
        preexec_fn=tie,  # noqa: PLW1509  # one system call, and the supervisor has no second thread whose locks could be held
    )  # fmt: skip
