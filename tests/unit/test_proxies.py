"""Whose word counts about who asks, and by what."""

import asyncio

import pytest
from starlette.types import Receive, Scope, Send
from uvicorn.config import Config

from infra.settings import Settings
from query_api.access.proxies import proxies_of
from streams.errors import Invalid


def seen(proxies: str, *, peer: str, told: str = "203.0.113.9") -> tuple[str, str]:
    """By what scheme, and from where, the API is asked that lets these proxies speak, as that peer tells it."""
    found = list[tuple[str, str]]()

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        found.append((scope["scheme"], scope["client"][0]))

    config = Config(app, forwarded_allow_ips=proxies_of(Settings(api_proxies=proxies)), log_config=None)
    config.load()
    headers = [(b"x-forwarded-proto", b"https"), (b"x-forwarded-for", told.encode())]
    scope = {"type": "http", "scheme": "http", "client": (peer, 1), "headers": headers, "path": "/", "method": "GET"}
    asyncio.run(config.loaded_app(scope, None, None))
    return found[0]


@pytest.mark.parametrize(("proxies", "peer", "told"), [
    ("127.0.0.1,::1", "127.0.0.1", True), ("127.0.0.1,::1", "::1", True), ("127.0.0.1,::1", "172.18.0.1", False),
    ("172.18.0.1", "172.18.0.1", True), ("172.18.0.0/16 , 10.0.0.1", "172.18.7.7", True), ("172.18.0.1", "172.18.0.2", False),
    ("172.18.0.1", "127.0.0.1", False), ("", "127.0.0.1", False),
])  # fmt: skip
def test_a_proxy_says_who_asks_and_nobody_else_does(proxies: str, peer: str, told: bool) -> None:
    """A container's proxy comes from its bridge's address."""
    assert seen(proxies, peer=peer) == (("https", "203.0.113.9") if told else ("http", peer))


def test_what_whoever_asks_says_before_the_proxy_does_not_count() -> None:
    """The last address that no proxy has: else anybody could be counted as another."""
    assert seen("172.18.0.1", peer="172.18.0.1", told="198.51.100.1, 203.0.113.9") == ("https", "203.0.113.9")


@pytest.mark.parametrize(("told", "why"), [
    ("*", "as 172.18.0.1 or"), ("proxy", "as 172.18.0.1 or"), ("172.18.0.1/16", "has host bits set"), ("0.0.0.0/0", "anybody"),
    ("::/0", "anybody"),
])  # fmt: skip
def test_what_names_no_proxy_is_refused(told: str, why: str) -> None:
    """In words, before anything is served."""
    with pytest.raises(Invalid, match=f"ASSAY_API_PROXIES=.*{why}"):
        proxies_of(Settings(api_proxies=told))
