"""What load generators report beside what is true, over rates up to what they can send: ours, AIPerf and GuideLLM in turn.

    python -m benchmarks.truth [--clients assay,aiperf,guidellm] [--rates 50,200] [--seconds N] [--tokens N] [--rounds N]

All offer the same load, evenly, to the exact server of known delays (tests/delays/exact.py), which runs before all else where the system
lets it; no core sleeps. The truth is what it really sent, and when, from each request's first byte there; of each client by its own
definition of a latency. A row in which the server itself was more than 0.2 ms late (p99) is void, says so, and is tried once more. A row is
accurate where every p95 is within 5 % of the truth, nothing is lost, and the rate was kept. That says nothing of how it kept it: of our own
client a row says too whether a run of such a load would be told as `client_overloaded`, and both highest rates are given.

In a round the clients take turns. Each has the rates that all have, and then looks for its own highest accurate one, on a ladder whose
steps are 15 %: by halves, in later rounds from the one before. Writes results/truth.json. The peers' environments and a compiler are made
at the first start (gigabytes). It wants a machine that nobody else uses.
"""

import argparse
import itertools
import math
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import median, show, write
from benchmarks.peers import aiperf, guidellm
from benchmarks.peers.peer import SHARES, Figures, Offered, Reported, program
from gpu_agent.workloads.load import Target
from gpu_agent.workloads.several import processes_for, several
from gpu_agent.workloads.timed import Timed
from schemas.requests import Workload
from streams.speed.client import strained
from tests.conftest import tied
from tests.delays.exact import exact_delays
from tests.delays.record import Sent, lateness_ns, p99_ns, void
from tests.delays.running import Server

RATES = (50.0, 200.0)
LADDER = tuple(float(round(10 * 1.15**step)) for step in range(37))  # 10 to 1,532 a second
MODEL = "known?ttft_ms=50&itl_ms=10&jitter=0.2"
# The aims: at 50 requests/s × 32 tokens; and what still counts as accurate at any rate.
AIM_RATIO, AIM_MS, ACCURATE, KEPT = 0.01, 0.2, 0.05, 0.95
UNTOLD = "what others' health was is not known"
LATENCIES, TOLD = ("ttft", "itl", "e2e"), ("mean", "p95")
WARMUP, SPARE = 2, 1000  # requests before the load: our own; and room for those of others
TRIES, SECONDS, MINUTES = 2, 5.0, 20.0
Client = Callable[[Offered, Path], Reported]


def ours(offered: Offered, _folder: Path, *, told: list[Timed]) -> Reported:
    """Our own generator, in as many processes as it takes of itself; `told` takes its requests."""
    workload = Workload(
        profile="constant", rate_per_s=offered.rate, duration_s=offered.requests / offered.rate, output_tokens=offered.tokens,
        url=offered.url, warmup_requests=WARMUP,
    )  # fmt: skip
    processes = processes_for(workload, cores=len(os.sched_getaffinity(0)))
    sent = several(workload, Target(offered.model, f"truth/{offered.rate}"), seed=1, processes=processes)
    told += [one for one in sent if one.planned.phase == "steady"]
    whole = [[at for at, _ in one.arrivals] for one in told if not one.error]
    began = [one.sent_ns for one in told if not one.error]
    values = {
        "ttft": [arrived[0] - sent for arrived, sent in zip(whole, began, strict=True)],
        "itl": [after - before for arrived in whole for before, after in itertools.pairwise(arrived)],
        "e2e": [arrived[-1] - sent for arrived, sent in zip(whole, began, strict=True)],
    }
    return Reported(figures(values), requests=len(whole), tokens=sum(one.output_tokens or 0 for one in told))


def figures(values_ns: Mapping[str, Sequence[float]]) -> dict[str, Figures]:
    """Mean and percentiles of each latency, in ms."""
    return {
        name: {share: float(np.mean(of) if share == "mean" else np.percentile(of, int(share[1:]))) / 1e6 for share in SHARES}
        for name, of in values_ns.items()
    }


def truth(sent: Sequence[Sent], *, client: str) -> dict[str, Figures]:
    """What the server sent, by a client's own definitions: peers' ITL is each request's mean, GuideLLM's E2E ends with the stream."""
    gaps = [[after - before for before, after in itertools.pairwise(one.sent_ns)] for one in sent]
    ended = [(one.ended_ns if client == "guidellm" else None) or one.sent_ns[-1] for one in sent]
    return figures({
        "ttft": [one.sent_ns[0] - one.received_ns for one in sent],
        "itl": [float(np.mean(one)) for one in gaps] if client != "assay" else list(itertools.chain.from_iterable(gaps)),
        "e2e": [at - one.received_ns for at, one in zip(ended, sent, strict=True)],
    })  # fmt: skip


def row(client: str, offered: Offered, reported: Reported, sent: Sequence[Sent]) -> dict[str, Any]:
    """What a client said of a load beside what is true, in ms; whether it kept the rate; why it is void, if it is."""
    true = truth(sent, client=client)
    found = {name: {share: _beside(reported.latencies[name][share], true[name][share]) for share in SHARES} for name in LATENCIES}
    began = sorted(one.received_ns for one in sent)
    kept = (len(began) - 1) / ((began[-1] - began[0]) / 1e9) / offered.rate
    lost = len(sent) - reported.requests, sum(sum(one.tokens) for one in sent) - reported.tokens
    whole = lost == (0, 0) and len(sent) == offered.requests and kept >= KEPT
    aimed = [(found[name][share], AIM_MS if name != "itl" else 0.0) for name in LATENCIES for share in TOLD]
    return {
        "client": client, "rate_per_s": offered.rate, "requests": len(sent), "lost_requests": lost[0], "lost_tokens": lost[1],
        "kept_ratio": kept, "latencies": found, "server_late_p99_ms": (p99_ns(lateness_ns(sent)) or 0) / 1e6, "void": void(sent),
        "accurate": whole and all(abs(found[name]["p95"]["ratio"]) <= ACCURATE for name in LATENCIES),
        "within_aim": whole and all(abs(one["off_ms"]) <= AIM_RATIO * one["true_ms"] + more for one, more in aimed),
    }  # fmt: skip


def _beside(told: float, true: float) -> dict[str, float]:
    return {"true_ms": round(true, 4), "told_ms": round(told, 4), "off_ms": round(told - true, 4), "ratio": told / true - 1}


def own(told: Sequence[Timed], rate: float) -> dict[str, Any]:
    """What our own generator says of its health, and by our own rule why it was overloaded; None where it was not."""
    health = _health(told)
    return health | {"client_overloaded": overloaded(health, rate)}


def overloaded(health: Mapping[str, Any], rate: float) -> str | None:
    """Why a run would call its client overloaded (streams/speed/client.py); None where it would not."""
    late = {name: health[f"{metric}_p99_ms"] * 1e6 for name, metric in (("pacing", "pacing"), ("lag", "loop_lag"))}
    return "; ".join(strained(**late, cpu=health["cpu_max_ratio"], gap_ns=1e9 / rate)) or None


def _health(told: Sequence[Timed]) -> dict[str, Any]:
    return {
        "pacing_p99_ms": (p99_ns([one.begun_ns - one.scheduled_ns for one in told]) or 0) / 1e6,
        "loop_lag_p99_ms": (p99_ns([one.loop_lag_ns or 0 for one in told]) or 0) / 1e6,
        "cpu_max_ratio": max((one.cpu_ratio or 0 for one in told), default=None), "in_flight_max": max(one.in_flight for one in told),
    }  # fmt: skip


def measured(server: Server, client: str, offered: Offered, folder: Path) -> dict[str, Any]:
    """A row of one client."""
    server.forget()
    told: list[Timed] = []
    clients: Mapping[str, Client] = {"assay": partial(ours, told=told), "aiperf": aiperf.measured, "guidellm": guidellm.measured}
    try:
        reported = clients[client](offered, folder)
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        return {"client": client, "rate_per_s": offered.rate, "failed": str(error), "void": None, "accurate": False, "within_aim": False}
    # The last so many: what came before them warmed the server up.
    sent = [one for one in server.record() if sum(one.tokens) == offered.tokens][-offered.requests :]
    return row(client, offered, reported, sent) | (own(told, offered.rate) if told else {})


def next_rate(rows: Sequence[Mapping[str, Any]], rates: Sequence[float], *, near: float | None = None) -> float | None:
    """At what rate a client is asked next, after its rows of a round: those that all have, then between what was accurate and what not.

    `near`: the highest of the round before, from which steps go up or down; without, by halves. None: its highest is found. A rate above
    one that was not accurate is not either, unless it was seen to be.
    """
    tried = [one["rate_per_s"] for one in rows]
    for rate in rates:
        if rate not in tried:
            return rate
    good = max((one["rate_per_s"] for one in rows if one["accurate"]), default=0.0)
    bad = min((rate for rate in tried if rate > good), default=math.inf)
    between = [rate for rate in LADDER if good < rate < bad]
    if not between:
        return None
    return between[len(between) // 2] if near is None else min(between, key=lambda rate: abs(rate - near))


def take_turns(server: Server, given: argparse.Namespace, folder: Path) -> Iterator[dict[str, Any]]:
    """A row for each rate and client of each round, in turn, until each client's highest accurate rate is found.

    A round is not begun where the longest before it would take more time than there is.
    """
    end_s, longest_s = time.monotonic() + 60 * given.minutes, 0.0
    rows: dict[str, list[dict[str, Any]]] = {}
    for number in range(given.rounds):
        if (began_s := time.monotonic()) + longest_s > end_s:
            return
        near = {name: max((one["rate_per_s"] for one in of if one["accurate"]), default=LADDER[0]) for name, of in rows.items()}
        rows = {name: [] for name in given.clients}
        while asked := {name: rate for name, of in rows.items() if (rate := next_rate(of, given.rates, near=near.get(name))) is not None}:
            for client, rate in asked.items():
                offered = Offered(server.url, MODEL, rate, round(rate * given.seconds), given.tokens)
                for _ in range(TRIES):
                    told = {"round": number, **measured(server, client, offered, folder)}
                    print("  ".join(f"{name} {value}" for name, value in flat(told).items()), flush=True)
                    yield told
                    if not told["void"]:
                        break
                # What was void again is not known to be accurate.
                rows[client].append(told | {"accurate": told["accurate"] and not told["void"]})
        longest_s = max(longest_s, time.monotonic() - began_s)


def flat(told: Mapping[str, Any]) -> dict[str, Any]:
    """A row without its depths: what was told, as times of what is true."""
    found = told.get("latencies", {})
    times = {f"{name}_{share}": round(1 + found[name][share]["ratio"], 4) if found else None for name in LATENCIES for share in TOLD}
    names = ("lost_tokens", "kept_ratio", "pacing_p99_ms", "server_late_p99_ms")
    rest = {name: round(value, 3) if isinstance(value := told.get(name), float) else value for name in names}
    marks = {name: bool(told.get(name)) for name in ("accurate", "within_aim", "client_overloaded", "void")}
    return {name: told[name] for name in ("round", "client", "rate_per_s")} | times | rest | marks


def typical(rows: Sequence[Mapping[str, Any]], rate: float) -> dict[str, dict[str, float]]:
    """What each client tells at one rate, as times of what is true: medians over the rounds, of rows that are not void."""
    found: dict[str, dict[str, list[float]]] = {}
    for one in rows:
        if one["rate_per_s"] == rate and "latencies" in one and not one["void"]:
            for name, share in itertools.product(LATENCIES, TOLD):
                found.setdefault(one["client"], {}).setdefault(f"{name}_{share}", []).append(1 + one["latencies"][name][share]["ratio"])
    return {client: {name: median(values) for name, values in of.items()} for client, of in found.items()}


def tops(rows: Sequence[Mapping[str, Any]], *, at_ease: bool = False) -> dict[str, float | None]:
    """Of each client the median over the rounds of the highest rate at which its figures were accurate, of rows that are not void.

    `at_ease`: of those alone that tell of the client's health, and in which it was not overloaded.
    """
    found: dict[str, dict[int, float]] = {one["client"]: {} for one in rows}
    for one in rows:
        well = not at_ease or one.get("client_overloaded", UNTOLD) is None
        if one["accurate"] and not one["void"] and well:
            best = found[one["client"]]
            best[one["round"]] = max(best.get(one["round"], 0.0), one["rate_per_s"])
    return {client: median(list(best.values())) if best else None for client, best in found.items()}


@contextmanager
def awake() -> Iterator[None]:
    """Keeps every core from sleeping, by processes that run where nobody else wants to: to wake takes a virtual machine up to 0.4 ms."""
    spin = "import os\nos.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))\nwhile True: pass"
    processes = [subprocess.Popen(tied("-c", spin, at_our_end=signal.SIGKILL)) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def main() -> None:
    """Measures, prints, and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = ("assay", "aiperf", "guidellm")
    parser.add_argument("--clients", type=lambda text: tuple(text.split(",")), default=names, help=f"of {', '.join(names)}, by commas")
    parser.add_argument("--rates", type=lambda text: tuple(map(float, text.split(","))), default=RATES, help="all clients', in requests/s")
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=MINUTES, help="no round is begun that would end later")
    given = parser.parse_args()
    if unknown := set(given.clients) - set(names):
        parser.error(f"no such client: {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    for client in set(given.clients) - {"assay"}:
        program(client)
    most = round(max(*given.rates, *LADDER) * given.seconds) + SPARE
    with tempfile.TemporaryDirectory() as folder, awake(), exact_delays(MODEL, tokens=given.tokens, requests=most) as server:
        rows = list(take_turns(server, given, Path(folder)))
    best = tops(rows)
    mine = best.get("assay")
    ratios = {name: mine / top for name, top in best.items() if name != "assay" and top and mine}
    write("truth", {
        "model": MODEL, "tokens": given.tokens, "seconds": given.seconds, "rows": rows, "accurate_up_to_per_s": best,
        "accurate_at_ease_up_to_per_s": {"assay": tops(rows, at_ease=True).get("assay")},
        "times_as_far_as": ratios, "told_as_times_of_true": {f"{rate:g}": typical(rows, rate) for rate in given.rates},
    })  # fmt: skip
    void_rows = sum(bool(one["void"]) for one in rows)
    show(f"Told, as times of what is true; {void_rows} of {len(rows)} rows are void; accurate up to {best} requests/s", [*map(flat, rows)])


if __name__ == "__main__":
    main()
