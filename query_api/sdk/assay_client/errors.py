"""What can go wrong, as one tree.

AssayError
├── Invalid        what was asked must be changed
├── NotFound       there is no such thing
├── Conflict       it collides with what is there
├── Refused        the key is missing, opens nothing, or may not do this
├── Unavailable    the API was not there, or not ready, in all attempts
├── TimedOut       waited for, and not over in the time given
└── Unsuccessful   a run ended otherwise than completed; `run` is that run
"""

from typing import Any

import httpx


class AssayError(Exception):
    """Ours. `code` is short and stable, `status` the answer's (0 where there was none)."""

    def __init__(self, message: str, *, code: str = "", status: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class Invalid(AssayError):
    """What was asked must be changed."""


class NotFound(AssayError):
    """There is no such thing."""


class Conflict(AssayError):
    """It collides with what is there."""


class Refused(AssayError):
    """The key is missing, opens nothing, or may not do this."""


class Unavailable(AssayError):
    """The API was not there, or not ready, in all attempts."""


class TimedOut(AssayError):
    """Waited for, and not over in the time given."""


class Unsuccessful(AssayError):
    """A run ended otherwise than completed."""

    def __init__(self, message: str, *, run: Any) -> None:
        super().__init__(message, code="unsuccessful")
        self.run = run


KINDS: dict[int, type[AssayError]] = {401: Refused, 403: Refused, 404: NotFound, 409: Conflict}


def refusal(answer: httpx.Response) -> AssayError:
    """The error that an answer tells: a problem document (RFC 9457), or what a proxy says."""
    status = answer.status_code
    try:
        told = dict(answer.json())
    except (ValueError, TypeError):
        told = {"detail": answer.text[:300] or answer.reason_phrase, "code": f"http-{status}"}
    kind = KINDS.get(status, Unavailable if status >= 500 else Invalid)
    return kind(str(told.get("detail")), code=str(told.get("code", "")), status=status)
