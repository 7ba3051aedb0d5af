"""What the topics really have, beside what the settings ask for: they may have been made with others, or changed by hand."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from infra.kafka.administering import Administering
from infra.kafka.connection import Connection
from infra.kafka.making import topic_settings
from infra.settings import Settings
from streams.errors import Unavailable
from streams.topics import TOPICS, Topic

PATIENCE_S: Final = 5.0
# Topics of one difference that are named, before it is said how many more there are.
NAMED: Final = 3


@dataclass(frozen=True, slots=True)
class Found:
    """A topic as the broker has it: its counts of partitions and of copies, and its settings by their names."""

    partitions: int
    replication: int
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Difference:
    """What some topics have otherwise than the settings ask, and what to do."""

    what: str
    found: str
    asked: str
    topics: tuple[str, ...]
    do: str

    @property
    def note(self) -> str:
        """In words."""
        more = f" and {len(self.topics) - NAMED} more" if len(self.topics) > NAMED else ""
        return f"{self.found}, not {self.asked}, at {', '.join(self.topics[:NAMED])}{more}"


async def examine(settings: Settings, topics: Sequence[Topic] = TOPICS) -> Mapping[str, Found]:
    """The topics that are there, by name. Raises: Unavailable, Invalid where the settings lack what the connection needs."""
    administering = Administering(Connection(settings, "doctor"))
    names = [topic.name for topic in topics]
    try:
        async with asyncio.timeout(PATIENCE_S), administering.asking("describe topics") as admin:
            rows: list[dict[str, Any]] = [row for row in await admin.describe_topics() if row["topic"] in names]
            resources = [ConfigResource(ConfigResourceType.TOPIC, row["topic"]) for row in rows]
            answers = await admin.describe_configs(resources) if resources else []
    except TimeoutError as error:
        raise Unavailable(f"{settings.kafka} does not answer within {PATIENCE_S:.0f} s") from error
    # A resource is its error's code and text, its kind, its name, and its settings: each a name, a value and more.
    told = {one[3]: {entry[0]: entry[1] for entry in one[4]} for answer in answers for one in answer.resources}
    return {row["topic"]: Found(len(row["partitions"]), _copies(row), told.get(row["topic"], {})) for row in rows}


def _copies(row: Mapping[str, Any]) -> int:
    return min((len(partition["replicas"]) for partition in row["partitions"]), default=0)


def differences(settings: Settings, found: Mapping[str, Found], topics: Sequence[Topic] = TOPICS) -> list[Difference]:
    """Everything that differs, like things together, with what to do about it."""
    alike: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for topic in topics:
        if topic.name in found:
            for what, (has, asked) in _compared(settings, topic, found[topic.name]).items():
                if has != asked:
                    alike[what, has, asked].append(topic.name)
    return [
        Difference(what, has, asked, tuple(names), _remedy(settings, what, has=has, asked=asked, topic=names[0]))
        for (what, has, asked), names in alike.items()
    ]


def _compared(settings: Settings, topic: Topic, found: Found) -> dict[str, tuple[str, str]]:
    """What a topic has and what is asked, by name."""
    asked = settings.partitions if topic.partitions is None else found.partitions  # a pool's may have any number
    counts = {"partitions": (str(found.partitions), str(asked)), "replication": (str(found.replication), str(settings.replication))}
    return counts | {name: (found.settings.get(name, "unknown"), value) for name, value in topic_settings(topic, settings).items()}


def _remedy(settings: Settings, what: str, *, has: str, asked: str, topic: str) -> str:
    if what == "partitions":
        return f"a count is fixed for life: set ASSAY_PARTITIONS={has}, or make the log anew (docs/operations.md)"
    if what == "replication":
        return f"give each partition {asked} copies with Kafka's kafka-reassign-partitions.sh, or set ASSAY_REPLICATION={has}"
    alter = f"kafka-configs.sh --bootstrap-server {settings.kafka} --alter --entity-type topics --entity-name {topic}"
    return f"`{alter} --add-config {what}={asked}`, for each of them"
