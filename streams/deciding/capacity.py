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

import numpy as np
from scipy.special import pdtr

from streams.errors import Invalid
from streams.statistics.spreads import Floats

MOST_REPLICAS: Final = 100_000
HEADROOM: Final = 0.2
ALLOWED: Final = 0.05  # the share of requests that may wait longer than allowed
LONGEST_WAIT_S: Final = 1.0  # where the requirement bounds no time to the first token
LEAST_WAIT_S: Final = 0.01


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


def longest_wait_s(bound_s: float | None, measured_s: float | None) -> float:
    """How long a request may wait for a place: what is left of the bound on the time to the first token beside that which was measured."""
    return LONGEST_WAIT_S if bound_s is None or measured_s is None else max(LEAST_WAIT_S, bound_s - measured_s)


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
    peak_per_s: float, replica: Replica, *, headroom_ratio: float = HEADROOM, longest_wait_s: float = LONGEST_WAIT_S,
    allowed_ratio: float = ALLOWED,
) -> Capacity:  # fmt: skip
    """The fewest replicas that keep goodput with the headroom, and let at most the allowed share wait longer than that.

    Raises: Invalid where no number is enough, or nothing was measured to reckon with.
    """
    if not (replica.goodput_per_s > 0 and replica.places > 0 and replica.service_s > 0 and 0 < allowed_ratio < 1):
        raise Invalid("capacity needs goodput, places and service time above 0, and an allowed share between 0 and 1", code="capacity")
    by_rate = int(rate_replicas(peak_per_s, np.array(replica.goodput_per_s), headroom_ratio))
    if by_rate > MOST_REPLICAS:
        raise Invalid(f"the peak needs {by_rate:,} replicas; a rate or a goodput has a wrong unit", code="capacity")
    by_queue = queue_replicas(peak_per_s, replica.places, replica.service_s, longest_wait_s=longest_wait_s, allowed_ratio=allowed_ratio)
    load = peak_per_s * replica.service_s
    return _told(max(by_queue, by_rate), by_rate, by_queue, load=load, replica=replica, longest_wait_s=longest_wait_s)


def rate_replicas(peak_per_s: float, goodput_per_s: Floats, headroom_ratio: float) -> Floats:
    """The replicas that goodput and headroom call for, ⌈peak · (1 + headroom) / goodput⌉, with goodput's shape; 1 at least."""
    # A rate that is a whole number of goodputs but for rounding needs no replica more.
    return np.asarray(np.maximum(1.0, np.ceil(peak_per_s * (1 + headroom_ratio) / goodput_per_s - 1e-9)))


def queue_replicas(peak_per_s: float, places: int, service_s: float, *, longest_wait_s: float, allowed_ratio: float = ALLOWED) -> int:
    """The fewest replicas of so many places at which at most the allowed share waits longer than that.

    Raises: Invalid where no number is enough.
    """
    load = peak_per_s * service_s
    if not load / places <= MOST_REPLICAS:
        raise Invalid(f"a request takes {service_s:g} s, for which no number of replicas is enough", code="capacity")

    def kept(count: int) -> bool:
        return waits_longer(count * places, load, service_s=service_s, than_s=longest_wait_s) <= allowed_ratio

    least = max(1, math.ceil(load / places))
    step = 1
    while not kept(least + step - 1):
        step *= 2
    span = range(least + step // 2, least + step)
    return span[bisect_left(span, x=True, key=kept)]


def _told(count: int, by_rate: int, by_queue: int, *, load: float, replica: Replica, longest_wait_s: float) -> Capacity:
    servers = count * replica.places
    waiting = erlang_c(servers, load)
    mean = waiting * replica.service_s / (servers - load) if servers > load else math.inf
    too_long = waits_longer(servers, load, service_s=replica.service_s, than_s=longest_wait_s)
    return Capacity(count, by_rate, by_queue, load / servers, waiting, too_long, mean)
