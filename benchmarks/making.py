"""Events as runs make them, to be measured with."""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, TypeVar

from infra.identity import now_us
from schemas.builds import BuiltRequest, SampleBuilt
from schemas.event import Event, Producer, Text, derive_id, derive_run_id
from schemas.jobs import AgentBeat
from schemas.measurements import Answer, SampleAnswered, TokensTimed
from schemas.requests import Chat, EngineChoice, EvaluationRequested, ModelRef, TaskChoice
from schemas.results import (
    CostSummarised,
    Figure,
    Histogram,
    PerformanceSummarised,
    PricePublished,
    RankingChanged,
    RankingRow,
    RunScored,
    SampleScored,
)
from schemas.runs import Estimate, ExpectedMetric, Plan, PlannedTask, RunChanged, RunState

E = TypeVar("E", bound=Event)
FROM = Producer(service="benchmark", version="0", commit="")
PRICES = "benchmark-1"
BEGAN_US = 1_790_000_000_000_000
ARRIVALS = 16
CHOICES = tuple(
    Answer(request_index=n, request_type="loglikelihood", loglikelihood=-1.5 - n, is_greedy=n == 0, finish_reason="stop", prompt_tokens=64)
    for n in range(4)
)


def _made(event: type[E], **fields: Any) -> E:
    """The event of these fields, which are known to be right: a million of them are made."""
    return event.model_construct(event_id=derive_id(event.__name__, *(fields[name] for name in event.identity)), **fields)


@cache
def run_id(number: int) -> str:
    """The id of the run of that number."""
    return derive_run_id("benchmark-run", "", number)


def scored(number: int, *, run: int, task: str = "benchmark") -> SampleScored:
    """One score of a sample."""
    return _made(
        SampleScored, occurred_us=BEGAN_US + number, producer=FROM, run_id=run_id(run), task=task, ordinal=number, doc_id=number, repeat=0,
        scorer_version="0.4.13+1", filter="none", metric="acc", value=float(number % 2), parts_json=str(float(number % 2)),
    )  # fmt: skip


def timed(number: int, *, run: int) -> TokensTimed:
    """The arrivals of 16 tokens of one request."""
    sent_ns = number * 1_000_000
    return TokensTimed(
        occurred_us=BEGAN_US + number, producer=FROM, run_id=run_id(run), job_id=f"{run_id(run)}/perf", attempt=1, request_index=number,
        sequence=0, chunk=0, first_token=0, arrival_ns=tuple(sent_ns + 17_000 * n for n in range(ARRIVALS)),
        tokens_per_arrival=(1,) * ARRIVALS,
    )  # fmt: skip


def answered(number: int, *, run: int, task: str = "benchmark") -> SampleAnswered:
    """The answers to the four choices of a sample."""
    return _made(
        SampleAnswered, occurred_us=BEGAN_US + number, producer=FROM, run_id=run_id(run), job_id=f"{run_id(run)}/{task}/0/0",
        attempt=1, task=task,
        build_id=f"build-{task}", ordinal=number, repeat=0, seed=1234, arguments_sha="0" * 64, answers=CHOICES,
    )  # fmt: skip


def mixed(count: int, *, runs: int = 200) -> Iterator[Event]:
    """Scores and token timings in turn, of many runs."""
    for number in range(count):
        yield scored(number, run=number % runs) if number % 2 else timed(number, run=number % runs)


def surroundings(*, tasks: int, agents: int, beats: int) -> Iterator[Event]:
    """What no run of its own leaves behind: the first sample of each task, prices, and what agents say once a second."""
    yield from (_built(f"build-task-{task}", 0) for task in range(tasks))
    yield PricePublished(
        occurred_us=BEGAN_US, producer=FROM, item="gpu_hour", region="any", currency="USD", amount_nano=10**9, unit="h", valid_from_us=0,
        valid_to_us=None, source="benchmark", version=PRICES,
    )  # fmt: skip
    newest_us = now_us()
    for number in range(agents * beats):
        agent, ago = number % agents, number // agents
        yield AgentBeat(
            occurred_us=newest_us - ago * 1_000_000, producer=FROM, pool="default", agent_id=f"agent-{agent}", incarnation=1,
            sequence=beats - ago, free_bytes=2**34, total_bytes=2**35, models_held=("model-1",),
        )  # fmt: skip


def _built(build_id: str, number: int) -> SampleBuilt:
    question = Text.plain(f"Question {number}: which of the four is it? " + "Some words of context. " * 20)
    requests = tuple(
        BuiltRequest(request_type="loglikelihood", context=question, continuation=Text.plain(f" answer {choice}")) for choice in range(4)
    )
    return SampleBuilt(
        occurred_us=BEGAN_US, producer=FROM, build_id=build_id, ordinal=number, doc_id=number, document=Text.plain('{"question": "?"}'),
        requests=requests, arguments_sha="0" * 64, target=Text.plain("answer 1"),
    )  # fmt: skip


def life(run: int, *, tasks: int, samples: int, first: int) -> Iterator[Event]:
    """What a completed run of several tasks leaves behind, of its samples only the first, and the boards as they stand after it."""
    names = [f"task-{n}" for n in range(tasks)]
    yield EvaluationRequested(
        occurred_us=BEGAN_US + run, producer=FROM, run_id=run_id(run), model=ModelRef(uri=f"model-{run}"), suite="suite",
        tasks=tuple(TaskChoice(name=name) for name in names),
    )  # fmt: skip
    yield _changed(run, "planned", plan=_plan(run, names, samples))
    for name in names:
        for number in range(first):
            yield answered(number, run=run, task=name)
            yield scored(number, run=run, task=name)
        yield _figures(run, name, samples)
    yield _speed(run)
    yield _cost(run)
    yield _changed(run, "completed")
    for board in ("suite", *(f"task:{name}" for name in names)):
        yield _ranking(board, run, names, samples)


def _changed(run: int, state: RunState, *, plan: Plan | None = None) -> RunChanged:
    return RunChanged(occurred_us=BEGAN_US + run, producer=FROM, run_id=run_id(run), state=state, plan=plan)


def _plan(run: int, names: Sequence[str], samples: int) -> Plan:
    metrics = (ExpectedMetric(filter="none", metric="acc"),)
    tasks = tuple(
        PlannedTask(
            task=name,
            task_version="1",
            build_id="benchmark",
            samples=samples,
            repeats=1,
            expected=metrics,
            main_metric="acc",
            main_filter="none",
        )
        for name in names
    )
    return Plan(
        submitter="benchmark", model=ModelRef(uri=f"model-{run}"), model_sha=f"{run:064}", tokenizer_sha="", chat_template_sha="",
        engine=EngineChoice(), chat=Chat(), suite="suite", tasks=tasks, licences=(), skipped=(), estimate=Estimate(), jobs=len(names) * 4,
    )  # fmt: skip


def _figures(run: int, task: str, samples: int) -> RunScored:
    return RunScored(
        occurred_us=BEGAN_US + run, producer=FROM, run_id=run_id(run), task=task, scorer_version="0.4.13+1", complete=True, scored=samples,
        expected=samples, inputs_digest="whole", figures=(Figure(metric="acc", value=0.5, stderr=0.01, low=0.48, high=0.52, n=samples),),
    )  # fmt: skip


def _speed(run: int) -> PerformanceSummarised:
    names = ("requests", "errors", "requests_per_s", "output_tokens_per_s")
    spreads = tuple(f"{name}_{part}" for name in ("ttft", "itl", "tpot", "e2e") for part in ("mean", "p50", "p95", "p99"))
    histogram = Histogram(metric="ttft", unit="ns", bounds=tuple(range(1, 200)), counts=(5,) * 200)
    return PerformanceSummarised(
        occurred_us=BEGAN_US + run, producer=FROM, run_id=run_id(run), formula_version="performance-2", complete=True,
        inputs_digest="whole", figures=tuple(Figure(metric=name, value=1.0 + run, n=1000) for name in names + spreads),
        histograms=(histogram,) * 4,
    )  # fmt: skip


def _cost(run: int) -> CostSummarised:
    names = ("run_usd_nano", "per_1m_input_tokens_usd_nano", "per_1m_output_tokens_usd_nano", "per_1m_tokens_usd_nano", "energy_uj")
    return CostSummarised(
        occurred_us=BEGAN_US + run, producer=FROM, run_id=run_id(run), formula_version="cost-1", price_version=PRICES, complete=True,
        inputs_digest="whole", figures=tuple(Figure(metric=name, value=1e6 + run, n=1) for name in names),
    )  # fmt: skip


def _ranking(board: str, run: int, names: Sequence[str], samples: int) -> RankingChanged:
    rows = tuple(
        RankingRow(
            model=f"model-{n}", model_sha=f"{n:064}", engine="transformers", hardware="", run_id=run_id(n), rank=n + 1, score=0.5, low=0.48,
            high=0.52, rank_low=1, rank_high=run + 1, samples=samples,
        )
        for n in range(run + 1)
    )  # fmt: skip
    return RankingChanged(
        occurred_us=BEGAN_US + run, producer=FROM, board=board, version="1", tasks=tuple(names), runs=tuple(row.run_id for row in rows),
        inputs_digest=str(run), provisional=False, rows=rows,
    )  # fmt: skip
