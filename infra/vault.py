"""Where private texts are sealed and opened: each event as it is written (infra/kafka/log.py), and as late as what is read allows.

Whatever only passes events on (the dispatcher, the settler's state, snapshots, boards, the projector) has them as the log has them.
"""

import hashlib
from typing import TypeVar

from infra.settings import Settings
from infra.text_keys import BROKEN, NO_MASTER, TextKeys
from schemas.event import Event
from schemas.results import SampleNotScored
from schemas.runs import RunChanged
from schemas.trust import DeadLettered
from streams.errors import Invalid
from streams.quality.scores import Key, Opened, Sample
from streams.trust import sealing
from streams.trust.privacy import PRIVATE, texts_of, told

E = TypeVar("E", bound=Event)


class Vault:
    """The keys of a process, by which it seals and opens. A process that needs no texts needs no master key."""

    def __init__(self, settings: Settings) -> None:
        self.keys = TextKeys(settings)

    def sealed(self, event: E) -> E:
        """The event as it is written.

        Raises, and nothing is written: Invalid without a master key, or where the organisation's own is broken; Unavailable where the
        master key is another. Who cannot seal, and only says what went wrong, says it without words that may quote.
        """
        if event.visibility != PRIVATE or all(map(sealing.is_sealed, texts_of(event).values())):
            return event
        try:
            return sealing.sealed(event, self.keys.current(event.organisation_id))
        except Invalid as error:
            if error.code not in (NO_MASTER, BROKEN):
                raise
            match event:
                case DeadLettered():
                    return _of_origin(event, told(event))
                case RunChanged(plan=None) | SampleNotScored():
                    return told(event)
            raise

    def check(self, event: Event) -> None:
        """Raises: Invalid where an event is private and no master key is here to seal what it leads to, Unavailable where it is another."""
        if event.visibility == PRIVATE:
            self.keys.current(event.organisation_id)

    def opened(self, event: E) -> E:
        """The event with its texts. Raises: Permanent where they were forgotten or altered, Unavailable where no key here opens them."""
        return sealing.opened(event, self.keys.of)

    def parts_of(self, task: str, scorer_version: str, *, run_id: str, organisation_id: str) -> Opened:
        """What opens the parts of a task's scores, which are held as the log has them. It raises as `opened`."""

        def part(key: Key, sample: Sample, told: str) -> str:
            (filter_, metric), (ordinal, repeat) = key, sample
            return sealing.part_opened(
                told, self.keys.of, organisation_id=organisation_id, run_id=run_id, task=task, ordinal=ordinal, repeat=repeat,
                scorer_version=scorer_version, filter=filter_, metric=metric,
            )  # fmt: skip

        return part

    def named(self, name: str, *, organisation: str, visibility: str) -> str:
        """A name that is a hash of texts, as the log may tell it: of private ones nobody confirms a guess by it without the key."""
        return sealing.keyed(name, self.keys.current(organisation)) if visibility == PRIVATE else name


def _of_origin(letter: DeadLettered, bare: E) -> E:
    """The letter without its payload, which is read from its origin then."""
    whole = len(letter.payload) if letter.payload_bytes is None else letter.payload_bytes
    sha = letter.payload_sha256 or hashlib.sha256(letter.payload).hexdigest()
    return bare.model_copy(update={"payload": b"", "payload_bytes": whole, "payload_sha256": sha})
