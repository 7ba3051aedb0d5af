"""The log: publishing events, reading them by place, following topics. No consumer groups (those are Faust's)."""

from infra.kafka.letters import MOST_BYTES, dead_letter
from infra.kafka.log import Log
from infra.kafka.producing import Outgoing
from infra.kafka.records import MAX_RECORD_BYTES, Ends, Place, Record

__all__ = ["MAX_RECORD_BYTES", "MOST_BYTES", "Ends", "Log", "Outgoing", "Place", "Record", "dead_letter"]
