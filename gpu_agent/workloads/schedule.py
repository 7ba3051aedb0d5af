"""When each request of a workload is to be sent: fixed before the start, and the same for the same seed."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from schemas.measurements import Phase
from schemas.requests import Workload
from streams.errors import Invalid

CLOSED = frozenset({"single", "concurrent"})  # profiles that send when an answer has ended


def places_of(workload: Workload) -> int | None:
    """How many requests a closed load has under way at most; None for an open one, which sends by its times."""
    if workload.profile not in CLOSED:
        return None
    return 1 if workload.profile == "single" else workload.concurrency or 1


@dataclass(frozen=True, slots=True)
class Planned:
    """A request to send. `at_s`: seconds after the start of its phase; None: as soon as a place is free."""

    index: int
    phase: Phase
    at_s: float | None
    input_tokens: int
    output_tokens: int
    seed: int


def schedule(workload: Workload, *, seed: int) -> tuple[list[Planned], Iterator[Planned]]:
    """The warm-up requests, and the steady ones in the order of their times. Raises: Invalid for a profile that is not there."""
    warmup = [_planned(workload, index, seed=seed, phase="warmup") for index in range(workload.warmup_requests)]
    return warmup, _steady(workload, seed=seed)


def _steady(workload: Workload, *, seed: int) -> Iterator[Planned]:
    for number, at_s in enumerate(_times(workload, seed=seed)):
        if workload.requests is not None and number >= workload.requests:
            return
        if at_s is not None and workload.duration_s is not None and at_s >= workload.duration_s:
            return
        yield _planned(workload, workload.warmup_requests + number, seed=seed, phase="steady", at_s=at_s)


def _planned(workload: Workload, index: int, *, seed: int, phase: Phase, at_s: float | None = None) -> Planned:
    return Planned(index, phase, at_s, workload.input_tokens, workload.output_tokens, seed + index)


def _times(workload: Workload, *, seed: int) -> Iterator[float | None]:
    if workload.profile in CLOSED:
        while True:
            yield None
    rate = workload.rate_per_s or 0.0
    if workload.profile not in ("constant", "poisson") or rate <= 0:
        raise Invalid(f"profile {workload.profile!r} with rate {rate}: give single, concurrent, or constant or poisson with a rate above 0")
    draw, at_s = np.random.default_rng(seed), 0.0
    while True:
        yield at_s
        at_s += float(draw.exponential(1 / rate)) if workload.profile == "poisson" else 1 / rate
