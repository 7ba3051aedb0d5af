"""What a request comes to before anything runs: its model's facts, how its prompts are dressed, its tasks with groups taken apart."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from infra import model_fitness
from infra.credentials import owned
from infra.fetching import Told
from infra.harness.catalogue import Leaf, known_tasks, resolve
from infra.harness.chat import MESSAGES, Dress
from infra.harness.definition_files import CODE, files_of
from infra.harness.definition_groups import Member, generations, members, name_of, remarks, weighs_by_size
from infra.hub.bringing import bring
from infra.models import DTYPE_BYTES, ModelFacts, inspect, read_by
from infra.settings import Settings
from infra.task_fitness import check_lengths, check_texts, window_of
from schemas.requests import EngineChoice, EvaluationRequested, ModelRef, TaskChoice
from schemas.runs import Estimate, Placement
from streams import licences, planning
from streams.engines import AS_THEY_ARE, is_elsewhere, kind_of, quantised_by, read_options
from streams.errors import Invalid, Unavailable
from streams.model_memory import TOKENS_AT_ONCE
from streams.placing.choosing import applied, choose
from streams.placing.ways import Machine, Sizes, narrowed, taken_by
from streams.quality import generation
from streams.speed import workloads

THOUGHT, SWITCH = "<think>", "enable_thinking"  # as templates have them. Source: those of DeepSeek-R1 and Qwen3.
NOT_BROUGHT = {"definition": None, "trust_code": False, "file": None, "parts": ()}  # what a task of lm-eval's says of a definition


def brought(
    request: EvaluationRequested, *, settings: Settings, told: Told = lambda here, whole: None
) -> tuple[EvaluationRequested, ModelFacts | None]:
    """The request with a hub's model pinned to its commit, and the facts of it, once it is here.

    Raises: NotFound, Invalid, as `facts_of`, and where the model cannot be fetched.
    """
    if not _reads_files(request):
        return request, facts_of(request)
    _checked_arguments(request)  # before anything is fetched
    credential, taken = owned(planning.hub_credential(request), request.organisation_id), request.model_licences
    try:
        with bring(request.model, settings=settings, credential=credential, told=told, taken=taken) as here:
            request = request.model_copy(update={"model": here.model})
            facts = facts_of(request, licence=here.licence)
    except Unavailable as error:
        raise Invalid(str(error), code=error.code) from error
    return request, facts


def _reads_files(request: EvaluationRequested) -> bool:
    """Whether the model's own files are read: not those of a fake, nor of one behind an address."""
    return bool(kind_of(request.engine.name).formats) and (bool(request.tasks) or not (request.workload and request.workload.url))


def facts_of(request: EvaluationRequested, *, licence: str | None = None) -> ModelFacts | None:
    """What the model's files say; None for a model without files: a fake, or one behind an address. `licence`: what else tells of it.

    Raises: NotFound, Invalid: also for a model that its engine cannot run, and generation arguments that no engine takes.
    """
    asked = _checked_arguments(request)
    if not _reads_files(request):
        model_fitness.check_told(request.model, None)
        licences.check_unseen(taken=request.model_licences, model=request.model.uri)
        return None
    read = inspect(request.model)
    facts = read_by(replace(read, licence=read.licence or licence), engine=request.engine.name)
    licences.check(facts.licence, taken=request.model_licences, model=request.model.uri)
    model_fitness.check_told(request.model, facts)
    model_fitness.check(facts, engine=request.engine.name)
    if request.workload and not request.workload.url:
        input_tokens, output_tokens = workloads.longest(request.workload)
        model_fitness.check_load(window_of(facts, request.engine), input_tokens=input_tokens, output_tokens=output_tokens)
    for told in asked:
        check_lengths(told, request, facts)
        if facts.shape.vocabulary:
            generation.check_tokens(told, vocabulary=facts.shape.vocabulary)
    return facts


def _checked_arguments(request: EvaluationRequested) -> list[dict[str, Any]]:
    """The generation arguments of its tasks. Raises: Invalid for those that its engine does not take."""
    asked = [generation.arguments(choice.generation.json_text) for choice in request.tasks if choice.generation is not None]
    for told in asked:
        generation.check_taken(told, engine=request.engine.name)
    return asked


def leaves_of(choice: TaskChoice) -> list[Leaf]:
    """The tasks that a choice stands for; of those that its definition brings, each by a name that is free. Raises: NotFound, Invalid."""
    files = files_of(choice)
    if files is None:
        return resolve(choice.name)
    if (told := name_of(files)) != choice.name:
        raise Invalid(f"task {choice.name!r} is asked for with a definition of {told!r}; give it that name", code=CODE)
    leaves = [Leaf(one.name, brought=True) if isinstance(one, Member) else one for one in members(files)]
    for name in (choice.name, *(leaf.name for leaf in leaves if leaf.brought)):
        if name in known_tasks():
            raise Invalid(
                f"there is a task {name!r} already: ask for that one by its name alone, or give yours another, as task: my_{name}",
                code=CODE,
            )
    return [replace(leaf, weight_by_size=weighs_by_size(files)) for leaf in leaves]


def remarks_of(request: EvaluationRequested, facts: ModelFacts | None) -> list[str]:
    """What the request's own definitions, its generation arguments and its model's files say that counts for nothing, or that few want.

    Raises: Invalid, also for generation arguments of a definition that its engine, or the model, does not take.
    """
    for choice in request.tasks:
        for name, arguments in generations(files) if (files := files_of(choice)) is not None else ():
            check_texts(name, arguments, choice, request, facts)
    of_arguments = [
        f"task {choice.name}: {said}" for choice in request.tasks
        if choice.generation is not None and (said := generation.remark(generation.arguments(choice.generation.json_text)))
    ]  # fmt: skip
    return [
        *_of_model(request, facts),
        *_of_thoughts(request, facts),
        *of_arguments,
        *(told for choice in request.tasks if (files := files_of(choice)) for told in remarks(files)),
    ]


def _of_model(request: EvaluationRequested, facts: ModelFacts | None) -> list[str]:
    if facts is None or not facts.older:
        return []
    told = f"{request.model.uri} holds {facts.older[0]} beside its safetensors, which are loaded; the other is not read, nor in model_sha"
    return [f"{told}: if it is another model's, name a folder of its own"]


def _of_thoughts(request: EvaluationRequested, facts: ModelFacts | None) -> list[str]:
    """That the model's template has it think, where the request does not part thoughts from answers. A server's own parts them."""
    template = (facts.chat_template if facts else None) if request.chat.template == "model" else request.chat.template
    if not template or THOUGHT not in template or request.chat.thinking:
        return []
    scored = "of a task that asks for texts, what it thinks is scored as part of its answer"
    if request.chat.thinking is None:
        return [f"the chat template of {request.model.uri} tells of thoughts ({THOUGHT}): {scored}; give --thinking or --no-thinking"]
    if SWITCH in template:
        return []
    return [f"the chat template of {request.model.uri} has no {SWITCH}, so that the model thinks all the same: {scored}; give --thinking"]


def expanded(choices: Sequence[TaskChoice], leaves: Sequence[Sequence[Leaf]]) -> list[TaskChoice]:
    """The choices with groups replaced by their tasks, which remember their group; each task once; few-shot as asked for, else as the group
    wants it. Raises: Invalid for a task that is asked for in two ways."""
    found: dict[str, TaskChoice] = {}
    for choice, its in zip(choices, leaves, strict=True):
        for leaf in its:
            fewshot = choice.fewshot if choice.fewshot is not None else leaf.fewshot
            own = {} if choice.group or leaf.name == choice.name else {"group": choice.name, "weight_by_size": leaf.weight_by_size}
            told = {"name": leaf.name, "fewshot": fewshot} | own
            one = choice.model_copy(update=told if leaf.brought else told | NOT_BROUGHT)
            found[leaf.name] = _one_of(found[leaf.name], one) if leaf.name in found else one
    return list(found.values())


def _one_of(first: TaskChoice, second: TaskChoice) -> TaskChoice:
    """What a task is asked for by, of two that are alike but for a group that one is in. Raises: Invalid where they are not."""
    alone = {"group": None, "weight_by_size": True}
    own, other = (one.model_copy(update=alone).model_dump() for one in (first, second))
    differs = [name for name in own if own[name] != other[name]]
    if first.group and second.group and first.group != second.group:
        differs.append(f"group ({first.group}, {second.group})")
    if differs:
        told = f"task {first.name!r} is asked for twice, with another {', '.join(differs)}; a run has each task once"
        raise Invalid(f"{told}: leave one out, or ask for it in a run of its own", code="task-twice")
    return first if first.group else second


def dress_of(request: EvaluationRequested, facts: ModelFacts | None) -> Dress:
    """How prompts are dressed; for a server's own template, as the messages that it dresses.

    Raises: Invalid where the model's own template is wanted and it has none.
    """
    variables = tuple(sorted(facts.special_tokens.items())) if facts and request.chat.template else ()
    if request.chat.template != "model":
        return Dress(request.chat, request.chat.template, variables)
    if is_elsewhere(request.engine.name):
        return Dress(request.chat, MESSAGES)
    if facts is None or facts.chat_template is None:
        raise Invalid(f"{request.model.uri} has no chat template; leave chat.template out, or give one", code="no-chat-template")
    return Dress(request.chat, facts.chat_template, variables)


def sizes_of(facts: ModelFacts, model: ModelRef, engine: EngineChoice) -> Sizes:
    """What of the model says how much memory it takes on that engine."""
    shape, fixed = facts.shape, engine.name in AS_THEY_ARE
    kept_wide = 2 if engine.options.get("kv") == "float32" else 1
    return Sizes(
        weights_bytes=facts.weights_bytes, kv_bytes_per_token=kept_wide * facts.kv_bytes_per_token, max_len=window_of(facts, engine),
        widest=shape.widest, vocabulary=shape.vocabulary, dtype=facts.dtype, itemsize=DTYPE_BYTES[facts.dtype],
        told=model.dtype is not None or fixed, heads=shape.heads, kv_heads=shape.kv_heads, layers=shape.layers,
        quantisation=facts.weights_type if shape.quantised and (fixed or facts.file is None) else None,
        packages=quantised_by(engine.name, shape.method, model=facts.folder),
    )  # fmt: skip


def placed(request: EvaluationRequested, facts: ModelFacts | None, machines: Sequence[Machine]) -> Placement | None:
    """Where the run's model goes; None where it has no files, or no agent is known that has its engine. Raises: Invalid, as `choose`."""
    return choose(sizes_of(facts, request.model, request.engine), request.engine, machines) if facts and machines else None


def put(request: EvaluationRequested, facts: ModelFacts | None, placement: Placement | None) -> EvaluationRequested:
    """The request with its model and engine as they were placed."""
    if facts is None or placement is None:
        return request
    sizes = sizes_of(facts, request.model, request.engine)
    model, engine = applied(request.model, request.engine, placement, sizes=sizes)
    return request.model_copy(update={"model": model, "engine": engine})


def estimate_of(facts: ModelFacts | None, *, engine: EngineChoice, placement: Placement | None = None) -> Estimate:
    """What the model will take in memory on that engine, at most; nothing where it has no files. Of all devices that it is spread over."""
    if facts is None:
        return Estimate()
    sizes = sizes_of(facts, ModelRef(uri=""), engine)
    if placement is not None and placement.dtype != sizes.dtype:
        sizes = narrowed(sizes)
    parts = placement.tp * placement.pp if placement else 1
    tokens = placement.batch_tokens if placement else read_options(engine.name, engine.options).get("batch_tokens", TOKENS_AT_ONCE)
    whole = taken_by(sizes, engine.name, batch=tokens)
    return Estimate(
        weights_bytes=whole.weights_bytes, overhead_bytes=parts * whole.runtime_bytes, kv_bytes=whole.kv_bytes,
        activation_bytes=parts * whole.activation_bytes,
    )  # fmt: skip
