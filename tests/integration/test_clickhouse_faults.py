"""What ClickHouse says is wrong, and what becomes of it: the real engine is brought to each state that it can be brought to."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest

from infra.clickhouse import ClickHouse
from infra.clickhouse_faults import REFUSED, WAITED, ClickHouseError, OutOfMemory, RowsRefused
from infra.settings import Settings
from streams.errors import AssayError, Unavailable
from streams.projection import Table

pytestmark = pytest.mark.integration
T = TypeVar("T")


def asked(stack: Settings, act: Callable[[ClickHouse], Awaitable[T]]) -> T:
    """What an act on the real engine gives."""

    async def run() -> T:
        async with ClickHouse(stack, database="default") as clickhouse:
            return await act(clickhouse)

    return asyncio.run(run())


async def fault(statement: Awaitable[Any]) -> AssayError:
    """What a statement fails with."""
    with pytest.raises(AssayError) as raised:
        await statement
    return raised.value


def test_codes_have_the_names_that_the_engine_gives_them(stack: Settings) -> None:
    """None is known by a wrong number."""
    known = {code: name for code, (name, _) in {**WAITED, **REFUSED}.items()}
    sql = "SELECT toUInt32(c) AS code, errorCodeToName(c) AS name FROM (SELECT arrayJoin({codes:Array(Int16)}) AS c)"
    told = asked(stack, lambda clickhouse: clickhouse.query(sql, {"codes": list(known)}))
    assert {row["code"]: row["name"] for row in told} == known
    assert not WAITED.keys() & REFUSED.keys()


def test_each_code_is_waited_for_or_not_as_the_table_says(stack: Settings) -> None:
    """The engine raises every one of them; what is in no table is a statement's fault, and so is a row's in a query."""
    other = {47: "UNKNOWN_IDENTIFIER", 60: "UNKNOWN_TABLE", 16: "NO_SUCH_COLUMN_IN_TABLE", 62: "SYNTAX_ERROR"}

    async def act(clickhouse: ClickHouse) -> dict[int, AssayError]:
        sql = "SELECT throwIf(1, 'as told', {}::Int16) SETTINGS allow_custom_error_code_in_throwif = 1"
        return {code: await fault(clickhouse.query(sql.format(code))) for code in [*WAITED, *REFUSED, *other]}

    told = asked(stack, act)
    assert {code for code, error in told.items() if isinstance(error, Unavailable)} == set(WAITED)
    assert {type(told[code]) for code in [*REFUSED, *other]} == {ClickHouseError}
    assert all(wrong in str(told[code]) and name in str(told[code]) for code, (name, wrong) in WAITED.items())


@pytest.mark.parametrize(("statement", "says"), [
    ("SELECT uniqExact(toString(number)) FROM numbers(10000000) SETTINGS max_memory_usage = 1000000", "memory limit"),
    ("SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1 SETTINGS max_execution_time = 0.05", "too slow"),
    ("INSERT INTO few_parts SETTINGS readonly = 1 VALUES (1)", "may only read"),
    ("INSERT INTO few_parts VALUES (1)", "merging is behind"),
    ("INSERT INTO no_space VALUES (1)", "disk is full"),
])  # fmt: skip
def test_a_state_that_passes_is_waited_for(stack: Settings, statement: str, says: str) -> None:
    """Out of memory, out of time, read-only, too many parts, no space: as the engine itself comes into them."""

    async def act(clickhouse: ClickHouse) -> AssayError:
        few = "parts_to_delay_insert = 1, parts_to_throw_insert = 1"
        table = "CREATE OR REPLACE TABLE {} (n UInt8) ENGINE = MergeTree ORDER BY n SETTINGS {}"
        await clickhouse.command(table.format("few_parts", few))
        await clickhouse.command("INSERT INTO few_parts VALUES (1)")
        await clickhouse.command(table.format("no_space", "min_free_disk_bytes_to_perform_insert = 1000000000000000"))
        return await fault(clickhouse.command(statement))

    error = asked(stack, act)
    assert isinstance(error, Unavailable)
    assert says in str(error)


@pytest.mark.parametrize(
    "row",
    [[2**70, "x"], [None, "x"], [1, 5.5], [1, "\ud800"]],
    ids=["huge", "null", "number", "surrogate"],
)
def test_a_row_that_cannot_be_stored_is_given_up_and_says_so(stack: Settings, row: list[Any]) -> None:
    """Its batch is taken apart until it alone is the dead letter; the rows beside it are stored."""
    table = Table("rows_taken", {"n": "UInt8", "t": "String"}, ("n",), {})

    async def act(clickhouse: ClickHouse) -> tuple[AssayError, Any]:
        await clickhouse.command("CREATE OR REPLACE TABLE rows_taken (n UInt8, t String) ENGINE = MergeTree ORDER BY n")
        error = await fault(clickhouse.insert(table, [row]))
        await clickhouse.insert(table, [[1, "a"]])
        return error, await clickhouse.query("SELECT n, t FROM rows_taken")

    error, stored = asked(stack, act)
    assert isinstance(error, RowsRefused), error
    assert stored == [{"n": 1, "t": "a"}]


def test_rows_that_are_refused_by_the_engine_itself_are_given_up(stack: Settings) -> None:
    """What only the server can know."""
    table = Table("constrained", {"n": "UInt8"}, ("n",), {})

    async def act(clickhouse: ClickHouse) -> AssayError:
        await clickhouse.command(
            "CREATE OR REPLACE TABLE constrained (n UInt8, CONSTRAINT small CHECK n < 5) ENGINE = MergeTree ORDER BY n"
        )
        return await fault(clickhouse.insert(table, [[9]]))

    error = asked(stack, act)
    assert isinstance(error, RowsRefused)
    assert "breaks a constraint" in str(error)


def test_rows_for_which_memory_is_too_small_at_once_are_inserted_in_parts(stack: Settings) -> None:
    """And where not even one fits, it is waited for."""
    table = Table("wide", {"t": "String"}, ("t",), {})

    class Small(ClickHouse):
        """A client whose inserts have little memory."""

        async def _connect(self) -> Any:
            client = await super()._connect()
            client.set_client_setting("max_memory_usage", 12_000_000)
            return client

    async def act() -> Any:
        async with Small(stack, database="default") as clickhouse:
            await clickhouse.command("CREATE OR REPLACE TABLE wide (t String) ENGINE = MergeTree ORDER BY t")
            await clickhouse.insert(table, [[f"{n}" + "x" * 1_000_000] for n in range(12)])
            error = await fault(clickhouse.insert(table, [["x" * 30_000_000]]))
            return error, await clickhouse.query("SELECT count() AS n FROM wide")

    error, stored = asyncio.run(act())
    assert stored == [{"n": 12}]
    assert isinstance(error, OutOfMemory)
