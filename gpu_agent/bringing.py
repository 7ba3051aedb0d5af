"""A job's model brought here beside the agent's event loop, before an engine reads it."""

import asyncio
import threading
import time
from typing import Final

import structlog

from infra.hub.brought import Brought
from infra.settings import Settings
from schemas.requests import ModelRef
from streams.errors import Temporary

TELL_EVERY_S: Final = 10.0
log_line = structlog.get_logger()


async def brought(model: ModelRef, *, credential: str | None) -> Brought:
    """The model; whoever stops waiting for it ends the fetching, and what has come is kept. Raises: as `bring`."""
    fetching = _Fetching(model, credential)
    try:
        return await asyncio.to_thread(fetching.run)
    except asyncio.CancelledError:
        fetching.ended.set()
        raise


class _Fetching:
    """A model on its way, in a thread."""

    def __init__(self, model: ModelRef, credential: str | None) -> None:
        self._model = model
        self._credential = credential
        self._told_s = time.monotonic()
        self.ended = threading.Event()

    def run(self) -> Brought:
        """Brings the model, and lets go of it where nobody waits any more."""
        # An engine's process has this module too, and in an environment of its own no huggingface_hub.
        from infra.hub.bringing import bring

        brought = bring(self._model, settings=Settings(), credential=self._credential, told=self._told)
        if self.ended.is_set():
            brought.close()
        if (origin := brought.origin) and origin.fetched_bytes:
            took_s = round(brought.download_ns / 1e9, 3)
            log_line.info("fetched", model=self._model.uri, commit=origin.commit, bytes=origin.fetched_bytes, took_s=took_s)
        return brought

    def _told(self, here: int, whole: int) -> None:
        if self.ended.is_set():
            raise Temporary("nobody waits for the model any more", code="fetch-ended")
        if time.monotonic() - self._told_s > TELL_EVERY_S:
            self._told_s = time.monotonic()
            log_line.info("fetching", model=self._model.uri, bytes=here, of=whole)
