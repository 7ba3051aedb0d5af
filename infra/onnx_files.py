"""What an ONNX file says of its model, read without any library of models, and whether it and its data beside it are whole.

Source: onnx.proto of ONNX 1.23 (ModelProto, GraphProto, NodeProto, TensorProto, ValueInfoProto), and Protocol Buffers' encoding,
https://protobuf.dev/programming-guides/encoding/. Names of inputs and outputs are those of Optimum's exports for text generation.
"""

import math
import mmap
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Final

from infra.model_files import check_file
from streams.errors import Invalid

# Types of numbers (TensorProto.DataType): those that are computed with, those that weights are quantised to, and those of tokens.
FLOATS: Final[Mapping[int, str]] = {1: "float32", 10: "float16", 11: "float64", 16: "bfloat16"}
SMALL: Final[Mapping[int, str]] = {
    2: "uint8", 3: "int8", 17: "float8_e4m3fn", 18: "float8_e4m3fnuz", 19: "float8_e5m2", 20: "float8_e5m2fnuz", 21: "uint4", 22: "int4",
    23: "float4_e2m1", 25: "uint2", 26: "int2",
}  # fmt: skip
WHOLE: Final[Mapping[int, str]] = {6: "int32", 7: "int64", 9: "bool"}
# Numbers of this type of 8 bits, and less of this share of all, are zero points and tables, not quantised weights.
QUANTISED_RATIO: Final = 0.1
# Operators whose weights lie packed, several in a byte: where among their inputs. Source: ONNX Runtime, ContribOperators.md.
PACKED: Final[Mapping[str, int]] = {"MatMulNBits": 1, "GatherBlockQuantized": 0}
DEFAULT_BITS: Final = 4
PAST: Final = re.compile(r"past_key_values\.(\d+)\.(key|value)").fullmatch
PRESENT: Final = re.compile(r"present\.(\d+)\.(key|value)").fullmatch
FED: Final = ("input_ids", "attention_mask", "position_ids", "use_cache_branch", "num_logits_to_keep")
LOGITS: Final = "logits"
KEPT_AS: Final = ("float32", "float16")  # keys and values; NumPy has no bfloat16
DEEPEST: Final = 8
LONGEST_NAME: Final = 1000
EXPORT: Final = "export a decoder: optimum-cli export onnx --task text-generation-with-past"


@dataclass(frozen=True, slots=True)
class Beside:
    """Where a tensor's numbers lie in another file."""

    location: str
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor of weights; `numbers`: how many elements it is stored as."""

    name: str
    type: int
    numbers: int
    beside: Beside | None = None


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of the graph; None in its shape for a size that each call may choose."""

    name: str
    type: int
    shape: tuple[int | None, ...]


@dataclass(slots=True)
class _Found:
    """What has been read of a graph and those within it. `packed`: by a tensor's name its bits, and how many numbers it holds, if told."""

    inputs: list[Port] = field(default_factory=list)
    outputs: list[Port] = field(default_factory=list)
    tensors: list[Tensor] = field(default_factory=list)
    packed: dict[str, tuple[int, int]] = field(default_factory=dict)


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
            found = _model(held)
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


def _counted(found: _Found) -> dict[str, int]:
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


# What follows reads messages by their fields' numbers. A field is a number, or the place (from, to) of its bytes.
def _fields(held: mmap.mmap, start: int, stop: int) -> Iterator[tuple[int, Any]]:
    """Raises: ValueError for what is no message, IndexError where it ends in its middle."""
    at = start
    while at < stop:
        tag, at = _varint(held, at)
        number, kind = tag >> 3, tag & 7
        if not number or kind not in (0, 1, 2, 5):
            raise ValueError(f"a field {number} of kind {kind}")
        if kind == 0:
            value, at = _varint(held, at)
            yield number, value
            continue
        length, at = _varint(held, at) if kind == 2 else ({1: 8, 5: 4}[kind], at)
        if at + length > stop:
            raise IndexError(at)
        yield number, (at, at + length)
        at += length
    if at != stop:
        raise IndexError(at)


def _varint(held: mmap.mmap, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = held[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
        if shift > 63:
            raise ValueError("a number of more than 64 bits")


def _text(held: mmap.mmap, place: tuple[int, int]) -> str:
    return held[place[0] : min(place[1], place[0] + LONGEST_NAME)].decode("utf-8", "replace")


def _model(held: mmap.mmap) -> _Found:
    found, graphs, operators = _Found(), 0, 0
    for number, value in _fields(held, 0, len(held)):
        if number == 7:
            _graph(held, value, found, depth=0)
            graphs += 1
        operators += number == 8
    if graphs != 1 or not operators:  # what it is made of is told behind the graph
        raise ValueError("it has no graph of operators")
    return found


def _graph(held: mmap.mmap, place: tuple[int, int], found: _Found, *, depth: int) -> None:
    if depth > DEEPEST:
        raise ValueError("graphs within graphs")
    weights = len(found.tensors)
    ports: dict[int, list[Port]] = {11: [], 12: []}
    for number, value in _fields(held, *place):
        if number == 1:
            _node(held, value, found, depth=depth)
        elif number == 5:
            found.tensors.append(_tensor(held, value))
        elif number in ports:
            ports[number].append(_port(held, value))
    if depth == 0:
        # Older files name weights among the inputs.
        named = {one.name for one in found.tensors[weights:]}
        found.inputs += [port for port in ports[11] if port.name not in named]
        found.outputs += ports[12]


def _node(held: mmap.mmap, place: tuple[int, int], found: _Found, *, depth: int) -> None:
    inputs, operator, numbers = list[str](), "", dict[str, int]()
    for number, value in _fields(held, *place):
        if number == 1:
            inputs.append(_text(held, value))
        elif number == 4:
            operator = _text(held, value)
        elif number == 5:
            numbers |= _attribute(held, value, found, depth=depth)
    if operator in PACKED and len(inputs) > PACKED[operator]:
        bits = numbers.get("bits", DEFAULT_BITS)
        if bits not in (2, 4, 8):
            raise ValueError(f"weights of {bits} bits")
        found.packed[inputs[PACKED[operator]]] = bits, numbers.get("K", 0) * numbers.get("N", 0)


def _attribute(held: mmap.mmap, place: tuple[int, int], found: _Found, *, depth: int) -> dict[str, int]:
    """An attribute that is a whole number, by its name; what is a tensor or a graph goes to what was found."""
    name, numbers = "", list[int]()
    for number, value in _fields(held, *place):
        if number == 1:
            name = _text(held, value)
        elif number == 3:
            numbers.append(value)
        elif number == 5:
            found.tensors.append(_tensor(held, value))
        elif number in (6, 11):
            _graph(held, value, found, depth=depth + 1)
    return {name: numbers[-1]} if numbers else {}


def _tensor(held: mmap.mmap, place: tuple[int, int]) -> Tensor:
    name, kind, sizes, told, elsewhere = "", 0, list[int](), dict[str, str](), False
    for number, value in _fields(held, *place):
        if number == 1:
            sizes += _packed(held, value)
        elif number == 2:
            kind = value
        elif number == 8:
            name = _text(held, value)
        elif number == 13:
            entry = dict(_fields(held, *value))
            told[_text(held, entry[1])] = _text(held, entry[2])
        elif number == 14:
            elsewhere = value == 1
    numbers = math.prod(sizes)
    if max(sizes, default=0) >= 2**48 or numbers >= 2**48:
        raise ValueError(f"a tensor of {sizes!s:.60}")
    beside = (
        Beside(told["location"], int(told.get("offset") or 0), int(told.get("length") or 0)) if elsewhere and "location" in told else None
    )
    return Tensor(name, kind, numbers, beside)


def _packed(held: mmap.mmap, value: int | tuple[int, int]) -> list[int]:
    """Numbers that lie one by one, or several together."""
    if isinstance(value, int):
        return [value]
    found, at = list[int](), value[0]
    while at < value[1]:
        one, at = _varint(held, at)
        found.append(one)
    return found


def _port(held: mmap.mmap, place: tuple[int, int]) -> Port:
    name, kind, shape = "", 0, list[int | None]()
    for number, value in _fields(held, *place):
        if number == 1:
            name = _text(held, value)
        elif number == 2:
            for _, tensor in (one for one in _fields(held, *value) if one[0] == 1):
                for part, told in _fields(held, *tensor):
                    if part == 1:
                        kind = told
                    else:
                        shape += [dict(_fields(held, *size)).get(1) or None for one, size in _fields(held, *told) if one == 1]
    return Port(name, kind, tuple(shape))
