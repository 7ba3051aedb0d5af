"""What a browser may do with a page: no script or style but files of ours, no frame, no plain HTTP behind TLS; pages keep to it."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message

from query_api.access.headers import with_headers

TEMPLATES = Path(__file__).parents[2] / "query_api" / "templates"
INLINE = re.compile(r"<script(?![^>]*\bsrc=)|<style\b|\son\w+\s*=\s*[\"']|javascript:|\bsrcdoc=", re.IGNORECASE)


def sent(scheme: str, **headers: str) -> dict[str, str]:
    """The headers of an answer that has these of its own."""
    told = list[Message]()

    async def send(message: Message) -> None:
        told.append(message)

    own: Any = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    start = {"type": "http.response.start", "status": 200, "headers": own}

    async def act() -> None:
        await with_headers(send, {"type": "http", "scheme": scheme})(start)

    asyncio.run(act())
    found = [(name.decode(), value.decode()) for name, value in told[0]["headers"]]
    assert len(found) == len(dict(found)), "each once"
    return dict(found)


def test_every_answer_says_what_a_browser_may() -> None:
    """No script but files of ours, nobody's frame, no other site in a form, no guessing of types."""
    policy = dict(part.strip().split(" ", 1) for part in sent("http")["content-security-policy"].split(";"))
    assert (policy["default-src"], policy["script-src"], policy["style-src"]) == ("'none'", "'self'", "'self'")
    assert (policy["frame-ancestors"], policy["form-action"], policy["base-uri"]) == ("'none'", "'self'", "'none'")
    assert sent("http")["x-content-type-options"] == "nosniff" and sent("http")["referrer-policy"] == "same-origin"


def test_behind_tls_a_browser_comes_back_by_tls_alone() -> None:
    """And not without: who has no TLS would be locked out."""
    assert sent("https")["strict-transport-security"] == "max-age=31536000"
    assert "strict-transport-security" not in sent("http")


def test_an_answer_may_have_a_policy_of_its_own() -> None:
    """It stands alone."""
    assert sent("https", content_security_policy="default-src 'self'")["content-security-policy"] == "default-src 'self'"


@pytest.mark.parametrize("template", sorted(TEMPLATES.rglob("*.html")), ids=lambda path: path.name)
def test_no_template_has_a_script_of_its_own(template: Path) -> None:
    """The policy would not run it, and nobody would see why."""
    assert not INLINE.search(template.read_text())
