"""A sealed run's results as others read them: the values are the run's, each form is read by those whose it is, and the seal goes along."""

import asyncio
import base64
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from huggingface_hub import EvalResultEntry
from huggingface_hub._eval_results import parse_eval_result_entries
from huggingface_hub.repocard import ModelCard

from infra.kafka import Log
from infra.measured_results import write
from infra.settings import Settings
from schemas.builds import BuiltRequest, SampleBuilt, TaskBuilt
from schemas.event import Event, Text
from schemas.jobs import EngineUsed
from schemas.measurements import Answer, SampleAnswered
from schemas.requests import Chat, EngineChoice, ModelRef
from schemas.results import Figure, RunScored, SampleScored
from schemas.runs import Estimate, ExpectedMetric, Plan, PlannedTask
from schemas.settled import RunSettled, TaskSettled
from schemas.trust import Stretch
from streams.errors import Conflict, Invalid, Permanent
from streams.external.reading import figures_of
from streams.topics import ANSWERS, RESULTS, RUN_SCORES, SCORES
from streams.trust.chains import Chains
from streams.trust.merkle import Tree, leaf_hash
from streams.trust.sealing import Key, sealed
from tests.in_memory import CODEC, InMemory
from tests.runs import run_named
from tests.sealed import STAMP, key_of, link_of

R = run_named("published")
KEY = key_of(3)
MAIN = Figure(metric="exact_match", value=0.75, stderr=0.25, low=0.3, high=0.95, n=4, method="Wilson")
PERPLEXITY = Figure(metric="perplexity", filter="x", value=12.5, n=4)
GONE = Key("forgotten", bytes(32))  # which nobody has any more
SEALED_TOPICS = (ANSWERS, SCORES, RUN_SCORES, RESULTS)


def planned(**told: Any) -> PlannedTask:
    """A task of four documents, one metric of which is better the less it is."""
    expected = (
        ExpectedMetric(filter="none", metric="exact_match"),
        ExpectedMetric(filter="x", metric="perplexity", higher_is_better=False),
    )
    given = {"samples": 4, "repeats": 1} | told
    return PlannedTask(
        task="sums", task_version="1", build_id="b", expected=expected, main_metric="exact_match", main_filter="none", **given,
    )  # fmt: skip


def built(source: str = "hub:org/sums", **told: Any) -> TaskBuilt:
    """Its build."""
    return TaskBuilt(
        occurred_us=1, producer=STAMP, build_id="b", task="sums", task_version="1", harness_version="0.4.13", data_sha="d" * 64,
        data_source=source, licence=None, fewshot=2, seed=1, chat_sha="", samples=4, partition=0, first_offset=0, last_offset=3, **told,
    )  # fmt: skip


def wrote(text: str) -> Answer:
    """A text."""
    return Answer(request_index=0, request_type="generate_until", output=Text.plain(text), finish_reason="stop", prompt_tokens=7,
                  output_tokens=2)  # fmt: skip


def events(**told: Any) -> list[Event]:
    """What the log says of the run: four answers, of which three are right."""
    given: dict[str, Any] = {"occurred_us": 5, "producer": STAMP, "run_id": R, "visibility": told.get("visibility", "organisation")}
    answers = [
        SampleAnswered(
            **given, job_id=f"{R}/sums/0/0", attempt=1, task="sums", build_id="b", ordinal=n, repeat=0, seed=1, arguments_sha="s",
            answers=told.get("answers") or (wrote(f"{n + n}" if n else "none"),),
        )
        for n in range(4)
    ]  # fmt: skip
    scores = [
        SampleScored(
            **given, task="sums", ordinal=n, doc_id=n, repeat=0, scorer_version=version, filter="none", metric="exact_match", value=value,
        )
        for n in range(4) for version, value in (("old", 0.0), ("2", float(n > 0)))
    ]  # fmt: skip
    task = told.get("task", planned())
    plan = Plan(
        submitter="me", model=ModelRef(uri=told.get("uri", "hf://org/model")), model_sha=told.get("sha", "a" * 64), tokenizer_sha="t" * 64,
        chat_template_sha="", engine=EngineChoice(), chat=Chat(), suite="s", suite_version="3", tasks=(task,), licences=(), skipped=(),
        estimate=Estimate(), jobs=1,
    )  # fmt: skip
    figures = told.get("figures", (PERPLEXITY, MAIN, Figure(metric="f1", value=None, n=0)))
    scored = RunScored(**given, task="sums", scorer_version="2", complete=True, scored=4, expected=4, inputs_digest="i", figures=figures)
    settled = RunSettled(
        **given, state="completed", final=True, inputs_digest="i", changed_us=1_790_000_000_000_000, plan=plan,
        engine=EngineUsed(name="transformers", version="5.19", dtype="float32"),
        tasks=(TaskSettled(task="sums", scorer_version="2", documents=4, figure=MAIN),),
    )  # fmt: skip
    return [*answers, *scores, scored, settled]


def log_of(source: str = "hub:org/sums", **told: Any) -> InMemory:
    """A log with the build, the run and its seal."""
    log = InMemory()
    for n in range(4):
        requests = told.get("requests") or (BuiltRequest(request_type="generate_until", context=Text.plain(f"{n} + {n} =")),)
        sample = SampleBuilt(
            occurred_us=1, producer=STAMP, build_id="b", ordinal=n, doc_id=n, document=Text.plain("{}"), requests=requests,
            arguments_sha="s", target=Text.plain(str(n + n)), visibility=told.get("of_build", "organisation"),
        )  # fmt: skip
        log.write(sealed(sample, GONE) if told.get("of_build") else sample, partition=0)
    log.write(built(source, visibility=told.get("of_build", "organisation")))
    every = events(**told)
    for event in every:
        log.write(event)
    stretches = [
        Stretch(topic=name, partition=number, first=0, end=len(records))
        for topic in SEALED_TOPICS for (name, number), records in sorted(log.records.items()) if name == topic.name
    ]  # fmt: skip
    tree = Tree()
    for one in stretches:
        for record in log.records[one.topic, one.partition]:
            assert record.event is not None
            tree.add(leaf_hash(CODEC.canonical(CODEC.encode(record.event), type(record.event))))
    seal = link_of(
        Chains(), R, KEY, root=tree.root.hex(), events=tree.size, stretches=tuple(stretches), settled=every[-1].event_id,
        visibility=told.get("visibility", "organisation"),
    )  # fmt: skip
    log.write(seal)
    return log


def written(form: str, at: Path, log: InMemory | None = None) -> list[Path]:
    """The files that are written."""
    return asyncio.run(write(cast("Log", log or log_of()), Settings(home=at.parent), R, at, form))


def test_a_statement_of_in_toto_says_what_was_measured_and_what_it_rests_on(tmp_path: Path) -> None:
    """Its subject is the seal, whose signature stands in it; each claim holds."""
    (file,) = written("in-toto", tmp_path / "statement.json")
    told = json.loads(file.read_text())
    assert (told["_type"], told["predicateType"]) == ("https://in-toto.io/Statement/v1", "https://in-toto.io/attestation/eval-result/v0.1")
    predicate, receipt = told["predicate"], told["predicate"]["receipt"]
    assert told["subject"][0]["digest"] == {"sha256": hashlib.sha256(receipt["statement"].encode()).hexdigest()}
    Ed25519PublicKey.from_public_bytes(base64.b64decode(receipt["publicKey"])).verify(
        base64.b64decode(receipt["signature"]), receipt["statement"].encode()
    )
    assert base64.b64decode(receipt["merkleRootB64"]).hex() == json.loads(receipt["statement"])["root"]
    assert predicate["claims"] == [
        {"metric": "sums/exact_match", "comparator": ">=", "threshold": "0.75", "passed": True, "value": "0.75", "documents": 4,
         "interval": {"confidence": "0.95", "low": "0.3", "high": "0.95", "method": "Wilson"}},
        {"metric": "sums/perplexity/x", "comparator": "<=", "threshold": "12.5", "passed": True, "value": "12.5", "documents": 4},
    ]  # fmt: skip
    assert (predicate["sampleSize"], predicate["evaluatedAt"], predicate["assuranceLevel"]) == (4, "2026-09-21T14:13:20Z", "self_attested")
    assert predicate["commitments"]["model"] == {"alg": "assay-model-sha256", "value": "a" * 64, "salted": False}


def test_a_model_card_is_read_by_the_hubs_own_code(tmp_path: Path) -> None:
    """Each figure with its value; a task whose data no hub has is ours by name."""
    for source, data in (("hub:org/sums", "org/sums"), ("folder:org__sums", "org/sums"), ("generated", "assay/sums")):
        (file,) = written("model-index", tmp_path / "card.md", log_of(source))
        found = ModelCard.load(file).data.eval_results
        assert found is not None
        assert [(one.metric_type, one.metric_value, one.dataset_type, one.task_type) for one in found] == [
            ("exact_match", 0.75, data, "text-generation"), ("perplexity", 12.5, data, "text-generation"),
        ]  # fmt: skip
        assert found[0].metric_name == "exact_match, n = 4, 95 % interval 0.3 to 0.95"
        assert (found[0].metric_args or {})["assay_run"] == R


def test_files_of_eval_results_are_read_by_the_hubs_own_code(tmp_path: Path) -> None:
    """The main figure alone, of data that the hub has; where it has none, that is said."""
    (file,) = written("eval-results", tmp_path / "sums.yaml")
    (entry,) = parse_eval_result_entries(yaml.safe_load(file.read_text()))
    assert isinstance(entry, EvalResultEntry)
    assert (entry.dataset_id, entry.task_id, entry.value, entry.date) == ("org/sums", "sums", 0.75, "2026-09-21T14:13:20Z")
    assert R in (entry.notes or "")
    with pytest.raises(Conflict, match="no task with data of the hub"):
        written("eval-results", tmp_path / "none.yaml", log_of("generated"))


def test_a_record_of_every_eval_ever_is_read_back_with_its_rows(tmp_path: Path) -> None:
    """By our own reader of such records; a row for each scored sample, with what was asked, answered and right."""
    whole, rows = written("every-eval-ever", tmp_path / "records")
    told, lines = json.loads(whole.read_text()), [json.loads(line) for line in rows.read_text().splitlines()]
    figures = figures_of(told, "every-eval-ever")
    assert [(one.model, one.task, one.metric, one.value, one.low, one.high, one.n, one.lower_is_better) for one in figures] == [
        ("org/model", "sums", "exact_match", 0.75, 0.3, 0.95, 4, False), ("org/model", "sums", "perplexity", 12.5, None, None, 4, True),
    ]  # fmt: skip
    about = told["detailed_evaluation_results"]
    assert (tmp_path / "records" / about["file_path"]) == rows and about["total_rows"] == 4
    assert about["checksum"] == hashlib.sha256(rows.read_bytes()).hexdigest()
    assert told["evaluation_results"][1]["metric_config"]["max_score"] == "Infinity"
    first = lines[1]
    assert (first["input"]["raw"], first["input"]["reference"], first["output"]["raw"]) == ("1 + 1 =", ["2"], ["2"])
    assert [line["evaluation"] for line in lines] == [{"score": float(n > 0), "is_correct": n > 0} for n in range(4)]
    assert {line["evaluation_result_id"] for line in lines} == {told["evaluation_results"][0]["evaluation_result_id"]}
    assert first["token_usage"]["total_tokens"] == 9


def test_a_choice_among_continuations_is_told_as_one(tmp_path: Path) -> None:
    """Its output is the likeliest, and no text was extracted."""
    requests = tuple(
        BuiltRequest(request_type="loglikelihood", context=Text.plain("2 + 2 ="), continuation=Text.plain(one)) for one in (" 3", " 4")
    )
    answers = tuple(
        Answer(request_index=n, request_type="loglikelihood", loglikelihood=value, finish_reason="stop", prompt_tokens=3, output_tokens=0)
        for n, value in enumerate((-5.0, -0.5))
    )  # fmt: skip
    _, rows = written("every-eval-ever", tmp_path / "records", log_of(requests=requests, answers=answers))
    told = json.loads(rows.read_text().splitlines()[0])
    assert (told["input"]["choices"], told["output"]["raw"], told["answer_attribution"]) == ([" 3", " 4"], [" 4"], [])


@pytest.mark.parametrize("form", ["in-toto", "every-eval-ever"])
def test_what_the_log_says_no_longer_is_not_written(form: str, tmp_path: Path) -> None:
    """Whatever the form: else it would name a seal that is not of it."""
    log = log_of()
    records = next(found for place, found in log.records.items() if place[0] == SCORES.name)
    event = records[0].event
    assert isinstance(event, SampleScored)
    records[0] = replace(records[0], event=event.model_copy(update={"value": 1.0}))
    with pytest.raises(Permanent, match="no longer says what was sealed"):
        written(form, tmp_path / "out", log)


@pytest.mark.parametrize("form", ["in-toto", "model-index", "eval-results", "every-eval-ever"])
def test_what_has_no_scores_or_is_private_is_refused(form: str, tmp_path: Path) -> None:
    """A private run's figures are told as they are elsewhere, and no row of it."""
    with pytest.raises(Conflict, match="no task with a score"):
        written(form, tmp_path / "none", log_of(figures=(Figure(metric="exact_match", value=None, n=0),)))
    private = log_of(visibility="private")
    if form == "every-eval-ever":
        with pytest.raises(Invalid, match="is private, and rows of its samples have its prompts"):
            written(form, tmp_path / "private", private)
    else:
        assert all("1 + 1" not in file.read_text() for file in written(form, tmp_path / "private", private))


def test_rows_of_a_private_build_have_none_of_its_texts(tmp_path: Path) -> None:
    """The run is open, and what it was asked is not, nor can it be read any more: its figures, answers and scores are told."""
    _, rows = written("every-eval-ever", tmp_path / "records", log_of(of_build="private"))
    assert "+ 1" not in rows.read_text() and "withheld" in rows.read_text() and len(rows.read_text().splitlines()) == 4
