"""A requirement as people write it, read into its shape. What is wrong is said with the field, its value and what to write."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from schemas.requirements import Allowed, Emissions, Latency, Preference, Requirement, Spending, Step, Traffic
from streams.deciding.candidates import FIGURES
from streams.deciding.curves import curve
from streams.deciding.quantities import BYTES, GRAMS, JOULES, SECONDS, TOKENS, amount, money, share, written
from streams.errors import Invalid
from streams.numbers import MOST_LONG, shown

Told = Mapping[str, Any]
Sized = TypeVar("Sized", Told, Sequence[Any])
PARTS: Final = ("tasks", "floors", "latency", "traffic", "budget", "rates", "energy", "allowed", "prefer", "threshold")
LATENCIES: Final = ("ttft_p95", "itl_p95", "e2e_p95")
MOST_NAMES: Final = 100
LONGEST_NAME: Final = 200
MOST_OWNED: Final = 1_000_000
PER: Final = {"per_month": "month", "per_1m_tokens": "1M tokens", "capital": ""}  # what an amount of the budget is for
QUALITY_ALONE: Final = {"quality": 100.0}  # without traffic there is no bill to prefer by
LISTS: Final = ("models", "hardware", "engines", "places", "regions", "licences", "languages", "kinds")


def requirement_of(told: Told) -> Requirement:
    """The requirement that a file's mapping tells. Raises: Invalid, naming the field."""
    _known(told, PARTS, "the requirement")
    rates = {currency: _rate(value, currency) for currency, value in _part(told, "rates").items()}
    return Requirement(
        tasks=_numbers(told, "tasks"), floors=_floors(told),
        latency=_latency(_part(told, "latency")), traffic=_traffic(_part(told, "traffic")) if told.get("traffic") is not None else None,
        spending=_spending(_part(told, "budget"), rates), emissions=_emissions(_part(told, "energy")),
        allowed=_allowed(_part(told, "allowed")),
        preference=_preference(_part(told, "prefer"), usual=Preference().points if told.get("traffic") is not None else QUALITY_ALONE),
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


def _rate(value: Any, currency: str) -> Decimal:
    number, unit = written(value, f"rates.{currency}")
    if unit not in ("", "USD") or number <= 0:
        raise Invalid(f"rates.{currency} is {shown(value)}; write the USD that one {currency} is worth, as 1.08", code="rate")
    return number


def _numbers(told: Told, name: str) -> dict[str, float]:
    found = {key: float(written(value, f"{name}.{key}")[0]) for key, value in _few(_part(told, name), name).items()}
    if found and not any(found.values()):
        raise Invalid(f"all {name} weigh 0; give the one that matters most 100", code="requirement")
    return found


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
    return Spending(**{names[name]: money(value, f"budget.{name}", rates, per=PER[name]) for name, value in told.items()})


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
    context = _count(told["context"], "allowed.context", TOKENS) if "context" in told else None
    memory = _count(told["memory"], "allowed.memory", BYTES) if "memory" in told else None
    try:
        return Allowed.model_validate({**lists, "context_tokens": context, "memory_bytes": memory, "owned": _owned(_part(told, "owned"))})
    except ValidationError as error:
        raise Invalid(f"allowed.kinds is {told.get('kinds')!r}; there are base and fine-tuned", code="requirement") from error


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


def _preference(told: Told, *, usual: Mapping[str, float]) -> Preference:
    _known(told, ("points", "order"), "prefer")
    points = _numbers(told, "points")
    steps = told.get("order") or []
    if not isinstance(steps, list | tuple):
        raise Invalid(f"prefer.order is {shown(steps)}; write a list, as [quality, usd_per_month]", code="requirement")
    _few(steps, "prefer.order")
    order = tuple(Step(figure=one, tolerance=0.0) if isinstance(one, str) else _step(one) for one in steps)
    for name in (*points, *(step.figure for step in order)):
        _known({name: None}, tuple(FIGURES), "prefer")
    return Preference(points=points or dict(usual), order=order)


def _step(told: Any) -> Step:
    if not isinstance(told, Mapping) or "figure" not in told:
        raise Invalid(f"prefer.order has {shown(told)}; write a figure, or {{figure: quality, tolerance: 0.01}}", code="requirement")
    _known(told, ("figure", "tolerance"), "prefer.order")
    return Step(figure=str(told["figure"]), tolerance=float(written(told.get("tolerance", 0), "prefer.order.tolerance")[0]))
