"""What a sealer knows of all runs: where the records of those that are not sealed lie, which are due, and what came after a seal.

The log is swept from its beginning, each record once: of most only the key is looked at. A run's stretches grow as its records are met; it
is due when its final result was met, and the log was swept past all that the result is made from, once more than that. What is said of a
sealed run and lies in none of its seal's stretches is late, unless a newer scorer said it: then the run is open again, and is sealed anew
when it is settled again.
"""

from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from schemas.event import Event, Visibility
from schemas.runs import RunChanged
from schemas.settled import RunSettled
from schemas.trust import RunSealed, Stretch
from streams.names import Names
from streams.runs import TERMINAL
from streams.topics import RESULTS, RUNS
from streams.trust.chains import Chains
from streams.trust.sealed import Sealed, SealedRuns
from streams.trust.stretches import At, Stretches, holds, packed, scored_by, stretches_of, unpacked

VERSION: Final = "ledger-6"
DECODED: Final = frozenset({RUNS.name, RESULTS.name})


@dataclass(frozen=True, slots=True)
class Result:
    """A run's final result: its id, where it lies, what it is made from, which run it audits, what it knows, and its sweep."""

    event_id: str
    organisation_id: str
    occurred_us: int
    scorers: tuple[str, ...]
    partition: int
    offset: int
    through: Mapping[str, int]
    completed: bool
    audit_of: str | None
    knows: tuple[object, ...]
    sweep: int


@dataclass(slots=True)
class Open:
    """A run that is not sealed, or of which more is said than its seal holds. `visibility` is its plan's, for no result says it.

    `broken`: something that was said of it could not be taken in; it is never sealed here. `refused`: it could not be sealed by its last
    result, and will not be, unless that is put back, or another comes.
    """

    stretches: Stretches = field(default_factory=Stretches)
    planned: bool = False
    visibility: Visibility = "organisation"
    result: Result | None = None
    broken: bool = False
    refused: bool = False


@dataclass(slots=True)
class Ledger:
    """All runs. `again`: stretches to be looked at once more, for another sealer's seal is over less than was met here.

    `rejected`: those that never were runs, of which nothing is held but 16 bytes: what else is said of one may be met later.
    """

    chains: Chains
    open: dict[str, Open] = field(default_factory=dict)
    sealed: SealedRuns = field(default_factory=SealedRuns)
    again: list[Stretch] = field(default_factory=list)
    rejected: Names = field(default_factory=Names)
    sweeps: int = 0

    def meets(self, run_id: str, at: At, offset: int) -> bool:
        """Takes in that a record of the run lies there; whether what it says must be looked at."""
        if (sealed := self.sealed.stretches(run_id)) is not None:
            return not holds(sealed, at, offset)
        if run_id not in self.open:
            if run_id in self.rejected:
                return False
            self.open[run_id] = Open()
        self.open[run_id].stretches.grow(at, offset)
        return at[0] in DECODED

    def fold(self, event: Event, run_id: str, at: At, offset: int) -> bool:
        """Takes in what such a record says; whether it is late."""
        if run_id in self.sealed and not self._newer(event, run_id, at, offset):
            return True
        run = self.open.get(run_id)
        if run and isinstance(event, RunChanged):
            if event.state == "planned" and not run.planned:
                run.planned, run.visibility = True, event.visibility
            if event.state in TERMINAL and not run.planned:
                del self.open[run_id]  # it never was a run
                if event.state == "rejected":
                    self.rejected.add(run_id)
        elif run and isinstance(event, RunSettled) and event.final and (run.result is None or run.result.knows < event.knows):
            run.result, run.refused = self._result(event, at[1], offset), False
        return False

    def _newer(self, event: Event, run_id: str, at: At, offset: int) -> bool:
        """Whether a newer scorer than the seal knows says this of a sealed run, which is then open again; only what was scored can be."""
        sealed = self.sealed[run_id]
        if not sealed.scorers or not scored_by(event) - sealed.scorers:
            if run_id in self.open:
                self.open[run_id].stretches.shut.add(at)
            return False
        run = self.open.setdefault(run_id, Open(unpacked(sealed.stretches), True, sealed.visibility))
        run.stretches.grow(at, offset)
        return True

    def _result(self, event: RunSettled, partition: int, offset: int) -> Result:
        return Result(
            event.event_id, event.organisation_id, event.occurred_us, tuple(sorted(scored_by(event))), partition, offset, event.through,
            event.state == "completed", event.plan.audit_of if event.plan else None, event.knows, self.sweeps,
        )  # fmt: skip

    def seal(self, event: RunSealed) -> str | None:
        """Takes a seal in; why it does not count here, where it does not."""
        if why := self.chains.fold(event):
            return why
        if not self.chains.is_own(event):
            return f"chain {event.chain} is not ours"
        if run := self.open.pop(event.run_id, None):
            self.again += run.stretches.beyond(stretches_of(event.stretches))
        self.sealed[event.run_id] = Sealed(
            event.event_id, event.visibility, frozenset(event.scorers), packed(event.stretches)
        )  # fmt: skip
        return None

    def stretches(self, run_id: str) -> tuple[Stretch, ...]:
        """Those of a sealed run's seal."""
        return unpacked(self.sealed[run_id].stretches).told()

    def due(self, swept: Mapping[At, int]) -> list[str]:
        """The runs to be sealed, in the order of their ids, which is that of their time."""
        return sorted(run_id for run_id, run in self.open.items() if run.result and not run.broken and self._passed(run.result, swept))

    def _passed(self, result: Result, swept: Mapping[At, int]) -> bool:
        through = ((topic, result.partition, offset) for topic, offset in result.through.items())
        return result.sweep < self.sweeps and all(swept.get((topic, partition), offset) >= offset for topic, partition, offset in through)


def dumped(ledger: Ledger) -> dict[str, Any]:
    """The open runs as JSON can hold them, and how many are sealed: which these are the log says shortly."""
    return {
        "sealed": len(ledger.sealed),
        "open": {run_id: _dumped(run) for run_id, run in ledger.open.items()},
        "rejected": b64encode(ledger.rejected.taken()).decode(),
    }


def _dumped(run: Open) -> dict[str, Any]:
    return {
        "planned": run.planned,
        "visibility": run.visibility,
        "stretches": [[*at, list(every)] for at, every in run.stretches.of.items()],
        "shut": sorted(run.stretches.shut),
        "broken": run.broken,
        "refused": run.refused,
        "result": [getattr(run.result, name) for name in Result.__slots__] if run.result else None,
    }


def loaded(told: Mapping[str, Any], ledger: Ledger) -> None:
    """Puts the open runs that were told so into a ledger that knows the seals, and no more; of one that was sealed since, what lies beyond.

    Raises: ValueError where seals that were known then are gone: their runs are not told; KeyError, TypeError.
    """
    if len(ledger.sealed) < told["sealed"]:
        raise ValueError(f"it knows {told['sealed']} sealed runs, and the log {len(ledger.sealed)}")
    ledger.rejected = Names(b64decode(told["rejected"]))
    for run_id, run in told["open"].items():
        of = {(topic, partition): [(first, end) for first, end in every] for topic, partition, every in run["stretches"]}
        stretches = Stretches(of, {(topic, partition) for topic, partition in run["shut"]})
        if run_id in ledger.sealed:
            ledger.again += stretches.beyond(unpacked(ledger.sealed[run_id].stretches))
        else:
            ledger.open[run_id] = Open(stretches, run["planned"], run["visibility"], _loaded(run["result"]), run["broken"], run["refused"])


def _loaded(told: list[Any] | None) -> Result | None:
    if told is None:
        return None
    named = dict(zip(Result.__slots__, told, strict=True))
    return Result(**named | {"scorers": tuple(named["scorers"]), "knows": tuple(named["knows"]), "sweep": -1})
