"""Which waiting job goes to which free agent: a pure function of both. The whole queue policy has its place here.

Jobs are taken by priority, then fair share (the submitter with the fewest jobs running), then age; each goes to an agent that
fits, one that already holds its model before one that would have to load it.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from schemas.jobs import AgentBeat, Job
from schemas.requests import ModelRef


@dataclass(frozen=True, slots=True)
class Waiting:
    """A job that wants an agent; `age` is its place in the order of planning, `after` the agent that it failed on."""

    job: Job
    age: int
    after: str | None = None


def model_key(model: ModelRef) -> str:
    """The name under which an agent says that it holds a model."""
    adapter = f"+{model.adapter.uri}" if model.adapter else ""
    return f"{model.uri}@{model.revision or ''}{adapter}"


def unfit(job: Job, agent: AgentBeat) -> str | None:
    """Why the agent cannot run the job; None where it can."""
    if agent.draining:
        return f"{agent.agent_id} is draining"
    missing = set(job.need.capabilities) - set(agent.capabilities)
    if missing:
        return f"{agent.agent_id} lacks {', '.join(sorted(missing))}"
    if job.need.devices > len(agent.devices):
        return f"{agent.agent_id} has {len(agent.devices)} of {job.need.devices} devices"
    if job.need.memory_bytes > agent.total_bytes:
        return f"{agent.agent_id} has {agent.total_bytes / 2**30:.1f} of {job.need.memory_bytes / 2**30:.1f} GiB"
    return None


def assign(waiting: Iterable[Waiting], free: Sequence[AgentBeat], *, running: Iterable[Job]) -> list[tuple[Job, AgentBeat]]:
    """The pairs of job and agent to lease now. Every free agent that fits a waiting job gets one."""
    share = Counter(job.submitter for job in running)
    queue, idle, pairs = list(waiting), list(free), []
    while queue and idle:
        queue.sort(key=lambda item: (-item.job.priority, share[item.job.submitter], item.age))
        chosen = next(((item, agent) for item in queue if (agent := _best(item, idle))), None)
        if chosen is None:
            break
        item, agent = chosen
        pairs.append((item.job, agent))
        share[item.job.submitter] += 1
        queue.remove(item)
        idle.remove(agent)
    return pairs


def _best(item: Waiting, idle: Sequence[AgentBeat]) -> AgentBeat | None:
    fitting = [agent for agent in idle if unfit(item.job, agent) is None]
    held = model_key(item.job.model)
    return min(fitting, key=lambda agent: (agent.agent_id == item.after, held not in agent.models_held, agent.agent_id), default=None)


def waits_for(job: Job, agents: Sequence[AgentBeat]) -> str:
    """What a job waits for, in words."""
    reasons = [unfit(job, agent) for agent in agents]
    if not agents:
        return f"waits for an agent of pool {job.pool}: none is alive"
    if all(reasons):
        return "waits for an agent that fits: " + "; ".join(reason for reason in reasons if reason)
    return "waits for a free agent"
