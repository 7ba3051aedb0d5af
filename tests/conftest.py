"""The real stack, once a session: broker, registry and ClickHouse engine on free ports, ended by their pids."""

import asyncio
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, cast

import httpx
import hypothesis
import pytest
import tqdm

from infra.clickhouse import migrate
from infra.embedded.processes import PROCESSORS
from infra.kafka import Log
from infra.retrying import until_available
from infra.settings import Settings
from streams.errors import Unavailable
from tests.flow import PATIENCE_S

# Its thread beside ours holds locks now and then: of a test that forks, a child that inherits one waits for ever.
tqdm.tqdm.monitor_interval = 0

# Tests write the Python of their own tasks, and build and score in this process too; tests/unit/test_task_code.py has it off.
os.environ["ASSAY_ALLOW_TASK_CODE"] = "true"

# How long an example takes is the machine's matter, and no property. Every run draws others: `make test-unit` few, `make test` more,
# `--hypothesis-profile thorough` many.
hypothesis.settings.register_profile("quick", deadline=None, max_examples=8)
hypothesis.settings.register_profile("assay", deadline=None, max_examples=25)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=1000)
hypothesis.settings.load_profile("assay")


def _ports() -> Iterator[int]:
    """Ports that are free, each once: below those that the system gives to whoever connects, and others in each of pytest's workers."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    ports = list(range(12_000 + worker % 16, 32_000, 16))
    random.SystemRandom().shuffle(ports)
    yield from filter(_is_free, ports)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


_FREE = _ports()


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, and that nobody else is given."""
    return list(islice(_FREE, count))


# Where a hub may be for all that tests start: nobody listens but where a test has one, and none asks the world.
HUB_PORT = free_ports(1)[0]
HUB = f"http://127.0.0.1:{HUB_PORT}"


def environment(settings: Settings) -> dict[str, str]:
    """The environment that gives a child process these settings."""
    given = {f"ASSAY_{name.upper()}": str(value) for name, value in settings.model_dump(exclude_none=True).items()}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ASSAY_")}
    # A broker that lives for a minute does not win back what optimising its code costs.
    return kept | given | {"HF_ENDPOINT": HUB, "PYTHONUNBUFFERED": "1", "JDK_JAVA_OPTIONS": "-XX:TieredStopAtLevel=1"}


def tied(*arguments: str, at_our_end: signal.Signals) -> list[str]:
    """The command line of a Python that gets that signal when this process has ended, however it ends: no stack outlives its tests."""
    tying = [sys.executable, "-S", str(Path(__file__).with_name("tied.py")), str(os.getpid()), str(int(at_our_end))]
    return [*tying, sys.executable, *arguments]


def spawn(*command: str, settings: Settings) -> subprocess.Popen[bytes]:
    """A child `python -m …` with these settings, its output in a file of the home's logs."""
    logs = settings.home / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    with (logs / f"{'-'.join(command)}.log").open("ab") as out:
        return subprocess.Popen(tied("-m", *command, at_our_end=signal.SIGKILL), env=environment(settings), stdout=out, stderr=out)


def end(child: subprocess.Popen[bytes]) -> None:
    """Ends a child, gently first."""
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(60)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait(10)


def assert_alive(children: Sequence[subprocess.Popen[bytes]], settings: Settings) -> None:
    """None has ended; one that has is named, with the end of its log: nobody waits for what cannot come."""
    for child in children:
        if (code := child.poll()) is not None:
            arguments = cast("list[str]", child.args)
            name = "-".join(arguments[arguments.index("-m") + 1 :])
            raise AssertionError(f"{name} ended with {code}: {(settings.home / 'logs' / f'{name}.log').read_text()[-2000:]}")


async def ready(settings: Settings, children: Sequence[subprocess.Popen[bytes]]) -> None:
    """Waits until all three answer and every topic is there."""

    async def clickhouse() -> None:
        assert_alive(children, settings)
        try:
            async with httpx.AsyncClient() as client:
                (await client.get(f"{settings.clickhouse}/ping", timeout=5)).raise_for_status()
        except httpx.HTTPError as error:
            raise Unavailable(str(error)) from error

    async with asyncio.timeout(PATIENCE_S):
        await until_available(clickhouse, what="clickhouse")
        async with Log(settings, client_id="tests") as log:

            async def topics() -> None:
                assert_alive(children, settings)
                await log.create_topics()

            await until_available(topics, what="topics")
        await until_available(lambda: migrate(settings), what="database")


NO_TIME = "no time left (ASSAY_TESTS_UNTIL)"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where time is short (seconds since 1970 in ASSAY_TESTS_UNTIL) the quick tests come first, not last.

    Schemathesis gives all of a test's operations one node id, and of those workers run one: each gets the id that its name says.
    """
    for item in items:
        if item.parent and not item.nodeid.endswith(item.name):
            item._id = item.parent.id.child(item.name)
    if os.environ.get("ASSAY_TESTS_UNTIL"):
        items.sort(key=lambda item: "/tests/unit/" not in str(item.path))


def pytest_runtest_setup() -> None:
    """Begins no test once the time is up: a slow machine then says which it has not seen, instead of nothing at all."""
    if time.time() > float(os.environ.get("ASSAY_TESTS_UNTIL") or "inf"):
        pytest.skip(NO_TIME)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Says loudly what was not run."""
    left = [report for report in terminalreporter.stats.get("skipped", []) if NO_TIME in str(report.longrepr)]
    if left:
        files = sorted({report.nodeid.partition("::")[0] for report in left})
        terminalreporter.write_line(f"NOT RUN for lack of time: {len(left)} tests of {', '.join(files)}", red=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Adds to the report of a failed test what went wrong in its stack, as the last lines of each log say it."""
    report = yield
    if report.failed:
        homes = {told.home for told in getattr(item, "funcargs", {}).values() if isinstance(told, Settings)}
        for log in sorted(log for home in homes for log in (home / "logs").glob("*.log")):
            if wrong := [line[:500] for line in log.read_text(errors="replace").splitlines() if re.search("error|warning", line, re.I)]:
                report.sections.append((f"last of {log.name}", "\n".join(wrong[-3:])))
    return report


def settings_in(home: Path, **told: Any) -> Settings:
    """Settings of a stack in a folder, on ports of its own."""
    kafka, registry, clickhouse, api = free_ports(4)
    return Settings.model_validate(
        {"home": home, "kafka": f"127.0.0.1:{kafka}", "registry": f"http://127.0.0.1:{registry}", "engine": "",
         "clickhouse": f"http://127.0.0.1:{clickhouse}", "api": f"http://127.0.0.1:{api}"} | told
    )  # fmt: skip


@contextmanager
def stack_in(home: Path) -> Iterator[Settings]:
    """Settings of a stack of stores that runs in a folder, on ports of its own."""
    settings = settings_in(home, lease_s=6.0)
    children = [spawn(f"infra.embedded.{name}", settings=settings) for name in ("broker", "registry", "clickhouse")]
    try:
        asyncio.run(ready(settings, children))
        yield settings
    finally:
        for child in children:
            end(child)


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home without a stack."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings of a stack that runs, for the whole session."""
    with stack_in(tmp_path_factory.mktemp("assay")) as settings:
        yield settings


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What hears late that its time is over ends no process: here it would be pytest's, where the machine stands still for a second."""
    monkeypatch.setattr("infra.harness.limits.GRACE_S", PATIENCE_S)


def api_ready(settings: Settings, children: Sequence[subprocess.Popen[bytes]]) -> None:
    """Waits until the API reaches ClickHouse and follows the log."""
    give_up = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up:
        assert_alive(children, settings)
        try:
            if httpx.get(f"{settings.api}/readyz", timeout=5).is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.2)
    raise AssertionError(f"the query API is not ready after {PATIENCE_S} s")


@pytest.fixture(scope="session")
def flow(stack: Settings) -> Iterator[Settings]:
    """The stack with every processor, two agents and the query API, as users run them."""
    children = [spawn("agents", name, settings=stack) for name in (*PROCESSORS, "project")]
    children += [spawn("gpu_agent", settings=stack.model_copy(update={"agent_id": f"agent-{n}"})) for n in (1, 2)]
    children.append(spawn("query_api", settings=stack))
    try:
        api_ready(stack, children)
        yield stack
    finally:
        for child in children:
            end(child)
