"""What can be chosen: a model on an engine on hardware, with what was measured of it and how sure that is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

import numpy as np

from streams.statistics.joining import Places
from streams.statistics.spreads import Clusters, Floats

Better = Literal[1, -1]
Trait = str | float | frozenset[str]


@dataclass(frozen=True, slots=True)
class Kind:
    """A figure that candidates are compared by: its unit, whether more (1) or less (-1) is better, and how people call it."""

    unit: str
    better: Better
    words: str


FIGURES: Final[Mapping[str, Kind]] = MappingProxyType({
    "quality": Kind("ratio", 1, "quality"),
    "ttft_p95_s": Kind("s", -1, "time to first token (p95)"),
    "itl_p95_s": Kind("s", -1, "inter-token latency (p95)"),
    "e2e_p95_s": Kind("s", -1, "end-to-end latency (p95)"),
    "goodput_per_s": Kind("requests/s", 1, "goodput of a replica"),
    "usd_per_1m_tokens": Kind("USD/1M tokens", -1, "cost of a million tokens"),
    "usd_per_month": Kind("USD/month", -1, "cost of a month"),
    "capital_usd": Kind("USD", -1, "capital"),
    "j_per_token": Kind("J/token", -1, "energy of a token"),
    "gco2_per_1m_tokens": Kind("g/1M tokens", -1, "emissions of a million tokens"),
    "memory_bytes": Kind("bytes", -1, "memory"),
    "owned_ratio": Kind("ratio", -1, "share of the owned devices that all replicas take"),
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Estimate:
    """A measured figure, its standard error (0: known exactly), and what measured it: candidates that share that share its error.

    `draws`, where given, are resamples of the measurement itself, shape [draws]; figures of one run keep the order of its draws, and so
    vary together. Otherwise it is drawn from its standard error: quality on its own scale, within 0 and 1, all else in its logarithm.
    """

    value: float
    stderr: float = 0.0
    measurement: str = ""
    n: int = 1
    draws: Floats | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model on an engine on hardware. `traits` are what is not measured (licence, context, region …).

    `usd_per_hour` is what a replica costs by the hour, `purchase_usd` what its devices cost to buy. A replica has so many `places`, each
    busy for a request's `service_s`, under the load that it was measured at; None where that is not known.

    Figures of single tasks are named `quality:<task>`.
    """

    key: str
    model: str
    engine: str
    hardware: str
    figures: Mapping[str, Estimate]
    traits: Mapping[str, Trait] = field(default_factory=dict)
    usd_per_hour: float | None = None
    purchase_usd: float | None = None
    places: int | None = None
    service_s: float | None = None

    @property
    def name(self) -> str:
        """What people call it."""
        return f"{self.model} ({self.engine}) on {self.hardware}"

    def trait(self, name: str) -> Trait | None:
        """What is stated of it by that name; None where nothing is."""
        own = {"model": self.model, "engine": self.engine, "hardware": self.hardware}
        return own[name] if name in own else self.traits.get(name)


@dataclass(frozen=True, slots=True)
class Part:
    """What a task is of its suite: the suite's score is the sum of scale · value - guessed over its tasks, as its board has it."""

    suite: str
    scale: float
    guessed: float


@dataclass(frozen=True, slots=True)
class TaskScores:
    """Many models' scores of the same documents of a task, shape [models, documents], each from 0 to 1; NaN: not answered.

    `ordinals` and `clusters` are the documents', where they are told; tasks of the same `documents` ask about the same ones.
    `over_setups`, [models]: each mean's standard error from set-ups, as far as they were varied; `beside`: what its figure's variance has
    beside that of its documents, where it stopped early (less than 0: of nearly all documents of a task). `part`, where it is but a
    part of what was asked for.
    """

    task: str
    models: tuple[str, ...]
    values: Floats
    ordinals: Places | None = None
    clusters: Clusters | None = None
    documents: str | None = None
    over_setups: Floats | None = None
    beside: Floats | None = None
    part: Part | None = None

    @property
    def asked(self) -> str:
        """The name that quality was asked by: its suite's, or its own."""
        return self.part.suite if self.part else self.task

    @property
    def places(self) -> Places:
        """Each document's ordinal; its place in the row where none is told."""
        return np.arange(self.values.shape[1]) if self.ordinals is None else self.ordinals
