"""Books as bytes, and back: what a worker that starts has of them at once.

What thousands of runs share is told once: their tasks. Of a run that is forgotten only its name is told.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable
from typing import Final

from schemas.codec import Codec
from schemas.jobs import EnvironmentSeen
from schemas.results import Documents
from schemas.runs import PlannedTask
from schemas.settled import RunSettled
from schemas.trust import RunRetracted
from streams.boards.books import Books
from streams.boards.ranking import FORMULA_VERSION
from streams.names import Names
from streams.topics import ENVIRONMENTS, RESULTS, RETRACTIONS, RUN_SCORES

VERSION: Final = f"books-8 {FORMULA_VERSION}"
INPUTS: Final = (ENVIRONMENTS, RUN_SCORES, RESULTS, RETRACTIONS)


def telling(books: Books, codec: Codec) -> Callable[[], bytes]:
    """What writes the books as they are now: it may be called in a thread, while they go on."""
    said, settled, environments = dict(books.said), list(books.settled.values()), list(books.environments.values())
    retracted, scores = list(books.retracted.values()), [(run_id, dict(own)) for run_id, own in books.scores.items()]
    past, names = {run_id for run_id in books.settled if books.counts_no_more(run_id)}, books.past.taken()
    stood = [[name, model, count] for name, models in books.stood.items() for model, count in models.items()]

    def write() -> bytes:
        tasks: dict[int, tuple[int, PlannedTask]] = {}
        runs = [(*_run(event, tasks, codec), event.run_id in past) for event in settled]
        return json.dumps({
            "said": said, "runs": runs, "past": _text(names), "stood": stood,
            "tasks": [task.model_dump(mode="json") for _, task in tasks.values()],
            "environments": [_text(codec.encode(event)) for event in environments],
            "retracted": [_text(codec.encode(event)) for event in retracted],
            "scores": [
                [run_id, *which, {name: _text(value) for name, value in documents if value is not None}]
                for run_id, own in scores for which, documents in own.items()
            ],
        }).encode()  # fmt: skip

    return write


def loaded(told: bytes, codec: Codec) -> Books:
    """The books in such bytes. Raises: ValueError, KeyError, TypeError."""
    found, books = json.loads(told), Books(whole=True)  # until all of it is here
    for payload in found["environments"]:
        books.fold(codec.decode(b64decode(payload), EnvironmentSeen))
    for payload in found["retracted"]:
        books.fold(codec.decode(b64decode(payload), RunRetracted))
    for run_id, task, version, documents in found["scores"]:
        books.scores[run_id][task, version] = Documents(**{name: b64decode(value) for name, value in documents.items()})
    tasks = [PlannedTask.model_validate(task) for task in found["tasks"]]
    for payload, planned, past in found["runs"]:
        event = _settled(codec.decode(b64decode(payload), RunSettled), (tasks[number] for number in planned))
        (books.recall if past else books.fold)(event)
    books.said, books.past, books.whole = found["said"], Names(b64decode(found["past"])), False
    books.stood.clear()
    for name, model, count in found["stood"]:
        books.stood[name][tuple(model)] = int(count)
    return books


def _run(event: RunSettled, tasks: dict[int, tuple[int, PlannedTask]], codec: Codec) -> tuple[str, list[int]]:
    """A run without its tasks, and their numbers among all; tasks that are one object are one."""
    own = event.plan.tasks if event.plan else ()
    return _text(codec.encode(_settled(event, ()))), [tasks.setdefault(id(task), (len(tasks), task))[0] for task in own]


def _settled(event: RunSettled, tasks: Iterable[PlannedTask]) -> RunSettled:
    plan = event.plan.model_copy(update={"tasks": tuple(tasks)}) if event.plan else None
    return event.model_copy(update={"plan": plan})


def _text(some: bytes) -> str:
    return b64encode(some).decode()
