"""Records that the broker has not taken yet, in a file: appended and synced to the disk, read in order, removed once all are acknowledged.

    CRC-32 of the rest · lengths of topic, key and payload · topic, UTF-8 · key · payload

Each process has a file of its own in the folder, and holds a lock on it for as long as it lives: a file whose lock is free was left by
one that ended, and whoever starts next takes over what is in it. A process that dies as it appends leaves a record cut off: what is whole
before it counts. What was sent already, and is sent again, is the same events.
"""

import fcntl
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

from infra.kafka import Outgoing

HEAD: Final = struct.Struct(">IHHI")
CHECKED: Final = struct.Struct(">HHI")  # the head behind its sum
SUMMED: Final = 4
AT_ONCE: Final = 1000


def unsent_in(folder: Path) -> "Unsent":
    """This process's own file, with all that processes left there which have ended. Raises: OSError."""
    own = Unsent(folder / uuid4().hex)
    left = sorted((path for path in folder.glob("*") if path != own.path), key=lambda path: path.stat().st_mtime_ns)
    for path in left:
        with suppress(BlockingIOError):  # it is a living one's
            own.take_over(Unsent(path))
    return own


class Unsent:
    """The file at `path`, this process's alone. Raises: OSError, also where another process has it."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._sent = self._read = 0
        self._end, self.count = self._whole()
        os.ftruncate(self._file, self._end)

    def _whole(self) -> tuple[int, int]:
        """Where the last whole record ends, and how many there are."""
        ends = [end for end, _ in self._from(0)]
        return max(ends, default=0), len(ends)

    def _from(self, at: int) -> Iterator[tuple[int, Outgoing]]:
        """The records from there on, each with the place behind it."""
        while len(head := os.pread(self._file, HEAD.size, at)) == HEAD.size:
            crc, topic, key, payload = HEAD.unpack(head)
            body = os.pread(self._file, topic + key + payload, at + HEAD.size)
            if len(body) < topic + key + payload or zlib.crc32(body, zlib.crc32(head[SUMMED:])) != crc:
                return
            at += HEAD.size + len(body)
            yield at, Outgoing(body[:topic].decode(), body[topic + key :], body[topic : topic + key])

    def append(self, records: Sequence[Outgoing]) -> None:
        """Puts records behind the others; they outlive this process when it returns. Raises: OSError, then none of them is there."""
        told = b"".join(map(_framed, records))
        try:
            written = 0
            while written < len(told):
                written += os.pwrite(self._file, told[written:], self._end + written)
            os.fsync(self._file)
        except OSError:
            os.ftruncate(self._file, self._end)
            raise
        self._end += len(told)
        self.count += len(records)

    def following(self, *, most: int) -> list[Outgoing]:
        """The next records, so many at most; they are read again unless they are said to be `sent`."""
        found, self._read = list[Outgoing](), self._sent
        for end, record in self._from(self._sent):
            found.append(record)
            self._read = end
            if len(found) == most:
                break
        return found

    def sent(self, count: int) -> None:
        """The broker has the first so many of the rest. Where it has all the file is empty again."""
        self.following(most=count)
        self._sent = self._read
        self.count -= count
        if not self.count:
            os.ftruncate(self._file, 0)
            self._sent = self._read = self._end = 0

    def take_over(self, other: "Unsent") -> None:
        """Puts all that another file has behind what is here, and removes that file. Raises: OSError."""
        while records := other.following(most=AT_ONCE):
            self.append(records)
            other.sent(len(records))
        other.close()

    def close(self) -> None:
        """Lets go of the file, and removes it where nothing is in it."""
        if not self.count:
            self.path.unlink(missing_ok=True)
        os.close(self._file)


def _framed(record: Outgoing) -> bytes:
    topic, key = record.topic.encode(), record.key or b""
    lengths = CHECKED.pack(len(topic), len(key), len(record.payload))
    body = topic + key + record.payload
    return zlib.crc32(body, zlib.crc32(lengths)).to_bytes(SUMMED, "big") + lengths + body
