"""`python -S tests/tied.py PID SIGNAL COMMAND…`: becomes the command, which gets that signal when its parent PID has ended in any way.

So a stack of tests does not outlive the pytest that was killed beside it. By the standard library alone: each process of a stack
begins so. Elsewhere than on Linux nothing is tied.

Source: man-pages prctl(2), PR_SET_PDEATHSIG; it holds across execve.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Ties, and becomes."""
    parent, signal, *command = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal))
        if os.getppid() != int(parent):  # it has gone already
            sys.exit(1)
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
