"""A pool's processes end with the process that they work for."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

pytestmark = pytest.mark.integration
PARENT = """
import os, time
from infra.pools import pool
if __name__ == "__main__":
    workers = pool(2)
    print(*{workers.submit(os.getpid).result() for _ in range(8)}, flush=True)
    time.sleep(60)
"""


def test_a_killed_parent_leaves_no_worker_behind(tmp_path: object) -> None:
    """SIGKILL gives it no chance to end them itself."""
    program = os.path.join(str(tmp_path), "parent.py")
    with open(program, "w") as file:
        file.write(PARENT)
    with subprocess.Popen(
        [sys.executable, program], stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": os.getcwd()}
    ) as parent:
        assert parent.stdout is not None
        workers = [int(pid) for pid in parent.stdout.readline().split()]
        assert workers
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
    give_up = time.monotonic() + 20
    while any(psutil.pid_exists(pid) for pid in workers):
        assert time.monotonic() < give_up, "a worker outlives its parent"
        time.sleep(0.05)
