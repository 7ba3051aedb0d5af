"""Who asks, as the door found out, and whether they may."""

from dataclasses import dataclass
from typing import Final

from starlette.requests import HTTPConnection

from query_api.operations.problems import Forbidden
from streams.trust.access import MAY, Role, covers
from streams.trust.visibility import Seen

PLACE: Final = "assay.caller"  # in a connection's scope


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: by which role, as which member of which organisation; without a name, and of none, where no key was needed."""

    role: Role = "owner"
    member: str = ""
    organisation: str | None = None

    @property
    def seen(self) -> Seen:
        """What they may see: without keys all."""
        return Seen(self.organisation)


ANYBODY: Final = Caller()


def caller_of(connection: HTTPConnection) -> Caller:
    """Who asks."""
    found: Caller = connection.scope.get(PLACE, ANYBODY)
    return found


def check_may(connection: HTTPConnection, needed: Role) -> None:
    """Raises: Forbidden where who asks may not."""
    caller = caller_of(connection)
    if not covers(caller.role, needed):
        raise Forbidden(f"{caller.member}'s key is a {caller.role}'s, which may {MAY[caller.role]}; this needs the role {needed}")
