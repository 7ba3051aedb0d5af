"""Canonical bytes, trees, chains of seals, and what a sealer knows of runs."""

import io
import json
import struct
from typing import Any

import assay_verify
import fastavro
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.catalogue import EVENTS
from schemas.event import Event
from schemas.requests import EvaluationRequested, ModelRef
from schemas.results import SampleScored
from schemas.runs import RunChanged
from schemas.settled import RunSettled, TaskSettled
from schemas.trust import RunSealed, Stretch
from streams.topics import REQUESTS, RESULTS, RUNS, SCORES
from streams.trust import merkle
from streams.trust.chains import Chains
from streams.trust.ledger import Ledger, dumped, loaded
from streams.trust.statements import endorsed, raw
from streams.trust.stretches import holds, packed, run_of_key, stretches_of, unpacked
from tests.runs import run_named
from tests.sealed import CODEC, STAMP, key_of, link_of
from tests.strategies import events

R, OTHER = run_named("r"), run_named("other")
KEY, NEW, FOREIGN = key_of(1), key_of(2), key_of(3)
sizes = st.integers(1, 40)


def hashes(count: int) -> list[bytes]:
    """So many leaves."""
    return [merkle.leaf_hash(str(number).encode()) for number in range(count)]


# --- Canonical bytes


def encoded_otherwise(payload: bytes, schema: dict[str, Any]) -> bytes:
    """The same record as another producer may write it: every array and map in blocks of one, with their sizes in bytes."""
    told = fastavro.schemaless_reader(io.BytesIO(payload[5:]), schema, None)
    return payload[:5] + b"".join(_blocks(told, schema["fields"]))


def _long(value: int) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, {"type": "long"}, value)
    return out.getvalue()


def _blocks(told: Any, fields: list[dict[str, Any]]) -> Any:
    for field in fields:
        value, kind = told[field["name"]], field["type"]
        if isinstance(kind, dict) and kind["type"] == "map":
            for name in sorted(value, reverse=True):
                out = io.BytesIO()
                fastavro.schemaless_writer(out, {"type": "map", "values": kind["values"]}, {name: value[name]})
                item = out.getvalue()[1:-1]  # without its count, and the end
                yield _long(-1) + _long(len(item)) + item
            yield b"\x00"
        else:
            out = io.BytesIO()
            fastavro.schemaless_writer(out, kind, value)
            yield out.getvalue()


def test_one_event_has_one_form_however_its_producer_wrote_it() -> None:
    """Maps in other blocks and orders are other bytes, and the same canonical ones."""
    request = EvaluationRequested(occurred_us=1, producer=STAMP, run_id=R, model=ModelRef(uri="m"), labels={"b": "2", "a": "1", "c": "3"})
    payload = CODEC.encode(request)
    schema = CODEC.writer(payload).schema
    flat = {**schema, "fields": [field for field in schema["fields"] if field["name"] in ("event_id", "labels")]}
    CODEC.learn(1000, flat)
    out = io.BytesIO()
    fastavro.schemaless_writer(out, flat, {"event_id": "e", "labels": request.labels})
    own = struct.pack(">bI", 0, 1000) + out.getvalue()
    other = encoded_otherwise(own, flat)
    assert other != own
    assert CODEC.canonical(other, EvaluationRequested) == CODEC.canonical(own, EvaluationRequested)


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_canonical_bytes_say_all_that_an_event_says(name: str) -> None:
    """Two events have the same ones only where they are equal; and they begin with the event's name."""

    @settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
    @given(events(EVENTS[name]), events(EVENTS[name]))
    def check(one: Event, other: Event) -> None:
        forms = [CODEC.canonical(CODEC.encode(event), EVENTS[name]) for event in (one, other)]
        assert (forms[0] == forms[1]) == (one == other)
        assert forms[0].startswith(name.encode() + b"\x00")

    check()


# --- Trees


@given(sizes, st.data())
def test_a_leaf_is_proved_to_be_in_its_tree_and_no_other_leaf_is(size: int, data: st.DataObject) -> None:
    """By the verifier's own code, at every size."""
    leaves = hashes(size)
    index, wrong = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size - 1))
    path, root = merkle.inclusion(leaves, index), merkle.root_of(leaves)
    assert assay_verify.included(leaves[index], index, size, path, root)
    assert assay_verify.included(leaves[wrong], wrong, size, path, root) == (wrong == index)
    assert not assay_verify.included(leaves[index], index, size, [*path, root], root)


@given(sizes, st.data())
def test_a_tree_is_proved_to_go_on_from_an_earlier_one(size: int, data: st.DataObject) -> None:
    """And from no tree of which a leaf was another."""
    leaves, first = hashes(size), data.draw(st.integers(1, size))
    path, before, after = merkle.consistency(leaves, first), merkle.root_of(leaves[:first]), merkle.root_of(leaves)
    assert assay_verify.consistent(first, size, before, after, path)
    altered = hashes(size)
    altered[data.draw(st.integers(0, first - 1))] = merkle.leaf_hash(b"altered")
    if first < size:
        assert not assay_verify.consistent(first, size, before, merkle.root_of(altered), merkle.consistency(altered, first))
    assert not assay_verify.consistent(first, size, merkle.root_of(altered[:first]), after, path)


def test_the_root_is_that_of_rfc_6962() -> None:
    """Of nothing, of one leaf, and of three: the tree is split at the largest power of two."""
    one, two, three = hashes(3)
    assert merkle.root_of([]).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert merkle.leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert merkle.root_of([one]) == one
    assert merkle.root_of([one, two, three]) == merkle.node_hash(merkle.node_hash(one, two), three)


# --- Chains


def chain_of(*runs: str) -> tuple[Chains, list[RunSealed]]:
    """A chain that has sealed these runs, and its links."""
    chains, links = Chains(frozenset({raw(KEY)})), list[RunSealed]()
    for run_id in runs:
        links.append(link_of(chains, run_id, KEY))
        assert chains.fold(links[-1]) is None
    return chains, links


def test_of_two_sealers_links_of_one_number_the_first_counts() -> None:
    """The second is void, and goes behind it: one chain."""
    chains, _ = chain_of(run_named(0))
    mine, yours = (link_of(chains, run_id, KEY) for run_id in (R, OTHER))
    assert chains.fold(mine) is None
    assert "by another sealer" in (chains.fold(yours) or "")
    assert chains.fold(link_of(chains, OTHER, KEY)) is None
    assert chains.own and chains.own.tree.size == 3


def test_two_sealers_that_begin_at_once_make_one_chain() -> None:
    """The first to begin it has begun it."""
    chains = Chains(frozenset({raw(KEY)}))
    mine, yours = link_of(chains, R, KEY, begins="mine"), link_of(chains, OTHER, KEY, begins="yours")
    assert chains.fold(mine) is None and chains.is_own(mine)
    chains.fold(yours)
    assert not chains.is_own(yours)
    assert link_of(chains, OTHER, KEY).chain == "mine"


@given(st.integers(0, 5), st.sampled_from(sorted(RunSealed.model_fields)))
def test_a_link_of_which_anything_that_is_signed_was_altered_does_not_count(at: int, name: str) -> None:
    """Every field that the statement says, at any place of a chain."""
    _, links = chain_of(*map(run_named, range(6)))
    changed: dict[str, Any] = {
        "run_id": OTHER, "root": "00", "previous_seal": "00", "key_id": "00", "signature": b"\x00" * 64, "chain": "x", "position": 77,
        "chain_root": "00", "events": 7, "settled": "x", "scorers": ("x",), "public_key": raw(FOREIGN),
        "stretches": (Stretch(topic="t", partition=0, first=0, end=1),),
    }  # fmt: skip
    fresh = Chains(frozenset({raw(KEY)}))
    for link in links[:at]:
        fresh.fold(link)
    if name in changed:
        assert fresh.fold(links[at].model_copy(update={name: changed[name]})) is not None


def test_a_chain_with_a_hole_is_gone_on_with_by_a_new_one_that_names_the_old() -> None:
    """Nothing behind the hole counts."""
    _, links = chain_of(*map(run_named, range(4)))
    chains = Chains(frozenset({raw(KEY)}))
    assert [chains.fold(link) is None for link in (links[0], links[2], links[3])] == [True, False, False]
    new = link_of(chains, R, KEY, begins="new")
    assert (new.chain, new.position, new.previous_seal) == ("new", 0, chains.every["chain"].head)
    assert chains.fold(new) is None and chains.is_own(new)


def test_a_key_is_changed_while_the_other_still_signs() -> None:
    """The new one is endorsed by the one before; two rotations later a key counts no more. Without an endorsement it never does."""
    chains, _ = chain_of(R)
    assert chains.fold(link_of(chains, OTHER, NEW, endorsement=endorsed(raw(NEW), KEY))) is None
    assert chains.fold(link_of(chains, OTHER, KEY)) is None
    assert chains.fold(link_of(chains, OTHER, key_of(4), endorsement=endorsed(raw(key_of(4)), NEW))) is None
    assert link_of(chains, OTHER, KEY, begins="other").chain == "other"
    assert link_of(chains, OTHER, FOREIGN, endorsement=endorsed(raw(FOREIGN), FOREIGN), begins="other").chain == "other"


def test_a_lost_key_means_a_new_chain_that_names_the_old() -> None:
    """Whether its public half is still known or not."""
    for known in ({raw(NEW)}, {raw(NEW), raw(KEY)}):
        before, links = chain_of(R)
        chains = Chains(frozenset(known))
        chains.fold(links[0])
        new = link_of(chains, OTHER, NEW, begins="new")
        assert (new.chain, new.previous_seal) == ("new", before.head)
        assert chains.fold(new) is None and chains.is_own(new)


def test_a_foreign_key_takes_no_chain_over() -> None:
    """It may begin one of its own, which is nobody's here."""
    chains, _ = chain_of(R)
    stranger = link_of(Chains(frozenset({raw(FOREIGN)})), OTHER, FOREIGN, begins="strange")
    chains.fold(stranger)
    assert not chains.is_own(stranger)
    assert link_of(chains, OTHER, KEY).chain == "chain"


# --- Which records are a run's


places = st.tuples(st.sampled_from([RUNS.name, SCORES.name]), st.integers(0, 3))


@given(st.lists(st.tuples(places, st.integers(0, 60))))
def test_stretches_hold_what_they_grew_by(met: list[tuple[tuple[str, int], int]]) -> None:
    """In the order of each partition, packed or not."""
    told, last = stretches_of(()), dict[tuple[str, int], int]()
    for at, offset in met:
        if offset >= last.get(at, 0):
            last[at] = offset + 1
            told.grow(at, offset)
            assert holds(packed(told.told()), at, offset)
    assert unpacked(packed(told.told())).told() == told.told()
    assert not any(holds(packed(told.told()), at, end) for at, end in last.items())


def test_a_key_names_its_run_or_its_jobs() -> None:
    """And nothing else does."""
    keys = [R.encode(), f"{R}/task/0/0".encode(), f"{R}x".encode(), b"agent-1", b"", None]
    assert [run_of_key(key) for key in keys] == [R, R, None, None, None, None]


# --- What a sealer knows


def settled(scorer: str = "1", **told: Any) -> RunSettled:
    """A final result that one scorer's scores are in."""
    tasks = (TaskSettled(task="t", scorer_version=scorer, documents=1, figure=None),)
    given_: dict[str, Any] = {"state": "completed", "final": True, "tasks": tasks, "inputs_digest": scorer} | told
    return RunSettled(occurred_us=1, producer=STAMP, run_id=R, changed_us=1, **given_)


def scored(scorer: str = "1", ordinal: int = 0) -> SampleScored:
    """A score."""
    return SampleScored(
        occurred_us=1, producer=STAMP, run_id=R, task="t", ordinal=ordinal, doc_id=0, repeat=0, scorer_version=scorer, filter="none",
        metric="acc", value=1.0,
    )  # fmt: skip


def take(ledger: Ledger, event: Event, topic: str, offset: int) -> bool:
    """Meets a record as a sweep does; whether it is late."""
    return ledger.meets(R, (topic, 0), offset) and ledger.fold(event, R, (topic, 0), offset)


def sealed_ledger() -> Ledger:
    """A run that was planned, scored, settled and sealed."""
    ledger = Ledger(Chains(frozenset({raw(KEY)})))
    take(ledger, RunChanged(occurred_us=1, producer=STAMP, run_id=R, state="planned"), RUNS.name, 3)
    take(ledger, scored(), SCORES.name, 5)
    take(ledger, settled(through={SCORES.name: 6}), RESULTS.name, 0)
    assert ledger.due({(SCORES.name, 0): 6}) == []  # its result was met in this very sweep
    ledger.sweeps += 1
    assert (ledger.due({(SCORES.name, 0): 5}), ledger.due({(SCORES.name, 0): 6})) == ([], [R])
    run = ledger.open[R]
    assert run.result is not None
    seal = link_of(ledger.chains, R, KEY, stretches=run.stretches.told(), scorers=run.result.scorers)
    assert ledger.seal(seal) is None
    return ledger


def test_a_run_is_sealed_over_the_result_that_knows_most() -> None:
    """One that knows less may come after it, from a worker that had the run before: final or not, it keeps no run from its seal."""
    most = settled()
    less = [settled(final=False, inputs_digest="less"), settled(tasks=(), inputs_digest="no task")]
    more = settled("2")
    for results, best in ([most, *less], most), ([*less, most], most), ([most, more, *less], more):
        ledger = Ledger(Chains())
        take(ledger, RunChanged(occurred_us=1, producer=STAMP, run_id=R, state="planned"), RUNS.name, 0)
        for offset, result in enumerate(results):
            take(ledger, result, RESULTS.name, offset)
        again = Ledger(Chains())
        loaded(json.loads(json.dumps(dumped(ledger))), again)
        take(again, less[0], RESULTS.name, len(results))
        for one in (ledger, again):
            one.sweeps += 1
            kept = one.open[R].result
            assert (one.due({}), kept and (kept.event_id, kept.scorers)) == ([R], (best.event_id, tuple(best.scorers)))


def test_what_comes_after_the_seal_is_late_and_what_it_holds_is_not() -> None:
    """By its place."""
    ledger = sealed_ledger()
    assert not take(ledger, scored(), SCORES.name, 5)
    assert take(ledger, scored(ordinal=1), SCORES.name, 9)
    assert take(ledger, RunChanged(occurred_us=1, producer=STAMP, run_id=R, state="failed"), RUNS.name, 9)
    assert ledger.open == {} and ledger.again == []


def test_a_run_that_a_newer_scorer_scores_is_sealed_anew() -> None:
    """With the old stretches and the new, but without what came late between."""
    ledger = sealed_ledger()
    assert not take(ledger, scored("2"), SCORES.name, 9)
    assert take(ledger, scored(ordinal=7), SCORES.name, 10)
    assert not take(ledger, scored("2", ordinal=1), SCORES.name, 11)
    assert not take(ledger, settled("2"), RESULTS.name, 1)
    ledger.sweeps += 1
    assert ledger.due({}) == [R]
    told = [(one.topic, one.first, one.end) for one in ledger.open[R].stretches.told()]
    assert told == [
        (RUNS.name, 3, 4), (SCORES.name, 5, 6), (SCORES.name, 9, 10), (SCORES.name, 11, 12), (RESULTS.name, 0, 1), (RESULTS.name, 1, 2),
    ]  # fmt: skip


def test_what_another_sealer_left_out_is_looked_at_again() -> None:
    """It was met here before its seal came."""
    ledger = Ledger(Chains(frozenset({raw(KEY)})))
    take(ledger, RunChanged(occurred_us=1, producer=STAMP, run_id=R, state="planned"), RUNS.name, 3)
    short = ledger.open[R].stretches.told()
    take(ledger, RunChanged(occurred_us=1, producer=STAMP, run_id=R, state="failed"), RUNS.name, 8)
    ledger.seal(link_of(ledger.chains, R, KEY, stretches=short))
    assert ledger.again == [Stretch(topic=RUNS.name, partition=0, first=4, end=9)]
    assert ledger.open == {}


def test_a_run_that_was_never_planned_is_forgotten() -> None:
    """Nothing will ever settle it."""
    ledger = Ledger(Chains())
    ledger.meets(R, (REQUESTS.name, 0), 0)
    take(ledger, RunChanged(occurred_us=1, producer=STAMP, run_id=R, state="rejected"), RUNS.name, 3)
    assert ledger.open == {}


def test_what_is_met_later_of_a_request_that_was_rejected_is_not_held() -> None:
    """Its request, from another topic; nor by whoever starts from a snapshot."""
    ledger, again = Ledger(Chains()), Ledger(Chains())
    take(ledger, RunChanged(occurred_us=1, producer=STAMP, run_id=R, state="rejected"), RUNS.name, 3)
    loaded(json.loads(json.dumps(dumped(ledger))), again)
    for one in (ledger, again):
        assert not one.meets(R, (REQUESTS.name, 0), 0) and one.open == {}


def test_a_snapshot_holds_the_open_runs() -> None:
    """All that was known of them; a result is due after the next sweep again."""
    ledger = Ledger(Chains())
    take(ledger, RunChanged(occurred_us=1, producer=STAMP, run_id=R, state="planned", visibility="private"), RUNS.name, 3)
    take(ledger, settled(), RESULTS.name, 4)
    again = Ledger(Chains())
    loaded(json.loads(json.dumps(dumped(ledger))), again)
    assert again.open[R].visibility == "private"
    assert again.open[R].stretches.told() == ledger.open[R].stretches.told()
    assert again.due({}) == [R] and again.open[R].planned


def test_of_a_run_that_was_sealed_since_its_snapshot_what_lies_beyond_is_looked_at() -> None:
    """By whoever starts from it."""
    ledger = sealed_ledger()
    before = Ledger(Chains())
    take(before, RunChanged(occurred_us=1, producer=STAMP, run_id=R, state="planned"), RUNS.name, 3)
    take(before, RunChanged(occurred_us=1, producer=STAMP, run_id=R, state="running"), RUNS.name, 8)
    loaded(dumped(before), ledger)
    assert (ledger.open, ledger.again) == ({}, [Stretch(topic=RUNS.name, partition=0, first=4, end=9)])


def test_a_snapshot_that_knows_seals_which_are_gone_is_not_used() -> None:
    """Their runs are no longer sealed, and it does not tell them."""
    with pytest.raises(ValueError, match="it knows 1 sealed runs, and the log 0"):
        loaded(dumped(sealed_ledger()), Ledger(Chains()))
