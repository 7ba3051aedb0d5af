"""Seals runs that are over: the shell of streams/trust. No Faust here, and no consumer group.

It sweeps the log again and again, each record once, and reads of most only the key. A run of which all is said is read once more, hashed
as it comes, and its seal is written as the next link of the chain. Any number of sealers may run: a link counts when it comes back from
the log as the next one (streams/trust/chains.py); who was second writes another behind it. What was said of a run after its seal is
quarantined. An audit is compared with its run before it is sealed (agents/auditing.py). All state is the log's: a snapshot saves a start
from reading the keys of all history.
"""

import asyncio
import json
import signal
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import aclosing

import structlog

from agents.auditing import Auditing
from agents.care import Care, give_up
from agents.ending import end_where_hung
from agents.quarantining import Late, quarantine
from infra import seal_keys
from infra.identity import producer
from infra.kafka import Ends, Log, Place, Record
from infra.logging import frames
from infra.metrics import READY
from infra.retrying import until_available
from infra.seal_keys import Key
from infra.sealed_events import seals, tree_of
from infra.settings import Settings
from infra.snapshots import Snapshots
from schemas.trust import RunSealed, Stretch
from streams.errors import Permanent, Temporary, Unavailable
from streams.names import Names
from streams.topics import RESULTS, SEALS, TOPICS, topic_named
from streams.trust.chains import Chains
from streams.trust.ledger import VERSION, Ledger, Open, dumped, loaded
from streams.trust.merkle import Tree
from streams.trust.statements import signed
from streams.trust.stretches import SEALED_TOPICS, run_of_key

SERVICE = "agents.seal"
SHARD = "all"
TICK_S = 2.0
PATIENCE_MS = 200
log_line = structlog.get_logger()


class Sealer:
    """One sealer: `run` sweeps, quarantines and seals until it is told to stop."""

    def __init__(self, log: Log, settings: Settings) -> None:
        self._log = log
        self._settings = settings
        self._snapshots = Snapshots(log, settings, processor="seal", version=VERSION)
        self._care = Care("seal", log, settings)
        self._auditing = Auditing(log, settings, self._care)
        self._keys: list[Key] = []
        self._ledger = Ledger(Chains())
        self._swept: Ends = {}
        self._seals_next = 0
        self._saving: asyncio.Task[None] | None = None
        self._saved_s = time.monotonic()

    async def run(self, stopped: asyncio.Event) -> None:
        """Works until told to stop. Raises: what ended it otherwise."""
        await until_available(self.start, what="seals")
        working, stopping = asyncio.create_task(self._work()), asyncio.create_task(stopped.wait())
        done, _ = await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
        working.cancel()
        stopping.cancel()
        self._auditing.close()
        await asyncio.gather(working, stopping, return_exceptions=True)
        if working in done:
            working.result()
        await self.save()

    async def _work(self) -> None:
        while True:
            await until_available(self.turn, what="kafka")
            if time.monotonic() - self._saved_s >= self._settings.snapshot_s:
                self.save()
            await asyncio.sleep(TICK_S)

    async def start(self) -> None:
        """Folds the seals, and takes up where the snapshot ends, or where the log begins."""
        end_where_hung(self._care, self._settings)
        self._keys = await self._ready_keys()
        self._ledger, self._swept, self._seals_next = Ledger(Chains(frozenset(key.public for key in self._keys))), {}, 0
        await self._follow_seals()
        found = await self._snapshots.load(SHARD)
        if self._care.restored(found, self._load, shard=SHARD) and found:
            self._swept = found.offsets
        else:
            self._ledger.open, self._ledger.again, self._ledger.rejected = {}, [], Names()
        await self._look_again()
        log_line.info("sweeps the log", sealed=len(self._ledger.sealed), open=len(self._ledger.open), snapshot=bool(self._swept))

    def _load(self, state: bytes) -> bool:
        loaded(json.loads(state), self._ledger)
        return True

    async def _ready_keys(self) -> list[Key]:
        """The keys, of which one signs; the first is made where there is no seal yet. Raises: Unavailable while one that signed is gone."""
        keys = seal_keys.keys_of(self._settings)
        if not keys and not any((await self._log.ends([SEALS])).values()):
            log_line.info("made a key", key_id=seal_keys.create(self._settings).key_id, folder=str(seal_keys.folder_of(self._settings)))
            keys = seal_keys.keys_of(self._settings)
        if seal_keys.signing(keys) is None:
            raise Unavailable(
                f"no private key in {seal_keys.folder_of(self._settings)} signs, and runs were sealed before: bring it back, or "
                "`assay keys create` makes another, whose chain of seals names the old one",
                code="no-key",
            )
        return keys

    # --- What the log says

    async def turn(self) -> None:
        """Sweeps what has come since, and seals what is due then. Raises: Unavailable."""
        self._ledger.sweeps += 1
        ends = await self._log.ends((SEALS, *SEALED_TOPICS))
        await self._follow_seals(ends)
        behind = {at: end for at, end in ends.items() if at[0] != SEALS.name and self._swept.get(at, 0) < end}
        if behind:
            await quarantine(self._log, self._ledger, await self._sweep(behind), service=SERVICE)
            self._swept |= behind
        READY.set(1)
        if due := self._ledger.due(self._swept):
            self._keys = await self._ready_keys()
            self._ledger.chains.known = frozenset(key.public for key in self._keys)
            key = seal_keys.signing(self._keys)
            assert key is not None
            for run_id in due:
                await self._seal_once_said(run_id, key)

    async def _sweep(self, behind: Ends) -> list[Late]:
        """Takes in what lies between what was swept and there; what of it may be late."""

        def wanted(key: bytes | None, place: Place) -> bool:
            run_id = run_of_key(key)
            if run_id is None:
                return key is None  # as foreign producers may send requests
            return self._ledger.meets(run_id, (place.topic, place.partition), place.offset)

        late, since = list[Late](), dict(self._swept)
        between = self._log.follow(SEALED_TOPICS, since=since, until=behind, wanted=wanted, patience_ms=PATIENCE_MS, told="sweeps")
        async with aclosing(between) as records:
            async for record in records:
                late += await self._taken(record)
        return late

    async def _taken(self, record: Record) -> list[Late]:
        """Folds a record that was looked at; itself, where it may be late. What is no event is a dead letter elsewhere.

        One over which this breaks or hangs is a dead letter, and its run is not sealed: others are.
        """
        event, at = record.event, (record.place.topic, record.place.partition)
        run_id = run_of_key(record.key) or (run_of_key(event.partition_key()) if event else None)
        if event is None or run_id is None:
            return []
        late, refused = list[Late](), list[tuple[Record, str, str]]()

        def take() -> None:
            try:
                if record.key is None:
                    self._ledger.meets(run_id, at, record.place.offset)
                late.extend([Late(run_id, event, record)] if self._ledger.fold(event, run_id, at, record.place.offset) else [])
            except Exception as error:  # noqa: BLE001  # one run's: it is told, and others are sealed
                refused.append((record, "cannot-seal", f"its run is not sealed, for this breaks what follows it: {frames(error)}"))

        if (not await self._care.taken(record, take) or refused) and (run := self._ledger.open.get(run_id)):
            run.broken = True
        await give_up(refused, log=self._log)
        return late

    async def _follow_seals(self, ends: Ends | None = None) -> None:
        """Folds the seals that have come (by these ends, else by now), and looks again at what another sealer left out of one."""
        async with aclosing(seals(self._log, since=self._seals_next, ends=ends)) as found:
            async for offset, seal in found:
                if why := self._fold_seal(seal):
                    log_line.warning("seal does not count", run_id=seal.run_id, why=why, offset=offset)
                self._seals_next = offset + 1
        await self._look_again()

    def _fold_seal(self, seal: RunSealed) -> str | None:
        try:
            return self._ledger.seal(seal)
        except Exception as error:  # noqa: BLE001  # one seal's: it does not count, and the next ones may
            return f"it breaks what follows seals: {frames(error)}"

    async def _look_again(self) -> None:
        """Looks at what was met, and a seal that came since leaves out."""
        while self._ledger.again:
            await self._look_at(self._ledger.again[0])
            del self._ledger.again[0]

    async def _look_at(self, stretch: Stretch) -> None:
        at, late = (stretch.topic, stretch.partition), list[Late]()
        topic = topic_named(stretch.topic)
        assert topic is not None
        until = {at: min(stretch.end, self._swept.get(at, stretch.end))}
        async with aclosing(self._log.follow([topic], since={at: stretch.first}, until=until, wanted=self._late)) as records:
            async for record in records:
                late += await self._taken(record)
        await quarantine(self._log, self._ledger, late, service=SERVICE)

    def _late(self, key: bytes | None, place: Place) -> bool:
        """A record of a sealed run that its seal does not hold."""
        run_id = run_of_key(key)
        sealed = run_id is not None and run_id in self._ledger.sealed
        return sealed and self._ledger.meets(run_id or "", (place.topic, place.partition), place.offset)

    # --- Seals

    async def _seal_once_said(self, run_id: str, key: Key) -> None:
        """Seals a run once all is said that comes before its seal. What cannot be sealed is told, and holds up no other run."""
        run = self._ledger.open.get(run_id)
        if run is None:
            return  # another sealer was first
        try:
            if self._auditing.is_said(run_id, self._ledger, key):
                with self._care.at(run_id):
                    await self._seal(run_id, run)
        except Temporary:
            raise
        except Exception as error:  # noqa: BLE001  # one run's: others go on
            await self._refused(run_id, run, error)

    async def _seal(self, run_id: str, run: Open) -> None:
        """Seals a run, unless another sealer does. Raises: as `_sealed`."""
        began_s = time.monotonic()
        link = await self._sealed(run_id, run)
        log_line.info("sealed", run_id=run_id, events=link.events, took_s=round(time.monotonic() - began_s, 3))
        if self._ledger.sealed[run_id].seal == link.event_id:
            await self._auditing.draw(run_id, run, link.signature)

    async def _refused(self, run_id: str, run: Open, error: Exception) -> None:
        """Says by a dead letter of its result that a run cannot be sealed; put back, it is tried again."""
        log_line.error("cannot be sealed", run_id=run_id, error=frames(error))
        result, run.result, run.refused = run.result, None, True
        assert result is not None
        told = str(error) if isinstance(error, Permanent) else frames(error)
        async with aclosing(self._log.read_span(RESULTS, partition=result.partition, first=result.offset, last=result.offset)) as records:
            refused = [(record, "cannot-seal", f"its run cannot be sealed: {told}") async for record in records]
        await give_up(refused, log=self._log)

    async def _sealed(self, run_id: str, run: Open) -> RunSealed:
        """The link that was written last, once it counts, or another sealer's. Raises: Permanent, where none does; Unavailable."""
        stretches = run.stretches.told()
        tree = await tree_of(self._log, run_id, stretches)
        while True:
            link = self._link(run_id, run, stretches, tree)
            await self._log.publish(link)
            await self._follow_seals()
            if run_id not in self._ledger.open:
                return link
            if self._ledger.chains.head == link.previous_seal:
                raise Permanent(f"the seal of run {run_id} does not count, and no other came before it")

    def _link(self, run_id: str, run: Open, stretches: Sequence[Stretch], tree: Tree) -> RunSealed:
        """The run's seal as the next link, signed."""
        key, result = seal_keys.signing(self._keys), run.result
        assert key is not None and key.private is not None and result is not None
        place = self._ledger.chains.next(key.public, key.endorsement, begins=uuid.uuid4().hex)
        return signed(
            RunSealed(
                occurred_us=result.occurred_us, producer=producer(SERVICE), organisation_id=result.organisation_id,
                visibility=run.visibility, run_id=run_id, root=tree.root.hex(), events=tree.size, settled=result.event_id,
                scorers=result.scorers, stretches=tuple(stretches), chain=place.chain, position=place.position,
                previous_seal=place.previous_seal, chain_root=place.chain_root, key_id=key.key_id, public_key=key.public, signature=b"",
                endorsement=key.endorsement,
            ),
            key.private,
        )  # fmt: skip

    def save(self) -> asyncio.Task[None]:
        """Writes a snapshot of what is known now, beside the work; of two the later stays."""
        self._saved_s = time.monotonic()
        self._saving = asyncio.create_task(self._save(self._saving, dict(self._swept), dumped(self._ledger)))
        return self._saving

    async def _save(self, before: asyncio.Task[None] | None, swept: Ends, told: Mapping[str, object]) -> None:
        if before:
            await before
        await self._snapshots.keep(SHARD, swept, lambda: lambda: json.dumps(told).encode())


async def main(settings: Settings) -> None:
    """Seals until SIGTERM."""
    stopped = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stopped.set)
    async with Log(settings, client_id=SERVICE) as log:
        await until_available(lambda: log.create_topics(TOPICS), what="topics")
        await Sealer(log, settings).run(stopped)
