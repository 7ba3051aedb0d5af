"""Private runs: their prompts and answers are in the log, and are told nowhere else.

Every event says by its header whether it is private. Whatever leaves the log (rows of ClickHouse, live events, lines of `assay tail`,
dead letters as they are shown) goes through `told` first; hence no table, page, answer of the API or export has such a text.
"""

from collections.abc import Mapping
from typing import Any, Final, TypeVar

from schemas.builds import TaskBuilt
from schemas.event import Event, Record, Text, Visibility
from schemas.measurements import Answer
from schemas.requests import Chat, EvaluationRequested, TaskChoice, TaskPart, Traced
from schemas.results import SampleNotScored, SampleScored
from schemas.runs import RunChanged, SkippedTask
from schemas.trust import AccessChanged, DeadLettered

PRIVATE: Final = "private"
# A JSON string, quotes and all: some of these texts are read as JSON.
WITHHELD: Final = '"withheld: the run is private"'
WITHHELD_HASH: Final = "withheld"
# Beside every Text: fields that hold prompts or answers, or may quote them, as what an exception says.
QUOTING: Final[Mapping[type[Record], tuple[str, ...]]] = {
    Chat: ("system", "template"),
    TaskChoice: ("definition",),
    TaskPart: ("text",),
    Traced: ("text",),
    TaskBuilt: ("config_json", "questions"),
    Answer: ("error",),
    SampleScored: ("parts_json",),
    SampleNotScored: ("reason",),
    RunChanged: ("message",),
    SkippedTask: ("reason",),
    DeadLettered: ("message", "payload"),
}
# Why a run ends, where the words are ours and quote no text of the request: by the reason's code, or by how that begins.
OURS: Final = frozenset({
    "adaptive", "agent-lost", "agent-stopped", "budget", "budget-time", "budget-usd", "cancelled", "chat", "deadline", "device-lost",
    "engine-answers", "engine-cannot", "engine-died", "fewshot", "job-kind", "limit", "no-chat-template", "nothing-to-do",
    "out-of-bounds", "out-of-memory", "pins-differ", "repeats", "samples-missing", "slo", "stopping", "task-twice", "thinking-likelihood",
    "too-long", "trace", "truncated", "unknown-engine", "unknown-suite", "unknown-task", "vary", "workload",
})  # fmt: skip
OURS_BEGINNING: Final = ("model-",)
NOBODYS: Final = (None, "", b"", "model")  # no text of the client's; "model" is the tokenizer's own template
E = TypeVar("E", bound=Event)


def told(event: E) -> E:
    """The event as it may be told outside the log: of a private one without its texts, of a key without its hash."""
    if isinstance(event, AccessChanged) and event.key_hash is not None:
        return event.model_copy(update={"key_hash": WITHHELD_HASH})
    return _without(event) if event.visibility == PRIVATE else event


def _without(value: Any) -> Any:
    match value:
        case Text():
            return Text.plain(WITHHELD)
        case Record():
            quoting = _quoting(value)
            fields = {name: getattr(value, name) for name in type(value).model_fields}
            return value.model_copy(update={name: _withheld(one) if name in quoting else _without(one) for name, one in fields.items()})
        case tuple():
            return tuple(_without(one) for one in value)
    return value


def _quoting(record: Record) -> tuple[str, ...]:
    """The fields of a record that hold prompts or answers, or may quote them."""
    if isinstance(record, RunChanged) and record.reason_code is not None:
        return () if record.reason_code in OURS or record.reason_code.startswith(OURS_BEGINNING) else QUOTING[RunChanged]
    return QUOTING.get(type(record), ())


def _withheld(value: Any) -> Any:
    if value in NOBODYS:
        return value
    return WITHHELD.encode() if isinstance(value, bytes) else WITHHELD


def of_build(request: EvaluationRequested, choice: TaskChoice, *, judges: bool) -> Visibility:
    """The visibility of a build that the request makes.

    The request's own where its texts are: its task, its system text or template, or answers that it judges. What a public task
    asks is no secret, and the build is there for any run; that a private run asked it is told by no sample of that run.
    """
    own = judges or choice.definition is not None or request.chat.system is not None or request.chat.template not in NOBODYS
    return request.visibility if own else "public"
