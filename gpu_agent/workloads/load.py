"""A load on a server: sends every request at its time, however many are under way, and stamps what comes.

All of it runs in one event loop on a thread of its own. Answers are read (answers.py) by the thread that asks for them, once they have
ended, so that no reading stands between a byte and its stamp. What this machine cannot send, for want of files or ports, is said as
dropped; nothing waits silently. So is what would come while 10,000 answers wait to be read; how many wait is in every request. The first
request of all is a short one that is not measured: it finds out what the server takes. The warm-up is sent in the load's own shape, and has
ended before the steady phase begins.
"""

import asyncio
import gc
import math
import queue
import resource
import sys
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from ssl import SSLContext
from typing import TYPE_CHECKING

from gpu_agent.workloads.answers import Tokens, went_on_ns
from gpu_agent.workloads.asking import INTERFACES, MOST, Message, Place, place_of, request_of, said
from gpu_agent.workloads.connections import Connections, Exchange
from gpu_agent.workloads.health import Health
from gpu_agent.workloads.reading import CANCELLED, Sent, answered, quoted, refused, timed_of
from gpu_agent.workloads.schedule import Planned, Schedule, next_turn, places_of, schedule
from gpu_agent.workloads.share import ALL, Share
from gpu_agent.workloads.timed import Timed
from gpu_agent.workloads.timer import Timer
from gpu_agent.workloads.wording import prompt_of, wording_of
from infra.addresses import Askable
from schemas.requests import Workload
from streams.speed.workloads import longest

if TYPE_CHECKING:
    from gpu_agent.workloads.http2 import Streams

PATIENCE_S = 120.0
LONGER = 5  # times as long is waited for an answer that comes whole: until its end nothing comes at all
LOOK_EVERY_S = 0.25
BYTES_A_TOKEN, BYTES_MORE = 4096, 65_536
SWITCH_S = 5e-5  # how long the thread that reads answers may keep the one that stamps waiting
OWN_TOO = Askable(own=True)
MOST_UNREAD = 10_000  # answers that wait to be read; more are not asked for
UNREAD_NS = 10_000_000  # how soon a closed load looks again whether they are fewer
FULL = "client-limit: so many answers wait to be read here that no more are asked for"
LISTS = 400, 404, 422  # what a server answers to a parameter that it does not take


@dataclass(frozen=True, slots=True)
class Target:
    """A server's model. `mark` begins the prompts, so that none was sent before; empty where they shall repeat.

    `key`: shown to it. `asks`: where it may be.
    """

    model: str
    mark: str
    tokens_of: Tokens | None = None
    context: SSLContext | None = None
    key: str | None = field(default=None, repr=False)
    patience_s: float = PATIENCE_S
    asks: Askable = OWN_TOO


def load(workload: Workload, target: Target, *, seed: int, first: int = 0, share: Share = ALL) -> Generator[Timed, None, None]:
    """Every request as it ends, read. `first`: the first one's number; `share`: which of them are sent from here.

    Raises: Permanent or Temporary, where the server refuses a first request.
    """
    out: queue.SimpleQueue[Sent | Exception | None] = queue.SimpleQueue()
    stop = threading.Event()
    under_way = _Load(workload, target, share.own(schedule(workload, seed=seed, first=first)), out, stop, seed=seed, share=share)
    with _stamping():
        thread = threading.Thread(target=_run, args=(under_way, out), daemon=True)
        thread.start()
        try:
            while (sent := out.get()) is not None:
                if isinstance(sent, Exception):
                    raise sent
                yield timed_of(sent, tokens_of=target.tokens_of)
        finally:
            stop.set()
            thread.join()


@contextmanager
def _stamping() -> Iterator[None]:
    """While it lasts, no collection of garbage and no other thread keeps a stamp waiting, and as many files may be open as ever."""
    switch, (soft, hard) = sys.getswitchinterval(), resource.getrlimit(resource.RLIMIT_NOFILE)
    sys.setswitchinterval(SWITCH_S)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()
        sys.setswitchinterval(switch)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _run(load: "_Load", out: "queue.SimpleQueue[Sent | Exception | None]") -> None:
    try:
        asyncio.run(load.run())
        out.put(None)
    except Exception as error:  # noqa: BLE001  handed to the thread that waits, which raises it
        out.put(error)


class _Load:
    """The load under way."""

    def __init__(
        self,
        workload: Workload,
        target: Target,
        planned: Schedule,
        out: "queue.SimpleQueue[Sent | Exception | None]",
        stop: threading.Event,
        *,
        seed: int,
        share: Share,
    ) -> None:
        self._workload, self._seed, self._share = workload, seed, share
        self._place: Place = place_of(workload)
        self._target, self._out, self._stop = target, out, stop
        self._patience_s = target.patience_s * (1 if workload.stream else LONGER)
        self._wording = wording_of(target.tokens_of)
        self._warmup, self._steady = planned
        self._planned = self._steady
        self._deadline_s: float | None = None
        self._closed = share.places(places_of(workload))
        self._given_up: frozenset[str] = frozenset()
        self._under_way: dict[int, Sent] = {}
        self._chats: dict[int, list[Message]] = {}  # what was said in those that go on, by their numbers
        self._next: tuple[Planned, bytes] | None = None
        self._all_sent = False
        self._began_ns = 0
        self._done = asyncio.Event()

    async def run(self) -> None:
        """Sends all, and returns when all has ended. Raises: Permanent, Temporary."""
        loop = asyncio.get_running_loop()
        self._timer = Timer(loop)
        self._health = Health(self._timer)
        self._connections = self._connecting()
        looking = loop.create_task(self._look())
        try:
            await self._find_out()
            await self._send_all(iter(self._warmup), deadline_s=None)
            await self._send_all(self._steady, deadline_s=self._workload.duration_s if self._closed else None)
        finally:
            self._health.stop()
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
            await self._connections.close()
            self._timer.close()

    def _connecting(self) -> "Connections | Streams":
        asks, context = self._target.asks, self._target.context
        if self._workload.http != "2":
            return Connections(self._place, asks=asks, context=context)
        from gpu_agent.workloads.http2 import Streams  # its package is for these loads alone

        return Streams(self._place, asks=asks, context=context, most=self._workload.streams)

    async def _send_all(self, planned: Iterator[Planned], *, deadline_s: float | None) -> None:
        """Sends the requests of a phase in the load's shape, none of them later than `deadline_s`; returns when all have ended."""
        self._planned, self._deadline_s, self._all_sent = planned, deadline_s, False
        self._done.clear()
        self._prepare()
        await self._begin()
        for _ in range(1 if self._closed is None else self._closed):
            self._go_on()
        await self._done.wait()

    async def _begin(self) -> None:
        """Begins a phase: now, or when all processes that share the load may."""
        began_ns = self._share.begin() if self._share.of == 1 else await asyncio.to_thread(self._share.begin)
        await asyncio.sleep(max(0, began_ns - time.perf_counter_ns()) / 1e9)
        self._began_ns = began_ns

    async def _find_out(self) -> None:
        """Asks for as few tokens as may be, and gives up what the server does not take, one after another.

        A model that reasons is asked for as many as the load asks for: of fewer, all spent on thought, it makes an error.
        """
        while True:
            least = longest(self._workload)[1] if MOST in self._given_up else INTERFACES[self._place.api].least_tokens
            probe = Planned(-1, "warmup", None, 1, least, 0)
            exchange = await self._asked(self._request(probe), most_bytes=_most_bytes(probe))
            if exchange.failure or exchange.response.status not in LISTS:
                break
            if (name := self._place.next_given_up(quoted(exchange), self._given_up)) is None:
                break
            self._given_up |= {name}
        if error := refused(exchange):
            raise error

    async def _asked(self, request: bytes, *, most_bytes: int) -> Exchange:
        ended = asyncio.get_running_loop().create_future()
        exchange = Exchange(request, most_bytes, lambda _: None if ended.done() else ended.set_result(None))
        exchange.last_ns = time.perf_counter_ns()
        self._connections.send(exchange)
        try:
            async with asyncio.timeout(self._patience_s):
                await ended
        except TimeoutError:
            self._no_patience(exchange)
        return exchange

    def _request(self, planned: Planned, before: Sequence[Message] = ()) -> bytes:
        target = self._target
        return request_of(
            self._place, planned, model=target.model, mark=target.mark, given_up=self._given_up, key=target.key, before=before,
            by=self._wording,
        )  # fmt: skip

    def _prepare(self) -> None:
        """The next request's bytes, before its time has come."""
        planned = next(self._planned, None)
        self._next = (planned, self._request(planned)) if planned else None

    def _go_on(self) -> None:
        """Sends the next request where one may be sent now, or sees to it that it is sent at its time."""
        elapsed_s = (time.perf_counter_ns() - self._began_ns) / 1e9
        over = self._deadline_s is not None and elapsed_s >= self._deadline_s
        if self._next is None or over or self._stop.is_set():
            self._all_sent = True
            self._finish()
            return
        planned, request = self._next
        if planned.at_s is None and self._out.qsize() >= MOST_UNREAD:
            self._timer.at(time.perf_counter_ns() + UNREAD_NS, self._go_on)
        elif planned.at_s is None:
            self._send(planned, request, due_ns=time.perf_counter_ns())
            self._prepare()
        else:
            due_ns = self._began_ns + round(planned.at_s * 1e9)
            self._timer.at(due_ns, lambda: self._send_due(planned, request, due_ns))

    def _send_due(self, planned: Planned, request: bytes, due_ns: int) -> None:
        self._send(planned, request, due_ns=due_ns)
        self._prepare()
        self._go_on()

    def _send(self, planned: Planned, request: bytes, *, due_ns: int) -> None:
        exchange = Exchange(request, _most_bytes(planned), lambda _: self._ended(planned.index))
        exchange.last_ns = begun_ns = time.perf_counter_ns()
        self._under_way[planned.index] = Sent(planned, due_ns, begun_ns, self._share.under_way(len(self._under_way) + 1), exchange)
        if self._out.qsize() >= MOST_UNREAD:
            asyncio.get_running_loop().call_soon(exchange.end, FULL)
            return
        self._connections.send(exchange)
        if planned.cancel_after_s is not None:
            self._timer.at(begun_ns + round(planned.cancel_after_s * 1e9), lambda: _give_up(exchange, CANCELLED))

    def _ended(self, index: int) -> None:
        sent = self._under_way.pop(index)
        self._share.under_way(len(self._under_way))
        sent.loop_lag_ns, sent.cpu_ratio, sent.unread = self._health.lag_ns(), self._health.cpu_ratio(), self._out.qsize()
        self._out.put(sent)
        # Not from within the connection's own call: it is still on its way to be free.
        loop = asyncio.get_running_loop()
        if (turn := next_turn(self._workload, sent.planned, seed=self._seed)) is not None and self._goes_on(sent):
            self._chats.setdefault(turn.index - turn.turn, [])
            loop.call_soon(lambda: loop.create_task(self._say(sent, turn)))
            return
        self._over(sent.planned)

    def _over(self, planned: Planned) -> None:
        """A chat has ended, or a request that is of none: another takes its place."""
        self._chats.pop(planned.index - planned.turn, None)
        if self._closed:
            asyncio.get_running_loop().call_soon(self._go_on)
        self._finish()

    def _goes_on(self, sent: Sent) -> bool:
        """Whether a chat goes on: it was answered, and there will still be time when its next turn is due."""
        due_s = (sent.exchange.closed_ns - self._began_ns) / 1e9 + self._workload.think_s
        answered = not sent.exchange.failure and sent.exchange.response.status == 200
        return answered and not self._stop.is_set() and due_s < (self._workload.duration_s or math.inf)

    async def _say(self, sent: Sent, turn: Planned) -> None:
        """Sends a chat's next turn, as long after the answer as a person thinks. What was answered is read by another thread meanwhile."""
        session, due_ns = turn.index - turn.turn, sent.exchange.closed_ns + round(self._workload.think_s * 1e9)
        answer = await asyncio.get_running_loop().run_in_executor(None, answered, sent)
        if (before := self._chats.get(session)) is None:
            return
        if answer is None:
            self._over(turn)
            return
        asked = prompt_of(sent.planned, mark="" if before else self._target.mark, by=self._wording)
        before += [said("user", asked), said("assistant", answer)]
        request = self._request(turn, before)
        self._timer.at(due_ns, lambda: self._send(turn, request, due_ns=due_ns) if session in self._chats else None)

    def _finish(self) -> None:
        if self._all_sent and not self._under_way and not self._chats:
            self._done.set()

    async def _look(self) -> None:
        """Gives up what no token comes for, and all when nobody wants it any more."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            now_ns = time.perf_counter_ns()
            for sent in list(self._under_way.values()):
                if self._stop.is_set() or self._waits_long(sent.exchange, now_ns):
                    self._no_patience(sent.exchange)
            if self._stop.is_set():
                self._all_sent = True
                self._chats.clear()
                self._finish()

    def _waits_long(self, exchange: Exchange, now_ns: int) -> bool:
        """Whether no token came for longer than patience is; what came is looked at no sooner."""
        patience_ns = self._patience_s * 1e9
        if now_ns - exchange.last_ns > patience_ns:
            kind = exchange.response.headers.get("content-type", "")
            exchange.last_ns = went_on_ns(exchange.pieces, kind=kind, since_ns=exchange.last_ns)
        return now_ns - exchange.last_ns > patience_ns

    def _no_patience(self, exchange: Exchange) -> None:
        _give_up(exchange, f"timeout: no token came for {self._patience_s:.0f} s")


def _give_up(exchange: Exchange, failure: str) -> None:
    """Ends an exchange that has not ended; the connection of one that has may be another's by now."""
    if exchange.ended:
        return
    if exchange.connection:
        exchange.connection.drop(failure)
    exchange.end(failure)


def _most_bytes(planned: Planned) -> int:
    """What more than that is an answer without end."""
    return BYTES_MORE + BYTES_A_TOKEN * planned.output_tokens
