"""What follows for a load: replicas, a month's bill, a million tokens' price and capital, in each draw from that draw's goodput.

Replicas are as many as that goodput calls for with the headroom, and as many as the queue does (capacity.py), which has the places and the
time of a request as they were measured. Bills, budgets, what is owned, savings and the guide have this one count.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from streams.deciding.candidates import Candidate
from streams.deciding.capacity import HEADROOM, longest_wait_s, queue_replicas, rate_replicas
from streams.deciding.constraints import is_named
from streams.deciding.drawing import Worlds
from streams.errors import Invalid
from streams.money.scenarios import HOURS_PER_MONTH, S_PER_HOUR
from streams.statistics.spreads import Floats

S_PER_MONTH: Final = HOURS_PER_MONTH * S_PER_HOUR


@dataclass(frozen=True, slots=True)
class Load:
    """Requests a second at the peak and on average, their tokens, and the spare share that is kept at the peak.

    `ttft_p95_s`: the bound on the time to the first token, of which a wait for a place takes its part; None without one.
    """

    peak_per_s: float
    mean_per_s: float
    tokens_per_request: float
    headroom_ratio: float = HEADROOM
    ttft_p95_s: float | None = None


def under(load: Load, worlds: Worlds) -> Worlds:
    """The worlds with replicas, usd_per_month and usd_per_1m_tokens under the load; with capital_usd where devices have a price.

    Replicas run all month; the price of a million tokens is their bill over the month's tokens.
    """
    if "goodput_per_s" not in worlds.points:
        return worlds
    hour, bought = (_known([getattr(one, name) for one in worlds.candidates]) for name in ("usd_per_hour", "purchase_usd"))
    tokens = load.mean_per_s * S_PER_MONTH * load.tokens_per_request / 1e6
    queued = np.array([_by_queue(load, one) for one in worlds.candidates])
    counts = tuple(
        np.maximum(rate_replicas(load.peak_per_s, goodput, load.headroom_ratio), queued)
        for goodput in (worlds.points["goodput_per_s"], worlds.drawn["goodput_per_s"])
    )
    bills = tuple(count * hour * HOURS_PER_MONTH for count in counts)
    prices = tuple(bill / tokens for bill in bills)
    capital = {} if np.isnan(bought).all() else {"capital_usd": (counts[0] * bought, counts[1] * bought)}
    return worlds.having(
        replicas=(counts[0], counts[1]), usd_per_month=(bills[0], bills[1]), usd_per_1m_tokens=(prices[0], prices[1]), **capital
    )


def on_owned(owned: Mapping[str, int], worlds: Worlds) -> Worlds:
    """The worlds with owned_ratio: the devices of all replicas (one, without a load) over how many of that name are owned.

    0 of hardware that is not owned: that it is not is another constraint's.
    """
    if not owned:
        return worlds
    shares = np.array([_share(owned, one) for one in worlds.candidates])
    one = np.ones(len(shares)), np.ones((worlds.draws, len(shares)))
    counts = (worlds.points["replicas"], worlds.drawn["replicas"]) if "replicas" in worlds.points else one
    # What takes none takes none of an unknown number of replicas too.
    return worlds.having(owned_ratio=(np.where(shares, counts[0] * shares, 0.0), np.where(shares, counts[1] * shares, 0.0)))


def _share(owned: Mapping[str, int], one: Candidate) -> float:
    """A replica's devices over how many of them are owned, by the longest name that they have."""
    count = next((owned[name] for name in sorted(owned, key=len, reverse=True) if is_named(one.hardware, name)), None)
    devices = one.trait("devices")
    return float(devices) / count if count and isinstance(devices, int | float) else 0.0


def _known(values: Sequence[float | None]) -> Floats:
    return np.array([np.nan if value is None else value for value in values])


def _by_queue(load: Load, one: Candidate) -> float:
    """The replicas that the queue calls for; 1 where places and times are not known, and those that are busy where no number is enough."""
    if one.places is None or one.service_s is None:
        return 1.0
    ttft = one.figures.get("ttft_p95_s")
    wait = longest_wait_s(load.ttft_p95_s, ttft.value if ttft else None)
    try:
        return queue_replicas(load.peak_per_s, one.places, one.service_s, longest_wait_s=wait)
    except Invalid:
        return math.ceil(load.peak_per_s * one.service_s / one.places)
