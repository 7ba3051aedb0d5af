"""Dead letters on the command line: list, show, requeue. They are read from the log, so that they can be seen when nothing else is up."""

import asyncio
import base64
from dataclasses import replace
from typing import Annotated, Any

import typer

from infra.settings import Settings
from query_api.cli import showing
from query_api.cli.completing import letter_ids
from query_api.cli.letters import known, read
from query_api.cli.options import ME, AsJson
from streams.times import utc
from streams.trust.dead_letters import Letter, check_requeue, chosen, requeued, whole
from streams.trust.privacy import PRIVATE, told

SHOWN_BYTES = 400
LetterId = Annotated[
    str, typer.Argument(help="the letter's id, as `assay dead-letters list` shows it, or its beginning", autocompletion=letter_ids)
]


def dead_letters(context: typer.Context) -> None:
    """Records that could not be decoded or processed: list them, show one, requeue one. Alone it lists them.

    Examples: `assay dead-letters` · `assay dead-letters show 3f2a` · `assay dead-letters requeue 3f2a`
    """
    if context.invoked_subcommand is None:
        listed()


def listed(
    count: Annotated[int, typer.Option("-n", min=1, help="the last so many")] = 20,
    requeued_too: Annotated[bool, typer.Option("--all", help="with those that were requeued")] = False,
    as_json: AsJson = False,
) -> None:
    """Lists the records that could not be decoded or processed, the newest last.

    Examples: `assay dead-letters list` · `assay dead-letters list --all -n 100 --json`
    """
    found = asyncio.run(known(Settings()))
    kept = [letter for letter in found if requeued_too or letter.requeued_as is None][-count:]
    if as_json:
        showing.document({"dead_letters": [_document(letter) for letter in kept]})
        return
    if not kept:
        showing.say("no dead letters" + ("" if requeued_too or not found else "; those requeued are shown by --all"))
        return
    rows = [(letter.letter_id, _place(letter), letter.event.reason_code, letter.event.message) for letter in kept]
    showing.table(["run", "record", "reason", "message"], rows)


def show(letter_id: LetterId, as_json: AsJson = False) -> None:
    """Shows a dead letter whole: where it came from, why it is here, and its payload.

    Examples: `assay dead-letters show 3f2a` · `assay dead-letters show 3f2a --json`
    """
    letter, payload = asyncio.run(_shown(Settings(), letter_id))
    told = _document(letter) | {"payload": base64.b64encode(payload).decode()}
    if as_json:
        showing.document(told)
        return
    more = f" … ({len(payload)} bytes; --json has all of them)" if len(payload) > SHOWN_BYTES else ""
    told["payload"] = f"{payload[:SHOWN_BYTES]!r}{more}"
    showing.table(["field", "value"], list(told.items()))


def requeue(letter_id: LetterId, as_json: AsJson = False) -> None:
    """Puts a dead letter's payload back on its origin topic, once, and says where. Mend the cause first.

    Example: `assay dead-letters requeue 3f2a`
    """
    told = asyncio.run(_requeue(Settings(), letter_id))
    showing.document(told) if as_json else showing.say(f"requeued as {told['requeued_as']}")


async def _shown(settings: Settings, letter_id: str) -> tuple[Letter, bytes]:
    """The letter as it may be told, and its record's whole payload: from its origin, where the letter holds its beginning."""
    from query_api.cli.logs import opened

    async with opened(settings) as log:
        letter = chosen(await read(log), letter_id)
        own = told(letter.event)
        origin = None if own.payload_bytes is None or own.visibility == PRIVATE else await _origin(log, letter)
    return replace(letter, event=own), own.payload if own.visibility == PRIVATE else whole(own, origin=origin.payload if origin else None)


async def _requeue(settings: Settings, letter_id: str) -> dict[str, Any]:
    """The payload first, then the event that says so: a letter is never called requeued that is not on its topic."""
    from infra.identity import now_us, producer
    from query_api.cli.logs import opened

    async with opened(settings) as log:
        letter = chosen(await read(log), letter_id)
        check_requeue(letter)
        letter = replace(letter, event=log.vault.opened(letter.event))
        origin = await _origin(log, letter)
        payload = whole(letter.event, origin=origin.payload if origin else None)
        new = await log.publish_raw(letter.event.topic, payload, key=origin.key if origin else None)
        place = f"{new.topic}/{new.partition}@{new.offset}"
        await log.publish(requeued(letter, place=place, by=ME, occurred_us=now_us(), producer=producer("assay")))
    return {"letter_id": letter.letter_id, "requeued_as": place}


async def _origin(log: Any, letter: Letter) -> Any:
    """The record as the log has it: its payload, and its key, by which it goes to the same partition. None where it is gone."""
    from streams.topics import topic_named

    topic, own = topic_named(letter.event.topic), letter.event
    if topic is None:
        return None
    async for record in log.read_span(topic, partition=own.partition, first=own.offset, last=own.offset):
        return record
    return None


def _place(letter: Letter) -> str:
    return f"{letter.event.topic}/{letter.event.partition}@{letter.event.offset}"


def _document(letter: Letter) -> dict[str, Any]:
    own = letter.event
    at = utc(own.occurred_us, "%Y-%m-%dT%H:%M:%S+00:00")
    return {
        "letter_id": letter.letter_id, "topic": own.topic, "partition": own.partition, "offset": own.offset, "by": own.producer.service,
        "at": at, "reason_code": own.reason_code, "message": own.message, "bytes": letter.size_bytes,
        "requeued_as": letter.requeued_as,
    }  # fmt: skip
