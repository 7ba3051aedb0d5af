"""A query API that wants keys, beside the one of the stack, and the command line that makes them."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from infra.settings import Settings
from tests.conftest import api_ready, end, environment, free_ports, spawn
from tests.flow import PATIENCE_S


def assay(settings: Settings, *words: str) -> dict[str, Any]:
    """What a command of the command line says."""
    command = [sys.executable, "-m", "query_api.cli.main", *words, "--json"]
    done = subprocess.run(command, env=environment(settings), capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@contextmanager
def closed_api(flow: Settings, **more: Any) -> Iterator[Settings]:
    """Another API of the same stack, which wants keys as one that can be reached from elsewhere does, with these settings besides."""
    (port,) = free_ports(1)
    settings = flow.model_copy(update={"api": f"http://127.0.0.1:{port}", "api_door": "closed"} | more)
    child = spawn("query_api", settings=settings)
    try:
        api_ready(settings, [child])
        yield settings
    finally:
        end(child)
