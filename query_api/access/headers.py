"""Headers that every answer has: what a browser may do with it."""

from typing import Final

from starlette.types import Message, Scope, Send

# What one is told another may not be: no cache that several share keeps it, and a browser's own only for the same key or session.
PRIVATELY: Final = "private, no-cache"
BY_CALLER: Final = "Authorization, Cookie"
# Pages have scripts and styles of their own alone (lengths of bars stand in attributes), and are shown in nobody's frame.
HEADERS: Final = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "referrer-policy": "same-origin",  # with none at all a browser would not say where its own forms come from
    "x-content-type-options": "nosniff",
    "cache-control": PRIVATELY,
    "vary": BY_CALLER,
}


def with_headers(send: Send, scope: Scope) -> Send:
    """What sends an answer with them, but for those that it has of its own."""
    headers = HEADERS | ({"strict-transport-security": "max-age=31536000"} if scope.get("scheme") == "https" else {})

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            present = {name for name, _ in message.get("headers", ())}
            more = [(name.encode(), value.encode()) for name, value in headers.items() if name.encode() not in present]
            message = {**message, "headers": [*message.get("headers", ()), *more]}
        await send(message)

    return sending
