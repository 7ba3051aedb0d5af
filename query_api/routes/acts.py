"""Privileged acts: who was let in, what was taken back, ended, forgotten or put back, which prices were published, which keys seal."""

from typing import Final, Literal

from pydantic import Field

from query_api.operations.routing import Call, Operation
from query_api.operations.shapes import Nothing, Shape
from query_api.reading.paging import Listing, Paged

ACTS: Final = Listing("act_list", sorts={"at_us": "Int64"}, key={"act_id": "String"})
Kind = Literal["access", "retraction", "cancellation", "prices", "requeue", "forgotten texts", "sealing key"]


class ActsAsked(Paged):
    """Which acts."""

    kind: Kind | None = Field(default=None, description="only those of this kind")
    about: str = Field(default="", description="only those about this run, member, organisation, key or version")
    sort: Literal["-at_us", "at_us"] = Field(default="-at_us", description="by when")


class Act(Shape):
    """An act, as its event says it, which stays in the log."""

    act_id: str = Field(description="the event's id; of prices, the version and its source")
    at_us: int = Field(description="when, by the log's clock")
    kind: Kind
    by: str = Field(description="who did it, or says so: of keys, who was at the command line; empty where the event names nobody")
    about: str = Field(description="the run, member, organisation, key, place or version")
    told: str = Field(description="what was done, or the reason that was given")


class ActPage(Shape):
    """Acts, in the order asked for."""

    acts: tuple[Act, ...]
    next: str | None = Field(description="the next page's cursor; null at the end")


async def acts(call: Call[ActsAsked, Nothing]) -> ActPage:
    """Lists what was done with more rights than a submitter has, the newest first. No key's text or hash is among it."""
    found, next_page = await call.state.reading.page(ACTS, **call.query.model_dump() | {"kind": call.query.kind or ""})
    return ActPage.model_validate({"acts": found, "next": next_page})


OPERATIONS = (Operation("GET", "/v1/acts", acts, tag="cluster", role="owner"),)
