"""Whether intervals, ranks, p-values and stopping hold what their labels say: hundreds of cells, each beside its bound.

`make bench-rigor` prints every cell and writes benchmarks/results/rigor.json and docs/rigor.md; `--quick` takes each seventh cell with
fewer simulations, and writes nothing; `--grid NAME` finds that grid's cells anew, and takes the others from the file. The same seed gives
the same draws; a cell's simulations, and so its noise, stand beside it.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.harness import RESULTS, write
from benchmarks.rigor_boards import of_boards
from benchmarks.rigor_cells import Cell, Found, cells
from benchmarks.rigor_choices import of_choices
from benchmarks.rigor_errors import of_errors
from benchmarks.rigor_joined import of_joined
from benchmarks.rigor_page import page
from benchmarks.rigor_people import of_people
from benchmarks.rigor_power import of_power
from benchmarks.rigor_totals import of_totals
from benchmarks.rigor_values import of_values

PAGE = RESULTS.parents[1] / "docs" / "rigor.md"
EACH, FEWER, WIDE = 7, 200, 30


def every_cell() -> list[Cell]:
    """All of them, grid by grid."""
    return [*cells(), *of_boards(), *of_joined(), *of_errors(), *of_values(), *of_totals(), *of_power(), *of_people(), *of_choices()]


def found(chosen: Sequence[Cell], *, simulations: int | None) -> Iterator[Found]:
    """Each cell's share, printed as it comes, with a bar of how far it is."""
    bar = Bar(len(chosen), time.monotonic())
    for number, cell in enumerate(chosen, start=1):
        one = cell.found(simulations)
        print(f"{bar.cleared()}{line(one)}")
        bar.show(number)
        yield one


@dataclass(frozen=True, slots=True)
class Bar:
    """How many of so many are done, and for how long; drawn on a terminal alone."""

    of: int
    since: float

    def cleared(self) -> str:
        """What takes the bar away before a line."""
        return "\r\033[K" if sys.stderr.isatty() else ""

    def show(self, done: int) -> None:
        """Draws it."""
        if sys.stderr.isatty():
            full = WIDE * done // self.of
            took = time.monotonic() - self.since
            told = f"{done}/{self.of}  {took:.0f} s, {took / done * (self.of - done):.0f} s to go"
            print(f"[{'#' * full}{'.' * (WIDE - full)}] {told}", end="", file=sys.stderr, flush=True)


def line(one: Found) -> str:
    """A cell beside its bound."""
    sign = ">=" if one.cell.least else "<="
    noise = f"± {one.noise:.4f}" if one.simulations else "exact"
    return f"{one.cell.grid:13} {one.cell.name:62} {one.share:.4f}  {sign} {one.cell.bound:.4f} {noise:9} {one.verdict}"


def told(one: Found) -> dict[str, Any]:
    """A cell as the result's file has it."""
    return {
        "grid": one.cell.grid, "cell": one.cell.name, "share": round(one.share, 4), "bound": one.cell.bound,
        "side": "at least" if one.cell.least else "at most", "simulations": one.simulations or "exact", "noise": round(one.noise, 4),
        "verdict": one.verdict,
    }  # fmt: skip


def missing(every: Iterable[Found]) -> list[Found]:
    """Those that miss their bounds by more than noise."""
    return [one for one in every if one.verdict == "misses"]


def kept(every: Sequence[Cell], *, but: str) -> dict[Cell, Found]:
    """What the result's file has of cells of other grids."""
    rows = json.loads((RESULTS / "rigor.json").read_text())["cells"]
    told = {(row["grid"], row["cell"]): row for row in rows if row["grid"] != but}
    return {cell: _found(cell, row) for cell in every if (row := told.get((cell.grid, cell.name)))}


def _found(cell: Cell, row: dict[str, Any]) -> Found:
    return Found(cell, row["share"], 0 if row["simulations"] == "exact" else row["simulations"])


def main() -> None:
    """Finds all, a grid, or a slice."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"each seventh cell, with {FEWER} simulations at most; nothing is written")
    parser.add_argument("--grid", help="only this grid's cells; the others are taken from the result's file")
    asked, every = parser.parse_args(), every_cell()
    quick, began = asked.quick, time.monotonic()
    known = kept(every, but=asked.grid) if asked.grid else {}
    chosen = [cell for cell in every if asked.grid in (None, cell.grid)]
    results = list(found(chosen[::EACH] if quick else chosen, simulations=FEWER if quick else None))
    missed = missing(results)
    print(f"\n{len(results)} cells in {time.monotonic() - began:.0f} s; {len(missed)} miss their bounds")
    for one in missed:
        print(line(one))
    if not quick:
        new = {one.cell: one for one in results}
        whole = [(known | new)[cell] for cell in every if cell in known | new]
        write("rigor", {"cells": [told(one) for one in whole], "misses": len(missing(whole)), "took_s": round(time.monotonic() - began)})
        PAGE.write_text(page(whole))


if __name__ == "__main__":
    main()
