"""Which of a run's costs is shown, in the real engine: that of its final result, also where that of an earlier one comes after it."""

import json
from collections.abc import Iterator

import pytest

from infra.clickhouse import DDL
from infra.embedded.engine import Engine, Statement

pytestmark = pytest.mark.integration
TABLES = ("fact_costs", "fact_prices")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The engine with the tables of costs and prices, the view over them as it is by now, and two prices."""
    found = Engine(tmp_path_factory.mktemp("engine"))
    facts = (DDL / "0001_facts.sql").read_text().split(";")
    for table in TABLES:
        found.run(Statement(next(one for one in facts if f"CREATE TABLE IF NOT EXISTS {table} (" in one)))
    views = sorted(path for path in DDL.glob("*.sql") if "VIEW cost_figures AS" in path.read_text())
    found.run(Statement(next(one for one in views[-1].read_text().split(";") if "VIEW cost_figures AS" in one)))
    for version in ("1", "2"):
        found.run(Statement(f"INSERT INTO fact_prices (event_id, version, occurred_us) VALUES ('p{version}', '{version}', {version})"))
    yield found
    found.close()


COSTS = [("1", True, 1.0), ("1", False, 2.0), ("2", False, 3.0)]


@pytest.mark.parametrize("told", [COSTS, COSTS[::-1]], ids=["final first", "final last"])
def test_the_final_result_s_cost_is_shown(engine: Engine, told: list[tuple[str, bool, float]]) -> None:
    """And a version that only an earlier result was reckoned with is not the newest."""
    run_id = f"run {told[0][2]}"
    for offset, (version, complete, value) in enumerate(told):
        figures = json.dumps([{"metric": "run_usd_nano", "value": value}])
        row = f"('{run_id} {offset}', '{run_id}', 'cost-5', '{version}', {complete}, '{figures}', {offset})"
        names = "event_id, run_id, formula_version, price_version, complete, figures, log_offset"
        engine.run(Statement(f"INSERT INTO fact_costs ({names}) VALUES {row}"))
    asked = f"SELECT price_version, value, newest FROM cost_figures WHERE run_id = '{run_id}' ORDER BY price_version"
    shown = [json.loads(line) for line in engine.run(Statement(asked, output_format="JSONCompactEachRow")).body.splitlines()]
    assert shown == [["1", 1.0, True], ["2", 3.0, False]]
