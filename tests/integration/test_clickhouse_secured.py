"""ClickHouse by TLS, and statements about users and rights read by the engine's own parser; the engine itself has no users."""

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn

from infra.clickhouse import ClickHouse, migrate
from infra.clickhouse_users import API, PROJECT, statements
from infra.embedded.clickhouse import Server
from infra.embedded.engine import Engine, EngineError, Statement
from infra.row_policies import statements as policies
from infra.settings import Settings
from streams.errors import Invalid, Unavailable
from tests.certificates import certificates
from tests.conftest import free_ports
from tests.flow import PATIENCE_S

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The engine, in this process."""
    made = Engine(tmp_path_factory.mktemp("engine"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def by_tls(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings of that engine, which speaks TLS alone."""
    ca, server, _ = certificates(tmp_path_factory.mktemp("certificates"))
    (port,) = free_ports(1)
    serving = uvicorn.Server(uvicorn.Config(Server(engine).app(), host="127.0.0.1", port=port, ssl_certfile=server, log_level="error"))
    thread = threading.Thread(target=serving.run, daemon=True)
    thread.start()
    give_up = time.monotonic() + PATIENCE_S
    while not serving.started:
        assert time.monotonic() < give_up
        time.sleep(0.05)
    yield Settings(clickhouse=f"https://127.0.0.1:{port}", clickhouse_ca=ca)
    serving.should_exit = True
    thread.join(PATIENCE_S)


async def asked(settings: Settings) -> int:
    """What a client with these settings is answered."""
    async with ClickHouse(settings, database="default") as clickhouse:
        return int((await clickhouse.query("SELECT 42 AS n"))[0]["n"])


def test_a_client_by_tls_knows_who_answers(by_tls: Settings) -> None:
    """By who signed its certificate; whoever does not know them asks nothing."""
    assert asyncio.run(asked(by_tls)) == 42
    for other in (by_tls.model_copy(update={"clickhouse_ca": None}), Settings(clickhouse=by_tls.clickhouse.replace("https", "http"))):
        with pytest.raises(Unavailable, match="no ClickHouse at"):
            asyncio.run(asked(other))


def test_who_finds_the_newest_schema_changes_nothing(by_tls: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user that may only read starts: no statement but questions is sent."""

    async def refused(_self: ClickHouse, sql: str) -> None:
        raise AssertionError(sql)

    asyncio.run(migrate(by_tls, database="newest"))
    monkeypatch.setattr(ClickHouse, "command", refused)
    asyncio.run(migrate(by_tls, database="newest"))
    with pytest.raises(AssertionError, match="CREATE DATABASE IF NOT EXISTS other"):
        asyncio.run(migrate(by_tls, database="other"))


@pytest.mark.parametrize("user", [PROJECT, API])
def test_statements_about_users_are_clickhouses(engine: Engine, user: str) -> None:
    """Its parser reads each of them; one that is none is told."""
    told = [*statements(user, "a password", database="assay", salt="ab" * 16), *policies("acme", database="assay")]
    for statement in told:
        outcome = engine.run(Statement("SELECT formatQuery({q:String})", parameters={"q": statement}))
        assert outcome.body.split()[0] in (b"CREATE", b"ALTER", b"GRANT", b"REVOKE")
    with pytest.raises(EngineError):
        engine.run(Statement("SELECT formatQuery({q:String})", parameters={"q": told[0].replace("IDENTIFIED", "KNOWN")}))


def test_a_password_s_hash_is_clickhouses(engine: Engine) -> None:
    """As its own functions work it out of the password with the salt behind it."""
    told = next(statements(API, "a password", database="assay", salt="ab" * 16))
    sql = "SELECT lower(hex(SHA256(concat({p:String}, {s:String}))))"
    digest = engine.run(Statement(sql, parameters={"p": "a password", "s": "ab" * 16})).body.strip().decode()
    assert len(digest) == 64 and f"BY '{digest}' SALT" in told


def test_a_password_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """By its setting, before anything is asked."""
    with pytest.raises(Invalid, match="ASSAY_CLICKHOUSE_PASSWORD_FILE"):
        asyncio.run(asked(Settings(clickhouse_password_file=tmp_path / "none")))
