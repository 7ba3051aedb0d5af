"""Everything that can go wrong, as one tree.

AssayError
├── Permanent          the same input fails the same way: dead-letter it, or tell the client
│   ├── Invalid        the client must change its input
│   ├── NotFound       there is no such thing
│   └── Conflict       it collides with what is already there
└── Temporary          try again after `retry_after_s`
    └── Unavailable    something that we talk to is not there

Consumers dead-letter Permanent, retry Temporary, and end the process on anything else.
"""


class AssayError(Exception):
    """Ours. `code` is short and stable; the message says what is wrong, the value, and what to do about it."""

    code = "assay-error"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        # It may quote what no UTF-8 can write, as a half of a pair, and goes into events and to terminals.
        super().__init__(message.encode(errors="backslashreplace").decode())
        if code is not None:
            self.code = code


class Permanent(AssayError):
    """The same input will fail the same way."""

    code = "permanent"


class Invalid(Permanent):
    """The input must be changed by whoever sent it."""

    code = "invalid"


class NotFound(Permanent):
    """There is no such thing."""

    code = "not-found"


class Conflict(Permanent):
    """It collides with what is already there."""

    code = "conflict"


class Temporary(AssayError):
    """May work later."""

    code = "temporary"

    def __init__(self, message: str, *, code: str | None = None, retry_after_s: float = 1.0) -> None:
        super().__init__(message, code=code)
        self.retry_after_s = retry_after_s


class Unavailable(Temporary):
    """Something that we talk to is not there."""

    code = "unavailable"
