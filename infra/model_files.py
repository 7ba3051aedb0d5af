"""Reading a model's files: its JSON, the headers of its tensors, and their hash.

Source: safetensors format (an 8-byte length, a JSON header, the tensors), https://github.com/huggingface/safetensors#format
"""

import hashlib
import json
import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from streams.errors import Invalid

PICKLED = "pytorch_model*.bin"
WEIGHTS = ("*.safetensors", PICKLED)
LONGEST_HEADER_BYTES = LONGEST_TEXT_BYTES = 100 * 2**20


def check_file(path: Path) -> None:
    """Raises: Invalid where it is no file: reading a pipe or a device would not end."""
    if path.exists() and not path.is_file():
        raise Invalid(f"{path} is no file, but a folder, a pipe or a device; put the model's own file there", code="model-broken")


def read_text(path: Path) -> str:
    """The text in a file. Raises: Invalid where it is none, or too long for one."""
    check_file(path)
    if (size := path.stat().st_size) > LONGEST_TEXT_BYTES:
        raise Invalid(f"{path} has {size:,} bytes, and at most {LONGEST_TEXT_BYTES:,} are read; is it another file?", code="model-broken")
    try:
        return path.read_text(encoding="utf-8")
    except ValueError as error:
        raise Invalid(f"{path} is no text ({error}); fetch the model again", code="model-broken") from error


def read_json(path: Path, *, code: str = "model-broken") -> dict[str, Any]:
    """The object in a file of JSON. Raises: Invalid, by that code where it is not there."""
    if not path.exists():
        raise Invalid(f"{path.parent} has no {path.name}; is it a Hugging Face model folder?", code=code)
    text = read_text(path)
    try:
        read = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Invalid(f"{path} is not JSON ({error}); fetch the model again", code="model-broken") from error
    if not isinstance(read, dict):
        raise Invalid(f"{path} is not a JSON object; fetch the model again", code="model-broken")
    return read


def counted(weights: list[Path]) -> tuple[int, int]:
    """Parameters and bytes of the tensors. The number of parameters is 0 where the format does not say it."""
    parameters = stored = 0
    for path in weights:
        check_file(path)
        if path.suffix != ".safetensors":
            stored += path.stat().st_size
            continue
        for numbers, size in _tensors(path):
            parameters += numbers
            stored += size
    return parameters, stored


def _tensors(path: Path) -> Iterator[tuple[int, int]]:
    """The numbers and the bytes of each tensor."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(8)
        length = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
        if not 0 < length <= min(LONGEST_HEADER_BYTES, size - 8):
            raise Invalid(f"{path} is no whole safetensors file; fetch the model again", code="model-truncated")
        try:
            header = json.loads(file.read(length))
            tensors = [_measured(name, tensor) for name, tensor in header.items() if name != "__metadata__"]
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            raise Invalid(f"{path} has a broken header ({error}); fetch the model again", code="model-truncated") from error
    needed = 8 + length + max((end for *_, end in tensors), default=0)
    if size < needed:
        raise Invalid(f"{path} has {size} of {needed} bytes; fetch the model again", code="model-truncated")
    yield from ((numbers, end - first) for numbers, first, end in tensors)


def _measured(name: str, tensor: dict[str, Any]) -> tuple[int, int, int]:
    """A tensor's numbers, and where it begins and ends. Raises: ValueError, TypeError, LookupError where that makes no sense."""
    (first, end), shape = tensor["data_offsets"], tensor["shape"]
    numbers = math.prod(shape)
    # The smallest of the format's types have 4 bits.
    if not all(isinstance(one, int) and one >= 0 for one in (first, end, *shape)) or not 0 <= numbers <= 2 * (end - first):
        raise ValueError(f"tensor {name[:80]!r} cannot have the shape {shape!r:.80} from byte {first!r:.30} to {end!r:.30}")
    return numbers, first, end


def sha_of(files: list[Path]) -> str:
    """A hash over the files' names and contents, in the order of their names."""
    whole = hashlib.sha256()
    for path in sorted(files, key=lambda path: path.name):
        check_file(path)
        with path.open("rb") as file:
            whole.update(f"{path.name}\x1f{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return whole.hexdigest()
