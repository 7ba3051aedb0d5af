"""The price book and the environments that it prices: the state that every worker of `agents.cost` holds whole."""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from schemas.catalogue import EVENTS
from schemas.codec import Codec
from schemas.event import Event
from schemas.jobs import EnvironmentSeen
from schemas.results import PricePublished
from streams.money.costs import FORMULA_VERSION
from streams.money.prices import PriceBook
from streams.topics import ENVIRONMENTS, PRICES

VERSION: Final = "rates-1"
RECKONED_VERSION: Final = f"costs-2 {FORMULA_VERSION}"  # of how far a partition's results are reckoned
INPUTS: Final = (PRICES, ENVIRONMENTS)


@dataclass(slots=True)
class Rates:
    """The price book, and the environments that it prices."""

    book: PriceBook = field(default_factory=PriceBook)
    environments: dict[str, EnvironmentSeen] = field(default_factory=dict)
    folded: dict[str, Event] = field(default_factory=dict)

    def fold(self, event: Event) -> None:
        """Takes a price or an environment in. Raises: Invalid for a price that cannot be."""
        if isinstance(event, PricePublished):
            self.book.fold(event)
            self.folded.setdefault(event.event_id, event)
        elif isinstance(event, EnvironmentSeen):
            self.environments.setdefault(event.sha, event)
            self.folded.setdefault(event.event_id, event)

    @property
    def prices(self) -> frozenset[str]:
        """The ids of all prices. Their topic has many partitions: of two workers each may hold some that the other lacks."""
        return frozenset(event_id for event_id, event in self.folded.items() if isinstance(event, PricePublished))

    def versions(self, prices: Iterable[str]) -> frozenset[str]:
        """The versions of the book that these prices, by their ids, are of."""
        events = (self.folded[event_id] for event_id in prices)
        return frozenset(event.version for event in events if isinstance(event, PricePublished))


def dumping(state: Rates, codec: Codec) -> Callable[[], bytes]:
    """What writes the events that make them: each its name and its bytes."""
    events = list(state.folded.values())
    return lambda: json.dumps([[type(event).__name__, b64encode(codec.encode(event)).decode()] for event in events]).encode()


def loaded(told: bytes, codec: Codec) -> Rates:
    """The rates in such bytes. Raises: ValueError, KeyError, Invalid."""
    state = Rates()
    for name, payload in json.loads(told):
        state.fold(codec.decode(b64decode(payload), EVENTS[name]))
    return state


def reckoned_told(prices: Iterable[str], next_: int | None) -> bytes:
    """With which prices all results of a partition before an offset are reckoned, as its snapshot has it."""
    return json.dumps({"prices": sorted(prices), "next": next_}).encode()


def reckoned_of(told: bytes) -> tuple[frozenset[str], int | None]:
    """The prices and the offset in such bytes. Raises: ValueError, KeyError, TypeError."""
    found = json.loads(told)
    return frozenset(found["prices"]), None if found["next"] is None else int(found["next"])
