"""ClickHouse's users: what each process may do there, and that no password is printed."""

import hashlib
import re
import sys
from pathlib import Path

import pytest

from infra import clickhouse_users
from infra.clickhouse_users import API, PROJECT, statements
from schemas.catalogue import EVENTS
from streams.projection import table_of
from streams.trust.visibility import OF_RUNS


@pytest.mark.parametrize("user", [PROJECT, API])
def test_a_user_is_made_by_a_salted_hash(user: str) -> None:
    """SHA-256 of the password with the salt behind it; made again, it gets what is said last, and what it had before is taken."""
    told = list(statements(user, "s3cret", database="d", salt="ab" * 16))
    digest = hashlib.sha256(b"s3cret" + b"ab" * 16).hexdigest()
    assert f"BY '{digest}' SALT '{'ab' * 16}'" in told[0] and "s3cret" not in "".join(told)
    assert told[2] == f"REVOKE ALL ON *.* FROM `{user}`"
    assert told.index(told[2]) < min(n for n, one in enumerate(told) if one.startswith("GRANT"))


def test_the_api_can_change_nothing_and_both_see_every_row() -> None:
    """A policy for every table that has one for anybody."""
    for user, rights in ((API, "SELECT, SHOW"), (PROJECT, "SELECT, INSERT, ALTER, CREATE, DROP, TRUNCATE, OPTIMIZE, SHOW")):
        told = list(statements(user, "p", database="d", salt="00"))
        granted = [one for one in told if one.startswith("GRANT") and "system." not in one]
        assert granted == [f"GRANT {rights} ON `d`.* TO `{user}`"]
        policies = [one for one in told if one.startswith("CREATE ROW POLICY")]
        assert {re.findall(r"`d`\.(\w+) USING 1", one)[0] for one in policies} == {table_of(one).name for one in EVENTS.values()} | {
            *OF_RUNS
        }


def test_the_command_prints_no_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """It reads them from files, and draws a salt each time."""
    for name in ("project", "api"):
        (tmp_path / name).write_text(f"secret-of-{name}\n")
    monkeypatch.setattr(sys, "argv", ["x", "--project", str(tmp_path / "project"), "--api", str(tmp_path / "api")])
    printed = []
    for _ in range(2):
        clickhouse_users.main()
        printed.append(capsys.readouterr().out)
    assert "secret-of" not in printed[0] and printed[0] != printed[1]
    assert all(line.endswith(";") for line in printed[0].splitlines())


@pytest.mark.parametrize(("told", "why"), [
    (b"", "ClickHouse's user assay_api has an empty password"), (b"\n", "has an empty password"), (b"\xff", "cannot be used"),
    (None, "No such file"),
])  # fmt: skip
def test_a_user_without_a_password_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], told: bytes | None, why: str
) -> None:
    """Anybody would be it; nothing is printed, so that nothing is run."""
    (tmp_path / "project").write_text("secret")
    if told is not None:
        (tmp_path / "api").write_bytes(told)
    monkeypatch.setattr(sys, "argv", ["x", "--project", str(tmp_path / "project"), "--api", str(tmp_path / "api")])
    with pytest.raises(SystemExit, match=why):
        clickhouse_users.main()
    assert capsys.readouterr().out == ""
