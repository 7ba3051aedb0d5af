"""Figures of single runs that were reckoned before: a run that joins a board of thousands changes little of what the others come to."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")


def _nobody() -> None:
    """Nobody is told."""


@dataclass(slots=True)
class Reckoned:
    """What was reckoned: so many figures, those that were asked for last. `moved` is told of every step that whoever reckons comes on."""

    most: int = 100_000
    moved: Callable[[], None] = _nobody
    _held: OrderedDict[tuple[object, ...], Any] = field(default_factory=OrderedDict)

    def of(self, about: tuple[object, ...], reckon: Callable[[], T]) -> T:
        """What is held about this, or else what is reckoned now."""
        self.moved()
        if about not in self._held:
            self._held[about] = reckon()
            if len(self._held) > self.most:
                self._held.popitem(last=False)
        self._held.move_to_end(about)
        found: T = self._held[about]
        return found
