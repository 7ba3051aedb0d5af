"""Sessions of browsers: a signed cookie that names the key by which somebody signed in, for half a day."""

import os
import secrets
from contextlib import suppress
from tempfile import NamedTemporaryFile
from typing import Final

from itsdangerous import BadData, URLSafeTimedSerializer
from starlette.requests import Request
from starlette.responses import Response

from infra.settings import Settings
from schemas.trust import AccessChanged

COOKIE: Final = "assay_session"
LASTS_S: Final = 12 * 3600


class Sessions:
    """Makes and reads the cookie. The secret is ASSAY_SESSION_SECRET, or a file of the home that is made once."""

    def __init__(self, settings: Settings) -> None:
        self._serializer = URLSafeTimedSerializer(settings.session_secret.get_secret_value() or _of_home(settings), salt=COOKIE)

    def begin(self, request: Request, response: Response, key: AccessChanged) -> None:
        """Gives the browser the cookie."""
        told = self._serializer.dumps([key.subject, _mark(key)])
        secure = request.url.scheme == "https"
        response.set_cookie(COOKIE, told, max_age=LASTS_S, httponly=True, samesite="lax", secure=secure)

    def key_id(self, request: Request) -> tuple[str, str] | None:
        """The key's id and mark in the cookie; None where there is none, or it is not ours, or old."""
        try:
            key_id, mark = self._serializer.loads(request.cookies.get(COOKIE, ""), max_age=LASTS_S)
        except (BadData, ValueError, TypeError):
            return None
        return str(key_id), str(mark)

    def is_of(self, mark: str, key: AccessChanged) -> bool:
        """Whether the session began with this very key, and not with one that stood under its id before."""
        return mark == _mark(key)


def _mark(key: AccessChanged) -> str:
    return (key.key_hash or "")[-16:]


def _of_home(settings: Settings) -> str:
    """The secret of this home. Of several processes that start at once, the first one's."""
    path = settings.home / "session-secret"
    settings.home.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        with NamedTemporaryFile("w", dir=settings.home) as whole:  # of mode 0600
            whole.write(secrets.token_hex(32))
            whole.flush()
            with suppress(FileExistsError):
                os.link(whole.name, path)
    return path.read_text()
