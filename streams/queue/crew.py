"""The agents of a pool: each one's newest heartbeat, and which of its incarnations came before.

All heartbeats of an agent lie in one partition, and its last there holds, whatever number it has. So the newest incarnation is the one
whose first heartbeat lies last in the log, whatever the clock said by which it was named; an older process of that name that speaks again
is not listened to, unless it alone does: else who sent one heartbeat in an agent's name would silence it for ever.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

from schemas.jobs import AgentBeat

PAST = 64  # former incarnations of an agent that are remembered
IN_A_ROW = 5  # heartbeats of a former incarnation, none of the newest between them, after which it is the newest again
FORGET_US = 3600 * 1_000_000


@dataclass(slots=True)
class Agent:
    """An agent's newest heartbeat, when this process heard it (0: it read it in the past), and its former incarnations.

    `again`: which of these was heard since, and how often in a row.
    """

    beat: AgentBeat
    heard_us: int = 0
    past: tuple[int, ...] = ()
    again: tuple[int, int] = (0, 0)


@dataclass(slots=True)
class Crew:
    """Every agent that was heard."""

    agents: dict[str, Agent] = field(default_factory=dict)

    def fold(self, beat: AgentBeat, *, at_us: int) -> bool:
        """Takes a heartbeat in; False where nobody listens to it. `at_us` is on the steady clock."""
        known = self.agents.get(beat.agent_id)
        if known is None:
            self.agents[beat.agent_id] = Agent(beat, at_us)
            return True
        if beat.incarnation in known.past and not self._alone(known, beat.incarnation):
            return False
        if beat.incarnation != known.beat.incarnation:
            past = (one for one in known.past if one != beat.incarnation)
            known.past = (*past, known.beat.incarnation)[-PAST:]
        known.beat, known.heard_us, known.again = beat, max(known.heard_us, at_us), (0, 0)
        return True

    def _alone(self, agent: Agent, incarnation: int) -> bool:
        """Only this former incarnation speaks, and has for a while."""
        last, times = agent.again
        agent.again = (incarnation, times + 1 if last == incarnation else 1)
        return agent.again[1] >= IN_A_ROW

    def replaced(self, agent_id: str, incarnation: int) -> bool:
        """Another incarnation of the agent has come since."""
        known = self.agents.get(agent_id)
        return known is not None and incarnation in known.past

    def alive(self, *, now_us: int, within_us: int) -> list[AgentBeat]:
        """The newest heartbeats of the agents that were heard lately, by name."""
        heard = [agent.beat for agent in self.agents.values() if agent.heard_us and now_us - agent.heard_us <= within_us]
        return sorted(heard, key=lambda beat: beat.agent_id)

    def forget(self, *, now_us: int, since_us: int, but: Collection[str]) -> None:
        """Forgets who has been silent for an hour of this process's listening, which began at `since_us`."""
        gone = [name for name, agent in self.agents.items() if now_us - max(agent.heard_us, since_us) > FORGET_US and name not in but]
        for name in gone:
            del self.agents[name]
