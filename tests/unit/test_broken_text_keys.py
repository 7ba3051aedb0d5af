"""A processor over whose batch one organisation's key of texts is broken: the others' records go on, and its own are told without words."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from agents.care import Care
from agents.score import missed
from infra.kafka import Log, Place, Record
from infra.settings import Settings
from infra.vault import Vault
from schemas.event import Event
from schemas.measurements import SampleAnswered
from schemas.results import SampleNotScored, SampleScored
from schemas.trust import DeadLettered
from streams.trust.privacy import PRIVATE, WITHHELD
from streams.trust.sealing import is_sealed
from tests.filled import event
from tests.in_memory import InMemory
from tests.runs import run_named

MARK = "xylograph"


class Sealing(InMemory):
    """A log that seals what is written to it, all or nothing, as the real one does."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.vault = Vault(settings)

    async def publish_all(self, events: Sequence[Event]) -> list[Place]:
        """Writes events as they are sealed. Raises: what sealing does; nothing is written then."""
        return [self.write(one).place for one in list(map(self.vault.sealed, events))]

    def of(self, kind: type[Any]) -> dict[str, Any]:
        """The events of a type by their organisation."""
        every = [record.event for records in self.records.values() for record in records]
        return {one.organisation_id: one for one in every if isinstance(one, kind)}


def test_others_are_scored_and_its_own_are_said_to_be_not(tmp_path: Path) -> None:
    """A dead letter names the reason by its code; no text of its organisation is written, and the batch is not tried for ever."""
    settings = Settings.model_validate({"home": tmp_path, "master_key": "11" * 32})
    log = Sealing(settings)
    given = [
        event(SampleAnswered, mark=MARK, of_run=run_named(one), organisation_id=one, visibility=PRIVATE, occurred_us=1)
        for one in ("acme", "other", "third")
    ]
    asyncio.run(log.publish_all(given))
    records = [record for each in log.records.values() for record in each]
    (log.vault.keys.folder / f"{log.vault.keys.current('acme').key_id}.json").write_text("{")
    log.vault = Vault(settings)

    async def score(batch: Sequence[Record]) -> None:
        """Scores with a text beside each score, as BLEU's are."""
        told = [log.vault.opened(cast("SampleAnswered", record.event)) for record in batch]
        assert all(MARK in one.answers[0].output.bytes.decode() for one in told if one.answers[0].output)
        names = ("run_id", "task", "ordinal", "repeat", "organisation_id", "visibility", "occurred_us", "producer")
        await log.publish_all([
            SampleScored.model_validate({name: getattr(one, name) for name in names} | {
                "doc_id": "0", "filter": "f", "metric": "m", "value": 1.0, "scorer_version": "1", "parts_json": f'["{MARK}"]', "metrics": 1,
            }) for one in told
        ])  # fmt: skip

    asyncio.run(Care("score", cast("Log", log), settings, tells=missed).in_parts(records, score))
    scored, missing, letters = log.of(SampleScored), log.of(SampleNotScored), log.of(DeadLettered)
    assert scored.keys() == {"other", "third"} and all(is_sealed(one.parts_json) for one in scored.values())
    assert missing.keys() == letters.keys() == {"acme"}
    assert (missing["acme"].reason, letters["acme"].reason_code, letters["acme"].message) == (WITHHELD, "text-key", WITHHELD)
    assert missing["acme"].dead_letter_ref == letters["acme"].event_id
    assert all(MARK not in str(one.parts_json) for one in scored.values()) and letters["acme"].payload == b""
