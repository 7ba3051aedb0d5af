"""What the load generator reports beside what is true, over rates up to what it can send, on the server of known delays.

    python -m benchmarks.truth [--rates 10,25,…] [--seconds N] [--tokens N] [--repeats N]

Each rate is an open load; the truth is what the server really sent, and when, request by request, from the request's first byte there.
Rates go by in turn, `--repeats` times. A row in which the server itself was more than 0.2 ms late (p99) is void, and says so. A round ends
where the generator cannot keep its schedule any more. Writes results/truth.json. It wants a machine that nobody else uses.
"""

import argparse
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.harness import show, write
from gpu_agent.workloads.load import Target, load
from gpu_agent.workloads.timed import Timed
from schemas.requests import Workload
from tests.delays.record import Sent, lateness_ns, p99_ns, void
from tests.delays.running import Server, known_delays

RATES = (10, 25, 50, 100, 200, 350, 500, 750, 1000, 1500, 2000)
MODEL = "known?ttft_ms=50&itl_ms=10&jitter=0.2"
# The aims: at 50 requests/s × 32 tokens; and what still counts as accurate at any rate.
AIM_RATIO, AIM_NS, ACCURATE = 0.01, 200_000, 0.05
BEHIND_NS = 100_000_000
SHARES = {"mean": None, "p50": 50.0, "p95": 95.0, "p99": 99.0}


@dataclass(frozen=True, slots=True)
class Pair:
    """A request as it was reported, and as it was."""

    told: Timed
    true: Sent


def measured(server: Server, *, rate: float, seconds: float, tokens: int, seed: int) -> tuple[list[Pair], int]:
    """The requests of a load, and how many of them the server never saw."""
    server.forget()
    workload = Workload(
        profile="constant", rate_per_s=rate, duration_s=seconds, output_tokens=tokens, url=server.url, warmup_requests=2
    )  # fmt: skip
    told = [timed for timed in load(workload, Target(MODEL, f"truth/{seed}"), seed=seed) if timed.planned.phase == "steady"]
    record = {one.request_id: one for one in server.record()}
    pairs = [Pair(one, record[str(one.planned.index)]) for one in told if str(one.planned.index) in record and not one.error]
    return sorted(pairs, key=lambda pair: pair.told.planned.index), len(told) - len(pairs)


def latencies(pairs: Sequence[Pair]) -> dict[str, tuple[list[int], list[int]]]:
    """Of each latency what was reported and what is true, in ns."""
    return {
        "ttft": (
            [pair.told.arrivals[0][0] - pair.told.sent_ns for pair in pairs],
            [pair.true.sent_ns[0] - pair.true.received_ns for pair in pairs],
        ),
        "itl": (
            [after - before for pair in pairs for (before, _), (after, _) in itertools.pairwise(pair.told.arrivals)],
            [after - before for pair in pairs for before, after in itertools.pairwise(pair.true.sent_ns)],
        ),
        "e2e": (
            [pair.told.arrivals[-1][0] - pair.told.sent_ns for pair in pairs],
            [pair.true.sent_ns[-1] - pair.true.received_ns for pair in pairs],
        ),
    }


def row(pairs: Sequence[Pair], lost: int, *, rate: float) -> dict[str, Any]:
    """A rate's figures: in ms, reported minus true; how the client kept up; why it is void, if it is."""
    told, true = [pair.told for pair in pairs], [pair.true for pair in pairs]
    pacing = p99_ns([one.begun_ns - one.scheduled_ns for one in told]) or 0
    missing = sum(sum(one.tokens) for one in true) - sum(one.output_tokens for one in told)
    found = {name: _off(*values) for name, values in latencies(pairs).items()}
    return {
        "rate_per_s": rate, "requests": len(pairs), "lost_requests": lost, "lost_tokens": missing, "latencies": found,
        "pacing_p99_ms": pacing / 1e6, "loop_lag_p99_ms": (p99_ns([one.loop_lag_ns or 0 for one in told]) or 0) / 1e6,
        "cpu_max_ratio": max((one.cpu_ratio or 0 for one in told), default=None), "in_flight_max": max(one.in_flight for one in told),
        "server_late_p99_ms": (p99_ns(lateness_ns(true)) or 0) / 1e6, "void": void(true),
        "accurate": not lost and not missing and all(abs(one["p95"]["ratio"]) <= ACCURATE for one in found.values()),
        "within_aim": all(
            abs(one[share]["off_ms"]) <= AIM_RATIO * one[share]["true_ms"] + (AIM_NS / 1e6 if name != "itl" else 0)
            for name, one in found.items() for share in ("mean", "p95")
        ),
    }  # fmt: skip


def _off(told: Sequence[int], true: Sequence[int]) -> dict[str, dict[str, float]]:
    rows = {}
    for name, share in SHARES.items():
        said, real = (float(np.mean(v) if share is None else np.percentile(v, share)) / 1e6 for v in (told, true))
        rows[name] = {"true_ms": round(real, 4), "told_ms": round(said, 4), "off_ms": round(said - real, 4), "ratio": said / real - 1}
    return rows


def sweep(server: Server, given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A row for each rate of each round, up to where the schedule is not kept any more."""
    for repeat in range(given.repeats):
        for rate in given.rates:
            pairs, lost = measured(server, rate=rate, seconds=given.seconds, tokens=given.tokens, seed=1000 * repeat + 1)
            if pairs:
                told = {"round": repeat, **row(pairs, lost, rate=rate)}
                print(line(told), flush=True)
                yield told
            if not pairs or (not told["void"] and told["pacing_p99_ms"] * 1e6 > BEHIND_NS):
                break


def line(told: Mapping[str, Any]) -> str:
    """A row as it is printed while others still run."""
    return "  ".join(f"{name} {value}" for name, value in flat(told).items())


def flat(told: Mapping[str, Any]) -> dict[str, Any]:
    """A row without its depths."""
    found = told["latencies"]
    off = {f"{name}_{share}_off_ms": found[name][share]["off_ms"] for name in found for share in ("mean", "p95")}
    kept = ("round", "rate_per_s", "requests", "lost_tokens")
    rest = ("pacing_p99_ms", "cpu_max_ratio", "server_late_p99_ms", "accurate", "within_aim")
    shown = {name: round(value, 3) if isinstance(value, float) else value for name, value in told.items()}
    return {name: shown[name] for name in kept} | off | {name: shown[name] for name in rest} | {"void": bool(told["void"])}


def main() -> None:
    """Measures, prints, and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rates", type=lambda text: tuple(map(float, text.split(","))), default=RATES, help="requests/s, by commas")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    with known_delays() as server:
        rows = list(sweep(server, given))
    valid = [one for one in rows if not one["void"]]
    top = max((one["rate_per_s"] for one in valid if one["accurate"]), default=None)
    write("truth", {"model": MODEL, "tokens": given.tokens, "seconds": given.seconds, "rows": rows, "accurate_up_to_per_s": top})
    show(f"Reported minus true; {len(rows) - len(valid)} of {len(rows)} rows are void; accurate up to {top} requests/s", [*map(flat, rows)])


if __name__ == "__main__":
    main()
