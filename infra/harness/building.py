"""A task built once, whole: every document with its requests, exactly as lm-eval makes them.

Few-shot examples are drawn by one sequential generator, so a build is always of the whole task, on a fresh task object; whoever wants
fewer samples takes the first ones.
"""

import functools
import hashlib
import inspect
import json
import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from infra.harness.catalogue import BUNDLED_TASKS, HARNESS_VERSION
from infra.harness.chat import Dress
from infra.harness.data import Given, Used
from infra.harness.defined_documents import check_labels, check_own, explained
from infra.harness.defined_examples import check_example, check_shots, explained_example
from infra.harness.definition_files import parts_of
from infra.harness.definition_loading import told_of
from infra.harness.document_places import place_of
from infra.harness.examples import Examples, draws
from infra.harness.formats import OWN, formats_of, written
from infra.harness.metrics import registry
from infra.harness.rehearsing import rehearse
from infra.harness.skipping import examples_left_out, skipped_of
from infra.harness.tasks import FEWSHOT_SEED, own_of, with_data, without_data
from infra.kafka import MOST_BYTES
from infra.settings import Settings
from infra.suites.reading import licences
from infra.task_fitness import TEXTS
from schemas.builds import RequestType
from schemas.requests import TaskChoice
from schemas.runs import ExpectedMetric, Setup
from streams import planning
from streams.errors import AssayError, Invalid
from streams.licences import GENERATED
from streams.quality import matching, skipping

SHORTEST_PREFIX = 200
PREFERRED = ("acc_norm", "acc", "exact_match", "bleu_acc", "pct_stereotype")
LIKELIHOODS = frozenset({"multiple_choice", "loglikelihood", "loglikelihood_rolling"})
GUESSED_AT = 1000
OVERHEAD_BYTES = 200  # of a request beside its texts


@dataclass(frozen=True, slots=True)
class BuiltCall:
    """One request; its whole context is `prefix + context`."""

    request_type: RequestType
    prefix: str
    context: str
    continuation: str | None
    generation_json: str | None
    repeats: int


@dataclass(frozen=True, slots=True)
class BuiltSample:
    """One document with its requests."""

    ordinal: int
    doc_id: int
    document: str
    requests: tuple[BuiltCall, ...]
    arguments_sha: str
    target: str | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """The id that a build has, and what is to be said of it, whoever builds it; what the task asks for, the licence of its data, and how it
    says that its texts are generated, where it says so."""

    build_id: str
    told: tuple[str, ...] = ()
    output_type: str | None = None
    licence: str | None = None
    generation: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Build:
    """A whole task."""

    build_id: str
    task: str
    task_version: str
    harness_version: str
    data_sha: str
    data_source: str
    licence: str | None
    fewshot: int
    seed: int
    chat_sha: str
    samples: list[BuiltSample]
    expected: tuple[ExpectedMetric, ...]
    main_metric: str
    main_filter: str
    chance: float | None
    config_json: str
    own_examples: int = 0
    rows_skipped: int = 0
    skipped_first: str | None = None
    examples_skipped: int = 0
    examples_skipped_first: str | None = None
    format: str = OWN
    questions: bytes = b""


# The task object that `identify` made last, with its key, so that `build` need not make it again.
_last: dict[tuple[TaskChoice, Settings, Given | None], tuple[Any, Used]] = {}


def identify(choice: TaskChoice, *, dress: Dress, settings: Settings, given: Given | None = None) -> Identity:
    """The task's build by its id, a hash of the task, its data, few-shot, seed and chat. Reads the data, builds no request.

    `given` are the documents of a derived task. Raises: NotFound, Invalid.
    """
    task, used = with_data(choice, settings, given)
    if dress.chat.thinking and task.OUTPUT_TYPE in LIKELIHOODS:
        raise Invalid(
            f"task {choice.name} asks how likely given answers are, which a model that thinks first is not asked; "
            "leave the task or chat.thinking out", code="thinking-likelihood",
        )  # fmt: skip
    _last.clear()
    _last[_key(choice), settings, given] = (task, used)
    left_out = examples_left_out(task, used)
    told = skipping.told_of_examples(choice.name, len(left_out), next(iter(left_out), None))
    said = getattr(task.config, "generation_kwargs", None) if task.OUTPUT_TYPE == TEXTS else None
    return Identity(
        _build_id(task, choice, used, dress), (told,) if told else (), task.OUTPUT_TYPE, _licence(choice, used),
        dict(said) if said is not None else None,
    )  # fmt: skip


def _licence(choice: TaskChoice, used: Used) -> str | None:
    """The licence of a task's data: as the project's suites tell it, else as its card does; `generated` where they are made here."""
    if choice.definition is None and choice.name in BUNDLED_TASKS:
        return GENERATED
    return (licences().get(choice.name) if choice.definition is None else None) or used.licence


def build(
    choice: TaskChoice, *, dress: Dress, settings: Settings, given: Given | None = None, seed: int = FEWSHOT_SEED, format: str = OWN
) -> Build:
    """The whole build, by that seed of its few-shot examples and in that prompt format. Raises: NotFound, Invalid."""
    key = (_key(choice), settings, given)
    task, used = _last.pop(key) if key in _last else with_data(choice, settings, given)
    task.set_fewshot_seed(seed=seed)
    with written(task, format):
        return replace(_built(task, choice, used, dress, seed=seed), format=format)


def _built(task: Any, choice: TaskChoice, used: Used, dress: Dress, *, seed: int) -> Build:
    left_out = examples_left_out(task, used)
    check_shots(task, choice.name, exclude=choice.fewshot_exclude_self, left_out=left_out)
    own = own_of(choice)
    if own is not None:
        check_own(task, own.member.fields)
    look = functools.partial(check_example, task, definition=own.member.fields) if own else None
    examples = Examples(choice.name, exclude=choice.fewshot_exclude_self, look=look)
    examples.watch(task)
    try:
        task.build_all_requests(
            system_instruction=dress.chat.system, apply_chat_template=dress.template is not None, fewshot_as_multiturn=dress.chat.multiturn,
            chat_template=dress.render,
        )  # fmt: skip
        samples = list(_samples(task))
        rehearse(task, own.member.fields) if own else check_labels(task)
    except (AssayError, MemoryError):
        raise
    except Exception as error:  # a task's definition is code of others: whatever it raises is this task's refusal
        fields = own.member.fields if own else None
        told = (
            explained(task, fields)
            or explained_example(task, fields)
            or Invalid(f"task {choice.name} cannot be built: {told_of(error, own.files if own else None)}", code="task-broken")
        )
        raise told from error
    samples = _with_prefix(samples)
    for sample in samples:
        _check_size(sample, task)
    expected = _expected(task)
    main_metric, main_filter = _main(expected)
    skipped = skipped_of(task, used)
    return Build(
        build_id=_build_id(task, choice, used, dress, seed=seed), task=choice.name, task_version=str(task.VERSION),
        harness_version=HARNESS_VERSION, data_sha=used.sha, data_source=used.source,
        licence=_licence(choice, used),
        fewshot=int(task.config.num_fewshot or 0), seed=seed, chat_sha=dress.sha, samples=samples, expected=expected,
        main_metric=main_metric, main_filter=main_filter, chance=_chance(task, samples, main_metric),
        config_json=_config_json(task, choice, samples[0]), own_examples=examples.own, rows_skipped=len(skipped),
        skipped_first=next(iter(skipped), None), examples_skipped=len(left_out), examples_skipped_first=next(iter(left_out), None),
        questions=_questions(task, samples),
    )  # fmt: skip


def setups_of(choice: TaskChoice, *, dress: Dress, settings: Settings, given: Given | None = None) -> tuple[Setup, ...]:
    """How each repeat of the task is to be built, where its choice varies that; none where it does not. Raises: NotFound, Invalid.

    The first is the task's own. Each has another few-shot seed, where seeds vary and there are examples to draw; and the next of the
    formats that the task can have, where formats vary.
    """
    if not choice.vary:
        return ()
    task, used = with_data(choice, settings, given)
    formats = formats_of(task) if "format" in choice.vary else [OWN]
    seeds = choice.repeats if "seed" in choice.vary and draws(task) else 1
    count = planning.setups_there(choice, formats=len(formats), seeds=seeds)
    found = []
    for number in range(count):
        seed, name = FEWSHOT_SEED + number % seeds, formats[number % len(formats)]
        with written(task, name):
            found.append(Setup(build_id=_build_id(task, choice, used, dress, seed=seed), seed=seed, format=name))
    return tuple(found[repeat % count] for repeat in range(choice.repeats))


def beside(config_json: str, asked: Sequence[str]) -> tuple[ExpectedMetric, ...]:
    """The figures of the metrics that are asked for beside a built task's own. Raises: Invalid, as `registry.expected`."""
    return registry.expected(without_data(config_json), asked) if asked else ()


def _key(choice: TaskChoice) -> TaskChoice:
    """The choice without what does not change the build."""
    kept = ("name", "fewshot", "fewshot_exclude_self", "skip_bad_rows")
    return TaskChoice(**{name: getattr(choice, name) for name in kept}, **_brought(choice))


def _brought(choice: TaskChoice) -> dict[str, Any]:
    """What a choice says of the definition that it brings."""
    return {name: getattr(choice, name) for name in ("definition", "trust_code", "file", "parts")}


def _build_id(task: Any, choice: TaskChoice, used: Used, dress: Dress, *, seed: int = FEWSHOT_SEED) -> str:
    config = task.dump_config()
    config["metadata"] = {name: value for name, value in (config.get("metadata") or {}).items() if name != "config_source"}
    told = [config, str(task.VERSION), HARNESS_VERSION, used.sha, seed, dress.sha]
    if choice.fewshot_exclude_self and task.config.num_fewshot:
        told.append("fewshot_exclude_self")
    if own := own_of(choice):
        told += [[part.path, part.text] for part in parts_of(own.files)]
    if left_out := {split: len(rows) for split, rows in used.skipped.items() if rows}:
        told.append(left_out)
    if examples_out := len(examples_left_out(task, used)):
        told.append({"examples": examples_out})
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=_named).encode()).hexdigest()


def _named(value: Any) -> str:
    """What stands for a value that JSON has no form for; a function's text, for its address is another in every process."""
    try:
        return inspect.getsource(value) if callable(value) else str(value)
    except (OSError, TypeError):
        return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', type(value).__qualname__)}"


def _samples(task: Any) -> Iterator[BuiltSample]:
    for ordinal, (doc_id, group) in enumerate(groupby(task.instances, key=lambda instance: instance.doc_id)):
        instances = list(group)
        if [instance.idx for instance in instances] != sorted(instance.idx for instance in instances):
            instances.sort(key=lambda instance: instance.idx)
        calls = tuple(_call(instance) for instance in instances)
        told = json.dumps([[call.context, call.continuation, call.generation_json] for call in calls], ensure_ascii=False)
        sha = hashlib.sha256(told.encode()).hexdigest()
        yield BuiltSample(ordinal, doc_id, _document(instances[0].doc, task, doc_id), calls, sha, _target(task, instances[0].doc))


def _target(task: Any, doc: Any) -> str | None:
    """The expected answer as people read it: a choice's text, several right ones each on a line; None where the task has none."""
    try:
        told = task.doc_to_target(doc)
        if isinstance(told, int) and task.OUTPUT_TYPE == "multiple_choice":
            told = task.doc_to_choice(doc)[told]
    except Exception:  # noqa: BLE001  a task's definition is code of others, and no score hangs on this text
        return None
    return ("\n".join(map(str, told)) if isinstance(told, list | tuple) else str(told)) or None


def _questions(task: Any, samples: list[BuiltSample]) -> bytes:
    """What each document asks, by name: its question, where the task says which text that is, else its row."""
    documents = {instance.doc_id: instance.doc for instance in task.instances}
    return matching.names_of(_question(task, documents[one.doc_id]) or one.document for one in samples)


def _question(task: Any, doc: Any) -> str | None:
    try:
        told = task.doc_to_decontamination_query(doc) if task.should_decontaminate() else None
    except Exception:  # noqa: BLE001  a task's definition is code of others, and no score hangs on this text
        return None
    return told if isinstance(told, str) else None


def _call(instance: Any) -> BuiltCall:
    context, *rest = instance.args
    if any(isinstance(argument, dict) and ("visual" in argument or "audio" in argument) for argument in rest):
        raise Invalid("this task shows pictures or plays sounds, which is not supported yet", code="multimodal")
    generation = rest[0] if instance.request_type == "generate_until" else None
    continuation = str(rest[0]) if instance.request_type == "loglikelihood" else None
    return BuiltCall(
        instance.request_type, "", context, continuation, json.dumps(generation, sort_keys=True) if generation is not None else None,
        instance.repeats or 1,
    )  # fmt: skip


def _document(document: Any, task: Any, number: int) -> str:
    try:
        written = json.dumps(document, ensure_ascii=False)
        written.encode()  # a half of a letter has no UTF-8
        return written
    except (TypeError, UnicodeEncodeError) as error:
        raise Invalid(f"{place_of(task, number)} holds what JSON cannot: {error}", code="document") from error


def _check_size(sample: BuiltSample, task: Any) -> None:
    """Raises: Invalid for a document that no record of the log holds with its requests. What is long is published apart, and not in it."""
    texts = [sample.document, sample.target or ""]
    for call in sample.requests:
        texts += [call.continuation or "", call.generation_json or "", call.context if len(call.context) <= planning.LONGEST_INLINE else ""]
    needed = sum(len(text.encode(errors="replace")) for text in texts) + OVERHEAD_BYTES * (len(sample.requests) + 1)
    if needed > MOST_BYTES:
        told = f"{place_of(task, sample.doc_id)} takes {needed:,} bytes with its requests, and a record of the log holds {MOST_BYTES:,}"
        raise Invalid(f"{told}; leave the row out, or shorten it", code="document-too-large")


def _with_prefix(samples: list[BuiltSample]) -> list[BuiltSample]:
    """The samples with what all contexts begin with split off: fixed few-shot examples are then published once."""
    contexts = [call.context for sample in samples for call in sample.requests]
    prefix = _common_start(min(contexts), max(contexts)) if len(samples) > 1 else ""
    if len(prefix) < SHORTEST_PREFIX:
        return samples
    cut = len(prefix)
    return [
        replace(sample, requests=tuple(replace(call, prefix=prefix, context=call.context[cut:]) for call in sample.requests))
        for sample in samples
    ]


def _common_start(first: str, last: str) -> str:
    """What two texts begin with; of the least and the greatest of many it is what all begin with."""
    length = next(
        (place for place, (left, right) in enumerate(zip(first, last, strict=False)) if left != right), min(len(first), len(last))
    )
    return first[:length]


def _expected(task: Any) -> tuple[ExpectedMetric, ...]:
    from lm_eval.api.registry import AGGREGATION_REGISTRY

    names = {function: name for name, function in AGGREGATION_REGISTRY.items()}
    better, aggregations = task.higher_is_better(), task.aggregation()
    return tuple(
        ExpectedMetric(
            filter=ensemble.name, metric=told, higher_is_better=bool(better.get(metric, True)),
            aggregation=names.get(function, getattr(function, "__name__", "custom")),
        )
        for ensemble in task._filters for metric, function in aggregations.items() for told in _told(task, metric)
    )  # fmt: skip


def _told(task: Any, metric: str) -> list[str]:
    """The names under which a metric's values come: pass@k is one function of several k."""
    given = (task._metric_fn_kwargs or {}).get(metric, {}) if metric == "pass_at_k" else {}
    return [f"pass@{k}" for k in given["k"]] if "k" in given else [metric]


def _main(expected: tuple[ExpectedMetric, ...]) -> tuple[str, str]:
    """The metric that rankings use: length-normalised accuracy where the task has it, else accuracy, else its first."""
    for name in PREFERRED:
        for one in expected:
            if one.metric == name:
                return one.metric, one.filter
    return expected[0].metric, expected[0].filter


def _chance(task: Any, samples: list[BuiltSample], metric: str) -> float | None:
    """What guessing gives: the mean of 1 / (number of choices); None for anything but multiple choice.

    A task that scores in a way of its own is asked, for each choice, what picking it would give; at some thousand of its samples.
    """
    if task.OUTPUT_TYPE != "multiple_choice":
        return None
    if callable(task.config.process_results):
        told = [value for sample in samples[:: max(1, len(samples) // GUESSED_AT)] for value in _picked(task, sample, metric)]
        guessed = statistics.fmean(told) if told else math.nan
    else:
        twice = 2 if "acc_mutual_info" in task.aggregation() else 1
        guessed = sum(twice / len(sample.requests) for sample in samples) / len(samples)
    return guessed if 0 <= guessed < 1 else None  # else no score can be said beside it


def _picked(task: Any, sample: BuiltSample, metric: str) -> Iterator[float]:
    """The metric's value with each of the choices certain."""
    document, choices = json.loads(sample.document), range(len(sample.requests))
    for choice in choices:
        try:
            told = task.process_results(document, [(0.0 if one == choice else -1000.0, one == choice) for one in choices])
            yield float(told[metric])
        except Exception:  # noqa: BLE001, S112  a task's scoring is code of others; what it cannot say of guessing is not known
            continue


def _config_json(task: Any, choice: TaskChoice, first: BuiltSample) -> str:
    """What scoring makes the task from again. lm-eval looks at the first document to tell what kind of task it is: it is kept here."""
    own = own_of(choice)
    parts: dict[str, Any] = (
        {"file": choice.file, "parts": [part.model_dump() for part in parts_of(own.files)]} if own and choice.parts else {}
    )
    brought: dict[str, Any] = {"definition": choice.definition, "trust_code": choice.trust_code, **parts} if own else {}
    return json.dumps({**brought,
        "task": choice.name, "harness_version": HARNESS_VERSION, "yaml": type(task).__name__ == "ConfigurableTask",
        "custom_dataset": callable(getattr(task.config, "custom_dataset", None)), "document": json.loads(first.document),
        **({"runs_code": True} if getattr(task.config, "unsafe_code", False) else {}),
    }, ensure_ascii=False)  # fmt: skip
