"""The model that reads sentences, where the settings name one: a server with OpenAI's interface, asked for a requirement by its schema.

Its answer is text of a bounded size, whatever it is; streams/deciding/readers.py says what of it counts.
"""

import json
from collections.abc import Sequence
from typing import Any, Final

import httpx

from infra.proving import secret_of
from infra.settings import Settings
from streams.deciding.readers import SCHEMA, Taken, messages, taken
from streams.errors import Invalid, Unavailable

PATIENCE_S: Final = 60.0
LARGEST_ANSWER_BYTES: Final = 2**18
MOST_TOKENS: Final = 512
BY_SCHEMA: Final = {"type": "json_schema", "json_schema": {"name": "requirement", "schema": SCHEMA}}


class Reader:
    """The model of the settings; `name` is empty where there is none."""

    def __init__(self, settings: Settings) -> None:
        self.name = settings.reader_model if settings.reader_url else ""
        self._url = f"{settings.reader_url.rstrip('/').removesuffix('/v1')}/v1/chat/completions"
        self._key = secret_of("reader_key", settings, code="no-reader")

    async def read(self, sentence: str, *, tasks: Sequence[str]) -> Taken:
        """What it understood. Raises: Invalid where there is no such model, Unavailable where it does not answer."""
        if not self.name:
            raise Invalid(
                "no model reads sentences here: set ASSAY_READER_URL and ASSAY_READER_MODEL, or leave reader out", code="no-reader"
            )
        body = {
            "model": self.name, "messages": messages(sentence, tasks), "max_tokens": MOST_TOKENS, "temperature": 0,
            "response_format": BY_SCHEMA,
        }  # fmt: skip
        try:
            async with httpx.AsyncClient(timeout=PATIENCE_S, follow_redirects=False) as client:
                status, raw = await self._asked(client, body)
                if 400 <= status < 500:  # a server that knows no schemas is asked without
                    status, raw = await self._asked(client, {name: value for name, value in body.items() if name != "response_format"})
        except httpx.HTTPError as error:
            raise Unavailable(f"the model that reads sentences does not answer: {type(error).__name__}", code="reader") from error
        if status != 200:
            raise Unavailable(f"the server of {self.name} answers {status}", code="reader")
        return taken(_content(raw))

    async def _asked(self, client: httpx.AsyncClient, body: dict[str, Any]) -> tuple[int, bytes]:
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        raw = bytearray()
        async with client.stream("POST", self._url, json=body, headers=headers) as answer:
            async for piece in answer.aiter_bytes():
                raw += piece
                if len(raw) > LARGEST_ANSWER_BYTES:
                    raise Unavailable(f"the server of {self.name} answers more than {LARGEST_ANSWER_BYTES:,} bytes", code="reader")
        return answer.status_code, bytes(raw)


def _content(raw: bytes) -> str:
    """The text of an answer; nothing where it has none."""
    try:
        told = json.loads(raw)["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return ""
    return told if isinstance(told, str) else ""
