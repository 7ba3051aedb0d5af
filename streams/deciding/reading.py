"""A requirement as people write it, read into its shape. What is wrong is said with the field, its value and what to write."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final, TypeVar, get_args

from schemas.requirements import Allowed, Emissions, Latency, ModelKind, Preference, Requirement, Spending, Step, Traffic
from streams.deciding.candidates import FIGURES
from streams.deciding.curves import curve
from streams.deciding.quantities import (
    BYTES,
    DOLLAR,
    GRAMS,
    JOULES,
    RATES,
    SECONDS,
    SHARES,
    TOKENS,
    amount,
    money,
    rate,
    share,
    usd,
    written,
)  # fmt: skip
from streams.deciding.requiring import AIR_GAPPED
from streams.errors import Invalid
from streams.numbers import MOST_LONG, shown

Told = Mapping[str, Any]
Sized = TypeVar("Sized", Told, Sequence[Any])
PARTS: Final = ("tasks", "floors", "latency", "traffic", "budget", "rates", "energy", "allowed", "prefer", "threshold")
LATENCIES: Final = ("ttft_p95", "itl_p95", "e2e_p95")
MOST_NAMES: Final = 100
LONGEST_NAME: Final = 200
MOST_OWNED: Final = 1_000_000
WEIGHTS: Final = {"": Decimal(1), **SHARES}
# In which units a tolerance may be written, by its figure's own unit; one of money in any currency that has a rate.
TOLERANCES: Final[Mapping[str, Mapping[str, Decimal]]] = {
    "ratio": WEIGHTS, "s": SECONDS, "bytes": BYTES, "J/token": JOULES, "g/1M tokens": GRAMS, "requests/s": RATES,
}  # fmt: skip
QUALITY_ALONE: Final = {"quality": 100.0}  # without traffic there is no bill to prefer by
PLACES: Final = ("cpu", "one-gpu", "several-gpus", AIR_GAPPED)
KNOWN: Final[Mapping[str, Sequence[str]]] = {"places": PLACES, "kinds": get_args(ModelKind)}
LISTS: Final = ("models", "hardware", "engines", "places", "regions", "licences", "languages", "kinds")


def requirement_of(told: Told) -> Requirement:
    """The requirement that a file's mapping tells. Raises: Invalid, naming the field."""
    _known(told, PARTS, "the requirement")
    rates = {currency: rate(value, currency) for currency, value in _part(told, "rates").items()}
    usual = Preference().points if told.get("traffic") is not None else QUALITY_ALONE
    return Requirement(
        tasks=_numbers(told, "tasks"), floors=_floors(told),
        latency=_latency(_part(told, "latency")), traffic=_traffic(_part(told, "traffic")) if told.get("traffic") is not None else None,
        spending=_spending(_part(told, "budget"), rates), emissions=_emissions(_part(told, "energy")),
        allowed=_allowed(_part(told, "allowed")),
        preference=_preference(_part(told, "prefer"), usual=usual, rates=rates),
        threshold_ratio=share(told.get("threshold", 0.8), "threshold"),
    )  # fmt: skip


def _part(told: Told, name: str) -> Told:
    part = told.get(name)
    if part is None:
        return {}
    if not isinstance(part, Mapping):
        raise Invalid(f"{name} is {shown(part)}; it must be a mapping of names to values", code="requirement")
    return part


def _known(told: Told, names: tuple[str, ...], where: str) -> None:
    if unknown := next((str(name) for name in told if name not in names), None):
        near = difflib.get_close_matches(unknown, names, n=1, cutoff=0.5)
        meant = f"did you mean {near[0]}?" if near else f"the fields are {', '.join(names)}"
        raise Invalid(f"{where} has no field {unknown!r}; {meant}", code="requirement")


def _numbers(told: Told, name: str) -> dict[str, float]:
    found = {key: _in(WEIGHTS, value, f"{name}.{key}") for key, value in _few(_part(told, name), name).items()}
    if found and not any(found.values()):
        raise Invalid(f"all {name} weigh 0; give the one that matters most 100", code="requirement")
    return found


def _in(units: Mapping[str, Decimal], value: Any, name: str) -> float:
    """An amount in the first of the units, which it has too where none is written. Raises: Invalid for another unit."""
    number, unit = written(value, name)
    if unit and unit not in units:
        raise Invalid(f"{name} has the unit {shown(unit)}; write {number} without one, or in {', '.join(filter(None, units))}", code="unit")
    return float(number * units[unit] if unit else number)


def _floors(told: Told) -> dict[str, float]:
    return {name: share(value, f"floors.{name}") for name, value in _few(_part(told, "floors"), "floors").items()}


def _few(told: Sized, name: str) -> Sized:
    if len(told) > MOST_NAMES:
        raise Invalid(
            f"{name} has {len(told)} entries; {MOST_NAMES} are the most: name a group in the place of its tasks", code="requirement"
        )
    return told


def _latency(told: Told) -> Latency:
    _known(told, LATENCIES, "latency")
    return Latency(**{f"{name}_s": _above_0(amount(value, f"latency.{name}", SECONDS), f"latency.{name}") for name, value in told.items()})


def _above_0(value: float, name: str) -> float:
    if value <= 0:
        raise Invalid(f"{name} is 0, which nothing keeps; leave it out where there is no limit", code="requirement")
    return value


def _traffic(told: Told) -> Traffic:
    _known(told, ("rate", "curve", "input", "output", "headroom"), "traffic")
    if ("rate" in told) == ("curve" in told):
        raise Invalid("traffic needs either a rate, as 20/s, or a curve of the day", code="requirement")
    if missing := next((name for name in ("input", "output") if name not in told), None):
        raise Invalid(f"traffic has no {missing}; say how long it is, as {missing}: 800 tokens", code="requirement")
    return Traffic(
        curve_per_s=curve(told["curve"] if "curve" in told else told["rate"]), input_tokens=_count(told["input"], "traffic.input", TOKENS),
        output_tokens=_count(told["output"], "traffic.output", TOKENS), headroom_ratio=share(told.get("headroom", 0.2), "traffic.headroom"),
    )  # fmt: skip


def _count(value: Any, name: str, units: Mapping[str, Decimal]) -> int:
    if not 1 <= (count := round(_above_0(amount(value, name, units), name))) <= MOST_LONG:
        raise Invalid(f"{name} is {shown(value)}; write at least 1 {next(iter(units))}, and at most {MOST_LONG}", code="requirement")
    return count


def _spending(told: Told, rates: Mapping[str, Decimal]) -> Spending:
    names = {"per_month": "per_month_usd_nano", "per_1m_tokens": "per_1m_tokens_usd_nano", "capital": "capital_usd_nano"}
    _known(told, tuple(names), "budget")
    per = {"per_month": "month", "per_1m_tokens": "1M tokens", "capital": ""}
    return Spending(**{names[name]: money(value, f"budget.{name}", rates, per=per[name]) for name, value in told.items()})


def _emissions(told: Told) -> Emissions:
    _known(told, ("per_token", "carbon_per_1m_tokens"), "energy")
    read: dict[str, Callable[[Any], float]] = {
        "per_token": lambda value: amount(value, "energy.per_token", JOULES),
        "carbon_per_1m_tokens": lambda value: amount(value, "energy.carbon_per_1m_tokens", GRAMS),
    }
    names = {"per_token": "j_per_token", "carbon_per_1m_tokens": "gco2_per_1m_tokens"}
    return Emissions(**{names[name]: _above_0(read[name](value), f"energy.{name}") for name, value in told.items()})


def _allowed(told: Told) -> Allowed:
    _known(told, (*LISTS, "context", "memory", "owned"), "allowed")
    lists = {name: _names(told[name], f"allowed.{name}") for name in LISTS if told.get(name) is not None}
    lists |= {name: _of(KNOWN[name], names, f"allowed.{name}") for name, names in lists.items() if name in KNOWN}
    context = _count(told["context"], "allowed.context", TOKENS) if "context" in told else None
    memory = _count(told["memory"], "allowed.memory", BYTES) if "memory" in told else None
    return Allowed.model_validate({**lists, "context_tokens": context, "memory_bytes": memory, "owned": _owned(_part(told, "owned"))})


def _of(known: Sequence[str], names: Sequence[str], name: str) -> tuple[str, ...]:
    """The names as they are known, whatever their case. Raises: Invalid for one that there is not."""
    found = tuple(one.strip().lower() for one in names)
    if unknown := next((one for one, plain in zip(names, found, strict=True) if plain not in known), None):
        raise Invalid(f"{name} has {shown(unknown)}; there are {', '.join(known)}", code="requirement")
    return found


def _owned(told: Told) -> dict[str, int]:
    """Devices, and how many of each there are."""
    found = {}
    for name, value in _few(told, "allowed.owned").items():
        number, unit = written(value, f"allowed.owned.{name}")
        if unit or number != int(number) or not 1 <= number <= MOST_OWNED:
            raise Invalid(f"allowed.owned.{name} is {shown(value)}; write how many there are, as 2", code="requirement")
        found[_names(name, "allowed.owned")[0]] = int(number)
    return found


def _names(value: Any, name: str) -> tuple[str, ...]:
    several = value if isinstance(value, list | tuple) else [value]
    if not several or not all(isinstance(one, str) and one.strip() for one in several):
        raise Invalid(f"{name} is {shown(value)}; write names, or leave it out where anything is allowed", code="requirement")
    if len(several) > MOST_NAMES or max(map(len, several)) > LONGEST_NAME:
        raise Invalid(
            f"{name} has {len(several)} names; at most {MOST_NAMES} of {LONGEST_NAME} characters can be allowed", code="requirement"
        )
    return tuple(several)


def _preference(told: Told, *, usual: Mapping[str, float], rates: Mapping[str, Decimal]) -> Preference:
    _known(told, ("points", "order"), "prefer")
    points = _numbers(told, "points")
    steps = told.get("order") or []
    if not isinstance(steps, list | tuple):
        raise Invalid(f"prefer.order is {shown(steps)}; write a list, as [quality, usd_per_month]", code="requirement")
    _few(steps, "prefer.order")
    order = tuple(Step(figure=one, tolerance=0.0) if isinstance(one, str) else _step(one, rates) for one in steps)
    for name in (*points, *(step.figure for step in order)):
        _known({name: None}, tuple(FIGURES), "prefer")
    return Preference(points=points or dict(usual), order=order)


def _step(told: Any, rates: Mapping[str, Decimal]) -> Step:
    if not isinstance(told, Mapping) or "figure" not in told:
        raise Invalid(f"prefer.order has {shown(told)}; write a figure, or {{figure: quality, tolerance: 0.01}}", code="requirement")
    _known(told, ("figure", "tolerance"), "prefer.order")
    figure = str(told["figure"])
    _known({figure: None}, tuple(FIGURES), "prefer")
    return Step(figure=figure, tolerance=_tolerance(told.get("tolerance", 0), figure, rates))


def _tolerance(value: Any, figure: str, rates: Mapping[str, Decimal]) -> float:
    """A tolerance in its figure's unit. Raises: Invalid for a unit of another kind."""
    name, (currency, _, per) = f"prefer.order.tolerance of {figure}", FIGURES[figure].unit.partition("/")
    if currency != DOLLAR:
        return _in(TOLERANCES[FIGURES[figure].unit], value, name)
    number, unit = written(value, name)
    return float(Fraction(number) * usd(unit or DOLLAR, name, rates, per=per))
