"""The queue policy on a simulated clock against first come, first served: 1,000 agents of four sizes, 10,000 jobs; and what deciding costs.

`make bench-queue` prints the figures and writes benchmarks/results/queueing.json. The same seed gives the same simulation.

Both orders get the same jobs at the same times. First come, first served is work-conserving too: the oldest job that fits a free agent
goes to the first that it fits. Jobs last as drawn; an agent that does not hold the job's model loads it first, at 1 GiB/s and 20 s.
"""

import argparse
import heapq
import random
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from benchmarks.harness import show, write
from benchmarks.making import run_id
from schemas.event import Event, Producer
from schemas.jobs import AgentBeat, DispatcherTook, Job, JobPlanned, JobReleased, Need
from schemas.requests import Chat, EngineChoice, ModelRef
from schemas.runs import RunChanged
from streams.queue.clocks import Moment
from streams.queue.deciding import decide, waits
from streams.queue.dispatch import Pool
from streams.queue.keeping import dumped, loaded, picture
from streams.queue.leases import Release
from streams.queue.lines import Line, Lines, Waiting, model_key
from streams.queue.queueing import GIB, assign, unfit
from streams.topics import topic_of

SECOND = 1_000_000
STAMP = Producer(service="benchmark", version="0")
SIZES_GIB = (8, 24, 40, 80)
MODELS_GIB = (1, 2, 2, 4, 6, 6, 12, 16, 16, 20, 30, 36, 60, 70)
SUBMITTERS = 12
BULK = 0.4  # of all jobs: one submitter's, all at the start
ARRIVALS_S = 1200
PRIORITIES = (0, 0, 0, 0, 0, 0, 0, 1, 1, 5)
LOAD_S, LOAD_GIB_PER_S = 20, 1.0
Order = Callable[[list[Line], list[AgentBeat], Counter[str], int], list[tuple[Waiting, AgentBeat]]]


@dataclass(frozen=True, slots=True)
class Arrival:
    """A job, when it comes and how long it takes, in seconds of the simulation."""

    job: Job
    at_s: int
    lasts_s: int


def crew(agents: int) -> list[AgentBeat]:
    """Agents, in equal parts of each size."""
    return [
        AgentBeat(occurred_us=0, producer=STAMP, pool="p", agent_id=f"a{n:04}", incarnation=1, sequence=0,
                  total_bytes=SIZES_GIB[n % len(SIZES_GIB)] * GIB)
        for n in range(agents)
    ]  # fmt: skip


def arrivals(jobs: int, chance: random.Random) -> list[Arrival]:
    """Runs of 1 to 60 jobs by several submitters over 20 minutes, and one submitter's bulk at its start."""
    found: list[Arrival] = []
    while len(found) < jobs:
        bulk = len(found) < BULK * jobs
        submitter = "s00" if bulk else f"s{chance.randrange(1, SUBMITTERS):02}"
        at_s = 0 if bulk else chance.randrange(ARRIVALS_S)
        model, priority = chance.randrange(len(MODELS_GIB)), chance.choice(PRIORITIES)
        typical_s = chance.lognormvariate(5.5, 0.6)
        number = len(found)
        for n in range(min(chance.randint(1, 60), jobs - len(found))):
            job = Job(
                run_id=run_id(number), job_id=f"r{number:05}/{n}", kind="answer", pool="p",
                submitter=submitter, organisation_id="o", priority=priority, model=ModelRef(uri=f"m{model:02}"), engine=EngineChoice(),
                chat=Chat(), need=Need(memory_bytes=MODELS_GIB[model] * GIB),
            )  # fmt: skip
            found.append(Arrival(job, at_s, max(10, round(typical_s * chance.uniform(0.7, 1.4)))))
    return sorted(found, key=lambda arrival: (arrival.at_s, arrival.job.job_id))


def by_policy(lines: list[Line], free: list[AgentBeat], running: Counter[str], now_s: int) -> list[tuple[Waiting, AgentBeat]]:
    """The project's policy."""
    return assign(lines, free, running=running, now_us=now_s * SECOND)


def first_come(lines: list[Line], free: list[AgentBeat], _running: Counter[str], _now_s: int) -> list[tuple[Waiting, AgentBeat]]:
    """The oldest job that fits a free agent goes to the first that it fits."""
    idle, pairs = sorted(free, key=lambda agent: agent.agent_id), list[tuple[Waiting, AgentBeat]]()
    for item in heapq.merge(*(line.queue for line in lines), key=lambda item: item.age):
        agent = next((agent for agent in idle if unfit(item.job.need, agent) is None), None)
        if agent:
            pairs.append((item, agent))
            idle.remove(agent)
        if not idle:
            break
    return pairs


ORDERS: dict[str, Order] = {"policy": by_policy, "first_come": first_come}


@dataclass
class Simulation:
    """Agents, what they run and hold, what waits, and what is measured, in seconds."""

    agents: list[AgentBeat]
    order: Order
    lines: Lines = field(default_factory=Lines)
    held: dict[str, str] = field(default_factory=dict)
    running: dict[str, Arrival] = field(default_factory=dict)
    waits_s: list[int] = field(default_factory=list)
    first_waits_s: dict[str, int] = field(default_factory=dict)
    by_priority: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    fairness: list[float] = field(default_factory=list)
    loads: int = 0
    busy_s: int = 0
    useful_s: int = 0
    ends_s: int = 0

    def run(self, coming: list[Arrival]) -> None:
        """Until the last job has ended."""
        known = {arrival.job.job_id: arrival for arrival in coming}
        events: list[tuple[int, int, str]] = [(arrival.at_s, age, "") for age, arrival in enumerate(coming)]
        minute = 0
        while events:
            now_s = events[0][0]
            for _ in range(minute, now_s // 60):
                self._weigh_shares()
            minute = now_s // 60
            while events and events[0][0] == now_s:
                _, age, agent_id = heapq.heappop(events)
                if agent_id:
                    del self.running[agent_id]
                else:
                    self.lines.add(Waiting(coming[age].job, (age, 0, 0), now_s * SECOND))
            for agent_id, ends_s in self._lease(known, now_s):
                heapq.heappush(events, (ends_s, 0, agent_id))
            self.ends_s = now_s

    def _lease(self, known: dict[str, Arrival], now_s: int) -> Iterator[tuple[str, int]]:
        free = [agent for agent in self.agents if agent.agent_id not in self.running]
        if not free or not len(self.lines):
            return
        told = [agent.model_copy(update={"models_held": (self.held.get(agent.agent_id, ""),)}) for agent in free]
        shares = Counter(arrival.job.submitter for arrival in self.running.values())
        for item, agent in self.order(list(self.lines.all()), told, shares, now_s):
            arrival, model = known[item.job.job_id], model_key(item.job.model)
            load_s = 0 if self.held.get(agent.agent_id) == model else LOAD_S + round(item.job.need.memory_bytes / GIB / LOAD_GIB_PER_S)
            self.loads += load_s > 0
            self.held[agent.agent_id], self.running[agent.agent_id] = model, arrival
            self.busy_s += load_s + arrival.lasts_s
            self.useful_s += arrival.lasts_s
            wait_s = now_s - arrival.at_s
            self.waits_s.append(wait_s)
            self.by_priority[item.job.priority].append(wait_s)
            self.first_waits_s.setdefault(item.job.run_id, wait_s)
            self.lines.served(self.lines.key(item.job.job_id), at_us=now_s * SECOND)
            self.lines.discard(item.job.job_id)
            yield agent.agent_id, now_s + load_s + arrival.lasts_s

    def _weigh_shares(self) -> None:
        """Jain's index, (sum x)² / (n sum x²), of this minute: over the shares of those who wait with jobs that fit every agent."""
        wanting = {line.key.submitter for line in self.lines.all() if line.key.need.memory_bytes <= SIZES_GIB[0] * GIB}
        shares = Counter(arrival.job.submitter for arrival in self.running.values())
        held = [shares[name] for name in wanting]
        if len(held) > 1 and any(held):
            self.fairness.append(sum(held) ** 2 / (len(held) * sum(share * share for share in held)))

    def figures(self) -> dict[str, Any]:
        """What was measured. Waits in seconds from arrival to lease."""
        return {
            "makespan_s": self.ends_s,
            "utilisation_ratio": round(self.busy_s / (len(self.agents) * self.ends_s), 4),
            "useful_ratio": round(self.useful_s / (len(self.agents) * self.ends_s), 4),
            "model_loads": self.loads,
            "loading_hours": round((self.busy_s - self.useful_s) / 3600, 1),
            "wait_s": _spread(self.waits_s),
            "run_first_wait_s": _spread(list(self.first_waits_s.values())),
            "wait_s_by_priority": {str(priority): _spread(waits) for priority, waits in sorted(self.by_priority.items())},
            "jain_mean": round(statistics.fmean(self.fairness), 4),
            "jain_lowest": round(min(self.fairness), 4),
        }


def _row(name: str, figures: dict[str, Any]) -> dict[str, Any]:
    waits = {f"wait_{mark}_s": figures["wait_s"][mark] for mark in ("p50", "p95", "max")}
    urgent = {"wait_p95_urgent_s": figures["wait_s_by_priority"][str(max(PRIORITIES))]["p95"]}
    named = ("utilisation_ratio", "useful_ratio", "model_loads", "makespan_s")
    return {"order": name, **waits, **urgent, "jain": figures["jain_mean"], **{key: figures[key] for key in named}}


def _spread(values: list[int]) -> dict[str, float]:
    marks = sorted(values)
    return {"mean": round(statistics.fmean(marks), 1), "p50": _at(marks, 0.5), "p95": _at(marks, 0.95), "max": marks[-1]}


def _at(marks: list[int], share: float) -> int:
    return marks[min(len(marks) - 1, int(share * len(marks)))]


class Told:
    """A pool, and the offset of what it is told next; all of it is told at one moment."""

    def __init__(self, now_us: int) -> None:
        self.pool = Pool("p")
        self.now = Moment(now_us, now_us)
        self._offset = 0
        self.tell(DispatcherTook(occurred_us=0, producer=STAMP, pool="p", nonce=""))  # term 0

    def tell(self, *events: Event) -> None:
        """Folds events in."""
        for event in events:
            at_us = self.now.utc_us
            self.pool.fold(event, at=(topic_of(event).name, 0), offset=self._offset, written_us=at_us, at_us=at_us)
            self._offset += 1


def ticks(agents: int, jobs: list[Arrival]) -> dict[str, float]:
    """Milliseconds of `decide` with all jobs open (agents that fit nothing, the first leases of all, all busy), `waits`, a snapshot."""
    told = Told(10 * SECOND)
    told.tell(*(RunChanged(occurred_us=0, producer=STAMP, run_id=run, state="planned") for run in {one.job.run_id for one in jobs}))
    for job in (arrival.job for arrival in jobs):
        told.tell(JobPlanned(occurred_us=0, producer=STAMP, pool="p", job_id=job.job_id, run_id=job.run_id, job=job))
    large = crew(agents)
    told.tell(*(agent.model_copy(update={"total_bytes": GIB // 2}) for agent in large))
    found = {"first_decide_nothing_fits_ms": _took(told), "decide_nothing_fits_ms": _median(told)}
    told.tell(*(agent.model_copy(update={"sequence": 1}) for agent in large))
    started = time.perf_counter()
    releases = [decision for decision in decide(told.pool, told.now) if isinstance(decision, Release)]
    found["decide_all_free_ms"] = _ms(started)
    for release in releases:
        told.tell(JobReleased(
            occurred_us=told.now.utc_us, producer=STAMP, pool="p", term=0, kind="release", run_id=release.job.run_id,
            job_id=release.job.job_id, job=release.job, attempt=release.attempt, agent_id=release.agent_id,
            incarnation=release.incarnation,
        ))  # fmt: skip
    found |= {"leases": len(releases), "decide_all_busy_ms": _median(told)}
    started = time.perf_counter()
    waits(told.pool, Moment(told.now.steady_us + SECOND, told.now.utc_us + SECOND))
    return found | {"waits_ms": _ms(started)} | _kept(told.pool)


def _kept(pool: Pool) -> dict[str, float]:
    """What a snapshot costs: the picture on the event loop, its bytes beside it, and how many; and the way back."""
    started = time.perf_counter()
    taken = picture(pool)
    found = {"picture_ms": _ms(started)}
    started = time.perf_counter()
    state = dumped(taken)
    found |= {"dumped_ms": _ms(started), "snapshot_bytes": len(state)}
    started = time.perf_counter()
    loaded(state, Pool("p"))
    return found | {"loaded_ms": _ms(started)}


def _took(told: Told) -> float:
    started = time.perf_counter()
    decide(told.pool, told.now)
    return _ms(started)


def _median(told: Told) -> float:
    return statistics.median(_took(told) for _ in range(21))


def _ms(started: float) -> float:
    return round((time.perf_counter() - started) * 1e3, 3)


def main() -> None:
    """Simulates both orders, prints what came of it, and writes it down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--agents", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=10_000)
    chosen = parser.parse_args()
    coming = arrivals(chosen.jobs, random.Random(chosen.seed))
    found: dict[str, Any] = {
        "seed": chosen.seed, "agents": chosen.agents, "jobs": chosen.jobs, "runs": len({one.job.run_id for one in coming}),
        "submitters": SUBMITTERS, "models": len(MODELS_GIB), "work_hours": round(sum(one.lasts_s for one in coming) / 3600),
    }  # fmt: skip
    for name, order in ORDERS.items():
        simulation = Simulation(crew(chosen.agents), order)
        simulation.run(coming)
        found[name] = simulation.figures()
    found["dispatcher"] = ticks(chosen.agents, coming)
    write("queueing", found)
    show(f"{chosen.jobs:,} jobs on {chosen.agents:,} agents (simulated; seed {chosen.seed})", [_row(name, found[name]) for name in ORDERS])
    show("A dispatcher with all of them open, in ms", [found["dispatcher"]])


if __name__ == "__main__":
    main()
