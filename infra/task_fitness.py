"""Whether a task can be asked on an engine of a model: what it asks for, and how its texts are generated; told before anything runs."""

from collections.abc import Mapping
from typing import Any, Final, Protocol

from infra.models import ModelFacts
from schemas.requests import EngineChoice, EvaluationRequested, TaskChoice
from streams import licences
from streams.engines import kind_of
from streams.errors import Invalid
from streams.quality import generation

TEXTS: Final = "generate_until"
# What a task of lm-eval's asks for, by its output_type, and how that is called.
ASKS: Final[Mapping[str, tuple[str, str]]] = {
    "multiple_choice": ("loglikelihood", "how likely choices are"), "loglikelihood": ("loglikelihood", "how likely answers are"),
    "loglikelihood_rolling": ("loglikelihood_rolling", "how likely whole texts are"), TEXTS: (TEXTS, "texts"),
}  # fmt: skip


class Task(Protocol):
    """A task as it was identified: its kind, the licence of its data, and how it says that its texts are generated, where it does."""

    @property
    def output_type(self) -> str | None: ...

    @property
    def licence(self) -> str | None: ...

    @property
    def generation(self) -> Mapping[str, Any] | None: ...


def check_asked(task: Task, choice: TaskChoice, request: EvaluationRequested, facts: ModelFacts | None) -> None:
    """Raises: Invalid for a task that asks for what its engine, or the model, does not answer, also of lm-eval's; or whose data's licence
    the request does not take."""
    licences.check_data(task.licence, taken=request.data_licences, non_commercial=request.non_commercial, task=choice.name)
    asked, what = ASKS.get(task.output_type or "", ("", ""))
    if asked and asked not in kind_of(request.engine.name).answers:
        told = f"task {choice.name} asks for {what}, which engine {request.engine.name} does not answer"
        raise Invalid(f"{told}; give engine transformers, or another task", code="engine-cannot")
    if task.generation is not None:
        check_texts(choice.name, task.generation, choice, request, facts)


def check_texts(name: str, said: Mapping[str, Any], choice: TaskChoice, request: EvaluationRequested, facts: ModelFacts | None) -> None:
    """Raises: Invalid for generation arguments that engine or model does not take: a task's, `said`, and the request's in their place."""
    own = generation.arguments(choice.generation.json_text) if choice.generation else {}
    told, chat = generation.merged(said, own), request.chat
    try:
        generation.check(told)
        generation.check_taken(told, engine=request.engine.name)
        if facts is None:
            return
        check_lengths(told, request, facts, unsaid=generation.DEFAULT_GENERATED)
        generation.check_model(told, encoder_decoder=facts.shape.encoder_decoder, thinks=bool(chat.thinking))
        if facts.shape.vocabulary:
            generation.check_tokens(told, vocabulary=facts.shape.vocabulary)
    except Invalid as error:
        raise Invalid(f"task {name}: {error}", code=error.code) from error


def check_lengths(told: Mapping[str, Any], request: EvaluationRequested, facts: ModelFacts, *, unsaid: int | None = None) -> None:
    """Raises: Invalid for lengths that the model's window has no room for; `unsaid` as in generation.check_window."""
    thinking = request.chat.thinking_tokens or 0 if request.chat.thinking else 0
    generation.check_window(told, window=window_of(facts, request.engine), unsaid=unsaid, thinking=thinking)


def window_of(facts: ModelFacts, engine: EngineChoice) -> int:
    """How many tokens a request may have: the model's window, or less where the engine is told so."""
    told = engine.options.get("max_length", "")
    return min(facts.max_len, int(told)) if told.isdecimal() else facts.max_len
