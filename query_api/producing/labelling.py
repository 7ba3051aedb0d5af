"""Publishing people's labels: validated here, produced to Kafka, and no more."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from infra.identity import now_us, producer
from infra.kafka import Log
from schemas.event import Text
from schemas.labels import AnswerLabelled
from streams.errors import Invalid
from streams.quality.labels import Place, Scale, new_of, value_of
from streams.topics import LABELS


def labels_of(
    rows: Sequence[Mapping[str, Any]], *, run_id: str, against_run: str | None, scale: Scale, by: str, header: Mapping[str, str]
) -> list[AnswerLabelled]:
    """The labels that a body tells, each by its own person or `by`; `header`: whose the run is, and who may see it.

    Raises: Invalid, naming the entry and its field.
    """
    stamp = {**header, "occurred_us": now_us(), "producer": producer("query_api")}
    about = {**stamp, "run_id": run_id, "against_run": against_run, "judgement": scale.judgement, "metric": scale.metric}
    told, first = list[AnswerLabelled](), dict[str, int]()
    for number, row in enumerate(rows):
        if row["swapped"] and not scale.compares:
            raise Invalid(f"labels.{number}.swapped: judgement {scale.judgement} compares nothing; leave it out", code="label")
        try:
            value = value_of(str(row["label"]), scale, swapped=row["swapped"])
        except Invalid as error:
            raise Invalid(f"labels.{number}.label: {error}", code=error.code) from error
        place = {name: row[name] for name in ("task", "ordinal", "repeat", "request", "draw")}
        note = Text.plain(row["note"]) if row["note"] else None
        label = AnswerLabelled.model_validate(
            {**about, **place, "by": row["by"] or by, "value": value, "swapped": row["swapped"], "note": note}
        )
        if (before := first.setdefault(label.event_id, number)) != number:
            raise Invalid(f"labels.{number}.ordinal: {label.by} has labelled this answer in labels.{before} already; leave one out",
                          code="label-twice")  # fmt: skip
        told.append(label)
    return told


def check_places(labels: Iterable[AnswerLabelled], places: Iterable[Place]) -> None:
    """Raises: Invalid, naming the entry, where a label is about an answer that is not there."""
    known = set(places)
    tasks = {place.task for place in known}
    for number, one in enumerate(labels):
        place = Place(one.task, one.ordinal, one.repeat, one.request, one.draw)
        if place not in known:
            field = "ordinal" if one.task in tasks else "task"
            told = f"{place}; `assay judge labels --template` lists answers" if tasks else "any task"
            raise Invalid(f"labels.{number}.{field}: run {one.run_id} has no written answer to {told}", code="no-such-answer")


async def publish(log: Log, run_id: str, labels: Sequence[AnswerLabelled]) -> int:
    """How many of the labels say something new; the same again is the same label."""
    known = []
    async with aclosing(log.of_key(LABELS, run_id.encode())) as records:
        async for record in records:
            if isinstance(record.event, AnswerLabelled):
                known.append(record.event)
    new = new_of(labels, known)
    await log.publish_all(new)
    return len(new)
