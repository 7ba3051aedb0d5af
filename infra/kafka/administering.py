"""What an operator's client does: topics are made, and what consumer groups have committed is read."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from infra.kafka.connection import Connection
from infra.kafka.records import MAX_RECORD_BYTES, Ends
from streams.errors import Permanent, Unavailable
from streams.topics import Topic


class Administering:
    """An admin client for each question."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @asynccontextmanager
    async def _asking(self, doing: str) -> AsyncIterator[AIOKafkaAdminClient]:
        """A started admin client. Raises: Unavailable, which says what could not be done."""
        admin = AIOKafkaAdminClient(**self._connection.arguments)
        try:
            await admin.start()
            yield admin
        except (KafkaError, OSError) as error:
            raise Unavailable(f"cannot {doing} at {self._connection.settings.kafka}: {error}") from error
        finally:
            await admin.close()

    async def committed(self, group: str, places: Sequence[tuple[str, int]]) -> Ends:
        """The next offsets that a consumer group has committed, where it has any. Raises: Unavailable."""
        async with self._asking(f"read the offsets of {group}") as admin:
            found = await admin.list_consumer_group_offsets(group, partitions=[TopicPartition(*place) for place in places])
        return {(tp.topic, tp.partition): meta.offset for tp, meta in found.items() if meta.offset >= 0}

    async def create_topics(self, topics: Sequence[Topic], *, replication: int) -> None:
        """Creates the topics that are not there yet. Raises: Unavailable, Permanent where a topic has other partitions."""
        async with self._asking("create topics") as admin:
            there = set(await admin.list_topics())
            # A request that names a topic twice creates it not at all.
            missing = {topic.name: topic for topic in topics if topic.name not in there}
            answer = await admin.create_topics([_new_topic(topic, replication) for topic in missing.values()])
            _check_created(answer.topic_errors)
            await _check_partitions(admin, [topic for topic in topics if topic.name in there])


async def _check_partitions(admin: AIOKafkaAdminClient, topics: Sequence[Topic]) -> None:
    described = await admin.describe_topics([topic.name for topic in topics]) if topics else []
    counts = {row["topic"]: len(row["partitions"]) for row in described}
    for topic in topics:
        if counts.get(topic.name, topic.partitions) != topic.partitions:
            raise Permanent(f"{topic.name} has {counts[topic.name]} partitions, not {topic.partitions}; a count is fixed for life")


def _check_created(answers: Iterable[tuple[str, int, str | None]]) -> None:
    """Raises: KafkaError of the first topic that was refused; another process may have been faster, which is as good."""
    for topic, code, message in answers:
        if code not in (0, TopicAlreadyExistsError.errno):
            raise for_code(code)(f"{topic}: {message}")


def _new_topic(topic: Topic, replication: int) -> NewTopic:
    config = {"retention.ms": str(topic.retention_ms), "cleanup.policy": "delete", "max.message.bytes": str(MAX_RECORD_BYTES)}
    return NewTopic(topic.name, topic.partitions, replication, topic_configs=config)
