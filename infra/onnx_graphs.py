"""An ONNX file's graph, read without any library of models: its inputs and outputs, and its tensors without their numbers.

Messages are read by their fields' numbers; a field is a number, or the place (from, to) of its bytes. Source: onnx.proto of ONNX 1.23
(ModelProto, GraphProto, NodeProto, TensorProto, ValueInfoProto), and Protocol Buffers' encoding,
https://protobuf.dev/programming-guides/encoding/.
"""

import math
import mmap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

# Operators whose weights lie packed, several in a byte: where among their inputs. Source: ONNX Runtime, ContribOperators.md.
PACKED: Final[Mapping[str, int]] = {"MatMulNBits": 1, "GatherBlockQuantized": 0}
DEFAULT_BITS: Final = 4
DEEPEST: Final = 8
LONGEST_NAME: Final = 1000


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
class Found:
    """What has been read of a graph and those within it. `packed`: by a tensor's name its bits, and how many numbers it holds, if told."""

    inputs: list[Port] = field(default_factory=list)
    outputs: list[Port] = field(default_factory=list)
    tensors: list[Tensor] = field(default_factory=list)
    packed: dict[str, tuple[int, int]] = field(default_factory=dict)


def graph_of(held: mmap.mmap) -> Found:
    """The graph of a whole file.

    Raises: IndexError where that ends in its middle, ValueError, KeyError, TypeError where it makes no sense.
    """
    found, graphs, operators = Found(), 0, 0
    for number, value in _fields(held, 0, len(held)):
        if number == 7:
            _graph(held, value, found, depth=0)
            graphs += 1
        operators += number == 8
    if graphs != 1 or not operators:  # what it is made of is told behind the graph
        raise ValueError("it has no graph of operators")
    return found


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


def _graph(held: mmap.mmap, place: tuple[int, int], found: Found, *, depth: int) -> None:
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


def _node(held: mmap.mmap, place: tuple[int, int], found: Found, *, depth: int) -> None:
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


def _attribute(held: mmap.mmap, place: tuple[int, int], found: Found, *, depth: int) -> dict[str, int]:
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
