"""What a batch of records may inflate to, and what stands for one that would be more.

Two megabytes that the broker takes can be gigabytes for whoever reads them, as zeros compress a thousand times and more; aiokafka
inflates whatever comes, and a process that has no memory left ends, is started again, and reads the same. Importing this module
bounds that for every consumer of the process, Faust's too. Of a batch that is too large one record is handed on, at its last offset:
its value is `Withheld`, which cannot be decoded and says why. So it becomes a dead letter, and all behind it is read.

Written against aiokafka's internals, hence bound to one version. Source: aiokafka/consumer/fetcher.py at 0.14.0, PartitionRecords.
"""

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, Final, NamedTuple, Self

import aiokafka
import cramjam
import numpy as np
from aiokafka.consumer import fetcher
from aiokafka.record import default_records as in_python

WRITTEN_FOR = "0.14.0"
# A producer's batch is a megabyte before it is compressed (`batch.size`, `max_batch_size`), or a record of two.
MOST_BYTES: Final = 64 * 2**20

if aiokafka.__version__ != WRITTEN_FOR:
    raise ImportError(
        f"infra/kafka/inflating.py is written for aiokafka {WRITTEN_FOR}, not {aiokafka.__version__}: hold it against its fetcher"
    )


class Withheld(bytes):
    """The value of a record that stands for a batch which was not inflated; `why` says why not."""

    why: str

    def __new__(cls, why: str) -> Self:
        made = super().__new__(cls)
        made.why = why
        return made


class _TooLarge(Exception):
    """What would be inflated is more than it may be, or broken."""


class _Record(NamedTuple):
    """What aiokafka asks of a record."""

    offset: int
    timestamp: int
    timestamp_type: int
    value: bytes
    key: bytes | None = None
    headers: tuple[Any, ...] = ()
    checksum: int | None = None


def _bounded(inflate_into: Callable[[bytes, Any], int]) -> Callable[[Any], bytes]:
    """A decoder that gives no more than MOST_BYTES; memory that it does not write costs nothing. Raises: _TooLarge."""

    def decode(payload: Any) -> bytes:
        room = np.empty(MOST_BYTES, np.uint8)
        try:
            return room[: inflate_into(bytes(payload), room)].tobytes()
        except cramjam.DecompressionError as error:
            raise _TooLarge(str(error)) from error

    return decode


class _Batch:
    """A batch whose records are handed on, or one in their place."""

    def __init__(self, batch: Any) -> None:
        self._batch = batch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator[Any]:
        batch = self._batch
        try:
            yield from batch
        except _TooLarge as error:
            last = batch.next_offset - 1
            which = f"the records {batch.base_offset} to {last} come" if last > batch.base_offset else "the record comes"
            why = f"{which} compressed, and cannot be inflated within {MOST_BYTES >> 20} MiB ({error}); send smaller batches"
            yield _Record(last, batch.max_timestamp, batch.timestamp_type, Withheld(why))


class _Batches:
    """The batches of a fetch."""

    def __init__(self, records: Any) -> None:
        self._records = records

    def has_next(self) -> bool:
        return bool(self._records.has_next())

    def next_batch(self) -> _Batch:
        return _Batch(self._records.next_batch())


class _PartitionRecords(fetcher.PartitionRecords):  # type: ignore[misc]  # aiokafka ships no types
    """A partition's records, of batches that are bounded."""

    def __init__(self, tp: Any, records: Any, *rest: Any, **named: Any) -> None:
        super().__init__(tp, _Batches(records), *rest, **named)


def _install() -> None:
    """Every consumer of this process inflates within bounds from now on. (Snappy gives at most twenty times what it is given.)"""
    fetcher.PartitionRecords = _PartitionRecords
    modules: tuple[Any, ...] = (in_python, import_module(in_python.DefaultRecordBatch.__module__))  # its compiled twin, where that is there
    for module in modules:
        module.gzip_decode = _bounded(cramjam.gzip.decompress_into)
        module.lz4_decode = _bounded(cramjam.lz4.decompress_into)
        module.zstd_decode = _bounded(cramjam.zstd.decompress_into)


_install()
