"""What follows for a load: replicas, a month's bill, a million tokens' price and capital, in each draw from that draw's goodput."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from streams.deciding.candidates import Candidate
from streams.deciding.constraints import is_named
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
    """The worlds with replicas, usd_per_month and usd_per_1m_tokens under the load; with capital_usd where devices have a price.

    Replicas are ⌈peak · (1 + headroom) / goodput⌉ and run all month; the price of a million tokens is their bill over the month's tokens.
    """
    if "goodput_per_s" not in worlds.points:
        return worlds
    hour, bought = (_known([getattr(one, name) for one in worlds.candidates]) for name in ("usd_per_hour", "purchase_usd"))
    tokens = load.mean_per_s * S_PER_MONTH * load.tokens_per_request / 1e6
    counts = tuple(_replicas(load, goodput) for goodput in (worlds.points["goodput_per_s"], worlds.drawn["goodput_per_s"]))
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


def _replicas(load: Load, goodput: Floats) -> Floats:
    needed = load.peak_per_s * (1 + load.headroom_ratio) / goodput
    # A rate that is a whole number of goodputs but for rounding needs no replica more.
    return np.asarray(np.maximum(1.0, np.ceil(needed - 1e-9)))
