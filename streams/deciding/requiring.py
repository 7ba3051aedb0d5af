"""What a requirement means for a decision: its hard constraints, and its load."""

from collections.abc import Iterator
from typing import Final, get_args

from schemas.requirements import ModelKind, Requirement
from streams.deciding.constraints import Constraint
from streams.deciding.drawing import QUALITY
from streams.deciding.loads import Load
from streams.money.derivations import NANO

AIR_GAPPED: Final = "air-gapped"  # a place without a net, beside which there may be others: one-gpu, cpu
NO_NET: Final = "none"


def constraints_of(requirement: Requirement) -> tuple[Constraint, ...]:
    """Every bound that a choice must keep."""
    return (*_floors(requirement), *_ceilings(requirement), *_traits(requirement))


def _floors(requirement: Requirement) -> Iterator[Constraint]:
    for name, least in requirement.floors.items():
        yield Constraint(name if name == "quality" else QUALITY + name, "at least", least)


def _ceilings(requirement: Requirement) -> Iterator[Constraint]:
    spending, allowed = requirement.spending, requirement.allowed
    limits = {
        **requirement.latency.model_dump(), **requirement.emissions.model_dump(), "memory_bytes": allowed.memory_bytes,
        "usd_per_month": _usd(spending.per_month_usd_nano), "usd_per_1m_tokens": _usd(spending.per_1m_tokens_usd_nano),
        "capital_usd": _usd(spending.capital_usd_nano),
    }  # fmt: skip
    for figure, most in limits.items():
        if most is not None:
            yield Constraint(figure, "at most", float(most))
    if allowed.owned:
        yield Constraint("owned_ratio", "at most", 1.0)


def _usd(nano: int | None) -> float | None:
    return None if nano is None else nano / NANO


def _traits(requirement: Requirement) -> Iterator[Constraint]:
    allowed = requirement.allowed
    one_of = {
        "model": allowed.models, "hardware": allowed.hardware, "engine": allowed.engines,
        "place": tuple(name for name in allowed.places if name != AIR_GAPPED),
        "region": allowed.regions, "licence": allowed.licences,
        "kind": () if {*allowed.kinds} == {*get_args(ModelKind)} else allowed.kinds,  # all that there are: also one that is not known
    }  # fmt: skip
    for trait, names in one_of.items():
        if names:
            yield Constraint(trait, "one of", frozenset(names))
    if is_air_gapped(requirement):
        yield Constraint("net_at_run_time", "one of", frozenset({NO_NET}))
    if allowed.owned:
        yield Constraint("hardware", "one of", frozenset(allowed.owned))
    if allowed.languages:
        yield Constraint("languages", "all of", frozenset(allowed.languages))
    if allowed.context_tokens is not None:
        yield Constraint("context_tokens", "at least", float(allowed.context_tokens))


def is_air_gapped(requirement: Requirement) -> bool:
    """What is chosen must run where there is no net."""
    return AIR_GAPPED in requirement.allowed.places


def load_of(requirement: Requirement) -> Load | None:
    """The load that its traffic is; None without one."""
    traffic = requirement.traffic
    if traffic is None:
        return None
    mean = sum(traffic.curve_per_s) / len(traffic.curve_per_s)
    tokens = traffic.input_tokens + traffic.output_tokens
    return Load(max(traffic.curve_per_s), mean, tokens, traffic.headroom_ratio, requirement.latency.ttft_p95_s)
