"""Who may see what: a run is its organisation's, and only what is public is told beyond it.

Every event says in its header whose it is, and whether it is public. Whoever asks sees what is public and what is their
organisation's; where no key is wanted, all. This is the one rule: ClickHouse applies it as a filter of every table that a query reads
(`filters`), the live stream to every event (`seen_by`), and people who ask ClickHouse themselves have it as row policies.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final, TypeVar

from schemas.builds import ContentPublished, SampleBuilt, TaskBuilt
from schemas.event import Event, Visibility
from schemas.jobs import AgentBeat, DispatcherBeat, DispatcherTook, EnvironmentSeen
from schemas.results import PricePublished, RankingChanged
from streams.projection import table_of
from streams.topics import JOBS_DEFAULT, TOPICS

# What is nobody's own: the machines that all share and their prices; what a task asks, and where a board stands, which are reached by a
# run only, and by views that leave out the rows of others' runs.
SHARED: Final[tuple[type[Event], ...]] = (
    AgentBeat, DispatcherBeat, DispatcherTook, EnvironmentSeen, PricePublished, TaskBuilt, SampleBuilt, ContentPublished, RankingChanged,
)  # fmt: skip
# Kept beside the facts without their headers: they are of the runs that they name.
OF_RUNS: Final = ("sample_sets", "sample_order")
# Views over what all share, and the same without what may not be seen.
NARROWED: Final[Mapping[str, str]] = {"newest_boards": "seen_boards", "ranking_rows": "seen_ranking_rows", "agents_alive": "seen_agents"}
OWN_OR_PUBLIC: Final = "organisation_id = {own} OR visibility = 'public'"
OF_SEEN_RUNS: Final = "run_id IN (SELECT run_id FROM {requests} WHERE {of_header})"
E = TypeVar("E", bound=Event)


@dataclass(frozen=True, slots=True)
class Seen:
    """What somebody may see: what is public and this organisation's own; all, where it is None."""

    organisation: str | None = None

    @property
    def all(self) -> bool:
        """Nothing is kept from them."""
        return self.organisation is None

    def owns(self, organisation: str) -> bool:
        """What is that organisation's is theirs."""
        return self.organisation in (None, organisation)

    def may(self, organisation: str, visibility: Visibility) -> bool:
        """They may see what is that organisation's, and told so."""
        return visibility == "public" or self.owns(organisation)

    def takes(self, event: Event) -> bool:
        """They may see the event."""
        return self.may(event.organisation_id, event.visibility)

    def filters(self) -> str:
        """ClickHouse's `additional_table_filters` that leave them what they may see, as a map in SQL; nothing where that is all.

        They hold wherever a query reads the table: in views, joins and subqueries too.
        Source: ClickHouse documentation, Session settings, additional_table_filters.
        """
        return _map(conditions(self.organisation)) if self.organisation is not None else ""


ALL: Final = Seen()


def seen_by(seen: Seen, event: E) -> E | None:
    """The event as it may be told to them; None where it may not. A board has the rows of many: that it has changed is told, and no row."""
    if not seen.takes(event):
        return None
    if isinstance(event, RankingChanged) and not seen.all:
        return event.model_copy(update={"rows": (), "runs": (), "tasks": ()})
    return event


@cache
def conditions(organisation: str) -> Mapping[str, str]:
    """Of each table that is not shared the SQL condition that a row may be seen by a member of that organisation."""
    of_header = OWN_OR_PUBLIC.format(own=literal(organisation))
    own = dict.fromkeys(sorted({table_of(one).name for one in events() if one not in SHARED}), of_header)
    return own | dict.fromkeys(OF_RUNS, OF_SEEN_RUNS.format(requests="fact_requests", of_header=of_header))


def events() -> tuple[type[Event], ...]:
    """Every event that has a table."""
    return tuple(topic.event for topic in (*TOPICS, JOBS_DEFAULT))


def _map(of_tables: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{literal(table)}: {literal(condition)}" for table, condition in of_tables.items()) + "}"


def literal(text: str) -> str:
    """A text as SQL has it."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
