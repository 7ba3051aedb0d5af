"""What a dispatcher does next: a function of what it knows of its pool and of the moment. Its caller writes each decision as an event."""

from collections.abc import Callable, Collection, Iterable, Iterator

from schemas.jobs import AgentBeat, JobError
from streams.planning import run_of
from streams.queue.clocks import Moment
from streams.queue.delays import Delay, reasons, tried_again
from streams.queue.dispatch import Pool
from streams.queue.leases import Abandon, Cancel, Decision, Entry, Leaving, Release, Step, Vanish, final_error, pause_us
from streams.queue.limits import stopped
from streams.queue.queueing import assign, kind_of

UNTOLD = JobError(code="job-failed", message="a job of it has failed for good; why was not said", permanent=True)


def decide(pool: Pool, now: Moment) -> list[Decision]:
    """What to write now. It is decided again only when all of that was folded."""
    pool.weigh()
    stops = list(_stops(pool, now))
    ending = {stop.run_id for stop in stops}
    cancels = list(_cancels(pool, ending, now))
    failures, abandons = list(_failures(pool, ending)), list(_abandons(pool, ending, now))
    ending |= {failure.run_id for failure in failures} | {one.job.run_id for one in abandons}
    return [*stops, *cancels, *failures, *abandons, *_vanished(pool, now), *_releases(pool, ending | pool.aside, now)]


def at_fault(pool: Pool, work: Callable[[], object]) -> str | None:
    """The run over whose state deciding (`work`) breaks, also alone; None where it is not one run's."""
    kept, suspects = pool.aside, sorted(pool.runs.keys() - pool.aside)
    try:
        while len(suspects) > 1:
            half = suspects[: len(suspects) // 2]
            suspects = half if _breaks(pool, work, alone=half) else suspects[len(half) :]
        return suspects[0] if suspects and _breaks(pool, work, alone=suspects) and not _breaks(pool, work, alone=()) else None
    finally:
        pool.aside, pool.fruitless = kept, None


def _breaks(pool: Pool, work: Callable[[], object], *, alone: Collection[str]) -> bool:
    pool.aside, pool.fruitless = set(pool.runs) - set(alone), None
    try:
        work()
    except Exception:  # noqa: BLE001  # whatever it is: who breaks it is looked for
        return True
    return False


def _stops(pool: Pool, now: Moment) -> Iterator[Step]:
    """Runs that were asked to stop, or have reached a limit."""
    asked = {run_id: run.asked for run_id, run in pool.runs.items() if run.asked and run.job_ids and run_id not in pool.aside}
    for run_id, why in sorted(asked.items()):
        run = pool.runs[run_id]
        yield Step(run_id, run.organisation_id, "cancelled", "cancelled", why, run.visibility)
    for run_id, limit in pool.limits.items():
        if limit.at_us <= now.utc_us and run_id not in asked and run_id not in pool.aside:
            run = pool.runs[run_id]
            pool.at = run_id
            told = stopped(limit.said, [pool.entries[job_id] for job_id in run.job_ids])
            yield Step(run_id, run.organisation_id, "cancelled", limit.code, told, run.visibility)


NOBODYS = ""


def _cancels(pool: Pool, ending: Collection[str], now: Moment) -> Iterator[Cancel]:
    """Leases of runs that are about to be over, or are; also those of which only the agents know any more."""
    for entry in _decided(pool, pool.shelves.leased.values()):
        lease, run = entry.lease, pool.runs[entry.run_id]
        if lease and not lease.cancelled and entry.run_id in ending:
            names = entry.run_id, entry.job_id, lease.attempt, lease.agent_id, lease.incarnation
            yield Cancel(*names, run.organisation_id, run.visibility)
    _let_go(pool, now)
    for one in pool.leaving.values():
        if not one.told:
            names = one.run_id, one.job_id, one.attempt, one.agent_id, one.incarnation
            yield Cancel(*names, one.organisation_id, one.visibility)


def _let_go(pool: Pool, now: Moment) -> None:
    """Notes which agents are still at a run that is over; who said nothing of it for long is at it no more."""
    pool.leaving = {key: one for key, one in pool.leaving.items() if now.steady_us - one.since_us <= pool.lease_us}
    for beat in pool.alive(now_us=now.steady_us):
        for running in beat.running:
            key, run_id = (running.job_id, running.attempt), run_of(running.job_id)
            if key not in pool.leaving and run_id in pool.over:
                names = run_id, *key, beat.agent_id, beat.incarnation
                # Whose run it was is forgotten here: it is nobody's, rather than the agent's organisation's to see.
                pool.leaving[key] = Leaving(*names, NOBODYS, "organisation", now.steady_us)


def _failures(pool: Pool, ending: Collection[str]) -> Iterator[Step]:
    """Runs of which a job that is wanted has failed for good: the log says so, so that it is decided whoever said it and is gone."""
    failed = set(ending)
    for entry in _decided(pool, pool.shelves.failed.values()):
        run, why = pool.runs[entry.run_id], entry.why or UNTOLD
        if entry.job and run.runnable and run.run_id not in failed and not pool.withdrawn(entry):
            failed.add(run.run_id)
            yield Step(run.run_id, run.organisation_id, "failed", why.code, why.message, run.visibility)


def _abandons(pool: Pool, ending: Collection[str], now: Moment) -> Iterator[Abandon]:
    """Jobs that failed or were lost for the last time; those that are to be tried again wait from now on."""
    for entry in _decided(pool, [*pool.shelves.leased.values(), *pool.shelves.paused.values()]):
        lease, job = entry.lease, entry.job
        if lease is None or job is None or pool.held(entry, now_us=now.steady_us):
            continue
        error = final_error(lease, max_attempts=pool.max_attempts)
        if pool.withdrawn(entry) or (error is None and (not lease.ended or now.steady_us >= lease.ended_us + pause_us(lease.attempt))):
            pool.moved(entry)
        elif error and job.run_id not in ending:
            yield Abandon(job, lease.attempt, error)


def _vanished(pool: Pool, now: Moment) -> Iterator[Vanish]:
    """Attempts of runs that are over whose agents are gone: what they came to is awaited until somebody says so."""
    for one in pool.unended.silent(now_us=now.steady_us, within_us=pool.lease_us):
        if one.run_id in pool.over:
            yield Vanish(one.run_id, one.job_id, one.attempt, tuple(sorted(one.agents)), one.organisation_id, one.visibility)


def _releases(pool: Pool, ending: Collection[str], now: Moment) -> Iterator[Decision]:
    lines = pool.shelves.lines
    free = _free(pool, now) if len(lines) else []
    # Who fits whom depends on these alone: where nothing could be leased before, nothing can be while they stay the same.
    scene = (lines.version, [(beat.agent_id, *kind_of(beat)) for beat in free])
    if not free or scene == pool.fruitless:
        return
    pairs = assign(lines.but(ending), free, running=pool.shelves.shares(), now_us=now.utc_us, policy=pool.policy)
    pool.fruitless = None if pairs or ending else scene
    started: set[str] = set()
    for item, agent in pairs:
        job, entry = item.job, pool.entries[item.job.job_id]
        if pool.runs[job.run_id].state == "planned" and job.run_id not in started:
            started.add(job.run_id)
            yield Step(job.run_id, job.organisation_id, "running", visibility=job.visibility)
        attempt = entry.lease.attempt + 1 if entry.lease else 1
        yield Release(job, attempt, agent.agent_id, agent.incarnation, entry.done)


def _free(pool: Pool, now: Moment) -> list[AgentBeat]:
    """The agents that live and have nothing to do."""
    leased = pool.shelves.leased.values()
    busy = {
        entry.lease.agent_id for entry in leased if entry.lease
        and (entry.run_id in pool.aside or pool.held(entry, now_us=now.steady_us))
    }  # fmt: skip
    busy |= {
        one.agent_id for one in pool.leaving.values() if now.steady_us - one.since_us <= pool.lease_us
        and not pool.crew.replaced(one.agent_id, one.incarnation)
    }  # fmt: skip
    return [beat for beat in pool.alive(now_us=now.steady_us) if beat.agent_id not in busy and not beat.running]


def _decided(pool: Pool, entries: Iterable[Entry]) -> Iterator[Entry]:
    """Those of runs of which something is decided; `pool.at` says which is looked at."""
    for entry in entries:
        if entry.run_id not in pool.aside:
            pool.at = entry.run_id
            yield entry


def waits(pool: Pool, now: Moment) -> list[Delay]:
    """The runs for which what they wait for has changed, with what it is now."""
    if now.steady_us - pool.since_us <= pool.lease_us:
        return []  # the agents had no time yet to say that they live
    alive, shelves = pool.alive(now_us=now.steady_us), pool.shelves
    found = reasons(
        shelves.lines.but(pool.aside), pool=pool.name, alive=alive, running=shelves.shares(), now_us=now.utc_us, policy=pool.policy
    )  # fmt: skip
    paused = [(entry.job, entry.lease) for entry in _decided(pool, shelves.paused.values())]
    found = {job.run_id: tried_again(lease) for job, lease in paused if job and lease} | found
    for entry in shelves.leased.values():
        found.pop(entry.run_id, None)
    return [one for one in pool.delays.changes(found, now) if one.run_id not in pool.aside]


def tidy(pool: Pool, now: Moment) -> None:
    """Forgets agents that have been silent for very long and hold nothing."""
    holders = {entry.lease.agent_id for entry in _decided(pool, pool.shelves.leased.values()) if entry.lease}
    pool.crew.forget(now_us=now.steady_us, since_us=pool.since_us, but=holders)
