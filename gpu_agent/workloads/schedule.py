"""When each request of a workload is to be sent, and what it is: fixed before the start, and the same for the same seed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice, repeat
from typing import Literal

import numpy as np

from gpu_agent.workloads.arrivals import arrivals
from schemas.measurements import Phase
from schemas.requests import Traced, Workload
from streams.bounds import MOST_LOAD_S
from streams.speed.traces import BLOCK_TOKENS
from streams.speed.workloads import most_requests

CLOSED = frozenset({"single", "concurrent"})  # profiles that send when an answer has ended
MOST_WARMUP_S = 30.0
BYTES_A_TOKEN = 4  # of a text, about: what of a data set's lengths a warm-up has
PREFIX, CANCEL, PROMPTS = 1, 2, 3  # tell a request's draws from each other, and from that of its words
Shared = tuple[tuple[int, int], ...]


def places_of(workload: Workload) -> int | None:
    """How many requests a closed load has under way at most; None for an open one, which sends by its times."""
    if workload.profile not in CLOSED:
        return None
    return 1 if workload.profile == "single" else workload.concurrency or 1


def loop_of(workload: Workload) -> Literal["open", "closed"] | None:
    """Whether requests are sent by a schedule, or when an answer has ended; None of chats that do both, or wait between: neither."""
    closed = workload.profile in CLOSED
    if workload.turns > 1 and (workload.think_s or not closed):
        return None
    return "closed" if closed else "open"


@dataclass(frozen=True, slots=True)
class Planned:
    """A request to send. `at_s`: seconds after the start of its phase; None: as soon as a place is free.

    `shared`: what its prompt begins with, piece by piece, each a name and so many tokens: where the names are the same, so are the texts.
    `text`: the whole prompt, where it is given; `prompt`: which of a data set's it is. `cancel_after_s`: when the client
    gives it up; None: never. `turn`: of the `turns` of a chat, whose requests are numbered one behind the other.
    """

    index: int
    phase: Phase
    at_s: float | None
    input_tokens: int
    output_tokens: int
    seed: int
    shared: Shared = ()
    text: str | None = None
    cancel_after_s: float | None = None
    turn: int = 0
    turns: int = 1
    prompt: int | None = None

    @property
    def session(self) -> int | None:
        """The number of its chat's first request; None where it is of none."""
        return self.index - self.turn if self.turns > 1 else None


Schedule = tuple[list[Planned], Iterator[Planned]]


def schedule(workload: Workload, *, seed: int, first: int = 0) -> Schedule:
    """The warm-up requests, and the steady ones in the order of their times, numbered from `first`.

    Raises: Invalid for a profile that is not there.
    """
    return list(_warmup(workload, seed=seed, first=first)), _steady(workload, seed=seed, first=first + workload.warmup_requests)


def _warmup(workload: Workload, *, seed: int, first: int) -> Iterator[Planned]:
    """Requests in the load's own shape, faster where they would take longer than a warm-up may.

    No text of a trace or a data set is sent ahead, or a cache would answer it later: words are, of their lengths.
    """
    offered = list(islice(_offered(workload, seed=seed + first), workload.warmup_requests))
    faster = max(1.0, (offered[-1][0] or 0.0) / MOST_WARMUP_S) if offered else 1.0
    for index, (at_s, traced) in enumerate(offered, start=first):
        due_s = None if at_s is None else at_s / faster
        one = _planned(workload, index, seed=seed, phase="warmup", at_s=due_s, traced=traced)
        if one.prompt is not None and one.text is not None:
            one = replace(one, input_tokens=max(1, len(one.text.encode()) // BYTES_A_TOKEN), prompt=None)
        yield replace(one, shared=(), text=None) if traced or workload.prompts else one


def _steady(workload: Workload, *, seed: int, first: int) -> Iterator[Planned]:
    most = most_requests(workload)
    # Loads that follow one another, as a sweep's, have times of their own.
    for number, (at_s, traced) in enumerate(_offered(workload, seed=seed + first)):
        sent = number * workload.turns
        if sent >= most:
            return
        if at_s is not None and at_s >= (workload.duration_s or MOST_LOAD_S):
            return
        one = _planned(workload, first + sent, seed=seed, phase="steady", at_s=at_s, traced=traced)
        yield replace(one, turns=min(workload.turns, most - sent)) if workload.turns > 1 else one


def next_turn(workload: Workload, planned: Planned, *, seed: int) -> Planned | None:
    """What the same person asks next; None behind the last turn of a chat."""
    if planned.turn + 1 >= planned.turns:
        return None
    one = _planned(workload, planned.index + 1, seed=seed, phase=planned.phase)
    return replace(one, shared=(), turn=planned.turn + 1, turns=planned.turns)


def _offered(workload: Workload, *, seed: int) -> Iterator[tuple[float | None, Traced | None]]:
    """When each steady request is due, and, where a trace says it, what it is."""
    if workload.profile == "trace":
        return ((one.at_ms / 1000 / workload.speedup, one) for one in workload.trace)
    if workload.profile in CLOSED:
        return repeat((None, None))
    return ((at_s, None) for at_s in arrivals(workload, seed=seed))


def _planned(
    workload: Workload, index: int, *, seed: int, phase: Phase, at_s: float | None = None, traced: Traced | None = None
) -> Planned:
    own = seed + index
    gives_up = phase == "steady" and np.random.default_rng([own, CANCEL]).random() < workload.cancel_ratio
    cancel_after_s = workload.cancel_after_s if gives_up else None
    if workload.prompts:
        which = drawn(len(workload.prompts), index - (phase == "steady") * workload.warmup_requests, seed=seed)
        one = Planned(
            index, phase, at_s, workload.input_tokens, workload.output_tokens, own, (), workload.prompts[which].text, cancel_after_s
        )
        return replace(one, prompt=which)
    if traced is None:
        common = prefix(workload, seed=own)
        return Planned(index, phase, at_s, workload.input_tokens, workload.output_tokens, own, common, None, cancel_after_s)
    return Planned(index, phase, at_s, traced.input_tokens, traced.output_tokens, own, blocks(traced), traced.text, cancel_after_s)


def drawn(count: int, index: int, *, seed: int) -> int:
    """Which of a data set's so many prompts that request has: shuffled by the seed, and anew when all were sent."""
    pass_, place = divmod(index, count)
    return int(_order(seed, count, pass_)[place])


@lru_cache(maxsize=4)
def _order(seed: int, count: int, pass_: int) -> Sequence[int]:
    order: list[int] = np.random.default_rng([seed, PROMPTS, pass_]).permutation(count).tolist()
    return order


def prefix(workload: Workload, *, seed: int) -> Shared:
    """What the prompt has in common with others: which prefix, and how much of it."""
    count = round(workload.shared_prefix_ratio * workload.input_tokens)
    return ((int(np.random.default_rng([seed, PREFIX]).integers(workload.shared_prefixes)), count),) if count else ()


def blocks(traced: Traced) -> Shared:
    """The blocks that its ids name, each of 512 tokens, the last one of what is left."""
    left, found = traced.input_tokens, list[tuple[int, int]]()
    for name in traced.hash_ids:
        found.append((name, min(left, BLOCK_TOKENS)))
        left -= BLOCK_TOKENS
    return tuple(found)
