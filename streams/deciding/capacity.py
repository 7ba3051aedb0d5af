"""How many replicas a load needs, and whether requests then wait: from measured goodput, checked by queueing.

Goodput says what a replica answers within the service level at a steady rate. Requests come by chance, so at the peak some find all places
taken. With c places in all, each busy for a request's time S, and a load of a = rate · S, an M/M/c queue makes a request wait with the
probability C(c, a) (Erlang's C formula), on average C·S/(c - a), and longer than t with C·exp(-(c - a)·t/S).

Requests slow each other down within a batch, which S under that load has in it; that service times vary less or more than exponentially is
not in it, and so the check is one of size, not of milliseconds.

Source: A. K. Erlang (1917); Gross, Shortle, Thompson and Harris, Fundamentals of Queueing Theory, 4th ed., section 2.3.
"""

import math
from bisect import bisect_left
from dataclasses import dataclass
from typing import Final

from scipy.special import pdtr

from streams.errors import Invalid

MOST_REPLICAS: Final = 100_000
_MORE: Final = 1000


@dataclass(frozen=True, slots=True)
class Replica:
    """What was measured of one: requests a second within the service level, places at a time, and a request's time at that load."""

    goodput_per_s: float
    places: int
    service_s: float


@dataclass(frozen=True, slots=True)
class Capacity:
    """So many replicas for a peak: how busy they are, how likely a request waits at all and too long, and for how long on average.

    `by_rate` is what goodput and headroom alone call for; `by_queue` what the allowed wait calls for beyond that.
    """

    replicas: int
    by_rate: int
    by_queue: int
    busy_ratio: float
    waiting_ratio: float
    too_long_ratio: float
    mean_wait_s: float


def erlang_c(servers: int, load: float) -> float:
    """The probability that a request waits: B·c/(c - a·(1 - B)), with B = P(N = c)/P(N ≤ c) for N of Poisson's law with the mean a.

    1 where the load is as much as the servers or more: the queue then grows without end.
    """
    if load >= servers:
        return 1.0
    if load <= 0:
        return 0.0
    lost = math.exp(servers * math.log(load) - load - math.lgamma(servers + 1)) / float(pdtr(servers, load))
    return lost * servers / (servers - load * (1 - lost))


def waits_longer(servers: int, load: float, *, service_s: float, than_s: float) -> float:
    """The probability that a request waits longer than that."""
    return erlang_c(servers, load) * math.exp(-max(0.0, servers - load) * than_s / service_s)


def capacity(
    peak_per_s: float, replica: Replica, *, headroom_ratio: float = 0.2, longest_wait_s: float = 1.0, allowed_ratio: float = 0.05
) -> Capacity:
    """The fewest replicas that keep goodput with the headroom, and let at most the allowed share wait longer than that.

    Raises: Invalid where no number is enough, or nothing was measured to reckon with.
    """
    if not (replica.goodput_per_s > 0 and replica.places > 0 and replica.service_s > 0 and 0 < allowed_ratio < 1):
        raise Invalid("capacity needs goodput, places and service time above 0, and an allowed share between 0 and 1", code="capacity")
    by_rate = max(1, math.ceil(peak_per_s * (1 + headroom_ratio) / replica.goodput_per_s - 1e-9))
    if by_rate > MOST_REPLICAS:
        raise Invalid(f"the peak needs {by_rate:,} replicas; a rate or a goodput has a wrong unit", code="capacity")
    load = peak_per_s * replica.service_s
    if not load / replica.places <= MOST_REPLICAS:
        raise Invalid(f"a request takes {replica.service_s:g} s, for which no number of replicas is enough", code="capacity")
    least = max(1, math.ceil(load / replica.places))
    span = range(least, 2 * least + _MORE)  # twice the load leaves next to nobody waiting
    count = span[bisect_left(span, x=True, key=lambda one: _too_long(one, load, replica, longest_wait_s) <= allowed_ratio)]
    return _told(max(count, by_rate), by_rate, count, load=load, replica=replica, longest_wait_s=longest_wait_s)


def _too_long(count: int, load: float, replica: Replica, than_s: float) -> float:
    return waits_longer(count * replica.places, load, service_s=replica.service_s, than_s=than_s)


def _told(count: int, by_rate: int, by_queue: int, *, load: float, replica: Replica, longest_wait_s: float) -> Capacity:
    servers = count * replica.places
    waiting = erlang_c(servers, load)
    mean = waiting * replica.service_s / (servers - load) if servers > load else math.inf
    return Capacity(count, by_rate, by_queue, load / servers, waiting, _too_long(count, load, replica, longest_wait_s), mean)
