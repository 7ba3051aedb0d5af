"""Which prices of a decision are old: what its figures rest on, and nobody has said for long to hold."""

from collections.abc import Iterable, Iterator

from schemas.results import PricePublished
from streams.deciding.evidence import Deployed
from streams.deciding.measured import Priced
from streams.money.prices import Undefined, as_of_us, is_stale
from streams.times import day


def stale_prices(prices: Iterable[PricePublished], *, now_us: int) -> tuple[str, ...]:
    """Each that is stale, in words with its day, by item and region."""
    stale = {(price.item, price.region): price for price in prices if is_stale(price, at_us=now_us)}
    return tuple(f"{item} in region {region}: of {day(as_of_us(price))}" for (item, region), price in sorted(stale.items()))


def prices_of(deployed: Iterable[Deployed], priced: Priced) -> Iterator[PricePublished]:
    """The prices that places are reckoned with: a replica's hour, its devices to buy, and what their energy emits."""
    for one in deployed:
        names = [device.name for device in one.environment.devices] if one.place.devices else []
        hour = [f"gpu_hour:{name}" for name in names] or ["cpu_hour"]
        for item in (*hour, *(f"device:{name}" for name in names), "gco2_per_kwh", "pue"):
            try:
                yield priced.book.at(item, at_us=priced.at_us, region=one.place.region, version=priced.version)
            except Undefined:  # then that figure is not known
                continue
