"""What runs wait for, in words, instead of silence; and when that has changed, so that it is worth an event.

The place in the queue is told in steps (1, 2, 3, 4, 5, then "more than" 5, 10, 20, 50, …): a run that n jobs are ahead of brings
about log n events, not n. What is said expires with its topic: so it is said again once a day, for as long as the run waits.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from schemas.jobs import AgentBeat, Need
from schemas.runs import RunDelayed
from streams.engines import KINDS, install_command
from streams.queue.clocks import Moment
from streams.queue.leases import Lease
from streams.queue.lines import Line
from streams.queue.queueing import GIB, Policy, room_of, served, unfit

# A run between two of its jobs waits for a heartbeat: that is no delay.
GRACE_US = 2_000_000
AGAIN_US = 24 * 3600 * 1_000_000
FARTHEST = 1000
EXACT = 5


@dataclass(frozen=True, slots=True)
class Reason:
    """What a run waits for. `ahead`: jobs that go first, where it is an agent's time that it waits for."""

    code: str
    waits_for: str
    ahead: int | None = None


@dataclass(frozen=True, slots=True)
class Delay:
    """The run waits for something else than was said before (None: for nothing)."""

    run_id: str
    reason: Reason | None


@dataclass(slots=True)
class Delays:
    """What was said of each open run: a fold over `RunDelayed`; and how long this process has seen it wait."""

    told: dict[str, RunDelayed] = field(default_factory=dict)
    _since_us: dict[str, int] = field(default_factory=dict)
    _said: int = 0

    def fold(self, event: RunDelayed) -> None:
        """Takes what was said in; of several, the last in the log holds. Who has the pool puts right what another has said since."""
        self.told[event.run_id] = event

    def forget(self, run_id: str) -> None:
        """The run is over: nothing more is said of it."""
        self.told.pop(run_id, None)
        self._since_us.pop(run_id, None)

    def next_sequence(self) -> int:
        """The sequence of what is said next in a term, which is one process's: counted here, for what was sent may be any number."""
        self._said += 1
        return self._said

    def changes(self, found: Mapping[str, Reason], now: Moment) -> list[Delay]:
        """What is to be said now that runs wait for what was found."""
        self._since_us = {run_id: self._since_us.get(run_id, now.steady_us) for run_id in found}
        waiting = {run_id for run_id, told in self.told.items() if told.waits_for is not None}
        ended = [Delay(run_id, None) for run_id in sorted(waiting - found.keys())]
        return ended + [Delay(run_id, reason) for run_id, reason in sorted(found.items()) if self._is_due(run_id, reason, now)]

    def _is_due(self, run_id: str, reason: Reason, now: Moment) -> bool:
        """It is new, or was said long ago."""
        told = self.told.get(run_id)
        if told is None or told.waits_for is None:
            return now.steady_us - self._since_us[run_id] >= GRACE_US
        return told.waits_for != reason.waits_for or abs(now.utc_us - told.occurred_us) >= AGAIN_US


def reasons(
    lines: Iterable[Line], *, pool: str, alive: Sequence[AgentBeat], running: Mapping[str, int], now_us: int, policy: Policy
) -> dict[str, Reason]:
    """Run → what the first of its waiting jobs waits for."""
    found: dict[str, Reason] = {}
    lacking: dict[Need, Reason | None] = {}
    fitting: list[Line] = []
    for line in lines:
        if line.key.need not in lacking:
            lacking[line.key.need] = lack(line.key.need, alive, pool=pool)
        reason = lacking[line.key.need]
        if reason is None:
            fitting.append(line)
        for item in line.queue if reason else ():
            found.setdefault(item.job.run_id, reason or busy(0))
    order = served(fitting, running=running, now_us=now_us, policy=policy)
    for ahead, (_, item) in enumerate(islice(order, FARTHEST)):
        found.setdefault(item.job.run_id, busy(ahead))
    far = busy(FARTHEST + 1)  # most of them: worked out once
    for item in (item for line in fitting for item in line.queue):
        found.setdefault(item.job.run_id, far)
    return found


def lack(need: Need, alive: Sequence[AgentBeat], *, pool: str) -> Reason | None:
    """What no agent of the pool has; None where one fits, busy or not."""
    if not alive:
        return Reason("no-agent", f"an agent of pool {pool}; none is alive")
    if any(unfit(need, agent) is None for agent in alive):
        return None
    staying = [agent for agent in alive if not agent.draining]
    if not staying:
        return Reason("no-agent", f"an agent of pool {pool} that stays; {_all(alive)} draining")
    able = [agent for agent in staying if set(need.capabilities) <= set(agent.capabilities)]
    if not able:
        return Reason("no-fit", f"an agent with {_named(need.capabilities)}; {_all(staying)} without{_installing(need.capabilities)}")
    most = max(len(agent.devices) for agent in able)
    if most < need.devices:
        return Reason("no-fit", f"an agent with {need.devices} device{'s'[: need.devices > 1]}; the largest has {most or 'none'}")
    largest, on = max(room_of(agent, devices=need.devices) for agent in able), f" on {need.devices} device" if need.devices else ""
    wanted = f"an agent with {_gib(need.memory_bytes, largest)} GiB{on}{'s'[: need.devices > 1]}"
    return Reason("no-fit", f"{wanted}; the largest has {_gib(largest, need.memory_bytes)} GiB")


def _all(agents: Collection[AgentBeat]) -> str:
    return "the only one is" if len(agents) == 1 else f"all {len(agents)} are"


def _named(capabilities: Iterable[str]) -> str:
    return ", ".join(sorted(name.replace(":", " ") for name in capabilities))


def _installing(capabilities: Iterable[str]) -> str:
    """What brings the engines here that can be installed; nothing for others."""
    names = sorted(one.removeprefix("engine:") for one in capabilities)
    commands = [command for name in names if name in KINDS and (command := install_command(name))]
    return f": `{'` and `'.join(commands)}` on a machine with one" if commands else ""


def _gib(size: int, other: int) -> str:
    """Bytes in GiB with as many digits as tell them from the other."""
    digits = next((n for n in (1, 2, 3) if f"{size / GIB:.{n}f}" != f"{other / GIB:.{n}f}"), 9)
    return f"{size / GIB:.{digits}f}"


def busy(ahead: int) -> Reason:
    """An agent would fit, and all that do are busy; so many jobs go first."""
    if ahead <= EXACT:
        told = "it is next" if ahead == 0 else "1 job is ahead" if ahead == 1 else f"{ahead} jobs are ahead"
        return Reason("busy", f"a free agent; {told}", ahead)
    step = max(step for step in _steps() if step < ahead)
    return Reason("busy", f"a free agent; more than {step} jobs are ahead", step)


def _steps() -> Iterator[int]:
    """5, 10, 20, 50, … 1000."""
    return (factor * 10**power for power in range(4) for factor in (1, 2, 5) if EXACT <= factor * 10**power <= FARTHEST)


def tried_again(lease: Lease) -> Reason:
    """A job failed, and its pause is not over."""
    last = lease.error.message if lease.error else "it failed"
    return Reason("retry", f"its job's attempt {lease.attempt + 1}, after: {last}")
