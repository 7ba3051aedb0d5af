"""In which partition a key's records lie: what Kafka's own producers work out, for who reads just one key's."""

from aiokafka.partitioner import murmur2


def partition_for(key: bytes, partitions: int) -> int:
    """The partition, of so many, that a record with this key goes to.

    Producers of other clients may hash otherwise (librdkafka does unless it is told): of what they write nothing can be said.
    Source: org.apache.kafka.clients.producer.internals.BuiltInPartitioner.partitionForKey, Kafka 4.0
    """
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)
