"""So that no record stops the others: what becomes of those that cannot be decoded, that are refused, or over which a process ends."""

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import TypeVar

import structlog

from infra.kafka import Log, Place, Record
from infra.kafka.decoding import Decode, Message, undecoded
from infra.metrics import DEAD_LETTERS
from infra.pulse import PULSE, Pulse
from infra.retrying import until_available
from infra.settings import Settings
from infra.snapshots import Snapshot
from infra.stumbles import HANDLED, SURE, Stumbles, key_of
from schemas.event import Event
from schemas.trust import DeadLettered
from streams.errors import Permanent
from streams.trust.privacy import told

S = TypeVar("S")
Tells = Callable[[Record, DeadLettered], Sequence[Event]]
TWICE = 2
QUARANTINED = "quarantined"
DECODED, RESTORED, TAKEN, ATTENDED = "decoded ", "restored ", "taken ", "attended "
PASSED = "the processor hung, died or was killed over it again and again, and passes it now"
ENDED = "the processor hung, died or was killed over it again and again"
LONGEST_TOLD = 2000


def waits_for_nothing(_record: Record, _letter: DeadLettered) -> Sequence[Event]:
    """Nothing: no run waits for what the processor makes of a record."""
    return ()


class Care:
    """A worker's care for its records.

    What is refused for good is a dead letter. Over anything else the process ends, for nobody knows what it left behind: but first the
    record at fault is found and noted, and one over which the process has ended twice is a dead letter too. What is decoded, handled, taken
    in or restored is in its hands meanwhile (infra/in_hand.py): of a process that hangs or is killed it is noted, and whoever starts next
    takes those records one by one.

    `tells`: what is said of a record that was passed, beside its dead letter, so that no run waits for it (agents/missed.py).
    """

    def __init__(self, worker: str, log: Log, settings: Settings, *, tells: Tells = waits_for_nothing) -> None:
        self._log = log
        self._tells = tells
        self._stumbles = Stumbles(settings, worker=worker)
        self._hands = self._stumbles.hands
        self._alone = asyncio.Lock()
        self.condemned = frozenset(one.removeprefix(ATTENDED) for one in self._stumbles.condemned if one.startswith(ATTENDED))
        log.decodes_by(self)

    @property
    def works(self) -> bool:
        """It decodes, takes in or restores something."""
        return bool(self._hands.doing) or self._stumbles.works

    def ends_within(self, s: float) -> None:
        """The process ends in so many seconds unless this is asked again."""
        self._hands.ends_within(s)

    def hung(self, longest_s: float = math.inf, *, at: Sequence[str] = ()) -> None:
        """Notes what has been silent for so long, or else is in hand: the process ends, for it gets nowhere. It is called in a thread.

        `at`: what its loop stands still at, where that is known and is no record.
        """
        self._stumbles.note_hung(self.silent(longest_s) or [f"{what}{key_of(Place(*at))}" for what, at in self._hands.doing] or at)

    @contextmanager
    def beside(self, what: str, *, patience: float = 1.0, told: bool = True) -> Iterator[Pulse]:
        """While it lasts, a thread is at that beside all else: it gets nowhere where this pulse is silent, whatever is done meanwhile.

        It may be silent so many times as long as others. `told`: it is suspected too where the process is killed meanwhile, or dies.
        """
        pulse = Pulse()
        with self._hands.holding([what], pulse=pulse, patience=patience, told=told):
            yield pulse

    @asynccontextmanager
    async def attending(self, what: str) -> AsyncIterator[None]:
        """While it lasts one task of several is at that, for as long as it takes: one over which the process dies or is killed is found.

        What was in hand as a process ended is attended to alone from then on, one after the other.
        """
        key = f"{ATTENDED}{what}"
        if suspected := self._stumbles.hangs(key) is not None:
            await self._alone.acquire()
        try:
            with self._hands.holding([key], near=not suspected, pulse=Pulse(), patience=math.inf):
                yield
        finally:
            if suspected:
                self._alone.release()

    def silent(self, longest_s: float) -> list[str]:
        """What threads are at beside all else, and get nowhere with for longer than that."""
        return [one.keys[0] for one in self._hands.held if one.pulse and one.pulse.silent_s > longest_s * one.patience]

    def did_not_run(self) -> None:
        """The process was stopped by others for a while: nothing was silent by itself."""
        for pulse in (PULSE, *(one.pulse for one in self._hands.held if one.pulse)):
            pulse.touch()

    def suspects(self, what: str, *, times: int = 1) -> bool:
        """A process before this one hung or died over that, so many times."""
        return (self._stumbles.hangs(what) or 0) >= times * SURE

    @contextmanager
    def at(self, what: str) -> Iterator[None]:
        """While it lasts this task is at that: where the loop stands still in it, that is what the process hangs over.

        Raises: Permanent, where processes ended over it again and again.
        """
        if what in self.condemned:
            raise Permanent(ENDED, code="ends-its-processor")
        task = asyncio.current_task()
        assert task is not None
        name = task.get_name()
        task.set_name(f"{ATTENDED}{what}")
        try:
            yield
        finally:
            task.set_name(name)

    def condemn(self, what: str) -> None:
        """Processes hang or die over that: it was tried. From the next start on it is suspected as after two that did."""
        self._stumbles.note_sure(what)

    @contextmanager
    def near(self, messages: Sequence[Message]) -> Iterator[None]:
        """While it lasts, the record over which the process ends is somewhere among these."""
        with self._hands.holding(list(map(_decoded, messages)), near=True):
            yield

    async def decoded(self, message: Message, decode: Decode) -> Record:
        """A message as a record; one over whose decoding processes end again and again is passed, undecoded."""
        if self._stumbles.suspects and (times := self._stumbles.hangs(_decoded(message))) is not None:
            return await self._suspected(message, decode, times)
        # In no file, for that would cost a quarter of decoding it: a thread looks at it here, and who is killed was near it.
        self._hands.doing.append(doing := (DECODED, (message.topic, message.partition, message.offset)))
        PULSE.touch()
        try:
            return await decode(message)
        finally:
            self._hands.doing.remove(doing)

    async def _suspected(self, message: Message, decode: Decode, times: int) -> Record:
        if times >= TWICE * SURE:
            return undecoded(message, code=QUARANTINED, why="the processor hung, died or was killed again and again as it decoded this")
        with self._hands.holding([_decoded(message)]):
            PULSE.touch()
            return await decode(message)

    async def taken(self, record: Record, take: Callable[[], Awaitable[None] | None]) -> bool:
        """Takes a record in that is of no batch; False where it was refused, or passed, for processes hang over it again and again.

        Raises: as `refused`.
        """
        times = self._taken_before(record.place) if self._stumbles.suspects else None
        if (times or 0) >= TWICE * SURE:
            await self._pass([(record, QUARANTINED, PASSED)])
            return False
        try:
            with self._doing(record.place) if times is None else self._hands.holding([f"{TAKEN}{key_of(record.place)}"]):
                PULSE.touch()
                if waits := take():
                    await waits
        except Exception as error:  # noqa: BLE001  # what is not ours is raised again, unless it has ended two processes
            await self.refused(record, error)
            return False
        return True

    def _taken_before(self, place: Place) -> int | None:
        """How sure it is that processes ended as they took this in; 0 where they died near it."""
        times, near = (self._stumbles.hangs(f"{what}{key_of(place)}") for what in (TAKEN, DECODED))
        return times if times is not None else near and 0

    @contextmanager
    def _doing(self, place: Place) -> Iterator[None]:
        self._hands.doing.append(doing := (TAKEN, (place.topic, place.partition, place.offset)))
        try:
            yield
        finally:
            self._hands.doing.remove(doing)

    def restored(self, found: Snapshot | None, load: Callable[[bytes], S], *, shard: str) -> S | None:
        """The state in a snapshot; None where there is none in it, or where a process hung or was killed over it before."""
        if found is None:
            return None
        key, why = f"{RESTORED}{found.sha256}", f"a process hung or was killed as it restored {shard}"
        if self._stumbles.hangs(key) is None:
            try:
                with self._hands.holding([key]):
                    PULSE.touch()
                    return load(found.state)
            except Exception as error:  # noqa: BLE001  # whatever bytes that are no state lead to
                why = repr(error)
        structlog.get_logger().warning("snapshot not used", shard=shard, why=why)
        return None

    async def undecodable(self, records: Sequence[Record]) -> None:
        """Dead-letters those of the records that are no events."""
        if refused := [(record, record.fault.code, str(record.fault)) for record in records if record.fault is not None]:
            await self._pass(refused)

    async def _pass(self, refused: Sequence[tuple[Record, str, str]]) -> None:
        """Dead-letters records, each with its code and message, and tells the runs that would wait for them."""
        letters = await give_up(refused, log=self._log)
        if told := [event for (record, _, _), letter in zip(refused, letters, strict=True) for event in self._tells(record, letter)]:
            await until_available(lambda: self._log.publish_all(told), what="kafka")

    async def in_parts(self, records: Sequence[Record], handle: Callable[[Sequence[Record]], Awaitable[None]]) -> None:
        """Handles records; what cannot be handled is halved until the one at fault is found. Raises: as `refused`."""
        hangs = [self._stumbles.hangs(f"{HANDLED}{key_of(record.place)}") for record in records]
        if len(records) > 1 and any(times is not None for times in hangs):
            for record in records:
                await self.in_parts([record], handle)
        elif len(records) == 1 and (hangs[0] or 0) >= TWICE * SURE:
            await self._pass([(records[0], QUARANTINED, PASSED)])
        elif records:
            await self._handled(records, handle)

    async def _handled(self, records: Sequence[Record], handle: Callable[[Sequence[Record]], Awaitable[None]]) -> None:
        PULSE.touch()  # of a batch that is taken one by one each record has its own time
        try:
            with self._hands.holding([f"{HANDLED}{key_of(record.place)}" for record in records]):
                await until_available(lambda: handle(records), what="effect of a batch")
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
            await self._pass([(record, error.code, str(error))])
            return
        if await self._stumbles.count(record.place) < TWICE:
            await self._stumbles.note(record.place)
            raise error
        said = f"the processor ended over it {TWICE} times, and passes it now: {type(error).__name__}: {error}"
        await self._pass([(record, QUARANTINED, said[:LONGEST_TOLD])])


def _decoded(message: Message) -> str:
    return f"{DECODED}{message.topic}/{message.partition}/{message.offset}"


async def give_up(refused: Sequence[tuple[Record, str, str]], *, log: Log) -> list[DeadLettered]:
    """The dead letters of records, each with its code and message, once they are written."""
    letters = [log.dead_letter(record, code=code, message=message) for record, code, message in refused]
    await until_available(lambda: log.publish_all(letters), what="kafka")
    for letter in map(told, letters):
        DEAD_LETTERS.labels(letter.topic, letter.reason_code).inc()
        place = Place(letter.topic, letter.partition, letter.offset)
        structlog.get_logger().warning("dead letter", place=place, code=letter.reason_code, message=letter.message)
    return letters
