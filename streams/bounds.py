"""What a request may ask for at most: one table of every number, text and list in it.

A request that is beyond them would stop others: its plan would fill the planner's memory, or one of its events would be larger than a
record of Kafka's may be. The API and the command line refuse it before anything is produced, the planner whatever comes by Kafka.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, TypeVar

from schemas.codec import size
from schemas.event import Event, Producer, Record
from schemas.jobs import Job, JobReleased
from schemas.requests import (
    Adapter,
    Budget,
    Chat,
    EngineChoice,
    EvaluationRequested,
    Generation,
    Judgement,
    ModelRef,
    Objective,
    Prompt,
    Stopping,
    TaskChoice,
    TaskPart,
    Traced,
    Workload,
)
from schemas.runs import RunChanged
from streams.errors import Invalid

E = TypeVar("E", bound=Event)
DAY_S: Final = 86_400
END_US: Final = 253_402_300_800 * 10**6  # the year 10000
HOUR_NS: Final = 3600 * 10**9
# Of an event: a record of two mebibytes has a key, and a batch its own bytes, beside it.
MOST_EVENT_BYTES: Final = 2 * 2**20 - 4096
# The plan is in the run's result too, with what came of it.
MOST_PLAN_BYTES: Final = 2**20
# Of a result beside its plan: what a task comes to, its names aside; the words for what is left out of it, and all the rest together.
TASK_BYTES, LEFT_OUT_BYTES, REST_BYTES = 400, 128 * 1024, 128 * 1024
# In all of a request, whichever of its tasks they are of; jobs are as many as its samples fill. A run's result tells the attempts of each
# of its jobs, and a task's scores the value of each of its documents, both in one record.
MOST_SAMPLES: Final = 2_000_000
MOST_JOBS: Final = 8_000
MOST_DOCUMENTS: Final = 200_000
MOST_PLANNED_BYTES: Final = 2**29
# What a lease tells beside its job: whom it is for, which samples are done, what their numbers take more than another job's.
LEASE_BYTES, LEASE_SAMPLE_BYTES = 8 * 1024, 4
# A workload's job names those that it waits for, in one record.
MOST_JOBS_BEFORE_A_LOAD: Final = 5_000
MOST_TURNS: Final = 100  # of a chat of a load
MOST_LOAD_REQUESTS: Final = 1_000_000
MOST_LOAD_TOKENS: Final = 20_000_000  # each is a time that is kept until the load is over
MOST_LOAD_S: Final = 7 * DAY_S
LEAST_RATE: Final = 1e-5  # one request a day; of less the gaps cannot be reckoned with
MOST_RATE: Final = 10_000
MOST_TRACED: Final = 20_000
TRACED_BYTES, ID_BYTES = 24, 4  # of a request of a trace, and of each of its ids
# Of all definitions with the files that they lean on: a request is one record.
MOST_DEFINED_BYTES: Final = 2**20
MOST_BITS: Final = 63  # of a whole number: that of an Avro long, its sign aside
PLAIN: Final = re.compile(r"[\w.-]*", re.ASCII).fullmatch
LESS: Final = "lower limit or repeats, or ask for several runs"


@dataclass(frozen=True, slots=True)
class Number:
    """A number from `least` to `most`; where `least` is null, a check of its own says what is too little."""

    most: float
    least: float | None = None

    def fault(self, value: float) -> str | None:
        """What is wrong with a number; None where nothing is."""
        if value <= self.most and (self.least is None or value >= self.least):
            return None
        shown = value if isinstance(value, int) else f"{value:.15g}"
        return f" {shown}: give {'at most' if self.least is None else f'{self.least:,} to'} {self.most:,}"


@dataclass(frozen=True, slots=True)
class Written:
    """A text of so many characters at most; `plain`: of those alone that a topic's name may have."""

    most: int
    plain: bool = False

    def fault(self, value: str) -> str | None:
        """What is wrong with a text; None where nothing is."""
        if len(value) > self.most:
            return f" has {len(value):,} characters: give at most {self.most:,}"
        return f" {value!r} is part of a topic's name: give letters, digits, '.', '_' and '-'" if self.plain and not PLAIN(value) else None


@dataclass(frozen=True, slots=True)
class Several:
    """A list or a map of so many entries at most; its texts, a map's names among them, have at most `characters` each, its whole numbers
    at most 63 bits."""

    most: int
    characters: int = 1000

    def fault(self, value: Any) -> str | None:
        """What is wrong with a list or a map; None where nothing is."""
        if len(value) > self.most:
            return f" has {len(value):,} entries: give at most {self.most:,}"
        if (bits := max((one.bit_length() for one in value if isinstance(one, int)), default=0)) > MOST_BITS:
            return f" has a whole number of {bits} bits: give at most {MOST_BITS}"
        texts = (*value, *value.values()) if isinstance(value, Mapping) else value
        longest = max((len(text) for text in texts if isinstance(text, str)), default=0)
        return f" has an entry of {longest:,} characters: give at most {self.characters:,}" if longest > self.characters else None


NAME, PLACE, LONG = Written(200), Written(4_000), Written(100_000)
POOL = Written(200, plain=True)
DRESS = Written(30_000)  # every job carries it
BOUNDS: Final[Mapping[type[Record], Mapping[str, Number | Written | Several]]] = MappingProxyType({
    EvaluationRequested: {
        "event_id": NAME, "organisation_id": NAME, "occurred_us": Number(END_US, 0), "trace_parent": NAME, "submitter": NAME,
        "campaign": NAME, "suite": NAME, "tasks": Several(1_000), "judges": Several(100, characters=4_000), "stop_rule": NAME,
        "priority": Number(1_000, -1_000), "credential_ref": NAME, "labels": Several(100), "pool": POOL,
        "suite_version": NAME, "judgements": Several(100), "model_published": NAME, "model_licences": Several(100),
        "data_licences": Several(100),
        "adaptive": Number(MOST_SAMPLES), "audit_ratio": Number(1),
    },
    Producer: {"service": NAME, "version": NAME, "commit": NAME},
    ModelRef: {
        "uri": PLACE, "revision": NAME, "sha256": NAME, "format": NAME, "base": PLACE, "dtype": NAME, "quantisation": NAME,
    },
    Adapter: {"uri": PLACE, "method": NAME},
    EngineChoice: {"name": NAME, "options": Several(100)},
    Generation: {"json_text": Written(10_000)},
    TaskChoice: {
        "name": NAME, "version": NAME, "data_revision": NAME, "fewshot": Number(1_000), "limit": Number(MOST_SAMPLES),
        "repeats": Number(1_000), "seeds": Several(1_000), "group": NAME, "definition": LONG, "metrics": Several(100),
        "limit_ratio": Number(1), "file": NAME, "parts": Several(500), "vary": Several(2),
    },
    TaskPart: {"path": NAME, "text": LONG},
    Chat: {"template": DRESS, "system": DRESS, "thinking_tokens": Number(1_000_000), "thinking_end": Written(1_000)},
    Workload: {
        "rate_per_s": Number(MOST_RATE), "concurrency": Number(10_000), "duration_s": Number(MOST_LOAD_S, 0.001),
        "requests": Number(MOST_LOAD_REQUESTS, 1), "warmup_requests": Number(10_000, 0), "input_tokens": Number(1_000_000),
        "output_tokens": Number(1_000_000), "url": PLACE, "api": NAME, "burstiness": Number(1_000_000, 0.001),
        "rate_to_per_s": Number(MOST_RATE), "trace": Several(MOST_TRACED), "speedup": Number(1_000_000, 0.001),
        "shared_prefix_ratio": Number(1, 0), "shared_prefixes": Number(1_000_000, 1), "cancel_ratio": Number(1, 0),
        "cancel_after_s": Number(DAY_S, 0.001), "turns": Number(MOST_TURNS, 1), "think_s": Number(DAY_S, 0),
        "extra_body": Written(10_000), "prompts": Several(MOST_TRACED), "prompts_task": NAME, "prompts_limit": Number(MOST_TRACED, 1),
        "http": NAME, "streams": Number(10_000, 1),
    },
    Prompt: {"text": LONG},
    Traced: {
        "at_ms": Number(7 * DAY_S * 1000), "input_tokens": Number(1_000_000), "output_tokens": Number(1_000_000),
        "hash_ids": Several(4_000), "text": LONG,
    },
    Objective: {
        "ttft_ns": Number(24 * HOUR_NS, 1), "itl_ns": Number(24 * HOUR_NS, 1), "e2e_ns": Number(24 * HOUR_NS, 1), "ratio": Number(1, 0),
    },
    Budget: {"usd_nano": Number(10**18), "s": Number(3_650 * DAY_S), "deadline_us": Number(END_US)},
    Stopping: {"half_width": Number(1_000), "confidence": Number(1_000)},  # its own check is narrower
    Judgement: {"task": NAME},
})  # fmt: skip


def check(request: EvaluationRequested) -> None:
    """Raises: Invalid, naming the first field that is beyond its bound, its value and the bound."""
    for fault in _faults(request, ()):
        raise Invalid(fault, code="out-of-bounds")
    texts = [text for one in request.tasks for text in (one.definition or "", *(part.text for part in one.parts))]
    if (size := sum(len(text.encode(errors="replace")) for text in texts)) > MOST_DEFINED_BYTES:
        told = "the definitions of tasks, with the files that they lean on"
        raise Invalid(f"{told}, have {size:,} bytes: give at most {MOST_DEFINED_BYTES:,}; ask for several runs", code="out-of-bounds")
    trace = request.workload.trace if request.workload else ()
    if (
        size := sum(TRACED_BYTES + ID_BYTES * len(one.hash_ids) + len((one.text or "").encode(errors="replace")) for one in trace)
    ) > MOST_DEFINED_BYTES:
        raise Invalid(
            f"the trace has some {size:,} bytes: give at most {MOST_DEFINED_BYTES:,}; cut it (--requests, --duration)", code="out-of-bounds"
        )
    check_prompts(request.workload.prompts if request.workload else ())


def check_prompts(prompts: Sequence[Prompt]) -> None:
    """Raises: Invalid, where a load's prompts are more than its job holds."""
    told = f"the load's {len(prompts):,} prompts have"
    if len(prompts) > MOST_TRACED:
        raise Invalid(f"{told} more than {MOST_TRACED:,} texts: lower prompts_limit (--prompts-limit)", code="out-of-bounds")
    if (size := sum(len(one.text.encode(errors="replace")) for one in prompts)) > MOST_DEFINED_BYTES:
        raise Invalid(
            f"{told} {size:,} bytes: give at most {MOST_DEFINED_BYTES:,}; lower prompts_limit (--prompts-limit)", code="out-of-bounds"
        )


def check_sum(samples: int, jobs: int, *, load: bool) -> None:
    """Raises: Invalid, where all tasks together are more than one run may have. `load`: a workload waits for the jobs."""
    if samples > MOST_SAMPLES:
        raise Invalid(f"{samples:,} samples in all, each repeat counted: give at most {MOST_SAMPLES:,}; {LESS}", code="out-of-bounds")
    most = MOST_JOBS_BEFORE_A_LOAD if load else MOST_JOBS
    if jobs > most:
        told = ", where a workload follows" if load else ""
        raise Invalid(f"{jobs:,} jobs in all: give at most {most:,}{told}; {LESS}", code="out-of-bounds")


def check_documents(task: str, documents: int) -> None:
    """Raises: Invalid, where a task has more documents than its scores can name."""
    if documents > MOST_DOCUMENTS:
        raise Invalid(
            f"task {task!r} has {documents:,} documents: give at most {MOST_DOCUMENTS:,}, by its limit, or ask for it in parts",
            code="out-of-bounds",
        )


def held(event: E, *, way: str = "ask for it in several runs") -> E:
    """The event. Raises: Invalid, where it is larger than a record may be; `way`: how it would be smaller."""
    if (found := size(event)) > MOST_EVENT_BYTES:
        told = f"its {type(event).__name__} has {found:,} bytes, and a record holds {MOST_EVENT_BYTES:,}"
        raise Invalid(f"{told}: {way}", code="record-too-large")
    return event


def check_setups(task: str, *, documents: int, setups: int) -> None:
    """Raises: Invalid, where a task's set-ups, each a build of all of its documents, would take too much of the log."""
    if setups * documents > MOST_SAMPLES:
        told = f"task {task!r} in {setups:,} set-ups, each built with all of its {documents:,} documents, is {setups * documents:,} samples"
        raise Invalid(f"{told}: give at most {MOST_SAMPLES:,}; lower repeats", code="out-of-bounds")


def check_plan(planned: RunChanged) -> None:
    """Raises: Invalid, where a plan is so large that what comes of the run would not fit beside it."""
    if (found := size(planned)) > MOST_PLAN_BYTES:
        told = f"its plan has {found:,} bytes: give at most {MOST_PLAN_BYTES:,}"
        raise Invalid(f"{told}; ask for fewer tasks or metrics, or for several runs", code="out-of-bounds")
    tasks, most = planned.plan.tasks if planned.plan else (), MOST_EVENT_BYTES - LEFT_OUT_BYTES - REST_BYTES
    named = sum(len(name.encode()) for one in tasks for name in (one.task, one.main_metric, one.main_filter))
    if (comes := found + named + TASK_BYTES * len(tasks)) > most:
        told = f"the result of {len(tasks):,} tasks, with their plan, may have {comes:,} bytes: a record holds {most:,}"
        raise Invalid(f"{told}; ask for fewer tasks, or for several runs", code="out-of-bounds")


def check_jobs(jobs: int, *, all_bytes: int, largest: Job) -> None:
    """Raises: Invalid, where the jobs would take too much of the log: each brings what the request says to its agent."""
    if all_bytes > MOST_PLANNED_BYTES:
        told = f"{jobs:,} jobs of some {all_bytes // jobs:,} bytes, {all_bytes:,} bytes in all: give at most {MOST_PLANNED_BYTES:,}"
        raise Invalid(f"{told}; {_largest(largest)[1]}, or {LESS}", code="out-of-bounds")


def check_job(job: Job) -> int:
    """A job's bytes, as it is leased. Raises: Invalid, where no record holds them; what of the request to make smaller is told."""
    leased = JobReleased(
        occurred_us=END_US, producer=Producer(service="", version=""), organisation_id=job.organisation_id, visibility=job.visibility,
        pool=job.pool, term=0, kind="release", run_id=job.run_id, job_id=job.job_id, job=job,
    )  # fmt: skip
    found, most = size(leased), MOST_EVENT_BYTES - LEASE_BYTES - LEASE_SAMPLE_BYTES * job.count
    if found > most:
        what, way = _largest(job)
        told = f"job {job.job_id!r} would have {found:,} bytes, and a record holds {most:,} of one: most are {what}"
        raise Invalid(f"{told}; {way}", code="record-too-large")
    return found


def _largest(job: Job) -> tuple[str, str]:
    """What most of a job's bytes are, and how there are fewer."""
    parts = {
        ("the requests of its trace", "cut the trace (--requests, --duration)"): job.workload,
        ("the places of its few-shot examples", "ask for fewer samples, or without examples (--fewshot 0)"): job.build,
        ("its chat template and its system message", "shorten the chat template and the system message"): job.chat,
        ("its engine's options", "shorten the engine's options"): job.engine,
    }
    sizes = {told: len(part.model_dump_json()) for told, part in parts.items() if part is not None}
    names = {("the names of the jobs that it waits for", LESS): sum(map(len, job.depends_on))}
    return max((sizes | names).items(), key=lambda one: one[1])[0]


def _faults(record: Record, way: tuple[str, ...]) -> Iterator[str]:
    for name, bound in BOUNDS[type(record)].items():
        value = getattr(record, name)
        if value is not None and (fault := bound.fault(value)) is not None:
            yield ".".join((*way, name)) + fault
    for name in type(record).model_fields:
        for place, part in _parts(getattr(record, name)):
            yield from _faults(part, (*way, name, *place))


def _parts(value: Any) -> Iterator[tuple[tuple[str, ...], Record]]:
    """The records that a field holds, each with its place in it."""
    if isinstance(value, Record):
        yield (), value
    elif isinstance(value, tuple):
        yield from (((str(place),), one) for place, one in enumerate(value) if isinstance(one, Record))
