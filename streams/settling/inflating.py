"""What was compressed for an event, read back within bounds: its sender may mean harm."""

import zlib
from typing import Final

MOST_BYTES: Final = 64 * 2**20  # the clusters of 200,000 documents, by names of 300 characters


def inflated(told: bytes, *, what: str) -> bytes:
    """What zlib compressed. Raises: ValueError where it would be more than any run's; zlib.error."""
    reader = zlib.decompressobj()
    found = reader.decompress(told, MOST_BYTES)
    if reader.unconsumed_tail:
        raise ValueError(f"{what} that would be over {MOST_BYTES // 2**20} MiB are none")
    return found
