"""Loads that others published, as far as their files name what a prediction learns from: the model's size, the hardware, and the load.

Of the forms that are read (docs/external.md) InferenceX's alone names all of it: how many requests were under way, how long they were, and
a model whose name has its size. Keys and values of a token are named nowhere, and count as none. MLPerf's name no load, ML.ENERGY's no
lengths; and a mixture of experts has no size in its name that says what a token takes (families.py).
"""

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from streams.predicting.families import parameters_of
from streams.predicting.machines import machine_of, sheet_of
from streams.predicting.subjects import Load, Model, Row, Subject

FORM: Final = "inferencex"
MOST: Final = 1e9  # of requests, tokens and devices
# Bytes of a parameter by the precision that a file names.
BYTES: Final[Mapping[str, float]] = {"fp4": 0.5, "int4": 0.5, "fp8": 1.0, "int8": 1.0, "bf16": 2.0, "fp16": 2.0, "fp32": 4.0}
# Its metrics and ours; a rate a device is one of all of them.
FIGURES: Final[Mapping[str, str]] = {
    "ttft_median": "ttft_p50_s", "itl_median": "itl_p50_s", "output_tokens_per_s_per_gpu": "tokens_per_s",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Published:
    """A figure of a file of others; `conditions` are JSON, `place` is where in the file it stands."""

    file_sha256: str
    place: str
    source: str
    model: str
    metric: str
    value: float
    hardware: str | None
    engine: str | None
    conditions: str


def rows_of(published: Iterable[Published]) -> list[Row]:
    """A row for each configuration of a file that names enough."""
    found: dict[tuple[str, str], list[Published]] = defaultdict(list)
    for one in published:
        found[one.file_sha256, one.place.rpartition(".")[0]].append(one)
    return [row for name in sorted(found) for row in _row(*name, found[name])]


def _row(file_sha256: str, place: str, own: Sequence[Published]) -> Iterator[Row]:
    first = own[0]
    told = _conditions(first.conditions)
    parameters, width = parameters_of(first.model), BYTES.get(str(told.get("precision", "")).lower())
    load, count = [_positive(told.get(name)) for name in ("conc", "isl", "osl")], _positive(told.get("tp")) or 1.0
    if parameters is None or width is None or not all(load) or not first.hardware or not first.engine or sheet_of(first.hardware) is None:
        return
    devices = round(count)
    machine = machine_of(f"{devices} × {first.hardware}" if devices > 1 else first.hardware, devices={first.hardware: devices}, cores=0)
    figures = {FIGURES[one.metric]: one.value * (count if one.metric.endswith("_per_gpu") else 1) for one in own if one.metric in FIGURES}
    if machine is not None and (known := {name: value for name, value in figures.items() if 0 < value < math.inf}):
        model = Model(f"{first.model} ({told['precision']})", parameters, parameters * width, 0.0)
        yield Row(f"{file_sha256}{place}", Subject(model, first.engine.lower(), machine, Load(*load)), known, source=first.source)


def _conditions(text: str) -> Mapping[str, Any]:
    """What a figure says of how it was measured; nothing where whoever wrote it wrote no object."""
    try:
        told = json.loads(text)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _positive(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and 0 < value < MOST else 0.0
