"""What ClickHouse's errors mean for whoever asked: wait, give the data up, or mend the statement.

Names and numbers are ClickHouse's own, and a test holds them to the engine. What is in neither table is a fault of a statement or of the
schema (a table or column that is not there is one of a migration, not of an event): it ends the process, which migrates as it starts.
Source: ClickHouse 26.9, src/Common/ErrorCodes.cpp
"""

import struct
from collections.abc import Mapping
from typing import Final

from clickhouse_connect.driver.exceptions import ClickHouseError as DriverError
from clickhouse_connect.driver.exceptions import DataError, OperationalError

from streams.errors import AssayError, Permanent, Unavailable

MEMORY: Final = "MEMORY_LIMIT_EXCEEDED"
# The state of the server, or of what it stands on: the same statement works later. Code → its name, and what is wrong.
WAITED: Final[Mapping[int, tuple[str, str]]] = {
    75: ("CANNOT_WRITE_TO_FILE_DESCRIPTOR", "it cannot write to its disk: a full one, for one"),
    159: ("TIMEOUT_EXCEEDED", "it was too slow: max_execution_time, or too much at once"),
    160: ("TOO_SLOW", "it was too slow: too much at once"),
    164: ("READONLY", "it, or its user, may only read for now"),
    173: ("CANNOT_ALLOCATE_MEMORY", "the machine has no memory left"),
    198: ("DNS_ERROR", "it cannot resolve the name of a server that it needs"),
    201: ("QUOTA_EXCEEDED", "its user's quota is used up for now"),
    202: ("TOO_MANY_SIMULTANEOUS_QUERIES", "it runs as many queries as it may: max_concurrent_queries"),
    203: ("NO_FREE_CONNECTION", "it has no free connection to another server"),
    209: ("SOCKET_TIMEOUT", "another server did not answer it in time"),
    210: ("NETWORK_ERROR", "it does not reach another server"),
    225: ("NO_ZOOKEEPER", "it has no Keeper"),
    236: ("ABORTED", "it is shutting down, or was told to stop"),
    241: (MEMORY, "it has reached its memory limit: give it more, or ask less at once"),
    242: ("TABLE_IS_READ_ONLY", "the table may only be read for now: its Keeper is away, or its disk is full"),
    243: ("NOT_ENOUGH_SPACE", "its disk is full"),
    244: ("UNEXPECTED_ZOOKEEPER_ERROR", "its Keeper failed"),
    252: ("TOO_MANY_PARTS", "merging is behind: its disk is slow, or inserts are too small"),
    279: ("ALL_CONNECTION_TRIES_FAILED", "it does not reach another server"),
    285: ("TOO_FEW_LIVE_REPLICAS", "too few of its replicas are alive"),
    286: ("UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE", "its replicas have not taken the write before"),
    289: ("REPLICA_IS_NOT_IN_QUORUM", "the replica is behind"),
    297: ("SHARD_HAS_NO_CONNECTIONS", "it does not reach a shard"),
    319: ("UNKNOWN_STATUS_OF_INSERT", "it lost its Keeper in the middle: what comes twice counts once"),
    384: ("PART_IS_TEMPORARILY_LOCKED", "a part is in use"),
    394: ("QUERY_WAS_CANCELLED", "somebody cancelled it"),
    439: ("CANNOT_SCHEDULE_TASK", "it has no thread left"),
    473: ("DEADLOCK_AVOIDED", "two statements stood in each other's way"),
    499: ("S3_ERROR", "its object storage failed"),
    574: ("DISTRIBUTED_TOO_MANY_PENDING_BYTES", "what waits for another server is too much"),
    722: ("ASYNC_LOAD_WAIT_FAILED", "it is still loading its tables"),
    733: ("TABLE_IS_BEING_RESTARTED", "the table is being restarted"),
    745: ("SERVER_OVERLOADED", "it is overloaded"),
    999: ("KEEPER_EXCEPTION", "its Keeper failed"),
}
# Who asks: its user is not known, or may not. It may once somebody has given it; a reader waits for who migrates.
DENIED: Final[Mapping[int, str]] = {
    497: "does not let ASSAY_CLICKHOUSE_USER do that",
    516: "does not know ASSAY_CLICKHOUSE_USER by this password",
}
# The rows themselves: they are refused every time, whoever sends them. Of use only where rows are inserted.
REFUSED: Final[Mapping[int, tuple[str, str]]] = {
    6: ("CANNOT_PARSE_TEXT", "a value is no text of its type"),
    19: ("SIZE_OF_FIXED_STRING_DOESNT_MATCH", "a string has another length than its column's"),
    26: ("CANNOT_PARSE_QUOTED_STRING", "a string is not closed"),
    27: ("CANNOT_PARSE_INPUT_ASSERTION_FAILED", "a value is not written as its type is"),
    38: ("CANNOT_PARSE_DATE", "a value is no date"),
    41: ("CANNOT_PARSE_DATETIME", "a value is no time"),
    53: ("TYPE_MISMATCH", "a value has another type than its column"),
    69: ("ARGUMENT_OUT_OF_BOUND", "a value is out of its bounds"),
    70: ("CANNOT_CONVERT_TYPE", "a value does not become its column's type"),
    72: ("CANNOT_PARSE_NUMBER", "a value is no number"),
    117: ("INCORRECT_DATA", "a value is malformed"),
    131: ("TOO_LARGE_STRING_SIZE", "a string is too long"),
    321: ("VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE", "a value is out of its type's range"),
    349: ("CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN", "a value is missing"),
    407: ("DECIMAL_OVERFLOW", "a number has too many digits"),
    467: ("CANNOT_PARSE_BOOL", "a value is no truth value"),
    469: ("VIOLATED_CONSTRAINT", "a value breaks a constraint of its table"),
}
# What the driver raises, and over rows that cannot be written as their columns' types.
FAULTS: Final = (DriverError, OSError)
UNWRITABLE: Final = (DataError, ValueError, TypeError, OverflowError, struct.error, AttributeError)


class ClickHouseError(AssayError):
    """What ClickHouse says is wrong with a statement: ours to mend."""

    code = "clickhouse"


class OutOfMemory(Unavailable):
    """It has no memory for this now; less of it may fit."""

    code = "clickhouse-memory"


class RowsRefused(Permanent):
    """The rows cannot be stored, now or later."""

    code = "rows-refused"


def fault_of(error: Exception, *, server: str, inserting: bool) -> AssayError:
    """What an error of the driver means, as the error to raise."""
    code: int | None = getattr(error, "code", None)
    told = first_line(error)
    if code is not None and code in WAITED:
        name, wrong = WAITED[code]
        kind = OutOfMemory if name == MEMORY else Unavailable
        return kind(f"ClickHouse at {server} cannot do it now: {wrong} ({told})")
    if code is not None and code in DENIED:
        return Unavailable(
            f"ClickHouse at {server} {DENIED[code]} ({told}); `python -m infra.clickhouse_users` says what gives it",
            code="clickhouse-denies",
        )
    if inserting and code is not None and code in REFUSED:
        return RowsRefused(f"ClickHouse refuses a row, for {REFUSED[code][1]} ({told})")
    if isinstance(error, OperationalError | OSError):
        return Unavailable(f"no ClickHouse at {server} ({told}); is the stack up? `assay status`")
    if inserting and code is None and isinstance(error, UNWRITABLE):
        return RowsRefused(f"a row cannot be written as its table's columns are ({type(error).__name__}: {told})")
    return ClickHouseError(told)


def first_line(error: BaseException) -> str:
    """The first line of what an error says, or its type."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
