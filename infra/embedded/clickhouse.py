"""`python -m infra.embedded.clickhouse`: ClickHouse's HTTP protocol in front of the engine, as far as its clients use it.

Source: ClickHouse documentation, Interfaces, HTTP Interface, https://clickhouse.com/docs/interfaces/http
"""

import asyncio
import json
import re
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from infra.embedded.bodies import plain
from infra.embedded.engine import Engine, EngineError, Outcome, Statement
from infra.settings import of_process
from streams.errors import Invalid

THREADS = 8
LONGEST_HEAD_BYTES = 1024 * 1024
# Parameters of the protocol itself; any other is a setting of the statement.
OURS = frozenset({
    "query", "database", "default_format", "session_id", "session_timeout", "session_check", "query_id", "user", "password",
    "quota_key", "compress", "decompress", "client_protocol_version", "wait_end_of_query", "buffer_size", "role",
    "enable_http_compression", "send_progress_in_http_headers", "http_headers_progress_interval_ms",
})  # fmt: skip
INSERT = re.compile(rb"(?is)^\s*(insert\s+into\s.+?\sformat\s+(?!values\b)\w+)[ \t]*(?:\r?\n|(?=[ \t{\[\"]))")
INSERT_ONLY = re.compile(r"(?is)^\s*insert\s+into\s.+\sformat\s+\w+\s*$")
NOT_FOUND = frozenset({60, 81})


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, taken apart: the statement's text, or the head of a body that holds both text and rows."""

    sql: str
    parameters: dict[str, str]


def _normal(sql: str) -> str:
    """An insert's text with its format last and in capitals, so that the rows' file can be named before it."""
    return re.sub(r"(?is)\s+format\s+(\w+)\s*$", r" FORMAT \1", sql.strip())


async def _spool(request: Request, into: IO[bytes], *, sql: str) -> str:
    """Writes an insert's rows to `into` and returns the statement's text, which may stand at the body's beginning."""
    head, searching = b"", not INSERT_ONLY.match(sql)
    async for chunk in plain(request.stream(), request.headers.get("content-encoding")):
        if not searching:
            into.write(chunk)
            continue
        head += chunk
        if found := INSERT.match(head):
            sql, searching = found[1].decode(), False
            into.write(head[found.end() :])
            head = b""
        elif len(head) > LONGEST_HEAD_BYTES and head.lstrip()[:6].lower() != b"insert":
            raise Invalid("the statement is longer than 1 MiB")
    into.flush()
    return f"{sql}\n{head.decode()}" if searching and head.strip() else sql


async def _form(request: Request) -> Asked:
    """The fields of a form: statement and parameters, as clients send long ones."""
    async with request.form() as form:
        fields = {name: value for name, value in form.items() if not isinstance(value, UploadFile)}
    return Asked(fields.pop("query", ""), {name: str(value) for name, value in fields.items()})


async def _statement(request: Request, rows: IO[bytes]) -> Statement:
    given = dict(request.query_params)
    sql = given.get("query", "")
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        form = await _form(request)
        sql, given = form.sql or sql, given | form.parameters
    elif request.method == "POST":
        sql = await _spool(request, rows, sql=sql)
    holds_rows = rows.tell() > 0
    return Statement(
        sql=_normal(sql) if holds_rows else sql,
        database=given.get("database") or request.headers.get("x-clickhouse-database", ""),
        output_format=given.get("default_format") or request.headers.get("x-clickhouse-format") or "TabSeparated",
        parameters={name.removeprefix("param_"): value for name, value in given.items() if name.startswith("param_")},
        settings=_settings(given, request),
        data=Path(rows.name) if holds_rows else None,
    )


def _settings(given: dict[str, str], request: Request) -> dict[str, str]:
    settings = {name: value for name, value in given.items() if name not in OURS and not name.startswith("param_")}
    return settings | ({"readonly": "2"} if request.method == "GET" else {})


class Server:
    """The routes over one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="clickhouse")

    async def statement(self, request: Request) -> Response:
        """Runs a statement; errors carry ClickHouse's code and text."""
        with tempfile.NamedTemporaryFile(suffix=".rows") as rows:
            try:
                asked = await _statement(request, rows)
                if not asked.sql.strip():
                    return PlainTextResponse("Ok.\n")
                if INSERT_ONLY.match(asked.sql) and asked.data is None:
                    return _answer(asked, Outcome(b"", 0, 0))  # an insert of no rows
                outcome = await asyncio.get_running_loop().run_in_executor(self._threads, self._engine.run, asked)
            except EngineError as error:
                return _failure(str(error), number=error.number, status=404 if error.number in NOT_FOUND else 500)
            except Invalid as error:
                return _failure(f"Code: 27. DB::Exception: {error}", number=27, status=400)
        return _answer(asked, outcome)

    async def ping(self, _request: Request) -> Response:
        """Ok, once the engine answers."""
        await asyncio.get_running_loop().run_in_executor(self._threads, self._engine.run, replace(PING))
        return PlainTextResponse("Ok.\n")

    def app(self) -> Starlette:
        """The application."""
        return Starlette(routes=[Route("/ping", self.ping), Route("/", self.statement, methods=["GET", "POST"])])


PING = Statement("SELECT 1")


def _failure(text: str, *, number: int, status: int) -> Response:
    return PlainTextResponse(text + "\n", status, {"X-ClickHouse-Exception-Code": str(number)})


def _answer(asked: Statement, outcome: Outcome) -> Response:
    written = re.search(r"(?is)\bformat\s+(\w+)\s*;?\s*$", asked.sql)
    summary: dict[str, Any] = {"read_rows": str(outcome.rows_read), "written_rows": str(outcome.rows_written)}
    headers = {
        "X-ClickHouse-Format": written[1] if written and not asked.data else asked.output_format,
        "X-ClickHouse-Timezone": "UTC",
        "X-ClickHouse-Summary": json.dumps(summary),
        "Content-Type": "text/plain; charset=UTF-8",
    }
    return Response(outcome.body, headers=headers)


def main() -> None:
    """Serves until SIGTERM."""
    settings = of_process()
    address = urlsplit(settings.clickhouse)
    server = Server(Engine((settings.home / "clickhouse").resolve()))
    uvicorn.run(server.app(), host=address.hostname or "127.0.0.1", port=address.port or 18123, log_level="warning")


if __name__ == "__main__":
    main()
