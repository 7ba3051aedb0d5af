"""Loads of one campaign as a grid: each by its concurrency and by how long its requests and answers are."""

from collections.abc import Mapping
from typing import Any, Final

from query_api.reading.runs import Reading, scaled
from streams.errors import NotFound

MOST: Final = 400  # cells
# A cell's figures: their metric, and what their values are divided by.
FIGURES: Final[Mapping[str, tuple[str, float]]] = {
    "output_tokens_per_s": ("output_tokens_per_s", 1.0), "ttft_p50_s": ("ttft_p50", 1e9), "itl_p50_s": ("itl_p50", 1e9),
    "joules_per_token": ("energy_per_output_token_uj", 1e6),
}  # fmt: skip


async def grid(reading: Reading, campaign: str) -> dict[str, Any]:
    """The cells of a campaign's loads, the shortest requests first, each with its figures. Raises: NotFound where it has none."""
    rows = await reading.rows("grid_cells", campaign=campaign, most=MOST)
    if not rows:
        raise NotFound(f"no load has the campaign {campaign!r}; `assay perf` with several values begins one", code="unknown-campaign")
    told: dict[tuple[str, str], Mapping[str, Any]] = {}
    for row in await reading.rows("performance", run_ids=[row["run_id"] for row in rows]):
        told[row["run_id"], row["metric"]] = row
    return {"campaign": campaign, "cells": [row | {"figures": _figures(row["run_id"], told)} for row in rows]}


def _figures(run_id: str, told: Mapping[tuple[str, str], Mapping[str, Any]]) -> dict[str, dict[str, Any] | None]:
    found = {name: (told.get((run_id, metric)), by) for name, (metric, by) in FIGURES.items()}
    return {name: _figure(row, by) if row and row["value"] is not None else None for name, (row, by) in found.items()}


def _figure(row: Mapping[str, Any], by: float) -> dict[str, Any]:
    return {"value": row["value"] / by, "low": scaled(row["low"], by), "high": scaled(row["high"], by), "method": row["method"]}
