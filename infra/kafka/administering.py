"""What an operator's client does: topics are made, and what consumer groups have committed is read."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from infra.kafka.connection import DENIED, Connection
from infra.kafka.making import check_copies, check_counts, count_for, topic_settings
from infra.kafka.quotas import limit
from infra.kafka.records import Ends
from streams.errors import Unavailable
from streams.topics import Topic


class Administering:
    """An admin client for each question."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @asynccontextmanager
    async def asking(self, doing: str) -> AsyncIterator[AIOKafkaAdminClient]:
        """A started admin client. Raises: Unavailable, which says what could not be done."""
        admin = AIOKafkaAdminClient(**self._connection.arguments)
        await self._connection.started(admin, ending=admin.close)
        try:
            yield admin
        except DENIED as error:
            raise self._connection.away(error) from error
        except (KafkaError, OSError) as error:
            raise Unavailable(f"cannot {doing} at {self._connection.settings.kafka}: {error}") from error
        finally:
            await admin.close()

    async def committed(self, group: str, places: Sequence[tuple[str, int]]) -> Ends:
        """The next offsets that a consumer group has committed, where it has any. Raises: Unavailable."""
        async with self.asking(f"read the offsets of {group}") as admin:
            found = await admin.list_consumer_group_offsets(group, partitions=[TopicPartition(*place) for place in places])
        return {(tp.topic, tp.partition): meta.offset for tp, meta in found.items() if meta.offset >= 0}

    async def members(self, group: str) -> frozenset[str]:
        """The names (`client_id`) of those whom a consumer group knows now. Raises: Unavailable."""
        async with self.asking(f"read the members of {group}") as admin:
            found = frozenset[str]()
            for answer in await admin.describe_consumer_groups([group]):
                for code, _group, _state, _type, _protocol, members, *_ in answer.groups:
                    if code:
                        raise for_code(code)()
                    found |= {client_id for _member, client_id, *_ in members}
            return found

    async def cluster(self) -> str:
        """The id of the cluster. Raises: Unavailable."""
        async with self.asking("read the cluster's id") as admin:
            return str((await admin.describe_cluster())["cluster_id"])

    async def create_topics(self, topics: Sequence[Topic], *, replication: int | None) -> None:
        """Creates the topics that are not there yet, and sets the quota that is asked for.

        Raises: Unavailable, Permanent where counts of partitions differ.
        """
        settings = self._connection.settings
        copies = settings.replication if replication is None else replication
        check_copies(settings, replication=copies)
        async with self.asking("create topics") as admin:
            there = await _counts(admin)
            # A request that names a topic twice creates it not at all.
            missing = {topic.name: topic for topic in topics if topic.name not in there}
            new = [
                NewTopic(name, count_for(topic, there, settings), copies, topic_configs=topic_settings(topic, settings))
                for name, topic in missing.items()
            ]
            answer = await admin.create_topics(new)
            _check_created(answer.topic_errors)
            check_counts(await _counts(admin) if missing else there)
            if settings.quota_bytes_per_s is not None:
                await limit(admin, settings.quota_bytes_per_s)


async def _counts(admin: AIOKafkaAdminClient) -> Mapping[str, int]:
    described: list[dict[str, Any]] = await admin.describe_topics()
    return {row["topic"]: len(row["partitions"]) for row in described}


def _check_created(answers: Iterable[tuple[str, int, str | None]]) -> None:
    """Raises: KafkaError of the first topic that was refused; another process may have been faster, which is as good."""
    for topic, code, message in answers:
        if code not in (0, TopicAlreadyExistsError.errno):
            raise for_code(code)(f"{topic}: {message}")
