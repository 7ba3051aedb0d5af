"""An HTTP/1.1 response out of the bytes of a connection, as they come: so little work that it may be done between two tokens.

Source: RFC 9110, section 8.6 (Content-Length); RFC 9112, sections 4 (status line), 6 (body length) and 7.1 (chunked transfer coding).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

STATUS = re.compile("[1-9][0-9]{2}")
LENGTH = re.compile("[0-9]{1,18}")
SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(;.*)?")  # no sign, no underscore: what int() takes beside them is no size
END_OF_HEAD = b"\r\n\r\n"
LONGEST_HEAD = 65_536


class Malformed(Exception):
    """What came is no HTTP/1.1."""


@dataclass(slots=True)
class Response:
    """A response under way; `finished` when its body is whole. `reusable`: the connection may carry another request."""

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    finished: bool = False
    reusable: bool = False
    _rest: bytes = b""
    _left: int | None = None  # bytes of the body, or of the chunk, that are still to come; None: up to the connection's end
    _chunked: bool = False

    def feed(self, data: bytes) -> bytes:
        """What these bytes add to the body. Raises: Malformed."""
        if not self.status:
            self._rest += data
            if not self._take_head():
                return b""
            data, self._rest = self._rest, b""
        return self._chunks(data) if self._chunked else self._plain(data)

    def closed(self) -> bool:
        """The connection has ended in order: whether the response is whole."""
        self.finished = self.finished or (bool(self.status) and not self._chunked and self._left is None)
        return self.finished

    def _take_head(self) -> bool:
        """Whether the head is whole; interim responses before it are passed over."""
        while not self.status:
            head, found, rest = self._rest.partition(END_OF_HEAD)
            if not found:
                if len(self._rest) > LONGEST_HEAD or not self._rest.startswith(b"HTTP/1."[: len(self._rest)]):
                    raise Malformed(f"no HTTP/1.1 response: {self._rest[:40]!r}")
                return False
            first, *lines = head.decode("latin-1").split("\r\n")
            version, _, told = first.partition(" ")
            if not version.startswith("HTTP/1.") or not STATUS.fullmatch(told[:3]):
                raise Malformed(f"no HTTP/1.1 response: {first[:40]!r}")
            self._rest = rest
            self.status = 0 if told.startswith("1") else int(told[:3])
        self.headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        self._chunked = "chunked" in self.headers.get("transfer-encoding", "").lower()
        self._left = 0 if self._chunked or self.status in (204, 304) else _length(self.headers.get("content-length"))
        self.reusable = version == "HTTP/1.1" and self.headers.get("connection", "").lower() != "close" and self._left is not None
        return True

    def _plain(self, data: bytes) -> bytes:
        if self._left is None:
            return data
        self._left -= len(data)
        self.finished = self._left <= 0
        return data

    def _chunks(self, data: bytes) -> bytes:
        """`_left`: bytes of the present chunk with the line end behind it."""
        data, body, at = self._rest + data, [], 0
        while not self.finished:
            line = data.find(b"\r\n", at)
            if line < 0:
                break
            if (told := SIZE.fullmatch(data, at, line)) is None:
                raise Malformed(f"no size of a chunk: {data[at:line][:40]!r}")
            size = int(told[1], 16)
            end = line + 2 + size + 2
            if len(data) < end:
                break
            if size == 0:  # trailers, if any, end with an empty line
                self.finished = data.endswith(b"\r\n\r\n") or data[line + 2 : end] == b"\r\n"
                break
            if data[end - 2 : end] != b"\r\n":
                raise Malformed(f"no end of a chunk: {data[end - 2 : end]!r}")
            body.append(data[line + 2 : end - 2])
            at = end
        self._rest = data[at:]
        return b"".join(body)


def _length(told: str | None) -> int | None:
    """The bytes of a body; None where they are not told. Raises: Malformed."""
    if told is not None and not LENGTH.fullmatch(told):
        raise Malformed(f"no length of a body: {told[:40]!r}")
    return None if told is None else int(told)
