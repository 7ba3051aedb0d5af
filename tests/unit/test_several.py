"""How many processes send a load."""

import pytest

from gpu_agent.workloads.several import processes_for
from gpu_agent.workloads.share import Share
from schemas.requests import Traced, Workload

URL = "http://127.0.0.1:1"


def traced(*at_ms: int, tokens: int) -> list[Traced]:
    """Requests at those times, of so many tokens each."""
    return [Traced(at_ms=at, input_tokens=1, output_tokens=tokens) for at in at_ms]


@pytest.mark.parametrize(
    ("told", "cores", "count"),
    [
        ({"profile": "single"}, 16, 1),
        ({"profile": "constant", "rate_per_s": 50, "duration_s": 1, "output_tokens": 32}, 16, 1),
        ({"profile": "constant", "rate_per_s": 1000, "duration_s": 1, "output_tokens": 32}, 16, 4),
        ({"profile": "constant", "rate_per_s": 1000, "duration_s": 1, "output_tokens": 32}, 2, 2),
        ({"profile": "ramp", "rate_per_s": 1, "rate_to_per_s": 600, "duration_s": 1, "output_tokens": 32}, 16, 3),
        ({"profile": "concurrent", "concurrency": 512, "requests": 600}, 16, 4),
        ({"profile": "trace", "trace": traced(*range(3), tokens=9_000)}, 16, 3),
        ({"profile": "trace", "trace": traced(*range(0, 3000, 100), tokens=1_800)}, 16, 2),
        ({"profile": "trace", "trace": traced(*range(0, 3000, 100), tokens=1_800), "speedup": 3}, 16, 6),
        ({"profile": "trace", "trace": traced(*[0] * 9, tokens=9_000)}, 16, 9),
        ({"profile": "trace", "trace": traced(0, 999, 1999, 600_000, tokens=9_000)}, 16, 2),
        ({"profile": "trace", "trace": traced(0, 60_000, tokens=10)}, 16, 1),
    ],
)
def test_as_many_as_its_rate_wants(told: dict[str, object], cores: int, count: int) -> None:
    """And no more than there are cores; a trace's busiest second counts."""
    assert processes_for(Workload.model_validate({"url": URL} | told), cores=cores) == count


def test_asked_for_counts() -> None:
    """Whatever the load."""
    assert processes_for(Workload(url=URL), cores=1, asked=3) == 3


@pytest.mark.parametrize("whole", [3, 5, 8])
def test_places_are_shared_out(whole: int) -> None:
    """All of them, none twice."""
    assert sum(Share(n, 3).places(whole) or 0 for n in range(3)) == whole
