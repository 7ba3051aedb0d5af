"""The figures of a latency: its mean with an interval that knows of dependence, and those percentiles that the sample can support."""

from typing import Final

import numpy as np

from schemas.results import Figure
from streams.speed.columns import Numbers
from streams.statistics.batches import dependent_mean, effective_size
from streams.statistics.intervals import percentiles
from streams.statistics.order import early_stopped, needed, percentile_interval

PERCENTILES: Final = (50.0, 95.0, 99.0)
BATCHES: Final = 30


def spread(name: str, values: Numbers, *, why: str = "nothing was measured") -> list[Figure]:
    """Its figures, in ns. `values` are in the order of time; `why` there are none."""
    labels = [f"{name}_mean", *(f"{name}_p{share:.0f}" for share in PERCENTILES)]
    if not len(values):
        return [Figure(metric=label, value=None, n=0, unit="ns", why_undefined=why) for label in labels]
    mean = dependent_mean(values.astype(np.float64))
    low, high = mean.interval or (None, None)
    first = Figure(metric=labels[0], value=mean.value, low=low, high=high, n=len(values), unit="ns", method=mean.method)
    return [first, *(_percentile(label, values, share) for label, share in zip(labels[1:], PERCENTILES, strict=True))]


def _percentile(label: str, values: Numbers, percent: float) -> Figure:
    """A percentile; undefined where the sample is too small for it."""
    n, share = len(values), percent / 100
    if n < (least := needed(share)):
        return Figure(metric=label, value=None, n=n, unit="ns", why_undefined=f"n/a (needs {least:,}; there are {n:,})")
    (value,) = percentiles(values, [percent])
    size = _worth(values, value)
    low, high = percentile_interval(np.sort(values), share, size=size)
    return Figure(metric=label, value=value, low=low, high=high, n=n, unit="ns", method=f"order statistics, worth {size:.0f} values")


def early(name: str, values: Numbers, percent: float, *, why: str | None = None) -> Figure:
    """What a percentile does not exceed at 99 % confidence, as MLPerf's early stopping has it, in ns. `why`: there can be no values."""
    n, told = len(values), early_stopped(np.sort(values), percent / 100)
    why = why or f"n/a (needs {needed(percent / 100):,}; there are {n:,})"
    return Figure(metric=f"{name}_p{percent:.0f}_early_stopped", value=told, n=n, unit="ns", why_undefined=why if told is None else None)


def _worth(values: Numbers, value: float) -> float:
    """How many independent values say on which side of it they lie."""
    above = (values > value).astype(np.float64)
    if len(above) < 2 * BATCHES:
        return float(len(above))
    return effective_size(above, np.array([batch.mean() for batch in np.array_split(above, BATCHES)]))
