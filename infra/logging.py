"""Log lines: one canonical line per handled batch or request, on a console when there is one, else JSON."""

import logging
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import structlog

from infra.settings import Settings
from streams.visible import in_line, plain

SELDOM_S = 10.0


def configure(settings: Settings, *, process: str) -> None:
    """Sets up structlog and the standard library's logging for a process; every line says which process wrote it."""
    level = logging.getLevelNamesMapping().get(settings.log_level.upper(), logging.INFO)
    as_json = settings.log_json if settings.log_json is not None else not sys.stderr.isatty()
    last = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info if as_json else _visible,
            last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    logging.basicConfig(level=max(level, logging.WARNING), stream=sys.stderr)
    logging.getLogger().handlers[0].setFormatter(_Lines("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.getLogger().handlers[0].addFilter(_Seldom())
    structlog.contextvars.bind_contextvars(process=process)


def frames(error: BaseException) -> str:
    """An error's type and the places that it passed, without its words: these may quote a private run, and its event has them."""
    passed = traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__} by {' > '.join(f'{Path(one.filename).name}:{one.lineno} {one.name}' for one in passed)}"


class _Seldom(logging.Filter):
    """Lets a library's line through once in ten seconds: while a broker is away, clients complain a hundred times a second."""

    def __init__(self) -> None:
        super().__init__()
        self._told_s: dict[tuple[str, int], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        place, now_s = (record.pathname, record.lineno), time.monotonic()
        if now_s - self._told_s.get(place, -SELDOM_S) < SELDOM_S:
            return False
        self._told_s[place] = now_s
        return True


class _Lines(logging.Formatter):
    """A library's line is one line, whatever it quotes; a traceback is as many as it has, in which nothing is obeyed."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's name
        return in_line(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802  # logging's name
        return plain(super().formatException(ei))


def _visible(_logger: object, _method: str, line: structlog.types.EventDict) -> structlog.types.EventDict:
    """On a console: what a value quotes begins no other line, and is not obeyed. (JSON escapes it.)"""
    return {name: in_line(value) if isinstance(value, str) else value for name, value in line.items()}
