"""Server-sent events without their I/O: lines in, events out, and the cursor behind which to go on.

Source: WHATWG HTML, 9.2.6, Interpreting an event stream
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from assay_client.steps import pause_s

# The server sends a comment every 10 s; three that do not come mean that nobody is there.
SILENCE_S = 30.0
# What the stream says of itself, and the log does not hold.
OF_THE_STREAM = frozenset({"cursor", "away", "back", "reset"})


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """Something that happened: the event's type, the event itself, and the cursor that resumes behind it."""

    kind: str
    data: dict[str, Any]
    cursor: str


class Listening:
    """One listener, through all of its connections."""

    def __init__(self, query: Mapping[str, Any], *, cursor: str | None) -> None:
        self.query = {name: value for name, value in query.items() if value is not None}
        self.cursor = cursor
        self._fields: dict[str, str] = {}
        self._failures = 0

    def headers(self) -> dict[str, str]:
        """The next connection's headers."""
        self._fields = {}
        return {"Accept": "text/event-stream"} | ({"Last-Event-ID": self.cursor} if self.cursor else {})

    def feed(self, line: str) -> LiveEvent | None:
        """The event that this line ends, where it ends one that tells something."""
        if line:
            name, _, value = line.partition(":")
            if name:
                self._fields[name] = value.removeprefix(" ")
            return None
        told, self._fields = self._fields, {}
        if "id" not in told or "data" not in told:
            return None
        self.cursor, self._failures = told["id"], 0
        kind = told.get("event", "message")
        return LiveEvent(kind, json.loads(told["data"]), told["id"]) if kind not in OF_THE_STREAM else None

    def pause_s(self) -> float:
        """How long to wait before the next connection."""
        self._failures += 1
        return pause_s(self._failures - 1)


TIMEOUT = httpx.Timeout(10.0, read=SILENCE_S)
