"""A sealed run's results read from the log, and written in the forms of others: statement, model card, record with its rows."""

import asyncio
import hashlib
import json
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, closing
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import yaml

from infra.builds import contents_of
from infra.exporting import check_said, sealed_of
from infra.identity import release
from infra.kafka import Log
from infra.sealed_events import events, tree_of
from infra.settings import Settings
from schemas.builds import SampleBuilt, TaskBuilt
from schemas.event import Event
from schemas.measurements import SampleAnswered
from schemas.results import RunScored, SampleScored
from schemas.settled import RunSettled
from schemas.trust import RunSealed
from streams.errors import Invalid
from streams.external.every_eval_ever import place, record, row
from streams.external.hugging_face import eval_results, model_index
from streams.external.in_toto import in_toto
from streams.external.results import Results, Scored, results
from streams.quality.ranges import countable
from streams.topics import ANSWERS, BUILDS, RESULTS, RUN_SCORES, SAMPLES, SCORES, Topic
from streams.trust.privacy import PRIVATE, told

ROWS: Final = "every-eval-ever"


def _json(document: Any) -> str:
    return json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def _yaml(document: Any) -> str:
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)


def _card(document: Any) -> str:
    """A model card that has nothing but its front matter."""
    return f"---\n{_yaml(document)}---\n"


FORMS: Final[Mapping[str, Callable[[Results], str]]] = MappingProxyType({
    "in-toto": lambda found: _json(in_toto(found)),
    "model-index": lambda found: _card(model_index(found)),
    "eval-results": lambda found: _yaml(eval_results(found)),
})  # fmt: skip


async def write(log: Log, settings: Settings, run_id: str, path: Path, form: str) -> list[Path]:
    """Writes the results of a sealed run in that form: a file, or, of records with rows, into a folder. Which files there are.

    Raises: Conflict for a run without a seal or a score; NotFound; Invalid for a private one's rows; Permanent where the log says
    no longer what was sealed; OSError where it cannot be written; Unavailable.
    """
    seal = (await sealed_of(log, settings, run_id))[1]
    if form == ROWS and seal.visibility == PRIVATE:
        raise Invalid(f"run {run_id} is private, and rows of its samples have its prompts and answers; --form in-toto has figures alone",
                      code="private")  # fmt: skip
    check_said(seal, await tree_of(log, run_id, seal.stretches))
    found = await _results(log, seal)
    if form == ROWS:
        return await _rows(log, settings, found, path)
    return await asyncio.to_thread(_written, path, FORMS[form](found))


def _written(path: Path, text: str) -> list[Path]:
    path.write_text(text)
    return [path]


async def _results(log: Log, seal: RunSealed) -> Results:
    settled, scored = None, dict[tuple[str, str], RunScored]()
    async with aclosing(_of(log, seal, RESULTS)) as every:
        async for event in every:
            if isinstance(event, RunSettled) and event.event_id == seal.settled:
                settled = event
    async with aclosing(_of(log, seal, RUN_SCORES)) as every:
        async for event in every:
            if isinstance(event, RunScored) and event.complete:
                scored.setdefault((event.task, event.scorer_version), event)
    named = [task.build_id for task in settled.plan.tasks] if settled and settled.plan else []
    found = {build_id: built for build_id in named if (built := await _built(log, build_id)) is not None}
    return results(seal, settled, scored, found, release=release())


class Rows:
    """A record and its rows on their way into a folder, in the places that such records have: `add` each row, then `finish`."""

    def __init__(self, folder: Path, found: Results) -> None:
        at = folder / place(found)
        at.parent.mkdir(parents=True, exist_ok=True)
        self._whole, self._rows = at.with_name(f"{at.name}.json"), at.with_name(f"{at.name}_samples.jsonl")
        self._found, self._count, self._digest = found, 0, hashlib.sha256()
        self._out = self._rows.open("wb")

    def add(self, one: dict[str, Any]) -> None:
        """Writes a row."""
        line = (json.dumps(one, allow_nan=False, ensure_ascii=False) + "\n").encode()
        self._count += 1
        self._digest.update(line)
        self._out.write(line)

    def finish(self, *, organisation: str) -> list[Path]:
        """Writes the record; both files."""
        self.close()
        whole = record(self._found, organisation=organisation, rows=self._count, checksum=self._digest.hexdigest())
        self._whole.write_text(_json(whole))
        return [self._whole, self._rows]

    def close(self) -> None:
        """Ends writing rows."""
        self._out.close()


async def _built(log: Log, build_id: str) -> TaskBuilt | None:
    """The build as it lies in the log: of a private one nothing is read that is sealed, so it may be forgotten, or its key be elsewhere."""
    async with aclosing(log.of_key(BUILDS, build_id.encode())) as records:
        async for record in records:
            if isinstance(record.event, TaskBuilt) and record.event.build_id == build_id:
                return told(record.event)
    return None


async def _samples(log: Log, built: TaskBuilt) -> dict[int, SampleBuilt]:
    """Ordinal → sample, as it may be told."""
    found = dict[int, SampleBuilt]()
    span = log.read_span(SAMPLES, partition=built.partition, first=built.first_offset, last=built.last_offset)
    async with aclosing(span) as records:
        async for record in records:
            if isinstance(record.event, SampleBuilt) and record.event.build_id == built.build_id:
                found.setdefault(record.event.ordinal, told(record.event))
    return found


async def _rows(log: Log, settings: Settings, found: Results, folder: Path) -> list[Path]:
    """The record and its rows, written."""
    with closing(Rows(folder, found)) as rows:
        for task in found.tasks:
            async with aclosing(_of_task(log, found, task)) as every:
                async for one in every:
                    rows.add(one)
        return rows.finish(organisation=settings.organisation)


async def _of_task(log: Log, found: Results, task: Scored) -> AsyncGenerator[dict[str, Any], None]:
    """A row for each sample of a task that was scored. Of its main scores each is held, and its build."""
    main, values = task.figures[0], dict[tuple[int, int], float]()
    async with aclosing(_of(log, found.seal, SCORES)) as every:
        async for event in every:
            if (
                isinstance(event, SampleScored)
                and (event.task, event.scorer_version) == (task.planned.task, task.scorer_version)
                and (event.metric, event.filter) == (main.metric, main.filter)
                and event.value is not None
                and countable(event.value)
            ):
                values.setdefault((event.ordinal, event.repeat), event.value)
    samples, contents = dict[str, dict[int, SampleBuilt]](), dict[str, str]()
    for build_id in task.planned.builds:
        if (built := await _built(log, build_id)) is not None:
            samples[build_id] = await _samples(log, built)
            contents |= {} if built.visibility == PRIVATE else await contents_of(log, built.contents)
    async with aclosing(_of(log, found.seal, ANSWERS)) as every:
        async for event in every:
            if not isinstance(event, SampleAnswered) or event.task != task.planned.task:
                continue
            sample = samples.get(event.build_id, {}).get(event.ordinal)
            value = values.pop((event.ordinal, event.repeat), None)
            if sample is not None and value is not None:
                yield row(found, task, sample=sample, answered=event, value=value, contents=contents)


def _of(log: Log, seal: RunSealed, topic: Topic) -> AsyncGenerator[Event, None]:
    """The run's events of a topic, as they are sealed."""
    return events(log, seal.run_id, [one for one in seal.stretches if one.topic == topic.name])
