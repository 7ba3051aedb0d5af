"""Request bodies as ClickHouse's clients send them: plain or compressed, often as several compressed frames end to end."""

import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import lz4.frame
import zstandard

from streams.errors import Invalid

DECODERS: dict[str, Callable[[], Any]] = {
    "lz4": lz4.frame.LZ4FrameDecompressor,
    "zstd": lambda: zstandard.ZstdDecompressor().decompressobj(),
    "gzip": lambda: zlib.decompressobj(31),
    "deflate": zlib.decompressobj,
}


async def plain(chunks: AsyncIterator[bytes], encoding: str | None) -> AsyncIterator[bytes]:
    """The body's plain bytes. Every frame counts: a decoder that stopped at the first would lose rows without a word.

    Raises: Invalid for an unknown encoding and for a body that ends within a frame.
    """
    if not encoding or encoding == "identity":
        async for chunk in chunks:
            yield chunk
        return
    if encoding not in DECODERS:
        raise Invalid(f"cannot read Content-Encoding {encoding!r}; send one of {', '.join(DECODERS)}")
    frames = _Frames(DECODERS[encoding])
    async for chunk in chunks:
        for out in frames.feed(chunk):
            yield out
    if frames.within:
        raise Invalid("the body ends in the middle of a compressed frame; send it again")


class _Frames:
    """Decodes frame after frame; `within` says that the last one has not ended."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._decoder = make()
        self.within = False

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        while chunk:
            yield self._decoder.decompress(chunk)
            self.within = not self._decoder.eof
            chunk = b"" if self.within else self._decoder.unused_data or b""
            if not self.within:
                self._decoder = self._make()
