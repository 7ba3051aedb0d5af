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

WEIGHTS = ("*.safetensors", "pytorch_model*.bin")
LONGEST_HEADER_BYTES = 100 * 2**20


def check_file(path: Path) -> None:
    """Raises: Invalid where it is no file: reading a pipe or a device would not end."""
    if path.exists() and not path.is_file():
        raise Invalid(f"{path} is no file, but a folder, a pipe or a device; put the model's own file there", code="model-broken")


def read_json(path: Path, *, code: str = "model-broken") -> dict[str, Any]:
    """The object in a file of JSON. Raises: Invalid, by that code where it is not there."""
    check_file(path)
    if not path.exists():
        raise Invalid(f"{path.parent} has no {path.name}; is it a Hugging Face model folder?", code=code)
    try:
        read = json.loads(path.read_text())
    except ValueError as error:
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
        for tensor in _tensors(path):
            parameters += math.prod(tensor["shape"])
            first, last = tensor["data_offsets"]
            stored += last - first
    return parameters, stored


def _tensors(path: Path) -> Iterator[dict[str, Any]]:
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(8)
        length = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
        if not 0 < length <= min(LONGEST_HEADER_BYTES, size - 8):
            raise Invalid(f"{path} is no whole safetensors file; fetch the model again", code="model-truncated")
        try:
            header = json.loads(file.read(length))
        except ValueError as error:
            raise Invalid(f"{path} has a broken header ({error}); fetch the model again", code="model-truncated") from error
    tensors = [tensor for name, tensor in header.items() if name != "__metadata__"]
    needed = 8 + length + max((tensor["data_offsets"][1] for tensor in tensors), default=0)
    if size < needed:
        raise Invalid(f"{path} has {size} of {needed} bytes; fetch the model again", code="model-truncated")
    yield from tensors


def sha_of(files: list[Path]) -> str:
    """A hash over the files' names and contents, in the order of their names."""
    whole = hashlib.sha256()
    for path in sorted(files, key=lambda path: path.name):
        check_file(path)
        with path.open("rb") as file:
            whole.update(f"{path.name}\x1f{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return whole.hexdigest()
