"""The main metric of every document, packed for the event in which a task's scores are said, and read back.

Many documents are packed closer, in one field. It is zlib over their number, int32; their ordinals, int32, each as the difference from the
one before; their values, float64, the first bytes of all, then the second bytes, and so on: what is alike stands together; and, where
documents share clusters, each one's cluster, int32: the ordinal of the cluster's first document, as the difference from its own. All of it
is little-endian.
"""

import json
import zlib
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from schemas.results import Documents
from streams.errors import Invalid
from streams.quality.ranges import LARGEST
from streams.settling.inflating import inflated

MOST_PLAIN_BYTES: Final = 2**20
UNUSABLE: Final = "documents-unusable"


@dataclass(frozen=True, slots=True)
class Columns:
    """Documents in ascending order: ordinals and values, each of shape [documents], and the cluster of each (its ordinal: its own)."""

    ordinals: NDArray[np.int32]
    values: NDArray[np.float64]
    clusters: tuple[Hashable, ...] | None


def packed(values: Mapping[int, float], clusters: Mapping[int, Hashable]) -> Documents:
    """Ordinal → value, and ordinal → cluster, as they are said."""
    ordinals = sorted(values)
    every = [clusters.get(ordinal, ordinal) for ordinal in ordinals]
    named = every if len(set(every)) < len(every) else None
    in_order = np.asarray([values[ordinal] for ordinal in ordinals], dtype="<f8")
    plain = Documents(
        ordinals=zlib.compress(np.asarray(ordinals, dtype="<i4").tobytes()),
        values=zlib.compress(in_order.tobytes()),
        clusters=None if named is None else _clusters(ordinals, named),
    )
    if len(plain.ordinals) + len(plain.values) + len(plain.clusters or b"") <= MOST_PLAIN_BYTES:
        return plain
    return Documents(ordinals=b"", values=b"", packed=_closer(np.asarray(ordinals, dtype="<i4"), in_order, named))


def _clusters(ordinals: Sequence[int], named: Sequence[Hashable]) -> bytes:
    told = ["" if name == ordinal else str(name) for ordinal, name in zip(ordinals, named, strict=True)]
    return zlib.compress(json.dumps(told).encode())


def _closer(ordinals: NDArray[np.int32], values: NDArray[np.float64], named: Sequence[Hashable] | None) -> bytes:
    count = len(ordinals).to_bytes(4, "little")
    parts = [count, np.diff(ordinals, prepend=np.int32(0)).astype("<i4").tobytes(), values.view(np.uint8).reshape(-1, 8).T.tobytes()]
    if named is not None:
        firsts = dict[Hashable, int]()
        first = [firsts.setdefault(name, ordinal) for name, ordinal in zip(named, ordinals.tolist(), strict=True)]
        parts.append((np.asarray(first, dtype="<i4") - ordinals).astype("<i4").tobytes())
    return zlib.compress(b"".join(parts), 9)


def unpacked(told: Documents) -> Columns:
    """What was packed; who shares its cluster with none has its ordinal in the place of a name.

    Raises: Invalid where it is no columns of one length, in ascending order, with values that statistics can take in.
    """
    try:
        found = _columns(told) if told.packed is None else _opened(inflated(told.packed, what="documents"))
    except (ValueError, TypeError, zlib.error, RecursionError) as error:
        raise Invalid(f"documents that cannot be read: {error}", code=UNUSABLE) from error
    if len(found.ordinals) != len(found.values):
        raise Invalid(f"{len(found.values)} values of {len(found.ordinals)} documents", code=UNUSABLE)
    if not bool((np.abs(found.values) <= LARGEST).all()):
        raise Invalid(f"a document's value that is no number, or beyond {LARGEST:g}", code=UNUSABLE)
    if len(found.ordinals) and (found.ordinals[0] < 0 or bool((np.diff(found.ordinals.astype(np.int64)) <= 0).any())):
        raise Invalid("documents that are not in ascending order", code=UNUSABLE)
    return found


def _columns(told: Documents) -> Columns:
    ordinals = np.frombuffer(inflated(told.ordinals, what="documents"), dtype="<i4")
    values = np.frombuffer(inflated(told.values, what="documents"), dtype="<f8")
    if told.clusters is None:
        return Columns(ordinals, values, None)
    names = json.loads(inflated(told.clusters, what="documents"))
    return Columns(ordinals, values, tuple(str(name) if name else int(ordinal) for name, ordinal in zip(names, ordinals, strict=True)))


def _opened(told: bytes) -> Columns:
    """The columns of 12 bytes a document, or of 16 where clusters are told. Raises: ValueError for anything else."""
    count = int.from_bytes(told[:4], "little")
    body = told[4:]
    if count == 0 or len(body) not in (12 * count, 16 * count):
        raise ValueError(f"{len(body)} bytes are not the columns of {count} documents")
    ordinals = np.cumsum(np.frombuffer(body[: 4 * count], dtype="<i4"), dtype=np.int32)
    values = np.ascontiguousarray(np.frombuffer(body[4 * count : 12 * count], np.uint8).reshape(8, count).T).view("<f8").reshape(count)
    if len(body) == 12 * count:
        return Columns(ordinals, values, None)
    return Columns(ordinals, values, tuple((ordinals + np.frombuffer(body[12 * count :], dtype="<i4")).tolist()))
