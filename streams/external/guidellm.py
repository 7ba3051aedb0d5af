"""A load as GuideLLM writes its own: benchmarks.json. Of a sweep each step is a benchmark, in the order in which they were taken.

GuideLLM's rates are over its measured window, as ours are over the steady window: their means are our rates; what it tells of a rate beside
them has no twin. Its inter_token_latency_ms weighs each request's mean by its tokens, its time_per_output_token_ms counts from the sending,
and its request_latency ends when the stream does: none is a figure of ours, but what each request of `requests` took is told.

Source: GuideLLM 0.8.1: benchmark/schemas (report version 2), schemas/base/statistics.py, schemas/base/request_stats.py.
"""

from collections.abc import Iterator
from typing import Any, Final

from schemas.requests import Workload
from streams.external.loads import MS, Load, Spread, counted
from streams.speed.columns import ABSENT
from streams.speed.measured import Measured
from streams.speed.sweeping import Step
from streams.speed.timings import Requests

FORM: Final = "GuideLLM 0.8.1 (benchmarks.json, report version 2)"
VERSION: Final = 2
PERCENTILES: Final = {
    "p001": 0.1, "p01": 1.0, "p05": 5.0, "p10": 10.0, "p25": 25.0, "p50": 50.0, "p75": 75.0, "p90": 90.0, "p95": 95.0, "p99": 99.0,
    "p999": 99.9,
}  # fmt: skip
LATENCIES: Final = {"time_to_first_token_ms": "ttft", "time_to_first_output_token_ms": "first_answer"}
LENGTHS: Final = {"prompt_token_count": "prompt_tokens", "output_token_count": "output_tokens"}
RATES: Final = {"requests_per_second": "requests_per_s", "output_tokens_per_second": "output_tokens_per_s"}
STATUSES: Final = {"successful": "ok", "incomplete": "cancelled", "errored": "error"}
S = 1e9


def guidellm(load: Load) -> dict[str, Any]:
    """The document."""
    asked = load.job.workload or Workload()
    loads = [(step.load, _step_strategy(step, asked)) for step in load.steps] or [(load.whole, _strategy(asked))]
    return {
        "metadata": {"version": VERSION}, "note": load.note(FORM),
        "benchmarks": [_benchmark(one, load.job.run_id, index, strategy) for index, (one, strategy) in enumerate(loads)],
    }  # fmt: skip


def _strategy(asked: Workload) -> dict[str, Any] | None:
    """Their name of how requests are sent; None where they have none."""
    match asked.profile:
        case "single":
            return {"type_": "synchronous"}
        case "concurrent":
            return {"type_": "concurrent", "streams": asked.concurrency}
        case "constant" | "poisson":
            return {"type_": asked.profile, "rate": asked.rate_per_s}
    return None


def _step_strategy(step: Step, asked: Workload) -> dict[str, Any] | None:
    if step.rate is None:
        return {"type_": "synchronous"}
    return {"type_": "poisson", "rate": step.rate} if asked.burstiness in (None, 1) else None


def _benchmark(load: Measured, run_id: str, index: int, strategy: dict[str, Any] | None) -> dict[str, Any]:
    config = {"run_id": run_id, "run_index": index} | ({"strategy": strategy} if strategy else {})
    by_status = {theirs: load.steady[load.steady.are("status", ours)] for theirs, ours in STATUSES.items()}
    totals = {theirs: len(found) for theirs, found in by_status.items()} | {"total": len(load.steady)}
    return {
        "type_": "generative_benchmark", "config": config, **({"duration": load.window.s} if load.window else {}),
        "metrics": {"request_totals": totals, **dict(_metrics(load))},
        "requests": {theirs: list(_requests(found)) for theirs, found in by_status.items()},
    }  # fmt: skip


def _metrics(load: Measured) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, ours in LATENCIES.items():
        if len(values := load.samples[ours]):
            yield name, {"successful": _spread(Spread(values, MS))}
    for name, ours in LENGTHS.items():
        if len(values := counted(load, ours)):
            yield name, {"successful": _spread(Spread(values))}
    for name, ours in RATES.items():
        if (rate := load.figure(ours)).value is not None:
            yield name, {"successful": {"mean": rate.value, "count": rate.n}}
    under_way = next((one.value for one in load.figures if one.metric == "in_flight_mean"), None)
    if under_way is not None:
        yield "request_concurrency", {"total": {"mean": under_way}}


def _spread(of: Spread) -> dict[str, Any]:
    (least, most), found, n = of.ends, of.percentiles(PERCENTILES), len(of.values)
    return {
        "mean": of.mean, "median": found["p50"], "variance": of.deviation**2, "std_dev": of.deviation, "min": least, "max": most,
        "count": n, "total_sum": of.mean * n, "percentiles": found,
    }  # fmt: skip


def _requests(of: Requests) -> Iterator[dict[str, Any]]:
    """What each request took, in the order of sending; what is not known of it is null."""
    names = ("request_index", "sent_ns", "first_byte_ns", "first_answer_ns", "last_token_ns", "ended_ns", "prompt_tokens", "output_tokens")
    uncounted = of.are("counted_by", "none").tolist()
    for row, unknown in zip(zip(*(of.column(name).tolist() for name in names), strict=True), uncounted, strict=True):
        index, sent, first, answer, last, ended, prompt, output = row
        between = None if ABSENT in (first, last) or unknown or output < 2 else (last - first) / (output - 1) / MS
        yield {
            "request_id": str(index), "prompt_tokens": None if unknown else prompt, "output_tokens": None if unknown else output,
            "request_latency": (ended - sent) / S, "time_to_first_token_ms": _since(sent, first),
            "time_to_first_output_token_ms": _since(sent, answer), "inter_token_latency_ms": between,
        }  # fmt: skip


def _since(sent: int, at: int) -> float | None:
    return None if at == ABSENT else (at - sent) / MS
