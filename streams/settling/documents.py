"""The main metric of every document, packed for the event in which a task's scores are said, and read back."""

import json
import zlib
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from schemas.results import Documents

MOST_BYTES: Final = 64 * 2**20  # the clusters of 200,000 documents, by names of 300 characters


@dataclass(frozen=True, slots=True)
class Columns:
    """Documents in ascending order: ordinals and values, each of shape [documents], and the cluster of each (its ordinal: its own)."""

    ordinals: NDArray[np.int32]
    values: NDArray[np.float64]
    clusters: tuple[Hashable, ...] | None


def packed(values: Mapping[int, float], clusters: Mapping[int, Hashable]) -> Documents:
    """Ordinal → value, and ordinal → cluster, as they are said."""
    ordinals = sorted(values)
    named = [clusters.get(ordinal, ordinal) for ordinal in ordinals]
    alone = len(set(named)) == len(named)
    told = (
        None
        if alone
        else zlib.compress(json.dumps(["" if name == n else str(name) for n, name in zip(ordinals, named, strict=True)]).encode())
    )
    return Documents(
        ordinals=zlib.compress(np.asarray(ordinals, dtype="<i4").tobytes()),
        values=zlib.compress(np.asarray([values[ordinal] for ordinal in ordinals], dtype="<f8").tobytes()),
        clusters=told,
    )


def unpacked(told: Documents) -> Columns:
    """What was packed; who shares its cluster with none has its ordinal in the place of a name. Raises: ValueError, zlib.error."""
    ordinals = np.frombuffer(_inflated(told.ordinals), dtype="<i4")
    values = np.frombuffer(_inflated(told.values), dtype="<f8")
    if told.clusters is None:
        return Columns(ordinals, values, None)
    names = json.loads(_inflated(told.clusters))
    return Columns(ordinals, values, tuple(name or int(ordinal) for name, ordinal in zip(names, ordinals, strict=True)))


def _inflated(told: bytes) -> bytes:
    """What was compressed. Raises: ValueError where it would be more than any task's documents: its sender meant harm."""
    reader = zlib.decompressobj()
    found = reader.decompress(told, MOST_BYTES)
    if reader.unconsumed_tail:
        raise ValueError(f"documents that would be over {MOST_BYTES // 2**20} MiB are none")
    return found
