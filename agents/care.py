"""So that no record stops the others: what becomes of those that cannot be decoded, that are refused, or over which a process ends."""

from collections.abc import Awaitable, Callable, Sequence

import structlog

from infra.kafka import Log, Place, Record
from infra.metrics import DEAD_LETTERS
from infra.pulse import PULSE
from infra.retrying import until_available
from infra.settings import Settings
from infra.stumbles import Stumbles
from schemas.trust import DeadLettered
from streams.errors import Permanent
from streams.trust.privacy import told

TWICE = 2
LONGEST_TOLD = 2000


class Care:
    """A worker's care for its records.

    What is refused for good is a dead letter. Over anything else the process ends, for nobody knows what it left behind: but first the
    record at fault is found and noted, and one over which the process has ended twice is a dead letter too. `in_hand` is what it would be
    noted of if the process hung: whoever starts next takes those one by one.
    """

    def __init__(self, worker: str, log: Log, settings: Settings) -> None:
        self._log = log
        self._stumbles = Stumbles(settings, worker=worker)
        self.in_hand: Sequence[Record] = ()

    def hung(self) -> None:
        """Notes what is in hand: the process ends, for it gets nowhere. It is called in a thread."""
        self._stumbles.note_hung([record.place for record in self.in_hand])

    async def undecodable(self, records: Sequence[Record]) -> None:
        """Dead-letters those of the records that are no events."""
        if refused := [(record, record.fault.code, str(record.fault)) for record in records if record.fault is not None]:
            await give_up(refused, log=self._log)

    async def in_parts(self, records: Sequence[Record], handle: Callable[[Sequence[Record]], Awaitable[None]]) -> None:
        """Handles records; what cannot be handled is halved until the one at fault is found. Raises: as `refused`."""
        hangs = [self._stumbles.hangs(record.place) for record in records]
        if len(records) > 1 and any(times is not None for times in hangs):
            for record in records:
                await self.in_parts([record], handle)
        elif len(records) == 1 and (hangs[0] or 0) >= TWICE:
            await give_up([(records[0], "quarantined", f"the processor hung over it {TWICE} times, and passes it now")], log=self._log)
        elif records:
            await self._handled(records, handle)

    async def _handled(self, records: Sequence[Record], handle: Callable[[Sequence[Record]], Awaitable[None]]) -> None:
        self.in_hand = records
        PULSE.touch()  # of a batch that is taken one by one each record has its own time
        try:
            await until_available(lambda: handle(records), what="effect of a batch")
            self.in_hand = ()
        except Exception as error:  # noqa: BLE001  # what is not ours is raised again, by the record at fault
            if len(records) == 1:
                await self.refused(records[0], error)
                return
            middle = len(records) // 2
            await self.in_parts(records[:middle], handle)
            await self.in_parts(records[middle:], handle)

    async def refused(self, record: Record, error: Exception) -> None:
        """Dead-letters a record that raised this. Raises: the error, noted, where it is not ours and has not ended the process twice."""
        if isinstance(error, Permanent):
            await give_up([(record, error.code, str(error))], log=self._log)
            return
        if await self._stumbles.count(record.place) < TWICE:
            await self._stumbles.note(record.place)
            raise error
        said = f"the processor ended over it {TWICE} times, and passes it now: {type(error).__name__}: {error}"
        await give_up([(record, "quarantined", said[:LONGEST_TOLD])], log=self._log)


async def give_up(refused: Sequence[tuple[Record, str, str]], *, log: Log) -> list[DeadLettered]:
    """The dead letters of records, each with its code and message, once they are written."""
    letters = [log.dead_letter(record, code=code, message=message) for record, code, message in refused]
    await until_available(lambda: log.publish_all(letters), what="kafka")
    for letter in map(told, letters):
        DEAD_LETTERS.labels(letter.topic, letter.reason_code).inc()
        place = Place(letter.topic, letter.partition, letter.offset)
        structlog.get_logger().warning("dead letter", place=place, code=letter.reason_code, message=letter.message)
    return letters
