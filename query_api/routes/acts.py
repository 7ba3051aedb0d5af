"""What only some may do, and who did it: keys and members, retractions, cancellations and prices, each an event of the log."""

from typing import Final, Literal

from pydantic import Field

from query_api.operations.routing import Call, Operation
from query_api.operations.shapes import Nothing, Shape
from query_api.reading.paging import Listing, Paged

ACTS: Final = Listing("act_list", sorts={"at_us": "Int64"}, key={"act_id": "String"})
Kind = Literal["access", "retraction", "cancellation", "price"]


class ActsAsked(Paged):
    """Which acts."""

    act: Kind | None = Field(default=None, description="only those of this kind")
    about: str = Field(default="", description="only those about this member, run or price")
    sort: Literal["-at_us", "at_us"] = Field(default="-at_us", description="by when")


class Act(Shape):
    """Something that was done that only some may do: an event of the log, which stays."""

    act_id: str = Field(description="the event's id")
    at_us: int
    act: Kind
    by: str = Field(description="in whose name; empty where the event does not say it, as keys are made where Kafka is reached")
    about: str = Field(description="the member, run or price")
    told: str = Field(description="what was done, or the reason that was given")


class ActPage(Shape):
    """Acts, in the order asked for."""

    acts: tuple[Act, ...]
    next: str | None = Field(description="the next page's cursor; null at the end")


async def acts(call: Call[ActsAsked, Nothing]) -> ActPage:
    """Lists who got or lost access, what was retracted or cancelled, by whom, and which prices were published; the newest first."""
    asked = call.query.model_dump() | {"act": call.query.act or ""}
    found, next_page = await call.state.reading.page(ACTS, **asked)
    return ActPage.model_validate({"acts": found, "next": next_page})


OPERATIONS = (Operation("GET", "/v1/acts", acts, tag="cluster", role="operator"),)
