"""What a request may ask for at most: every field has its bound, and a refusal names both."""

import json
import types
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lm_eval.evaluator_utils import get_sample_size

from query_api.operations.parsing import validated
from query_api.operations.shapes import Shape
from query_api.routes.asking import Cancellation, Retracting
from schemas.builds import ContentPlace
from schemas.codec import Undecodable
from schemas.event import Event, Record, RunId
from schemas.jobs import BuildPlace, Need
from schemas.released import released_codec
from schemas.requests import Budget, CancellationRequested, EvaluationRequested, ModelRef, TaskChoice, Traced, Workload
from schemas.trust import RunRetracted
from streams import bounds, planning
from streams.errors import Invalid
from tests.pool import STAMP
from tests.runs import run_named

CODEC = released_codec()
FREE = {"visibility", "purpose", "profile"}  # of few values each
PLACE = BuildPlace(build_id="b", task="t", partition=0, first_offset=0, last_offset=1)


def asked(**told: Any) -> EvaluationRequested:
    """A request."""
    header = {"occurred_us": 1, "producer": STAMP, "run_id": run_named("r"), "model": ModelRef(uri="m")}
    return EvaluationRequested.model_validate(header | {"tasks": (TaskChoice(name="t"),)} | told)


def own(*, parts: list[tuple[str, str]]) -> dict[str, Any]:
    """A task that the request brings, with its parts."""
    return {"name": "t", "definition": "task: t", "file": "t.yaml", "parts": [{"path": path, "text": text} for path, text in parts]}


def load(count: int, **told: Any) -> Workload:
    """A trace of so many requests."""
    return Workload(profile="trace", trace=(Traced(at_ms=0, input_tokens=1, output_tokens=1, **told),) * count)


def blocks(count: int, ids: int) -> Workload:
    """A trace of so many requests, each of so many blocks whose names are as long as they may be."""
    one = Traced(at_ms=0, input_tokens=512 * ids, output_tokens=1, hash_ids=(2**62,) * ids)
    return Workload(profile="trace", trace=(one,) * count)


def unbounded(record: type[Record]) -> Iterator[str]:
    """The fields of a record, and of those within it, that nothing bounds."""
    for name, hint in get_type_hints(record, include_extras=True).items():
        if name not in record.model_fields or name in bounds.BOUNDS.get(record, {}) or name in FREE:
            continue
        for part in parts(hint):
            if isinstance(part, type) and issubclass(part, Record):
                yield from unbounded(part)
            elif part not in (bool, RunId):
                yield f"{record.__name__}.{name}"


def parts(hint: Any) -> Iterator[Any]:
    """What a hint is made of; a list, a map and a number stay what they are."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        yield from (part for one in arguments if one is not type(None) for part in parts(one))
    elif origin is Annotated and hint != RunId:
        yield from parts(arguments[0])
    else:
        yield str if origin is Literal else hint


def test_every_field_of_a_request_has_a_bound() -> None:
    """A list's records are looked into too, and no bound is of a field that there is not."""
    assert list(unbounded(EvaluationRequested)) == []
    for record, fields in bounds.BOUNDS.items():
        assert fields.keys() <= record.model_fields.keys()
        for hint in get_type_hints(record).values():
            inner = [one for one in get_args(hint) if isinstance(one, type) and issubclass(one, Record)]
            assert get_origin(hint) is not tuple or all(one in bounds.BOUNDS for one in inner)


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"tasks": [{"name": "t", "repeats": 100_000_000}]}, "tasks.0.repeats 100000000: give at most 1,000"),
        ({"tasks": [{"name": "t"}, {"name": "u", "fewshot": 5_000}]}, "tasks.1.fewshot 5000: give at most 1,000"),
        ({"tasks": [{"name": "t", "limit": 2**63 - 1}]}, "tasks.0.limit 9223372036854775807: give at most 2,000,000"),
        ({"tasks": [{"name": "t", "seeds": [1] * 1_001}]}, "tasks.0.seeds has 1,001 entries: give at most 1,000"),
        ({"tasks": [{"name": "t", "seeds": [1, 10**30]}]}, "tasks.0.seeds has a whole number of 100 bits: give at most 63"),
        ({"workload": load(1, hash_ids=[-(2**63) - 1])}, "workload.trace.0.hash_ids has a whole number of 64 bits: give at most 63"),
        ({"tasks": [{"name": "t" * 201}]}, "tasks.0.name has 201 characters: give at most 200"),
        ({"tasks": [{"name": "t", "metrics": ["m" * 1_001]}]}, "tasks.0.metrics has an entry of 1,001 characters: give at most 1,000"),
        ({"tasks": [{"name": f"{n}"} for n in range(1_001)]}, "tasks has 1,001 entries: give at most 1,000"),
        ({"tasks": [{"name": "t", "repeats": 1000, "limit": 2_001}]}, "2,001,000 samples in all, each repeat counted: give at most 2,"),
        ({"pool": "gpu\0"}, r"pool 'gpu\x00' is part of a topic's name: give letters, digits"),
        ({"labels": {"a": "b" * 1_001}}, "labels has an entry of 1,001 characters"),
        ({"labels": {f"{n}": "" for n in range(101)}}, "labels has 101 entries: give at most 100"),
        ({"priority": -(2**63)}, "priority -9223372036854775808: give -1,000 to 1,000"),
        ({"judgements": [{"task": "t", "model": {"uri": "m" * 4_001}}]}, "judgements.0.model.uri has 4,001 characters: give at most 4,000"),
        ({"engine": {"name": "x" * 10**6}}, "engine.name has 1,000,000 characters"),
        ({"budget": Budget(s=1e300)}, "budget.s 1e+300: give at most 315,360,000"),
        ({"workload": Workload(duration_s=1e9)}, "workload.duration_s 1000000000: give 0.001 to 604,800"),
        ({"workload": Workload(requests=10, warmup_requests=-1)}, "workload.warmup_requests -1: give 0 to 10,000"),
        ({"workload": Workload(profile="poisson", rate_per_s=100, duration_s=20_000)}, "send 2,000,000 requests: give at most 1,000,000"),
        ({"workload": load(20_001)}, "workload.trace has 20,001 entries: give at most 20,000"),
        ({"workload": load(300, hash_ids=range(1000))}, "the trace has some 1,207,200 bytes: give at most 1,048,576; cut it"),
        ({"workload": load(1, text="t" * 100_001)}, "workload.trace.0.text has 100,001 characters: give at most 100,000"),
        ({"tasks": [own(parts=[("p", "t" * 100_001)])]}, "tasks.0.parts.0.text has 100,001 characters: give at most 100,000"),
        ({"tasks": [own(parts=[(f"{n}", "") for n in range(501)])]}, "tasks.0.parts has 501 entries: give at most 500"),
        ({"tasks": [own(parts=[(f"{n}", "é" * 60_000) for n in range(9)])]}, "have 1,080,007 bytes: give at most 1,048,576"),
        ({"chat": {"template": "t" * 30_001}}, "chat.template has 30,001 characters: give at most 30,000"),
    ],
)  # fmt: skip
def test_what_is_beyond_a_bound_is_refused_with_both(told: dict[str, Any], says: str) -> None:
    """Before anything of it is repeated or made."""
    with pytest.raises(Invalid) as refusal:
        planning.check(asked(**told))
    assert says in str(refusal.value) and len(str(refusal.value)) < 200
    assert refusal.value.code == "out-of-bounds"


def test_a_plan_of_too_many_jobs_is_refused_before_one_is_made() -> None:
    """Only the build says how many samples a task without a limit has; a workload waits for fewer jobs than there may be without one."""
    request = asked(tasks=[{"name": "t", "repeats": 1000}])
    for request_, samples, says in (
        (request, 2_001, "2,001,000 samples in all"),
        (request.model_copy(update={"workload": Workload(requests=1)}), 2_000, "8,000 jobs in all: give at most 5,000, where a workload"),
    ):
        with pytest.raises(Invalid, match=says):
            planning.jobs(request_, [planning.Chosen(request_.tasks[0], PLACE, samples)], per_job=256, need=Need())
    once = asked(tasks=[{"name": "t"}])
    with pytest.raises(Invalid, match="task 't' has 200,001 documents: give at most 200,000"):
        planning.jobs(once, [planning.Chosen(once.tasks[0], PLACE, 200_001)], per_job=256, need=Need())
    there = planning.jobs(request, [planning.Chosen(request.tasks[0], PLACE, 10)], per_job=256, need=Need())
    assert there.count == len(list(there.each)) == 1000


def test_a_plan_that_would_fill_the_log_is_refused_before_a_job_is_made() -> None:
    """Each job brings the request's chat template to its agent."""
    long = asked(tasks=[{"name": "t", "repeats": 80}], chat={"template": "x" * 99_000})
    with pytest.raises(Invalid, match=r"8,000 jobs of some \d+,\d+ bytes, .* shorten the chat template"):
        planning.jobs(long, [planning.Chosen(long.tasks[0], PLACE, 100)], per_job=1, need=Need())


@pytest.mark.parametrize(
    ("told", "contents", "says"),
    [
        ({"workload": blocks(1000, 215)}, 0, "the requests of its trace; cut the trace (--requests, --duration)"),
        ({"workload": blocks(10, 100), "tasks": [{"name": "n" * 400}]}, 0, "the names of the jobs that it waits for; lower limit"),
        ({}, 40_000, "its few-shot examples; ask for fewer samples, or without examples"),
    ],
    ids=["trace", "names", "examples"],
)  # fmt: skip
def test_a_job_that_no_record_holds_is_refused_before_one_is_made(told: dict[str, Any], contents: int, says: str) -> None:
    """Its request is a record all the same: a load's job names the jobs before it, any job the examples of its build."""
    request = asked(**told)
    one = ContentPlace(content_id="c" * 64, partition=1, first_offset=1, last_offset=1)
    place = PLACE.model_copy(update={"contents": (one,) * contents})
    with pytest.raises(Invalid, match=r"would have \d,\d+,\d+ bytes, and a record holds \d,\d+,\d+ of one") as refusal:
        planning.jobs(request, [planning.Chosen(request.tasks[0], place, 5000)], per_job=1, need=Need())
    assert says in str(refusal.value) and refusal.value.code == "record-too-large"


def test_a_load_waits_for_every_job_before_it() -> None:
    """In their order; and what fits is planned."""
    request = asked(workload=blocks(10, 100))
    jobs = list(planning.jobs(request, [planning.Chosen(request.tasks[0], PLACE, 5000)], per_job=1, need=Need()).each)
    assert len(jobs) == 5001 and jobs[-1].depends_on == tuple(job.job_id for job in jobs[:-1])


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"definition": None}, "brings parts: give its definition, and as file its path"),
        ({"file": None}, "brings parts: give its definition, and as file its path"),
        ({"file": "p"}, "part 'p' of task 't' is there twice"),
        *(({"parts": [{"path": path, "text": ""}]}, "is no path of a part") for path in ("../p", "/p", "a//b", "", "a\\b", "a/./b", "a\n")),
    ],
)
def test_parts_that_cannot_be_unpacked_are_refused(told: dict[str, Any], says: str) -> None:
    """Whoever asked: a path leads below the folder that a process makes for them, and nowhere else."""
    planning.check(asked(tasks=[own(parts=[("p", ""), ("a/b.yaml", "")])]))
    with pytest.raises(Invalid, match=says):
        planning.check(asked(tasks=[own(parts=[("p", "")]) | told]))


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"limit_ratio": 1.0}, "give a share above 0 and below 1"),
        ({"limit_ratio": 0.0}, "give a share above 0 and below 1"),
        ({"limit_ratio": 0.5, "limit": 3}, "give one of the two"),
    ],
)
def test_a_share_that_is_none_is_refused(told: dict[str, Any], says: str) -> None:
    """With what to do."""
    with pytest.raises(Invalid, match=says):
        planning.check(asked(tasks=[{"name": "t", **told}]))


@given(st.integers(1, 10**6), st.floats(0, 1, exclude_min=True, exclude_max=True))
def test_a_share_is_as_many_samples_as_lm_eval_takes(there: int, share: float) -> None:
    """Rounded up: never none, never more than there are."""
    samples = planning.samples_of(TaskChoice(name="t", limit_ratio=share), there)
    task = SimpleNamespace(eval_docs=range(there))
    assert samples == get_sample_size(task, share)
    assert 1 <= samples <= there
    assert planning.samples_of(TaskChoice(name="t", limit=5), there) == min(5, there)
    assert planning.samples_of(TaskChoice(name="t"), there) == there


def test_a_message_can_be_written_whatever_it_quotes() -> None:
    """Half of a pair is no UTF-8: it is shown escaped."""
    assert str(Invalid("half \ud800 of it")) == r"half \ud800 of it"


@pytest.mark.parametrize(
    ("event", "shape", "field", "most"),
    [
        (CancellationRequested, Cancellation, "by", 200), (CancellationRequested, Cancellation, "message", 2000),
        (RunRetracted, Retracting, "by", 200), (RunRetracted, Retracting, "reason", 2000),
    ],
)  # fmt: skip
def test_who_stops_or_retracts_a_run_and_why_has_a_bound(event: type[Event], shape: type[Shape], field: str, most: int) -> None:
    """The API says it with the field's name; what comes by Kafka is a dead letter with the same words."""
    told = {"by": "me", "reason": "so"} if event is RunRetracted else {"by": "me"}
    made = event.model_validate({"occurred_us": 0, "producer": STAMP, "run_id": run_named("r")} | told)
    longest, longer = {field: "x" * most}, {field: "x" * (most + 1)}
    assert getattr(CODEC.decode(CODEC.encode(made.model_copy(update=longest)), event), field) == "x" * most
    assert getattr(validated(json.dumps(told | longest).encode(), shape), field) == "x" * most
    with pytest.raises(Undecodable, match=rf"{event.__name__}\.{field}: String should have at most {most} characters") as refused:
        CODEC.decode(CODEC.encode(made.model_copy(update=longer)), event)
    assert refused.value.code == "invalid-event"
    with pytest.raises(Invalid, match=f"{field}: String should have at most {most} characters"):
        validated(json.dumps(told | longer).encode(), shape)
