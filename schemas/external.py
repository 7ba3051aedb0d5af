"""What others have measured and published: kept beside our own measurements, and never among them."""

from typing import ClassVar

from schemas.event import Double, Event


class ExternalResultImported(Event):
    """One figure of a file that somebody else's harness wrote. It is shown beside runs, and has no rank.

    What it says is part of its name: whoever tells a file's sum with other figures displaces none.
    `form` is the file's form, as lm-eval or mlperf; `place` where in the file the figure stands. `source` is where the file was published
    and `licence` under which terms (SPDX, or unknown). `conditions` is JSON: what else the file says of how it was measured.
    `measured_us`: when it was measured or published, where the file tells.
    """

    identity: ClassVar[tuple[str, ...]] = ("file_sha256", "place", "form", "source", "model", "task", "metric", "filter", "value")
    key: ClassVar[tuple[str, ...]] = ("file_sha256",)

    file_sha256: str
    place: str
    form: str
    source: str
    licence: str
    by: str
    model: str
    task: str
    metric: str
    filter: str
    value: Double
    unit: str | None
    stderr: Double | None
    low: Double | None
    high: Double | None
    n: int | None
    num_fewshot: int | None
    lower_is_better: bool | None
    harness_version: str | None
    engine: str | None
    hardware: str | None
    conditions: str
    measured_us: int | None
