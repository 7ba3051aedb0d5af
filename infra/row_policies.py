"""A role and row policies for people of an organisation who ask ClickHouse themselves: `python -m infra.row_policies ORGANISATION`.

It prints the statements, for an administrator to read and run. The rule is the API's (streams/trust/visibility.py), and stricter where
the API reaches a row by a run alone. The embedded engine has no users, and so no policies.
Source: ClickHouse documentation, CREATE ROLE, GRANT, CREATE ROW POLICY.
"""

import sys
from collections.abc import Iterator
from typing import Final

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


def statements(organisation: str, *, database: str) -> Iterator[str]:
    """The statements that give the role `assay_<organisation>` what its members may read, and nothing else."""
    role, of_header = f"`assay_{organisation}`", OWN_OR_PUBLIC.format(own=literal(organisation))
    rules = {table_of(one).name: "0" if one in NOBODYS else "1" if one in EVERYBODYS else of_header for one in events()}
    rules |= dict.fromkeys(OF_RUNS, OF_SEEN_RUNS.format(requests=f"`{database}`.fact_requests", of_header=of_header))
    yield f"CREATE ROLE IF NOT EXISTS {role}"
    yield f"GRANT SELECT ON `{database}`.* TO {role}"
    for table, rule in sorted(rules.items()):
        yield f"CREATE ROW POLICY OR REPLACE {role} ON `{database}`.{table} USING {rule} TO {role}"


def main() -> None:
    """Prints them."""
    for statement in statements(sys.argv[1], database=Settings().database):
        sys.stdout.write(f"{statement};\n")


if __name__ == "__main__":
    main()
