"""What one attempt of a workload's job measured, as columns: its requests, when their tokens came, and what its meters read.

Of several events of one thing the first counts. `Timings` takes events in; `Taken` is what it holds at a moment, to be reckoned with.
"""

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from operator import attrgetter
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from schemas.measurements import RequestTimed, ResourceRead, TokensTimed
from streams.bounds import MOST_LOAD_TOKENS
from streams.speed.columns import ABSENT, Numbers, Rows, Table, Words, event_ids, id_bytes, packed, real, shown, unpacked, whole
from streams.speed.sensors import micro_watts

TIMES: Final = (
    "request_index", "scheduled_ns", "queued_ns", "sent_ns", "first_byte_ns", "first_answer_ns", "last_token_ns", "ended_ns", "connect_ns",
    "tls_ns", "prompt_tokens", "output_tokens", "cached_tokens", "reasoning_tokens", "step", "turn",
    "text_tokens", "text_reasoning_tokens", "text_prompt_tokens", "prompt",
)  # fmt: skip
CLIENT: Final = ("pacing_error_ns", "in_flight", "client_queued_ns", "loop_lag_ns", "dropped", "unread", "unsent")
TEXTS: Final = ("phase", "status", "error_kind", "counted_by", "loop", "boot_id")
REALS: Final = ("step_rate_per_s", "cpu_ratio")
CHUNK: Final = ("request_index", "sequence", "chunk", "arrivals")
READING: Final = (
    "mono_ns", "energy_uj", "energy_range_uj", "power_uw", "idle_uw", "own_cost_ns", "sensor", "device_uuid", "boot_id",
)  # fmt: skip
MOST_TOKENS: Final = 2 * MOST_LOAD_TOKENS  # a server may send more than was asked for
MOST_AT_ONCE: Final = 2**32 - 1  # tokens of one arrival: an answer that comes whole has all in one
SENT: Final = TIMES.index("sent_ns")
_times = attrgetter(*TIMES)
_client = attrgetter("pacing_error_ns", "in_flight", "queued_ns", "loop_lag_ns", "dropped", "unread", "unsent")


@dataclass(frozen=True, slots=True)
class Requests(Table):
    """Timed requests, in the order of their sending: a chat's number is no time, for its turns are numbered together."""

    def __getitem__(self, chosen: Any) -> "Requests":
        return Requests(self.names, self.numbers[chosen], self.words)

    def places(self, numbers: Numbers) -> Numbers:
        """The place of each request of those numbers, shape as `numbers`; -1 where it is not among these."""
        own = self.column("request_index")
        if not len(own):
            return np.full(len(numbers), -1)
        order = np.argsort(own, kind="stable")
        found = order[np.minimum(np.searchsorted(own, numbers, sorter=order), len(own) - 1)]
        return np.where(own[found] == numbers, found, -1)

    @property
    def sent_ns(self) -> Numbers:
        """When each was sent."""
        return self.column("sent_ns")

    @property
    def last_ns(self) -> Numbers:
        """When the last token of each came; where that is not told, when it ended."""
        last = self.column("last_token_ns")
        return np.where(last == ABSENT, self.column("ended_ns"), last)

    @property
    def came_whole(self) -> NDArray[np.bool_]:
        """Which were answered in one piece: nothing is known of when their tokens came."""
        found: NDArray[np.bool_] = self.are("status", "ok") & (self.column("first_byte_ns") == ABSENT)
        found &= self.column("last_token_ns") != ABSENT
        return found

    @property
    def took_ns(self) -> Numbers:
        """From sending to the last token."""
        return self.last_ns - self.sent_ns


@dataclass(frozen=True)
class Arrivals:
    """When tokens came, by request, sequence and time; each of shape [arrivals].

    `request`: the number of the request; `first`: it is the first of its sequence; `tokens`: how many came.
    """

    request: Numbers
    first: NDArray[np.bool_]
    ns: Numbers
    tokens: Numbers

    def __getitem__(self, chosen: Numbers) -> "Arrivals":
        """Those at these places: whole sequences, in any order."""
        return Arrivals(self.request[chosen], self.first[chosen], self.ns[chosen], self.tokens[chosen])

    def of(self, requests: Requests) -> "Arrivals":
        """Those of these requests, in their order."""
        places = requests.places(self.request)
        there = np.flatnonzero(places >= 0)
        return self[there[np.argsort(places[there], kind="stable")]]

    @cached_property
    def gaps(self) -> tuple[Numbers, Numbers, Numbers]:
        """Between two arrivals of a sequence: the request, the time in ns, and the tokens that the later one brought."""
        later = ~self.first
        return self.request[later], np.diff(self.ns, prepend=self.ns[:1])[later], self.tokens[later]

    @cached_property
    def too_many(self) -> str | None:
        """Why there is no latency of each token: there are more than can be held; None where there is."""
        told = int(self.gaps[2].sum())
        return f"the times of {told:,} tokens are told: at most {MOST_TOKENS:,} are reckoned with" if told > MOST_TOKENS else None

    @cached_property
    def intervals(self) -> tuple[Numbers, Numbers]:
        """Inter-token latencies, once for each token: the request, and the time in ns. None are there of more than can be held."""
        request, gap, tokens = self.gaps
        if self.too_many:
            request, gap, tokens = request[:0], gap[:0], tokens[:0]
        each = np.rint(gap / np.maximum(tokens, 1)).astype(np.int64)
        return np.repeat(request, tokens), np.repeat(each, tokens)

    @cached_property
    def spans(self) -> tuple[Numbers, Numbers]:
        """Of each sequence: the request, and the time from its first arrival to its last in ns."""
        starts = np.flatnonzero(self.first)
        lasts = np.append(starts, len(self.ns))[1:] - 1
        return self.request[starts], self.ns[lasts] - self.ns[starts]


@dataclass(frozen=True, slots=True)
class Taken:
    """What an attempt held at a moment. `ids`: of all that is in it, 16 bytes each."""

    requests: Requests
    arrivals: Arrivals
    readings: Sequence[Table]
    ids: bytes

    def event_ids(self) -> list[str]:
        """The ids of all events in it."""
        return event_ids(self.ids)

    @property
    def steady(self) -> Requests:
        """The requests of the steady phase."""
        return self.requests[self.requests.are("phase", "steady")]


@dataclass(slots=True)
class Timings:
    """What one attempt measured so far."""

    words: Words = field(default_factory=Words)
    requests: Rows = field(default_factory=lambda: Rows((*TIMES, *CLIENT, *TEXTS, *REALS)))
    chunks: Rows = field(default_factory=lambda: Rows(CHUNK))
    readings: Rows = field(default_factory=lambda: Rows(READING))
    arrived_ns: "array[int]" = field(default_factory=lambda: array("q"))
    tokens: "array[int]" = field(default_factory=lambda: array("I"))
    known: set[int | tuple[int, int, int] | bytes] = field(default_factory=set)

    def add(self, event: RequestTimed | TokensTimed | ResourceRead) -> None:
        """Takes an event in, unless one of the same thing came before."""
        match event:
            case RequestTimed():
                if self._new(event.request_index):
                    self.requests.add(_row(event, self.words), event.event_id)
            case TokensTimed():
                if self._new((event.request_index, event.sequence, event.chunk)):
                    self._arrive(event)
            case ResourceRead():
                if self._new(id_bytes(event.event_id)):
                    self.readings.add(_reading(event, self.words), event.event_id)

    def _new(self, thing: int | tuple[int, int, int] | bytes) -> bool:
        before = len(self.known)
        self.known.add(thing)
        return len(self.known) > before

    def _arrive(self, event: TokensTimed) -> None:
        arrived, tokens = event.arrivals
        if tokens and not 0 <= min(tokens) <= max(tokens) <= MOST_AT_ONCE:
            tokens = tuple(max(0, min(MOST_AT_ONCE, one)) for one in tokens)
        self.arrived_ns.extend(shown(arrived))
        self.tokens.extend(tokens)
        self.chunks.add(whole((event.request_index, event.sequence, event.chunk, len(arrived))), event.event_id)

    def pictured(self) -> "Timings":
        """What is here now, to be written down; what comes later changes nothing of it. It takes in no more: it knows nothing again."""
        requests, chunks, readings = (one.pictured() for one in (self.requests, self.chunks, self.readings))
        return Timings(Words(dict(self.words.places)), requests, chunks, readings, self.arrived_ns[:], self.tokens[:])

    def taken(self, *, more: "Timings | None" = None) -> Taken:
        """What is here now; what comes later changes nothing of it. `more`: other readings that belong to it."""
        table = self.requests.table()
        readings = [Table(READING, one.readings.table(), one.words.texts) for one in (self, more) if one]
        return Taken(
            Requests(self.requests.names, table[np.lexsort((table[:, 0], table[:, SENT]))], self.words.texts),
            _arrivals(self.chunks.table(), np.frombuffer(self.arrived_ns.tobytes(), np.int64),
                      np.frombuffer(self.tokens.tobytes(), np.uint32)),
            readings,
            b"".join([self.requests.ids, self.chunks.ids, self.readings.ids, more.readings.ids if more else b""]),
        )  # fmt: skip


def _row(event: RequestTimed, words: Words) -> list[int]:
    """The event as a row."""
    texts = (event.phase, event.status, event.error_kind, event.counted_by, event.loop, event.clock.boot_id)
    numbers = whole((*_times(event), *_client(event.client)))
    return [*numbers, *map(words.place, texts), real(event.step_rate_per_s), real(event.client.cpu_ratio)]


def _reading(event: ResourceRead, words: Words) -> list[int]:
    power, idle = micro_watts(event.power_w), micro_watts(event.idle_w)
    counted = (event.mono_ns, event.energy_uj, event.energy_range_uj, power, idle, event.own_cost_ns)
    return [*whole(counted), *map(words.place, (event.sensor, event.device_uuid, event.boot_id))]


def _arrivals(chunks: Numbers, ns: Numbers, tokens: NDArray[np.uint32]) -> Arrivals:
    """The arrivals of chunks in the order of request, sequence and chunk. `chunks`: as they came, shape [chunks, 4]."""
    order = np.lexsort((chunks[:, 2], chunks[:, 1], chunks[:, 0]))
    lengths, starts = chunks[order, 3], (np.cumsum(chunks[:, 3]) - chunks[:, 3])[order]
    total = int(lengths.sum())
    places = np.repeat(starts - (np.cumsum(lengths) - lengths), lengths) + np.arange(total)
    request, sequence = (np.repeat(chunks[order, column], lengths) for column in (0, 1))
    first = np.ones(total, dtype=bool)
    first[1:] = (np.diff(request) != 0) | (np.diff(sequence) != 0)
    return Arrivals(request, first, ns[places], tokens[places].astype(np.int64))


def dumped(timings: Timings) -> Mapping[str, Any]:
    """Timings as what JSON can hold."""
    rows = {name: getattr(timings, name).dumped() for name in ("requests", "chunks", "readings")}
    return rows | {"words": list(timings.words.texts), "arrived_ns": packed(timings.arrived_ns), "tokens": packed(timings.tokens)}


def loaded(told: Mapping[str, Any]) -> Timings:
    """The timings in it. Raises: ValueError, KeyError, TypeError, OverflowError where there are none."""
    timings = Timings(Words({text: place for place, text in enumerate(told["words"])}))
    for name in ("requests", "chunks", "readings"):
        getattr(timings, name).load(told[name])
    timings.arrived_ns, timings.tokens = unpacked(told["arrived_ns"]), unpacked(told["tokens"], "I")
    chunks = timings.chunks.table()
    if not chunks[:, 3].sum() == len(timings.arrived_ns) == len(timings.tokens):
        raise ValueError("the arrivals are not those of the chunks")
    readings = map(id_bytes, event_ids(timings.readings.ids))
    timings.known = {*timings.requests.table()[:, 0].tolist(), *map(tuple, chunks[:, :3].tolist()), *readings}
    return timings


def canonical(timings: Timings) -> list[list[Any]]:
    """A list that says the same of equal timings, in whatever order they came."""
    taken = timings.taken()
    arrivals, (readings,) = taken.arrivals, taken.readings
    return [
        sorted(taken.event_ids()),
        _written(taken.requests, TEXTS),
        [column.tolist() for column in (arrivals.request, arrivals.first, arrivals.ns, arrivals.tokens)],
        sorted(_written(readings, READING[6:]), key=repr),
    ]


def _written(table: Table, texts: Sequence[str]) -> list[list[Any]]:
    """The rows with their words written out."""
    columns = [table.texts(name) if name in texts else table.column(name).tolist() for name in table.names]
    return [list(row) for row in zip(*columns, strict=True)]
