"""Others' results: what is known of them, and importing some. They stand beside our own measurements, and have no rank."""

import json
from typing import Any, Final, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from query_api.operations.routing import Call, Operation
from query_api.operations.shapes import Nothing, Shape
from query_api.producing.external import publish, results_of
from query_api.reading.paging import Listing, Paged
from streams.external.figures import LONGEST, is_turned

AT_ONCE: Final = 1000
LARGEST: Final = 2**53
Form = Literal["lm-eval", "inspect", "helm", "every-eval-ever", "inferencex", "mlperf", "ml-energy"]
Scalar = str | int | float | bool
LISTING: Final = Listing("external_list", sorts={"imported_us": "Int64", "model": "String", "task": "String"}, key={"event_id": "String"})
EXAMPLE: dict[str, Any] = {
    "file_sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "form": "lm-eval",
    "source": "https://example.org/results.json", "licence": "CC-BY-4.0", "by": "ada",
    "figures": [{"place": "$.results.arc_easy.acc,none", "model": "org/model", "task": "arc_easy", "metric": "acc", "value": 0.71}],
}  # fmt: skip


class ExternalFigure(Shape):
    """A figure that a file tells. `place`: where in the file it stands."""

    place: str = Field(min_length=1, max_length=2 * LONGEST)
    model: str = Field(min_length=1, max_length=LONGEST)
    task: str = Field(min_length=1, max_length=LONGEST)
    metric: str = Field(min_length=1, max_length=LONGEST)
    value: float = Field(allow_inf_nan=False)
    filter: str = Field(default="none", max_length=LONGEST)
    unit: str | None = Field(default=None, max_length=LONGEST)
    stderr: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    low: float | None = Field(default=None, allow_inf_nan=False)
    high: float | None = Field(default=None, allow_inf_nan=False)
    n: int | None = Field(default=None, ge=0, lt=LARGEST)
    num_fewshot: int | None = Field(default=None, ge=0, lt=LARGEST)
    lower_is_better: bool | None = None
    harness_version: str | None = Field(default=None, max_length=LONGEST)
    engine: str | None = Field(default=None, max_length=LONGEST)
    hardware: str | None = Field(default=None, max_length=LONGEST)
    conditions: dict[str, Scalar] = Field(default_factory=dict, max_length=50, description="what else the file says of how it was measured")
    measured_us: int | None = Field(default=None, ge=-LARGEST, lt=LARGEST, description="when it was measured or published")


class ExternalTold(Shape):
    """Figures of one file, all or none; of a longer file the others come in other bodies."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    file_sha256: str = Field(pattern="^[0-9a-f]{64}$", description="of the file's bytes: the same file again is nothing new")
    form: Form
    source: str = Field(min_length=1, max_length=2000, description="where the file was published")
    licence: str = Field(min_length=1, max_length=200, description="under which terms: an SPDX name, or unknown")
    by: str = Field(min_length=1, max_length=200, description="who imports it")
    figures: tuple[ExternalFigure, ...] = Field(min_length=1, max_length=AT_ONCE)

    @model_validator(mode="after")
    def _ends_in_order(self) -> Self:
        if turned := next((one for one in self.figures if is_turned(one.low, one.high)), None):
            raise ValueError(f"{turned.place}: low is above high; an interval's lower end comes first")
        return self


class Imported(Shape):
    """How many figures were not there yet."""

    imported: int


class ExternalAsked(Paged):
    """Which of others' results."""

    model: str = Field(default="", description="only of this model: its whole name, or the last part of it")
    task: str = Field(default="", description="only of this task")
    form: Form | None = Field(default=None, description="only from files of this form")
    sort: Literal["-imported_us", "imported_us", "model", "-model", "task", "-task"] = Field(
        default="-imported_us", description="by when it was imported, or by what it is of"
    )


class ExternalResult(ExternalFigure):
    """A figure of somebody else's, where it is from and under which terms."""

    event_id: str
    form: Form
    source: str
    licence: str
    by: str
    file_sha256: str
    imported_us: int


class ExternalPage(Shape):
    """Others' results, in the order asked for."""

    results: tuple[ExternalResult, ...]
    next: str | None = Field(description="the next page's cursor; null at the end")


async def import_external(call: Call[Nothing, ExternalTold]) -> Imported:
    """Imports figures that somebody else has measured. They are shown beside runs, and never ranked with them."""
    told = call.body
    about = told.model_dump(exclude={"figures"})
    figures = [one.model_dump() for one in told.figures]
    results = results_of(figures, about=about, organisation=call.state.settings.organisation)
    return Imported(imported=await publish(call.state.log, results))


async def external_page(call: Call[ExternalAsked, Nothing]) -> ExternalPage:
    """Lists others' results."""
    rows, following = await call.state.reading.page(LISTING, **(call.query.model_dump() | {"form": call.query.form or ""}))
    return ExternalPage.model_validate(
        {"results": [row | {"conditions": json.loads(row["conditions"])} for row in rows], "next": following}
    )


OPERATIONS = (
    Operation("POST", "/v1/external-results", import_external, tag="external results", status=202),
    Operation("GET", "/v1/external-results", external_page, tag="external results"),
)
