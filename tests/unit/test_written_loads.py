"""A run's load as AIPerf and GuideLLM write theirs: the values of a load that can be reckoned on paper, and what is left out."""

import asyncio
import json
import math
from typing import Any, cast

import pytest

from infra.kafka import Log
from infra.measured_loads import written_load
from schemas.jobs import Job
from schemas.measurements import RequestTimed
from schemas.requests import ModelRef, Objective, Workload
from streams.errors import Conflict, Invalid, NotFound
from streams.external.loads import load_of
from streams.external.reading import form_of
from streams.external.writing import written
from streams.speed.performance import Speed
from tests import pool
from tests.in_memory import InMemory
from tests.unit.test_speed import JOB, MS, R, request, tokens
from tests.unit.test_sweeping import SWEEP, Bench

COUNT = 70
ASKED = Workload(profile="constant", rate_per_s=1.0, requests=70, url="http://server.example", api="chat")


def job(workload: Workload = ASKED, slo: Objective | None = None) -> Job:
    """The job of a load."""
    return pool.job(JOB, run=R).model_copy(update={"workload": workload, "slo": slo, "model": ModelRef(uri="org/model")})


def answered() -> list[RequestTimed]:
    """One request a second, the nth with a TTFT of 100 + n ms and ten tokens 20 ms apart, five of them asked by a prompt of five."""
    return [request(n, sent=n * 1000, first=n * 1000 + 100 + n, last=n * 1000 + 280 + n, counted_by="usage") for n in range(COUNT)]


def broken() -> list[RequestTimed]:
    """Two that failed, and one that the client gave up."""
    told = [("error", "timeout"), ("error", "http-500"), ("cancelled", None)]
    return [
        request(COUNT + n, sent=n * 1000 + 500, first=n * 1000 + 600, last=n * 1000 + 700, status=status, error_kind=kind)
        for n, (status, kind) in enumerate(told)
    ]  # fmt: skip


def document(form: str, requests: list[RequestTimed], of: Job | None = None) -> dict[str, Any]:
    """What is written of them; it is JSON without a NaN."""
    speed = Speed(JOB)
    for one in requests:
        speed.add(one)
        speed.add(tokens(one))
    told = written(load_of(speed.taken(), of or job(), release="9.8"), form)
    return dict(json.loads(json.dumps(told, allow_nan=False)))


def test_aiperfs_fields_have_the_values_of_ours_in_its_units() -> None:
    """Milliseconds and tokens; p90 of 70 values is known, p95 is not."""
    told = document("aiperf", answered() + broken())
    assert told["time_to_first_token"] == {
        "unit": "ms", "avg": 134.5, "p1": None, "p5": None, "p10": pytest.approx(106.9), "p25": 117.25, "p50": 134.5, "p75": 151.75,
        "p90": pytest.approx(162.1), "p95": None, "p99": None, "min": 100.0, "max": 169.0,
        "std": pytest.approx(math.sqrt((COUNT**2 - 1) / 12)), "count": COUNT, "sum": 9415.0,
    }  # fmt: skip
    assert (told["request_latency"]["avg"], told["request_latency"]["max"]) == (314.5, 349.0)
    assert told["inter_token_latency"] | {"p1": 0, "p5": 0, "p95": 0, "p99": 0} == {
        "unit": "ms", "avg": 20.0, "min": 20.0, "max": 20.0, "std": 0.0, "count": COUNT, "sum": 1400.0,
        **dict.fromkeys(("p10", "p25", "p50", "p75", "p90"), 20.0), **dict.fromkeys(("p1", "p5", "p95", "p99"), 0),
    }  # fmt: skip
    assert (told["inter_chunk_latency"]["avg"], told["inter_chunk_latency"]["count"], told["inter_chunk_latency"]["p95"]) == (
        20.0,
        630,
        20.0,
    )
    assert told["output_sequence_length"]["avg"] == 10.0
    assert (told["total_osl"], told["total_isl"]) == ({"unit": "tokens", "avg": 700.0}, {"unit": "tokens", "avg": 350.0})
    assert (told["request_count"], told["error_request_count"]) == ({"unit": "requests", "avg": 70.0}, {"unit": "requests", "avg": 2.0})
    assert (told["schema_version"], told["benchmark_id"]) == ("1.4", R)
    assert told["note"].startswith(f"Written by Assay 9.8 of the load of run {R} (model org/model), in the form of AIPerf 0.13")


def test_aiperfs_configuration_is_told_where_it_has_words_for_all_of_it() -> None:
    """Of a load at a server elsewhere; its smoothness is our burstiness."""
    assert document("aiperf", answered())["input_config"] == {
        "models": {"items": [{"name": "org/model"}]},
        "endpoint": {"urls": ["http://server.example"], "type": "chat", "streaming": True},
        "datasets": [{"name": "default", "type": "synthetic", "prompts": {"isl": {"value": 64.0}, "osl": {"value": 32.0}}}],
        "phases": [{"name": "profiling", "type": "constant", "rate": 1.0, "requests": 70}],
    }
    gamma = {"profile": "gamma", "burstiness": 0.25, "duration_s": 70.0}
    told = document("aiperf", answered(), job(ASKED.model_copy(update=gamma)))["input_config"]["phases"]
    assert told == [{"name": "profiling", "type": "gamma", "rate": 1.0, "smoothness": 0.25, "requests": 70, "duration": 70.0}]
    for more in ({"url": None}, {"profile": "ramp"}, {"shared_prefix_ratio": 0.5}, {"cancel_ratio": 0.1}):
        assert "input_config" not in document("aiperf", answered(), job(ASKED.model_copy(update=more)))


def test_what_has_no_twin_in_aiperf_is_left_out() -> None:
    """Its rates are over another time than ours; nothing tells here of reasoning, nor when an answer began."""
    told = document("aiperf", answered())
    assert told.keys() == {
        "schema_version", "benchmark_id", "note", "input_config", "time_to_first_token", "inter_token_latency", "inter_chunk_latency",
        "request_latency", "input_sequence_length", "output_sequence_length", "total_isl", "total_osl", "request_count",
        "error_request_count",
    }  # fmt: skip
    more = [one.model_copy(update={"reasoning_tokens": 4, "first_answer_ns": (one.first_byte_ns or 0) + 60 * MS}) for one in answered()]
    told = document("aiperf", more)
    assert told["total_reasoning_tokens"] == {"unit": "tokens", "avg": 280.0}
    assert told["time_to_first_output_token"]["p50"] == 194.5


def test_guidellms_metrics_have_the_values_of_ours_in_its_units() -> None:
    """A rate has its mean alone: 69 endings between the first and the last, which are 69.069 s apart."""
    told = document("guidellm", answered() + broken())
    (one,) = told["benchmarks"]
    assert told["metadata"] == {"version": 2} and "GuideLLM 0.8.1" in told["note"] and R in told["note"]
    assert one["config"] == {"run_id": R, "run_index": 0, "strategy": {"type_": "constant", "rate": 1.0}}
    assert one["duration"] == pytest.approx(69.069)
    metrics = one["metrics"]
    assert metrics["request_totals"] == {"successful": 70, "incomplete": 1, "errored": 2, "total": 73}
    assert metrics["time_to_first_token_ms"]["successful"] == {
        "mean": 134.5, "median": 134.5, "variance": pytest.approx((COUNT**2 - 1) / 12), "std_dev": pytest.approx(20.2052, rel=1e-4),
        "min": 100.0, "max": 169.0, "count": COUNT, "total_sum": 9415.0,
        "percentiles": {"p001": None, "p01": None, "p05": None, "p10": pytest.approx(106.9), "p25": 117.25, "p50": 134.5, "p75": 151.75,
                        "p90": pytest.approx(162.1), "p95": None, "p99": None, "p999": None},
    }  # fmt: skip
    assert metrics["requests_per_second"]["successful"] == {"mean": pytest.approx(69 / 69.069), "count": 69}
    assert metrics["output_tokens_per_second"]["successful"] == {"mean": pytest.approx(690 / 69.069), "count": 690}
    assert metrics["output_token_count"]["successful"]["total_sum"] == 700.0
    assert metrics.keys() == {
        "request_totals", "time_to_first_token_ms", "prompt_token_count", "output_token_count", "requests_per_second",
        "output_tokens_per_second", "request_concurrency",
    }  # fmt: skip


def test_guidellms_requests_tell_what_each_took() -> None:
    """The second of them: its stream ended half a second behind its last token. The first that failed is among its own."""
    requests = document("guidellm", answered() + broken())["benchmarks"][0]["requests"]
    assert requests["successful"][1] == {
        "request_id": "1", "prompt_tokens": 5, "output_tokens": 10, "request_latency": 0.781, "time_to_first_token_ms": 101.0,
        "time_to_first_output_token_ms": None, "inter_token_latency_ms": 20.0,
    }  # fmt: skip
    assert [len(requests[status]) for status in ("successful", "errored", "incomplete")] == [70, 2, 1]
    uncounted = [one.model_copy(update={"counted_by": "none", "output_tokens": 0, "prompt_tokens": 0}) for one in answered()]
    first = document("guidellm", uncounted)["benchmarks"][0]
    assert [first["requests"]["successful"][0][name] for name in ("prompt_tokens", "output_tokens", "inter_token_latency_ms")] == [None] * 3
    assert not first["metrics"].keys() & {"prompt_token_count", "output_token_count", "output_tokens_per_second"}


def test_each_step_of_a_sweep_is_a_benchmark_and_the_best_is_aiperfs() -> None:
    """As our own figures are those of the best step."""
    bench = Bench()
    steps = bench.sweep(SWEEP)
    load = load_of(bench.speed.taken(), job(SWEEP.model_copy(update={"burstiness": 1.0})), release="1")
    told = written(load, "guidellm")["benchmarks"]
    assert [one["config"]["strategy"] for one in told] == [
        {"type_": "synchronous"} if step.rate is None else {"type_": "poisson", "rate": step.rate} for step in steps
    ]
    assert [one["metrics"]["request_totals"]["total"] for one in told] == [len(step.load.steady) for step in steps]
    figures = {one.metric: one for one in bench.speed.summary().figures}
    ttft = written(load, "aiperf")["time_to_first_token"]
    assert (ttft["avg"] * MS, ttft["count"]) == (pytest.approx(figures["ttft_mean"].value), figures["ttft_mean"].n)


def test_a_load_of_which_nothing_is_measured_has_its_counts_alone() -> None:
    """Every request failed."""
    told = document("aiperf", broken()[:2])
    assert told.keys() == {"schema_version", "benchmark_id", "note", "input_config", "request_count", "error_request_count"}
    metrics = document("guidellm", broken()[:2])["benchmarks"][0]["metrics"]
    assert metrics == {"request_totals": {"successful": 0, "incomplete": 0, "errored": 2, "total": 2}}


@pytest.mark.parametrize("form", ["aiperf", "guidellm"])
def test_our_reader_takes_such_a_file_for_none_of_its_forms(form: str) -> None:
    """It reads neither of the two, and takes neither for another."""
    with pytest.raises(Invalid, match="no file of a form that is known"):
        form_of(document(form, answered()))


def test_a_load_is_read_from_the_log_once_it_has_ended() -> None:
    """Its own job's events, of the attempt that finished; before that, and of a run without a load, it is said what to do."""
    log = InMemory()
    with pytest.raises(NotFound, match="has no load"):
        read(log, "aiperf")
    log.write(pool.planned(job()))
    for event in (*answered(), *map(tokens, answered())):
        log.write(event)
    with pytest.raises(Conflict, match="has not ended"):
        read(log, "aiperf")
    log.write(pool.changed(job(), "finished"))
    told = read(log, "aiperf")
    assert (told["request_count"]["avg"], told["time_to_first_token"]["avg"]) == (70.0, 134.5)
    with pytest.raises(Invalid, match="written as aiperf or guidellm"):
        read(log, "wrk")


def read(log: InMemory, form: str) -> dict[str, Any]:
    """The document of the run's load in the log."""
    return asyncio.run(written_load(cast(Log, log), R, form))
