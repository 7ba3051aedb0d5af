"""What of an event leaves the log: of a private one no text, of any other all of it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.builds import TaskBuilt
from schemas.catalogue import EVENTS
from schemas.event import Event, Producer, Record, Text, Visibility
from schemas.requests import Chat, EvaluationRequested, ModelRef, TaskChoice, TaskPart
from schemas.runs import RunChanged
from schemas.trust import AccessChanged
from streams.errors import Invalid
from streams.projection import plain, row
from streams.quality.judging import check_visibility
from streams.trust.privacy import NOBODYS, PRIVATE, QUOTING, WITHHELD, WITHHELD_HASH, of_build, told
from tests.runs import run_named
from tests.strategies import events

R = run_named("r")

MARKER = "sesame-opens-the-mountain"


def parts(value: Any) -> Iterator[Any]:
    """Every record and text within a value, itself too."""
    yield value
    if isinstance(value, Record):
        for name in type(value).model_fields:
            yield from parts(getattr(value, name))
    elif isinstance(value, tuple):
        for one in value:
            yield from parts(one)


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_of_a_private_event_no_text_is_told(event: type[Event], data: st.DataObject) -> None:
    """However deep it lies; what is no text stays, and so do its id and its key."""
    one = data.draw(events(event)).model_copy(update={"visibility": PRIVATE})
    shown = told(one)
    texts = [part for part in parts(shown) if isinstance(part, Text)]
    quoting = [getattr(part, name) for part in parts(shown) for name in QUOTING.get(type(part), ())]
    assert {text.read() for text in texts} <= {WITHHELD}
    assert all(said in (*NOBODYS, WITHHELD, WITHHELD.encode()) for said in quoting)
    assert (shown.event_id, shown.partition_key()) == (one.event_id, one.partition_key())
    assert told(shown) == shown
    assert type(one).model_validate(shown.model_dump()) == shown


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_of_any_other_event_all_is_told(event: type[Event], data: st.DataObject) -> None:
    """It is told as it is; of an API key not even then its hash."""
    one = data.draw(events(event)).model_copy(update={"visibility": "organisation"})
    if isinstance(one, AccessChanged) and one.key_hash is not None:
        assert told(one) == one.model_copy(update={"key_hash": WITHHELD_HASH})
    else:
        assert told(one) is one


def asked(visibility: Visibility, *, chat: Chat | None = None, definition: str | None = None) -> EvaluationRequested:
    """A request of one task."""
    return EvaluationRequested(
        occurred_us=1, producer=Producer(service="test", version="1"), run_id=R, model=ModelRef(uri="m"), visibility=visibility,
        tasks=(TaskChoice(name="t", definition=definition, file="t", parts=(TaskPart(path="p", text=definition),) if definition else ()),),
        chat=chat or Chat(),
    )  # fmt: skip


def test_a_request_tells_its_definition_and_its_system_text_only_where_it_is_not_private() -> None:
    """Neither as a row nor as JSON; that there was one is told."""
    chat = Chat(system=MARKER, template="model")
    for visibility, there in (("organisation", True), ("private", False)):
        one = asked(visibility, chat=chat, definition=MARKER)  # type: ignore[arg-type]  # a pair's first is a str
        cells = row(one, partition=0, offset=0, written_us=0)
        assert (MARKER in str(cells)) is there
        assert (MARKER in json.dumps(plain(told(one)))) is there
    assert told(one).chat == Chat(system=WITHHELD, template="model")
    assert told(one).tasks[0].definition == WITHHELD
    assert told(one).tasks[0].parts == (TaskPart(path="p", text=WITHHELD),)


@pytest.mark.parametrize(
    ("chat", "definition", "judges", "visibility"),
    [
        (Chat(), None, False, "public"), (Chat(template="model"), None, False, "public"), (Chat(), MARKER, False, "private"),
        (Chat(system=MARKER), None, False, "private"), (Chat(template=MARKER), None, False, "private"), (Chat(), None, True, "private"),
    ],
)  # fmt: skip
def test_a_build_is_seen_as_its_request_where_its_texts_are_the_requests_own(
    chat: Chat, definition: str | None, judges: bool, visibility: Visibility
) -> None:
    """What a public task asks is no secret."""
    for of_request, expected in (("private", visibility), ("organisation", "public" if visibility == "public" else "organisation")):
        request = asked(of_request, chat=chat, definition=definition)  # type: ignore[arg-type]  # a pair's first is a str
        assert of_build(request, request.tasks[0], judges=judges) == expected


def test_what_a_private_run_answered_is_judged_in_private() -> None:
    """Any other judgement is refused, with what to do."""
    check_visibility(asked("private"), R, "private")
    check_visibility(asked("organisation"), R, "organisation")
    with pytest.raises(Invalid, match=f"run {R} is private: ask for its judgement in private too"):
        check_visibility(asked("organisation"), R, "private")


def test_an_error_of_validation_quotes_nothing() -> None:
    """For it may be logged."""
    with pytest.raises(ValueError, match="occurred_us") as refused:
        TaskBuilt.model_validate({"occurred_us": MARKER})
    assert MARKER not in str(refused.value)


@pytest.mark.parametrize(
    ("code", "state", "there"),
    [
        ("planning-broke", "rejected", False), ("cannot-settle", "failed", False), ("task-definition", "rejected", False),
        ("engine-failed", "failed", False), ("generation", "rejected", False), ("a-code-to-come", "failed", False), (None, "failed", False),
        ("model-not-found", "rejected", True), ("deadline", "cancelled", True), ("truncated", "failed", True),
    ],
)  # fmt: skip
def test_why_a_private_run_ended_is_told_only_in_words_that_quote_nothing(code: str | None, state: Any, there: bool) -> None:
    """The code is always told; of any other run, all of it."""
    cases: tuple[tuple[Visibility, bool], ...] = (("private", there), ("organisation", True))
    for visibility, shown in cases:
        change = RunChanged(
            occurred_us=1, producer=Producer(service="test", version="1"), run_id=R, state=state, reason_code=code, message=MARKER,
            visibility=visibility,
        )  # fmt: skip
        assert (told(change).message == MARKER) is shown
        assert told(change).reason_code == code
