"""Bringing a database to the newest schema, whoever does it at the same time."""

import asyncio

import pytest

from infra.clickhouse import DDL, ClickHouse, migrate
from infra.retrying import until_available
from infra.settings import Settings
from streams.errors import Unavailable

pytestmark = pytest.mark.integration


def test_several_that_start_together_bring_it_there_once(stack: Settings) -> None:
    """As the projectors and the API do: each returns when all is there, and tables lie by place."""
    own = stack.model_copy(update={"database": "together"})

    async def act() -> tuple[list[str], dict[str, str], set[str]]:
        await asyncio.gather(*(until_available(lambda: migrate(own), what="clickhouse") for _ in range(4)))
        async with ClickHouse(own) as clickhouse:
            applied = await clickhouse.query("SELECT name FROM migrations ORDER BY name")
            tables = await clickhouse.query("SELECT name, sorting_key FROM system.tables WHERE database = currentDatabase()")
        return [row["name"] for row in applied], {row["name"]: row["sorting_key"] for row in tables}, {row["name"] for row in tables}

    applied, keys, names = asyncio.run(act())
    assert applied == [path.name for path in sorted(DDL.glob("*.sql"))]
    assert "migrating" not in names and not [name for name in names if name.startswith("placed_")]
    assert keys["fact_scores"] == "run_id, task, ordinal, repeat, filter, metric, scorer_version"


def test_while_another_does_it_there_is_nothing_to_do_but_wait(stack: Settings) -> None:
    """And what is there already needs nobody's leave."""
    own = stack.model_copy(update={"database": "taken"})

    async def act() -> None:
        async with ClickHouse(own.model_copy(update={"database": "default"})) as server:
            await server.command("CREATE DATABASE IF NOT EXISTS taken")
            await server.command("CREATE TABLE taken.migrating (dummy UInt8) ENGINE = Memory")
            with pytest.raises(Unavailable, match="another process brings database taken"):
                await migrate(own)
            await server.command("DROP TABLE taken.migrating")
            await migrate(own)
            await server.command("CREATE TABLE taken.migrating (dummy UInt8) ENGINE = Memory")
            await migrate(own)

    asyncio.run(act())
