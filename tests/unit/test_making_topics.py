"""How many partitions topics get, and what is said where they differ."""

import pytest

from infra.kafka.making import SHARED, check_copies, check_counts, count_for, topic_settings
from infra.settings import Settings
from streams.errors import Permanent
from streams.topics import ANSWERS, JOB_PARTITIONS, RUNS, SCORES, TOPICS, jobs_topic

PRODUCTION = Settings(partitions=64, replication=3, min_insync=2)


def test_a_log_is_made_with_what_the_settings_say() -> None:
    """A job topic with its own count, for agents read it by partition."""
    assert count_for(RUNS, {}, PRODUCTION) == 64
    assert count_for(jobs_topic("big"), {}, PRODUCTION) == JOB_PARTITIONS
    assert topic_settings(RUNS, PRODUCTION)["min.insync.replicas"] == "2"
    assert {topic_settings(topic, PRODUCTION)["message.timestamp.type"] for topic in TOPICS} == {"LogAppendTime"}


def test_a_topic_that_comes_later_gets_what_the_others_have() -> None:
    """Whatever the settings say by now: all of a run lies in partitions of one number."""
    assert count_for(SCORES, {RUNS.name: 4, ANSWERS.name: 4}, PRODUCTION) == 4


def test_topics_that_differ_are_refused_by_name() -> None:
    """With both counts, and what to do; those that are alike, or not there yet, are not, and a pool's may have any number."""
    counts = {topic.name: 4 for topic in SHARED} | {jobs_topic("default").name: JOB_PARTITIONS}
    check_counts(counts)
    check_counts({})
    with pytest.raises(Permanent, match=rf"{RUNS.name} has 4, {SCORES.name} 8.*made anew"):
        check_counts({RUNS.name: 4, SCORES.name: 8})
    check_counts(counts | {jobs_topic("big").name: 32})


def test_more_acknowledgements_than_copies_are_refused() -> None:
    """With both settings."""
    check_copies(PRODUCTION, replication=3)
    with pytest.raises(Permanent, match="ASSAY_MIN_INSYNC=2 is more than ASSAY_REPLICATION=1"):
        check_copies(PRODUCTION, replication=1)
