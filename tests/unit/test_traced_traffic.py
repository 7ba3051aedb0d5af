"""A requirement's traffic out of a trace: parts for hours, means for lengths, and what is refused."""

from pathlib import Path

import pytest

from query_api.cli.requirement_files import requirement_from
from schemas.requests import Traced
from streams.deciding.reading import requirement_of
from streams.deciding.requiring import load_of
from streams.deciding.traced import traffic_of
from streams.errors import Invalid


def test_a_traces_parts_are_the_days_hours() -> None:
    """A quarter of an hour: 24 parts of 37.5 s; ten requests in the first of them, one in the last."""
    trace = [Traced(at_ms=n * 1000, input_tokens=100, output_tokens=20) for n in range(10)]
    told = traffic_of([*trace, Traced(at_ms=900_000, input_tokens=760, output_tokens=20)])
    assert told["curve"] == [f"{10 / 37.5:.6g}/s", *["0/s"] * 22, f"{1 / 37.5:.6g}/s"]
    assert (told["input"], told["output"]) == ("160 tokens", "20 tokens")
    load = load_of(requirement_of({"traffic": told}))
    assert load is not None
    assert (load.peak_per_s, load.mean_per_s) == pytest.approx((10 / 37.5, 11 / 900), rel=1e-5)


def test_a_file_names_its_trace_beside_it(tmp_path: Path) -> None:
    """What else the traffic says stays; a trace that is wrong names its file and line."""
    (tmp_path / "day.jsonl").write_text(
        "".join(f'{{"timestamp": {n * 1000}, "input_length": 80, "output_length": 8}}\n' for n in range(48))
    )
    file = tmp_path / "requirement.yaml"
    file.write_text("tasks: {t: 1}\ntraffic: {trace: day.jsonl, headroom: 10 %}\n")
    made = requirement_of(requirement_from(file))
    assert made.traffic and (len(made.traffic.curve_per_s), made.traffic.input_tokens, made.traffic.headroom_ratio) == (24, 80, 0.1)
    (tmp_path / "day.jsonl").write_text('{"timestamp": 1}\n')
    with pytest.raises(Invalid, match=r"day.jsonl, .*1"):
        requirement_from(file)


def test_a_trace_of_one_moment_has_no_rate() -> None:
    """Nor an empty one."""
    for trace in ([], [Traced(at_ms=0, input_tokens=1, output_tokens=1)] * 3):
        with pytest.raises(Invalid, match="all at one moment"):
            traffic_of(trace)
