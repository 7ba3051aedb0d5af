"""How topics are made: as many partitions as those that are there have, else as the settings say, and the same for all.

Everything about a run has its key, so that it lies in the partition of one number in every topic, and one worker has all of it.
That holds only while all topics have the same count. (A pool's job topic is read by partition: it is made with a count of its own, and may
have any; who reads or writes it asks the broker how many.)
"""

from collections.abc import Mapping

from infra.kafka.records import MAX_RECORD_BYTES
from infra.settings import Settings
from streams.errors import Permanent
from streams.topics import TOPICS, Topic

SHARED = tuple(topic for topic in TOPICS if topic.partitions is None)


def count_for(topic: Topic, there: Mapping[str, int], settings: Settings) -> int:
    """How many partitions a topic gets beside those that are there: a release may add one to a log that was made with other settings."""
    if topic.partitions is not None:
        return topic.partitions
    return next((there[other.name] for other in SHARED if other.name in there), settings.partitions)


def check_copies(settings: Settings, *, replication: int) -> None:
    """Raises: Permanent where more copies must acknowledge a record than there are."""
    if settings.min_insync > replication:
        raise Permanent(
            f"ASSAY_MIN_INSYNC={settings.min_insync} is more than ASSAY_REPLICATION={replication}: no record could be acknowledged; "
            "set the first to one less than the second (2 and 3 in production, 1 and 1 on one broker)",
            code="too-few-copies",
        )


def topic_settings(topic: Topic, settings: Settings) -> dict[str, str]:
    """The broker's settings of a topic."""
    return {
        "retention.ms": str(topic.retention_ms),
        "cleanup.policy": "delete",
        "max.message.bytes": str(MAX_RECORD_BYTES),
        "min.insync.replicas": str(settings.min_insync),
        # A record has the broker's time, one clock for all: whoever reads from a time on, orders or expires by it trusts no writer's.
        "message.timestamp.type": "LogAppendTime",
    }


def check_counts(there: Mapping[str, int]) -> None:
    """Raises: Permanent where topics differ in their partitions that must have as many as each other; a pool's may have any number."""
    counts = {topic.name: there[topic.name] for topic in SHARED if topic.name in there}
    if len(set(counts.values())) > 1:
        few, many = min(counts, key=lambda name: counts[name]), max(counts, key=lambda name: counts[name])
        raise Permanent(
            f"all topics must have as many partitions as each other, and {few} has {counts[few]}, {many} {counts[many]}: events of one run "
            "would go to different workers; delete the one that was made last, if nothing is in it, and start again: it is made anew",
            code="partitions-differ",
        )
