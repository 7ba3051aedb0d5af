"""Events to bytes and back."""

import base64
import io
import json
import re
import struct
from typing import Any
from uuid import UUID

import fastavro
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.catalogue import EVENTS
from schemas.codec import Codec, Undecodable, UnknownSchema
from schemas.event import Producer, Text, derive_id, derive_run_id
from schemas.released import Release, released_codec, releases, stale
from schemas.requests import CancellationRequested, EvaluationRequested, ModelRef
from tests.runs import run_named
from tests.stored.write import FILE
from tests.strategies import events

R = run_named("r")

CODEC = released_codec()
STORED = json.loads(FILE.read_text())
STAMP = Producer(service="test", version="0")


def cancellation(run_id: str = R) -> CancellationRequested:
    """A small event."""
    return CancellationRequested(occurred_us=1, producer=STAMP, run_id=run_id, by="me")


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_every_event_survives_the_wire(name: str) -> None:
    """What is encoded is decoded again, equal."""

    @settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
    @given(events(EVENTS[name]))
    def check(event: object) -> None:
        assert isinstance(event, EVENTS[name])
        assert CODEC.decode(CODEC.encode(event), EVENTS[name]) == event

    check()


def test_the_frame_is_confluents() -> None:
    """A zero byte, then the schema id in four bytes, big end first."""
    magic, schema_id = struct.unpack_from(">bI", CODEC.encode(cancellation()))
    ids = {release.event: release.schema_id for release in releases()}
    assert (magic, schema_id) == (0, ids["CancellationRequested"])


def test_the_committed_schemas_are_those_of_the_models() -> None:
    """No model has drifted from its released schema."""
    assert stale() == ()


def test_an_event_of_an_older_schema_is_decoded_with_the_defaults_of_the_newer() -> None:
    """A writer that does not know a field leaves it at its default."""
    old = next(release for release in releases() if release.event == "CancellationRequested").schema
    old = {**old, "fields": [field for field in old["fields"] if field["name"] != "message"]}
    writer = Codec({"CancellationRequested": 1000})
    payload = CODEC.encode(cancellation())
    reader = released_codec()
    reader.learn(1000, old)
    shorter = struct.pack(">bI", 0, 1000) + payload[5:-1]  # its last field, the empty message, is one byte
    assert reader.decode(shorter, CancellationRequested) == cancellation()
    with pytest.raises(UnknownSchema, match="1000"):
        writer.decode(shorter, CancellationRequested)


@given(st.binary(max_size=40))
def test_bytes_that_are_no_event_are_refused_with_a_reason(payload: bytes) -> None:
    """Whatever the bytes, the answer is Undecodable or an event, never another error."""
    try:
        CODEC.decode(payload, EvaluationRequested)
    except Undecodable as fault:
        assert fault.code in {"not-avro", "unknown-schema", "corrupt-avro", "invalid-event"}


def test_an_id_is_derived_from_what_the_event_is_about() -> None:
    """The same subject gives the same id, whoever writes it and whenever; another subject another."""
    again = CancellationRequested(occurred_us=2, producer=Producer(service="other", version="9"), run_id=R, by="you")
    assert again.event_id == cancellation().event_id != cancellation(run_named("r2")).event_id


IDS = ("run_id", "parent_run", "against_run", "audit_run", "audit_of", "speed_run", "runs")


def with_run(told: Any, name: str, value: str) -> Any:
    """What an event says, with another value wherever it names a run under that name."""
    if isinstance(told, dict):
        own = {key: [value] if key == name == "runs" else value if key == name else with_run(one, name, value) for key, one in told.items()}
        return own
    return [with_run(one, name, value) for one in told] if isinstance(told, tuple | list) else told


WRONG = ("a/b", "", "r1", R.upper(), R.replace("-", ""), f"{{{R}}}", f" {R}", f"{R}\n", derive_id("a run"), str(UUID(int=0)), f"{R}/perf")


@pytest.mark.parametrize("release", releases(), ids=lambda one: f"{one.event}.v{one.version}")
def test_a_run_is_named_by_a_uuid7_in_its_one_form_or_the_event_is_refused(release: Release) -> None:
    """In every event, under every name that a run has there, of every released version; with the value and what to do."""
    stored = next(row for row in STORED if (row["event"], row["version"]) == (release.event, release.version))
    schema = fastavro.parse_schema(release.schema)
    fields = fastavro.schemaless_reader(io.BytesIO(base64.b64decode(stored["payload"])[5:]), schema, None)
    for name in IDS:
        for wrong in WRONG:
            if (told := with_run(fields, name, wrong)) == fields:
                continue
            out = io.BytesIO(struct.pack(">bI", 0, release.schema_id))
            out.seek(5)
            fastavro.schemaless_writer(out, schema, told)
            with pytest.raises(Undecodable, match=re.escape(f"{name}")) as refused:
                CODEC.decode(out.getvalue(), EVENTS[release.event])
            assert f"{wrong[:60]!r} is no run's id; draw a UUIDv7" in str(refused.value)


def test_a_run_that_another_brings_about_is_of_its_time() -> None:
    """Else the newest of a model's runs would not be known by its id; what was named by hand has no time."""
    run_id = derive_run_id("Judgement", R, 0)
    assert run_id == derive_run_id("Judgement", R, 0) != derive_run_id("Judgement", R, 1)
    assert (UUID(run_id).version, run_id[:13], run_id == R) == (7, R[:13], False)
    assert UUID(derive_run_id("Batch", "mine", 0)).int >> 80 == 0


def test_a_model_and_its_text_round_trip() -> None:
    """A request with everything left out is whole."""
    request = EvaluationRequested(occurred_us=1, producer=STAMP, run_id=R, model=ModelRef(uri="m"))
    assert CODEC.decode(CODEC.encode(request), EvaluationRequested) == request
    assert Text.plain("grüß").read() == "grüß"
