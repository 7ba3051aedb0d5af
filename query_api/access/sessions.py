"""Sessions of browsers: a signed cookie that names the key by which somebody signed in, for half a day."""

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from itsdangerous import BadData, URLSafeTimedSerializer
from starlette.requests import Request
from starlette.responses import Response

from infra.settings import Settings
from infra.whole_files import put
from schemas.trust import AccessChanged
from streams.errors import Invalid
from streams.trust.access import VOUCHED

COOKIE: Final = "assay_session"
LEAVING: Final = "assay_leaving"
LASTS_S: Final = 12 * 3600
LEAVING_S: Final = 600
FEWEST: Final = 32


class Sessions:
    """Makes and reads the cookie. The secret is ASSAY_SESSION_SECRET, or a file of the home that is made once."""

    def __init__(self, settings: Settings) -> None:
        """Raises: Invalid where the secret is too short."""
        secret = _secret(settings)
        self._serializer = URLSafeTimedSerializer(secret, salt=COOKIE)
        self._leaving = URLSafeTimedSerializer(secret, salt=LEAVING)

    def begin(self, request: Request, response: Response, key: AccessChanged) -> None:
        """Gives the browser the cookie."""
        self._set(request, response, COOKIE, self._serializer.dumps([key.subject, _mark(key)]), lasts_s=LASTS_S)

    def leave(self, request: Request, response: Response, kept: Mapping[str, str]) -> None:
        """Gives a browser that goes to the identity provider what it brings back."""
        self._set(request, response, LEAVING, self._leaving.dumps(dict(kept)), lasts_s=LEAVING_S)

    def left_with(self, request: Request) -> dict[str, str]:
        """What a browser brings back that went to the identity provider; nothing where it is not ours, or old."""
        try:
            return {
                str(name): str(value) for name, value in self._leaving.loads(request.cookies.get(LEAVING, ""), max_age=LEAVING_S).items()
            }
        except (BadData, ValueError, TypeError, AttributeError):
            return {}

    @staticmethod
    def _set(request: Request, response: Response, name: str, told: str, *, lasts_s: int) -> None:
        response.set_cookie(name, told, max_age=lasts_s, httponly=True, samesite="lax", secure=request.url.scheme == "https")

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
    """What tells a grant from one that stood under its id before: the end of its hash, which of members is drawn as they are admitted; of
    those who were admitted when none was, when that was."""
    told = key.key_hash or ""
    return told[-16:] if len(told) > len(VOUCHED) else f"{told}-{key.occurred_us}"


def _secret(settings: Settings) -> str:
    """What signs. Raises: Invalid where it could be guessed: whoever can sign is let in as anybody."""
    told = settings.session_secret.get_secret_value()
    path = settings.home / "session-secret"
    secret = told or _of_home(path)
    if len(secret.strip()) < FEWEST:
        where = "ASSAY_SESSION_SECRET" if told else f"{path}, as a crash may leave it,"
        what = "give a longer one, or none" if told else "delete it, and start again: browsers sign in anew"
        raise Invalid(f"{where} holds {len(secret.strip())} letters, and {FEWEST} is the least that nobody guesses: {what}", code="session")
    return secret


def _of_home(path: Path) -> str:
    """The secret of this home. Of several processes that start at once, the first one's. Raises: Invalid where it cannot be read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        put(path, secrets.token_hex(32).encode(), first=True)
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{path} cannot be read ({error}): delete it, and start again: browsers sign in anew", code="session") from error
