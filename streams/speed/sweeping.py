"""A sweep: loads at one rate after another, and what they come to.

The first step is one stream alone. Then the rate doubles, from half of that stream's own or the one asked for, until a step is not *kept*:
the server was saturated (loads.py), missed its service level (objective.py), failed more than 5 % of its requests, or was sent less than
asked (then the step is void, and the limit the client's). Where the first is not kept, it halves instead. Between the highest rate kept and
the lowest that was not the geometric mean is tried, until they are within 5 %. Without a service level the same is then done on either side
of the knee, until its neighbours are within 10 %. A step lasts as asked, and longer where its percentile needs more requests (twice as many
as statistics/order.py says, for half of them may be ramp) or a request alone takes more than a quarter of it.

- Highest rate under the service level: the highest rate that was kept below the lowest that was not. Its interval is from the 2.5 %
  quantile of what was kept to the 97.5 % quantile of the lowest that was not, when the requests of every step are drawn again in blocks of
  √n: so what lies between two steps is in it too. It has no upper end where no rate was missed.
- Knee: the rate at which requests/s over the mean E2E is greatest ("power"), between its neighbours.
- Cliff: the narrowest range of rates within which the mean E2E doubles, where that is within a quarter.
- Capacity: the requests/s of the saturated step in whose window most requests ended.

Source: L. Kleinrock, Power and deterministic rules of thumb for probabilistic problems in computer communications, ICC 1979; circular block
bootstrap, D. N. Politis and J. P. Romano, in: Exploring the Limits of Bootstrap (1992), 263-270.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
from scipy.special import bdtr

from schemas.requests import Objective, Workload
from schemas.results import Figure, LoadStep, Verdict
from streams.bounds import MOST_RATE
from streams.speed.client import rates_kept
from streams.speed.columns import ABSENT
from streams.speed.loads import SHORT, saturated
from streams.speed.measured import Measured, measured
from streams.speed.objective import limits, missed
from streams.speed.timings import Arrivals, Requests
from streams.speed.workloads import most_requests
from streams.statistics.order import needed

CLOSE: Final = 1.05
HALVINGS: Final = 6
MOST_STEPS: Final = 24
DRAWS: Final = 400
SEED: Final = 19790610
SURE: Final = 0.01
FAILING: Final = 0.05
CLIFF: Final = 1.25
TIMES_ALONE: Final = 4
# Figures that are of the whole sweep, whichever step the others are of.
TOTALS: Final = frozenset({
    "requests", "errors", "cancelled", "input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens", "client_dropped",
    "tokens_not_timed", "text_tokens", "usage_contradicted",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Step:
    """A step that was measured. `rate`: None for one stream alone."""

    number: int
    rate: float | None
    verdict: Verdict
    why: str | None
    load: Measured

    def value(self, metric: str) -> float | None:
        """A figure of it."""
        return self.load.figure(metric).value

    def told(self) -> LoadStep:
        """As the log has it."""
        return LoadStep(step=self.number, rate_per_s=self.rate, verdict=self.verdict, why=self.why, figures=tuple(self.load.figures))


def steps_of(steady: Requests, arrivals: Arrivals, *, slo: Objective | None) -> list[Step]:
    """The steps of a sweep's requests, which are in the order of sending; none of any other load."""
    steps = steady.column("step")
    return [_step(number, steady[steps == number], arrivals, slo=slo) for number in np.unique(steps[steps != ABSENT]).tolist()]


def _step(number: int, requests: Requests, arrivals: Arrivals, *, slo: Objective | None) -> Step:
    load, rate = measured(requests, arrivals, slo=slo), next(iter(requests[:1].reals("step_rate_per_s").tolist()), None)
    verdict, why = _verdict(load, rate, slo=slo)
    return Step(number, rate, verdict, why, load)


def _verdict(load: Measured, rate: float | None, *, slo: Objective | None) -> tuple[Verdict, str | None]:
    wrong = load.steady[load.steady.are("status", "error")]
    if not len(load.good) and not len(wrong):
        return "failed", "no request was answered to its end: the client gave all of them up"
    if len(wrong) > FAILING * len(load.steady):
        return "failed", f"{len(wrong)} of {len(load.steady)} requests failed, the first by {wrong[:1].texts('error_kind')[0]}"
    if rate is not None:
        if behind := rates_kept(load.steady):
            return "void", behind
        if load.window is None:
            return "saturated", SHORT
        if saturated(load.steady, load.window):
            served, offered = (load.figure(name).value for name in ("requests_per_s", "offered_per_s"))
            return "saturated", f"{served:.3g} requests/s were served of {offered:.3g}"
    why = missed(load.held, slo=slo) if slo else None
    return ("missed", why) if why else ("kept", None)


def following(workload: Workload, steps: Sequence[Step], *, slo: Objective | None) -> Workload | None:
    """The next step's load; None where the sweep is over."""
    most = {"requests": workload.requests or max(1, most_requests(workload) // MOST_STEPS)}
    if not steps:
        return workload.model_copy(update={"profile": "single", "rate_per_s": None, "burstiness": None} | most)
    if len(steps) == MOST_STEPS or (slo and _surely_missed(steps[0], slo)):
        return None
    rate = _next_rate([step for step in steps if step.rate is not None], first=workload.rate_per_s or _own_rate(steps[0]) / 2)
    rate = rate or (None if slo else _beside_knee(steps))
    if rate is None:
        return None
    told = {"profile": "gamma", "rate_per_s": rate, "burstiness": workload.burstiness or 1.0, "warmup_requests": 0}
    if workload.requests is None:
        least_s = 2 * needed(slo.ratio) / rate if slo else 0.0
        told["duration_s"] = max(workload.duration_s or 0.0, least_s, TIMES_ALONE / _own_rate(steps[0]))
    return workload.model_copy(update=told | most)


def _own_rate(alone: Step) -> float:
    """The requests/s of one stream alone."""
    return 1e9 / (alone.value("e2e_mean") or 1e9)


def _next_rate(steps: Sequence[Step], *, first: float) -> float | None:
    best, worst = bracket(steps)
    if worst is None:
        rate = first if best is None else 2 * best
        return rate if rate <= MOST_RATE else None
    if best is None:
        return worst / 2 if len(steps) <= HALVINGS else None
    return math.sqrt(best * worst) if worst > CLOSE * best else None


def _beside_knee(steps: Sequence[Step]) -> float | None:
    """A rate between the knee and a neighbour that is too far off; None where both are near."""
    low, knee, high = _knee(steps)
    if knee and high and high > CLOSE**2 * knee:
        return math.sqrt(knee * high)
    return math.sqrt(low * knee) if low and knee and knee > CLOSE**2 * low else None


def bracket(steps: Sequence[Step], kept: Sequence[bool] | None = None) -> tuple[float | None, float | None]:
    """The highest rate that was kept below the lowest that was not, and that one. `kept`: of each step, in place of its verdict."""
    told = kept if kept is not None else [step.verdict == "kept" for step in steps]
    rates = sorted((step.rate, held) for step, held in zip(steps, told, strict=True) if step.rate is not None)
    worst = next((rate for rate, held in rates if not held), None)
    return max((rate for rate, _ in rates if worst is None or rate < worst), default=None), worst


def _surely_missed(alone: Step, slo: Objective) -> bool:
    """Whether one stream alone misses a limit, and not by chance: then no rate keeps it."""
    if alone.verdict != "missed":
        return False
    held = alone.load.held
    counts = [(int(held.within[name].sum()), int(held.there[name].sum())) for name in limits(slo)]
    return any(not there or bdtr(within, there, slo.ratio) < SURE for within, there in counts)


def best_of(steps: Sequence[Step], *, slo: Objective | None) -> Step | None:
    """The step whose figures stand for the sweep: of the highest rate under its service level, else of the knee; else the first."""
    rate = bracket(steps)[0] if slo else _knee(steps)[1]
    return next((step for step in steps if step.rate == rate), steps[0]) if steps else None


def swept(whole: Measured, figures: Sequence[Figure], steps: Sequence[Step], *, slo: Objective | None) -> tuple[Figure, ...]:
    """The figures of a sweep: the best step's, with what holds for all of it in place of the step's own, and what the steps come to."""
    alone = steps[0]
    totals = [one for one in whole.figures if one.metric in TOTALS or one.metric.startswith("errors:")]
    found = {one.metric: one for one in (*figures, *totals)}
    found |= {"alone_tokens_per_s": alone.load.figure("alone_tokens_per_s")}
    found |= {f"alone_{name}": alone.load.figure(name).model_copy(update={"metric": f"alone_{name}"}) for name in ("ttft_p50", "e2e_mean")}
    more = [*_capacity(steps), _knee_figure(steps), _cliff(steps), *([_under(steps, slo)] if slo else [])]
    return tuple((found | {one.metric: one for one in more}).values())


def _capacity(steps: Sequence[Step]) -> list[Figure]:
    """What the server did when saturated, in the step of which most is known: requests and output tokens a second."""
    full = [step for step in steps if step.verdict == "saturated" and step.load.window]
    most = max(full, key=lambda step: step.load.figure("requests_per_s").n, default=None)
    if most is None:
        why = "no step saturated the server"
        return [Figure(metric=name, value=None, n=0, why_undefined=why) for name in ("capacity_requests_per_s", "capacity_tokens_per_s")]
    requests, tokens = most.load.figure("requests_per_s"), most.load.figure("output_tokens_per_s")
    return [
        requests.model_copy(update={"metric": "capacity_requests_per_s"}), tokens.model_copy(update={"metric": "capacity_tokens_per_s"}),
    ]  # fmt: skip


def _curve(steps: Sequence[Step]) -> list[tuple[float, float, float]]:
    """Rate, requests/s and mean E2E (s) of each step that has them, by its rate."""
    told = [(step.rate, step.value("requests_per_s"), step.value("e2e_mean")) for step in steps if step.verdict != "void"]
    return sorted((rate, done, took / 1e9) for rate, done, took in told if rate is not None and done is not None and took)


def _knee(steps: Sequence[Step]) -> tuple[float | None, float | None, float | None]:
    """The rate before the knee, the knee's, and the one behind it."""
    curve = _curve(steps)
    if not curve:
        return None, None, None
    place = max(range(len(curve)), key=lambda n: curve[n][1] / curve[n][2])
    return curve[place - 1][0] if place else None, curve[place][0], curve[place + 1][0] if place + 1 < len(curve) else None


def _knee_figure(steps: Sequence[Step]) -> Figure:
    low, knee, high = _knee(steps)
    return Figure(metric="knee_rate_per_s", value=knee, low=low, high=high, n=len(steps), unit="1/s", method="power, between steps",
                  why_undefined=None if knee else "no step has a rate")  # fmt: skip


def _cliff(steps: Sequence[Step]) -> Figure:
    pairs = [(b[0] / a[0], a, b) for a, b in combinations(_curve(steps), 2) if b[2] >= 2 * a[2] and b[0] <= CLIFF * a[0]]
    if not pairs:
        return Figure(metric="cliff_rate_per_s", value=None, n=len(steps), unit="1/s", why_undefined="E2E nowhere doubles within a quarter")
    _, low, high = min(pairs)
    return Figure(metric="cliff_rate_per_s", value=low[0], low=low[0], high=high[0], n=len(steps), unit="1/s",
                  origin=f"the mean E2E goes from {low[2]:.3g} to {high[2]:.3g} s")  # fmt: skip


def _under(steps: Sequence[Step], slo: Objective) -> Figure:
    """The highest rate under the service level, with its interval; where there is none, the best that was reached."""
    best, worst = bracket(steps)
    if best is None:
        nearest = min((step for step in steps if step.rate is not None), key=lambda step: step.rate or 0.0, default=steps[0])
        at = f"at {nearest.rate:.3g} requests/s" if nearest.rate is not None else "one stream alone"
        return Figure(metric="slo_rate_per_s", value=None, n=0, unit="1/s", why_undefined=f"no rate kept it; {at}: {nearest.why}")
    low, high = _interval(steps, slo)
    step = next(step for step in steps if step.rate == best)
    above = next((one for one in steps if one.rate == worst), None)
    return Figure(
        metric="slo_rate_per_s", value=best, low=low, high=high if above and above.verdict != "void" else None, n=len(step.load.steady),
        unit="1/s", method=f"circular block bootstrap, {DRAWS} draws",
        origin=f"at {above.rate:.4g} requests/s: {above.why}" if above else "no rate missed it",
    )  # fmt: skip


def _interval(steps: Sequence[Step], slo: Objective) -> tuple[float | None, float | None]:
    told = [step for step in steps if step.rate is not None]
    drawn = [_drawn(step, slo) for step in told]
    pairs = [bracket(told, [bool(kept) for kept in draw]) for draw in zip(*drawn, strict=True)]
    lows, highs = [best or 0.0 for best, _ in pairs], [worst if worst is not None else math.inf for _, worst in pairs]
    low, high = float(np.quantile(lows, 0.025, method="lower")), float(np.quantile(highs, 0.975, method="higher"))
    return low or None, high if math.isfinite(high) else None


def _drawn(step: Step, slo: Objective) -> Sequence[bool]:
    """Whether the step keeps its service level, in each draw of its requests. What it was not kept for otherwise, no draw changes."""
    if step.verdict not in ("kept", "missed"):
        return [False] * DRAWS
    held, draw = step.load.held, np.random.default_rng([SEED, step.number])
    count = len(held.good)
    length = math.isqrt(count) or 1
    starts = draw.integers(0, count, size=(DRAWS, -(-count // length)))
    chosen = ((starts[:, :, None] + np.arange(length)) % count).reshape(DRAWS, -1)[:, :count]
    return [all((held.share(name, one) or 0.0) >= slo.ratio for name in limits(slo)) for one in chosen]
