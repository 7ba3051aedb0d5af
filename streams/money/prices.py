"""The price book: what a thing costs, where, from when on, and who says so; and what follows for an hour of an agent.

A price is a `PricePublished`. Its item says what is priced and fixes the unit; behind a colon stands the name of the device or model.

    gpu_hour:<device's name>     USD a device-hour            kwh             USD a kWh
    device:<device's name>       USD a device, to buy it      gco2_per_kwh    g/kWh of CO2 (equivalent)
    cpu_hour                     USD a core-hour              pue             facility's energy / the devices' (1 or more)
    spot_gpu_hour, spot_cpu_hour, reserved_1y_gpu_hour, …: the same hours, on spot machines and under a reservation of 1 or 3 years
    spot_redone                  the share of the work that interruptions make be done again: an assumption, stated like a price
    embodied_gco2:<device>       g of CO2 to make it          wue             litres of water a kWh of the devices
    lifetime_h:<device>          hours that it is used in all
    api_input_token:<model>      USD a million tokens         api_output_token:<model>      USD a million tokens

Amounts are integers of billionths. All versions of the book live side by side. At a time and in a region that price of an item holds which
is valid then, of the newest version that has one; a price of the very region goes before one of `any`. A version is as new as its
first price. So a later version may name just what has changed, and the book as of an older version is still there to reckon with.
"""

import difflib
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction
from types import MappingProxyType
from typing import Final, Protocol

from schemas.event import Event
from schemas.jobs import Device
from schemas.results import PricePublished
from streams.errors import Invalid, Permanent
from streams.times import day

NANO: Final = 10**9
ANYWHERE: Final = "any"
CURRENCY: Final = "USD"
S_PER_HOUR: Final = 3600
STALE_DAYS: Final = 180  # list prices of accelerators have halved within a year
STALE_US: Final = STALE_DAYS * 86_400 * 10**6
OF_A_DAY: Final = re.compile(r"(?:.*[^0-9])?(\d{4}-\d\d-\d\d)")  # a version that ends with a day is of that day
AHEAD_US: Final = 86_400 * 10**6  # that a publisher's clock may be ahead of the log's


class Undefined(Permanent):
    """A figure has no value; the message says why."""

    code = "undefined"


@dataclass(frozen=True, slots=True)
class Kind:
    """What holds for all items of a kind. `named`: what stands behind the colon; `money`: the amount is in a currency."""

    unit: str
    named: str | None = None
    money: bool = True
    least_nano: int = 0


KINDS: Final = MappingProxyType({
    "gpu_hour": Kind("device-hour", named="device"),
    "device": Kind("device", named="device"),
    "cpu_hour": Kind("core-hour"),
    "spot_gpu_hour": Kind("device-hour", named="device"),
    "spot_cpu_hour": Kind("core-hour"),
    "spot_redone": Kind("1", money=False),
    "reserved_1y_gpu_hour": Kind("device-hour", named="device"),
    "reserved_1y_cpu_hour": Kind("core-hour"),
    "reserved_3y_gpu_hour": Kind("device-hour", named="device"),
    "reserved_3y_cpu_hour": Kind("core-hour"),
    "kwh": Kind("kWh"),
    "gco2_per_kwh": Kind("g/kWh", money=False),
    "pue": Kind("1", money=False, least_nano=NANO),
    "wue": Kind("L/kWh", money=False),
    "embodied_gco2": Kind("g/device", named="device", money=False),
    "lifetime_h": Kind("h/device", named="device", money=False, least_nano=NANO),
    "api_input_token": Kind("1M tokens", named="model"),
    "api_output_token": Kind("1M tokens", named="model"),
})  # fmt: skip


# How an hour may be paid other than on demand: what that puts before the item's name, and how people call it.
WAYS: Final = MappingProxyType({
    "spot_": "spot", "reserved_1y_": "reserved for 1 year", "reserved_3y_": "reserved for 3 years",
})  # fmt: skip


def kind_of(item: str) -> Kind:
    """The item's kind. Raises: Invalid, naming what there is."""
    name, colon, rest = item.partition(":")
    kind = KINDS.get(name)
    if kind is None:
        near = difflib.get_close_matches(name, KINDS, n=1)
        meant = f"did you mean {near[0]}? " if near else ""
        raise Invalid(f"unknown item {item!r}; {meant}there are {', '.join(map(_shown, KINDS))}", code="price-item")
    if bool(colon and rest.strip()) != bool(kind.named):
        raise Invalid(f"item {item!r}: write it as {_shown(name)}", code="price-item")
    return kind


def _shown(name: str) -> str:
    return f"{name}:<{named}>" if (named := KINDS[name].named) else name


def check(price: PricePublished) -> None:
    """Raises: Invalid, saying what to change, where a price cannot be reckoned with."""
    kind = kind_of(price.item)
    if price.unit != kind.unit:
        told = f"unit {price.unit!r}" if price.unit else "no unit"
        raise Invalid(f"{price.item} has {told}; its unit is {kind.unit!r}", code="price-unit")
    currency = CURRENCY if kind.money else ""
    if price.currency != currency:
        wanted = "convert it to USD, and say the rate in source" if kind.money else "leave it empty: this is no money"
        raise Invalid(f"{price.item} has currency {price.currency!r}; {wanted}", code="price-currency")
    if price.amount_nano < kind.least_nano:
        raise Invalid(f"{price.item} has amount {price.amount_nano / NANO:g}; the least is {kind.least_nano // NANO}", code="price-amount")
    if price.valid_to_us is not None and price.valid_to_us <= price.valid_from_us:
        raise Invalid(
            f"{price.item} ends on {day(price.valid_to_us)}, not after it begins on {day(price.valid_from_us)}", code="price-dates"
        )
    if empty := next((name for name in ("region", "source", "version") if not getattr(price, name).strip()), None):
        raise Invalid(f"{price.item} has no {empty}; who says so, where and in which version must be told", code="price-field")


class Said(Protocol):
    """A price's version, when it was published and until when it holds."""

    @property
    def version(self) -> str: ...
    @property
    def occurred_us(self) -> int: ...
    @property
    def valid_to_us(self) -> int | None: ...


def as_of_us(price: Said) -> int:
    """When somebody said that it holds: the day of the list that its version names (aws-2026-11-29), if that is before it was published."""
    found = OF_A_DAY.fullmatch(price.version)
    try:
        named = datetime.fromisoformat(found[1]).replace(tzinfo=UTC) if found else None
    except ValueError:  # no calendar has it
        named = None
    return min(price.occurred_us, round(named.timestamp() * 1e6)) if named else price.occurred_us


def is_stale(price: Said, *, at_us: int) -> bool:
    """Nobody has said for so long that the price holds, nor until when it does: it should be looked up again."""
    return price.valid_to_us is None and at_us - as_of_us(price) > STALE_US


def untimely(event: Event, *, written_us: int) -> str | None:
    """Why a price cannot be of the time that it names, by when the log wrote it down; None for one that can, and for what is no price.

    The newest version of the book holds: one from a time to come would be newer than all that are published until then.
    """
    if not isinstance(event, PricePublished) or event.occurred_us <= written_us + AHEAD_US:
        return None
    return f"it says that it was published on {day(event.occurred_us)}, and came on {day(written_us)}; set its producer's clock, in µs UTC"


@dataclass(slots=True)
class PriceBook:
    """Every price published: a fold whose result any order of items and any redelivery gives alike."""

    prices: dict[tuple[str, str], dict[tuple[str, int], PricePublished]] = field(default_factory=dict)
    born_us: dict[str, int] = field(default_factory=dict)

    def fold(self, price: PricePublished) -> None:
        """Folds a price in; the first of an item, region, version and begin counts. Raises: Invalid, and leaves the book as it was."""
        check(price)
        known = self.prices.setdefault((price.item, price.region), {})
        if (price.version, price.valid_from_us) not in known:
            known[price.version, price.valid_from_us] = price
            self.born_us[price.version] = min(price.occurred_us, self.born_us.get(price.version, price.occurred_us))

    def age(self, version: str) -> tuple[int, str]:
        """What orders versions, the oldest first. Raises: KeyError, where no price is of it."""
        return self.born_us[version], version

    @property
    def versions(self) -> tuple[str, ...]:
        """Every version, the oldest first."""
        return tuple(sorted(self.born_us, key=self.age))

    def versions_of(self, items: Iterable[str], *, regions: Collection[str], at_us: int) -> tuple[str, ...]:
        """The oldest version, and each that has a price of one of these items, there or anywhere, that holds then; the oldest first."""
        known = [self.prices.get((item, place), {}).values() for item in items for place in {*regions, ANYWHERE}]
        found = {price.version for prices in known for price in prices if _holds(price, at_us)}
        return tuple(sorted({*found, *sorted(self.born_us, key=self.age)[:1]}, key=self.age))

    def at(self, item: str, *, at_us: int, region: str, version: str | None = None) -> PricePublished:
        """The price that holds, in the book as of a version (the newest, where none is named). Raises: Undefined."""
        for place in dict.fromkeys((region, ANYWHERE)):
            known = self.prices.get((item, place), {}).values()
            holding = [price for price in known if self._is_in(price, version) and _holds(price, at_us)]
            if holding:
                return max(holding, key=lambda price: (self.age(price.version), price.valid_from_us))
        raise Undefined(f"no price of {item} holds on {day(at_us)} in region {region}", code="no-price")

    def _is_in(self, price: PricePublished, version: str | None) -> bool:
        return version is None or self.age(price.version) <= self.age(version)


def _holds(price: PricePublished, at_us: int) -> bool:
    return price.valid_from_us <= at_us and (price.valid_to_us is None or at_us < price.valid_to_us)


@dataclass(frozen=True, slots=True)
class AgentHour:
    """What an hour of an agent costs, exactly, and the prices that it rests on."""

    usd_nano: int
    prices: tuple[PricePublished, ...]

    @property
    def second_usd_nano(self) -> Fraction:
        """What a second costs, exactly; round at the end of a reckoning, once."""
        return Fraction(self.usd_nano, S_PER_HOUR)


def agent_hour(
    devices: Sequence[Device], cores: int, *, book: PriceBook, at_us: int, region: str = ANYWHERE, version: str | None = None,
    way: str = "",
) -> AgentHour:  # fmt: skip
    """What an hour of an agent costs: the sum over its devices; without one, its cores. Raises: Undefined where a price is missing.

    A rented device's price includes its host, so cores beside devices cost nothing more. `way`: how it is paid (WAYS).
    """
    items = [f"{way}gpu_hour:{device.name}" for device in devices] or [f"{way}cpu_hour"] * cores
    if not items:
        raise Undefined("an agent without devices and without cores cannot be priced", code="no-price")
    found = {item: book.at(item, at_us=at_us, region=region, version=version) for item in dict.fromkeys(items)}
    return AgentHour(sum(found[item].amount_nano for item in items), tuple(found.values()))


@dataclass(frozen=True, slots=True)
class OtherHour:
    """An hour of an agent paid otherwise than on demand, exactly in nUSD: spot with the work that is done again; the prices behind it.

    `redone`: the share that is done again, 0 for reservations, which are paid whether used or not.
    """

    way: str
    usd_nano: Fraction
    redone: Fraction
    prices: tuple[PricePublished, ...]


def other_hours(
    devices: Sequence[Device], cores: int, *, book: PriceBook, at_us: int, region: str = ANYWHERE, version: str | None = None
) -> tuple[OtherHour, ...]:
    """An hour of an agent by each way to pay for which the book has prices; spot only where `spot_redone` is stated too."""
    found = []
    for way, words in WAYS.items():
        try:
            hour = agent_hour(devices, cores, book=book, at_us=at_us, region=region, version=version, way=way)
            again = (book.at("spot_redone", at_us=at_us, region=region, version=version),) if way == "spot_" else ()
        except Undefined:
            continue
        redone = Fraction(again[0].amount_nano, NANO) if again else Fraction(0)
        found.append(OtherHour(words, hour.usd_nano * (1 + redone), redone, (*hour.prices, *again)))
    return tuple(found)
