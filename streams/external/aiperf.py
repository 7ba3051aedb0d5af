"""A load as AIPerf writes its own: profile_export_aiperf.json. Of a sweep it is the best step, of which our own figures are.

AIPerf's inter_token_latency is (latency - TTFT) / (output tokens - 1), once a request: our TPOT. Its inter_chunk_latency is our gap. Its
rates are over the time from the first request to the last response, ours over the steady window: they have no twin. Nor has our ITL, which
is once for each token.

Source: AIPerf 0.13.0: common/models/export_models.py (schema 1.4), config/, the formulas in metrics/types, and metrics/metric_dicts.py.
"""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from schemas.requests import Workload
from streams.external.loads import MS, Load, Spread, counted
from streams.speed.measured import Measured

FORM: Final = "AIPerf 0.13 (profile_export_aiperf.json, schema 1.4)"
SCHEMA: Final = "1.4"
PERCENTILES: Final = {f"p{share}": float(share) for share in (1, 5, 10, 25, 50, 75, 90, 95, 99)}
# Their names of what is told once a request, or once an arrival, and ours.
LATENCIES: Final = {
    "time_to_first_token": "ttft", "time_to_first_output_token": "first_answer", "inter_token_latency": "tpot",
    "inter_chunk_latency": "gap", "request_latency": "e2e",
}  # fmt: skip
LENGTHS: Final = {
    "input_sequence_length": "prompt_tokens", "output_sequence_length": "output_tokens", "reasoning_token_count": "reasoning_tokens",
}  # fmt: skip
TOTALS: Final = {"total_isl": "prompt_tokens", "total_osl": "output_tokens", "total_reasoning_tokens": "reasoning_tokens"}


def aiperf(load: Load) -> dict[str, Any]:
    """The document."""
    config = _config(load.job.workload or Workload(), load.job.model.uri)
    about = {"schema_version": SCHEMA, "benchmark_id": load.job.run_id, "note": load.note(FORM)}
    return about | ({"input_config": config} if config else {}) | _metrics(load.told)


def _metrics(load: Measured) -> dict[str, Any]:
    told = dict(_spreads(load)) | {name: _scalar("tokens", int(counted(load, ours).sum())) for name, ours in TOTALS.items()
                                   if len(counted(load, ours))}  # fmt: skip
    failed = int(load.steady.are("status", "error").sum())
    return told | {"request_count": _scalar("requests", len(load.good)), "error_request_count": _scalar("requests", failed)}


def _spreads(load: Measured) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, ours in LATENCIES.items():
        if len(values := load.samples[ours]):
            yield name, _spread("ms", Spread(values, MS))
    for name, ours in LENGTHS.items():
        if len(values := counted(load, ours)):
            yield name, _spread("tokens", Spread(values))


def _spread(unit: str, of: Spread) -> dict[str, Any]:
    least, most = of.ends
    n = len(of.values)
    return {"unit": unit, "avg": of.mean, **of.percentiles(PERCENTILES), "min": least, "max": most, "std": of.deviation, "count": n,
            "sum": float(np.sum(of.values)) / of.unit}  # fmt: skip


def _scalar(unit: str, value: int) -> dict[str, Any]:
    return {"unit": unit, "avg": float(value)}


def _config(asked: Workload, model: str) -> dict[str, Any] | None:
    """What was asked of whom, as their configuration says it; None where it has no words for all of it (a trace, a ramp, a sweep …)."""
    phase = _phase(asked)
    others = (
        asked.shared_prefix_ratio
        or asked.cancel_ratio
        or asked.turns > 1
        or asked.api == "responses"
        or asked.extra_body != "{}"
        or asked.prompts
    )
    if phase is None or asked.url is None or others:
        return None
    ends = {"requests": asked.requests, "duration": asked.duration_s}
    lengths = {"isl": {"value": float(asked.input_tokens)}, "osl": {"value": float(asked.output_tokens)}}
    return {
        "models": {"items": [{"name": model}]},
        "endpoint": {"urls": [asked.url], "type": asked.api, "streaming": asked.stream},
        "datasets": [{"name": "default", "type": "synthetic", "prompts": lengths}],
        "phases": [{"name": "profiling", **phase, **{name: end for name, end in ends.items() if end is not None}}],
    }


def _phase(asked: Workload) -> dict[str, Any] | None:
    match asked.profile:
        case "single" | "concurrent":
            return {"type": "concurrency", "concurrency": asked.concurrency if asked.profile == "concurrent" else 1}
        case "constant" | "poisson":
            return {"type": asked.profile, "rate": asked.rate_per_s}
        case "gamma":
            return {"type": "gamma", "rate": asked.rate_per_s, "smoothness": asked.burstiness}
    return None
