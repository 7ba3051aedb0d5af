"""How much each client may write and read a second: the broker's own quotas, asked for and set where a setting says so.

aiokafka 0.14 has no such request. Source: KIP-546; Apache Kafka 4.1, DescribeClientQuotasRequest.json and AlterClientQuotasRequest.json,
version 0.
"""

from collections.abc import Mapping
from typing import Any, Final

import structlog
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import ClusterAuthorizationFailedError, for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Float64, Int8, Int16, Int32, Schema, String

# What of a client is limited, in bytes a second.
LIMITED: Final = ("producer_byte_rate", "consumer_byte_rate")
CLIENTS: Final = "client-id"
OF_ANY: Final = 1  # the quota of every client that has none of its own
ENTITY: Final = Array(("entity_type", String("utf-8")), ("entity_name", String("utf-8")))


class _Described(Response):  # type: ignore[misc]  # aiokafka ships no types
    API_KEY = 48
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32), ("error_code", Int16), ("error_message", String("utf-8")),
        ("entries", Array(("entity", ENTITY), ("values", Array(("key", String("utf-8")), ("value", Float64))))),
    )  # fmt: skip


class _DescribeStruct(RequestStruct):  # type: ignore[misc]  # aiokafka ships no types
    API_KEY = 48
    API_VERSION = 0
    RESPONSE_TYPE = _Described
    SCHEMA = Schema(
        ("components", Array(("entity_type", String("utf-8")), ("match_type", Int8), ("match", String("utf-8")))), ("strict", Boolean)
    )


class _Describe(Request[_DescribeStruct]):  # type: ignore[misc]  # aiokafka ships no types
    """The quota of clients that have none of their own."""

    API_KEY = 48

    def build(self, request_struct_class: type[_DescribeStruct]) -> _DescribeStruct:
        return request_struct_class([(CLIENTS, OF_ANY, None)], True)


class _Altered(Response):  # type: ignore[misc]  # aiokafka ships no types
    API_KEY = 49
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("entries", Array(("error_code", Int16), ("error_message", String("utf-8")), ("entity", ENTITY))),
    )


class _AlterStruct(RequestStruct):  # type: ignore[misc]  # aiokafka ships no types
    API_KEY = 49
    API_VERSION = 0
    RESPONSE_TYPE = _Altered
    SCHEMA = Schema(
        (
            "entries",
            Array(("entity", ENTITY), ("ops", Array(("key", String("utf-8")), ("value", Float64), ("remove", Boolean)))),
        ),
        ("validate_only", Boolean),
    )


class _Alter(Request[_AlterStruct]):  # type: ignore[misc]  # aiokafka ships no types
    """So many bytes a second for each client that has no quota of its own."""

    API_KEY = 49

    def __init__(self, bytes_per_s: int) -> None:
        self._bytes_per_s = bytes_per_s

    def build(self, request_struct_class: type[_AlterStruct]) -> _AlterStruct:
        return request_struct_class([([(CLIENTS, None)], [(key, float(self._bytes_per_s), False) for key in LIMITED])], False)


async def quotas(admin: AIOKafkaAdminClient) -> Mapping[str, float]:
    """The quotas of clients that have none of their own, by name, in bytes a second. Raises: KafkaError."""
    answer: Any = await admin._send_request(_Describe())
    if answer.error_code:
        raise for_code(answer.error_code)(answer.error_message)
    return {key: value for _, values in answer.entries for key, value in values}


async def limit(admin: AIOKafkaAdminClient, bytes_per_s: int) -> None:
    """Limits every client that has no quota of its own. Where this process may not, it is said, and who may has to. Raises: KafkaError."""
    try:
        found = await quotas(admin)
        if all(found.get(key) == bytes_per_s for key in LIMITED):
            return
        answer: Any = await admin._send_request(_Alter(bytes_per_s))
        for code, message, _ in answer.entries:
            if code:
                raise for_code(code)(message)
    except ClusterAuthorizationFailedError:
        structlog.get_logger().warning(
            "quota not set", bytes_per_s=bytes_per_s, why="this user may not alter the cluster: let the user of one process do it"
        )
