"""What `assay doctor` says of the log: its topics as they are, beside what the settings ask for."""

import asyncio
from collections.abc import Iterable, Mapping

from infra.kafka.examining import Found, differences, examine
from infra.settings import Settings
from query_api.cli.checks import Check
from streams.errors import AssayError
from streams.topics import TOPICS


def topics_told(settings: Settings) -> list[Check]:
    """The topics as a whole, and everything in which they differ from what is asked."""
    try:
        found = asyncio.run(examine(settings))
    except AssayError as error:
        return [Check("topics", False, str(error), "mend that, and ask again")]
    missing = [topic.name for topic in TOPICS if topic.name not in found]
    note = _summary(found) if found else "none is there yet"
    if missing and found:
        note += f"; {len(missing)} are not there, {missing[0]} for one"
    differing = [Check(f"topics' {one.what}", False, one.note, one.do) for one in differences(settings, found)]
    return [Check("topics", not missing, note, "every process makes them when it starts"), *differing]


def _summary(found: Mapping[str, Found]) -> str:
    counts = f"{_values(one.partitions for one in found.values())} partitions, {_values(one.replication for one in found.values())} copies"
    named = {
        "min.insync.replicas": "min.insync",
        "retention.ms": "retention ms",
        "cleanup.policy": "cleanup",
        "message.timestamp.type": "times",
    }
    told = [f"{short} {_values(one.settings.get(name, 'unknown') for one in found.values())}" for name, short in named.items()]
    return f"{len(found)}: {counts}, {', '.join(told)}"


def _values(values: Iterable[object]) -> str:
    """The values that there are, each once."""
    return " or ".join(sorted({str(value) for value in values}, key=lambda text: (len(text), text)))
