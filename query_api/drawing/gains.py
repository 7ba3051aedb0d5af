"""Multiples of a reference's figures as people read them."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from query_api.drawing.charts import number

GIB: Final = 2**30
HEADLINES: Final = {
    "capacity_tokens_per_s": "tokens/s at capacity", "concurrent_tokens_per_s": "tokens/s at its concurrency",
    "ttft_s": "TTFT alone, s", "memory_bytes": "peak memory, GiB",
    "joules_per_token": "J/token", "usd_per_1m_tokens": "$/1M tokens",
}  # fmt: skip


def headline(name: str) -> str:
    """What a figure is called."""
    return HEADLINES[name]


def amount(name: str, value: float | None) -> str:
    """A figure's value in the unit of its headline; an en dash where it is not known."""
    return number(value / GIB if name == "memory_bytes" and value is not None else value, 3)


def multiple(one: Mapping[str, Any]) -> str:
    """How many times the reference's it is: × 1.92 (1.85 to 2.00); an en dash where that is not known."""
    if one["ratio"] is None:
        return "–"
    ends = f" ({number(one['low'], 2)} to {number(one['high'], 2)})" if one["low"] is not None else ""
    return f"× {number(one['ratio'], 2)}{ends}"


def common(figures: Sequence[Mapping[str, Any]]) -> str | None:
    """Why none of the figures is compared, where that is the same for all."""
    whys = {one["why"] for one in figures}
    return whys.pop() if len(whys) == 1 else None
