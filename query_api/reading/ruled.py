"""A load beside MLPerf's rules, where its request follows them."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from schemas.requests import Objective
from streams.speed.rules import NO_RESULT, checks, scenario_of


def ruled(figures: Mapping[str, Mapping[str, Any]], *, labels: Mapping[str, str], slo: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What of the rules the load kept, and what it never is; None where its request follows none."""
    if (scenario := scenario_of(labels)) is None:
        return None
    value = {name: row["value"] for name, row in figures.items()}
    told = checks(scenario, value, slo=Objective.model_validate(slo) if slo else None)
    return {"scenario": scenario, "note": NO_RESULT, "checks": [asdict(one) for one in told]}
