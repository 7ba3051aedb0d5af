"""The machinery: agents that are alive, and records that could not be processed."""

from pydantic import Field

from query_api.routing import Call, Operation
from query_api.shapes import Nothing, Shape


class AgentRow(Shape):
    """An agent as its last heartbeat told it; `running`, `models_held`, `devices` and `capabilities` are JSON."""

    pool: str
    agent_id: str
    incarnation: int
    seen_us: int
    alive: bool
    running: str
    models_held: str
    devices: str
    free_bytes: int
    total_bytes: int
    draining: bool
    capabilities: str


class Agents(Shape):
    """The agents that are alive."""

    agents: tuple[AgentRow, ...]


class LettersAsked(Shape):
    """Which dead letters."""

    limit: int = Field(default=50, ge=1, le=500, description="how many at most")


class Letter(Shape):
    """A record that could not be decoded or processed: where it lies, why, and its bytes (base64)."""

    topic: str
    partition: int
    offset: int
    reason_code: str
    message: str
    written_us: int
    payload: str


class Letters(Shape):
    """Dead letters, the newest first."""

    dead_letters: tuple[Letter, ...]


async def agents(call: Call[Nothing, Nothing]) -> Agents:
    """Lists the agents that are alive."""
    return Agents.model_validate({"agents": await call.state.reading.rows("agents")})


async def dead_letters(call: Call[LettersAsked, Nothing]) -> Letters:
    """Lists the records that could not be processed, the newest first."""
    return Letters.model_validate({"dead_letters": await call.state.reading.rows("dead_letters", limit=call.query.limit)})


OPERATIONS = (
    Operation("GET", "/v1/agents", agents, tag="cluster"),
    Operation("GET", "/v1/dead-letters", dead_letters, tag="cluster"),
)
