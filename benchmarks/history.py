"""A long history for the log, and quickly: whole runs are made once, encoded, and copied under other names.

Two million events that are made one by one take minutes, ten times as many an hour. A copy differs from the run that it was made from in
its run's id, its model and the ids of its events, all as long as theirs, so that its bytes are those that an encoder would have written.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from confluent_kafka import Producer as Client

from benchmarks.making import FROM, run_id
from infra.kafka import Log
from infra.partitioning import partition_for as place_of
from infra.settings import Settings
from schemas.event import Event
from schemas.jobs import EngineUsed, EnvironmentSeen, Job, JobChanged, JobPlanned
from schemas.measurements import Clock, LoadClient, RequestTimed, ResourceRead
from schemas.requests import Chat, EngineChoice, EvaluationRequested, ModelRef, TaskChoice
from schemas.results import RunScored, SampleScored
from schemas.runs import Estimate, ExpectedMetric, Plan, PlannedTask, RunChanged
from schemas.settled import RunSettled
from streams.queue.bits import pack
from streams.settling import results
from streams.settling.runs import OpenRuns
from streams.topics import TOPICS, topic_of

partition_for = lru_cache(1000)(place_of)  # records of one key follow each other
OPEN = 5
SCORES, READINGS, TIMINGS, REPORTS = 2000, 2000, 400, 200  # of a run
KINDS = 3  # of finished runs: they answer each other document right
USED = EngineUsed(name="echo", version="1", dtype="float32")
US = 1_000_000


def planned(model: str) -> Plan:
    """The plan of a run of one task."""
    task = PlannedTask(
        task="benchmark", task_version="1", build_id="benchmark", samples=SCORES, repeats=1,
        expected=(ExpectedMetric(filter="none", metric="acc"),), main_metric="acc", main_filter="none",
    )  # fmt: skip
    return Plan(
        submitter="s", model=ModelRef(uri=model), model_sha=model, tokenizer_sha="", chat_template_sha="", chat=Chat(),
        engine=EngineChoice(name="echo"), suite=None, tasks=(task,), licences=(), skipped=(), estimate=Estimate(), jobs=1,
    )  # fmt: skip


def model_of(number: int) -> str:
    """The model of the run of that number: each has several runs."""
    return f"model-{number % 500:03}"


def of_run(number: int, *, finished: bool) -> Iterator[Event]:
    """All that the log says of a run, in the order in which it happens; of one that is open, the first half."""
    run, model, at = run_id(number), model_of(number), (1 + number) * 3600 * US
    head: dict[str, Any] = {"occurred_us": at, "producer": FROM, "run_id": run}
    job_id = f"{run}/benchmark/0/0"
    choice = TaskChoice(name="benchmark")
    yield EvaluationRequested(**head, model=ModelRef(uri=model), engine=EngineChoice(name="echo"), tasks=(choice,))
    yield RunChanged(**head, state="planned", plan=planned(model))
    job = Job(
        run_id=run, job_id=job_id, kind="answer", pool="default", submitter="s", organisation_id="local", priority=0,
        model=ModelRef(uri=model), engine=EngineChoice(name="echo"), chat=Chat(), count=SCORES,
    )  # fmt: skip
    yield JobPlanned(**head, pool="default", job_id=job_id, job=job)
    yield RunChanged(**head, state="running")
    part = 1 if finished else 2
    for n in range(SCORES // part):
        yield SampleScored(
            **head, task="benchmark", ordinal=n, doc_id=n, repeat=0, scorer_version="1", filter="none", metric="acc",
            value=float((n * 7 + number) % KINDS == 0), parts_json="1.0",
        )  # fmt: skip
    for n in range(READINGS // part):
        yield ResourceRead(
            **{name: head[name] for name in ("occurred_us", "producer")}, agent_id="a", host="h", boot_id="b", mono_ns=n * 10**8,
            device_uuid="d", scope="device", jobs_active=(job_id,), energy_uj=n * 100, method="counter", sensor="nvml-total-energy",
            own_cost_ns=1, attempts=(1,),
        )  # fmt: skip
    for n in range(TIMINGS // part):
        yield RequestTimed(
            **head, job_id=f"{run}/perf", attempt=1, request_index=n, phase="steady",
            clock=Clock(host="h", boot_id="b", mono_epoch_ns=0, utc_us=0, uncertainty_us=1), scheduled_ns=n, queued_ns=None, sent_ns=n,
            first_byte_ns=n + 1, ended_ns=n + 2, status="ok", prompt_tokens=1, output_tokens=1,
            client=LoadClient(lag_ns=0, pacing_error_ns=0, in_flight=1),
        )  # fmt: skip
    for n in range(REPORTS // part):
        last = finished and n == REPORTS - 1
        yield JobChanged(
            **head, pool="default", job_id=job_id, attempt=1, agent_id="a", incarnation=1, state="finished" if last else "running",
            sequence=n, done=pack(range(SCORES)) if last else b"", engine=USED, environment_sha="env",
        )  # fmt: skip
    if finished:
        yield RunChanged(**head, state="completed")


@dataclass(frozen=True, slots=True)
class Bytes:
    """A record as it is written: its topic, key and value, and where in the value its event's id stands."""

    topic: str
    key: bytes
    value: bytes
    id_at: int


class Kind:
    """A finished run, encoded, of which copies are made."""

    def __init__(self, number: int, log: Log) -> None:
        events = list(of_run(number, finished=True))
        self.number = number
        self._codec = log.codec
        self._records = [_bytes(event, log) for event in events]
        self._scored, self._settled = _results(number, events)

    def copied(self, number: int) -> Iterator[Bytes]:
        """The run's records as those of another one."""
        swaps = self._swaps(number)
        mark = f"{number:08x}".encode()
        for one in self._records:
            value, key = one.value[: one.id_at] + mark + one.value[one.id_at + 8 :], one.key
            for old, new in swaps:
                value, key = value.replace(old, new), key.replace(old, new)
            yield Bytes(one.topic, key, value, one.id_at)

    def _swaps(self, number: int) -> list[tuple[bytes, bytes]]:
        pairs = (run_id(self.number), run_id(number)), (model_of(self.number), model_of(number))
        return [(old.encode(), new.encode()) for old, new in pairs]

    def results_of(self, number: int, *, through: dict[str, int]) -> list[Event]:
        """What was said of the copy. `through`: how far each topic was read."""

        def told(event: Event, **changed: object) -> Event:
            value = self._codec.encode(event)
            for old, new in self._swaps(number):
                value = value.replace(old, new)
            copy = self._codec.decode(value, type(event))
            kept = {name: getattr(copy, name) for name in type(copy).model_fields if name != "event_id"}
            return type(copy)(**kept | changed)

        return [told(self._scored), told(self._settled, through=through)]


def _bytes(event: Event, log: Log) -> Bytes:
    value = log.codec.encode(event)
    return Bytes(topic_of(event).name, event.partition_key(), value, value.index(event.event_id.encode()))


def _results(number: int, events: Sequence[Event]) -> tuple[RunScored, RunSettled]:
    runs = OpenRuns()
    for event in events:
        runs.fold(event, offset=0)
    run = runs.run(run_id(number))
    said = results.scored(run, "benchmark", aggregate=lambda _key, parts: (sum(map(float, parts)) / len(parts), None), stamp=FROM)
    assert said is not None
    return said, results.settled(run, {"benchmark": said}, None, through={}, stamp=FROM)


async def load(settings: Settings, *, runs: int, first: int = 0) -> int:
    """Writes the history of so many finished runs, and the open ones; returns how many events that were."""
    async with Log(settings, client_id="benchmark") as log:
        await log.create_topics()
        seen = EnvironmentSeen(
            occurred_us=1, producer=FROM, sha="env", packages={}, driver=None, cpu="c", cpu_flags=(), cores=4, memory_bytes=1, devices=(),
            container_digest=None, os="o",
        )  # fmt: skip
        await log.publish(seen)
        kinds = [Kind(number, log) for number in range(KINDS)]
        writer = await Writer.of(log, settings)
        for number in range(first, first + runs):
            kind = kinds[number % KINDS]
            through = writer.write(kind.copied(number))
            told = kind.results_of(number, through=through)
            writer.write(_bytes(event, log) for event in told)
        writer.close()
        count = writer.written
        for number in range(10**6, 10**6 + OPEN) if first == 0 else ():
            events = list(of_run(number, finished=False))
            await log.publish_all(events)
            count += len(events)
    return count


class Writer:
    """The log's only writer, who therefore knows where each record lies. Many times as fast as one in Python."""

    def __init__(self, settings: Settings, partitions: dict[str, int], ends: dict[tuple[str, int], int]) -> None:
        self._partitions, self._ends = partitions, Counter(ends)
        self.written = 0
        self._client = Client({
            "bootstrap.servers": settings.kafka, "enable.idempotence": True, "linger.ms": 20, "batch.size": 1 << 20,
            "compression.type": "gzip", "compression.level": 1, "queue.buffering.max.messages": 200_000,
        })  # fmt: skip

    @classmethod
    async def of(cls, log: Log, settings: Settings) -> "Writer":
        """A writer that goes on where the log ends now."""
        return cls(settings, dict(await log.partitions(TOPICS)), dict(await log.ends(TOPICS)))

    def write(self, records: Iterator[Bytes]) -> dict[str, int]:
        """Writes the records, and says behind which offset of each topic the last of them lies."""
        through = dict[str, int]()
        for one in records:
            place = (one.topic, partition_for(one.key, self._partitions[one.topic]))
            while True:
                try:
                    self._client.produce(one.topic, one.value, one.key, partition=place[1])
                    break
                except BufferError:
                    self._client.poll(0.05)
            self._ends[place] += 1
            through[one.topic] = self._ends[place]
            self.written += 1
        self._client.poll(0)
        return through

    def close(self) -> None:
        """Returns once the broker has all of it."""
        assert self._client.flush(600) == 0
