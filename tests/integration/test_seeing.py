"""Who sees what: every route of the API, and every page, asked as every kind of caller over planted rows of every event.

A name of what may not be seen is answered as a name that nobody has, byte for byte; no answer, header or stream has a mark of it.
ClickHouse and the API are real; the log is one in memory. Routes are walked from the API's own description: a new one is asked too.
"""

import asyncio
import base64
import json
import re
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import product
from typing import Any, Final, cast
from urllib.parse import urlsplit

import httpx
import pytest
import uvicorn

from infra.api_keys import draw
from infra.clickhouse import ClickHouse, migrate
from infra.identity import now_us, producer
from infra.kafka import Log
from infra.retrying import until_available
from infra.settings import Settings
from query_api import pages
from query_api.app import app
from query_api.operations.description import PLACES, document
from query_api.routes import OPERATIONS
from query_api.state import Stores
from schemas.catalogue import EVENTS
from schemas.event import Event, Visibility
from schemas.jobs import AgentBeat, DispatcherBeat, DispatcherTook, EnvironmentSeen, Running
from schemas.measurements import ResourceRead
from schemas.results import PricePublished, RankingChanged, RankingRow
from schemas.runs import Plan, RunChanged
from schemas.trust import AccessChanged
from streams.projection import row, table_of
from streams.trust.access import ROLES, Role
from streams.trust.visibility import NARROWED, OF_RUNS, SHARED, Seen
from tests.conftest import end, settings_in, spawn
from tests.filled import event, filled
from tests.flow import PATIENCE_S
from tests.in_memory import InMemory
from tests.runs import run_named

pytestmark = [pytest.mark.integration, pytest.mark.slow]
OURS, THEIRS = "ours", "theirs"
MACHINES: Final = (DispatcherBeat, DispatcherTook, EnvironmentSeen, PricePublished)  # everybody's: no secret is in them
BOARD: Final = "a-shared-board"


@dataclass(frozen=True, slots=True)
class Planted:
    """A run with something in every field of every event: the mark."""

    mark: str
    organisation: str
    visibility: Visibility

    @property
    def run_id(self) -> str:
        """Its id."""
        return run_named(self.mark)

    @property
    def marks(self) -> tuple[str, ...]:
        """By what it is known."""
        return self.mark, self.run_id, base64.b64encode(self.mark.encode()).decode()


PRIVATE, HIDDEN = Planted("hushabye", OURS, "private"), Planted("sesamum", OURS, "organisation")
PUBLIC, OWN = Planted("poppies", OURS, "public"), Planted("hearthstone", THEIRS, "organisation")
PLANTED: Final = (PRIVATE, HIDDEN, PUBLIC, OWN)
UNSEEN: Final = (PRIVATE, HIDDEN)
NOBODY: Final = Planted("zyxwvut", "", "public")


def facts(one: Planted) -> Iterator[Event]:
    """Every event of a run."""
    header = {"organisation_id": one.organisation, "visibility": one.visibility, "occurred_us": now_us()}
    own: dict[str, Any] = {"mark": one.mark, "of_run": one.run_id, **header}
    for kind in EVENTS.values():
        if kind in (*MACHINES, AgentBeat, RankingChanged, RunChanged):
            continue
        yield event(kind, **own | ({"jobs_active": (f"{one.run_id}/{one.mark}/0/0",)} if kind is ResourceRead else {}))
    plan = filled(Plan, {}, mark=one.mark, of_run=one.run_id)
    for state in ("planned", "running", "completed"):
        yield event(RunChanged, **own, state=state, plan=plan if state == "planned" else None, reason_code=None, message=None)
    yield board(f"task:{one.mark}", one, header=header)


def board(name: str, *runs: Planted, header: Mapping[str, Any]) -> RankingChanged:
    """A board with a row for each."""
    rows = [
        filled(RankingRow, {"rank": place, "rank_low": place, "rank_high": place}, mark=one.mark, of_run=one.run_id)
        for place, one in enumerate(runs, 1)
    ]
    return RankingChanged(
        producer=producer("test"), board=name, version="1", tasks=tuple(one.mark for one in runs), runs=tuple(one.run_id for one in runs),
        inputs_digest="d", provisional=False, rows=tuple(rows), **header,
    )  # fmt: skip


def shared() -> Iterator[Event]:
    """What is nobody's own: machines, and a board of all four."""
    for kind in MACHINES:
        yield event(kind, mark="machine", of_run=run_named("machine"), occurred_us=now_us())
    running = tuple(Running(job_id=f"{one.run_id}/{one.mark}/0/0", attempt=1) for one in PLANTED)
    held = tuple(one.mark for one in PLANTED)
    beats_us = now_us() + 3600 * 10**6  # it is alive for as long as the tests last
    yield event(AgentBeat, mark="machine", of_run="", occurred_us=beats_us, running=running, models_held=held)
    yield board(BOARD, *PLANTED, header={"organisation_id": OURS, "visibility": "organisation", "occurred_us": now_us()})


@dataclass
class World:
    """The API over what was planted, and a key of every role in both organisations."""

    settings: Settings
    log: InMemory
    keys: Mapping[tuple[str, Role], str]
    loop: asyncio.AbstractEventLoop | None = None

    def client(self, organisation: str | None, role: Role = "owner") -> httpx.Client:
        """Somebody of that organisation; None: somebody without a key."""
        shown = {"Authorization": f"Bearer {self.keys[organisation, role]}"} if organisation else {}
        return httpx.Client(base_url=self.settings.api, headers=shown | {"Connection": "close"}, timeout=60)

    def say(self, told: Event) -> None:
        """Writes an event to the log, while it is followed."""
        assert self.loop is not None
        self.loop.call_soon_threadsafe(self.log.write, told)


async def planted(settings: Settings, log: InMemory) -> None:
    """All of it in ClickHouse and in the log."""
    await until_available(lambda: migrate(settings), what="database")
    async with ClickHouse(settings) as clickhouse:
        for told in [*shared(), *(fact for one in PLANTED for fact in facts(one))]:
            record = log.write(told, written_us=told.occurred_us)
            cells = row(told, partition=record.place.partition, offset=record.place.offset, written_us=record.written_us)
            await clickhouse.insert(table_of(type(told)), [cells])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """ClickHouse in a process, the API in a thread."""
    settings = settings_in(tmp_path_factory.mktemp("seeing"), api_door="closed", api_rate=1_000_000)
    log, drawn = InMemory(), {(organisation, role): draw() for organisation, role in product((OURS, THEIRS), ROLES)}
    child = spawn("infra.embedded.clickhouse", settings=settings)
    try:
        asyncio.run(asyncio.wait_for(planted(settings, log), PATIENCE_S))
        for (organisation, role), key in drawn.items():
            log.write(
                AccessChanged(
                    occurred_us=now_us(), producer=producer("test"), subject=key.key_id, organisation=organisation, member=f"{role}-ann",
                    role=role, key_hash=key.key_hash, scopes=(), expires_us=None, quota=None,
                )
            )  # fmt: skip
        made = World(settings, log, {who: key.text for who, key in drawn.items()})
        with served(made):
            yield made
    finally:
        end(child)


class served:  # noqa: N801  # used as a function
    """The API, as long as the block lasts."""

    def __init__(self, world: World) -> None:
        settings = world.settings

        @asynccontextmanager
        async def opened(_settings: Settings) -> AsyncIterator[Stores]:
            async with ClickHouse(settings) as clickhouse:
                yield Stores(settings, log=cast("Log", world.log), clickhouse=clickhouse)

        address = urlsplit(settings.api)
        self._server = uvicorn.Server(uvicorn.Config(app(settings, opened), host="127.0.0.1", port=address.port or 0, log_level="warning"))
        self._world = world
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    async def _serve(self) -> None:
        self._world.loop = asyncio.get_running_loop()
        await self._server.serve()

    def __enter__(self) -> None:
        self._thread.start()
        give_up = time.monotonic() + PATIENCE_S
        while not self._server.started:
            assert time.monotonic() < give_up
            time.sleep(0.05)

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(PATIENCE_S)


@dataclass(frozen=True, slots=True)
class Asking:
    """A question, by the name of a run and a word."""

    method: str
    path: str
    query: tuple[tuple[str, Any], ...] = ()
    body: Any = None

    def about(self, one: Planted) -> tuple[str, str, dict[str, Any], Any]:
        """The same about this one."""
        named = {"run_id": one.run_id, "suite": one.mark} | {name: one.mark for name in PLACES if name not in ("run_id", "suite")}
        path = self.path.format(**named) if "{" in self.path else self.path
        body = json.loads(_about(json.dumps(self.body), one)) if self.body is not None else None
        return self.method, path, {name: _about(str(value), one) for name, value in self.query}, body


RUN, WORD = run_named("asked about"), "askedabout"


def _about(text: str, one: Planted) -> str:
    return text.replace(RUN, one.run_id).replace(WORD, one.mark)


def questions() -> list[Asking]:
    """Every operation of the description: plain, by each of its parameters, and with its body's example."""
    described, asked = document(OPERATIONS), list[Asking]()
    for path, methods in described["paths"].items():
        for method, told in methods.items():
            if path in ("/v1/live", "/metrics"):
                continue
            body = _example(described, told) if "requestBody" in told else None
            parameters = [one for one in told.get("parameters", ()) if one["in"] == "query" and "$ref" not in one]
            needed = tuple((one["name"], _value(one)) for one in parameters if one.get("required"))
            asked.append(Asking(method.upper(), path, needed, body))
            for one in parameters:
                if (value := _value(one)) is not None and not one.get("required"):
                    asked.append(Asking(method.upper(), path, (*needed, (one["name"], value)), body))
    return asked


def _value(parameter: Mapping[str, Any]) -> Any:
    """What to ask a parameter: runs by the run, other texts by the word; None where it is neither."""
    if parameter["name"] in ("a", "b", "run", "reference", "run_id", "differs_from", "against_run"):
        return RUN
    kind = json.dumps(parameter["schema"])
    return WORD if '"string"' in kind and '"enum"' not in kind and parameter["name"] not in ("cursor", "sort", "margin") else None


def _example(described: Mapping[str, Any], told: Mapping[str, Any]) -> Any:
    """The body's example, about a run and a word; each body must have one. A shape without one may be empty."""
    shape = told["requestBody"]["content"]["application/json"]["schema"]
    named = described["components"]["schemas"][shape["$ref"].rpartition("/")[2]] if "$ref" in shape else shape
    body = dict(BODIES.get(told["operationId"], named.get("examples", [{}])[0]))
    return json.loads(re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f-]{22}", RUN, json.dumps(body)))


BODIES: Final[Mapping[str, Any]] = {
    "submit": {"model": {"uri": "m"}, "tasks": [{"name": "assay_copy"}], "parent_run": RUN, "campaign": WORD},
    "submit_batch": {"models": [{"uri": "m"}], "tasks": [{"name": "assay_copy"}], "parent_run": RUN, "against_run": RUN, "campaign": WORD},
    "record_decision": {"recommendation_id": WORD, "by": "ann"},
    "report_outcome": {"by": "ann", "satisfaction_ratio": 1},
}


def answer(client: httpx.Client, asking: Asking, one: Planted) -> tuple[int, str, str]:
    """Status, body and headers, without what differs each time and what was asked for."""
    method, path, query, body = asking.about(one)
    told = client.request(method, path, params=query, json=body)
    headers = {name: value for name, value in told.headers.items() if name not in ("date", "etag", "content-length")}
    shown = [told.text, json.dumps(headers)]
    for mark in one.marks:
        shown = [re.sub(re.escape(mark), "that", text) for text in shown]
    drawn = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    times = r"\d{16}"
    body, head = (re.sub(times, "then", re.sub(drawn, "drawn", text)) for text in shown)
    return told.status_code, body, head


def marks_in(*texts: str) -> set[str]:
    """The marks of what a member of the other organisation may not see."""
    return {mark for one in UNSEEN for mark in one.marks for text in texts if mark in text}


@pytest.mark.parametrize("asking", questions(), ids=lambda one: f"{one.method} {one.path}?{'&'.join(name for name, _ in one.query)}")
def test_what_may_not_be_seen_is_answered_as_what_is_not_there(world: World, asking: Asking) -> None:
    """Whatever is asked about it, by whom may do most: as of a name that nobody has; and nothing is told of it that was not asked for."""
    with world.client(THEIRS) as theirs:
        answer(theirs, asking, NOBODY)  # what is said twice is new once
        absent = answer(theirs, asking, NOBODY)
        for one in UNSEEN:
            told = answer(theirs, asking, one)
            assert told == absent
            assert not marks_in(*told[1:])
            if asking.method == "GET" and "{run_id}" in asking.path and not asking.query:
                assert told[0] == 404
        assert answer(theirs, asking, OWN)[0] != 401


ALONE: Final = {asking.path for asking in questions() if asking.method == "GET" and not asking.query}


@pytest.mark.parametrize("path", sorted(ALONE))
@pytest.mark.parametrize("role", ROLES)
def test_no_role_is_told_of_it(world: World, role: Role, path: str) -> None:
    """Of what they may see all roles are told; without a key nobody is told anything."""
    with world.client(THEIRS, role) as theirs, world.client(None) as nobody:
        for one in (PUBLIC, OWN):
            told = theirs.get(Asking("GET", path).about(one)[1])
            assert not marks_in(told.text, json.dumps(dict(told.headers)))
            without = nobody.get(Asking("GET", path).about(one)[1])
            assert without.status_code == (200 if path in ("/healthz", "/readyz") else 401)
            assert not any(mark in without.text for shown in PLANTED for mark in (shown.mark,))


def test_the_marks_are_there_for_who_may_see_them(world: World) -> None:
    """Else all this would prove nothing: their own organisation is told of each run by nearly every question."""
    told_to_ours: dict[str, set[str]] = {path: set() for path in ALONE}
    broken: dict[str, str] = {}
    with world.client(OURS) as ours, world.client(THEIRS) as theirs:
        for path, one in product(sorted(ALONE), (PRIVATE, HIDDEN, PUBLIC)):
            told = ours.get(Asking("GET", path).about(one)[1])
            if told.status_code >= 500:
                broken[path] = told.text
            text = told.text
            told_to_ours[path] |= {shown.mark for shown in PLANTED if any(mark in text for mark in shown.marks)}
        assert not broken
        assert all(OWN.mark not in marks for marks in told_to_ours.values())
        assert {path for path, marks in told_to_ours.items() if HIDDEN.mark not in marks} == UNMARKED
        for path in ("/v1/runs", "/v1/external-results", "/v1/recommendations", "/v1/dead-letters"):
            assert PUBLIC.mark in theirs.get(path).text, path


UNMARKED: Final = {"/v1", "/v1/openapi.json", "/healthz", "/readyz", "/v1/suites", "/v1/prices"}


def test_a_board_is_ranked_among_those_that_may_be_seen(world: World) -> None:
    """Whoever sees all has the places of all; others those of the rows that they see, and no range that rests on the rest."""
    with world.client(OURS) as ours, world.client(THEIRS) as theirs:
        rows = theirs.get("/v1/rankings", params={"board": BOARD}).json()["rows"]
        assert [(one["model"], one["rank"], one["rank_low"]) for one in rows] == [(PUBLIC.mark, 1, None), (OWN.mark, 2, None)]
        assert [one["model"] for one in ours.get("/v1/rankings", params={"board": BOARD}).json()["rows"]] == [
            one.mark for one in PLANTED[:3]
        ]
        boards = {one["board"]: one["models"] for one in theirs.get("/v1/boards").json()["boards"]}
        assert boards == {BOARD: 2, f"task:{PUBLIC.mark}": 1, f"task:{OWN.mark}": 1}
        alone = theirs.get("/v1/rankings", params={"board": f"task:{OWN.mark}"}).json()["rows"]
        assert [(one["rank"], one["rank_low"]) for one in alone] == [(1, 1)]


@pytest.mark.parametrize("path", sorted({route.path for route in pages.ROUTES}))
def test_no_page_tells_of_it(world: World, path: str) -> None:
    """Nor of its name, but where that was asked for."""
    with world.client(THEIRS) as theirs:
        for one in (*UNSEEN, PUBLIC, OWN):
            address = path.format(run_id=one.run_id, form="api")
            told = theirs.get(address, headers={"Accept": "text/html"})
            assert told.status_code == (404 if one in UNSEEN and "{run_id}" in path else told.status_code)
            assert told.status_code < 500
            text = told.text.replace(one.run_id, "") if "{run_id}" in path else told.text
            assert not marks_in(text)


def test_acts_are_told_to_owners(world: World) -> None:
    """Of their own organisation: who got access, what was retracted and cancelled, which prices there are."""
    with world.client(OURS, "owner") as ours, world.client(OURS, "submitter") as lesser:
        told = ours.get("/v1/acts").json()["acts"]
        assert {one["kind"] for one in told if HIDDEN.mark in one["told"]} >= {"access", "retraction", "cancellation"}
        assert {one["about"] for one in told if one["kind"] == "retraction"} == {one.run_id for one in (PRIVATE, HIDDEN, PUBLIC)}
        assert {one["kind"] for one in ours.get("/v1/acts", params={"kind": "prices"}).json()["acts"]} == {"prices"}
        assert (lesser.get("/v1/acts").status_code, lesser.get("/acts").status_code) == (403, 403)


def heard(client: httpx.Client, until: str, **asked: str) -> list[tuple[str, str]]:
    """What a listener hears, until it has heard a word: types and data."""
    told = list[tuple[str, str]]()
    with client.stream("GET", "/v1/live", params=asked) as stream:
        kind = ""
        for line in stream.iter_lines():
            kind = line.removeprefix("event: ") if line.startswith("event: ") else kind
            if line.startswith("data: "):
                told.append((kind, line))
                if until in line:
                    return told
    raise AssertionError(f"the stream ended before {until}")


def test_the_stream_tells_nobody_of_it(world: World) -> None:
    """Neither what comes nor, after a cursor, what was; their own and what is public they hear."""
    with world.client(THEIRS) as theirs, world.client(OURS) as ours:
        with theirs.stream("GET", "/v1/live") as stream:
            cursor = next(line for line in stream.iter_lines() if line.startswith("id: ")).removeprefix("id: ")
        for one in PLANTED:
            for fact in facts(one):
                world.say(fact)
        last = event(
            RunChanged, mark="lastword", of_run=OWN.run_id, organisation_id=THEIRS, visibility="public", state="running", plan=None
        )
        world.say(last)
        # Partitions are followed each for itself: what was said before in others is heard by when all listeners have had the last.
        time.sleep(1)
        world.say(last)
        for client, expected in ((theirs, {PUBLIC.mark, OWN.mark}), (ours, {PRIVATE.mark, HIDDEN.mark, PUBLIC.mark})):
            told = heard(client, "lastword", cursor=cursor)
            marks = {one.mark for one in PLANTED for kind, line in told if one.mark in line or one.run_id in line}
            assert marks - {"lastword"} <= expected | {OWN.mark}
            assert {kind for kind, line in told if PUBLIC.mark in line} >= {"EvaluationRequested", "RunChanged", "DeadLettered"}
            if client is theirs:
                assert not marks_in(*(line for _, line in told))
        board_rows = [json.loads(line.removeprefix("data: "))["rows"] for kind, line in told if kind == "RankingChanged"]
        assert all(rows == [] for rows in board_rows)


def test_every_table_is_filtered_or_known_to_be_shared(world: World) -> None:
    """A table that comes is one or the other; what a member reads of a filtered one, by whatever view, has no mark."""

    async def read() -> None:
        async with ClickHouse(world.settings) as clickhouse:
            tables = {
                row["name"]: row["engine"]
                for row in await clickhouse.query("SELECT name, engine FROM system.tables WHERE database = currentDatabase()")
            }
            kept = {name for name, engine in tables.items() if engine.endswith("MergeTree")}
            shared_tables = {table_of(kind).name for kind in SHARED}
            assert kept == {table_of(kind).name for kind in EVENTS.values()} | {*OF_RUNS, "migrations"}
            of_shared = {*shared_tables, *(name.removeprefix("fact_") for name in shared_tables), *NARROWED}
            filters = Seen(THEIRS).filters()
            for name, engine in tables.items():
                if name in of_shared or engine == "MaterializedView" or name == "sample_facts":
                    continue
                bitmaps = "EXCEPT (ordinals)" if name == "sample_sets" else ""
                rows = await clickhouse.query(f"SELECT * {bitmaps} FROM {name}", filters=filters)  # a table's own name
                assert not marks_in(json.dumps(rows, default=str)), name

    asyncio.run(read())


def test_an_organisation_s_name_is_no_sql(world: World) -> None:
    """Whatever letters it has, it sees its own, and that is nothing."""

    async def read(name: str) -> int:
        async with ClickHouse(world.settings) as clickhouse:
            rows = await clickhouse.query("SELECT count() AS runs FROM run_states", filters=Seen(name).filters())
            return int(rows[0]["runs"])

    for name in ("x' OR '1'='1", "x\\", "x\\' OR 1=1 --", "{}", ""):
        assert asyncio.run(read(name)) == 1  # the public one
