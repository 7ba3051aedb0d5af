"""The machinery: agents that are alive, and records that could not be processed."""

from typing import Final, Literal

from pydantic import Field, Json

from query_api.operations.routing import Call, Operation
from query_api.operations.shapes import Nothing, Shape
from query_api.reading.paging import Listing, Paged
from schemas.jobs import Device, Running

AGENTS: Final = Listing("agent_list", sorts={"pool": "String", "seen_us": "Int64"}, key={"pool": "String", "agent_id": "String"})
LETTERS: Final = Listing(
    "dead_letter_list",
    sorts={"written_us": "Int64"},
    key={"topic": "String", "partition": "Int64", "offset": "Int64", "reason_code": "String"},
)


class AgentsAsked(Paged):
    """Which agents."""

    pool: str = Field(default="", description="only those of this pool")
    sort: Literal["pool", "-pool", "seen_us", "-seen_us"] = Field(default="pool", description="by pool and name, or by the last heartbeat")


class AgentRow(Shape):
    """An agent as its last heartbeat told it."""

    pool: str
    agent_id: str
    incarnation: int
    seen_us: int
    alive: bool
    running: Json[tuple[Running, ...]]
    models_held: Json[tuple[str, ...]]
    devices: Json[tuple[Device, ...]]
    free_bytes: int
    total_bytes: int
    draining: bool
    capabilities: Json[tuple[str, ...]]


class AgentPage(Shape):
    """Agents that are alive."""

    agents: tuple[AgentRow, ...]
    next: str | None = Field(description="the next page's cursor; null at the end")


class LettersAsked(Paged):
    """Which dead letters."""

    topic: str = Field(default="", description="only those that came from this topic")
    reason_code: str = Field(default="", description="only those with this reason")
    sort: Literal["written_us", "-written_us"] = Field(default="-written_us", description="by when it was said")


class Letter(Shape):
    """A record that could not be decoded or processed: where it lies, why, and its bytes (base64).

    Of a record that no letter can hold, these are the first; `payload_bytes` says how many there are in all.
    """

    topic: str
    partition: int
    offset: int
    reason_code: str
    message: str
    written_us: int
    payload: str
    payload_bytes: int | None = Field(default=None, description="the record's size, where `payload` is its beginning only")


class LetterPage(Shape):
    """Dead letters, in the order asked for."""

    dead_letters: tuple[Letter, ...]
    next: str | None = Field(description="the next page's cursor; null at the end")


async def agents(call: Call[AgentsAsked, Nothing]) -> AgentPage:
    """Lists the agents that are alive."""
    found, next_page = await call.state.reading.page(AGENTS, **call.query.model_dump())
    return AgentPage.model_validate({"agents": found, "next": next_page})


async def dead_letters(call: Call[LettersAsked, Nothing]) -> LetterPage:
    """Lists the records that could not be processed, the newest first."""
    found, next_page = await call.state.reading.page(LETTERS, **call.query.model_dump())
    return LetterPage.model_validate({"dead_letters": found, "next": next_page})


OPERATIONS = (
    Operation("GET", "/v1/agents", agents, tag="cluster"),
    Operation("GET", "/v1/dead-letters", dead_letters, tag="cluster"),
)
