"""A model that is here, and stays as long as it is wanted: all that an engine's process has to know of a hub."""

from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from infra.hub.cache import Lease
from schemas.jobs import Origin
from schemas.requests import ModelRef


@dataclass(slots=True)
class Brought:
    """A model that is here, `model` pinned to its commit. It is not evicted before this is closed; `origin`: None where no hub has it."""

    model: ModelRef
    origin: Origin | None = None
    licence: str | None = None
    folder: Path | None = None
    download_ns: int = 0
    _held: ExitStack = field(default_factory=ExitStack)

    def hold(self, other: "Lease | Brought") -> None:
        """Closes another together with this."""
        self._held.callback(other.close)

    def close(self) -> None:
        """Lets it be evicted."""
        self._held.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
