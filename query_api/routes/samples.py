"""Samples: what each was asked, what the model answered, and its scores."""

from collections.abc import Iterator

from pydantic import Field
from starlette.responses import Response, StreamingResponse

from infra.clickhouse import Rows
from query_api.routing import Call, Operation
from query_api.shapes import Nothing, Shape

LINES = "application/x-ndjson"


class SamplesAsked(Shape):
    """Which samples."""

    task: str = Field(default="", description="only this task's")


class SampleScore(Shape):
    """One metric of one sample under one filter."""

    task: str
    doc_id: int
    ordinal: int
    repeat: int
    metric: str
    filter: str
    value: float | None


async def samples(call: Call[SamplesAsked, Nothing]) -> Response:
    """Lists the scores of a run's samples, one JSON document a line."""
    run_id = call.path["run_id"]
    await call.state.reading.run(run_id)
    rows = await call.state.reading.rows("samples", run_id=run_id, task=call.query.task)
    return StreamingResponse(_lines(rows), media_type=LINES)


def _lines(rows: Rows) -> Iterator[str]:
    for row in rows:
        yield SampleScore.model_validate(row).model_dump_json() + "\n"


OPERATIONS = (Operation("GET", "/v1/runs/{run_id}/samples", samples, tag="samples", streams={LINES: SampleScore}),)
