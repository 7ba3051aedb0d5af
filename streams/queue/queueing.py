"""Which waiting job goes to which free agent: a pure function of both. The whole queue policy has its place here.

Jobs that differ in nothing but their age are one *line* (lines.py); its oldest, the head, stands for it. A line's *turn* began
when its head was planned or when the line was last served, whichever is later. While an agent is free that fits a line, the line with
the lowest rank is served, and ranks are these figures in this order:

1. level: priority, plus one for each `ageing_us` of the turn, but never above the highest priority that waits for the free agents;
2. share: how many jobs of the submitter run;
3. stage: 0 where the line is due within `slice_us` (due: its deadline, or the turn's beginning + `patience_us` where that is earlier);
   1 where it was served in this slice of time and a free agent holds its model; else 2;
4. due, in whole slices;
5. affinity: 0 where a free agent holds the line's model;
6. due to the microsecond, then age.

**Work-conserving**: it ends only when no free agent fits a waiting job. **Deterministic**: ranks are unique, inputs are in no order.
**No starvation**: a turn's level reaches the highest priority P after (P - priority) x ageing_us, and from its due time on nothing that
comes later is due earlier, deadlines included; so from turn + max(those two) + slice_us on only shares can put others first, and a
share is 0 when the submitter's jobs have ended. Ageing ends at P, or the old jobs of one large submission would outrank all shares.
**Fair**: who runs fewest is served next; so among those who wait, shares of equal level differ by one job at most, once what ran
before has ended. **Affinity** breaks neither priority nor share: it keeps an agent at its model for what is left of a slice.

Source: earliest deadline first with implied deadlines, Liu and Layland 1973, section 7; fewest-running-first is max-min fairness over
agents, Bertsekas and Gallager, Data Networks, section 6.5.2; ageing, Silberschatz et al., Operating System Concepts, section 5.3.4.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from schemas.jobs import AgentBeat, Need
from streams.queue.lines import Age, Line, Waiting

MINUTE_US = 60_000_000
GIB = 2**30
Kind = tuple[bool, tuple[str, ...], tuple[int, ...], int]
Rank = tuple[int, int, int, int, int, int, Age, str]


@dataclass(frozen=True, slots=True)
class Policy:
    """The three times of the policy: waiting that weighs as much as one step of priority, that is enough, and that a model may cost."""

    ageing_us: int = 5 * MINUTE_US
    patience_us: int = 240 * MINUTE_US
    slice_us: int = 10 * MINUTE_US


USUAL = Policy()


def unfit(need: Need, agent: AgentBeat) -> str | None:
    """Why the agent cannot run a job of that need; None where it can."""
    if agent.draining:
        return f"{agent.agent_id} is draining"
    missing = set(need.capabilities) - set(agent.capabilities)
    if missing:
        return f"{agent.agent_id} lacks {', '.join(sorted(missing))}"
    if need.devices > len(agent.devices):
        return f"{agent.agent_id} has {len(agent.devices)} of {need.devices} devices"
    if need.memory_bytes > (has := room_of(agent, devices=need.devices)):
        return f"{agent.agent_id} has {has / GIB:.1f} of {need.memory_bytes / GIB:.1f} GiB"
    return None


def room_of(agent: AgentBeat, *, devices: int) -> int:
    """Bytes that so many of its devices have for what is spread over them in equal parts, those with most of it; without any, its own."""
    if devices == 0:
        return agent.total_bytes
    return devices * sorted(one.memory_bytes for one in agent.devices)[-devices] if devices <= len(agent.devices) else 0


def kind_of(agent: AgentBeat) -> Kind:
    """All of an agent that decides what it fits."""
    return agent.draining, agent.capabilities, tuple(sorted(one.memory_bytes for one in agent.devices)), agent.total_bytes


def assign(
    lines: Collection[Line], free: Iterable[AgentBeat], *, running: Mapping[str, int], now_us: int, policy: Policy = USUAL
) -> list[tuple[Waiting, AgentBeat]]:
    """The pairs of job and agent to lease now. `running`: submitter → jobs that run."""
    idle = _Idle(free, wanted={line.key.model for line in lines})
    order = served(lines, running=running, now_us=now_us, policy=policy, fits=idle.fits, holds=idle.holds)
    # As many as there are agents: what would come after the last of them is not looked for.
    return [(item, idle.take(item, line)) for line, item in islice(order, idle.count)]


def served(
    lines: Iterable[Line], *, running: Mapping[str, int], now_us: int, policy: Policy = USUAL,
    fits: Callable[[Line], bool] = lambda _line: True, holds: Callable[[Line], bool] = lambda _line: False,
) -> Iterator[tuple[Line, Waiting]]:  # fmt: skip
    """Waiting jobs in the order in which they are served, while `fits` says that there is an agent for their line."""
    fitting = [line for line in lines if fits(line)]
    order = _Order(fitting, running, fits=fits, holds=holds, now_us=now_us, policy=policy)
    while (following := order.next()) is not None:
        yield following


class _Order:
    """The order of service, in a heap of lines for each submitter and one of submitters: serving one changes the share of that one alone.

    Serving others only ever raises a rank (their share grew, the model's holder is taken): so it is put right when it is met.
    """

    def __init__(
        self, lines: Sequence[Line], running: Mapping[str, int], *, fits: Callable[[Line], bool], holds: Callable[[Line], bool],
        now_us: int, policy: Policy,
    ) -> None:  # fmt: skip
        self._fits, self._holds, self._now_us, self._policy = fits, holds, now_us, policy
        self._top = max((line.key.priority for line in lines), default=0)
        self._share = Counter(running)
        self._lines: dict[str, list[tuple[Rank, int, Line]]] = defaultdict(list)
        for line in lines:
            self._lines[line.key.submitter].append((self._rank(line, 0), 0, line))
        for heap in self._lines.values():
            heapq.heapify(heap)
        self._submitters = [(self._first(name), name) for name in self._lines]
        heapq.heapify(self._submitters)

    def next(self) -> tuple[Line, Waiting] | None:
        """The job that is served next; from then on it runs. None where no line that fits is left."""
        while self._submitters:
            told, name = heapq.heappop(self._submitters)
            heap = self._lines[name]
            self._put_right(heap)
            if not heap:
                continue
            if self._first(name) != told:
                heapq.heappush(self._submitters, (self._first(name), name))
                continue
            _, place, line = heapq.heappop(heap)
            self._share[name] += 1
            if place + 1 < len(line.queue):
                heapq.heappush(heap, (self._rank(line, place + 1), place + 1, line))
            if heap:
                heapq.heappush(self._submitters, (self._first(name), name))
            return line, line.queue[place]
        return None

    def _put_right(self, heap: list[tuple[Rank, int, Line]]) -> None:
        """Lets the submitter's best line that still fits stand first."""
        while heap:
            told, place, line = heap[0]
            if not self._fits(line):
                heapq.heappop(heap)
            elif (now := self._rank(line, place)) != told:
                heapq.heapreplace(heap, (now, place, line))
            else:
                return

    def _first(self, name: str) -> Rank:
        """The rank of a submitter's first line, its share included."""
        level, _, *others = self._lines[name][0][0]
        return (level, self._share[name], *others)  # type: ignore[return-value]  # as long as it was

    def _rank(self, line: Line, place: int) -> Rank:
        """A line's rank among its submitter's, whose share is the same for all: 0."""
        item, policy = line.queue[place], self._policy
        # Whoever is behind the head has its turn when the head has been served, which is now at the earliest.
        served_us = self._now_us if place else line.served_us
        turn_us = max(item.since_us, served_us)
        level = min(self._top, line.key.priority + max(0, self._now_us - turn_us) // policy.ageing_us)
        due_us = turn_us + policy.patience_us
        if line.key.deadline_us is not None:
            due_us = min(due_us, line.key.deadline_us)
        held = self._holds(line)
        kept = held and served_us // policy.slice_us == self._now_us // policy.slice_us
        stage = 0 if due_us <= self._now_us + policy.slice_us else 1 if kept else 2
        return (-level, 0, stage, due_us // policy.slice_us, int(not held), due_us, item.age, item.job.job_id)


class _Idle:
    """The free agents while they are given away, by kind (what they fit) and by the models that they hold."""

    def __init__(self, agents: Iterable[AgentBeat], *, wanted: Collection[str]) -> None:
        self._wanted = wanted
        self._left = {agent.agent_id: agent for agent in agents}
        self.count = len(self._left)
        self._kinds: dict[Kind, list[AgentBeat]] = defaultdict(list)
        self._holders: dict[str, list[AgentBeat]] = defaultdict(list)
        self._fitting: dict[Need, list[list[AgentBeat]]] = {}
        for agent in sorted(self._left.values(), key=self._cost, reverse=True):
            self._kinds[kind_of(agent)].append(agent)
            for model in agent.models_held:
                self._holders[model].append(agent)

    def _cost(self, agent: AgentBeat) -> tuple[bool, int, int, str]:
        """What a job takes away by going there: a model that others want, then room that only larger jobs need."""
        evicts = any(model in self._wanted for model in agent.models_held)
        return evicts, agent.total_bytes, len(agent.devices), agent.agent_id

    def _groups(self, line: Line) -> list[list[AgentBeat]]:
        """The free agents of each kind that fits the line; the one that costs least is the last of each."""
        need = line.key.need
        if need not in self._fitting:
            self._fitting[need] = [group for group in self._kinds.values() if unfit(need, group[0]) is None]
        for group in self._fitting[need]:
            while group and group[-1].agent_id not in self._left:
                group.pop()
        return [group for group in self._fitting[need] if group]

    def fits(self, line: Line) -> bool:
        """A free agent fits the line."""
        return bool(self._left and self._groups(line))

    def holds(self, line: Line) -> bool:
        """A free agent that fits the line holds its model."""
        return bool(self._holding(line))

    def _holding(self, line: Line) -> list[AgentBeat]:
        held = self._holders.get(line.key.model, ())
        return [agent for agent in held if agent.agent_id in self._left and unfit(line.key.need, agent) is None]

    def take(self, item: Waiting, line: Line) -> AgentBeat:
        """The best agent for the line's job, free no longer: not the one it failed on, one that holds the model, the cheapest."""
        others = [agent for group in self._groups(line) for agent in _last_two(group, self._left)]
        holding = {agent.agent_id for agent in self._holding(line)}
        choices = [*(self._left[name] for name in holding), *others]
        best = min(choices, key=lambda agent: (agent.agent_id == item.after, agent.agent_id not in holding, self._cost(agent)))
        del self._left[best.agent_id]
        return best


def _last_two(group: list[AgentBeat], left: Mapping[str, AgentBeat]) -> list[AgentBeat]:
    """The two cheapest of a kind that are left: where a job failed on the first, the other is taken."""
    found: list[AgentBeat] = []
    for agent in reversed(group):
        if agent.agent_id in left:
            found.append(agent)
            if len(found) == 2:
                break
    return found
