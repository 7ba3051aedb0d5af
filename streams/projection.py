"""How an event becomes a row: one fact table per event, its columns the event's fields.

Texts are Strings of their UTF-8, bytes are base64, nested records, arrays and maps are JSON, but for arrays that there are many of. To the
fields come the place in the log and Kafka's time; `log_version` is the inverted offset, so that of several rows of one id the first in the
log is kept.
"""

import base64
import json
import math
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from operator import attrgetter
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from schemas.builds import ContentPublished, SampleBuilt
from schemas.event import Event, Producer, Record, Text
from schemas.jobs import JobReleased
from schemas.measurements import SampleAnswered, TokensTimed
from schemas.results import SampleNotScored, SampleScored
from streams.topics import BY_EVENT, DAY_MS, JOBS_DEFAULT, TOPICS, Topic
from streams.trust.privacy import told

PLACE: Final = {"log_partition": "UInt16", "log_offset": "UInt64", "log_version": "UInt64", "written_us": "Int64"}
PLAIN: Final[Mapping[Any, str]] = {str: "String", bytes: "String", int: "Int64", float: "Float64", bool: "Bool", Text: "String"}
LARGEST: Final = 2**64 - 1
PARTITION_BITS: Final = 12
# What is read by its place lies by its place: a page is then a few neighbouring rows of a table, however long. All parts of the event's
# identity are in the order, so that rows of one id are still one.
BY_PLACE: Final[Mapping[type[Event], tuple[str, ...]]] = {
    ContentPublished: ("content_id", "chunk"),
    SampleBuilt: ("build_id", "ordinal"),
    SampleAnswered: ("run_id", "task", "ordinal", "repeat", "build_id"),
    SampleScored: ("run_id", "task", "ordinal", "repeat", "filter", "metric", "scorer_version"),
    SampleNotScored: ("run_id", "task", "ordinal", "repeat", "scorer_version"),
}
# How many of their rows are read for one: few, for texts are long, and a page's samples may lie anywhere.
GRANULE_ROWS: Final[Mapping[type[Event], int]] = {ContentPublished: 64, SampleBuilt: 128, SampleAnswered: 128, SampleScored: 1024}
# Fields that are kept as arrays of numbers, under which name, and by which codec: they are most of what a load leaves.
ARRAYS: Final[Mapping[type[Event], Mapping[str, tuple[str, str]]]] = {
    TokensTimed: {"tokens_per_arrival": ("tokens_per_arrival", "ZSTD"), "gaps": ("gap_ns", "T64, ZSTD")}
}
NUMBERS: Final = "Array(Int64)"


@dataclass(frozen=True, slots=True)
class Table:
    """A fact table: its name, its columns with their types, the columns that it is ordered by, and codecs that are not the usual one."""

    name: str
    columns: Mapping[str, str]
    order: tuple[str, ...]
    codecs: Mapping[str, str]


def name_of(topic: Topic) -> str:
    """The public name of a topic's facts: `assay.run-scores.v1` → `run_scores`; all job topics share `jobs_released`."""
    if topic.event is JobReleased:
        return "jobs_released"
    return topic.name.removeprefix("assay.").removesuffix(".v1").replace("-", "_")


@cache
def table_of(event: type[Event]) -> Table:
    """The fact table of an event."""
    topic = JOBS_DEFAULT if event is JobReleased else next(topic for topic in TOPICS if topic.event is event)
    arrays = ARRAYS.get(event, {})
    fields = event.model_fields.items()
    columns = {arrays[name][0] if name in arrays else name: NUMBERS if name in arrays else _type(info.annotation) for name, info in fields}
    order = BY_PLACE.get(event) or (("run_id", "event_id") if columns.get("run_id") == "String" else ("event_id",))
    return Table(f"fact_{name_of(topic)}", columns | PLACE, order, dict(arrays.values()))


def _type(hint: Any) -> str:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _type(arguments[0])
    if origin is Literal:
        return "LowCardinality(String)"
    if origin in (Union, types.UnionType):
        inner = _type(next(argument for argument in arguments if argument is not type(None)))
        return f"Nullable({inner.removeprefix('LowCardinality(').removesuffix(')') if inner.startswith('Low') else inner})"
    return PLAIN.get(hint, "String")


def row(event: Event, *, partition: int, offset: int, written_us: int) -> list[Any]:
    """The event as its table's row, in the order of its columns; of a private one without its texts."""
    read, nested = _cells_of(type(event))
    cells = list(read(told(event)))
    for index in nested:
        cells[index] = _cell(cells[index])
    return [*cells, partition, offset, version(partition, offset), written_us]


def version(partition: int, offset: int) -> int:
    """What of rows of one id keeps the first: an event that was put where its key belongs has two places, perhaps of one offset."""
    return LARGEST - (offset << PARTITION_BITS | partition)


@cache
def _cells_of(event: type[Event]) -> tuple[Callable[[Event], tuple[Any, ...]], tuple[int, ...]]:
    """What reads all fields of an event, and which of them are no plain values: most are, and go into the row as they are."""
    hints, arrays = {name: info.annotation for name, info in event.model_fields.items()}, ARRAYS.get(event, {})
    written = (index for index, (name, hint) in enumerate(hints.items()) if not is_plain(hint) and name not in arrays)
    return attrgetter(*(arrays[name][0] if name in arrays else name for name in hints)), tuple(written)


def is_plain(hint: Any) -> bool:
    """A value of this type goes into its column as it is; any other as JSON or base64."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return is_plain(arguments[0])
    if origin in (Union, types.UnionType):
        return all(is_plain(argument) for argument in arguments)
    return origin is Literal or hint in (str, int, float, bool, type(None))


def _cell(value: Any) -> Any:
    match value:
        case None:
            return None
        case Producer():
            return _shown(value)
        case Text() | bytes():
            return plain(value)
    return _written(value)


def _written(value: Any) -> str:
    """A nested value as JSON: `plain`, written as it is walked. Only an infinity needs the walk first: JSON has none."""
    try:
        return JSON.encode(value)
    except ValueError:
        return JSON.encode(plain(value))


@lru_cache(maxsize=256)
def _shown(producer: Producer) -> str:
    """A producer as JSON: few of them write all events."""
    return _written(producer)


def plain(value: Any) -> Any:
    """A value as JSON can have it; infinities are the strings that ClickHouse reads as such."""
    match value:
        case Text():
            # A chunk may end within a character, and a foreign producer may send anything: what is no UTF-8 is shown escaped.
            return value.bytes.decode(errors="backslashreplace") if value.key_id is None else base64.b64encode(value.bytes).decode()
        case Record():
            return {name: plain(getattr(value, name)) for name in type(value).model_fields}
        case bytes():
            return base64.b64encode(value).decode()
        case tuple() | list():
            return [plain(item) for item in value]
        case dict():
            return {name: plain(item) for name, item in value.items()}
        case float() if math.isinf(value):
            return "inf" if value > 0 else "-inf"
    return value


def _shape(value: Any) -> Any:
    """What the encoder writes for a value that JSON does not know."""
    return value.__dict__ if isinstance(value, Record) and not isinstance(value, Text) else plain(value)


JSON: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_shape)


def ddl(event: type[Event]) -> str:
    """The statements that create an event's fact table and its public view."""
    table = table_of(event)
    packed = {name: f" CODEC({codec})" for name, codec in table.codecs.items()}
    columns = ",\n".join(f"    {name} {kind}{packed.get(name, '')}" for name, kind in table.columns.items())
    days = BY_EVENT[event].retention_ms // DAY_MS if event in BY_EVENT else 0
    expires = f"\nTTL toDateTime(intDiv(occurred_us, 1000000)) + INTERVAL {days} DAY" if days > 0 else ""
    granule = f"\nSETTINGS index_granularity = {GRANULE_ROWS[event]}" if event in GRANULE_ROWS else ""
    public = table.name.removeprefix("fact_")
    return (
        f"CREATE TABLE IF NOT EXISTS {table.name} (\n{columns}\n)\nENGINE = ReplacingMergeTree(log_version)\n"
        f"ORDER BY ({', '.join(table.order)}){expires}{granule};\n\n"
        f"CREATE VIEW IF NOT EXISTS {public} AS SELECT * EXCEPT (log_version) FROM {table.name} FINAL;\n"
    )


def facts_ddl(events: Sequence[type[Event]]) -> str:
    """The statements for all events."""
    head = "-- One fact table per event, and the view that people read. Written from the models by `python -m infra.clickhouse`.\n\n"
    return head + "\n".join(ddl(event) for event in events)
