"""Events to bytes and back."""

import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.catalogue import EVENTS
from schemas.codec import Codec, Undecodable, UnknownSchema
from schemas.event import Producer, Text
from schemas.released import released_codec, releases, stale
from schemas.requests import CancellationRequested, EvaluationRequested, ModelRef
from tests.strategies import events

CODEC = released_codec()
STAMP = Producer(service="test", version="0")


def cancellation(run_id: str = "r1") -> CancellationRequested:
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
    again = CancellationRequested(occurred_us=2, producer=Producer(service="other", version="9"), run_id="r1", by="you")
    assert again.event_id == cancellation().event_id != cancellation("r2").event_id


def test_a_model_and_its_text_round_trip() -> None:
    """A request with everything left out is whole."""
    request = EvaluationRequested(occurred_us=1, producer=STAMP, run_id="r", model=ModelRef(uri="m"))
    assert CODEC.decode(CODEC.encode(request), EvaluationRequested) == request
    assert Text.plain("grüß").read() == "grüß"
