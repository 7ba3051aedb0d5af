"""A grid of loads as heat maps: a table a figure, whose columns are concurrencies and whose rows are lengths of requests and answers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from query_api.drawing.charts import number, seconds

HEATS: Final = 9  # shades, from the least to the most of a figure
FIGURES: Final[Mapping[str, tuple[str, Callable[[float], str]]]] = {
    "output_tokens_per_s": ("Output tokens/s", lambda value: number(value, 1)),
    "ttft_p50_s": ("TTFT, p50", seconds), "itl_p50_s": ("ITL, p50", seconds),
    "joules_per_token": ("J/token", lambda value: number(value, 2)),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cell:
    """A load: its figure in words and how much of the greatest it is, from 0 to HEATS; its interval; or its run's state."""

    run_id: str
    text: str
    heat: int | None
    interval: str | None


@dataclass(frozen=True, slots=True)
class Map:
    """A figure over a grid; a cell that was not asked for is None, one asked for several times has its newest run."""

    figure: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell | None, ...]], ...]


def maps(cells: Sequence[Mapping[str, Any]]) -> list[Map]:
    """A map for each figure that a load has."""
    known = [name for name in FIGURES if any(cell["figures"][name] for cell in cells)]
    return [_map(name, cells) for name in known or list(FIGURES)[:1]]


def _map(name: str, cells: Sequence[Mapping[str, Any]]) -> Map:
    title, told = FIGURES[name]
    columns = sorted({cell["concurrency"] or 1 for cell in cells})
    lengths = sorted({(cell["input_tokens"], cell["output_tokens"]) for cell in cells})
    in_order = sorted(cells, key=lambda cell: str(cell["run_id"]))
    newest = {(cell["input_tokens"], cell["output_tokens"], cell["concurrency"] or 1): cell for cell in in_order}
    values = [cell["figures"][name]["value"] for cell in newest.values() if cell["figures"][name]]
    least, most = (min(values), max(values)) if values else (0.0, 0.0)
    rows = tuple(
        (f"{read} → {written}", tuple(_cell(newest.get((read, written, column)), name, told, least, most) for column in columns))
        for read, written in lengths
    )
    return Map(name, title, tuple(map(str, columns)), rows)


def _cell(cell: Mapping[str, Any] | None, name: str, told: Callable[[float], str], least: float, most: float) -> Cell | None:
    if cell is None:
        return None
    figure = cell["figures"][name]
    if figure is None:
        return Cell(cell["run_id"], "–" if cell["state"] == "completed" else cell["state"], None, None)
    share = (figure["value"] - least) / (most - least) if most > least else 1.0
    ends = f"{told(figure['low'])} – {told(figure['high'])}" if figure["low"] is not None and figure["high"] is not None else None
    return Cell(cell["run_id"], told(figure["value"]), round(share * HEATS), ends)
