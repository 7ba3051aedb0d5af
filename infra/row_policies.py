"""A role and row policies for people of an organisation who ask ClickHouse themselves: `python -m infra.row_policies ORGANISATION`.

It prints the statements, for an administrator to read and run. The rule is the API's (streams/trust/visibility.py), and stricter where
the API reaches a row by a run alone. What the role may read is named, one by one: the tables that have a policy, and the views over them,
which read as who asks. A materialized view reads its table as who made it, past that table's policies; nobody is granted one.
The embedded engine has no users, and so no policies.
Source: ClickHouse documentation, CREATE ROLE, GRANT, CREATE ROW POLICY, CREATE VIEW (SQL security: INVOKER, and DEFINER if materialized).
"""

import re
import sys
from collections.abc import Iterator
from typing import Final

from infra.clickhouse import DDL
from infra.settings import Settings
from schemas.event import Event
from schemas.jobs import AgentBeat, DispatcherBeat, DispatcherTook, EnvironmentSeen
from schemas.results import PricePublished, RankingChanged
from schemas.trust import AccessChanged
from streams.projection import table_of
from streams.trust.visibility import OF_RUNS, OF_SEEN_RUNS, OWN_OR_PUBLIC, events, literal

EVERYBODYS: Final[tuple[type[Event], ...]] = (DispatcherBeat, DispatcherTook, EnvironmentSeen, PricePublished)
# Rows about many organisations' runs, and keys' hashes: the API tells of boards and agents what each may see.
NOBODYS: Final[tuple[type[Event], ...]] = (AccessChanged, AgentBeat, RankingChanged)
VIEW: Final = re.compile(r"^CREATE (?:OR REPLACE )?VIEW (?:IF NOT EXISTS )?(\w+)", re.MULTILINE)


def statements(organisation: str, *, database: str) -> Iterator[str]:
    """The statements that give the role `assay_<organisation>` what its members may read, and nothing else."""
    role, of_header = f"`assay_{organisation}`", OWN_OR_PUBLIC.format(own=literal(organisation))
    rules = {table_of(one).name: "0" if one in NOBODYS else "1" if one in EVERYBODYS else of_header for one in events()}
    rules |= dict.fromkeys(OF_RUNS, OF_SEEN_RUNS.format(requests=f"`{database}`.fact_requests", of_header=of_header))
    yield f"CREATE ROLE IF NOT EXISTS {role}"
    yield f"REVOKE ALL ON *.* FROM {role}"
    for table, rule in sorted(rules.items()):
        yield f"CREATE ROW POLICY OR REPLACE {role} ON `{database}`.{table} USING {rule} TO {role}"
    yield f"GRANT {', '.join(f'SELECT ON `{database}`.{one}' for one in sorted({*rules, *views()}))} TO {role}"


def views() -> set[str]:
    """The views of the newest schema, without the materialized ones."""
    return {name for path in DDL.glob("*.sql") for name in VIEW.findall(path.read_text())}


def main() -> None:
    """Prints them."""
    for statement in statements(sys.argv[1], database=Settings().database):
        sys.stdout.write(f"{statement};\n")


if __name__ == "__main__":
    main()
