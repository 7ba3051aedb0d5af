"""A job's model brought here beside the agent's event loop, before an engine reads it."""

import functools
import time
from typing import Final

import structlog

from infra.fetching import Told
from infra.hanging import Bringing
from infra.hub.brought import Brought
from infra.settings import Settings
from schemas.requests import ModelRef

TELL_EVERY_S: Final = 10.0
log_line = structlog.get_logger()


async def brought(model: ModelRef, *, credential: str | None, bringing: Bringing) -> Brought:
    """The model; whoever stops waiting for it ends the fetching, and what has come is kept. Raises: as `bring`; Temporary if it hangs."""
    return await bringing.of(model.uri, functools.partial(_bring, model, credential))


def _bring(model: ModelRef, credential: str | None, told: Told) -> Brought:
    """Brings the model, and lets go of it where nobody waits any more."""
    # An engine's process has this module too, and in an environment of its own no huggingface_hub.
    from infra.hub.bringing import bring

    here = bring(model, settings=Settings(), credential=credential, told=_telling(model, told))
    try:
        told(0, 0)
    except BaseException:
        here.close()
        raise
    if (origin := here.origin) and origin.fetched_bytes:
        took_s = round(here.download_ns / 1e9, 3)
        log_line.info("fetched", model=model.uri, commit=origin.commit, bytes=origin.fetched_bytes, took_s=took_s)
    return here


def _telling(model: ModelRef, told: Told) -> Told:
    """Tells how far it is, and now and then the log."""
    told_s = time.monotonic()

    def tell(here: int, whole: int) -> None:
        nonlocal told_s
        told(here, whole)
        if time.monotonic() - told_s > TELL_EVERY_S:
            told_s = time.monotonic()
            log_line.info("fetching", model=model.uri, bytes=here, of=whole)

    return tell
