"""When the requests of an open load arrive, in seconds from its start: without end, and the same for the same seed."""

from collections.abc import Iterator
from itertools import count
from math import sqrt

import numpy as np

from schemas.requests import Workload
from streams.errors import Invalid
from streams.speed.workloads import PACED


def arrivals(workload: Workload, *, seed: int) -> Iterator[float]:
    """The times of a paced profile. Raises: Invalid for any other, and for a rate that never sends."""
    rate, to = workload.rate_per_s or 0.0, workload.rate_to_per_s or 0.0
    if workload.profile not in PACED or max(rate, to) <= 0:
        raise Invalid(
            f"profile {workload.profile!r} with rate {rate}: give single, concurrent, or {', '.join(sorted(PACED))} with a rate above 0"
        )
    if workload.profile == "constant":
        yield from (number / rate for number in count())
    elif workload.profile == "ramp":
        yield from ramp(rate, to, duration_s=workload.duration_s or 0.0)
    else:
        yield from gamma(rate, shape=workload.burstiness if workload.profile == "gamma" and workload.burstiness else 1.0, seed=seed)


def gamma(rate: float, *, shape: float, seed: int) -> Iterator[float]:
    """Gaps of mean 1 / rate that are gamma-distributed: of shape 1 they are exponential, a Poisson process.

    Their coefficient of variation is 1 / √shape. Source: burstiness of vLLM 0.32's `vllm bench serve`.
    """
    draw, at_s = np.random.default_rng(seed), 0.0
    while True:
        yield at_s
        at_s += float(draw.gamma(shape, 1 / (rate * shape)))


def ramp(rate: float, to: float, *, duration_s: float) -> Iterator[float]:
    """Arrivals at a rate that goes evenly from one to the other, and ends there.

    Request k comes when as many are due: rate · t + slope · t² / 2 = k, with slope = (to - rate) / duration.
    """
    slope = (to - rate) / duration_s
    for number in count():
        under = rate * rate + 2 * slope * number
        if under < 0:
            return  # a falling rate has reached 0
        at_s = 2 * number / (rate + sqrt(under)) if number else 0.0
        if at_s >= duration_s:
            return
        yield at_s
