"""What a GGUF file says of its model, read without any library of models, and whether the file is whole.

Source: the GGUF specification, version 3, https://github.com/ggml-org/ggml/blob/master/docs/gguf.md; sizes of blocks: ggml-quants.c.
"""

import hashlib
import math
import mmap
import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from infra.model_files import check_file
from infra.model_shapes import DEFAULT_LENGTH, Shape
from streams.errors import Invalid

MAGIC: Final = b"GGUF"
VERSIONS: Final = (2, 3)
ALIGNMENT: Final = 32
# Codes of numbers in the metadata, as struct has them; 8 is a text, 9 an array.
NUMBERS: Final = {0: "B", 1: "b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "?", 10: "<Q", 11: "<q", 12: "<d"}
TEXT, ARRAY = 8, 9
# Tensor types: their names, with how many numbers a block holds in how many bytes.
TYPES: Final[Mapping[int, tuple[str, int, int]]] = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20), 6: ("Q5_0", 32, 22), 7: ("Q5_1", 32, 24),
    8: ("Q8_0", 32, 34), 10: ("Q2_K", 256, 84), 11: ("Q3_K", 256, 110), 12: ("Q4_K", 256, 144), 13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210), 16: ("IQ2_XXS", 256, 66), 17: ("IQ2_XS", 256, 74), 18: ("IQ3_XXS", 256, 98), 19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18), 21: ("IQ3_S", 256, 110), 22: ("IQ2_S", 256, 82), 23: ("IQ4_XS", 256, 136), 28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56), 30: ("BF16", 1, 2), 34: ("TQ1_0", 256, 54), 35: ("TQ2_0", 256, 66), 39: ("MXFP4", 32, 17),
}  # fmt: skip
PLAIN: Final = {"F32": "float32", "F16": "float16", "BF16": "bfloat16", "F64": "float64"}
LONGEST_ARRAY: Final = 2**24
MOST: Final = 2**20  # of entries and tensors
DEEPEST: Final = 4


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor's name, how many numbers it has, and the name of its type; `end`: where it ends, from the data's beginning."""

    name: str
    numbers: int
    type: str
    end: int


@dataclass(frozen=True, slots=True)
class Gguf:
    """A GGUF file's metadata and tensors. `tokenizer_sha` is over its tokenizer's entries as they stand."""

    path: Path
    metadata: Mapping[str, Any]
    tensors: tuple[Tensor, ...]
    tokenizer_sha: str

    @property
    def architecture(self) -> str:
        """The model's family, as llama.cpp calls it."""
        return str(self.metadata.get("general.architecture") or "")

    def of_architecture(self, name: str) -> int:
        """A number that the family's entries give; of one for each layer the largest; 0 where there is none."""
        told = self.metadata.get(f"{self.architecture}.{name}", 0)
        return int(max(told, default=0)) if isinstance(told, list) else int(told)

    @property
    def parameters(self) -> int:
        """How many numbers the tensors have."""
        return sum(one.numbers for one in self.tensors)

    @property
    def weights_type(self) -> str:
        """The type that most of the numbers have, as `Q4_1`."""
        counted = Counter[str]()
        for one in self.tensors:
            counted[one.type] += one.numbers
        return counted.most_common(1)[0][0] if counted else "F32"

    @property
    def shape(self) -> Shape:
        """The model's shape."""
        hidden, heads = self.of_architecture("embedding_length"), self.of_architecture("attention.head_count")
        size = hidden // heads if heads else 0
        own = (self.of_architecture(f"attention.{part}_length") or size for part in ("key", "value"))
        return Shape(
            model_type=self.architecture, quantised=self.weights_type not in PLAIN, hidden=hidden,
            widest=self.of_architecture("feed_forward_length") or 4 * hidden, vocabulary=len(self.tokens),
            kv_numbers=self.of_architecture("block_count") * (self.of_architecture("attention.head_count_kv") or heads) * sum(own),
            max_len=self.of_architecture("context_length") or DEFAULT_LENGTH,
        )  # fmt: skip

    @property
    def tokens(self) -> list[str]:
        """The vocabulary's texts, in the order of their ids."""
        told = self.metadata.get("tokenizer.ggml.tokens")
        return told if isinstance(told, list) else []

    @property
    def special_tokens(self) -> dict[str, str]:
        """The special tokens' texts, by the names that chat templates have for them."""
        named = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "pad_token": "padding"}
        ids = {name: self.metadata.get(f"tokenizer.ggml.{own}_token_id") for name, own in named.items()}
        return {name: self.tokens[number] for name, number in ids.items() if isinstance(number, int) and number < len(self.tokens)}


def read(path: Path) -> Gguf:
    """What the file says. Raises: Invalid where it is no GGUF file, not whole, or a part of several."""
    check_file(path)
    with path.open("rb") as file:
        if path.stat().st_size < 24:
            raise _broken(path, "it ends in its beginning")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as held:
            try:
                found = _Reader(path, held).read()
            except (struct.error, IndexError) as error:
                raise _broken(path, "it ends in its beginning") from error
            except (UnicodeDecodeError, MemoryError, OverflowError, ValueError) as error:
                raise _broken(path, f"its beginning makes no sense ({error})") from error
    if int(found.metadata.get("split.count") or 1) > 1:
        raise Invalid(f"{path} is one of {found.metadata['split.count']} parts; join them (llama-gguf-split --merge)", code="model-parts")
    if not found.tokens:
        raise Invalid(f"{path} has no tokenizer; make it again, with one", code="model-no-tokenizer")
    return found


def _broken(path: Path, why: str) -> Invalid:
    return Invalid(f"{path} is no whole GGUF file: {why}; fetch the model again", code="model-truncated")


class _Reader:
    """Reads from the beginning on."""

    def __init__(self, path: Path, held: mmap.mmap) -> None:
        self._path = path
        self._held = held
        self._at = 0

    def read(self) -> Gguf:
        """The whole of it but the tensors' numbers."""
        if (magic := self._held[:4]) != MAGIC:
            raise _broken(self._path, f"it begins with {magic!r}")
        self._at = 4
        if (version := self._number("<I")) not in VERSIONS:
            raise Invalid(f"{self._path} is GGUF of version {version}, and {VERSIONS} are read; make it again", code="model-broken")
        count, entries = self._number("<Q"), self._number("<Q")
        if max(count, entries) > MOST:
            raise _broken(self._path, f"it says to have {count} tensors and {entries} entries")
        metadata, tokenizer = dict[str, Any](), hashlib.sha256()
        for _ in range(entries):
            began = self._at
            key = self._text()
            metadata[key] = self._value(self._number("<I"), depth=0)
            if key.startswith("tokenizer."):
                tokenizer.update(self._held[began : self._at])
        tensors = tuple(self._tensor() for _ in range(count))
        self._check_size(tensors, int(metadata.get("general.alignment") or ALIGNMENT))
        return Gguf(self._path, metadata, tensors, tokenizer.hexdigest())

    def _check_size(self, tensors: tuple[Tensor, ...], alignment: int) -> None:
        begin = -(-self._at // alignment) * alignment
        needed, size = begin + max((one.end for one in tensors), default=0), len(self._held)
        if size < needed:
            raise _broken(self._path, f"it has {size} of {needed} bytes")

    def _number(self, form: str) -> Any:
        (value,) = struct.unpack_from(form, self._held, self._at)
        self._at += struct.calcsize(form)
        return value

    def _text(self) -> str:
        length = self._number("<Q")
        if length > len(self._held) - self._at:
            raise _broken(self._path, "it ends in its beginning")
        self._at += length
        return self._held[self._at - length : self._at].decode("utf-8", "replace")

    def _value(self, kind: int, *, depth: int) -> Any:
        if kind == TEXT:
            return self._text()
        if kind != ARRAY:
            if kind not in NUMBERS:
                raise ValueError(f"an entry of type {kind}")
            return self._number(NUMBERS[kind])
        inner, count = self._number("<I"), self._number("<Q")
        if count > min(LONGEST_ARRAY, len(self._held)) or depth > DEEPEST:
            raise ValueError(f"an array of {count}")
        return [self._value(inner, depth=depth + 1) for _ in range(count)]

    def _tensor(self) -> Tensor:
        name, dimensions = self._text(), self._number("<I")
        if dimensions > 8:
            raise ValueError(f"a tensor of {dimensions} dimensions")
        numbers = math.prod(self._number("<Q") for _ in range(dimensions))
        kind, offset = self._number("<I"), self._number("<Q")
        named, block, size = TYPES.get(kind, (f"type {kind}", 1, 0))
        return Tensor(name, numbers, named, offset + -(-numbers // block) * size)
