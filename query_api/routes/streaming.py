"""What happens, told as it happens: server-sent events."""

from pydantic import Field
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.responses import Response

from query_api.operations.routing import Call, Operation
from query_api.operations.shapes import Nothing, Shape
from query_api.positions import position_of
from query_api.wanted import BY_NAME, wanted

HEARTBEAT_S = 10
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class LiveAsked(Shape):
    """What to hear, and from where on."""

    topics: str = Field(default="", description="topics by name, with commas between them; none: all that are told live")
    run: str | None = Field(default=None, description="only this run's events")
    board: str | None = Field(default=None, description="only this board's events")
    cursor: str = Field(default="", description="resumes behind the event with this id, as the header Last-Event-ID does")


async def live(call: Call[LiveAsked, Nothing]) -> Response:
    """Tells events as they happen.

    A stream of server-sent events: `event` is the event's type, `data` the event as JSON, `id` a cursor. Whoever comes back with the
    last id, in the header `Last-Event-ID` or as `cursor`, gets exactly what followed. A cursor holds what was asked for: of a topic that
    it lacks one gets what was written since the newest event that the stream had passed.
    Beside the log's events there are the stream's own: `cursor` says where it stands, at first and every few seconds while others' events
    are passed over; `away` that the log has not answered since `since_us`, `back` that it does again; `reset` that the log ends before the
    cursor, as after it was made anew: what was told before may not be there, and what is new follows.
    """
    asked = call.query
    wish = wanted([name for name in asked.topics.split(",") if name], run_id=asked.run, board=asked.board, seen=call.state.seen)
    cursor = call.request.headers.get("last-event-id") or asked.cursor
    if cursor:
        position_of(cursor, topics=BY_NAME)
    told = call.state.live.listen(wish, cursor=cursor or None)
    return EventSourceResponse(told, ping=HEARTBEAT_S, ping_message_factory=_still_here, headers=HEADERS)


def _still_here() -> ServerSentEvent:
    return ServerSentEvent(comment="still here")


OPERATIONS = (Operation("GET", "/v1/live", live, tag="live", streams={"text/event-stream": None}),)
