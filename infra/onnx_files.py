"""What an ONNX file says of its model, read without any library of models, and whether it and its data beside it are whole.

Source: onnx.proto of ONNX 1.23 (TensorProto.DataType). Names of inputs and outputs are those of Optimum's exports for text generation.
"""

import mmap
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from infra.model_files import check_file
from infra.onnx_graphs import LONGEST_NAME, Found, Port, Tensor, graph_of
from streams.errors import Invalid

# Types of numbers (TensorProto.DataType): those that are computed with, those that weights are quantised to, and those of tokens.
FLOATS: Final[Mapping[int, str]] = {1: "float32", 10: "float16", 11: "float64", 16: "bfloat16"}
SMALL: Final[Mapping[int, str]] = {
    2: "uint8", 3: "int8", 17: "float8_e4m3fn", 18: "float8_e4m3fnuz", 19: "float8_e5m2", 20: "float8_e5m2fnuz", 21: "uint4", 22: "int4",
    23: "float4_e2m1", 25: "uint2", 26: "int2",
}  # fmt: skip
WHOLE: Final[Mapping[int, str]] = {6: "int32", 7: "int64", 9: "bool"}
# Numbers of 8 bits and fewer that are less of all than this are zero points and tables, not quantised weights.
QUANTISED_RATIO: Final = 0.1
PAST: Final = re.compile(r"past_key_values\.(\d+)\.(key|value)").fullmatch
PRESENT: Final = re.compile(r"present\.(\d+)\.(key|value)").fullmatch
FED: Final = ("input_ids", "attention_mask", "position_ids", "use_cache_branch", "num_logits_to_keep")
LOGITS: Final = "logits"
KEPT_AS: Final = ("float32", "float16")  # keys and values; NumPy has no bfloat16
EXPORT: Final = "export a decoder: optimum-cli export onnx --task text-generation-with-past"


@dataclass(frozen=True, slots=True)
class Onnx:
    """An ONNX file's graph. `beside`: the files that hold its numbers; `counted`: of each type, how many weights there are."""

    path: Path
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    beside: tuple[Path, ...]
    counted: Mapping[str, int]

    @property
    def size_bytes(self) -> int:
        """The file's size, with what lies beside it."""
        return sum(path.stat().st_size for path in (self.path, *self.beside))

    @property
    def parameters(self) -> int:
        """How many weights it has."""
        return sum(self.counted.values())

    @property
    def quantised(self) -> bool:
        """Whether a part of its weights that counts has fewer bits than are computed with."""
        small = sum(count for name, count in self.counted.items() if name not in FLOATS.values())
        return small > 0 and small >= QUANTISED_RATIO * self.parameters

    @property
    def weights_type(self) -> str:
        """The type that most of its quantised weights have; of one that has none, of all weights."""
        wanted = {name: count for name, count in self.counted.items() if (name in FLOATS.values()) != self.quantised}
        return max(wanted, key=lambda name: wanted[name], default="float32")

    @property
    def dtype(self) -> str:
        """What is computed with: the type that most of its plain numbers have."""
        plain = {name: count for name, count in self.counted.items() if name in FLOATS.values()}
        return max(plain, key=lambda name: plain[name], default="float32")

    @property
    def past(self) -> tuple[Port, ...]:
        """Its inputs of keys and values, by layer; none where it has no cache."""
        return tuple(sorted((port for port in self.inputs if PAST(port.name)), key=lambda port: _place(PAST(port.name))))

    @property
    def present(self) -> tuple[Port, ...]:
        """Its outputs of keys and values, in the order of the inputs."""
        return tuple(sorted((port for port in self.outputs if PRESENT(port.name)), key=lambda port: _place(PRESENT(port.name))))

    @property
    def kv_dtype(self) -> str:
        """The type of its keys and values."""
        return FLOATS.get(self.past[0].type, self.dtype) if self.past else self.dtype

    @property
    def kv_numbers(self) -> int:
        """Of a token's keys and values, in all layers; 0 where it keeps none."""
        return sum((port.shape[1] or 0) * (port.shape[3] or 0) for port in self.past)


def _place(match: re.Match[str] | None) -> tuple[int, str]:
    assert match is not None
    return int(match[1]), match[2]


def read(path: Path) -> Onnx:
    """What the file says. Raises: Invalid where it is no ONNX file, or not whole with what lies beside it."""
    check_file(path)
    if not path.stat().st_size:
        raise _broken(path, "it is empty")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as held:
        try:
            found = graph_of(held)
        except IndexError as error:
            raise _broken(path, "it ends in its middle") from error
        except (ValueError, OverflowError, TypeError, KeyError) as error:
            raise _broken(path, f"it makes no sense ({error!s:.100})") from error
    return Onnx(path, tuple(found.inputs), tuple(found.outputs), _beside(path, found.tensors), _counted(found))


def check_decoder(read: Onnx) -> None:
    """Raises: Invalid where the graph is none that goes on from a text, or wants what nobody here feeds it."""
    if unknown := [port.name for port in read.inputs if port.name not in FED and not PAST(port.name)]:
        raise _cannot(
            read, f"wants the input {', '.join(unknown)[:200]}", "what is fed are tokens, their mask and positions, keys and values"
        )
    named = {port.name: port for port in (*read.inputs, *read.outputs)}
    if lacking := [name for name in ("input_ids", LOGITS) if name not in named]:
        raise _cannot(read, f"has no {lacking[0]}", f"it has {', '.join(named)[:200]}")
    if any(named["input_ids"].shape) or any(named[LOGITS].shape[:2]):
        raise _cannot(read, f"takes {named['input_ids'].shape} tokens and no other number", "as many as a text has are given at once")
    if [_place(PAST(one.name)) for one in read.past] != [_place(PRESENT(one.name)) for one in read.present] and read.past:
        raise _cannot(read, "takes other keys and values than it gives", "each past_key_values.N goes with a present.N")
    if odd := [port.name for port in read.past if not _is_past(port)]:
        raise _cannot(read, f"keeps {odd[0]} in a form that is not known", "float32 or float16 [rows, heads, tokens, size] is")
    if odd := [port.name for port in read.inputs if port.name in FED and port.type not in WHOLE]:
        raise _cannot(read, f"takes {odd[0]} as other than whole numbers", "tokens, their mask and positions are such")


def _is_past(port: Port) -> bool:
    sizes = port.shape
    return len(sizes) == 4 and not sizes[0] and bool(sizes[1]) and not sizes[2] and bool(sizes[3]) and FLOATS.get(port.type) in KEPT_AS


def _cannot(read: Onnx, what: str, why: str) -> Invalid:
    return Invalid(f"{read.path} {what}, and engine onnx cannot run it: {why}; {EXPORT}", code="engine-cannot")


def _broken(path: Path, why: str) -> Invalid:
    return Invalid(f"{path} is no whole ONNX file: {why}; fetch the model again", code="model-truncated")


def _beside(path: Path, tensors: list[Tensor]) -> tuple[Path, ...]:
    """The files in which the tensors' numbers lie. Raises: Invalid where one is not there, too short, or outside of the file's folder."""
    needed = Counter[str]()
    for one in tensors:
        if one.beside is not None:
            needed[one.beside.location] = max(needed[one.beside.location], one.beside.offset + one.beside.length)
    for location, length in needed.items():
        told, other = PurePosixPath(location), path.parent / location
        if told.is_absolute() or ".." in told.parts or "\\" in location or len(location) > LONGEST_NAME:
            raise Invalid(f"{path} names numbers outside of its folder ({location[:80]!r}); fetch the model again", code="model-broken")
        if not other.exists():
            raise Invalid(
                f"{path} lacks {location}, in which its numbers lie; put it beside, or fetch the model again", code="model-truncated"
            )
        check_file(other)
        if (size := other.stat().st_size) < length:
            raise Invalid(f"{other} has {size} of {length} bytes; fetch the model again", code="model-truncated")
    return tuple(path.parent / location for location in sorted(needed))


def _counted(found: Found) -> dict[str, int]:
    """Of each type, how many weights there are: packed ones as many as they stand for."""
    counted = Counter[str]()
    for one in found.tensors:
        name = FLOATS.get(one.type) or SMALL.get(one.type)
        if name is not None and one.name in found.packed and one.type in (2, 3):
            bits, numbers = found.packed[one.name]
            counted[f"int{bits}"] += numbers or one.numbers * 8 // bits
        elif name is not None:
            counted[name] += one.numbers
    return dict(counted)
