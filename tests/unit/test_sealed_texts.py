"""Texts of private events sealed: they open where they were sealed and nowhere else, with their key and no other."""

from base64 import b64encode
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from schemas.avro import avro_schema
from schemas.catalogue import EVENTS
from schemas.codec import Codec, size
from schemas.event import Event, Producer, Text
from schemas.jobs import JobPlanned, JobReleased
from schemas.measurements import Answer, SampleAnswered
from schemas.requests import Chat, EngineChoice, EvaluationRequested, Judgement, ModelRef, TaskChoice
from schemas.results import SampleScored
from schemas.runs import RunChanged
from schemas.trust import DeadLettered
from streams import planning
from streams.errors import Invalid, Permanent
from streams.fitting import answered_within
from streams.trust.privacy import NOBODYS, PRIVATE, WITHHELD, replaced, told
from streams.trust.sealing import ALTERED, MARK, Key, is_sealed, keyed, opened, part_opened, room, sealed
from tests.runs import run_named
from tests.strategies import events

KEY, OTHER = Key("0123456789abcdef-1", b"k" * 32), Key("0123456789abcdef-2", b"o" * 32)
SECRET = "the dog walks at midnight"
STAMP = Producer(service="test", version="1")


def keys(key_id: str) -> Key:
    """Those of the tests."""
    return {one.key_id: one for one in (KEY, OTHER)}[key_id]


def texts(event: Event) -> list[Any]:
    """Every text of an event."""
    found: list[Any] = []

    def note(value: Any, *_: object) -> Any:
        found.append(value)
        return value

    replaced(event, note)
    return found


def plainly(event: Event) -> Event:
    """The event with texts that nobody has sealed."""

    def plain(value: Any, *_: object) -> Any:
        return Text(bytes=value.bytes) if isinstance(value, Text) else value

    return replaced(event, plain).model_copy(update={"visibility": PRIVATE})


def answered(**told: Any) -> SampleAnswered:
    """A private answer, with two texts."""
    answers = tuple(
        Answer(request_index=0, draw=draw, request_type="generate_until", output=Text.plain(f"{SECRET} {draw}"), finish_reason="stop",
               prompt_tokens=1)
        for draw in range(2)
    )  # fmt: skip
    about = {
        "occurred_us": 1, "producer": STAMP, "visibility": PRIVATE, "run_id": run_named("r"), "job_id": f"{run_named('r')}/t/0/0",
        "attempt": 1, "task": "t", "build_id": "b", "ordinal": 0, "repeat": 0, "seed": 1, "arguments_sha": "", "answers": answers,
    }  # fmt: skip
    return SampleAnswered.model_validate(about | told)


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_event_opens_as_it_was(event: type[Event], data: st.DataObject) -> None:
    """Through the codec too. Sealed it has the same id, key and figures, and no text; sealed again it is the same, and so it is told."""
    one = plainly(data.draw(events(event)))
    assume(not any(is_sealed(text) for text in texts(one)))
    closed = sealed(one, KEY)
    assert all(is_sealed(text) for text in texts(closed)) and len(texts(closed)) == len(texts(one))
    codec = Codec({event.__name__: 1})
    codec.learn(1, avro_schema(event))
    read = codec.decode(codec.encode(closed), event)
    assert read == closed == sealed(closed, OTHER)
    assert opened(read, keys) == one
    assert (closed.event_id, closed.partition_key(), told(closed)) == (one.event_id, one.partition_key(), told(one))


def test_nothing_of_a_text_is_left_in_what_is_sealed() -> None:
    """Of a request: neither its definition nor its system text; what says nothing of the client's stays."""
    chat = Chat(system=SECRET, template="model")
    request = EvaluationRequested(
        occurred_us=1, producer=STAMP, run_id=run_named("r"), model=ModelRef(uri="m"), visibility=PRIVATE, chat=chat,
        tasks=(TaskChoice(name="t", definition=f"task: {SECRET}"),),
        judgements=(Judgement(task="j", model=ModelRef(uri="m"), engine=EngineChoice(), chat=chat),),
    )  # fmt: skip
    closed = sealed(request, KEY)
    assert SECRET not in closed.model_dump_json()
    assert closed.chat.template == "model" and closed.chat.system != closed.judgements[0].chat.system
    assert str(closed.tasks[0].definition).startswith(f"{MARK}{KEY.key_id}:")
    assert opened(closed, keys) == request
    assert all(one in NOBODYS for one in (None, "model"))


def test_what_stands_in_a_text_s_place_is_no_text() -> None:
    """It is not sealed: who recomputes what was said finds it equal, without a key too."""
    asked = EvaluationRequested(
        occurred_us=1, producer=STAMP, run_id=run_named("r"), model=ModelRef(uri="m"), visibility=PRIVATE,
        tasks=(TaskChoice(name="t", definition=SECRET),), chat=Chat(system=SECRET, template=SECRET),
    )  # fmt: skip
    bare = told(asked)
    assert bare.chat.system == bare.chat.template == bare.tasks[0].definition == WITHHELD
    assert sealed(bare, KEY) == bare


def test_the_same_text_at_the_same_place_is_sealed_alike_and_elsewhere_otherwise() -> None:
    """So a repeated event is the same; two answers of one text do not show that they are."""
    one, again = sealed(answered(), KEY), sealed(answered(), KEY)
    assert one == again
    alike = answered(answers=tuple(answer.model_copy(update={"output": Text.plain(SECRET)}) for answer in answered().answers))
    outputs = {answer.output.bytes for answer in sealed(alike, KEY).answers if answer.output}
    nonces = {answer.output.nonce for answer in sealed(alike, KEY).answers if answer.output}
    assert len(outputs) == len(nonces) == 2
    assert sealed(answered(), OTHER).answers[0].output != one.answers[0].output


@pytest.mark.parametrize("name", ["run_id", "build_id", "ordinal", "repeat", "organisation_id"])
def test_a_text_that_is_moved_to_another_event_does_not_open(name: str) -> None:
    """Of another run, build, sample or organisation."""
    closed = sealed(answered(), KEY)
    other = {"run_id": run_named("q"), "build_id": "c", "ordinal": 1, "repeat": 1, "organisation_id": "theirs"}[name]
    with pytest.raises(Permanent, match="is not what was sealed there") as refused:
        opened(closed.model_copy(update={name: other}), keys)
    assert refused.value.code == ALTERED
    assert opened(closed.model_copy(update={"occurred_us": 9, "attempt": 7}), keys).answers == answered().answers


@pytest.mark.parametrize("how", ["swapped", "other field", "bytes", "nonce", "key", "tag"])
def test_a_text_that_is_altered_or_stands_elsewhere_in_its_event_does_not_open(how: str) -> None:
    """Not by a bit."""
    closed = sealed(answered(), KEY)
    first, second = closed.answers
    text = first.output
    assert text is not None and text.nonce is not None
    inside: dict[str, dict[str, Any]] = {
        "bytes": {"bytes": bytes([text.bytes[0] ^ 1]) + text.bytes[1:]}, "nonce": {"nonce": bytes(12)}, "key": {"key_id": OTHER.key_id},
        "tag": {"bytes": text.bytes[:-1]},
    }  # fmt: skip
    fields = {"swapped": {"output": second.output}, "other field": {"output": None, "reasoning": text}}
    altered = first.model_copy(update=fields.get(how) or {"output": text.model_copy(update=inside.get(how))})
    with pytest.raises(Permanent, match=r"answers\.0\.") as refused:
        opened(closed.model_copy(update={"answers": (altered, second)}), keys)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("told", [MARK, f"{MARK}{KEY.key_id}:", f"{MARK}{KEY.key_id}:%%", f"{MARK}{KEY.key_id}:AAAA"])
def test_what_only_looks_sealed_is_refused(told: str) -> None:
    """And no other error."""
    request = EvaluationRequested(
        occurred_us=1, producer=STAMP, run_id=run_named("r"), model=ModelRef(uri="m"), visibility=PRIVATE, chat=Chat(system=told),
    )  # fmt: skip
    with pytest.raises(Permanent, match="is not what was sealed there"):
        opened(request, lambda _: KEY)


FORGED = (
    f"{MARK}x:{SECRET}",
    f"{MARK}0000456789abcdef-1:{b64encode(bytes(40)).decode()}",
    f"{MARK}{KEY.key_id}:",
    f"{MARK}{KEY.key_id}:{b64encode(bytes(40)).decode()}",
    MARK,
)


@pytest.mark.parametrize("told", FORGED)
def test_a_text_that_begins_as_sealed_ones_do_is_sealed_as_any_other(told: str) -> None:
    """A model's or a person's: it is not in the log as it is, and opens as it was; sealed again it is the same."""
    about: dict[str, Any] = {"occurred_us": 1, "producer": STAMP, "visibility": PRIVATE}
    failed = RunChanged.model_validate(about | {"run_id": run_named("r"), "state": "failed", "reason_code": "x", "message": told})
    letter = DeadLettered.model_validate(
        about | {"topic": "t", "partition": 0, "offset": 1, "reason_code": "c", "message": "m", "payload": told.encode() + bytes(40)}
    )
    for one in (failed, letter):
        closed = sealed(one, KEY)
        assert SECRET not in repr(closed) and closed != one and sealed(closed, KEY) == closed == sealed(closed, OTHER)
        assert opened(closed, keys) == one


@pytest.mark.parametrize("told", FORGED)
def test_a_private_request_s_text_that_begins_as_sealed_ones_do_is_refused(told: str) -> None:
    """With the field; of a run that is told to all it is a text."""
    request = EvaluationRequested(
        occurred_us=1, producer=STAMP, run_id=run_named("r"), model=ModelRef(uri="m"), visibility=PRIVATE, chat=Chat(system=told),
        tasks=(TaskChoice(name="t"),),
    )  # fmt: skip
    with pytest.raises(Invalid, match=r"chat\.system begins with 'assay-sealed-1:'") as refused:
        planning.check(request)
    assert refused.value.code == "sealed-mark"
    planning.check(request.model_copy(update={"visibility": "organisation"}))
    planning.check(request.model_copy(update={"chat": Chat(system=f" {told}")}))


def test_a_job_opens_in_its_lease_as_in_its_plan() -> None:
    """The dispatcher passes it on as it is; in another job it does not open."""
    job: dict[str, Any] = {
        "run_id": run_named("r"), "job_id": f"{run_named('r')}/t/0/0", "kind": "answer", "pool": "p", "submitter": "s",
        "organisation_id": "local", "priority": 0, "model": {"uri": "m"}, "engine": {}, "chat": {"system": SECRET},
        "generation_json": f'{{"until": ["{SECRET}"]}}',
    }  # fmt: skip
    about = {"occurred_us": 1, "producer": STAMP, "visibility": PRIVATE, "run_id": job["run_id"], "pool": "p"}
    planned = sealed(JobPlanned.model_validate(about | {"job_id": job["job_id"], "job": job}), KEY)
    lease = JobReleased.model_validate(about | {"job_id": job["job_id"], "job": planned.job, "term": 1, "kind": "release"})
    assert sealed(lease, KEY) == lease
    found = opened(lease, keys).job
    assert (
        SECRET not in repr(lease) and found is not None and (found.chat.system, found.generation_json) == (SECRET, job["generation_json"])
    )
    other = f"{run_named('r')}/t/0/256"
    with pytest.raises(Permanent):
        opened(lease.model_copy(update={"job_id": other, "job": planned.job.model_copy(update={"job_id": other})}), keys)


def test_a_score_s_parts_open_without_their_event() -> None:
    """As the settler holds them, by run, task, sample, scorer, filter and metric; plain ones are as they are."""
    about: dict[str, Any] = {
        "organisation_id": "o", "run_id": run_named("r"), "task": "t", "ordinal": 3, "repeat": 1, "scorer_version": "1", "filter": "none",
        "metric": "bleu",
    }  # fmt: skip
    score = SampleScored.model_validate(about | {
        "occurred_us": 5, "producer": STAMP, "visibility": PRIVATE, "doc_id": 8, "value": 0.5, "parts_json": f'["{SECRET}"]',
    })  # fmt: skip
    held = str(sealed(score, KEY).parts_json)
    assert part_opened(held, keys, **about) == score.parts_json
    assert part_opened("[1]", keys, **about) == "[1]"
    with pytest.raises(Permanent):
        part_opened(held, keys, **about | {"ordinal": 4})


def test_a_hash_of_texts_is_another_without_the_key() -> None:
    """Nobody confirms a guess by it; the same text has the same name under one key."""
    assert keyed("sha", KEY) == keyed("sha", KEY) != keyed("sha", OTHER)
    assert len(keyed("sha", KEY)) == 64 and keyed("sha", KEY) != keyed("shb", KEY)


def test_what_fits_into_a_record_fits_sealed() -> None:
    """Answers are cut to what is left of a record when their texts are sealed."""
    most = 200_000
    long = answered(answers=tuple(answer.model_copy(update={"output": Text.plain("x" * 150_000)}) for answer in answered().answers))
    fitting = answered_within(long, most_bytes=room(most, texts=6))
    assert size(sealed(fitting, KEY)) <= most < size(long)
