"""What a prediction is about: a model on an engine and a machine, under a load; and what was measured of such."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from streams.predicting.machines import Machine

# The figures that are predicted, with their units.
FIGURES: Final[Mapping[str, str]] = {
    "ttft_p50_s": "s", "itl_p50_s": "s", "tokens_per_s": "tokens/s", "memory_bytes": "bytes", "j_per_token": "J",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Model:
    """A model's size: `weights_bytes` as they lie in memory, `kv_bytes_per_token` of keys and values. `name` tells models apart."""

    name: str
    parameters: float
    weights_bytes: float
    kv_bytes_per_token: float


@dataclass(frozen=True, slots=True)
class Load:
    """Requests of so many tokens, so many of them under way at a time."""

    in_flight: float
    input_tokens: float
    output_tokens: float


@dataclass(frozen=True, slots=True)
class Subject:
    """What a prediction is about."""

    model: Model
    engine: str
    machine: Machine
    load: Load


@dataclass(frozen=True, slots=True)
class Row:
    """What a run measured of such: figures by the names of FIGURES, all above 0, and when it ended; `source`: who else published it."""

    run_id: str
    subject: Subject
    figures: Mapping[str, float]
    ended_us: int = 0
    source: str | None = None
