"""The extremes of every field of every event: refused at decoding with words, or survived by all that is pure behind it."""

import asyncio
import json
import math
from contextlib import suppress
from typing import Any

import pytest

from infra.kafka.decoding import Decoding
from infra.settings import Settings
from schemas.catalogue import EVENTS
from schemas.codec import Undecodable
from schemas.event import Double, Event, Finite
from schemas.jobs import EnvironmentSeen, JobReleased
from schemas.measurements import RequestTimed, ResourceRead, TokensTimed
from schemas.released import released_codec
from schemas.requests import EvaluationRequested
from schemas.results import PricePublished
from schemas.runs import RunChanged
from schemas.settled import RunSettled
from schemas.trust import DeadLettered, RunSealed
from streams import planning
from streams.boards.books import Books
from streams.errors import Invalid
from streams.money.costs import summaries
from streams.money.prices import PriceBook
from streams.projection import plain, row
from streams.queue import limits
from streams.queue.dispatch import Pool
from streams.queue.keeping import dumped, loaded, picture
from streams.settling.dumping import canonical
from streams.settling.dumping import dumped as settling_dumped
from streams.settling.dumping import loaded as settling_loaded
from streams.settling.runs import OpenRuns
from streams.speed.performance import Speed
from streams.topics import BY_EVENT, jobs_topic
from streams.trust.chains import Chains
from streams.trust.ledger import Ledger
from streams.trust.ledger import dumped as ledger_dumped
from streams.trust.ledger import loaded as ledger_loaded
from streams.trust.stretches import SEALED_TOPICS, run_of_key
from tests.extremes import leaves, sent
from tests.pool import STAMP, Told
from tests.stored.write import LOAD, filled
from tests.unit.test_speed import ALONE, meter, read, tokens

CODEC = released_codec()
LEAST_TAKEN = 0.5  # of what is sent; were all refused for one fault, the others would be tested nowhere
PLANNED = filled(RunChanged)
SEEN: EnvironmentSeen = filled(EnvironmentSeen)  # type: ignore[assignment]
PRICES = tuple(
    PricePublished(
        occurred_us=0, producer=STAMP, item=item, region="any", currency="USD", amount_nano=10**9, unit=unit, valid_from_us=-(2**63),
        valid_to_us=None, source="test", version="1",
    )
    for item, unit in (("cpu_hour", "core-hour"), (f"gpu_hour:{SEEN.devices[0].name}", "device-hour"), ("kwh", "kWh"))
)  # fmt: skip
# A load of a constant rate: its requests, their tokens, and a meter's readings.
MEASURED = [one for request in ALONE for one in (request, tokens(request))] + [read(at, meter(at)) for at in range(0, 6000, 250)]

# What makes a measurement one of that load's, whose figures are reckoned with it.
COUNTED: dict[type[Event], dict[str, Any]] = {
    RequestTimed: {"attempt": 1, "phase": "steady", "status": "ok"}, TokensTimed: {"attempt": 1, "request_index": 2},
    ResourceRead: {"attempts": (1,), "boot_id": ALONE[0].clock.boot_id, "mono_ns": 2_600_000_000},
}  # fmt: skip


def survived(event: Event) -> None:
    """Raises, where anything pure breaks over an event that was decoded."""
    assert CODEC.decode(CODEC.encode(event), type(event)) == event
    json.dumps(plain(event), allow_nan=False)
    assert all(isinstance(cell, str | int | float | tuple | None) for cell in row(event, partition=0, offset=1, written_us=2))
    told = Told(Pool("text ü", lease_us=1)).tell(event, event)
    told.decide(2)
    told.waits(3)
    state = dumped(picture(told.pool))
    assert dumped(picture(loaded(state, Pool("text ü")))) == state
    settled_with(event)
    summed_up_with(event)
    kept_for_a_seal(event)
    if isinstance(event, EvaluationRequested):
        for check in (planning.check, lambda asked: limits.check(asked, asked_us=1)):
            try:
                check(event)
            except Invalid as refusal:
                assert str(refusal) and len(str(refusal)) < 1000


def kept_for_a_seal(event: Event) -> None:
    """Raises, where what a sealer knows breaks over an event, or cannot be kept with it."""
    ledger, again, run_id = Ledger(Chains()), Ledger(Chains()), run_of_key(event.partition_key())
    if isinstance(event, RunSealed):
        assert ledger.seal(event) is not None
    if run_id is None or BY_EVENT.get(type(event)) not in SEALED_TOPICS:
        return
    at = (BY_EVENT[type(event)].name, 3)
    ledger.meets(run_id, at, 7)
    assert not ledger.fold(event, run_id, at, 7)
    ledger_loaded(json.loads(json.dumps(ledger_dumped(ledger))), again)
    assert again.open.keys() == ledger.open.keys()
    again.due({at: 8})


def settled_with(event: Event) -> None:
    """Raises, where what holds open runs, boards or prices breaks over an event, or cannot be kept with it."""
    runs, books, book = OpenRuns(), Books(), PriceBook()
    for told in (PLANNED, event):
        runs.fold(told, offset=0)  # type: ignore[arg-type]
        with suppress(Invalid):  # its reason is its dead letter's
            books.fold(told)  # type: ignore[arg-type]
    assert canonical(settling_loaded(settling_dumped(runs))) == canonical(runs)
    list(books.changed(tuple(books.touched)))
    if isinstance(event, PricePublished):
        with suppress(Invalid):  # its reason is its dead letter's
            book.fold(event)
    if isinstance(event, RunSettled):
        for one in PRICES:
            book.fold(one)
        with suppress(Invalid):  # its reason is its dead letter's
            assert bool(list(summaries(event, book, {SEEN.sha: SEEN}))) == bool((event.attempts or event.attempts_untold) and event.plan)


def summed_up_with(event: Event) -> None:
    """Raises, where the speed of an ordinary load breaks over a measurement beside its own; Invalid says why there is none."""
    if not isinstance(event, RequestTimed | TokensTimed | ResourceRead):
        return
    for counted in ({}, COUNTED[type(event)]):
        speed = Speed(LOAD)
        for one in (*MEASURED, event.model_copy(update=counted)):
            speed.add(one)
        with suppress(Invalid):
            speed.summary()


def refused(payload: bytes, fault: Undecodable) -> None:
    """Raises, where a refusal does not say why, or its dead letter is no event itself."""
    assert fault.code == "invalid-event" and 10 < len(str(fault)) < 1000
    letter = DeadLettered(
        occurred_us=1, producer=STAMP, topic="t", partition=0, offset=0, reason_code=fault.code, message=str(fault), payload=payload
    )
    survived(letter)


async def decoded(name: str, payloads: list[bytes]) -> list[Event | Undecodable]:
    """What every reader of that event's topic makes of each of its records."""
    topic = jobs_topic("default") if EVENTS[name] is JobReleased else BY_EVENT[EVENTS[name]]
    decoding, read = Decoding(Settings()), list[Event | Undecodable]()
    decoding.codec = CODEC
    for payload in payloads:
        try:
            read.append(await decoding.decode(topic.name, payload))
        except Undecodable as fault:
            read.append(fault)
    return read


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_the_extremes_of_every_field_are_refused_with_words_or_survived(name: str) -> None:
    """One at a time."""
    records = list(sent(name))
    read = asyncio.run(decoded(name, [payload for *_, payload in records]))
    for (way, hint, extreme, payload), made in zip(records, read, strict=True):
        if isinstance(made, Undecodable):
            refused(payload, made)
        else:
            assert not (isinstance(extreme, float) and math.isnan(extreme)), way
            assert not (hint is Finite and math.isinf(extreme)), way
            survived(made)
    assert sum(isinstance(made, Event) for made in read) / len(records) > LEAST_TAKEN


def test_numbers_that_may_be_infinite_are_those_of_likelihoods_and_figures() -> None:
    """By the names of their fields; what is measured or stated must be finite, and whoever adds one says which it is."""
    ways = [way for event in EVENTS.values() for way, hint in leaves(event, ()) if hint is Double]
    assert {next(part for part in reversed(way) if isinstance(part, str)) for way in ways} == {
        "audit", "between", "between_setups", "difference", "gain", "goodput_per_s", "high", "joules_per_token", "loglikelihood", "loss",
        "low", "output_tokens_per_s", "run", "score", "service_s", "stderr", "usd", "usd_per_hour", "value", "within",
    }  # fmt: skip


def test_no_number_is_left_without_saying_whether_it_may_be_infinite() -> None:
    """Else the next that is added would take NaN."""
    assert [(name, way) for name, event in EVENTS.items() for way, hint in leaves(event, ()) if hint is float] == []
