"""ClickHouse: the schema's migrations, inserts and queries. `python -m infra.clickhouse` writes the facts' DDL from the models."""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import clickhouse_connect

from infra.clickhouse_faults import FAULTS, UNWRITABLE, ClickHouseError, OutOfMemory, fault_of
from infra.identity import now_us
from infra.proving import password_of
from infra.settings import Settings
from schemas.catalogue import EVENTS
from streams.errors import Unavailable
from streams.projection import Table, facts_ddl

DDL = Path(__file__).parent / "ddl"
FACTS = DDL / "0001_facts.sql"
MIGRATIONS = "migrations"
# The tables of a database that a user may see, and an empty name where it is there.
TABLES = (
    "SELECT name FROM system.tables WHERE database = {database:String}"
    " UNION ALL SELECT '' AS name FROM system.databases AS one WHERE one.name = {database:String}"
)
# After so long, who began to migrate has ended.
MIGRATING_S = 300
Rows = list[dict[str, Any]]


class ClickHouse:
    """A connection to one database. Use it as an async context manager."""

    def __init__(self, settings: Settings, *, database: str | None = None) -> None:
        self._settings = settings
        self.database = database or settings.database
        self._client: Any = None
        self._connecting = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._client is not None:
            await self._client.close()

    async def query(self, sql: str, parameters: Mapping[str, Any] | None = None, *, filters: str = "") -> Rows:
        """The rows as dicts. Parameters are bound as `{name:Type}`. `filters`: what of each table is read, as Seen.filters gives it.

        Raises: Unavailable, ClickHouseError.
        """
        settings = {"additional_table_filters": filters} if filters else {}
        result = await self._do("query", sql, parameters=dict(parameters or {}), settings=settings)
        return [dict(zip(result.column_names, values, strict=True)) for values in result.result_rows]

    async def command(self, sql: str) -> None:
        """Runs a statement that has no rows. Raises: Unavailable, ClickHouseError."""
        await self._do("command", sql)

    async def insert(self, table: Table, rows: Sequence[Sequence[Any]]) -> None:
        """Inserts rows in the table's column order; they are durable when this returns. Where memory runs out, half at a time.

        Raises: Unavailable, RowsRefused where a row itself cannot be stored, ClickHouseError.
        """
        names, types = list(table.columns), list(table.columns.values())
        try:
            await self._do("insert", table.name, rows, column_names=names, column_type_names=types)
        except OutOfMemory:
            if len(rows) == 1:
                raise
            middle = len(rows) // 2
            await self.insert(table, rows[:middle])
            await self.insert(table, rows[middle:])

    async def _do(self, method: str, *arguments: Any, **named: Any) -> Any:
        inserting = method == "insert"
        faults = FAULTS + UNWRITABLE if inserting else FAULTS
        try:
            async with self._connecting:  # of several first statements at once, one connects
                self._client = self._client or await self._connect()
            return await getattr(self._client, method)(*arguments, **named)
        except faults as error:
            raise fault_of(error, server=self._settings.clickhouse, inserting=inserting) from error

    async def _connect(self) -> Any:
        address, settings = urlsplit(self._settings.clickhouse), self._settings
        return await clickhouse_connect.get_async_client(
            host=address.hostname, port=address.port, secure=address.scheme == "https", username=settings.clickhouse_user,
            ca_cert=str(settings.clickhouse_ca) if settings.clickhouse_ca else None, password=password_of("clickhouse", settings),
            database=self.database, autogenerate_session_id=False,
            # What stalls is waited for, and tried again, long before a processor that waits for it is taken for one that hangs.
            send_receive_timeout=max(10, round(settings.hang_s / 3)),
        )  # fmt: skip


def statements(sql: str) -> list[str]:
    """The statements of a file, without comments."""
    lines = [line for line in sql.splitlines() if not line.lstrip().startswith("--")]
    return [statement.strip() for statement in "\n".join(lines).split(";") if statement.strip()]


async def migrate(settings: Settings, *, database: str | None = None) -> None:
    """Brings a database to the newest schema; does nothing where it is there.

    Raises: Unavailable, also while another process does it; ClickHouseError.
    """
    name = database or settings.database
    async with ClickHouse(settings, database="system") as server:  # whose users may all ask it what they may see
        there = {row["name"] for row in await server.query(TABLES, {"database": name})}
        if "" not in there:
            await server.command(f"CREATE DATABASE IF NOT EXISTS {name}")
    async with ClickHouse(settings, database=name) as own:
        if MIGRATIONS not in there:
            await own.command(
                f"CREATE TABLE IF NOT EXISTS {MIGRATIONS} (name String, sha String, applied_us Int64) ENGINE = MergeTree ORDER BY name"
            )
        if not await _left(own):
            return
        await _alone(own)
        try:
            for path, sha in await _left(own):
                for statement in statements(path.read_text()):
                    await own.command(statement)
                await own.command(f"INSERT INTO migrations VALUES ('{path.name}', '{sha}', {now_us()})")  # noqa: S608  # names of our own files
        finally:
            await own.command("DROP TABLE IF EXISTS migrating")


async def _left(own: ClickHouse) -> list[tuple[Path, str]]:
    """The migrations that the database lacks, each with its SHA-256."""
    applied = {(row["name"], row["sha"]) for row in await own.query("SELECT name, sha FROM migrations")}
    every = [(path, hashlib.sha256(path.read_bytes()).hexdigest()) for path in sorted(DDL.glob("*.sql"))]
    return [(path, sha) for path, sha in every if (path.name, sha) not in applied]


async def _alone(own: ClickHouse) -> None:
    """Takes the database for migrating: some migrations move tables, and two that do would get into each other's way.

    Of several that create one table, one does. A table that was left by a process that ended in the midst goes after a while.
    Raises: Unavailable, where another has it.
    """
    try:
        await own.command("CREATE TABLE migrating (dummy UInt8) ENGINE = Memory")
    except ClickHouseError as error:
        if "TABLE_ALREADY_EXISTS" not in str(error):
            raise
        ages = "SELECT now() - metadata_modification_time AS s FROM system.tables WHERE database = currentDatabase() AND name = 'migrating'"
        if any(row["s"] > MIGRATING_S for row in await own.query(ages)):
            await own.command("DROP TABLE IF EXISTS migrating")
        raise Unavailable(f"another process brings database {own.database} to the newest schema") from error


if __name__ == "__main__":
    FACTS.write_text(facts_ddl(list(EVENTS.values())))
