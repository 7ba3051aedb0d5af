"""Assay's API for programs and notebooks: `Client` and `AsyncClient` are the same thing, one blocking, one awaited."""

from assay_client.asynchronous import AsyncClient
from assay_client.client import Client
from assay_client.errors import AssayError, Conflict, Invalid, NotFound, Refused, TimedOut, Unavailable, Unsuccessful
from assay_client.listening import LiveEvent
from assay_client.tables import Table

__all__ = [
    "AssayError", "AsyncClient", "Client", "Conflict", "Invalid", "LiveEvent", "NotFound", "Refused", "Table", "TimedOut",
    "Unavailable", "Unsuccessful",
]  # fmt: skip
