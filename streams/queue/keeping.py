"""A pool as bytes and back, for snapshots: all that follows from the log, and nothing of this process's clocks.

A picture is taken between two events and is quick: it copies what changes and shares what does not. Its bytes are made beside the work.
"""

import json
from typing import Any, Final

from pydantic import BaseModel

from schemas.jobs import AgentBeat, Device, Job, JobError, Need
from schemas.requests import Budget
from schemas.results import PricePublished
from schemas.runs import RunDelayed
from streams.names import Names, in_order
from streams.queue.crew import Agent, Crew
from streams.queue.delays import Delays
from streams.queue.dispatch import Pool
from streams.queue.leases import Entry, Lease
from streams.queue.lines import LineKey
from streams.queue.money import Money, Priced, Used
from streams.queue.open_runs import Run
from streams.queue.places import Places
from streams.queue.succession import Succession
from streams.queue.unended import Begun, Unended

VERSION: Final = "pool-3"  # of this form and of the fold: raise it with either
Json = dict[str, Any]
OF_RUN: Final = ("run_id", "organisation_id", "visibility", "budget", "state", "started_us", "asked")
OF_LEASE: Final = ("attempt", "term", "agent_id", "incarnation", "ended", "error", "cancelled")
OF_BEGUN: Final = ("job_id", "run_id", "attempt", "organisation_id", "visibility")
OF_LINE: Final = ("submitter", "priority", "model", "need", "deadline_us")


def picture(pool: Pool) -> Json:
    """What the pool knows at this moment; what happens to it later does not change the picture."""
    return {
        "next": [[*at, offset] for at, offset in pool.places.next.items()],
        "latest_us": [[*at, written_us] for at, written_us in pool.places.latest_us.items()],
        "terms": list(pool.terms.items()),
        "succession": [pool.succession.term, pool.succession.sequence, pool.succession.leaving],
        "taken": list(pool.succession.taken.items()),
        "runs": [_run(run) for run in pool.runs.values()],
        "entries": [_entry(entry) for entry in pool.entries.values()],
        "marks": [[*_fields(key, OF_LINE), at_us] for key, at_us in pool.shelves.lines.marks.items()],
        "agents": [[agent.beat, agent.past, agent.again] for agent in pool.crew.agents.values()],
        "delays": list(pool.delays.told.values()),
        "money": _money(pool.money),
        "unended": [_begun(one) for one in pool.unended.jobs.values()],
        "over": pool.over.taken(),
    }


def dumped(taken: Json) -> bytes:
    """The picture as bytes, the same for equal pools."""
    ordered = {name: sorted(told, key=_key) if name in SETS else told for name, told in taken.items()}
    ordered["over"] = in_order(taken["over"]).hex()
    return json.dumps(ordered, default=_shown, separators=(",", ":")).encode()


SETS: Final = ("next", "latest_us", "terms", "taken", "runs", "entries", "marks", "agents", "delays", "unended")


def _key(told: Any) -> str:
    """What a part of the picture is known by."""
    if isinstance(told, RunDelayed):
        return told.run_id
    first = told[0]
    return first.agent_id if isinstance(first, AgentBeat) else json.dumps(told, default=_shown) if isinstance(told, list) else str(first)


def _shown(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_defaults=True)
    raise TypeError(f"{type(value).__name__} is no part of a pool's state")


def _fields(value: object, names: tuple[str, ...]) -> list[Any]:
    return [getattr(value, name) for name in names]


def _run(run: Run) -> tuple[Any, ...]:
    dependents = sorted((needed, list(waiting)) for needed, waiting in run.dependents.items())
    return (*_fields(run, OF_RUN), sorted(run.heard), sorted(run.stopped), list(run.job_ids), sorted(run.names), dependents)


def _entry(entry: Entry) -> tuple[Any, ...]:
    leases = [_fields(lease, OF_LEASE) for _, lease in sorted(entry.leases.items())]
    return (entry.job_id, entry.run_id, entry.job, entry.age, leases, entry.done.hex(), entry.over, entry.why)


def _begun(one: Begun) -> tuple[Any, ...]:
    return (*_fields(one, OF_BEGUN), sorted(one.agents.items()))


def _money(money: Money) -> Json:
    return {
        "runs": sorted(
            [run_id, sorted([*which, used.first_us, used.last_us, used.environment_sha, used.since_us] for which, used in attempts.items())]
            for run_id, attempts in money.runs.items()
        ),
        "environments": [[sha, seen.devices, seen.cores, seen.region] for sha, seen in sorted(money.environments.items())],
        "prices": [price for _, known in sorted(money.book.prices.items()) for _, price in sorted(known.items())],
        "born_us": sorted(money.book.born_us.items()),
    }


def loaded(state: bytes, pool: Pool) -> Pool:
    """The pool, which was empty, with what such bytes say. Raises: ValueError, KeyError, TypeError where they say nothing."""
    told = json.loads(state)
    pool.places = Places(*({(topic, n): value for topic, n, value in told[name]} for name in ("next", "latest_us")))
    pool.terms = {partition: term for partition, term in told["terms"]}
    term, sequence, leaving = told["succession"]
    pool.succession = Succession(term, sequence, leaving, {taken: tuple(begins) for taken, begins in told["taken"]})
    pool.over = Names(bytes.fromhex(told["over"]))
    pool.runs = {run.run_id: run for run in map(_loaded_run, told["runs"])}
    pool.entries = {entry.job_id: entry for entry in map(_loaded_entry, told["entries"])}
    pool.delays = Delays({event.run_id: event for event in map(RunDelayed.model_validate, told["delays"])})
    pool.crew = Crew(
        {
            beat["agent_id"]: Agent(AgentBeat.model_validate(beat), past=tuple(past), again=tuple(again))
            for beat, past, again in told["agents"]
        }
    )
    pool.money = _loaded_money(told["money"])
    pool.unended = Unended({one.job_id: one for one in map(_loaded_begun, told["unended"])})
    for submitter, priority, model, need, deadline_us, at_us in told["marks"]:
        pool.shelves.lines.served(LineKey(submitter, priority, model, Need.model_validate(need), deadline_us), at_us=at_us)
    for entry in pool.entries.values():
        pool.settle(entry)
    return pool


def _loaded_run(told: list[Any]) -> Run:
    *fields, heard, stopped, job_ids, names, dependents = told
    run = Run(**dict(zip(OF_RUN, fields, strict=True)), heard=set(heard), stopped=set(stopped), job_ids=job_ids, names=set(names))
    run.budget, run.dependents = Budget.model_validate(run.budget), dict(dependents)
    return run


def _loaded_entry(told: list[Any]) -> Entry:
    job_id, run_id, job, age, leases, done, over, why = told
    entry = Entry(job_id, run_id, Job.model_validate(job) if job else None, tuple(age), done=bytes.fromhex(done), over=over)
    entry.why = JobError.model_validate(why) if why else None
    entry.leases = {lease.attempt: lease for lease in map(_loaded_lease, leases)}
    return entry


def _loaded_lease(told: list[Any]) -> Lease:
    named = dict(zip(OF_LEASE, told, strict=True))
    error = named.pop("error")
    return Lease(**named, confirmed_us=0, error=JobError.model_validate(error) if error else None)


def _loaded_begun(told: list[Any]) -> Begun:
    *fields, agents = told
    return Begun(**dict(zip(OF_BEGUN, fields, strict=True)), agents=dict(agents), confirmed_us=0)


def _loaded_money(told: Json) -> Money:
    runs = {run_id: {(job, agent, attempt): Used(*rest) for job, agent, attempt, *rest in used} for run_id, used in told["runs"]}
    environments = {sha: Priced(tuple(map(Device.model_validate, devices)), *rest) for sha, devices, *rest in told["environments"]}
    money = Money(runs, environments)
    for price in map(PricePublished.model_validate, told["prices"]):
        money.book.fold(price)
    money.book.born_us = dict(told["born_us"])
    return money
