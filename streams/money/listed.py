"""Cloud price lists: what all of them have in common. Each is read into rows of the price book, and says where in it a wrong field stands.

A list prices machines, the book devices and cores. Which devices a machine has, and how many, is stated by whoever imports the list, and of
a list that prices parts the host beside them too; what is not named is passed over. A machine's hour, host and all, is divided among its
devices, and rounded once, to billionths.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from types import MappingProxyType
from typing import Any, Final

from streams.errors import Invalid
from streams.money.prices import NANO, WAYS
from streams.numbers import decimal, shown

HOURS_A_YEAR: Final = 8760
CORE: Final = "core"
PART: Final = r"(?P<count>[1-9]\d{0,3})\s*[x×]\s*(?P<device>.+?)\s*"
HOST: Final = re.compile(PART)
MACHINE: Final = re.compile(rf"\s*(?P<name>[^=]+?)\s*=\s*{PART}")
ON_DEMAND: Final = "on demand"
PREFIXES: Final[Mapping[str, str]] = MappingProxyType({ON_DEMAND: "", **{words: prefix for prefix, words in WAYS.items()}})


@dataclass(frozen=True, slots=True)
class Node:
    """A value of a list, and its path from the list's top."""

    value: Any
    path: str = ""

    def at(self, name: str) -> "Node":
        """A field. Raises: Invalid where there is none."""
        if not self.names(name):
            raise Invalid(f"{self.path or 'the list'} has no {name}", code="price-list")
        return Node(self.value[name], f"{self.path}.{name}".lstrip("."))

    def names(self, name: str) -> bool:
        """There is such a field. Raises: Invalid where it is no object."""
        if not isinstance(self.value, dict):
            raise self.wrong("an object")
        return name in self.value

    def text(self) -> str:
        """A text that says something. Raises: Invalid."""
        if not isinstance(self.value, str) or not self.value.strip():
            raise self.wrong("a text")
        return self.value

    def usd(self) -> Fraction:
        """An amount that is not below 0. Raises: Invalid."""
        try:
            amount = Fraction(decimal(str(self.value)))
        except ValueError as error:
            raise self.wrong("an amount") from error
        if isinstance(self.value, bool) or amount < 0:
            raise self.wrong("an amount of at least 0")
        return amount

    def date(self) -> str:
        """A date, or a time with its zone. Raises: Invalid."""
        try:
            datetime.fromisoformat(self.text())
        except ValueError as error:
            raise self.wrong("a date, as 2026-11-30T00:00:00Z") from error
        return self.text()

    def each(self) -> Iterator["Node"]:
        """The entries of an array, or the values of an object. Raises: Invalid."""
        if isinstance(self.value, list):
            yield from (Node(one, f"{self.path}[{n}]") for n, one in enumerate(self.value))
        elif isinstance(self.value, dict):
            yield from (Node(one, f"{self.path}.{name}".lstrip(".")) for name, one in self.value.items())
        else:
            raise self.wrong("an array or an object")

    def wrong(self, wanted: str) -> Invalid:
        """That it is something else."""
        return Invalid(f"{self.path or 'the list'} is {shown(self.value)}; wanted is {wanted}", code="price-list")


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine as a list names it, and its devices by the name that the engine reports; `core` for cores.

    `host`: what it has beside them, by the list's names, where the list prices parts.
    """

    name: str
    device: str
    count: int
    host: tuple[tuple[str, int], ...] = ()

    @property
    def words(self) -> str:
        """It, with its host."""
        parts = ", ".join(f"{count} × {name}" for name, count in self.host)
        return f"{self.name} with {parts}" if parts else self.name


@dataclass(frozen=True, slots=True)
class Hour:
    """What an hour of a machine costs by a list: which way it is paid, where, from when on, and where in the list it says so.

    `lacks`: the part of its host that the list has no such price of.
    """

    machine: Machine
    way: str
    region: str
    usd: Fraction
    valid_from: str
    path: str
    lacks: str | None = None


def machine_of(written: str) -> Machine:
    """The machine of `p5.48xlarge=8x NVIDIA H100 80GB HBM3`, or `c7i.48xlarge=192x core`; a host behind it: ` + 26x A3 Instance Core`.

    Raises: Invalid.
    """
    first, *others = written.split(" + ")
    found, host = MACHINE.fullmatch(first), [HOST.fullmatch(one) for one in others]
    if found is None or None in host:
        raise Invalid(
            f"machine {shown(written)}: write it as p5.48xlarge='8x NVIDIA H100 80GB HBM3', or c7i.48xlarge='192x core'", code="price-list"
        )
    return Machine(found["name"], found["device"], int(found["count"]), tuple((one["device"], int(one["count"])) for one in host if one))


def rows(hours: Iterable[Hour], machines: Iterable[Machine], *, source: str, version: str) -> list[dict[str, str]]:
    """The rows of the price book that a list's hours are. Raises: Invalid for a machine that it has not, and two prices of one thing."""
    told, paths, there = list[dict[str, str]](), dict[tuple[str, str, str], Hour](), list(hours)
    for machine in machines:
        if not any(one.machine == machine for one in there):
            raise Invalid(
                f"the list has no price of {machine.name} that can be read: compare its name, region and way to pay", code="price-list"
            )
    for one in there:
        if one.lacks:
            raise Invalid(f"the list has no price of {one.lacks}, {one.way}, in {one.region}, which {one.machine.name} has beside its "
                          "devices; compare its name, or choose regions with --region", code="price-list")  # fmt: skip
        if not one.usd:
            raise Invalid(f"{one.path} is an hour of {one.machine.name} for 0 USD; nothing is rented for that", code="price-list")
        item = PREFIXES[one.way] + ("cpu_hour" if one.machine.device == CORE else f"gpu_hour:{one.machine.device}")
        other = paths.setdefault((item, one.region, one.valid_from), one)
        if other is not one and other.usd / other.machine.count != one.usd / one.machine.count:
            raise Invalid(
                f"{one.path} and {other.path} are two prices of {item} in {one.region}; cut the list to one of them", code="price-list"
            )
        if other is one:
            told.append(_row(one, item, source=source, version=version))
    return told


def _row(one: Hour, item: str, *, source: str, version: str) -> dict[str, str]:
    nano = round(one.usd / one.machine.count * NANO)
    of = f"{float(one.usd):.9g} USD an hour of {one.machine.words}, {one.way}, over {one.machine.count}"
    unit = "core-hour" if one.machine.device == CORE else "device-hour"
    return {
        "item": item, "region": one.region, "currency": "USD", "amount": f"{nano // NANO}.{nano % NANO:09d}", "unit": unit,
        "valid_from": one.valid_from, "source": f"{source}: {of}", "version": version,
    }  # fmt: skip
