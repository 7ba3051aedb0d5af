"""Dead letters: records that could not be decoded or processed, why, and what to do."""

import base64
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request

from query_api.pages.rendering import Content, page
from query_api.routes.cluster import LETTERS
from query_api.state import state_of
from schemas.event import derive_id
from schemas.trust import DeadLettered

SHOWN, SHOWN_BYTES = 25, 600


async def load(request: Request) -> Content:
    """A page of dead letters, the newest first."""
    reading, asked = state_of(request).reading, request.query_params
    cursor = asked.get("cursor", "")
    found, following = await reading.page(LETTERS, sort="-written_us", limit=SHOWN, cursor=cursor, topic="", reason_code="")
    count = (await reading.rows("dead_letter_count"))[0]["letters"]
    return {"title": "Dead letters", "letters": [_letter(row) for row in found], "next": following, "count": count, "cursor": cursor}


def _letter(row: Mapping[str, Any]) -> dict[str, Any]:
    payload = base64.b64decode(row["payload"])
    letter_id = derive_id("DeadLettered", *(row[name] for name in DeadLettered.identity))
    return dict(row) | {
        "letter_id": letter_id,
        "shown": as_text(payload[:SHOWN_BYTES]),
        "bytes": row["payload_bytes"] or len(payload),
        "cut": (row["payload_bytes"] or len(payload)) > SHOWN_BYTES,
    }


def as_text(payload: bytes) -> str:
    """Bytes for people: as text where they are one, else as a hexadecimal dump with what can be printed beside it."""
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        text = ""
    if text and all(letter.isprintable() or letter in "\n\t" for letter in text):
        return text
    lines = [payload[first : first + 16] for first in range(0, len(payload), 16)]
    return "\n".join(f"{line.hex(' '):<47}  {''.join(chr(one) if 32 <= one < 127 else '·' for one in line)}" for line in lines)


ROUTES = page("/dead-letters", "dead_letters.html", load)
