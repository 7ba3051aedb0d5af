"""What the server really did, a line a request, on its monotonic clock; and whether it kept to its own schedule."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

MOST_LATE_NS: Final = 200_000


@dataclass(slots=True)
class Sent:
    """One request: when its first byte came, and of each chunk with tokens when it was due, when it went, and how many tokens it held.

    `asked`: what the request's body said beside its prompt. `blocked`: the client did not read, so that bytes waited here.
    `ended_ns`: when the answer had ended, or its connection was lost.
    """

    request_id: str
    number: int
    path: str
    received_ns: int
    status: int = 200
    prompt_tokens: int = 0
    cached_tokens: int = 0
    prompt_sha: str = ""
    due_ns: list[int] = field(default_factory=list)
    sent_ns: list[int] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    blocked: bool = False
    asked: dict[str, Any] = field(default_factory=dict)
    ended_ns: int | None = None

    def told(self) -> dict[str, Any]:
        """As a line of JSON holds it."""
        return {name: getattr(self, name) for name in self.__slots__}


def sent(told: dict[str, Any]) -> Sent:
    """A line's request."""
    return Sent(**told)


def lateness_ns(requests: Iterable[Sent]) -> list[int]:
    """By how much each chunk went later than it was due."""
    return [went - due for one in requests for due, went in zip(one.due_ns, one.sent_ns, strict=False)]


def p99_ns(values: Sequence[int]) -> int | None:
    """The smallest value that 99 % do not exceed; None of none."""
    return sorted(values)[math.ceil(len(values) * 0.99) - 1] if values else None


def void(requests: Sequence[Sent]) -> str | None:
    """Why nothing can be held to these requests; None where they can be trusted."""
    late = p99_ns(lateness_ns(requests))
    if late is None:
        return "the server sent no token"
    if late > MOST_LATE_NS:
        return f"the server itself was {late / 1e6:.2f} ms late (p99), above {MOST_LATE_NS / 1e6} ms"
    blocked = sum(one.blocked for one in requests)
    return f"{blocked} clients did not read what was sent" if blocked else None
