"""Models measured on devices, as the events that say so: what decisions are read from."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from schemas.event import Event, Producer
from schemas.jobs import Device, EngineUsed, EnvironmentSeen
from schemas.requests import Chat, EngineChoice, ModelRef
from schemas.results import Figure, PricePublished, RunScored
from schemas.runs import Estimate, ExpectedMetric, ModelCard, Plan, PlannedTask
from schemas.settled import RunSettled, TaskSettled
from streams.boards.books import Books
from streams.deciding.evidence import Evidence
from streams.deciding.measured import Priced
from streams.money.prices import PriceBook
from streams.settling.documents import packed
from streams.speed.performance import FORMULA_VERSION
from tests.runs import run_named

STAMP = Producer(service="test", version="0")
DOCUMENTS = 200
MIT = ModelCard(licence="mit", languages=("en", "de"))


def environment(device: str, *, count: int = 1, region: str = "any") -> EnvironmentSeen:
    """A machine with so many of a device; `cpu`: with none."""
    devices = tuple(Device(uuid=f"{device}-{n}", name=device, memory_bytes=2**35) for n in range(count if device != "cpu" else 0))
    return EnvironmentSeen(
        occurred_us=0, producer=STAMP, sha=f"{device}-{count}-{region}", packages={}, driver=None, cpu="a processor", cpu_flags=(), cores=8,
        memory_bytes=2**36, devices=devices, container_digest=None, os="linux", region=region,
    )  # fmt: skip


def planned(task: str = "gsm8k", *, group: str | None = None, documents: int = DOCUMENTS) -> PlannedTask:
    """A task that counts right answers."""
    return PlannedTask(
        task=task, task_version="1", build_id=f"{task}@{documents}", samples=documents, repeats=1, group=group,
        expected=(ExpectedMetric(filter="none", metric="acc"),), main_metric="acc", main_filter="none",
    )  # fmt: skip


def plan(model: str, tasks: Sequence[PlannedTask], **told: Any) -> Plan:
    """A model's plan; vLLM's, unless told otherwise."""
    given: dict[str, Any] = {
        "engine": EngineChoice(name="vllm"),
        "card": MIT,
        "chat": Chat(),
        "model": ModelRef(uri=model),
        "chat_template_sha": "",
        "suite": None,
    } | told
    return Plan(
        submitter="test", model_sha=f"sha of {model}", tokenizer_sha="", tasks=tuple(tasks), licences=(),
        skipped=(), estimate=Estimate(), jobs=1, **given,
    )  # fmt: skip


def run(
    name: object, model: str, on: EnvironmentSeen, *, scores: Mapping[PlannedTask, Sequence[float]] | None = None,
    speed: Iterable[Figure] = (), served_elsewhere: bool = False, told_figures: bool = False,
    used: Mapping[str, Any] | None = None, **told: Any,
) -> Iterator[Event]:  # fmt: skip
    """A completed run: what it came to, and the values of its documents."""
    run_id, tasks = run_named(name), scores or {}
    engine: dict[str, Any] = {
        "name": "vllm",
        "version": "1",
        "dtype": "bfloat16",
        "max_len": 8192,
        "device": "cuda" if on.devices else "cpu",
    }
    for task, values in tasks.items():
        figure = Figure(metric="acc", value=float(np.mean(values)), n=len(values))
        yield RunScored(
            occurred_us=int(str(name)), producer=STAMP, run_id=run_id, task=task.task, scorer_version="1", complete=True,
            scored=len(values), expected=len(values), inputs_digest="d", figures=(figure,), documents=packed(dict(enumerate(values)), {}),
        )  # fmt: skip
    settled = tuple(
        TaskSettled(
            task=one.task, scorer_version="1", documents=len(values),
            figure=Figure(metric="acc", value=float(np.mean(values)), n=len(values)) if told_figures else None,
        )
        for one, values in tasks.items()
    )  # fmt: skip
    yield RunSettled(
        occurred_us=int(str(name)), producer=STAMP, run_id=run_id, state="completed", final=True, inputs_digest="d",
        changed_us=int(str(name)), plan=plan(model, [*tasks], **told), served_elsewhere=served_elsewhere,
        engine=EngineUsed(**(engine | dict(used or {}))), environment_sha=on.sha, environments=(on.sha,), tasks=settled,
        speed=tuple(speed), speed_formula=FORMULA_VERSION,
    )  # fmt: skip


def load(
    rate_per_s: float, *, ttft_s: float = 0.2, tokens: tuple[int, int] = (800, 200), requests: int = 400, **more: float
) -> list[Figure]:
    """A load's figures: what was served, how fast, and how long its requests were."""
    p95 = {"ttft_p95": ttft_s, "itl_p95": 0.02, "e2e_p95": ttft_s + 4, "e2e_mean": ttft_s + 3.6}
    sums = dict(zip(("input_tokens", "output_tokens"), tokens, strict=True))
    return [
        Figure(metric="requests_per_s", value=rate_per_s, n=requests, unit="1/s"),
        Figure(metric="in_flight_mean", value=rate_per_s * (ttft_s + 3.6), n=requests, unit="1"),
        *(Figure(metric=name, value=value * 1e9, low=0.95e9 * value, high=1.05e9 * value, n=requests) for name, value in p95.items()),
        *(Figure(metric=name, value=float(each * requests), n=requests) for name, each in sums.items()),
        *(Figure(metric=name, value=value, n=requests) for name, value in more.items()),
    ]


def rights(share: float, *, seed: int, documents: int = DOCUMENTS) -> list[float]:
    """Values of documents of which that share is right; easy ones are easy for every seed."""
    hardness = np.random.default_rng(1).random(documents)
    noise = np.random.default_rng(seed).normal(0, 0.15, documents)
    return [float(value) for value in hardness + noise <= np.quantile(hardness + noise, share)]


def evidence(*events: Iterable[Event], peaks: Mapping[str, int] | None = None) -> Evidence:
    """All that these events say."""
    books = Books(whole=True)
    for several in events:
        for event in several:
            books.fold(event)
    return Evidence(books, peaks or {})


def priced(**usd: float) -> Priced:
    """A price book of hours by device (underscores are spaces) as of now."""
    book = PriceBook()
    for name, amount in {"L40S": 1.0, "H100": 3.0, **usd}.items():
        book.fold(price(f"gpu_hour:{name}", amount, unit="device-hour"))
    return Priced(book, 10)


def price(item: str, amount: float, *, unit: str, currency: str = "USD") -> PricePublished:
    """A price of version 1."""
    return PricePublished(
        occurred_us=1, producer=STAMP, item=item, region="any", currency=currency, amount_nano=round(amount * 1e9), unit=unit,
        valid_from_us=0, valid_to_us=None, source="test", version="1",
    )  # fmt: skip
