"""Jobs whose agents have said that they are at them and not how that ended: a fold over reports alone.

Who settles a run that is over waits for these agents (streams/settling/used.py), and one that is gone says nothing more: so it is said for
it. That a run is over forgets none of them: whoever reads it all, at any time and in any order of partitions, finds them again.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from schemas.event import Visibility
from schemas.jobs import AgentBeat, JobChanged

ENDED = frozenset({"finished", "failed", "cancelled"})


@dataclass(slots=True)
class Begun:
    """A job's newest attempt that was reported of, and who is at it: agent → incarnation.

    `confirmed_us`: when a heartbeat or a report of these was heard last, on the steady clock of the process that was told.
    """

    run_id: str
    job_id: str
    attempt: int
    organisation_id: str
    visibility: Visibility
    agents: dict[str, int]
    confirmed_us: int


@dataclass(slots=True)
class Unended:
    """By job. All reports of a job lie in one partition."""

    jobs: dict[str, Begun] = field(default_factory=dict)

    def fold(self, event: JobChanged, *, at_us: int) -> None:
        """Takes a report in; one without an agent is a dispatcher's: nobody is at the job any more."""
        known = self.jobs.get(event.job_id)
        if not event.agent_id:
            self.jobs.pop(event.job_id, None)
        elif known and event.attempt < known.attempt:
            return
        elif event.state in ENDED:
            self._ended(event)
        elif known and event.attempt == known.attempt:
            known.agents[event.agent_id], known.confirmed_us = event.incarnation, max(known.confirmed_us, at_us)
        else:
            agents = {event.agent_id: event.incarnation}
            names = event.run_id, event.job_id, event.attempt, event.organisation_id, event.visibility
            self.jobs[event.job_id] = Begun(*names, agents, at_us)

    def _ended(self, event: JobChanged) -> None:
        known = self.jobs.get(event.job_id)
        if known and event.attempt == known.attempt:
            known.agents.pop(event.agent_id, None)
        if known and (event.attempt > known.attempt or not known.agents):
            del self.jobs[event.job_id]

    def heard(self, beat: AgentBeat, *, at_us: int) -> None:
        """An agent is at these."""
        for running in beat.running:
            known = self.jobs.get(running.job_id)
            if known and known.attempt == running.attempt and known.agents.get(beat.agent_id) == beat.incarnation:
                known.confirmed_us = max(known.confirmed_us, at_us)

    def listens(self, *, now_us: int) -> None:
        """Silence counts from this moment at the earliest."""
        for known in self.jobs.values():
            known.confirmed_us = now_us

    def silent(self, *, now_us: int, within_us: int) -> Iterator[Begun]:
        """Those of whose agents nobody was heard to be at them lately."""
        return (known for known in self.jobs.values() if now_us - known.confirmed_us > within_us)
