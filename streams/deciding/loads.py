"""What follows for a load: replicas, a month's bill and a million tokens' price, in each draw from that draw's goodput."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from streams.deciding.drawing import Worlds
from streams.money.scenarios import HOURS_PER_MONTH, S_PER_HOUR
from streams.statistics.spreads import Floats

S_PER_MONTH: Final = HOURS_PER_MONTH * S_PER_HOUR


@dataclass(frozen=True, slots=True)
class Load:
    """Requests a second at the peak and on average, their tokens, and the spare share that is kept at the peak."""

    peak_per_s: float
    mean_per_s: float
    tokens_per_request: float
    headroom_ratio: float = 0.2


def under(load: Load, worlds: Worlds) -> Worlds:
    """The worlds with replicas, usd_per_month and usd_per_1m_tokens under the load.

    Replicas are ⌈peak · (1 + headroom) / goodput⌉ and run all month; the price of a million tokens is their bill over the month's tokens.
    """
    if "goodput_per_s" not in worlds.points:
        return worlds
    hour = np.array([np.nan if one.usd_per_hour is None else one.usd_per_hour for one in worlds.candidates])
    tokens = load.mean_per_s * S_PER_MONTH * load.tokens_per_request / 1e6
    counts = tuple(_replicas(load, goodput) for goodput in (worlds.points["goodput_per_s"], worlds.drawn["goodput_per_s"]))
    bills = tuple(count * hour * HOURS_PER_MONTH for count in counts)
    prices = tuple(bill / tokens for bill in bills)
    return worlds.having(replicas=(counts[0], counts[1]), usd_per_month=(bills[0], bills[1]), usd_per_1m_tokens=(prices[0], prices[1]))


def _replicas(load: Load, goodput: Floats) -> Floats:
    needed = load.peak_per_s * (1 + load.headroom_ratio) / goodput
    # A rate that is a whole number of goodputs but for rounding needs no replica more.
    return np.asarray(np.maximum(1.0, np.ceil(needed - 1e-9)))
