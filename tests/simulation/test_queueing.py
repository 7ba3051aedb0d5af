"""The queue policy over time: nobody starves, shares converge, an agent stays with a model for a slice."""

import random
from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.jobs import AgentBeat
from streams.queue.lines import Lines, Waiting
from streams.queue.queueing import Policy, assign
from tests.pool import POLICY, beat, waiting


@dataclass
class Shop:
    """Lines and agents on a clock that counts the policy's units: jobs run so long as `lasts` says, and end at their deadline."""

    agents: list[AgentBeat]
    policy: Policy = POLICY
    lasts: dict[str, int] = field(default_factory=dict)
    lines: Lines = field(default_factory=Lines)
    items: dict[str, Waiting] = field(default_factory=dict)
    busy: dict[str, tuple[Waiting, int]] = field(default_factory=dict)
    held: dict[str, str] = field(default_factory=dict)

    def arrive(self, item: Waiting, *, lasts: int) -> None:
        """A job waits from now on."""
        self.lines.add(item)
        self.items[item.job.job_id] = item
        self.lasts[item.job.job_id] = lasts

    def tick(self, now: int) -> list[str]:
        """What ends ends, what is past its deadline goes, what can be leased is; its ids."""
        self.busy = {name: (item, ends) for name, (item, ends) in self.busy.items() if ends > now}
        for item in [item for item in self.items.values() if (item.job.budget.deadline_us or now + 1) <= now]:
            self.leave(item)
        free = [agent.model_copy(update={"models_held": (self.held.get(agent.agent_id, ""),)}) for agent in self.agents
                if agent.agent_id not in self.busy]  # fmt: skip
        running = Counter(item.job.submitter for item, _ in self.busy.values())
        for item, agent in assign(self.lines.all(), free, running=running, now_us=now, policy=self.policy):
            self.busy[agent.agent_id] = item, now + self.lasts[item.job.job_id]
            self.held[agent.agent_id] = f"{item.job.model.uri}@"
            (line,) = [line for line in self.lines.all() if item in line.queue]
            self.lines.served(line.key, at_us=now)
            self.leave(item)
        return [item.job.job_id for item, _ in self.busy.values()]

    def leave(self, item: Waiting) -> None:
        """A job waits no longer."""
        self.lines.discard(item.job.job_id)
        del self.items[item.job.job_id]


LONGEST, HIGHEST, AGENTS = 8, 5, 4


@settings(max_examples=40, deadline=None)
@given(st.integers(0, HIGHEST), st.booleans(), st.randoms(use_true_random=False))
def test_nobody_starves_whatever_else_comes(priority: int, large: bool, chance: random.Random) -> None:
    """Leased within the bound of the ageing rate, though others of higher priority, of any name, model and deadline, never cease.

    The bound: max of (highest - own priority) x ageing and patience, one slice, and a round of those who were there already.
    """
    shop = Shop([beat(f"a{n}", gib=2 if n == 0 else 1) for n in range(AGENTS)])
    shop.arrive(waiting("me", 0, since=0, priority=priority, gib=2 if large else 1), lasts=1)
    others = 2 * AGENTS
    bound = max((HIGHEST - priority) * POLICY.ageing_us, POLICY.patience_us) + POLICY.slice_us + (others + 1) * LONGEST
    for now in range(bound + 1):
        while len(shop.items) <= others:
            name = f"j{len(shop.lasts)}"
            another = waiting(
                name, len(shop.lasts), since=now, priority=HIGHEST, submitter=chance.choice(["me", "you", name]),
                model=chance.choice(["m", "n"]), gib=chance.randint(1, 2), deadline=chance.choice([None, now + chance.randint(1, 80)]),
            )  # fmt: skip
            shop.arrive(another, lasts=chance.randint(1, LONGEST))
        if "me" in shop.tick(now):
            return
    raise AssertionError(f"not leased by {bound}")


@settings(max_examples=15, deadline=None)
@given(st.integers(2, 4), st.integers(2, 9), st.randoms(use_true_random=False))
def test_shares_converge_however_many_jobs_one_submits(submitters: int, agents: int, chance: random.Random) -> None:
    """When what ran before others came has ended, shares differ by one job at most, and stay so."""
    shop = Shop([beat(f"a{n}") for n in range(agents)])
    for n in range(260):
        shop.arrive(waiting(f"first{n}", n, since=0, submitter="s0", model=f"m{n % 3}"), lasts=chance.randint(1, LONGEST))
    for now in range(40):
        if now == 10:
            for n in range(1, submitters):
                for k in range(160):
                    shop.arrive(waiting(f"s{n}-{k}", 260 + n + k, since=now, submitter=f"s{n}"), lasts=chance.randint(1, LONGEST))
        shop.tick(now)
        shares = Counter(item.job.submitter for item, _ in shop.busy.values())
        if now >= 10 + LONGEST:
            assert max(shares.values()) - min(shares[f"s{n}"] for n in range(submitters)) <= 1


def test_an_agent_stays_with_a_model_for_a_slice_and_no_longer() -> None:
    """One agent, six models, jobs without end: a load for each slice, not one for each job; and none is forgotten."""
    shop = Shop([beat("a")], policy=replace(POLICY, patience_us=1000))
    for n in range(20):
        for model in "uvwxyz":
            shop.arrive(waiting(f"{model}{n}", n, since=0, model=model), lasts=3)
    order = [shop.tick(now)[0][0] for now in range(0, 12 * POLICY.slice_us, 3)]
    assert 1 + sum(left != right for left, right in pairwise(order)) == 12
    assert Counter(order) == dict.fromkeys("uvwxyz", 2 * POLICY.slice_us // 3)
