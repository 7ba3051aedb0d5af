"""A model behind an address, as a request asks for it: where its server is, and what of a request no server is told."""

import re
from typing import Final
from urllib.parse import urlsplit

from schemas.requests import Chat, EngineChoice
from streams.engines import is_elsewhere
from streams.errors import Invalid

WRITTEN: Final = re.compile("[!-~]+")  # what an address may have: a blank, or a letter of another alphabet, breaks a request's first line


def base_of(url: str) -> str:
    """The address without the interface's own path: `http://host:8000` of `http://host:8000/v1/`.

    Raises: Invalid for what is no address, and for one that holds a user, a password or a query, for addresses are in events and logs.
    """
    try:
        parts = urlsplit(url)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and WRITTEN.fullmatch(url) is not None
    except ValueError:
        whole = False
    if not whole:
        raise Invalid(f"url {url!r}: give http://HOST:PORT or https://HOST:PORT, in ASCII and without blanks", code="url")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise Invalid(
            "the url holds a user, a password or a query, which would be in the record for ever: give http://HOST:PORT or "
            "https://HOST:PORT, and the server's key by its name (--credential)", code="url",
        )  # fmt: skip
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/').removesuffix('/v1')}"


def check(engine: EngineChoice, chat: Chat) -> None:
    """Raises: Invalid, where a model behind an address is asked for by no address, or for what its server is not told."""
    if not is_elsewhere(engine.name):
        return
    if "url" not in engine.options:
        raise Invalid(f"engine {engine.name} wants the server's address: --url http://HOST:PORT, or the engine's option url", code="url")
    base_of(engine.options["url"])
    if "max_length" in engine.options and "tokenizer" not in engine.options:
        raise Invalid("option max_length counts tokens, which only option tokenizer tells: give both, or neither", code="option")
    if chat.thinking is not None:
        raise Invalid(
            f"engine {engine.name} leaves it to the server whether a model thinks, and records what it says of it: leave chat.thinking out",
            code="chat",
        )


def check_load(url: str | None, *, engine: str) -> None:
    """Raises: Invalid, where a load's address is none, or a server's speed is to be measured without it."""
    if url is not None:
        base_of(url)
    elif is_elsewhere(engine):
        raise Invalid("how fast a server is, a load on its address measures: give workload.url too (`assay perf --url`)", code="workload")
