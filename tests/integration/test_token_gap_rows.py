"""Rows of token timings from before gaps become, by their migration, the rows that a replay of the same events gives."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.clickhouse import DDL, statements
from infra.embedded.engine import Engine, Statement
from schemas.event import Producer
from schemas.measurements import TokensTimed
from streams.projection import ddl, row, table_of
from tests.runs import run_named

pytestmark = [pytest.mark.integration, pytest.mark.slow]
MIGRATION = "0047_token_gaps.sql"
TOLD = ("arrival_ns", "tokens_per_arrival", "first_ns", "usual_gap_ns", "gap_ns")
# When each came, and how many tokens it brought, as records told it.
ROWS: list[tuple[list[int], list[int]]] = [
    ([10, 20, 35], [1, 1, 1]), ([10, 20], [2, 1]), ([1, 4, 6, 7], [1, 1, 1, 1]), ([1, 4, 6, 7, 20], [1, 1, 1, 1, 1]), ([], []), ([5], [1]),
    ([5, 6, 7], [1]), ([5], []), ([2**63 - 1, -(2**63)], [1, 1]),
]  # fmt: skip


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """A database with these rows, as it was before the migration."""
    made = Engine(tmp_path / "clickhouse")
    table, view = statements(ddl(TokensTimed))
    older = re.sub(r"    (first_ns|usual_gap_ns|gap_ns) .*\n", "", table).replace(
        "tokens_per_arrival Array(Int64) CODEC(ZSTD)", "tokens_per_arrival String"
    )
    for statement in (older, view):
        made.run(Statement(statement))
    for number, (arrived, brought) in enumerate(ROWS):
        values = (
            f"'i{number}', 'local', 'organisation', 1, 'p', NULL, 'r', 'j', 1, {number}, 0, 0, 0, '{_text(arrived)}', '{_text(brought)}'"
        )
        made.run(Statement(f"INSERT INTO fact_token_timings VALUES ({values}, 0, {number}, {number}, 0)"))
    yield made
    made.close()


def _text(numbers: list[int]) -> str:
    return json.dumps(numbers, separators=(",", ":"))


def asked(engine: Engine, sql: str) -> list[list[Any]]:
    """The rows."""
    told = engine.run(Statement(f"{sql} FORMAT JSONCompactEachRow SETTINGS output_format_json_quote_64bit_integers = 0")).body
    return [json.loads(line) for line in told.splitlines()]


def test_migrated_rows_are_those_of_a_replay(engine: Engine) -> None:
    """Also where it is applied twice; the view tells when each came."""
    for _ in range(2):
        for statement in statements((DDL / MIGRATION).read_text()):
            engine.run(Statement(statement))
    found = asked(engine, f"SELECT {', '.join(TOLD)} FROM fact_token_timings ORDER BY request_index")
    expected, times = [], []
    for number, (arrived, brought) in enumerate(ROWS):
        one = TokensTimed(
            occurred_us=1, producer=Producer(service="p", version="1"), run_id=run_named("r"), job_id="j", attempt=1, request_index=number,
            sequence=0, chunk=0, first_token=0, arrival_ns=tuple(arrived), tokens_per_arrival=tuple(brought),
        )  # fmt: skip
        cells = dict(zip(table_of(TokensTimed).columns, row(one, partition=0, offset=0, written_us=0), strict=True))
        expected.append([list(cell) if isinstance(cell := cells[name], tuple) else cell for name in TOLD])
        times.append([list(one.arrivals[0])])
    assert found == expected
    assert asked(engine, "SELECT arrival_ns FROM token_timings ORDER BY request_index") == times
