"""Samples: what each was asked, what the model answered, what was expected, and its scores."""

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field
from starlette.responses import Response, StreamingResponse

from infra.clickhouse import Rows
from query_api.operations.routing import Call, Operation
from query_api.operations.shapes import Nothing, Shape
from query_api.reading import samples as reading_samples
from query_api.reading.paging import Paged

LINES = "application/x-ndjson"


class SamplesAsked(Paged):
    """Which samples."""

    task: str = Field(default="", description="only this task's")
    metric: str = Field(default="", description="`value`, its bounds and differences are this metric's (else the task's main one)")
    filter: str = Field(default="", description="the same, under this filter")
    doc_id: int | None = Field(default=None, ge=0, lt=2**63, description="only of this document")
    min_value: float | None = Field(default=None, description="only those whose value is at least this")
    max_value: float | None = Field(default=None, description="only those whose value is at most this")
    differs_from: str = Field(default="", description="only those that another run of the same build scored otherwise: its run_id")
    sort: Literal["task", "-task", "value", "-value"] = Field(default="task", description="task and ordinal, or value")


class SampleAnswer(Shape):
    """What the model answered to a request. `draw` counts the answers to one request."""

    draw: int
    output: str | None
    loglikelihood: float | None
    is_greedy: bool | None
    finish_reason: str
    prompt_tokens: int
    output_tokens: int
    truncated_tokens: int
    error: str | None


class SampleRequest(Shape):
    """What the model was asked. The prompt is the content `prefix_ref`, where there is one, and then `context`.

    Of a multiple choice each choice is a request, and its `continuation` the choice.
    """

    request_type: str
    prefix_ref: str | None
    context: str
    continuation: str | None
    generation_json: str | None
    repeats: int
    answers: tuple[SampleAnswer, ...]


class SampleValue(Shape):
    """One metric of a sample under one filter."""

    metric: str
    filter: str
    value: float | None


class Sample(Shape):
    """A sample, whole. `target` is the expected answer, where the task has one; `not_scored` says why there is no score."""

    task: str
    ordinal: int
    repeat: int
    build_id: str
    seed: int
    doc_id: int | None
    document: Any
    target: str | None
    requests: tuple[SampleRequest, ...]
    scores: tuple[SampleValue, ...]
    not_scored: str | None
    private: bool = Field(description="its run is private: what was asked and answered is told nowhere but in the log")


class SamplePage(Shape):
    """Samples, and the contents that their prompts begin with."""

    samples: tuple[Sample, ...]
    contents: dict[str, str]
    next: str | None = Field(description="the next page's cursor; null at the end")


class SampleLine(Shape):
    """One metric of one sample under one filter, on a line of its own."""

    task: str
    doc_id: int
    ordinal: int
    repeat: int
    metric: str
    filter: str
    value: float | None


async def samples(call: Call[SamplesAsked, Nothing]) -> SamplePage | Response:
    """Lists a run's samples with their texts, answers and scores.

    A page may have fewer than `limit` samples; `next` alone says whether more follow.

    With `Accept: application/x-ndjson` it lists all of the run's scores instead, one a line; the filters hold, pages and order do not.
    """
    run_id = call.path["run_id"]
    await call.state.reading.known(run_id)
    asked = call.query.model_dump()
    if LINES in call.request.headers.get("accept", ""):
        kept = {name: asked[name] for name in reading_samples.LINE_FILTERS}
        return StreamingResponse(_lines(await call.state.reading.rows("sample_lines", run_id=run_id, **kept)), media_type=LINES)
    return SamplePage.model_validate(await reading_samples.page(call.state.reading, run_id, **asked))


def _lines(rows: Rows) -> Iterator[str]:
    for row in rows:
        yield SampleLine.model_validate(row).model_dump_json() + "\n"


OPERATIONS = (Operation("GET", "/v1/runs/{run_id}/samples", samples, tag="samples", streams={LINES: SampleLine}),)
