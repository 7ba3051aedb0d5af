"""`python -m tests.planted NAME`: a stream processor with a fault in it, over the run that TESTS_PLANTED names for it (`NAME=RUN,…`)."""

import importlib
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

from agents.__main__ import main

# Where each processor takes up what is one run's, and the kind of event that it breaks over (any, where none is named).
WHERE: Final[Mapping[str, tuple[str, str, str, str]]] = {
    "plan": ("agents.preparing", "Preparing", "plan", "EvaluationRequested"),
    "dispatch": ("streams.queue.dispatch", "Pool", "fold", "JobPlanned"),
    "score": ("agents.score", "Scorer", "_to_score", "SampleAnswered"),
    "settle": ("streams.settling.results", "", "scored", "Run"),
    "rank": ("agents.rank", "Holding", "fold", "RunSettled"),
    "cost": ("agents.cost", "Accountant", "_costs", "RunSettled"),
    "seal": ("streams.trust.ledger", "Ledger", "fold", "RunSettled"),
    "project": ("streams.projection", "", "row", "RunScored"),
}
ENV: Final = "TESTS_PLANTED"


def faulty(function: Callable[..., Any], run_id: str, kind: str) -> Callable[..., Any]:
    """The function, which breaks over what is of that kind and of that run: an argument, or the event in it."""

    def broken(*arguments: Any, **named: Any) -> Any:
        for one in (*arguments, *(getattr(argument, "event", None) for argument in arguments)):
            if type(one).__name__ == kind and one.run_id == run_id:
                raise TypeError("planted")
        return function(*arguments, **named)

    return broken


def plant(name: str, run_id: str) -> None:
    """Puts the fault in place; what has imported the function before has it too."""
    module, inside, function, kind = WHERE[name]
    importlib.import_module(f"agents.{name}")
    holder = getattr(sys.modules[module], inside) if inside else sys.modules[module]
    plain = getattr(holder, function)
    for place in (holder, *(one for one in list(sys.modules.values()) if getattr(one, function, None) is plain)):
        setattr(place, function, faulty(plain, run_id, kind))


if __name__ == "__main__":
    if found := dict(one.split("=") for one in os.environ[ENV].split(",")).get(sys.argv[1]):
        plant(sys.argv[1], found)
    main()
