"""Runs again: what an audit asks, how it compares with its run, what is signed of it, and which runs a lottery draws."""

import asyncio
import hashlib
import json
import random
from collections.abc import AsyncGenerator, Iterable, Sequence
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from agents.auditing import Auditing
from agents.care import Care
from agents.judged import Judging
from agents.seal import Sealer
from infra.builds import Builds
from infra.first_seals import FirstSeals
from infra.kafka import Log
from infra.seal_keys import Key
from infra.settings import Settings
from query_api.drawing.auditing import percent, reproduced
from schemas.event import Event, Text, derive_run_id
from schemas.jobs import BuildPlace, Device, EngineUsed, EnvironmentSeen, Job
from schemas.measurements import Answer, SampleAnswered
from schemas.requests import Chat, EngineChoice, EvaluationRequested, ModelRef, Stopping, TaskChoice, Workload
from schemas.results import Figure, RunScored, SampleNotScored, SampleScored
from schemas.runs import Estimate, ExpectedMetric, Plan, PlannedTask, RunChanged
from schemas.settled import RunSettled, TaskSettled
from schemas.trust import EnvironmentDiffers, MetricDiffers, RunAudited, RunSealed, Stretch
from streams import planning
from streams.boards.books import Books
from streams.errors import Invalid
from streams.quality import judging, stopping
from streams.settling.documents import packed
from streams.topics import RESULTS
from streams.trust import again, audits, surroundings
from streams.trust.audits import Findings, Part
from streams.trust.chains import Chains
from streams.trust.ledger import Ledger, dumped, loaded
from streams.trust.statements import is_reported, raw, report, reported
from tests.in_memory import InMemory
from tests.runs import run_named
from tests.sealed import STAMP, key_of, link_of

R, A = run_named("r"), run_named("audit")
MODEL, ENGINE = ModelRef(uri="m"), EngineChoice(name="echo")
KEY, OTHER = key_of(1), key_of(2)


def task(name: str = "t", **told: Any) -> PlannedTask:
    """A planned task of ten samples."""
    given: dict[str, Any] = {"samples": 10, "repeats": 1} | told
    return PlannedTask(
        task=name, task_version="1", build_id=f"build {name}", expected=(ExpectedMetric(filter="none", metric="acc"),), main_metric="acc",
        main_filter="none", **given,
    )  # fmt: skip


def plan(*tasks: PlannedTask, **told: Any) -> Plan:
    """A plan of these tasks."""
    return Plan(
        submitter="me", model=MODEL, model_sha="sha", tokenizer_sha="", chat_template_sha="", engine=ENGINE, chat=Chat(system="be brief"),
        suite="s", tasks=tasks or (task(),), licences=(), skipped=(), estimate=Estimate(), jobs=3, **told,
    )  # fmt: skip


def asked(**told: Any) -> EvaluationRequested:
    """A request of an audit."""
    return again.request_of(R, plan(), **{"occurred_us": 1, "producer": STAMP, "run_id": A, "pool": "p"} | told)


def jobs(count: int = 10, per_job: int = 4) -> list[Job]:
    """The run's jobs."""
    place = BuildPlace(build_id="build t", task="t", partition=0, first_offset=0, last_offset=9)
    given = {"run_id": R, "pool": "default", "submitter": "me", "organisation_id": "local", "priority": 9, "model": MODEL, "engine": ENGINE}
    told = {"chat": Chat(system="be brief"), "build": place, "seed": 77, "generation_json": '{"top_p": 0.5}', "model_sha": "sha"}
    return [
        Job.model_validate(given | told | {"kind": "answer", "job_id": f"{R}/t/0/{first}", "first_ordinal": first,
                                           "count": min(per_job, count - first)})
        for first in range(0, count, per_job)
    ]  # fmt: skip


# --- What is asked


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"audit_of": None}, "purpose audit and audit_of go together"),
        ({"purpose": "evaluate"}, "purpose audit and audit_of go together"),
        ({"tasks": (TaskChoice(name="t"),)}, "leave tasks out"),
        ({"workload": Workload(requests=1)}, "leave workload out"),
        ({"stopping": Stopping(half_width=0.1)}, "leave stopping out"),
        ({"suite": "s"}, "leave suite out"),
        ({"audit_ratio": 0.0}, "audit_ratio 0: give a share above 0 and up to 1"),
    ],
)
def test_half_an_audit_is_refused(told: dict[str, Any], words: str) -> None:
    """Where it asks for something else too, or does not say of which run."""
    planning.check(asked())
    with pytest.raises(Invalid, match=words):
        planning.check(asked().model_copy(update=told))


def test_a_share_belongs_to_an_audit() -> None:
    """Elsewhere it would change nothing."""
    request = EvaluationRequested(occurred_us=1, producer=STAMP, run_id=A, model=MODEL, tasks=(TaskChoice(name="t"),), audit_ratio=0.5)
    with pytest.raises(Invalid, match="give audit_of too"):
        planning.check(request)


@pytest.mark.parametrize(
    ("state", "found", "words"),
    [
        (None, None, "is not in the log"),
        ("running", plan(), "it is audited once it is over"),
        ("cancelled", None, "before it was planned"),
        ("completed", plan(audit_of=run_named("first")), f"audit run {run_named('first')} again"),
        ("completed", plan().model_copy(update={"tasks": ()}), "has no task"),
        ("completed", plan().model_copy(update={"model": ModelRef(uri="other")}), "had another model or engine"),
    ],
)
def test_what_cannot_be_run_again_is_refused(state: Any, found: Plan | None, words: str) -> None:
    """With what to do."""
    again.check_run(asked(), "completed", plan())
    with pytest.raises(Invalid, match=words):
        again.check_run(asked(), state, found)


def test_other_weights_are_refused() -> None:
    """By the hash of the files; of a model without files nothing is known."""
    again.check_model(R, plan(), "sha")
    again.check_model(R, plan(), None)
    with pytest.raises(Invalid, match="bring them back"):
        again.check_model(R, plan(), "another")


def test_an_audit_asks_what_its_run_was_asked() -> None:
    """The same samples with the same seeds and settings, in the audit's own name."""
    found = list(again.jobs_again(asked(), plan(), {}, jobs()))
    assert [(one.job_id, one.run_id, one.pool, one.priority) for one in found] == [(f"{A}/t/0/{n}", A, "p", 0) for n in (0, 4, 8)]
    for mine, own in zip(found, jobs(), strict=True):
        names = ("build", "repeat", "first_ordinal", "count", "ordinals", "seed", "generation_json", "chat", "model", "model_sha", "need")
        assert [getattr(mine, name) for name in names] == [getattr(own, name) for name in names]
    told = again.plan_again(asked(), plan(), {}, jobs=3)
    assert (told.audit_of, told.tasks, told.jobs, told.perf_requests) == (R, plan().tasks, 3, None)


def test_a_build_that_the_plan_does_not_name_is_not_asked() -> None:
    """Whoever wrote that job."""
    foreign = [one.model_copy(update={"build": one.build.model_copy(update={"build_id": "x"})}) for one in jobs() if one.build]
    assert list(again.jobs_again(asked(), plan(), {}, foreign)) == []


@given(st.integers(1, 60), st.floats(0.01, 0.99), st.integers(1, 9), st.binary(min_size=64, max_size=64))
def test_a_part_is_drawn_by_the_runs_seal(samples: int, ratio: float, per_job: int, seal: bytes) -> None:
    """So many of the documents, the same whoever asks, by a signature that is there after the run; each is asked once."""
    own = plan(task(samples=samples))
    request = asked(audit_ratio=ratio)
    part = again.part_of(request, own.tasks, seal=seal, stops={})
    assert part == again.part_of(asked(audit_ratio=ratio, run_id=run_named("another")), own.tasks, seal=seal, stops={})
    found = [ordinal for job in again.jobs_again(request, own, part, jobs(samples, per_job)) for ordinal in job.samples]
    assert len(found) == len(set(found)) == again.plan_again(request, own, part, jobs=1).tasks[0].samples
    assert set(found) <= set(range(samples)) and len(found) >= ratio * samples > len(found) - 1 - 1e-9
    greater = again.part_of(asked(audit_ratio=(1 + ratio) / 2), own.tasks, seal=seal, stops={})
    assert set(part["t"]) <= set(greater["t"])
    told = [hashlib.sha256(b"assay-part-1\x00" + seal + f"/t/{one}".encode()).digest() for one in range(samples)]
    assert sorted(found) == sorted(sorted(range(samples), key=told.__getitem__)[: len(found)])


def test_a_part_of_a_run_without_a_seal_is_refused() -> None:
    """Nothing says what is asked again; all of it can be."""
    with pytest.raises(Invalid, match="wait until it is sealed"):
        again.part_of(asked(audit_ratio=0.5), plan().tasks, seal=None, stops={})
    assert again.part_of(asked(), plan().tasks, seal=None, stops={}) == {}
    assert again.part_of(asked(audit_ratio=1.0), plan().tasks, seal=None, stops={}) == {}


@given(st.integers(1, 30), st.binary(min_size=64, max_size=64))
def test_of_a_task_that_stopped_what_it_asked_is_asked_again(stopped: int, seal: bytes) -> None:
    """All of it, or a part that is drawn; the audit does not stop by itself, and so says how many it asks."""
    own = plan(task(samples=30, repeats=2, stopping=Stopping(half_width=0.1)))
    answered, stops = stopping.order("build t", 30)[:stopped], {"t": 2 * stopped}
    whole = again.part_of(asked(), own.tasks, seal=None, stops=stops)
    assert whole == {"t": answered} and audits.asked(again.plan_again(asked(), own, whole, jobs=1)) == 2 * stopped
    assert again.plan_again(asked(), own, whole, jobs=1).tasks[0].stopping is None
    part = again.part_of(asked(audit_ratio=0.5), own.tasks, seal=seal, stops=stops)
    assert set(part["t"]) <= set(answered) and len(part["t"]) == (stopped + 1) // 2


def test_a_part_of_what_stopped_is_not_always_the_first() -> None:
    """Whoever forges answers would know them before the run."""
    own = [task(samples=30, stopping=Stopping(half_width=0.1))]
    drawn = {again.part_of(asked(audit_ratio=0.2), own, seal=bytes([n]), stops={"t": 20})["t"] for n in range(20)}
    assert len(drawn) > 10


@pytest.mark.parametrize(
    ("run", "request_", "words"),
    [
        ({"visibility": "private"}, {}, "ask for its audit as private too"),
        ({"organisation_id": "theirs"}, {}, "another organisation's"),
        ({"organisation_id": "theirs", "visibility": "private"}, {"visibility": "private"}, "another organisation's"),
        ({"organisation_id": "theirs", "visibility": "public"}, {}, None),
        ({"visibility": "private"}, {"visibility": "private"}, None),
    ],
)
def test_who_may_not_see_a_run_does_not_see_its_audit(run: dict[str, Any], request_: dict[str, Any], words: str | None) -> None:
    """Another organisation, or all of one's own."""
    planned = RunChanged(occurred_us=1, producer=STAMP, run_id=R, state="planned", plan=plan(), **run)
    if words is None:
        again.check_access(asked(**request_), planned)
        return
    with pytest.raises(Invalid, match=words):
        again.check_access(asked(**request_), planned)


def chain_of(key: Ed25519PrivateKey, name: str, run_ids: Sequence[str]) -> list[RunSealed]:
    """A chain of seals of these runs."""
    chains, links = Chains(frozenset({raw(key)})), list[RunSealed]()
    for number, run_id in enumerate(run_ids):
        links.append(link_of(chains, run_id, key, begins=name, root=f"{number:064x}"))
        chains.fold(links[-1])
    return links


async def _seals(*every: RunSealed, known: frozenset[bytes]) -> list[bytes | None]:
    """The signatures of first seals, as followed one after the other."""
    log, found = InMemory(), list[bytes | None]()
    first = FirstSeals(cast("Log", log), Settings())
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("infra.seal_keys.publics", lambda settings: known)
        for seal in every:
            await log.publish(seal)
            found.append(await first.of(R))
    return found


def test_a_part_rests_on_the_first_seal_of_the_own_chain() -> None:
    """A later seal of the run changes nothing, and another's chain says nothing where the own public key is here."""
    own = chain_of(KEY, "own", [R, A, R])
    foreign = chain_of(OTHER, "foreign", [R])
    told = asyncio.run(_seals(*foreign, *own, known=frozenset({raw(KEY)})))
    assert told == [None, *[own[0].signature] * 3]
    assert asyncio.run(_seals(*foreign, *own, known=frozenset())) == [foreign[0].signature] * 4


@given(st.floats(0, 1), st.integers(0, 2**32))
def test_the_lottery_draws_its_share_and_a_greater_one_draws_them_too(share: float, seed: int) -> None:
    """By the signatures of seals."""
    seals = [random.Random(seed + n).randbytes(64) for n in range(400)]
    drawn = [again.is_drawn(seal, share) for seal in seals]
    assert abs(sum(drawn) / 400 - share) < 0.14
    assert all(again.is_drawn(seal, min(1, share + 0.2)) for seal, own in zip(seals, drawn, strict=True) if own)
    assert not any(again.is_drawn(seal, 0) for seal in seals)


# --- How it compares


def answered(run_id: str, ordinal: int, *, text: str | None = "a", likelihood: float | None = None, **told: Any) -> SampleAnswered:
    """An answered sample."""
    more = {name: told.pop(name) for name in ("error", "is_greedy", "output_cut_bytes", "reasoning") if name in told}
    answer = Answer(
        request_index=0, request_type="generate_until", output=Text.plain(text) if text is not None else None, loglikelihood=likelihood,
        finish_reason="stop", prompt_tokens=1, output_tokens=1, **more,
    )  # fmt: skip
    given: dict[str, Any] = {"arguments_sha": "same", "seed": 1} | told
    return SampleAnswered(
        occurred_us=1, producer=STAMP, run_id=run_id, job_id=f"{run_id}/t/0/0", attempt=1, task="t", build_id="build t", ordinal=ordinal,
        repeat=0, answers=(answer,), **given,
    )  # fmt: skip


def scored(run_id: str, ordinal: int, value: float | None, *, metric: str = "acc") -> SampleScored:
    """A scored sample."""
    return SampleScored(
        occurred_us=1, producer=STAMP, run_id=run_id, task="t", ordinal=ordinal, doc_id=ordinal, repeat=0, scorer_version="1",
        filter="none", metric=metric, value=value,
    )  # fmt: skip


def unscored(run_id: str, ordinal: int) -> SampleNotScored:
    """A sample that cannot be scored."""
    return SampleNotScored(
        occurred_us=1, producer=STAMP, run_id=run_id, task="t", ordinal=ordinal, repeat=0, scorer_version="1", reason="why"
    )


def found(run: Sequence[Any], audit: Sequence[Any], *, parts: int = 1, whole: Iterable[str] = ("t",)) -> Findings:
    """What comes of these events of both sides, in so many parts."""
    findings = Findings()
    for number in range(parts):
        part = Part(number, parts, frozenset(whole))
        for kinds in (SampleAnswered, (SampleScored, SampleNotScored)):
            for side, take in ((audit, part.hold), (run, part.meet)):
                for event in side:
                    if isinstance(event, kinds):
                        take(event)
        part.close(findings)
    return findings


def test_equal_runs_are_equal() -> None:
    """Whatever was delivered twice, and in however many parts."""
    run, audit = ([*(answered(r, n) for n in range(9)), *(scored(r, n, 1.0) for n in range(9))] for r in (R, A))
    for parts in (1, 3):
        told = found(run + run[:4], audit[:2] + audit, parts=parts)
        assert (told.samples, told.equal, told.equal_ratio, told.unmatched, dict(told.by), told.first) == (9, 9, 1.0, 0, {}, [])


@pytest.mark.parametrize(
    ("run", "audit", "kind", "words"),
    [
        ({"text": "a"}, {"text": "b"}, "text", "the text of request 0"),
        ({"text": None}, {"text": ""}, "text", "the text of request 0"),
        ({"likelihood": -1.0}, {"likelihood": -1.001}, "likelihood", "the log-likelihood of request 0: -1 and -1.001"),
        ({"likelihood": float("-inf")}, {"likelihood": -3.0}, "likelihood", "-inf and -3"),
        ({"arguments_sha": "x"}, {"text": "b"}, "prompt", "asked otherwise"),
        ({"error": "broke"}, {}, "error", "request 0 failed in the run alone"),
        ({"reasoning": Text.plain("because")}, {}, "text", "the text of request 0"),
        ({"output_cut_bytes": 9}, {}, "text", "the text of request 0"),
        ({"is_greedy": True}, {"is_greedy": False}, "greedy", "the answer of request 0 is the likeliest: yes and no"),
        ({"is_greedy": False}, {}, "greedy", "no and unknown"),
    ],
)
def test_what_differs_is_told(run: dict[str, Any], audit: dict[str, Any], kind: str, words: str) -> None:
    """By kind, and in words."""
    told = found([answered(R, 3, **run), answered(R, 4)], [answered(A, 3, **audit), answered(A, 4)])
    assert (told.samples, told.equal, dict(told.by)) == (2, 1, {kind: 1})
    assert [(one.task, one.ordinal, one.repeat) for one in told.first] == [("t", 3, 0)]
    assert words in told.first[0].what[0]


def test_likelihoods_within_the_tolerance_are_equal() -> None:
    """Absolute for small ones, of the greater for large ones; infinite ones where both are."""
    pairs = [(-1.0, -1.00009), (-5000.0, -5000.4), (float("-inf"), float("-inf"))]
    told = found(
        [answered(R, n, likelihood=one) for n, (one, _) in enumerate(pairs)],
        [answered(A, n, likelihood=other) for n, (_, other) in enumerate(pairs)],
    )
    assert told.equal_ratio == 1


def test_scores_that_do_not_follow_from_equal_answers_are_told() -> None:
    """As who forges only scores would leave them; and a metric that the run never had."""
    answers = [answered(r, n) for r in (R, A) for n in range(3)]
    run = [*answers[:3], scored(R, 0, 1.0), scored(R, 1, 1.0), scored(R, 2, None)]
    audit = [*answers[3:], scored(A, 0, 0.0), scored(A, 1, 1.0), scored(A, 2, None), scored(A, 1, 1.0, metric="f1")]
    told = found(run, audit)
    assert (told.equal, dict(told.by)) == (1, {"score": 2})
    assert [one.what for one in told.first] == [("acc: 1 and 0",), ("f1: only in the audit",)]


def test_scores_that_only_the_run_has_are_told() -> None:
    """As who forges scores of samples that cannot be scored, or of a metric that nobody else has; once, however often they come."""
    answers = [answered(r, n) for r in (R, A) for n in range(4)]
    run = [*answers[:4], *(scored(R, n, 1.0) for n in range(3)), scored(R, 1, 1.0, metric="f1"), unscored(R, 3)]
    audit = [*answers[4:], scored(A, 0, 1.0), scored(A, 1, 1.0), unscored(A, 2), scored(A, 3, 0.0)]
    for parts in (1, 3):
        told = found(run + run, audit + audit, parts=parts)
        assert (told.samples, told.equal, dict(told.by)) == (4, 1, {"score": 3})
        assert [one.what for one in told.first] == [
            ("f1: only in the run",), ("acc: only in the run", "not scored: only in the audit"),
            ("not scored: only in the run", "acc: only in the audit"),
        ]  # fmt: skip
    assert found(run, answers[4:], whole=()).equal == 4  # that scores were not compared is said of the task


def test_of_several_scores_the_first_counts() -> None:
    """On both sides."""
    answers = [answered(R, 0), answered(A, 0)]
    told = found([answers[0], scored(R, 0, 1.0), scored(R, 0, 0.0)], [answers[1], scored(A, 0, 1.0), scored(A, 0, 0.5)])
    assert (told.samples, told.equal) == (1, 1)


def test_answers_that_failed_in_both_prove_nothing() -> None:
    """They are counted apart; one that differs besides is a difference."""
    broke: dict[str, Any] = {"error": "broke"}
    told = found([answered(R, 0), answered(R, 1, **broke), answered(R, 2, text="b", **broke)],
                 [answered(A, 0), answered(A, 1, **broke), answered(A, 2, **broke)])  # fmt: skip
    assert (told.samples, told.equal, told.failed, dict(told.by)) == (2, 1, 1, {"text": 1})
    assert found([answered(R, 1, **broke)], [answered(A, 1, **broke)]).equal_ratio is None


def test_samples_that_one_side_lacks_are_no_differences() -> None:
    """Of the run's, those that the audit did not ask; of the audit's, they are counted."""
    told = found([answered(R, n) for n in range(5)], [answered(A, n) for n in (3, 4, 5)])
    assert (told.samples, told.equal, told.unmatched) == (2, 2, 1)
    assert found([], [answered(A, 1)]).equal_ratio is None


@given(st.permutations(range(12)), st.integers(1, 4), st.sets(st.integers(0, 11)))
def test_what_comes_of_it_does_not_depend_on_order_or_parts(order: list[int], parts: int, wrong: set[int]) -> None:
    """A redelivered batch neither."""
    run = [answered(R, n, text="b" if n in wrong else "a") for n in order]
    told = found(run + run[:5], [answered(A, n) for n in reversed(order)], parts=parts)
    assert (told.samples, told.equal) == (12, 12 - len(wrong))
    assert [one.ordinal for one in told.first] == sorted(wrong)


def test_so_many_differing_samples_are_named_and_all_are_counted() -> None:
    """The first by their places, in however many parts."""
    run, audit = [answered(R, n, text="b") for n in range(250)], [answered(A, n) for n in range(250)]
    told = found(run, audit, parts=3)
    assert (told.by["text"], [one.ordinal for one in told.first]) == (250, list(range(audits.TOLD)))
    told = found(run[::-1] + [scored(R, n, 1.0) for n in range(250)], audit + [scored(A, n, 0.0) for n in range(250)])
    assert (dict(told.by), told.equal, len(told.first)) == ({"text": 250, "score": 250}, 0, audits.TOLD)
    assert {one.what for one in told.first} == {("the text of request 0", "acc: 1 and 0")}


# --- Metrics, and where they ran


def whole(run_id: str, values: dict[int, float]) -> RunScored:
    """A task's complete scores."""
    return RunScored(
        occurred_us=1, producer=STAMP, run_id=run_id, task="t", scorer_version="1", complete=True, scored=len(values), expected=len(values),
        inputs_digest="d", figures=(Figure(metric="acc", value=0.5, n=len(values)),), documents=packed(values, {}),
    )  # fmt: skip


def settled(run_id: str, **told: Any) -> RunSettled:
    """A run's result."""
    given: dict[str, Any] = {"plan": plan(), "engine": EngineUsed(name="echo", version="1", dtype="float32"), "environments": ("e",)} | told
    tasks = (TaskSettled(task="t", scorer_version="1", documents=10, figure=None),)
    return RunSettled(
        occurred_us=1, producer=STAMP, run_id=run_id, state="completed", final=True, inputs_digest="d", changed_us=1, tasks=tasks, **given
    )


def test_metrics_are_compared_over_the_documents_of_both() -> None:
    """With an interval that holds 0 where few differ."""
    run, audit = {n: 1.0 for n in range(40)}, {n: float(n != 5) for n in range(5, 45)}
    (told,) = surroundings.metrics({"t": whole(R, run)}, {"t": whole(A, audit)}, settled(A))
    assert (told.n, told.run) == (35, 1.0)
    assert [told.audit, told.difference] == pytest.approx([34 / 35, 1 / 35])
    assert told.low is not None and told.high is not None and told.low < 0 < told.difference < told.high
    assert list(surroundings.metrics({}, {"t": whole(A, audit)}, settled(A))) == []


def seen(sha: str, **told: Any) -> EnvironmentSeen:
    """A machine."""
    given: dict[str, Any] = {"packages": {"torch": "2.1"}, "driver": None, "cpu_flags": ("avx",), "cores": 2, "os": "Linux"} | told
    devices = given.pop("devices", ())
    return EnvironmentSeen(occurred_us=1, producer=STAMP, sha=sha, cpu="c", memory_bytes=1, devices=devices, container_digest=None, **given)


def test_each_fact_of_where_they_ran_that_differs_is_told() -> None:
    """Engine, packages, driver, flags of the processor; what is the same is not."""
    machines = {
        "e": seen("e"),
        "f": seen("f", packages={"torch": "2.2"}, cpu_flags=("avx", "avx512f"), driver="555", cores=4, firmware={"microcode": "0xb"}),
    }
    other = settled(A, environments=("f",), engine=EngineUsed(name="echo", version="2", dtype="float32"))
    told = {one.what: (one.run, one.audit) for one in surroundings.environment(settled(R), other, machines)}
    assert told == {
        "engine version": ("1", "2"), "package torch": ("2.1", "2.2"), "cpu flags": (None, "avx512f"), "driver": (None, "555"),
        "cores": ("2", "4"), "firmware microcode": (None, "0xb"),
    }  # fmt: skip
    assert list(surroundings.environment(settled(R), settled(A), machines)) == []
    (unknown,) = surroundings.environment(settled(R, environments=()), settled(A), machines)
    assert (unknown.what, unknown.run, unknown.audit) == ("machine", None, "known")


def test_packages_that_one_side_alone_has_are_told_in_one_line() -> None:
    """Two that both have are compared one by one."""
    machines = {"e": seen("e"), "f": seen("f", packages={"torch": "2.1", "numpy": "2", "scipy": "1"}, package_sums={"numpy": "a" * 64})}
    (one,) = surroundings.environment(settled(R), settled(A, environments=("f",)), machines)
    assert (one.what, one.run, one.audit) == ("packages that the other lacks", None, "numpy 2, scipy 1")


@pytest.mark.parametrize(
    ("sizes", "words"), [((1000, 1000), "2 × H200, 1,000 bytes"), ((999,), "1 × H200, 999 bytes"), ((1000,), None), ((), None)]
)
def test_devices_are_held_to_their_number_and_memory(sizes: tuple[int, ...], words: str | None) -> None:
    """Their names alone do not say on what it ran."""

    def machine(sha: str, sizes: Iterable[int]) -> EnvironmentSeen:
        return seen(sha, devices=tuple(Device(uuid=f"{n}", name="H200", memory_bytes=size) for n, size in enumerate(sizes)))

    there = {"e": machine("e", [1000]), "f": machine("f", sizes)}
    told = [(one.what, one.run, one.audit) for one in surroundings.environment(settled(R), settled(A, environments=("f",)), there)]
    assert told == ([] if sizes == (1000,) else [("device", "1 × H200, 1,000 bytes", words)])


def test_what_differs_is_said_in_sentences_and_nothing_where_nothing_does() -> None:
    """Samples, metrics, and where they ran, the first facts by name."""
    own = Findings(samples=3, equal=1, unmatched=1, failed=2)
    own.by.update(text=2, score=1)
    metric = MetricDiffers(task="t", metric="acc", filter="none", run=1.0, audit=0.5, difference=0.5, low=0.25, high=0.75, n=3)
    facts = [EnvironmentDiffers(what=f"fact {n}", run="a", audit=None) for n in range(10)]
    assert list(audits.sentences(own, [metric], facts, asked=10, unscored=["t"])) == [
        "2 of 3 samples differ: 2 by text, 1 by score", "1 samples that the audit answered have no answer in the run",
        "4 of 10 samples that were asked again have no answer in the audit",
        "2 samples failed in both, which proves nothing: they are not counted",
        "not all scores of t were compared: the run and the audit have not both scored it whole",
        "acc of t: 1 and 0.5, difference 0.5 (0.25 to 0.75)",
        f"where they ran differs in {', '.join(f'fact {n}' for n in range(8))} and 2 more",
    ]  # fmt: skip
    equal = metric.model_copy(update={"difference": 0.0})
    assert list(audits.sentences(Findings(samples=3, equal=3), [equal], [], asked=3, unscored=[])) == []


# --- What is signed


def told_of(**told: Any) -> RunAudited:
    """A report."""
    given: dict[str, Any] = {"equal_ratio": 0.5, "differences": ("d",), "samples": 2, "equal": 1, "differing_by": {"text": 1}} | told
    return RunAudited(occurred_us=1, producer=STAMP, run_id=R, audit_run=A, **given)


def test_a_report_is_signed_whole() -> None:
    """Another figure, another run, another key: it does not hold. Two keys' reports are two events."""
    own = reported(told_of(), KEY)
    assert is_reported(own) and not is_reported(told_of())
    changed: list[dict[str, Any]] = [
        {"equal_ratio": 1.0}, {"samples": 3}, {"equal": 2}, {"unmatched": 1}, {"differing_by": {}}, {"differences": ()}, {"run_id": A},
        {"audit_run": R}, {"seal": "x"}, {"settled": "x"}, {"state": "cancelled"}, {"asked": 9}, {"failed": 1},
        {"tolerance": 1.0}, {"public_key": reported(told_of(), OTHER).public_key}, {"key_id": "x"},
    ]  # fmt: skip
    assert not any(is_reported(own.model_copy(update=one)) for one in changed)
    assert own.event_id != reported(told_of(), OTHER).event_id
    anew = [reported(told_of(**told), KEY).event_id for told in ({}, {"seal": "x"}, {"settled": "x"})]
    assert own.event_id == anew[0] and len(set(anew)) == 3  # scored and sealed anew, each side, it is reported anew
    assert b'"public_key"' not in report(own) and b'"occurred_us"' not in report(own)


# --- Boards


def test_an_audit_stands_on_no_board_and_is_no_run_of_its_model() -> None:
    """Whichever of its events comes first; its scores are not held."""

    def events(run_id: str, **told: Any) -> Iterable[Event]:
        return whole(run_id, {n: 1.0 for n in range(10)}), settled(run_id, plan=plan(**told))

    for order in (1, -1):
        books = Books()
        for event in [*events(R), *list(events(A, audit_of=R))[::order], *events(A, audit_of=R)]:
            books.fold(event)
        assert [(entry.run.run_id, entry.runs) for entry in books.entries("task:t")] == [(R, 1)]
        assert A not in books.scores


def test_an_audit_is_not_judged() -> None:
    """Its judgement would take the place of the one of its run."""
    judging.check_audit(R, plan())
    with pytest.raises(Invalid, match=f"is an audit of run {R}: judge that one"):
        judging.check_audit(A, plan(audit_of=R))


class Unread(InMemory):
    """A log whose runs have no events to seal."""

    async def messages(self, stretches: Iterable[Stretch]) -> AsyncGenerator[Any, None]:
        """None."""
        for _ in ():
            yield


@pytest.mark.parametrize(("audit_of", "others", "asks"), [(None, False, 1), (None, True, 0), (R, False, 0)])
def test_the_sealer_whose_seal_counts_asks_for_what_the_lottery_draws(audit_of: str | None, others: bool, asks: int) -> None:
    """By that seal, and after it; one that was second does not, and nobody asks for an audit of an audit."""
    log, own = Unread(), Chains(frozenset({raw(KEY)}))
    sealer = Sealer(cast("Log", log), Settings(audit_share=1.0))
    sealer._keys, sealer._ledger = [Key(raw(KEY), KEY, active=True)], Ledger(own)
    log.write(RunChanged(occurred_us=1, producer=STAMP, run_id=A, state="planned", plan=plan()))
    result = settled(A, plan=plan(audit_of=audit_of))
    place = log.write(result).place
    sealer._ledger.meets(A, (place.topic, place.partition), place.offset)
    sealer._ledger.fold(result, A, (place.topic, place.partition), place.offset)
    if others:
        over = (Stretch(topic=place.topic, partition=place.partition, first=0, end=1),)
        log.write(link_of(own, A, KEY, root="ab" * 32, begins="theirs", stretches=over))
    asyncio.run(sealer._seal(A, sealer._ledger.open[A]))
    events = [one.event for every in log.records.values() for one in every]
    links = [one for one in events if isinstance(one, RunSealed)]
    found = [one for one in events if isinstance(one, EvaluationRequested)]
    assert (A in sealer._ledger.sealed, len(links), len(found)) == (True, 1 + others, asks)
    for request in found:
        told = (derive_run_id("Audit", A, links[0].signature.hex()), A, "lottery", 0.1)
        assert (request.run_id, request.audit_of, request.submitter, request.audit_ratio) == told


def test_a_judgement_of_an_audit_is_refused() -> None:
    """By who plans it, whoever asks."""
    log = InMemory()
    for run_id, of in ((R, None), (A, R)):
        for state in ("planned", "completed"):
            told = plan(audit_of=of) if state == "planned" else None
            log.write(RunChanged(occurred_us=1, producer=STAMP, run_id=run_id, state=state, plan=told))
    request = EvaluationRequested(occurred_us=1, producer=STAMP, run_id=run_named("judging"), model=MODEL, parent_run=A,
                                  tasks=(TaskChoice(name=judging.USUAL),))  # fmt: skip
    with pytest.raises(Invalid, match="judge that one"):
        asyncio.run(Judging(cast("Log", log), cast("Builds", None)).judged(request))


def test_an_audit_waits_for_the_seal_of_its_run() -> None:
    """After a restart too: what it audits is in the sealer's snapshot. A run that audits nobody waits for nothing."""
    ledger, at = Ledger(Chains()), (RESULTS.name, 0)
    for run_id, told in ((R, {}), (A, {"audit_of": R})):
        ledger.meets(run_id, at, 0)
        ledger.fold(settled(run_id, plan=plan(**told)), run_id, at, 0)
    again_read = Ledger(Chains())
    loaded(json.loads(json.dumps(dumped(ledger))), again_read)
    key = Key(raw(KEY), KEY, active=True)
    for one in (ledger, again_read):
        log = cast("Log", InMemory())
        auditing = Auditing(log, Settings(), Care("seal", log, Settings()))
        assert (auditing.is_said(R, one, key), auditing.is_said(A, one, key)) == (True, False)


@pytest.mark.parametrize("why", ["broken", "refused"])
def test_an_audit_of_a_run_that_cannot_be_sealed_waits_for_nothing(why: str) -> None:
    """It is sealed without a comparison, as one is that cannot be compared; over snapshots too."""
    ledger, at = Ledger(Chains()), (RESULTS.name, 0)
    for run_id, told in ((R, {}), (A, {"audit_of": R})):
        ledger.meets(run_id, at, 0)
        ledger.fold(settled(run_id, plan=plan(**told)), run_id, at, 0)
    setattr(ledger.open[R], why, True)
    again_read = Ledger(Chains())
    loaded(json.loads(json.dumps(dumped(ledger))), again_read)
    log = cast("Log", InMemory())
    auditing = Auditing(log, Settings(), Care("seal", log, Settings()))
    assert auditing.is_said(A, again_read, Key(raw(KEY), KEY, active=True))


# --- In words


def test_a_share_is_not_called_whole_where_it_is_not() -> None:
    """However little is missing."""
    assert [percent(one) for one in (1.0, 0.999999, 0.5)] == ["100 %", "99.99 %", "50.00 %"]
    row = {"audits": 2, "equal_ratio": 0.995, "other_audits": 1, "other_equal_ratio": 1.0}
    assert reproduced(row) == "99.50 % or more equal in each of 2 audits, 100 % equal in 1 audit by others"
    assert reproduced(row | {"equal_ratio": 1.0, "other_audits": 0}) == "100 % equal in each of 2 audits"
    assert reproduced({}) == ""
