"""What every benchmark shares: the machine's description, medians, the result's file, and the table that is printed."""

import importlib.metadata
import json
import math
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

RESULTS = Path(__file__).parent / "results"
DISTRIBUTIONS = ("faust-streaming", "aiokafka", "fastavro", "pydantic", "clickhouse-connect", "chdb", "starlette", "torch", "transformers")


def machine() -> dict[str, Any]:
    """Where and with what a figure was measured; `load` is how many processes wanted to run meanwhile (1 minute's mean)."""
    return {
        "cpu": _cpu(), "cores": os.cpu_count(), "memory_bytes": psutil.virtual_memory().total, "system": platform.platform(),
        "python": platform.python_version(), "versions": _versions(), "commit": _commit(), "load": os.getloadavg()[0],
        "measured_utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }  # fmt: skip


def _cpu() -> str:
    told = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    names = [line.partition(":")[2].strip() for line in told.splitlines() if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _versions() -> dict[str, str]:
    found = {}
    for name in DISTRIBUTIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _commit() -> str:
    told = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False, cwd=RESULTS.parent)
    return told.stdout.strip()


def median(values: Sequence[float]) -> float:
    """The median, to four digits: more would pretend."""
    return float(f"{statistics.median(values):.4g}")


def percentile(values: Sequence[float], ratio: float) -> float:
    """The smallest value that at least this part of the values does not exceed, to four digits."""
    return float(f"{sorted(values)[max(1, math.ceil(len(values) * ratio)) - 1]:.4g}")


def write(name: str, figures: Mapping[str, Any]) -> None:
    """Writes results/<name>.json, with the machine."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps({**figures, "machine": machine()}, indent=1) + "\n")


def show(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Prints rows as a table; the first row's names are the columns."""
    names = list(rows[0])
    cells = [names, *([_cell(row[name]) for name in names] for row in rows)]
    widths = [max(len(line[n]) for line in cells) for n in range(len(names))]
    print(f"\n{title}")
    for line in cells:
        print(
            "  "
            + "  ".join(cell.rjust(width) if n else cell.ljust(width) for n, (cell, width) in enumerate(zip(line, widths, strict=True)))
        )


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
