"""What a client reports of a load, and how a client of others is run."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from infra import environments
from infra.settings import of_process
from tests.models import tiny_tokenizer

SHARES: Final = ("mean", "p50", "p95", "p99")
Figures = Mapping[str, float]  # share → ms


@dataclass(frozen=True, slots=True)
class Offered:
    """A load, evenly offered: `rate` requests a second, so many of them, each of so many tokens, to a model at a server."""

    url: str
    model: str
    rate: float
    requests: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Reported:
    """What a client says of a load: `ttft`, `itl` and `e2e` in ms, the requests that it counts, and their tokens."""

    latencies: Mapping[str, Figures]
    requests: int
    tokens: int


def program(name: str) -> Path:
    """A peer's command, in its environment; made where it is not there yet (gigabytes, once). Raises: Unavailable."""
    folder = of_process().home.resolve() / "peers" / name
    environments.ensure(folder, Path(__file__).with_name(f"{name}.txt"))
    return folder / "bin" / name


def run(command: Sequence[str], *, timeout_s: float, env: Mapping[str, str]) -> None:
    """Runs a peer to its end. Raises: RuntimeError with its last words."""
    told = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False, env=os.environ | env)
    if told.returncode:
        raise RuntimeError(f"{Path(command[0]).name} ended with {told.returncode}: {(told.stderr or told.stdout).strip()[-2000:]}")


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """A small tokenizer, with which peers make their prompts: its folder, its name in a hub's cache, and where that cache is."""

    folder: Path
    name: str
    env: Mapping[str, str]


def tokenizer_in(folder: Path) -> Tokenizer:
    """A tokenizer in such a cache."""
    at, revision = folder / "hub" / "models--assay--tokenizer", "0" * 40
    snapshot = at / "snapshots" / revision
    if not snapshot.exists():
        tiny_tokenizer().save_pretrained(snapshot)
        (at / "refs").mkdir()
        (at / "refs" / "main").write_text(revision)
    return Tokenizer(snapshot, "assay/tokenizer", {"HF_HOME": str(folder), "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"})


def read(path: Path) -> Any:
    """A file of JSON."""
    return json.loads(path.read_text())
