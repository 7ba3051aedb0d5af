"""What predictions learn from, out of what was measured: every load of a model whose size and hardware are known."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from streams.deciding.evidence import Deployed, Evidence, Place
from streams.deciding.operating import NS, Point
from streams.errors import Invalid
from streams.predicting.machines import Machine, machine_of, sheet_of
from streams.predicting.subjects import Load, Model, Row, Subject

UJ_PER_J: Final = 1e6
SEVERAL: Final = re.compile(r"(?P<count>[1-9][0-9]{0,3})\s*[x×]\s*(?P<name>.+)")
SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class Size:
    """What a run's engine said of the model as it loaded it; `peak_bytes`: the most memory that it had."""

    parameters: int | None
    weights_bytes: int
    kv_bytes: int | None
    peak_bytes: int | None


def rows_of(evidence: Evidence, sizes: Mapping[str, Size]) -> list[Row]:
    """A row for each load that says something of its model, the oldest first."""
    found = [row for one in evidence.deployed for point in one.points if (row := _row(one, point, sizes.get(point.run_id)))]
    return sorted(found, key=lambda row: (row.ended_us, row.run_id))


def _row(one: Deployed, point: Point, size: Size | None) -> Row | None:
    machine, load = machine_at(one.place), _load(point)
    if size is None or machine is None or load is None or not size.parameters or size.weights_bytes <= 0:
        return None
    run = next(run for run in one.runs if run.run_id == point.run_id)
    window = run.engine.max_len if run.engine and run.engine.max_len else 0
    kv = size.kv_bytes / window if size.kv_bytes and window else 0.0
    model = Model(one.weights.model_sha or one.weights.uri, float(size.parameters), float(size.weights_bytes), kv)
    figures = {name: value for name, value in _figures(point, size) if value > 0}
    return Row(point.run_id, Subject(model, one.weights.engine, machine, load), figures, run.latest_us) if figures else None


def _load(point: Point) -> Load | None:
    told = (point.value("in_flight_mean"), point.tokens("input"), point.tokens("output"))
    in_flight, read, written = (value or 0.0 for value in told)
    return Load(in_flight, read, written) if min(in_flight, read, written) > 0 else None


def _figures(point: Point, size: Size) -> Iterator[tuple[str, float]]:
    told = {"ttft_p50_s": ("ttft_p50", NS), "itl_p50_s": ("itl_p50", NS), "tokens_per_s": ("output_tokens_per_s", 1.0),
            "j_per_token": ("energy_per_output_token_uj", UJ_PER_J)}  # fmt: skip
    for name, (metric, by) in told.items():
        if (value := point.value(metric)) is not None:
            yield name, value / by
    if size.peak_bytes:
        yield "memory_bytes", float(size.peak_bytes)


def machine_at(place: Place) -> Machine | None:
    """A measured place's machine; None where a device of it has no data sheet here."""
    return machine_of(place.name, devices=Counter(place.devices), cores=place.cores)


def machine_named(name: str, evidence: Evidence) -> Machine:
    """The machine that people call so: one that was measured, or devices of a data sheet, as `2 x NVIDIA L40S`.

    Raises: Invalid where nothing is known of it, with the names of those that were measured.
    """
    name = " ".join(name.split())
    places = {one.place.name: one.place for one in evidence.deployed}
    if name in places and (found := machine_at(places[name])):
        return found
    told = SEVERAL.fullmatch(name)
    count, device = (int(told["count"]), told["name"]) if told else (1, name)
    if sheet_of(device) is None:
        measured = "; ".join(sorted(places)[:SHOWN]) or "nothing yet"
        raise Invalid(
            f"no data sheet of {device[:80]!r} is here, and nothing was measured on it; give a device by its name, as NVIDIA L40S or "
            f"2 x NVIDIA H100, or what was measured: {measured}", code="unknown-hardware",
        )  # fmt: skip
    made = machine_of(f"{count} × {device}" if count > 1 else device, devices={device: count}, cores=0)
    assert made is not None
    return made


def digest_of(rows: Sequence[Row]) -> str:
    """A name of exactly these rows."""
    told = [(row.run_id, row.subject, sorted(row.figures.items())) for row in rows]
    return hashlib.sha256(repr(sorted(told, key=lambda one: one[0])).encode()).hexdigest()
