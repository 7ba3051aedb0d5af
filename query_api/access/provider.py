"""Who somebody is, by an identity provider: OpenID Connect, its code flow for browsers, the tokens that it signs for programs.

Sources: OpenID Connect Core 1.0, sections 3.1 and 5.1, and Discovery 1.0; RFC 7636 (PKCE); RFC 7519 (JWT); RFC 9068 (tokens of programs).
"""

import asyncio
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from joserfc import jwt
from joserfc.errors import ExpiredTokenError, InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet

from infra.addresses import is_loopback
from infra.settings import Settings
from query_api.operations.problems import Unauthenticated
from streams.errors import Invalid, Unavailable
from streams.numbers import shown

# Of a key pair each: with a shared secret whoever checks a token could make one.
ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
SCOPE: Final = "openid email profile"
FRESH_S, AGAIN_S, PATIENCE_S, LEEWAY_S = 3600.0, 30.0, 10.0, 60
MOST_GROUPS: Final = 1000
OTHER_NAMES: Final = "sub:"  # what one is called whom the provider tells no name of


def is_token(text: str) -> bool:
    """Whether it looks like a token of a provider (RFC 7519: three parts), and not like a key."""
    return text.count(".") == 2


@dataclass(frozen=True, slots=True)
class Vouched:
    """Whom the provider vouches for, in which groups it says that they are, and whether their name is an address that it has verified."""

    member: str
    groups: tuple[str, ...] = ()
    verified: bool = False


@dataclass(frozen=True, slots=True)
class Leaving:
    """A browser that goes to the provider: where, and what it brings back with it, signed."""

    address: str
    kept: Mapping[str, str]


class Provider:
    """The provider that the settings name. Raises: Invalid where they cannot be right."""

    def __init__(self, settings: Settings) -> None:
        self.issuer = settings.oidc_issuer.rstrip("/")
        self.host = urlsplit(self.issuer).netloc
        self._id, self._secret = settings.oidc_client_id, settings.oidc_client_secret.get_secret_value()
        self._claim, self._groups = settings.oidc_claim, settings.oidc_groups_claim
        self._audiences = [one for one in (self._id, settings.oidc_audience) if one]
        self._asking = asyncio.Lock()
        self._about: dict[str, Any] = {}
        self._keys = KeySet([])
        self._read_s = -FRESH_S
        if not self._id:
            raise Invalid("ASSAY_OIDC_ISSUER wants ASSAY_OIDC_CLIENT_ID too: the name under which the provider knows this API", code="oidc")
        if urlsplit(self.issuer).scheme != "https" and not is_loopback(self.issuer):
            raise Invalid(f"ASSAY_OIDC_ISSUER={self.issuer}: a provider beyond this machine is asked by https", code="oidc")

    async def leaving(self, *, back: str) -> Leaving:
        """Sends a browser to the provider, which sends it `back`. Raises: Unavailable."""
        about = await self._told()
        kept = {"state": secrets.token_urlsafe(24), "nonce": secrets.token_urlsafe(24), "verifier": secrets.token_urlsafe(48)}
        async with self._client(back) as client:
            address, _ = client.create_authorization_url(
                about["authorization_endpoint"], state=kept["state"], nonce=kept["nonce"], code_verifier=kept["verifier"]
            )
        return Leaving(address, kept)

    async def returned(self, told: Mapping[str, str], kept: Mapping[str, str], *, back: str) -> Vouched:
        """The member with whom a browser came back. Raises: Unauthenticated, Unavailable."""
        if refused := told.get("error"):
            raise Unauthenticated(f"{self.host} signed nobody in: {told.get('error_description') or refused}"[:300])
        if not kept or not secrets.compare_digest(told.get("state", "").encode(), kept.get("state", "").encode()):
            raise Unauthenticated("this sign-in began elsewhere, or too long ago; begin it again")
        about = await self._told()
        try:
            async with self._client(back) as client:
                tokens = await client.fetch_token(about["token_endpoint"], code=told.get("code", ""), code_verifier=kept["verifier"])
        except (httpx.HTTPError, ValueError) as error:
            raise Unavailable(f"{self.host} does not answer: {type(error).__name__}", code="oidc") from error
        except OAuthError as error:
            raise Unauthenticated(f"{self.host} signed nobody in: {error.description or error.error}"[:300]) from error
        return await self.member(str(tokens.get("id_token", "")), nonce=kept["nonce"])

    async def member(self, token: str, *, nonce: str | None = None) -> Vouched:
        """Whom a token of the provider is about. Raises: Unauthenticated, Unavailable."""
        await self._told()
        try:
            try:
                claims = self._decoded(token)
            except InvalidKeyIdError:  # it signs with a new key
                await self._told(again=True)
                claims = self._decoded(token)
            wanted: dict[str, Any] = {
                "iss": {"essential": True, "values": [self.issuer, f"{self.issuer}/"]}, "exp": {"essential": True},
                "aud": {"essential": True, "values": self._audiences}, "sub": {"essential": True},
            }  # fmt: skip
            jwt.JWTClaimsRegistry(leeway=LEEWAY_S, **(wanted | ({"nonce": {"essential": True, "value": nonce}} if nonce else {}))).validate(
                claims
            )
        except ExpiredTokenError as error:
            raise Unauthenticated(f"this token of {self.host} has expired; get another") from error
        except (JoseError, ValueError, TypeError) as error:
            raise Unauthenticated(f"this is no token of {self.host} for this API: {error}"[:300]) from error
        name = self._name(claims)
        return Vouched(name, self._groups_of(claims), verified=claims.get("email_verified") is True and claims.get("email") == name)

    def _decoded(self, token: str) -> dict[str, Any]:
        return dict(jwt.decode(token, self._keys, algorithms=ALGORITHMS).claims)

    def _name(self, claims: Mapping[str, Any]) -> str:
        """What the member is called: by the claim of the settings, else by what the provider calls them itself."""
        claimed = claims.get(self._claim)
        if not isinstance(claimed, str) or not claimed.strip():
            found = f"{OTHER_NAMES}{claims['sub']}"
        elif self._claim == "email" and claims.get("email_verified") is not True:
            raise Unauthenticated(f"{self.host} has not verified that {claimed} is yours; ASSAY_OIDC_CLAIM can name another claim")
        else:
            found = claimed
        if not found.isprintable() or (found is claimed and found.startswith(OTHER_NAMES)):
            raise Unauthenticated(f"{self.host} tells a name that is none here ({shown(found)}); ASSAY_OIDC_CLAIM can name another claim")
        return found

    def _groups_of(self, claims: Mapping[str, Any]) -> tuple[str, ...]:
        """The groups that the provider tells; Keycloak's begin with a slash, which is no part of a name."""
        told = claims.get(self._groups)
        names = told if isinstance(told, list) else [told]
        return tuple(
            dict.fromkeys(one.removeprefix("/") for one in names[:MOST_GROUPS] if isinstance(one, str) and one.isprintable() and one)
        )

    async def _told(self, *, again: bool = False) -> dict[str, Any]:
        """What the provider says of itself, and its keys: read once an hour, and sooner where it signs with a new one."""
        async with self._asking:
            age_s = time.monotonic() - self._read_s
            if age_s > FRESH_S or (again and age_s > AGAIN_S):
                self._about, self._keys = await self._read()
                self._read_s = time.monotonic()
            return self._about

    async def _read(self) -> tuple[dict[str, Any], KeySet]:
        try:
            async with httpx.AsyncClient(timeout=PATIENCE_S) as client:
                about = (await client.get(f"{self.issuer}/.well-known/openid-configuration")).raise_for_status().json()
                if str(about["issuer"]).rstrip("/") != self.issuer:
                    raise Unavailable(f"{self.host} calls itself {about['issuer']}: ASSAY_OIDC_ISSUER must be that", code="oidc")
                keys = (await client.get(about["jwks_uri"])).raise_for_status().json()
            return {name: str(about[name]) for name in ("authorization_endpoint", "token_endpoint")}, KeySet.import_key_set(keys)
        except (httpx.HTTPError, JoseError, ValueError, KeyError, TypeError) as error:
            raise Unavailable(
                f"the identity provider {self.host} does not answer as one: {type(error).__name__}: {error}"[:300], code="oidc"
            ) from error

    def _client(self, back: str) -> AsyncOAuth2Client:
        return AsyncOAuth2Client(
            self._id, self._secret or None, scope=SCOPE, redirect_uri=back, code_challenge_method="S256", timeout=PATIENCE_S,
            token_endpoint_auth_method=None if self._secret else "none",
        )  # fmt: skip
