"""Who comes in by which key, before anything is answered.

Where the API listens on loopback alone, nobody needs a key, and whoever asks may do all. Elsewhere, or where ASSAY_API_DOOR says so, a
program shows its key (`Authorization: Bearer assay_…`), and a browser the session that it got for one (sessions.py). Where there is an
identity provider (provider.py), its tokens are as good as keys, for the members that were admitted. Without any of these only `/healthz`,
`/readyz`, the sign-in page and what pages are drawn with are told.
"""

from typing import Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from infra.addresses import is_loopback, needs_keys
from infra.settings import Settings
from query_api.access.callers import PLACE, Caller
from query_api.access.headers import with_headers
from query_api.access.keys import Keys
from query_api.access.origins import SAFE, check_origin
from query_api.access.provider import Provider, Vouched, is_token
from query_api.access.rates import Rates
from query_api.access.sessions import Sessions
from query_api.access.uses import Uses
from query_api.operations.problems import Forbidden, TooOften, Unauthenticated, on_error
from query_api.pages.faults import FOR_PROGRAMS, readable
from schemas.trust import AccessChanged
from streams.errors import AssayError

OPEN_PATHS: Final = ("/healthz", "/readyz", "/signin", "/signin/leave", "/signin/back", "/signout")
CREATE: Final = "`assay access create --member NAME --role submitter`"


def provider_of(settings: Settings) -> Provider | None:
    """The identity provider, where there is one and who asks must be known. Raises: Invalid where its settings cannot be right."""
    return Provider(settings) if needs_keys(settings) and settings.oidc_issuer else None


class Door:
    """Middleware: lets in, or says why not."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._closed = needs_keys(settings)
        self._alone = settings.api_door == "auto"
        self._rates = Rates(settings)
        self._uses = Uses(settings)
        self.sessions = Sessions(settings) if self._closed else None
        self.provider = provider_of(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes on who may come in."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        send, request = with_headers(send, scope), Request(scope, receive)
        refused = await (self._refused(request) if self._closed else self._strange(request))
        await (refused or self._app)(scope, receive, send)

    async def _strange(self, request: Request) -> Response | None:
        """Why not, where no key is wanted: a page of another site, in a browser on this machine, must not get at what listens here."""
        try:
            if self._alone and not is_loopback(f"//{request.headers.get('host', '')}"):
                raise Forbidden(
                    f"this API wants no keys, for it listens on loopback, and was asked as {request.headers.get('host')}; if it is behind "
                    "a proxy, set ASSAY_API_DOOR=closed and make keys (`assay access create`), or open if nobody else reaches that"
                )
            if request.headers.get("origin"):
                check_origin(request)
        except Forbidden as error:
            return await readable(on_error)(request, error)
        return None

    async def _refused(self, request: Request) -> Response | None:
        """Why not; None where who asks may come in."""
        scope, path = request.scope, request.url.path
        scope["assay.door"] = self
        try:
            check_origin(request)
            if path not in OPEN_PATHS and not path.startswith("/static/"):
                key = await self._key(request)
                if (wait_s := await self._rates.asks(key.subject, key.quota)) is not None:
                    raise TooOften(f"{key.member}'s key has asked too often; come again in {wait_s} s", retry_after_s=wait_s)
                await self._uses.used(key.subject)
                scope[PLACE] = Caller(key.role, key.member, key.organisation)
        except Unauthenticated as error:
            if _is_page(request):
                return RedirectResponse(f"/signin?{urlencode({'next': _here(request)})}", 303)
            return await on_error(request, error)
        except AssayError as error:
            return await readable(on_error)(request, error)
        return None

    async def _key(self, request: Request) -> AccessChanged:
        """The key of who asks. Raises: Unauthenticated, TooOften, Unavailable."""
        keys: Keys = request.app.state.own.keys
        kind, _, shown = request.headers.get("authorization", "").partition(" ")
        if shown:
            return await self.opened(request, shown if kind.lower() == "bearer" else "")
        assert self.sessions is not None
        if session := self.sessions.key_id(request):
            key = await keys.now(session[0])
            if key is not None and self.sessions.is_of(session[1], key):
                return key
        raise Unauthenticated(
            "show your API key, as `Authorization: Bearer assay_…` (programs), ASSAY_API_KEY (the command line) or by /signin (browsers)"
            if keys.any_open()
            else f"this API wants keys, for it can be reached from elsewhere, and there is none yet; where Kafka is reached, say {CREATE}"
        )

    async def opened(self, request: Request, shown: str) -> AccessChanged:
        """What the key or token that is shown grants. Raises: Unauthenticated where nothing, TooOften after too many, Unavailable."""
        keys: Keys = request.app.state.own.keys
        if key := await keys.known(shown):
            return key
        address = request.client.host if request.client else ""
        if (wait_s := await self._rates.shut_out(address)) is not None:
            raise TooOften(f"too many wrong keys came from {address}; come again in {wait_s} s", retry_after_s=wait_s)
        if self.provider and is_token(shown):
            try:
                return await self.admitted(request, await self.provider.member(shown))
            except Unauthenticated:
                await self._rates.wrong(address)
                raise
        if key := await keys.opens(shown):
            return key
        await self._rates.wrong(address)
        raise Unauthenticated(
            "this key opens nothing: it is mistyped, expired or revoked; `assay access` lists the keys that there are, "
            f"{CREATE} makes one, where Kafka is reached"
        )

    async def admitted(self, request: Request, vouched: Vouched) -> AccessChanged:
        """What a member of the identity provider is granted. Raises: Unauthenticated where they were not admitted, Unavailable."""
        keys: Keys = request.app.state.own.keys
        if grant := await keys.member(vouched.member, vouched.groups, verified=vouched.verified):
            return grant
        how = f"`assay access admit {vouched.member} --role reader`, or admit a group of theirs (`assay access admit %GROUP`)"
        raise Unauthenticated(f"nobody has admitted {vouched.member} here; where Kafka is reached, say {how}")


def _is_page(request: Request) -> bool:
    return request.method in SAFE and not request.url.path.startswith(FOR_PROGRAMS) and "text/html" in request.headers.get("accept", "")


def _here(request: Request) -> str:
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")
