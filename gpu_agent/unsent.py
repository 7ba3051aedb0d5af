"""Records that the broker has not taken yet, in a file: appended and synced to the disk, read in order, removed once all are acknowledged.

    CRC-32 of the rest · lengths of topic, key and payload · topic, UTF-8 · key · payload

Each process has a file of its own in the folder, and holds a lock on it for as long as it lives: a file whose lock is free was left by
one that ended, and whoever starts next takes over what is in it. A process that dies as it appends leaves a record cut off, and a disk may
change a byte of any: what is no record by its sum is passed over, to where the next one begins, and `lost_bytes` says how much that was. A
file that cannot be read stays for whoever starts next. What was sent already, and is sent again, is the same events.
"""

import fcntl
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Final
from uuid import uuid4

import structlog

from infra.kafka import Outgoing

HEAD: Final = struct.Struct(">IHHI")
CHECKED: Final = struct.Struct(">HHI")  # the head behind its sum
SUMMED: Final = 4
AT_ONCE: Final = 1000
LONGEST_TOPIC, MOST_PAYLOAD = 249, 16 * 1024 * 1024  # of Kafka's; more bytes than a broker takes: what says otherwise is no head
LOOKED_AT: Final = 1024 * 1024  # bytes at once

log_line = structlog.get_logger()


def unsent_in(folder: Path) -> "Unsent":
    """This process's own file, with all that processes left there which have ended. Raises: OSError."""
    own = Unsent(folder / uuid4().hex)
    left = sorted((path for path in folder.glob("*") if path != own.path), key=lambda path: path.stat().st_mtime_ns)
    for path in left:
        try:
            with closing(Unsent(path)) as other:
                own.take_over(other)
                if other.lost_bytes:
                    log_line.error("measurements of an earlier agent were damaged or cut off, and are left out", bytes=other.lost_bytes)
        except BlockingIOError:
            continue  # it is a living one's
        except OSError as error:
            log_line.error("measurements of an earlier agent are left where they are", path=str(path), reason=str(error))
    return own


class Unsent:
    """The file at `path`, this process's alone. Raises: OSError, also where another process has it.

    `count`: the records that are left in it; `lost_bytes`: what was no record as it was opened.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._sent = self._read = self.count = 0
            self._end = self.lost_bytes = os.fstat(self._file).st_size
            self._end = self._whole()
            os.ftruncate(self._file, self._end)
        except OSError:
            os.close(self._file)
            raise

    def _whole(self) -> int:
        """Where the last whole record ends, with all of them counted."""
        last = 0
        for end, record in self._from(0):
            last, self.count = end, self.count + 1
            self.lost_bytes -= HEAD.size + sum(map(len, (record.topic.encode(), record.key or b"", record.payload)))
        return last

    def _from(self, at: int) -> Iterator[tuple[int, Outgoing]]:
        """The records from there on, each with the place behind it."""
        end = self._end
        while at < end:
            if found := self._record(at, end):
                at = found[0]
                yield found
            else:
                at = self._following(at + 1, end)

    def _record(self, at: int, end: int) -> tuple[int, Outgoing] | None:
        """The record that begins there, and the place behind it; None where none does."""
        head = os.pread(self._file, HEAD.size, at)
        if len(head) < HEAD.size or not _likely(head, 0):
            return None
        crc, topic, key, payload = HEAD.unpack(head)
        if (behind := at + HEAD.size + topic + key + payload) > end:
            return None
        body = os.pread(self._file, topic + key + payload, at + HEAD.size)
        if zlib.crc32(body, zlib.crc32(head[SUMMED:])) != crc:
            return None
        return behind, Outgoing(body[:topic].decode(), body[topic + key :], body[topic : topic + key])

    def _following(self, at: int, end: int) -> int:
        """The next place from there on at which a record begins; `end` where none does."""
        while at + HEAD.size <= end:
            told = os.pread(self._file, LOOKED_AT, at)
            places = range(max(1, len(told) - HEAD.size + 1))
            if (found := next((place for place in places if _likely(told, place) and self._record(at + place, end)), None)) is not None:
                return at + found
            at += len(places)
        return end

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
        """The next records, so many at most; they are read again unless they are said to be `sent`. Raises: OSError.

        Where fewer are there than there were, `count` is what is left.
        """
        found = [*islice(self._from(self._sent), most)]
        self._read = found[-1][0] if found else self._sent
        self.count = self.count if len(found) == most else len(found)
        return [record for _, record in found]

    def sent(self, count: int) -> None:
        """The broker has the first so many of the rest. Where it has all the file is empty again. Raises: OSError, then nothing changed."""
        found = self.following(most=count)
        self._sent, self.count = self._read, self.count - len(found)
        if not self.count:
            os.ftruncate(self._file, 0)
            self._sent = self._read = self._end = 0

    def take_over(self, other: "Unsent") -> None:
        """Puts all that another file has behind what is here, and removes that file. Raises: OSError."""
        while records := other.following(most=AT_ONCE):
            self.append(records)
            other.sent(len(records))

    def set_aside(self) -> "Unsent":
        """A file in place of this one, which stays for whoever starts next. Raises: OSError, then this one is still in use."""
        other = Unsent(self.path.with_name(uuid4().hex))
        os.close(self._file)
        return other

    def close(self) -> None:
        """Lets go of the file, and removes it where nothing is in it."""
        if not self.count:
            self.path.unlink(missing_ok=True)
        os.close(self._file)


def _likely(told: bytes, at: int) -> bool:
    """Whether a record's head may begin there, by its lengths."""
    if len(told) - at < HEAD.size:
        return False
    _, topic, _, payload = HEAD.unpack_from(told, at)
    return bool(0 < topic <= LONGEST_TOPIC and 0 < payload <= MOST_PAYLOAD)


def _framed(record: Outgoing) -> bytes:
    topic, key = record.topic.encode(), record.key or b""
    lengths = CHECKED.pack(len(topic), len(key), len(record.payload))
    body = topic + key + record.payload
    return zlib.crc32(body, zlib.crc32(lengths)).to_bytes(SUMMED, "big") + lengths + body
