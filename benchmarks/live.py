"""Event → listener: how long after an event was made each listener of the live stream has it, at 1,000 events a second.

    python -m benchmarks.live [--rate N] [--seconds N] [--listeners N]

The schedule is fixed before the start: an event's time is when it should have been sent, so that a late sender counts as delay. Every
listener must get every event. Writes results/live.json.
"""

import argparse
import asyncio
import re
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.harness import percentile, show, write
from benchmarks.making import FROM, run_id
from infra.identity import now_us
from infra.kafka import Log
from infra.settings import Settings
from schemas.results import Figure, RunScored
from tests.conftest import api_ready, end, spawn, stack_in

AIM_P99_S = 1.0
EVERY_S = 0.01
WHEN = re.compile(rb'"occurred_us": (\d+)')


def provisional(number: int, *, occurred_us: int) -> RunScored:
    """A run's figures so far: what is told most while runs go on."""
    return RunScored(
        occurred_us=occurred_us, producer=FROM, run_id=run_id(number % 50), task="benchmark", scorer_version="0.4.13+1", complete=False,
        scored=number, expected=1_000_000, inputs_digest=str(number),
        figures=(Figure(metric="acc", value=0.5, stderr=0.01, low=0.48, high=0.52, n=number),),
    )  # fmt: skip


async def listen(settings: Settings, *, count: int, connected: asyncio.Event) -> list[float]:
    """The delay of each of that many events, in seconds."""
    address, delays, rest = urlsplit(settings.api), list[float](), b""
    reader, writer = await asyncio.open_connection(address.hostname, address.port, limit=2**22)
    writer.write(f"GET /v1/live?topics=run_scores HTTP/1.1\r\nHost: {address.netloc}\r\nAccept: text/event-stream\r\n\r\n".encode())
    while len(delays) < count:
        rest += await reader.read(2**20)
        got_us = now_us()
        connected.set() if b"event: cursor" in rest else None
        whole, _, rest = rest.rpartition(b"\r\n\r\n")
        delays += [(got_us - int(when)) / 1e6 for when in WHEN.findall(whole)]
    writer.close()
    return delays


async def send(log: Log, *, rate: int, count: int) -> float:
    """Sends on schedule; returns by how many seconds the sender was late at most."""
    began, began_us, late, sending = time.perf_counter(), now_us(), 0.0, set[asyncio.Task[object]]()
    each = max(1, round(rate * EVERY_S))
    for first in range(0, count, each):
        due_s = first / rate
        await asyncio.sleep(max(0.0, began + due_s - time.perf_counter()))
        late = max(late, time.perf_counter() - began - due_s)
        batch = [provisional(n, occurred_us=began_us + round(due_s * 1e6)) for n in range(first, min(first + each, count))]
        task = asyncio.create_task(log.publish_all(batch))
        sending.add(task)
        task.add_done_callback(sending.discard)
    await asyncio.gather(*sending)
    return late


async def measure(settings: Settings, *, rate: int, seconds: int, listeners: int) -> dict[str, float]:
    """All delays of all listeners."""
    count, connected = rate * seconds, [asyncio.Event() for _ in range(listeners)]
    async with Log(settings, client_id="benchmark") as log, asyncio.timeout(seconds + 60), asyncio.TaskGroup() as group:
        ears = [group.create_task(listen(settings, count=count, connected=one)) for one in connected]
        for one in connected:
            await one.wait()
        late_s = await send(log, rate=rate, count=count)
        delays = [delay for ear in ears for delay in await ear]
    return {
        "events_per_s": rate, "listeners": listeners, "delivered": len(delays), "p50_s": percentile(delays, 0.5),
        "p99_s": percentile(delays, 0.99), "max_s": percentile(delays, 1), "sender_late_s": late_s,
    }  # fmt: skip


def main() -> None:
    """Measures, writes and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--listeners", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, stack_in(Path(folder)) as settings:
        api = spawn("query_api", settings=settings)
        try:
            api_ready(settings, [api])
            told = asyncio.run(measure(settings, rate=given.rate, seconds=given.seconds, listeners=given.listeners))
        finally:
            end(api)
    write("live", {"measured": told, "aim_p99_s": AIM_P99_S})
    show(f"Event → listener over {given.seconds} s (aim: p99 under {AIM_P99_S:g} s)", [told])


if __name__ == "__main__":
    main()
