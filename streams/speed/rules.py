"""MLPerf's rules, as far as they are about a load: durations, numbers of samples, early stopping. What follows them is no MLPerf result.

A request says by its label `mlperf-rules` which scenario it follows; then all that is told of its run says what it is not.
- *single-stream*: one request at a time for 600 s; p90 of E2E, for which early stopping wants 64 requests.
- *server*: Poisson arrivals for 600 s; p99 of TTFT and TPOT, for which it wants 662; each is held to the service level, if there is one.
- *offline*: all 24,576 samples at once, for 600 s at least; tokens/s over all of it.

Source: MLCommons inference, loadgen/mlperf.conf (min_duration, target_latency_percentile, min_query_count) and loadgen/early_stopping.cc.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from schemas.requests import Objective
from streams.statistics.order import needed

LABEL: Final = "mlperf-rules"
NO_RESULT: Final = "not an MLPerf result"
LEAST_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """A scenario: what lasts `LEAST_S`, how many samples it has at least, and the figures of early stopping, each with its limit's name."""

    lasts: str
    samples: int
    early: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Check:
    """One of the rules: whether it was kept; None where there is nothing to hold it to."""

    rule: str
    kept: bool | None
    told: str


SCENARIOS: Final[Mapping[str, Scenario]] = MappingProxyType({
    "single-stream": Scenario("sending", needed(0.90), {"e2e_p90_early_stopped": "e2e_ns"}),
    "server": Scenario("sending", needed(0.99), {"ttft_p99_early_stopped": "ttft_ns", "tpot_p99_early_stopped": "itl_ns"}),
    "offline": Scenario("whole", 24_576, {}),
})  # fmt: skip


def scenario_of(labels: Mapping[str, str]) -> str | None:
    """The scenario that a request follows; None where it follows none."""
    told = labels.get(LABEL)
    return told if told in SCENARIOS else None


def said(labels: Mapping[str, str]) -> tuple[str, ...]:
    """What is said of a run that follows the rules, wherever it is told of."""
    name = scenario_of(labels)
    rest = "its load alone follows MLPerf's rules; model, data, accuracy and review are not MLPerf's"
    return (f"{NO_RESULT} (scenario {name}): {rest}",) if name else ()


def checks(name: str, value: Mapping[str, float | None], *, slo: Objective | None) -> Iterator[Check]:
    """Each rule of a scenario beside a load's figures (durations and latencies in ns)."""
    rule = SCENARIOS[name]
    lasted_s, requests = (value.get(rule.lasts) or 0) / 1e9, round(value.get("requests") or 0)
    yield Check("duration", lasted_s >= LEAST_S, f"{lasted_s:,.1f} s of at least {LEAST_S:.0f} s")
    yield Check("samples", requests >= rule.samples, f"{requests:,} of at least {rule.samples:,}")
    failed = round(value.get("errors") or 0)
    yield Check("errors", failed == 0, f"{failed:,} failed")
    for metric, limit in rule.early.items():
        yield _stopped(metric, value.get(metric), getattr(slo, limit) if slo else None)


def _stopped(metric: str, ns: float | None, limit_ns: int | None) -> Check:
    latency, percentile, *_ = metric.split("_")
    name = f"early stopping, {latency.upper()} {percentile}"
    if ns is None:
        return Check(name, False, "too few requests")
    beside = f", held to {limit_ns / 1e6:,.1f} ms" if limit_ns is not None else ""
    return Check(name, None if limit_ns is None else ns <= limit_ns, f"{ns / 1e6:,.1f} ms at most, of 99 % confidence{beside}")
