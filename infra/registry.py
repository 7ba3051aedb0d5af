"""The registry's client: looks up the ids of our schemas at start, and writers' schemas when one turns up.

Speaks the REST interface that every registry has. Source: Confluent Schema Registry API,
https://docs.confluent.io/platform/current/schema-registry/develop/api.html
"""

import json
from typing import Any, Final

import httpx

from infra.proving import context_of, password_of
from infra.settings import Settings
from schemas.avro import avro_schema
from schemas.codec import NOT_OURS, Codec, Undecodable, UnknownSchema
from streams.errors import Permanent, Unavailable
from streams.topics import TOPICS

REFUSED: Final = {
    401: "does not know this process: set ASSAY_REGISTRY_USER and ASSAY_REGISTRY_PASSWORD_FILE to a user that it knows",
    403: "does not let this user: give ASSAY_REGISTRY_USER the right to read schemas, and to register them where they are not there yet",
}


class Registry:
    """The registry that the settings name, asked as its user where they name one. Raises: Invalid for settings that do not do."""

    def __init__(self, settings: Settings, *, timeout_s: float = 10.0) -> None:
        user = (settings.registry_user, password_of("registry", settings)) if settings.registry_user else None
        trusted = context_of("registry", settings) if settings.registry.startswith("https:") else True
        self._client = httpx.AsyncClient(base_url=settings.registry, timeout=timeout_s, auth=user, verify=trusted)
        self._url = settings.registry

    async def close(self) -> None:
        """Closes its connections."""
        await self._client.aclose()

    async def codec(self) -> Codec:
        """A codec with the ids of every topic's schema. Raises: Unavailable, Permanent where a schema is refused."""
        ids: dict[str, int] = {}
        for topic in TOPICS:
            ids[topic.event.__name__] = await self._register(topic.subject, avro_schema(topic.event))
        codec = Codec(ids)
        for topic in TOPICS:
            codec.learn(ids[topic.event.__name__], avro_schema(topic.event))
        return codec

    async def schema(self, schema_id: int) -> dict[str, Any]:
        """The schema of an id. Raises: UnknownSchema, Unavailable."""
        response = await self._send("GET", f"/schemas/ids/{schema_id}")
        if response.status_code == 404:
            raise UnknownSchema(schema_id)
        if response.is_error:
            raise Unavailable(f"the schema registry at {self._url} answers {response.status_code} for schema {schema_id}: may we read it?")
        try:
            schema = json.loads(response.json()["schema"])
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise Undecodable(NOT_OURS, f"schema id {schema_id} is no Avro schema: {type(error).__name__}") from error
        if not isinstance(schema, dict):
            raise Undecodable(NOT_OURS, f"schema id {schema_id} is no Avro record")
        return schema

    async def _register(self, subject: str, schema: dict[str, Any]) -> int:
        response = await self._send("POST", f"/subjects/{subject}/versions", {"schema": json.dumps(schema)})
        if response.is_error:
            raise Permanent(f"the registry refuses {subject}: {response.text}; run `make schemas`, or mend the change")
        return int(response.json()["id"])

    async def _send(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        try:
            response = await self._client.request(method, path, json=body)
        except httpx.TransportError as error:
            raise Unavailable(f"no schema registry at {self._url} ({error}); is the stack up? `assay status`") from error
        if response.status_code in REFUSED:
            raise Unavailable(f"the schema registry at {self._url} {REFUSED[response.status_code]}", code="registry-refuses")
        if response.status_code >= 500:
            raise Unavailable(f"the schema registry at {self._url} answers {response.status_code}")
        return response
