"""Operations of the API: each declared once, by its address and its handler's annotations.

A handler is `async def name(call: Call[QUERY, BODY]) -> ANSWER`, the three being shapes. From these the route is made (what comes is
validated, what goes is encoded, with an ETag), and the description (description.py) too, so that neither can say what the other does not
do. The docstring is what people read of it.
"""

import hashlib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Generic, TypeVar, get_args, get_type_hints

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from query_api.access.callers import caller_of, check_may
from query_api.access.headers import BY_CALLER, PRIVATELY
from query_api.operations.parsing import body_of, query_of
from query_api.operations.problems import Forbidden
from query_api.operations.shapes import Nothing, Shape
from query_api.state import State, state_of
from streams.numbers import shown
from streams.trust.access import Role

SIGNED: Final = ("by", "submitter")  # fields that say in whose name something is done
Q = TypeVar("Q", bound=Shape)
B = TypeVar("B", bound=Shape)


@dataclass(frozen=True, slots=True)
class Call(Generic[Q, B]):
    """What a handler is given: query and body are validated, `path` holds the address's own parameters."""

    state: State
    path: Mapping[str, str]
    query: Q
    body: B
    request: Request


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one address.

    `refuses` names the statuses beyond those that follow from its shapes; `location` is the address of what was made, with the
    answer's fields in braces; `role` is whose keys may call it, where not readers' may look and submitters' act; `streams` are the media
    types that a Response of the handler may have instead, with the shape of one line.
    """

    method: str
    path: str
    handler: Callable[[Any], Awaitable[Shape | Response]]
    tag: str
    status: int = 200
    refuses: tuple[int, ...] = ()
    location: str = ""
    role: Role | None = None
    streams: Mapping[str, type[Shape] | None] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def needs(self) -> Role:
        """The least role whose keys may call it."""
        return self.role or ("reader" if self.method == "GET" else "submitter")

    @property
    def query(self) -> type[Shape]:
        """The shape of its query parameters."""
        return self._asks()[0]

    @property
    def body(self) -> type[Shape]:
        """The shape of its body; Nothing where it takes none."""
        return self._asks()[1]

    @property
    def answer(self) -> type[Shape] | None:
        """The shape of its JSON answer; None where it only streams."""
        told = get_type_hints(self.handler)["return"]
        return next((one for one in get_args(told) or (told,) if issubclass(one, Shape)), None)

    def _asks(self) -> tuple[type[Shape], type[Shape]]:
        query, body = get_args(next(iter(get_type_hints(self.handler).values())))
        return query, body


Endpoint = Callable[[Request], Awaitable[Response]]


def routes(operations: Iterable[Operation]) -> list[Route]:
    """A route an address, which serves all of its methods: so what is refused names each of them in `Allow`."""
    served: dict[str, dict[str, Endpoint]] = {}
    for operation in operations:
        served.setdefault(operation.path, {})[operation.method] = _endpoint(operation)
    return [Route(path, _by_method(endpoints), methods=list(endpoints)) for path, endpoints in served.items()]


def _by_method(endpoints: Mapping[str, Endpoint]) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        return await endpoints["GET" if request.method == "HEAD" else request.method](request)

    return endpoint


def _endpoint(operation: Operation) -> Endpoint:
    query_shape, body_shape = operation.query, operation.body

    async def endpoint(request: Request) -> Response:
        check_may(request, operation.needs)
        query = query_of(request, query_shape)
        body = _signed(await body_of(request, body_shape), request) if body_shape is not Nothing else Nothing()
        told = await operation.handler(Call(state_of(request), request.path_params, query, body, request))
        return told if isinstance(told, Response) else _answer(operation, request, told)

    return endpoint


def _signed(body: B, request: Request) -> B:
    """The body, in the name of the key's member: nobody acts in another's. Raises: Forbidden where a part of it is in another's."""
    member = caller_of(request).member
    if not member:
        return body
    for path, name in _names_in(body):
        if name not in ("", member):
            raise Forbidden(f"{path} is {shown(name)}, and this key is {member}'s: nobody acts in another's name; leave it out")
    return body.model_copy(update={name: member for name in SIGNED if name in type(body).model_fields})


def _names_in(told: object, path: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    """In whose name each part of a body is, with its place; the body's own aside, which is its member's whatever it says."""
    match told:
        case Shape():
            for field_name in type(told).model_fields:
                value, at = getattr(told, field_name), f"{path}.{field_name}" if path else field_name
                if field_name in SIGNED and isinstance(value, str):
                    yield from [(at, value)] if depth else ()
                else:
                    yield from _names_in(value, at, depth + 1)
        case tuple() | list():
            for number, one in enumerate(told):
                yield from _names_in(one, f"{path}.{number}", depth + 1)


def _answer(operation: Operation, request: Request, told: Shape) -> Response:
    raw = told.model_dump_json().encode()
    headers = {"Location": operation.location.format(**told.model_dump())} if operation.location else {}
    if operation.method != "GET":
        return Response(raw, operation.status, headers, media_type="application/json")
    # What an answer rests on moves with its bytes, and with nothing else that a client could see.
    tag = f'"{hashlib.sha256(raw).hexdigest()[:32]}"'
    headers |= {"ETag": tag, "Cache-Control": PRIVATELY, "Vary": f"Accept, {BY_CALLER}"}
    asked = {one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")}
    if asked & {tag, "*"}:
        return Response(status_code=304, headers=headers)
    return Response(raw, operation.status, headers, media_type="application/json")
