"""An identity provider, in a process of its own; and one whose tokens a test makes up."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import httpx
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from tests.conftest import end, free_ports
from tests.flow import PATIENCE_S


@contextmanager
def provider(*people: Mapping[str, Any]) -> Iterator[str]:
    """A provider that knows these people, by their claims: its address."""
    (port,) = free_ports(1)
    known = [word for one in people for word in ("--user-claims", json.dumps(one))]
    command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port), *known]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address, give_up_s = f"http://127.0.0.1:{port}", time.monotonic() + PATIENCE_S
    try:
        while True:
            try:
                httpx.get(f"{address}/.well-known/openid-configuration", timeout=60).raise_for_status()
                break
            except httpx.HTTPError:
                assert child.poll() is None and time.monotonic() < give_up_s, "the provider does not start"
                time.sleep(0.1)
        yield address
    finally:
        end(child)


class Issuer:
    """What signs as a provider does, with whatever claims: it tells its keys at its address, and holds them itself."""

    def __init__(self) -> None:
        self.key = self.another()
        self.told: dict[str, Any] = {}
        self.asked = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Answers, self))
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"

    @staticmethod
    def another() -> RSAKey:
        """A key with a name."""
        return RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}, auto_kid=True)

    @property
    def claims(self) -> dict[str, Any]:
        """What a good token says."""
        return {
            "iss": self.address, "aud": "assay", "sub": "17", "exp": time.time() + 300, "email": "ann@example.org", "email_verified": True,
        }  # fmt: skip

    def token(self, *, key: Any = None, header: Mapping[str, Any] | None = None, **claims: Any) -> str:
        """A token with these claims besides, None leaving one out."""
        signed = key or self.key
        said = {name: value for name, value in (self.claims | claims).items() if value is not None}
        return jwt.encode({"alg": "RS256", "kid": signed.kid} | dict(header or {}), said, signed)

    def __enter__(self) -> "Issuer":
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Answers(BaseHTTPRequestHandler):
    def __init__(self, issuer: Issuer, *given: Any) -> None:
        self._issuer = issuer
        super().__init__(*given)

    def do_GET(self) -> None:
        """What a provider says of itself, or its keys."""
        of = self._issuer
        of.asked += 1
        about = {
            "issuer": of.address, "jwks_uri": f"{of.address}/keys", "authorization_endpoint": f"{of.address}/a",
            "token_endpoint": f"{of.address}/t",
        }  # fmt: skip
        told = KeySet([of.key]).as_dict(private=False) if self.path == "/keys" else about | of.told
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""
