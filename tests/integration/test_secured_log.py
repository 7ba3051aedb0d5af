"""A broker that wants TLS, a certificate and a password, and whose topics were made with other settings: every client works with it."""

import asyncio
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient, ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion

from infra.identity import producer
from infra.kafka import Log
from infra.kafka.administering import Administering
from infra.kafka.connection import Connection
from infra.kafka.quotas import quotas
from infra.retrying import until_available
from infra.settings import Settings
from schemas.requests import CancellationRequested
from streams.errors import Unavailable
from streams.topics import CANCELLATIONS, RUNS, TOPICS, jobs_topic
from tests.certificates import certificates
from tests.conftest import assert_alive, end, settings_in, spawn
from tests.flow import PATIENCE_S
from tests.integration.test_batches import until_recorded, worker
from tests.runs import run_named

pytestmark = [pytest.mark.integration, pytest.mark.slow]
PASSWORD = "the right one"
OWN = """listener.name.clients.ssl.client.auth=required
ssl.keystore.type=PEM
ssl.keystore.location={server}
ssl.truststore.type=PEM
ssl.truststore.location={ca}
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
sasl.mechanism.inter.broker.protocol=PLAIN
listener.name.clients.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \\
  username="broker" password="broker's" user_broker="broker's" user_assay="{password}";
listener.name.clients.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
"""


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings of a broker by SASL_SSL, and of a registry; its topics get three partitions."""
    home = tmp_path_factory.mktemp("secured")
    ca, server, client = certificates(home / "certificates")
    (home / "password").write_text(PASSWORD)
    (home / "kafka").mkdir()
    (home / "kafka" / "own.properties").write_text(OWN.format(ca=ca, server=server, password=PASSWORD))
    settings = settings_in(
        home, kafka_security="SASL_SSL", kafka_ca=ca, kafka_mechanism="PLAIN", kafka_user="assay", kafka_password_file=home / "password",
        kafka_certificate=client, partitions=3,
    )  # fmt: skip
    children = [spawn(f"infra.embedded.{name}", settings=settings) for name in ("broker", "registry")]

    async def there() -> None:
        async with asyncio.timeout(PATIENCE_S), Log(settings, client_id="test") as log:
            assert_alive(children, settings)
            await until_available(log.create_topics, what="topics")

    try:
        asyncio.run(there())
        yield settings
    finally:
        for child in children:
            end(child)


def event() -> CancellationRequested:
    """One of a run of its own."""
    return CancellationRequested(occurred_us=1, producer=producer("test"), run_id=run_named(uuid.uuid4()), by="test")


async def written_and_read(settings: Settings) -> None:
    """Producer, consumer and admin do their work."""
    async with Log(settings, client_id="test", attempts=1) as log:
        place, ends = await log.publish(event()), await log.ends([CANCELLATIONS])
        assert [r.place async for r in log.read_span(CANCELLATIONS, partition=place.partition, first=place.offset, last=place.offset)] == [
            place
        ]
        assert await until_available(lambda: log.committed("nobody", list(ends)), what="groups", give_up_after=20) == {}


def refusal(settings: Settings, **other: Any) -> str:
    """What a client with these other settings is told."""

    async def act() -> None:
        await written_and_read(settings.model_copy(update=other))

    with pytest.raises(Unavailable) as told:
        asyncio.run(act())
    return str(told.value)


def test_every_client_of_the_log_proves_itself(secured: Settings) -> None:
    """With TLS, its certificate and the password of the file."""
    asyncio.run(written_and_read(secured))


def test_a_processor_proves_itself(secured: Settings) -> None:
    """Faust's clients too: what is published is handled."""
    group = f"secured-{uuid.uuid4().hex}"

    async def act() -> None:
        async with Log(secured, client_id="test") as log:
            place = await log.publish(event())
        with worker(secured, group, secured.home / group):
            await until_recorded([secured.home / group], [place])

    asyncio.run(act())


def test_a_password_can_be_proved_without_being_sent(secured: Settings) -> None:
    """By SCRAM, for a user that was added meanwhile."""
    admin = AdminClient({
        "bootstrap.servers": secured.kafka, "security.protocol": "SASL_SSL", "ssl.ca.location": str(secured.kafka_ca),
        "ssl.certificate.location": str(secured.kafka_certificate), "ssl.key.location": str(secured.kafka_certificate),
        "sasl.mechanism": "PLAIN", "sasl.username": "assay", "sasl.password": PASSWORD,
    })  # fmt: skip
    info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
    done = admin.alter_user_scram_credentials([UserScramCredentialUpsertion("later", info, b"another")])
    done["later"].result(30)
    settings = {"kafka_user": "later", "kafka_password_file": None, "kafka_mechanism": "SCRAM-SHA-512"}
    given = secured.model_dump() | settings | {"kafka_password": "another"}
    asyncio.run(written_and_read(Settings.model_validate(given)))


def test_who_is_refused_reads_what_to_do(secured: Settings) -> None:
    """By the setting that is wrong, and never with a password."""
    wrong = secured.home / "wrong"
    wrong.write_text("the wrong one")
    told = refusal(secured, kafka_password_file=wrong)
    assert "refuses this client" in told and "check ASSAY_KAFKA_PASSWORD_FILE of ASSAY_KAFKA_USER=assay" in told
    assert "wrong one" not in told
    assert "set ASSAY_KAFKA_MECHANISM, now SCRAM-SHA-256" in refusal(secured, kafka_mechanism="SCRAM-SHA-256")
    assert "ASSAY_KAFKA_CA, now the system list, must name who signed" in refusal(secured, kafka_ca=None)
    assert "set ASSAY_KAFKA_CERTIFICATE" in refusal(secured, kafka_certificate=None)
    assert "ASSAY_KAFKA_SECURITY, now PLAINTEXT, must be what its listener speaks" in refusal(secured, kafka_security="PLAINTEXT")
    assert "does not answer" in refusal(secured, kafka="127.0.0.1:9")


def test_a_quota_is_set_with_the_topics(secured: Settings) -> None:
    """The broker has it for whoever has none of its own; unset it stays as it is, and another takes its place."""

    async def told(settings: Settings) -> Mapping[str, float]:
        async with Log(settings, client_id="test", attempts=1) as log:
            await log.create_topics()
        async with Administering(Connection(settings, "test")).asking("read quotas") as admin:
            return await quotas(admin)

    async def act() -> None:
        assert await told(secured) == {}
        for asked, found in ((20_000_000, 2e7), (None, 2e7), (30_000_000, 3e7)):
            settings = secured.model_copy(update={"quota_bytes_per_s": asked})
            assert await told(settings) == {"producer_byte_rate": found, "consumer_byte_rate": found}

    asyncio.run(act())


def test_counts_are_the_brokers(secured: Settings) -> None:
    """Three as the settings said when topics were made, whatever they say now; a reader of one partition gets that one alone."""

    async def act() -> None:
        other, pool = secured.model_copy(update={"partitions": 8}), jobs_topic("counted")
        async with Log(other, client_id="test", attempts=1) as log:
            await log.create_topics((*TOPICS, pool))
            assert await log.partitions([RUNS, pool]) == {RUNS.name: 3, pool.name: 16}
            assert sorted(await log.ends([RUNS])) == [(RUNS.name, partition) for partition in range(3)]
            places = [await log.publish_to(event(), partition=partition) for partition in (0, 1, 1, 2)]
            since = {(place.topic, place.partition): place.offset for place in reversed(places)}
            followed = log.follow([CANCELLATIONS], since=since, partitions=[1])
            async with asyncio.timeout(PATIENCE_S):
                assert [(await anext(followed)).place for _ in range(2)] == places[1:3]
            await followed.aclose()
            wide = replace(jobs_topic("wide"), partitions=32)
            await log.create_topics([wide])
            await log.create_topics([jobs_topic("wide")])
            assert await log.partitions([jobs_topic("wide")]) == {wide.name: 32}
            with pytest.raises(Unavailable, match=r"no topic assay\.jobs\.nobody\.v1"):
                await log.ends([jobs_topic("nobody")])

    asyncio.run(act())
