"""The ClickHouse engine in this process (chDB): handles, one a thread, and statements run on them."""

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import chdb

from streams.errors import AssayError

CODE = re.compile(r"Code: (\d+)")
NAME = re.compile(r"^\w+$")


class EngineError(AssayError):
    """What ClickHouse says is wrong; `number` is its exception code."""

    def __init__(self, message: str) -> None:
        super().__init__(message.strip(), code="clickhouse")
        found = CODE.search(message)
        self.number = int(found[1]) if found else 1


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement with all that came along: `data` is the file of an insert's rows."""

    sql: str
    database: str = ""
    output_format: str = "TabSeparated"
    parameters: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    data: Path | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """A statement's result."""

    body: bytes
    rows_read: int
    rows_written: int


class Engine:
    """The engine on a folder. Statements may come from any thread."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = str(folder)
        self._threads = threading.local()
        self._handles = [chdb.connect(self._path)]  # the first keeps the engine alive while others come and go

    def close(self) -> None:
        """Ends the engine; a process has one at a time. No statement may come any more, and none be under way."""
        for handle in self._handles:
            handle.close()

    def run(self, statement: Statement) -> Outcome:
        """Runs a statement. Raises: EngineError."""
        if statement.settings:
            # A handle of its own: settings must not stay for whoever comes next (and `readonly` could not be taken back).
            handle = chdb.connect(self._path)
            try:
                return _run(handle, statement)
            finally:
                handle.close()
        if not hasattr(self._threads, "handle"):
            self._threads.handle = chdb.connect(self._path)
            self._handles.append(self._threads.handle)
        return _run(self._threads.handle, statement)


def _run(handle: Any, statement: Statement) -> Outcome:
    try:
        handle.query(f"USE `{_name(statement.database or 'default')}`")
        for name, value in sorted(statement.settings.items(), key=lambda item: item[0] == "readonly"):
            handle.query(f"SET {_name(name)} = {_literal(value)}")
        result = handle.query(_with_data(statement), statement.output_format, params=dict(statement.parameters) or None)
    except RuntimeError as error:
        raise EngineError(str(error)) from error
    if result.has_error():
        raise EngineError(result.error_message())
    return Outcome(result.bytes() or b"", result.rows_read(), result.rows_written() if hasattr(result, "rows_written") else 0)


def _with_data(statement: Statement) -> str:
    if statement.data is None:
        return statement.sql
    insert, _, output = statement.sql.rpartition(" FORMAT ")
    return f"{insert} FROM INFILE '{statement.data}' FORMAT {output}"


def _name(text: str) -> str:
    if not NAME.match(text):
        raise EngineError(f"Code: 36. DB::Exception: {text!r} is no name")
    return text


def _literal(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return value if re.fullmatch(r"-?\d+(\.\d+)?", value) else f"'{escaped}'"
