"""What tests start does not outlive them, however they end."""

import subprocess
import sys
import time

import psutil
import pytest

PARENT = """
import signal, subprocess
from tests.conftest import tied
child = subprocess.Popen(tied("-c", "import time; time.sleep(600)", at_our_end=signal.SIGTERM))
print(child.pid, flush=True)
child.wait()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="nothing is tied elsewhere")
def test_a_process_ends_with_the_one_that_started_it() -> None:
    """A pytest that is killed ends nothing by itself; the child has the pid that its parent knows."""
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child, give_up = psutil.Process(int(parent.stdout.readline())), time.monotonic() + 300
        while child.cmdline()[1:2] != ["-c"] and time.monotonic() < give_up:  # none, while it becomes another
            time.sleep(0.01)
        parent.kill()
    while child.is_running() and time.monotonic() < give_up:
        time.sleep(0.01)
    assert not child.is_running()
