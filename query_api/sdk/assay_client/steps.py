"""The client without its I/O: every call is a generator of steps, which the blocking and the awaiting client carry out alike.

A step is a request to send, or a pause. What comes back into the generator is the answer, or the transport's error; what the generator
returns is the call's result. Retries, waiting and paging are thus written once.
"""

import json
import random
import time
import uuid
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

import httpx
from pydantic import BaseModel

from assay_client.errors import TimedOut, Unavailable, Unsuccessful, refusal
from assay_client.models import Run

OVER = frozenset({"completed", "failed", "rejected", "cancelled"})
AGAIN = frozenset({429, 502, 503, 504})
ATTEMPTS = 8
FIRST_PAUSE_S, LONGEST_PAUSE_S, LONGEST_ASKED_S = 0.25, 8.0, 60.0
FIRST_LOOK_S, LONGEST_LOOK_S = 0.2, 2.0
LINES = "application/x-ndjson"
LONGEST_PAGE = 500


@dataclass(frozen=True, slots=True)
class Ask:
    """A request to send. Each may be sent again: reading changes nothing, and what asks for a run names it."""

    method: str
    path: str
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    accept: str = "application/json"


@dataclass(frozen=True, slots=True)
class Pause:
    """Do nothing for so long."""

    seconds: float


T = TypeVar("T")
Model = TypeVar("Model", bound=BaseModel)
Back: TypeAlias = httpx.Response | httpx.TransportError | None
Steps: TypeAlias = Generator[Ask | Pause, Back, T]


def new_id() -> str:
    """A UUIDv7: 48 bits of milliseconds, then chance. Source: RFC 9562, 5.7."""
    bits = (time.time_ns() // 1_000_000 << 80) | random.SystemRandom().getrandbits(80)
    return str(uuid.UUID(int=bits & ~(0xF << 76) & ~(0x3 << 62) | 0x7 << 76 | 0x2 << 62))


def pause_s(failures: int) -> float:
    """How long to wait after so many failures: doubling, half of it by chance, so that clients do not come back all at once."""
    longest = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**failures)
    return longest * random.uniform(0.5, 1.0)


def sent(ask: Ask) -> Steps[httpx.Response]:
    """The answer, after as many attempts as it takes. Raises: AssayError."""
    for failures in range(ATTEMPTS):
        back = yield ask
        if isinstance(back, httpx.Response) and back.status_code not in AGAIN:
            if back.is_error:
                raise refusal(back)
            return back
        if failures < ATTEMPTS - 1:
            yield Pause(max(pause_s(failures), _asked_for(back)))
    why = refusal(back) if isinstance(back, httpx.Response) else back
    raise Unavailable(f"no answer to {ask.method} {ask.path} in {ATTEMPTS} attempts: {why}", code="unavailable")


def _asked_for(back: Back) -> float:
    """The pause that the server asks for, in seconds, as far as we are ready to wait."""
    told = back.headers.get("retry-after", "") if isinstance(back, httpx.Response) else ""
    return min(float(told), LONGEST_ASKED_S) if told.isdigit() else 0.0


def document(ask: Ask, kind: type[Model]) -> Steps[Model]:
    """The answer as its type."""
    back = yield from sent(ask)
    return kind.model_validate_json(back.content)


def listed(ask: Ask, page: type[BaseModel], *, rows: str, most: int | None) -> Steps[list[Any]]:
    """The rows of all pages of a list, or the first `most` of them."""
    if most is not None and most < 1:
        return []
    _, found = yield from _read(ask, page, rows=rows, most=most)
    return found


def whole(ask: Ask, page: type[Model], *, rows: str, most: int | None, named: str | None = None) -> Steps[Model]:
    """A document of which `rows` is a list, with those of all of its pages, or the first `most` of them.

    `named` is a field that the first page says and the others are asked for by.
    """
    last, found = yield from _read(ask, page, rows=rows, most=most, named=named)
    return last.model_copy(update={rows: found})


def _read(ask: Ask, page: type[Model], *, rows: str, most: int | None, named: str | None = None) -> Steps[tuple[Model, list[Any]]]:
    """The last page that was read, and the rows of all."""
    found, cursor, query = list[Any](), "", dict(ask.query)
    while True:
        limit = LONGEST_PAGE if most is None else min(LONGEST_PAGE, most - len(found))
        told: Any = yield from document(Ask(ask.method, ask.path, {**query, "limit": limit, "cursor": cursor}), page)
        found += getattr(told, rows)
        cursor = told.next
        if cursor is None or (most is not None and len(found) >= most):
            return told, found
        query |= {named: getattr(told, named)} if named else {}


def lines(ask: Ask, kind: type[Model]) -> Steps[list[Model]]:
    """The documents of an answer of JSON lines."""
    back = yield from sent(ask)
    return [kind.model_validate(json.loads(line)) for line in back.text.splitlines()]


def over(run_id: str, *, timeout_s: float | None) -> Steps[Run]:
    """The run once it is over, with its figures. Raises: Unsuccessful where it is not completed, TimedOut."""
    give_up = time.monotonic() + timeout_s if timeout_s is not None else None
    look_s = FIRST_LOOK_S
    while True:
        run = yield from document(Ask("GET", f"/v1/runs/{run_id}"), Run)
        if run.state in OVER and _whole(run):
            break
        if give_up is not None and time.monotonic() > give_up:
            raise TimedOut(
                f"run {run_id} is {run.state} ({run.progress:.0%}) after {timeout_s} s; wait longer, or cancel it", code="timed-out"
            )
        yield Pause(look_s)
        look_s = min(LONGEST_LOOK_S, look_s * 1.3)
    if run.state != "completed":
        raise Unsuccessful(f"run {run_id} is {run.state}: {run.message or run.reason_code or 'no reason given'}", run=run)
    return run


def _whole(run: Run) -> bool:
    """What completes a run may be readable a moment before its figures are; a task of which no sample could be scored has none."""
    if run.state != "completed":
        return True
    complete = {score.task for score in run.scores if score.complete}
    measured = run.perf_requests is None or run.performance is not None
    return measured and complete >= {task.task for task in run.tasks if task.not_scored < task.expected}
