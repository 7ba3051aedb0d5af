"""What measuring costs of what is measured: tokens/s with and without an agent's instrumentation, by turns; and bytes a token.

    python -m benchmarks.overhead [--rounds 25] [--tokens 128] [--seconds 4]

Without: the engine's process answers a load, and whoever asked it throws away what it says. With: the same process answers the same load
for an agent's attempt, which reads every meter ten times a second, makes each measurement an event, encodes it, and hands it to its
outbox, which compresses it as Kafka's producer does. The network and the broker are left out: they are other machines'. What a stamp
costs, which both sides have, is measured by itself. One load is on a random Llama of 16 M parameters on one core, another is of the load
generator, as fast as it goes against a server that answers at once, beside it on this machine.

Each round has both, in an order that is drawn. The figure is the median over the rounds of without / with - 1, with its order-statistic
interval; the aim is under 1 %. Beside it stands the same of the processor time that the engine's process took for a token, which others on
the machine change less, and how many cores the agent took. Writes results/overhead.json. It wants a machine that nobody else uses.
"""

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import psutil
from scipy.stats import binom
from uuid6 import uuid7

from benchmarks.harness import median, show, write
from benchmarks.quality import model_in
from benchmarks.token_bytes import batch_bytes, bytes_a_token
from gpu_agent.metering import Metering
from gpu_agent.outbox import Outbox
from gpu_agent.runner import Engines
from gpu_agent.work import Attempt
from infra.identity import now_us, producer
from infra.kafka import Log, Outgoing, Place
from schemas.jobs import Job, JobReleased
from schemas.measurements import RequestTimed, TokensTimed
from schemas.requests import Chat, EngineChoice, ModelRef, Workload
from streams.topics import BY_NAME
from tests.delays.running import known_delays
from tests.in_memory import CODEC, InMemory

AIM: Final = 0.01
ONE_CORE: Final = {"threads": "1"}
HZ: Final = 10.0  # how often an agent reads its meters, unless it is told otherwise
AT_ONCE: Final = 8  # streams of the load generator


@dataclass(frozen=True, slots=True)
class Side:
    """Tokens a second, tokens a second of the engine's processor time, and the cores that whoever asked took."""

    per_s: float
    per_processor_s: float
    cores: float


class Sink(InMemory):
    """A log that compresses what it is sent, as the producer does, and keeps the deliveries."""

    def __init__(self) -> None:
        super().__init__()
        self.deliveries: list[list[Outgoing]] = []

    async def send(self, records: Sequence[Outgoing]) -> list[Place]:
        """Takes a delivery."""
        await asyncio.to_thread(batch_bytes, records)
        self.deliveries.append(list(records))
        return [Place(one.topic, 0, number) for number, one in enumerate(records)]

    def measured(self) -> list[RequestTimed | TokensTimed]:
        """What was sent of a load."""
        sent = (CODEC.decode(one.payload, BY_NAME[one.topic].event) for several in self.deliveries for one in several)
        return [one for one in sent if isinstance(one, RequestTimed | TokensTimed)]


class Load:
    """A load on a model, or on a server, by one engine process."""

    def __init__(self, engines: Engines, workload: Workload, model: ModelRef, engine: EngineChoice) -> None:
        self._engines, self._workload, self._model, self._engine = engines, workload, model, engine
        self.sinks: list[Sink] = []

    def _processor_s(self) -> float:
        """What the engine's process has taken, with those that it started and that have ended."""
        times = psutil.Process(self._engines.pid).cpu_times()
        return times.user + times.system + times.children_user + times.children_system

    def _before_s(self) -> float:
        """The same before a load; an attempt at a server's begins a process of its own, whose beginning counts on both sides."""
        return 0.0 if self._workload.url is not None else self._processor_s()

    async def without(self, number: int) -> Side:
        """Where nothing is made of what is measured."""
        if self._workload.url is not None:
            await self._engines.start()
        before_s, own_s, began_s = self._before_s(), time.process_time(), time.monotonic()
        timed = self._engines.measure(self._workload, model=self._model, seed=number, mark=f"without/{number}")
        told = [one async for one in timed if one.planned.phase == "steady"]
        cores = (time.process_time() - own_s) / (time.monotonic() - began_s)
        return _side([(one.sent_ns, one.last_token_ns or 0, one.output_tokens) for one in told], self._processor_s() - before_s, cores)

    async def instrumented(self, number: int, folder: Path) -> Side:
        """Of an agent's attempt."""
        before_s, own_s, began_s = self._before_s(), time.process_time(), time.monotonic()
        run_id, sink = str(uuid7()), Sink()
        job = Job(
            run_id=run_id, job_id=f"{run_id}/perf", kind="perf", pool="p", submitter="me", organisation_id="local", priority=0,
            model=self._model, engine=self._engine, chat=Chat(), workload=self._workload, seed=number,
        )  # fmt: skip
        lease = JobReleased(
            occurred_us=now_us(), producer=producer("benchmark"), pool="p", term=1, kind="release", run_id=run_id, job_id=job.job_id,
            job=job, attempt=1, agent_id="a", incarnation=1,
        )  # fmt: skip
        log = cast(Log, sink)
        async with Outbox(log, folder) as outbox:
            metering = Metering(outbox, self._engines, agent_id="a", hz=HZ, rated_w=None)
            await Attempt(lease, agent_id="a", log=log, outbox=outbox, engines=self._engines, metering=metering, environment_sha="e").run()
        self.sinks.append(sink)
        processor_s, cores = self._processor_s() - before_s, (time.process_time() - own_s) / (time.monotonic() - began_s)
        requests = [one for one in sink.measured() if isinstance(one, RequestTimed) and one.phase == "steady"]
        return _side([(one.sent_ns, one.last_token_ns or 0, one.output_tokens) for one in requests], processor_s, cores)


def _side(requests: Sequence[tuple[int, int, int]], processor_s: float, cores: float) -> Side:
    """Of requests by when they were sent, when their last token came, and how many came."""
    tokens = sum(count for _, _, count in requests)
    lasted_s = (max(last for _, last, _ in requests) - min(sent for sent, _, _ in requests)) / 1e9
    return Side(tokens / lasted_s, tokens / processor_s, cores)


async def compared(load: Load, *, rounds: int, folder: Path) -> dict[str, Any]:
    """Both sides by turns, and what lies between them."""
    pairs, chance = list[tuple[Side, Side]](), random.Random(1)
    await load.without(0)  # which warms up
    for number in range(1, rounds + 1):
        first = chance.random() < 0.5
        without = await load.without(number) if first else None
        told = await load.instrumented(number, folder)
        pairs.append((without or await load.without(number), told))
        print(f"  round {number}: {pairs[-1][0]} without, {told} with", flush=True)
    wall = _between([without.per_s / told.per_s - 1 for without, told in pairs])
    processor = _between([without.per_processor_s / told.per_processor_s - 1 for without, told in pairs])
    return {
        "rounds": rounds, "without_tokens_per_s": median([one.per_s for one, _ in pairs]),
        "with_tokens_per_s": median([one.per_s for _, one in pairs]), "overhead": wall, "overhead_of_processor_time": processor,
        "agent_cores": median([told.cores for _, told in pairs]), "asker_cores": median([one.cores for one, _ in pairs]),
        "within_aim": (wall["median"] or 0) < AIM,
    }  # fmt: skip


def _between(ratios: Sequence[float]) -> dict[str, float | None]:
    """The median of ratios with its order-statistic interval of 95 %, where there are six or more."""
    ordered, reach = sorted(ratios), int(binom.ppf(0.025, len(ratios), 0.5))
    low, high = (ordered[reach - 1], ordered[-reach]) if reach else (None, None)
    return {"median": statistics.median(ratios), "low": low, "high": high}


def stamp_ns(stamps: int = 200_000) -> float:
    """What noting a token's moment takes."""
    arrivals: list[tuple[int, int]] = []
    began_ns = time.perf_counter_ns()
    for _ in range(stamps):
        arrivals.append((time.perf_counter_ns(), 1))
    return (time.perf_counter_ns() - began_ns) / stamps


async def on_a_model(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """A stream alone on the Llama."""
    model, engine, engines = ModelRef(uri=str(folder / "model")), EngineChoice(name="transformers", options=ONE_CORE), Engines("cpu")
    try:
        await engines.load(model, engine)
        workload = Workload(profile="single", requests=given.requests, input_tokens=64, output_tokens=given.tokens, warmup_requests=1)
        told = await compared(Load(engines, workload, model, engine), rounds=given.rounds, folder=folder / "unsent")
    finally:
        await engines.close()
    return told | {"stamp_ratio": stamp_ns() * told["without_tokens_per_s"] / 1e9}


async def of_the_generator(given: argparse.Namespace, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The load generator as fast as it goes, and what a token's time takes at 50 requests/s whose gaps differ as on a real server."""
    model, engine, engines = ModelRef(uri="known?ttft_ms=0&itl_ms=0"), EngineChoice(name="echo"), Engines("cpu")
    uneven = ModelRef(uri="known?ttft_ms=50&itl_ms=10&jitter=0.2")
    try:
        with known_delays() as server:
            await engines.start()
            full = Workload(profile="concurrent", concurrency=AT_ONCE, duration_s=given.seconds, output_tokens=64, url=server.url)
            told = await compared(Load(engines, full, model, engine), rounds=given.rounds, folder=folder / "unsent")
            steady = Workload(profile="constant", rate_per_s=50, duration_s=given.seconds, output_tokens=64, url=server.url)
            load = Load(engines, steady, uneven, engine)
            await load.instrumented(0, folder / "unsent")
    finally:
        await engines.close()
    sink = load.sinks[-1]
    return told, bytes_a_token(sink.deliveries, [one for one in sink.measured() if isinstance(one, TokensTimed)])


def main() -> None:
    """Measures, and writes what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=25, help="of each load, both sides once a round")
    parser.add_argument("--requests", type=int, default=2, help="to the model, a round")
    parser.add_argument("--tokens", type=int, default=128, help="of each of its answers")
    parser.add_argument("--seconds", type=float, default=4.0, help="of the load generator, a round")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model_in(Path(folder) / "model")
        found = {"model": asyncio.run(on_a_model(given, Path(folder)))}
        found["generator"], found["bytes_a_token"] = asyncio.run(of_the_generator(given, Path(folder)))
    for name in ("model", "generator"):
        show(f"what measuring costs: {name}", [{"of": of} | found[name][of] for of in ("overhead", "overhead_of_processor_time")])
    show("bytes a token", [found["bytes_a_token"]])
    write("overhead", found)


if __name__ == "__main__":
    main()
