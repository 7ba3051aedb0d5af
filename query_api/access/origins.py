"""Where a request comes from: what changes something must come from this site's own pages, or from a program that shows its key."""

from typing import Final

from starlette.requests import Request

from query_api.operations.problems import Forbidden

SAFE: Final = ("GET", "HEAD", "OPTIONS")


def check_origin(request: Request) -> None:
    """A form of another site must not act by this browser's session. Raises: Forbidden."""
    if request.method in SAFE or "authorization" in request.headers:
        return
    origin = request.headers.get("origin", "")
    if origin.partition("://")[2] != request.headers.get("host"):
        raise Forbidden(f"what changes something must come from this site, and not from {origin or 'nowhere'}; programs show a key")
