"""Private runs: their prompts and answers are in the log, sealed (streams/trust/sealing.py), and are told nowhere else.

Every event says by its header whether it is private. Whatever leaves the log (rows of ClickHouse, live events, lines of `assay tail`,
dead letters as they are shown) goes through `told` first; hence no table, page or answer of the API has such a text.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from schemas.builds import BuiltRequest, TaskBuilt
from schemas.event import Event, Record, Text, Visibility
from schemas.jobs import Job
from schemas.measurements import Answer
from schemas.requests import Chat, EvaluationRequested, Generation, Prompt, TaskChoice, TaskPart, Traced, Workload
from schemas.results import SampleNotScored, SampleScored
from schemas.runs import RunChanged, SkippedTask
from schemas.trust import AccessChanged, DeadLettered
from streams.runs import PASSED

PRIVATE: Final = "private"
# A JSON string, quotes and all: some of these texts are read as JSON.
WITHHELD: Final = '"withheld: the run is private"'
WITHHELD_HASH: Final = "withheld"
# Beside every Text: fields that hold prompts or answers, or may quote them, as what an exception says.
QUOTING: Final[Mapping[type[Record], tuple[str, ...]]] = {
    Chat: ("system", "template"),
    TaskChoice: ("definition",),
    TaskPart: ("text",),
    Generation: ("json_text",),
    BuiltRequest: ("generation_json",),
    Job: ("generation_json",),
    Traced: ("text",),
    Prompt: ("text",),
    Workload: ("extra_body",),
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
    "engine-answers", "engine-cannot", "engine-died", "fewshot", "forgotten", "job-kind", "limit", "no-chat-template", "no-master-key",
    "nothing-to-do", "out-of-bounds", "out-of-memory", "pins-differ", "repeats", "samples-missing", "sealed-mark", "slo", "stopping",
    "task-code", "task-twice", "text-key", "thinking-likelihood", "too-long", "trace", "truncated", "unknown-engine", "unknown-suite",
    "unknown-task", "vary", "workload",
})  # fmt: skip
OURS_BEGINNING: Final = ("model-",)
# No text of the client's; "model" is the tokenizer's own template, the others are our words.
NOBODYS: Final = (None, "", b"", "{}", "model", PASSED, WITHHELD)
E = TypeVar("E", bound=Event)
# Whose a text is: an event, by its type and what its id is made from, or the job that it carries, which is the same in plan and lease.
Owner = tuple[object, ...]
Change = Callable[[Any, Owner, str], Any]  # of a Text, str or bytes, whose it is, and the path to it from there


def told(event: E) -> E:
    """The event as it may be told outside the log: of a private one without its texts, of a key without its hash."""
    if isinstance(event, AccessChanged) and event.key_hash is not None:
        return event.model_copy(update={"key_hash": WITHHELD_HASH})
    return replaced(event, _withheld) if event.visibility == PRIVATE else event


def replaced(event: E, change: Change) -> E:
    """The event with what `change` makes of each text that is the client's or the model's."""
    owner = (type(event).__name__, *(getattr(event, name) for name in event.identity))
    found: E = _replaced(event, change, owner, "")
    return found


def texts_of(event: Event) -> dict[str, Any]:
    """Every text of an event that is the client's or the model's (a Text, str or bytes), by its path."""
    found: dict[str, Any] = {}

    def note(value: Any, owner: Owner, path: str) -> Any:
        found[path if owner[0] != "Job" else f"job.{path}"] = value
        return value

    replaced(event, note)
    return found


def _replaced(value: Any, change: Change, owner: Owner, path: str) -> Any:
    match value:
        case Text():
            return change(value, owner, path)
        case Record():
            if isinstance(value, Job):
                owner, path = ("Job", value.job_id), ""
            quoting, new = _quoting(value), dict[str, Any]()
            for name in type(value).model_fields:
                one, at = getattr(value, name), f"{path}.{name}" if path else name
                quotes = name in quoting and one not in NOBODYS
                new[name] = change(one, owner, at) if quotes else _replaced(one, change, owner, at)
            return value.model_copy(update=new)
        case tuple():
            return tuple(_replaced(one, change, owner, f"{path}.{number}") for number, one in enumerate(value))
    return value


def _quoting(record: Record) -> tuple[str, ...]:
    """The fields of a record that hold prompts or answers, or may quote them."""
    if isinstance(record, RunChanged) and record.reason_code is not None:
        return () if record.reason_code in OURS or record.reason_code.startswith(OURS_BEGINNING) else QUOTING[RunChanged]
    return QUOTING.get(type(record), ())


def _withheld(value: Any, _owner: Owner, _path: str) -> Any:
    match value:
        case Text():
            return Text.plain(WITHHELD)
        case bytes():
            return WITHHELD.encode()
    return WITHHELD


def has_own_dress(chat: Chat) -> bool:
    """Whether prompts are dressed in texts of the request's own."""
    return chat.system is not None or chat.template not in NOBODYS


def of_build(request: EvaluationRequested, choice: TaskChoice, *, judges: bool) -> Visibility:
    """The visibility of a build that the request makes.

    The request's own where its texts are: its task, its system text or template, or answers that it judges. What a public task
    asks is no secret, and the build is there for any run; that a private run asked it is told by no sample of that run.
    """
    own = judges or choice.definition is not None or has_own_dress(request.chat)
    return request.visibility if own else "public"
