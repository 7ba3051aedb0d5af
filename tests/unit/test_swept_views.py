"""Sweeps as people see them: levels as they write them, plots whose marks lie where the figures say, and the lines of the command line."""

from typing import Any

import pytest

from query_api.cli import showing
from query_api.cli.measuring import level_said, preset_of, workload_of
from query_api.drawing.sweeps import level, plots
from query_api.reading.sweeps import level_of, sweep_of
from streams.errors import Invalid

SLO = {"ttft_ns": 500_000_000, "itl_ns": None, "e2e_ns": 2_000_000_000, "ratio": 0.95}
OPTIONS: dict[str, Any] = dict.fromkeys((
    "profile", "rate", "rate_to", "burstiness", "speedup", "concurrency", "duration", "requests", "url", "api", "trace", "slo",
    "shared_prefix", "shared_prefixes", "cancel", "cancel_after", "turns", "think", "batch", "warmup", "prompts", "prompts_limit",
    "extra_body", "http", "streams",
)) | {"input_tokens": 64, "output_tokens": 32, "repeat_prompts": False, "sweep": False, "stream": True}  # fmt: skip


def step(number: int, rate: float | None, served: float, ms: float, *, verdict: str = "kept") -> dict[str, Any]:
    """A step as ClickHouse has it, all of its latencies the same."""
    figures = {"requests": 300, "errors": 0, "requests_per_s": served, "goodput_per_s": served / 2}
    figures |= {f"{name}_{part}": ms * 1e6 for name in ("ttft", "itl", "e2e") for part in ("mean", "p50", "p95", "p99")}
    told = [{"metric": name, "value": value} for name, value in figures.items()]
    return {"step": number, "rate_per_s": rate, "verdict": verdict, "why": None if verdict == "kept" else "too slow", "figures": told}


def row(value: float | None, *, low: float | None = None, high: float | None = None) -> dict[str, Any]:
    """A figure's row."""
    return {"value": value, "low": low, "high": high, "origin": "at 16/s: too slow" if value else None, "method": None,
            "why_undefined": None if value else "no rate kept it"}  # fmt: skip


STEPS = [step(0, None, 3.0, 100), step(1, 4.0, 4.0, 100), step(2, 16.0, 10.0, 1000, verdict="missed"), step(3, 8.0, 8.0, 200)]


def test_a_preset_says_what_no_option_says() -> None:
    """One that is not there is refused with those that are."""
    standard = preset_of("standard", OPTIONS | {"repeat": None})
    assert (workload_of(standard)["profile"], workload_of(standard)["duration_s"], standard["repeat"]) == ("sweep", 120.0, 3)
    quick = preset_of("smoke", OPTIONS | {"repeat": 2, "concurrency": 8})
    told = workload_of(quick)
    assert (told["profile"], told["concurrency"], told["duration_s"], quick["repeat"]) == ("concurrent", 8, 30.0, 2)
    assert preset_of(None, OPTIONS) == OPTIONS
    with pytest.raises(Invalid, match="there are smoke, standard, mlperf-single-stream"):
        preset_of("fast", OPTIONS)


@pytest.mark.parametrize(
    ("given", "profile"),
    [
        ({}, None),
        ({"concurrency": 64}, "concurrent"),
        ({"concurrency": 0}, "concurrent"),  # which refuses it
        ({"rate": 50.0}, "constant"),
        ({"rate": 0.0}, "constant"),
        ({"slo": "ttft_p95=1", "rate": 8.0}, "sweep"),
        ({"slo": "ttft_p95=1", "concurrency": 8}, "concurrent"),
        ({"profile": "poisson", "rate": 8.0, "slo": "ttft_p95=1"}, "poisson"),
    ],
)
def test_a_load_is_the_one_of_which_its_options_speak(given: dict[str, Any], profile: str | None) -> None:
    """A concurrency alone keeps so many in flight, a rate alone sends evenly; it was one request at a time."""
    told = workload_of(OPTIONS | given)
    assert told.get("profile") == profile
    assert (told.get("concurrency"), told.get("rate_per_s")) == (given.get("concurrency"), given.get("rate"))


def test_a_rate_and_a_concurrency_are_two_loads() -> None:
    """Where no profile says which."""
    with pytest.raises(Invalid, match="--concurrency keeps so many requests in flight, --rate sends so many a second: leave one out"):
        workload_of(OPTIONS | {"concurrency": 4, "rate": 2.0})


def test_a_level_is_written_as_the_option_has_it() -> None:
    """Limits in seconds, of one percentile."""
    told = level_said("ttft_p95=0.5, e2e_p95=2")
    assert told == {name: value for name, value in SLO.items() if value is not None}
    assert level_said("itl_p99.9=0.05") == {"itl_ns": 50_000_000, "ratio": pytest.approx(0.999)}
    shown = level_of(SLO)
    assert shown is not None and level(shown) == "TTFT p95 of at most 500 ms and E2E p95 of at most 2 s"


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ("ttft=0.5", "--slo 'ttft=0.5': write ttft, itl or e2e with a percentile and seconds, as ttft_p95=0.5"),
        ("ttft_p95=0", "--slo 'ttft_p95=0': write"),
        ("tpot_p95=1", "--slo 'tpot_p95=1': write"),
        ("ttft_p95=0.5,itl_p99=0.1", "give all limits of one percentile, not of p95, p99"),
    ],
)
def test_a_level_that_says_nothing_is_refused(said: str, says: str) -> None:
    """With how it is written."""
    with pytest.raises(Invalid) as refused:
        level_said(said)
    assert says in str(refused.value)


def test_a_level_alone_asks_for_a_sweep() -> None:
    """Beside a profile it is held to that load; two loads are none."""
    assert workload_of(OPTIONS | {"slo": "ttft_p95=1"})["profile"] == "sweep"
    assert workload_of(OPTIONS | {"sweep": True})["profile"] == "sweep"
    assert workload_of(OPTIONS | {"slo": "ttft_p95=1", "profile": "poisson", "rate": 3.0})["profile"] == "poisson"
    with pytest.raises(Invalid, match="--sweep and --profile constant are two loads"):
        workload_of(OPTIONS | {"sweep": True, "profile": "constant"})


def test_marks_lie_where_the_figures_say_and_the_level_is_drawn_in() -> None:
    """One plot a limit: across from 0 in proportion, upwards on a logarithmic scale."""
    told = sweep_of({"slo_rate_per_s": row(8.0, low=4.0, high=16.0)}, STEPS)
    assert told is not None
    ttft, e2e = plots(told, level_of(SLO))
    assert (ttft.name, e2e.name) == ("Time to first token, p95", "Whole request, p95")
    assert [(mark.number, mark.kept) for mark in ttft.marks] == [(0, True), (1, True), (3, True), (2, False)]
    assert [mark.x for mark in ttft.marks] == pytest.approx([30, 40, 80, 100])
    first, _, third, last = (mark.y for mark in ttft.marks)
    assert ttft.limit is not None and third > ttft.limit[0] > last and first > third
    # A tenth of a second to one is as far as half a second to five.
    assert first - last == pytest.approx((first - third) * 3.3219, rel=1e-3)
    assert ttft.limit[1] == "95 % within 500 ms" and ttft.marks[-1].label.endswith("too slow")
    assert [tick.label for tick in ttft.x_ticks] == ["0.0", "2.0", "4.0", "6.0", "8.0", "10.0"]
    assert all(0 <= tick.at <= 100.001 for plot in (ttft, e2e) for tick in plot.y_ticks)
    assert [plot.name for plot in plots(told, None)] == ["Time to first token, mean", "Whole request, mean"]


def test_a_sweep_is_a_table_and_what_it_came_to(capsys: pytest.CaptureFixture[str]) -> None:
    """By its rates, with why a step was not kept."""
    told = sweep_of({"slo_rate_per_s": row(8.0, low=4.0, high=16.0), "knee_rate_per_s": row(None)}, STEPS)
    assert told is not None and told["cliff_rate_per_s"] is None
    showing.sweep(told)
    text = " ".join(capsys.readouterr().out.split())
    assert text.index("alone") < text.index("4.00") < text.index("missed: too slow")
    assert "highest rate under the service level: 8.00 requests/s (4.00 to 16.00); at 16/s: too slow" in text
    assert "knee: none; no rate kept it" in text and "cliff" not in text


@pytest.mark.parametrize(("verdict", "told"), [("kept", "E2E rises"), ("missed", "E2E rises"), ("saturated", None)])
def test_a_step_whose_load_was_not_steady_says_so(verdict: str, told: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    """But for one that is saturated: its queue grows."""
    one = step(1, 4.0, 4.0, 100, verdict=verdict)
    one["figures"].append({"metric": "steady", "value": 0.0, "origin": "E2E rises"})
    sweep = sweep_of({}, [step(0, None, 3.0, 100), one])
    assert sweep is not None and [step["unsteady"] for step in sweep["steps"]] == [None, told]
    showing.sweep(sweep)
    assert ("not steady: E2E rises" in " ".join(capsys.readouterr().out.split())) == bool(told)
