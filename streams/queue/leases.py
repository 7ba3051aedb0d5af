"""What a dispatcher knows of jobs, attempts and agents, and what it can decide."""

from dataclasses import dataclass, field
from typing import Literal

from schemas.event import Visibility
from schemas.jobs import Job, JobError
from streams.queue.lines import Age

FIRST_PAUSE_US = 500_000
LONGEST_PAUSE_US = 30_000_000
Shelf = Literal["leased", "paused", "waiting", "failed"] | None


@dataclass(slots=True)
class Lease:
    """One attempt of a job: to whom it was given, and how it ended (None: it has not).

    `confirmed_us` and `ended_us` are on the steady clock of the process that was told; 0 is before it listened.
    """

    attempt: int
    term: int
    agent_id: str
    incarnation: int
    confirmed_us: int
    ended: str | None = None
    error: JobError | None = None
    ended_us: int = 0
    cancelled: bool = False


@dataclass(slots=True)
class Entry:
    """All that is known of a job. `age` is its place in the order of planning, the same in every replay.

    `shelf` says in which of the pool's indexes it is: leased, paused (it failed, and is to be tried again), waiting, or failed for good,
    for the reason `why`.
    """

    job_id: str
    run_id: str
    job: Job | None = None
    age: Age = (0, 0, 0)
    leases: dict[int, Lease] = field(default_factory=dict)
    done: bytes = b""
    over: Literal["finished", "failed"] | None = None
    why: JobError | None = None
    shelf: Shelf = None

    @property
    def lease(self) -> Lease | None:
        """The newest attempt's."""
        return self.leases[max(self.leases)] if self.leases else None


@dataclass(slots=True)
class Leaving:
    """A lease whose run is over: its agent is busy until it lets go, or falls silent. `told`: it was asked to."""

    run_id: str
    job_id: str
    attempt: int
    agent_id: str
    incarnation: int
    organisation_id: str
    visibility: Visibility
    since_us: int
    told: bool = False


@dataclass(frozen=True, slots=True)
class Release:
    """Lease this job's next attempt to this incarnation."""

    job: Job
    attempt: int
    agent_id: str
    incarnation: int
    done: bytes


@dataclass(frozen=True, slots=True)
class Cancel:
    """Tell this incarnation to drop this attempt."""

    run_id: str
    job_id: str
    attempt: int
    agent_id: str
    incarnation: int
    organisation_id: str
    visibility: Visibility


@dataclass(frozen=True, slots=True)
class Abandon:
    """The job has failed for good."""

    job: Job
    attempt: int
    error: JobError


@dataclass(frozen=True, slots=True)
class Vanish:
    """Nobody is at this attempt any more: its run is over, and its agents, who have not said how it ended, are silent."""

    run_id: str
    job_id: str
    attempt: int
    agents: tuple[str, ...]
    organisation_id: str
    visibility: Visibility


@dataclass(frozen=True, slots=True)
class Step:
    """The run takes this step."""

    run_id: str
    organisation_id: str
    state: Literal["running", "failed", "cancelled"]
    reason_code: str | None = None
    message: str | None = None
    visibility: Visibility = "organisation"


Decision = Release | Cancel | Abandon | Vanish | Step


def pause_us(attempt: int) -> int:
    """Microseconds to wait after that attempt failed: 0.5 s, doubling up to 30 s."""
    return int(min(FIRST_PAUSE_US * 2 ** (attempt - 1), LONGEST_PAUSE_US))


def final_error(lease: Lease, *, max_attempts: int) -> JobError | None:
    """Why the job of this lease, which is held no more, is not tried again; None where it is."""
    if lease.ended == "cancelled":
        return None
    if lease.error and lease.error.permanent:
        return lease.error
    if lease.attempt < max_attempts:
        return None
    last = lease.error.message if lease.error else f"{lease.agent_id} fell silent"
    code = lease.error.code if lease.error else "agent-lost"
    return JobError(code=code, message=f"{lease.attempt} attempts failed, the last: {last}", permanent=True)
