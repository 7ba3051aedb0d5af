"""Asks the newest scorer for what an older one has scored: the answers are written again, the very same events, and it scores them.

It is done where a run has been quiet for a while: of one that is scored anew the newer scorer may be on its way through its answers. And it
is done again, ever less often, for a scorer of before may have taken them. Of a run that has a result it ends after a while: the version
that one score named may be no scorer's that there is.
"""

from contextlib import aclosing
from dataclasses import dataclass

import structlog

from infra.kafka import Ends, Log
from schemas.measurements import SampleAnswered
from streams.quality.scores import TaskScores
from streams.settling.mixing import lacking
from streams.settling.runs import Run
from streams.topics import ANSWERS, RUNS
from streams.trust.stretches import run_of_key

QUIET_S, QUIET_ANEW_S = 30.0, 600.0
LONGEST_S = 3600.0
MOST_ASKED = 6  # times, of a run that is scored anew, without a score that follows: some four hours
BEFORE_US = 3600 * 10**6  # the clocks of two machines differ
AT_ONCE = 500
log_line = structlog.get_logger()


@dataclass(slots=True)
class Waiting:
    """How many scores of a run there were, since when there are no more, how often it was asked since, and how long it must be quiet."""

    scores: int = -1
    since_s: float = 0.0
    quiet_s: float = QUIET_S
    asked: int = 0


def is_due(run: Run, waiting: Waiting, *, now_s: float) -> bool:
    """The run may lack scores of its newest scorer, and has been quiet for long enough: it is to be asked for them now."""
    if run.before is None and len({version for _, version in run.scores}) < 2:
        return False
    if (scores := sum(one.settled_samples for one in run.scores.values())) != waiting.scores:
        waiting.scores, waiting.since_s, waiting.asked = scores, now_s, 0
        waiting.quiet_s = QUIET_ANEW_S if run.before else QUIET_S
    if now_s - waiting.since_s < waiting.quiet_s:
        return False
    waiting.since_s, waiting.quiet_s, waiting.asked = now_s, min(2 * waiting.quiet_s, LONGEST_S), waiting.asked + 1
    return True


def in_vain(run: Run, waiting: Waiting) -> bool:
    """The run has a result, and nobody scores it by the version that was said to be newer: what it was stands."""
    return run.before is not None and waiting.asked > MOST_ASKED


async def ask_again(log: Log, run: Run, *, partition: int) -> int:
    """How many answers were written again: those that the newest scorer has not scored. Raises: Unavailable."""
    wanted = dict(lacking(run))
    if not wanted or run.planned_at is None:
        return 0
    since, ends = await _since(log, partition, run.planned_at), await log.ends([ANSWERS])
    written = await _between(log, run, wanted, since=since, until=ends)
    if written < sum((run.expected(task) or 0) - scores.settled_samples for task, scores in wanted.items()):
        written += await _between(log, run, wanted, since={}, until=since)  # where an agent's clock is wrong
    log_line.info("asked the newest scorer again", run_id=run.run_id, tasks=sorted(wanted), answers=written)
    return written


async def _since(log: Log, partition: int, planned_at: int) -> Ends:
    """From where the answers lie of a run that was planned there."""
    async with aclosing(log.read_span(RUNS, partition=partition, first=planned_at, last=planned_at)) as records:
        planned_us = [record.written_us async for record in records]
    return await log.offsets_at([ANSWERS], written_us=max(0, min(planned_us, default=0) - BEFORE_US))


async def _between(log: Log, run: Run, wanted: dict[str, TaskScores], *, since: Ends, until: Ends) -> int:
    until = {at: end for at, end in until.items() if since.get(at, 0) < end}
    if not until:
        return 0
    met, some = set[str](), list[SampleAnswered]()
    of_run = log.follow([ANSWERS], since=since, until=until, wanted=lambda key, _place: run_of_key(key) == run.run_id)
    async with aclosing(of_run) as records:
        async for record in records:
            event = record.event
            if not isinstance(event, SampleAnswered) or event.task not in wanted or event.event_id in met:
                continue
            if not wanted[event.task].settled((event.ordinal, event.repeat)):
                met.add(event.event_id)
                some.append(event)
            if len(some) >= AT_ONCE:
                await log.publish_all(some)
                some = []
    await log.publish_all(some)
    return len(met)
