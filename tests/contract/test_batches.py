"""What agents/batches.py leans on in Faust is as it was read."""

import hashlib
import inspect
import tomllib
from pathlib import Path

import pytest
from faust.transport.consumer import Consumer

from agents.batches import WRITTEN_FOR


@pytest.mark.parametrize(
    ("name", "sha"),
    [
        ("_drain_messages", "44a2500309e8"),
        ("_wait_next_records", "6218e1969a63"),
        ("_filter_tps_with_pending_acks", "f6f923977423"),
        ("_filter_committable_offsets", "dc5e9baf5d99"),
        ("_should_commit", "5ce941793947"),
        ("_new_offset", "1d2c7ea89a7a"),
        ("on_partitions_revoked", "d04b7ae72c6f"),
    ],
)
def test_fausts_consumer_is_the_one_that_was_read(name: str, sha: str) -> None:
    """Where this fails, read the method anew, hold agents/batches.py against it, and then write its new hash here."""
    assert hashlib.sha256(inspect.getsource(getattr(Consumer, name)).encode()).hexdigest()[:12] == sha


def test_the_version_that_is_pinned_is_the_one_that_was_read() -> None:
    """So that a new lock cannot bring another."""
    dependencies = tomllib.loads(Path(__file__).parents[2].joinpath("pyproject.toml").read_text())["project"]["dependencies"]
    assert f"faust-streaming=={WRITTEN_FOR}" in dependencies
