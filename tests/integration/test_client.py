"""The client's distribution on the real stack: both clients, frames, streams that are cut, and its wheel in an environment of its own."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from assay_client import AsyncClient, Client, Conflict, Invalid, NotFound, Table, TimedOut, Unsuccessful
from assay_client.models import Run
from uuid6 import uuid7

from infra.settings import Settings
from tests.flow import PATIENCE_S, until, until_listed
from tests.integration.test_api import publish
from tests.integration.test_lists import TASKS

pytestmark = pytest.mark.integration
SDK = Path(__file__).parents[2] / "query_api" / "sdk"
ECHO = {"name": "echo"}


@pytest.fixture(scope="module")
def run(flow: Settings) -> Run:
    """A completed run, asked for and waited for by the client."""
    with Client(flow.api) as assay:
        asked = assay.submit("client-echo", TASKS, engine=ECHO, submitter="client")
        run = assay.wait(asked.run_id, timeout_s=PATIENCE_S)
    until_listed(flow, run.run_id, samples=12)
    return run


def test_a_run_from_its_submission_to_its_frames(flow: Settings, run: Run) -> None:
    """Typed scores; samples with whole prompts; each kind of frame with the same rows."""
    assert (run.state, run.progress, run.submitter) == ("completed", 1.0, "client")
    assert {score.task for score in run.scores} == {"assay_copy", "assay_agreement"}
    with Client(flow.api) as assay:
        samples = assay.samples(run.run_id)
        assert len(samples) == 12 and all(request.prefix_ref is None for sample in samples for request in sample.requests)
        (first,) = assay.samples(run.run_id, task="assay_copy", most=1)
        assert first.requests[0].answers[0].output == first.requests[0].context.splitlines()[-1]
        scores = assay.scores(run.run_id, task="assay_copy")
        assert run.run_id in {row.run_id for row in assay.runs(submitter="client")}
        until(lambda: any(board.board == "task:assay_copy" for board in assay.boards(match="assay_copy")))
        assert assay.ranking(task="assay_copy").board == "task:assay_copy"
        one, two = assay.suites(match="financial")[0], assay.suite_tasks("financial", sort="-task", most=2)
        assert [task.task for task in two] == sorted((task.task for task in one.tasks), reverse=True)[:2]
        # Beside any that another test has just ended, and when both have said that they are there.
        until(lambda: {"agent-1", "agent-2"} <= {agent.agent_id for agent in assay.agents()})
    pandas, polars, arrow = scores.to_pandas(), scores.to_polars(), scores.to_arrow()
    assert len(scores) == len(pandas) == len(polars) == arrow.num_rows == 6
    assert list(pandas.columns) == polars.columns == arrow.column_names
    assert pandas["value"].tolist() == polars["value"].to_list() == arrow["value"].to_pylist() == [row.value for row in scores]
    assert len(samples.to_pandas()) == samples.to_polars().height == samples.to_arrow().num_rows == 12
    assert Table(run.scores).to_polars()["task"].to_list() == [score.task for score in run.scores]


def test_refusals_are_errors_of_their_kind(flow: Settings, run: Run) -> None:
    """With what to do."""
    with Client(flow.api) as assay:
        with pytest.raises(NotFound, match="no run none"):
            assay.run("none")
        with pytest.raises(Invalid, match="this address takes"):
            assay.runs(stat="running")  # type: ignore[call-arg]  # filters have types, which know it too
        with pytest.raises(Conflict, match="another request"):
            assay.submit("other", TASKS, run_id=run.run_id, engine=ECHO)
        again = assay.submit("client-echo", TASKS, run_id=run.run_id, engine=ECHO, submitter="client")
        assert again.run_id == run.run_id


def test_prices_and_costs(flow: Settings, run: Run) -> None:
    """Published once, however often; the run is reckoned under them. No letters are told as none."""
    price = {"item": "cpu_hour", "amount": "0.5", "unit": "core-hour", "valid_from": "2020-01-01", "source": "test", "version": "client-1"}
    with Client(flow.api) as assay:
        assert [assay.publish_prices([price]) for _ in range(2)] == [1, 0]
        with pytest.raises(Invalid, match=r"prices\.0: .*unit"):
            assay.publish_prices([price | {"unit": "fortnight"}])
        with pytest.raises(Conflict, match="under a new version"):
            assay.publish_prices([price | {"amount": "0.6"}])
        until(lambda: len(assay.prices(version="client-1")) == 1)
        assert [row.amount_nano for row in assay.prices(version="client-1", item="cpu_hour", sort="item")] == [500_000_000]
        until(lambda: any(one.price_version == "client-1" for one in assay.cost(run.run_id).versions))
        assert [one.price_version for one in assay.cost(run.run_id, version="client-1").versions] == ["client-1"]
        none = assay.cost(run.run_id, version="none")
        assert (none.versions, none.why, none.next) == ([], None, None)
        assert len(assay.dead_letters(topic="none")) == 0


def test_a_run_that_fails_or_takes_too_long_says_so(flow: Settings) -> None:
    """Its error has the run."""
    with Client(flow.api) as assay:
        slow = assay.submit("slow", ["assay_copy"], engine={"name": "echo", "options": {"delay_ms": "1000"}})
        with pytest.raises(TimedOut, match="wait longer"):
            assay.wait(slow.run_id, timeout_s=0)
        assay.cancel(slow.run_id, message="enough")
        with pytest.raises(Unsuccessful) as raised:
            assay.wait(slow.run_id, timeout_s=PATIENCE_S)
        assert raised.value.run.state == "cancelled"


def test_the_awaiting_client_does_the_same(flow: Settings, run: Run) -> None:
    """A batch, its runs, an answer."""

    async def act() -> None:
        async with AsyncClient(flow.api) as assay:
            batch = await assay.submit_batch(["async-a", "async-b"], [{"name": "assay_copy", "limit": 2}], engine=ECHO)
            ended = [await assay.wait(one.run_id, timeout_s=PATIENCE_S) for one in batch.runs]
            assert [one.model for one in ended] == ["async-a", "async-b"]
            listed = await assay.runs(campaign=batch.campaign, sort="model")
            assert [row.model for row in listed] == ["async-a", "async-b"]
            await asyncio.to_thread(until_listed, flow, *(one.run_id for one in batch.runs), samples=2)
            compared = await assay.compare(*(one.run_id for one in batch.runs), task="assay_copy")
            assert compared.summary and {one.task for one in compared.tasks} | {one.task for one in compared.skipped} == {"assay_copy"}
            assert (await assay.run(run.run_id)).scores == run.scores

    asyncio.run(act())


@asynccontextmanager
async def cutting(api: str, *, after_bytes: int) -> AsyncIterator[tuple[str, list[int]]]:
    """The API behind a connection that breaks after so many bytes, every time; and how many were made."""
    there, made, pipes = urlsplit(api), [0], set[asyncio.Task[None]]()

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, left: int) -> None:
        try:
            while left > 0 and (read := await reader.read(min(left, 4096))):
                left -= len(read)
                writer.write(read)
                await writer.drain()
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made[0] += 1
        up, up_writer = await asyncio.open_connection(there.hostname, there.port)
        pipes.update({asyncio.create_task(pipe(reader, up_writer, 2**30)), asyncio.create_task(pipe(up, writer, after_bytes))})

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", made
    finally:
        server.close()
        await server.wait_closed()
        for task in pipes:
            task.cancel()
        await asyncio.gather(*pipes, return_exceptions=True)


def test_live_events_go_on_where_a_broken_connection_ended(flow: Settings) -> None:
    """Each once, in the order of its partition, over many connections."""
    count, run_id = 300, str(uuid7())

    async def act() -> list[tuple[str, int]]:
        heard: list[tuple[str, int]] = []
        async with cutting(flow.api, after_bytes=20_000) as (url, made), AsyncClient(url) as assay:
            publishing = asyncio.create_task(asyncio.to_thread(publish, flow, run_id, count=count))
            # A cursor from before the first of them: all are heard, however late the connection is.
            async with aclosing(assay.live(run=run_id, topics="job_status", cursor=start)) as events:
                async for event in events:
                    heard.append((event.data["pool"], event.data["sequence"]))
                    if len(heard) == count:
                        break
            await publishing
            assert made[0] > 5
        return heard

    with httpx.stream("GET", f"{flow.api}/v1/live", timeout=60) as answer:
        start = next(line for line in answer.iter_lines() if line.startswith("id: ")).removeprefix("id: ")
    heard = asyncio.run(asyncio.wait_for(act(), PATIENCE_S))
    assert len(set(heard)) == count
    for pool in {pool for pool, _ in heard}:
        sequences = [sequence for name, sequence in heard if name == pool]
        assert sequences == sorted(sequences)


def test_its_wheel_works_alone(flow: Settings, run: Run, tmp_path: Path) -> None:
    """Built, installed where nothing of ours is, and used there."""
    uv = [str(Path(sys.executable).parent / "uv")]
    subprocess.run([sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)], cwd=SDK, check=True)
    (wheel,) = tmp_path.glob("assay_client-*.whl")
    subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, str(tmp_path / "venv")], check=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    subprocess.run([*uv, "pip", "install", "--quiet", "--system-certs", "--python", python, str(wheel)], check=True)
    script = (
        "import importlib.util, sys; from assay_client import Client; "
        "assert not any(importlib.util.find_spec(name) for name in ('schemas', 'streams', 'infra', 'query_api', 'pandas')); "
        "print(Client(sys.argv[1]).run(sys.argv[2]).state)"
    )
    told = [python, "-I", "-c", script, flow.api, run.run_id]  # nor by a PYTHONPATH
    done = subprocess.run(told, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout == "completed\n"
