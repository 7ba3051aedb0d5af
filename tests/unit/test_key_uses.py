"""When keys were used last: to the hour, in a file that several processes write, and nobody is refused for."""

import asyncio
import json
from pathlib import Path

import pytest

from infra.settings import Settings
from query_api.access import uses
from query_api.access.uses import HOUR_US, Uses, last_uses, path_of


def at(monkeypatch: pytest.MonkeyPatch, hour: int) -> None:
    """Some minutes past an hour."""
    monkeypatch.setattr(uses, "now_us", lambda: hour * HOUR_US + 7 * 60_000_000)


def used(one: Uses, *subjects: str) -> None:
    """Keys are used."""
    for subject in subjects:
        asyncio.run(one.used(subject))


def test_a_use_is_known_to_the_hour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each key the last, whichever process saw it; written once an hour; by a group, of the member and of the group."""
    settings = Settings(home=tmp_path)
    one, other = Uses(settings), Uses(settings)
    assert last_uses(settings) == {}
    at(monkeypatch, 10)
    used(one, "aaa", "bbb", "oidc:ann@example.org\nOperators")
    at(monkeypatch, 11)
    used(other, "bbb")
    assert last_uses(settings) == {
        "aaa": 10 * HOUR_US, "bbb": 11 * HOUR_US, "oidc:ann@example.org": 10 * HOUR_US, "oidc:%operators": 10 * HOUR_US,
    }  # fmt: skip
    path_of(settings).unlink()
    used(other, "bbb")
    assert not path_of(settings).exists()
    at(monkeypatch, 12)
    used(other, "bbb")
    assert last_uses(settings) == {"bbb": 12 * HOUR_US}


def test_a_file_that_is_broken_or_cannot_be_written_stops_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it held is not known then."""
    settings = Settings(home=tmp_path)
    at(monkeypatch, 10)
    for broken in ("{", "[]", "null", json.dumps({"a": "x"}), ""):
        path_of(settings).write_text(broken)
        assert last_uses(settings) == {}
        used(Uses(settings), "aaa")
        assert last_uses(settings) == {"aaa": 10 * HOUR_US}
    path_of(settings).unlink()
    path_of(settings).mkdir()
    used(Uses(settings), "aaa")
    assert last_uses(settings) == {}
