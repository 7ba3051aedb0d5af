"""A run's states, and which may follow which. Of what the log says about a run, only the steps allowed here count.

            ┌────────────► rejected
    (none) ─┴─► planned ─┬─► running ─┬─► completed
                         │            ├─► failed
                         └────────────┴─► cancelled

Three processes write these events (plan, dispatch, settle; and score, of an answer that nobody can decode), all to the run's own partition:
the first terminal one in the log wins.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from schemas.runs import RunChanged, RunState

NEXT: Final[Mapping[RunState | None, frozenset[RunState]]] = MappingProxyType({
    None: frozenset({"planned", "rejected", "cancelled"}),
    "planned": frozenset({"running", "completed", "failed", "cancelled"}),
    "running": frozenset({"completed", "failed", "cancelled"}),
    "rejected": frozenset(),
    "completed": frozenset(),
    "failed": frozenset(),
    "cancelled": frozenset(),
})  # fmt: skip
PASSED: Final = "record-passed"  # why a run ends of which somebody could not take a record in (agents/missed.py)
TERMINAL: Final = frozenset(state for state, following in NEXT.items() if state is not None and not following)


def step(state: RunState | None, wanted: RunState) -> RunState | None:
    """The state after a wanted step: itself where the step is not allowed."""
    return wanted if wanted in NEXT[state] else state


def state_of(changes: Iterable[RunChanged]) -> RunState | None:
    """A run's state after its changes in the order of the log. Of several to one state the first counts, as of all events of one id."""
    state: RunState | None = None
    for wanted in dict.fromkeys(change.state for change in changes):
        state = step(state, wanted)
    return state
