"""A stack in which every process has a user of its own, with just its rights: a run goes through it, nobody does another's work, and no
secret that a process was told is found anywhere afterwards."""

import asyncio
import base64
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from infra import secured
from infra.clickhouse import ClickHouse
from infra.embedded.processes import SECRETS, STORES, stack
from infra.kafka import Log
from infra.kafka.acls import OPERATOR, RIGHTS, Acl, acls
from infra.settings import Settings
from infra.text_keys import new_master
from schemas.event import Event
from schemas.measurements import SampleAnswered
from schemas.results import PricePublished
from schemas.trust import AccessChanged
from streams.errors import Unavailable
from streams.topics import ACCESS, ANSWERS, REQUESTS, TOPICS, Topic
from tests.certificates import certificates
from tests.conftest import api_ready, assert_alive, end, ready, settings_in, spawn
from tests.doors import assay
from tests.filled import event
from tests.flow import until, until_row, until_state
from tests.runs import run_named
from tests.sealed import key_of

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(1500)]
OWN = """config.providers=file
config.providers.file.class=org.apache.kafka.common.config.provider.FileConfigProvider
listener.security.protocol.map=CLIENTS:SASL_SSL,CONTROLLER:SASL_SSL
sasl.enabled.mechanisms=PLAIN
sasl.mechanism.inter.broker.protocol=PLAIN
sasl.mechanism.controller.protocol=PLAIN
listener.name.clients.plain.sasl.jaas.config=${{file:{secrets}/broker.properties:jaas}}
listener.name.controller.plain.sasl.jaas.config=${{file:{secrets}/broker.properties:jaas}}
ssl.keystore.type=PEM
ssl.keystore.location={server}
ssl.truststore.type=PEM
ssl.truststore.location={ca}
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:broker
"""
PLACES = (".index", ".timeindex")  # of a log's records alone, and many times as long as what they hold
MARKED = "planted-organisation"  # what must be found, or the search is blind
SEAL_KEY = key_of(7).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
PLANTED = {
    "session_secret": "planted-session-3Zq-which-nobody-guesses", "api_key": "", "oidc_client_secret": "planted-oidc-8Kw",
    "registry_password": "planted-registry-2Xv", "clickhouse_password": "planted-clickhouse-5Rt",
    "master_key": new_master().strip(), "reader_key": "planted-reader-9Lm", "seal_key": SEAL_KEY,
}  # fmt: skip
# What of a secret is looked for: of a key in PEM the key itself.
NEEDLE = {"seal_key": SEAL_KEY.splitlines()[1]}


@dataclass(slots=True)
class Secured:
    """The stack: the settings of each user, and the secrets that were told to somebody."""

    settings: Settings
    secrets: Path
    key: str = ""
    run_id: str = ""
    children: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def of(self, user: str) -> Settings:
        """The settings of a process, with its own password."""
        return self.settings.model_copy(update={"kafka_user": user, "kafka_password_file": self.secrets / "kafka" / user})

    @property
    def needles(self) -> Mapping[str, str]:
        """Every secret by its setting, and the passwords at the broker by their users."""
        kafka = {f"kafka/{user}": (self.secrets / "kafka" / user).read_text().strip() for user in secured.USERS}
        told = {name: NEEDLE.get(name, value) for name, value in PLANTED.items()} | {"api_key": self.key}
        return told | kafka


def binding(told: Acl) -> AclBinding:
    """A right as Kafka's own client has it."""
    return AclBinding(
        {"topic": ResourceType.TOPIC, "group": ResourceType.GROUP, "cluster": ResourceType.BROKER}[told.resource], told.name,
        ResourcePatternType.PREFIXED if told.prefixed else ResourcePatternType.LITERAL, f"User:{told.user}", "*",
        {"Read": AclOperation.READ, "Write": AclOperation.WRITE, "Describe": AclOperation.DESCRIBE, "Create": AclOperation.CREATE,
         "All": AclOperation.ALL, "DescribeConfigs": AclOperation.DESCRIBE_CONFIGS,
         "AlterConfigs": AclOperation.ALTER_CONFIGS}[told.operation],
        AclPermissionType.ALLOW,
    )  # fmt: skip


def filter_of(told: Acl) -> AclBindingFilter:
    """What finds a right."""
    one = binding(told)
    return AclBindingFilter(one.restype, one.name, one.resource_pattern_type, one.principal, one.host, one.operation, one.permission_type)


def administrator(of: Secured) -> AdminClient:
    """A client of the broker's own user."""
    return AdminClient({
        "bootstrap.servers": of.settings.kafka, "security.protocol": "SASL_SSL", "ssl.ca.location": str(of.settings.kafka_ca),
        "sasl.mechanism": "PLAIN", "sasl.username": "broker", "sasl.password": of.needles["kafka/broker"],
    })  # fmt: skip


def give_rights(of: Secured) -> None:
    """What the printed commands do."""
    admin = administrator(of)
    for done in admin.create_acls(list(map(binding, acls())), request_timeout=60).values():
        done.result(60)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """Stores and every process, each as its own user; a run through all of them, asked for with an API key."""
    home, keeping = tmp_path_factory.mktemp("secured"), tmp_path_factory.mktemp("secrets")
    ca, server, _ = certificates(keeping / "certificates")
    (home / "kafka").mkdir()
    (home / "kafka" / "own.properties").write_text(OWN.format(ca=ca, server=server, secrets=keeping))
    given = PLANTED | {
        "kafka_security": "SASL_SSL", "kafka_ca": ca, "kafka_mechanism": "PLAIN", "kafka_user": OPERATOR, "registry_ca": ca,
        "kafka_password_file": keeping / "kafka" / OPERATOR, "registry_user": "assay", "registry_certificate": server,
        "api_door": "closed", "oidc_issuer": "http://127.0.0.1:9", "oidc_client_id": "assay", "organisation": MARKED, "agent_id": "agent-1",
        "log_level": "debug", "snapshot_s": 1.0, "lease_s": 6.0, "text_keys": keeping / "texts",
    }  # fmt: skip
    (keeping / "texts").mkdir()
    settings = settings_in(home, **given)
    settings = settings.model_copy(update={"registry": settings.registry.replace("http:", "https:")})
    secured.write(keeping, server=settings.kafka, database=settings.database)
    made = Secured(settings, keeping)
    made.children = {name: spawn(f"infra.embedded.{name}", settings=settings) for name in STORES}
    try:
        until(lambda: _accepts(made))
        give_rights(made)
        asyncio.run(ready(settings, list(made.children.values())))
        for process in stack():
            if process.name not in STORES:
                made.children[process.name] = spawn(*process.module, settings=made.of(process.name))
        api_ready(settings, list(made.children.values()))
        yield made
    finally:
        for child in reversed(made.children.values()):
            end(child)


def _accepts(of: Secured) -> bool:
    assert_alive(list(of.children.values()), of.settings)
    host, _, port = of.settings.kafka.rpartition(":")
    with suppress(OSError):
        socket.create_connection((host, int(port)), 1).close()
        return True
    return False


def answer(of: Secured, path: str, *, method: str = "GET", **told: Any) -> httpx.Response:
    """The API's answer to who has the key."""
    return httpx.request(method, f"{of.settings.api}{path}", headers={"Authorization": f"Bearer {of.key}"}, timeout=60, **told)


def test_a_run_goes_through_with_each_process_s_own_rights(running: Secured) -> None:
    """Asked for by a key, planned, leased, answered, scored, settled, ranked, sealed and projected; nobody was refused anything."""
    running.key = assay(running.settings, "access", "create", "--member", "ann", "--role", "owner")["key"]
    until(lambda: answer(running, "/v1/runs").is_success)
    body = {"model": {"uri": "echo-secured"}, "engine": {"name": "echo"}, "tasks": [{"name": "assay_arithmetic", "limit": 20}],
            "visibility": "private"}  # fmt: skip
    asked = answer(running, "/v1/evaluations", method="POST", json=body)
    assert asked.status_code == 202, asked.text
    running.run_id = asked.json()["run_id"]
    state = asyncio.run(until_state(running.settings, running.run_id, "completed", "failed", "rejected"))
    assert (state["state"], state["expected"]) == ("completed", 20)
    until(lambda: bool(answer(running, f"/v1/runs/{running.run_id}").json().get("seal")))
    asyncio.run(until_row(running.settings, "SELECT run_id FROM ranking_rows WHERE run_id = {r:String}", holds=bool, r=running.run_id))
    for name in ("agents.plan", "agents.score", "agents.settle", "gpu_agent", "query_api", "agents.seal"):
        assert running.children[name].poll() is None
    refused = [
        f"{path.name}: {line[:300]}"
        for path in (running.settings.home / "logs").glob("*.log") if "broker" not in path.name
        for line in path.read_text(errors="replace").splitlines() if "AuthorizationFailed" in line or "log-denies" in line
    ]  # fmt: skip
    assert refused == []


def test_what_is_in_the_log_was_written_by_whom_the_table_names(running: Secured) -> None:
    """Each event says which process made it; the operator's keys and the tests' own aside."""

    async def act() -> dict[str, set[str]]:
        found = dict[str, set[str]]()
        async with Log(running.of(OPERATOR), client_id="test", attempts=1) as log:
            async for record in log.read(TOPICS):
                if record.event and record.event.producer.service in RIGHTS:
                    found.setdefault(record.event.producer.service, set()).add(record.place.topic)
        return found

    found = asyncio.run(act())
    assert found.keys() >= {"agents.plan", "agents.dispatch", "agents.score", "agents.settle", "agents.seal", "gpu_agent", "query_api"}
    assert {user: topics - {one.name for one in RIGHTS[user].writes} for user, topics in found.items()} == {user: set() for user in found}


def refusal(of: Secured, user: str, *, write: Event | None = None, read: Topic | None = None) -> str:
    """What a user is told that says or reads what is another's."""

    async def act() -> None:
        async with Log(of.of(user), client_id="test", attempts=1, patience_s=60) as log:
            if write is not None:
                await log.publish(write)
            if read is not None:
                async with asyncio.timeout(60):
                    async for _ in log.read([read]):
                        pass

    with pytest.raises(Unavailable) as told:
        asyncio.run(act())
    assert told.value.code == "log-denies"
    return str(told.value)


def test_nobody_does_anothers_work(running: Secured) -> None:
    """An agent makes no keys and publishes no prices, a ranker answers nothing, keys are not read: each is told so, by its user."""
    about = {"mark": "x", "of_run": run_named("r")}
    for user, said in (
        ("gpu_agent", AccessChanged),
        ("gpu_agent", PricePublished),
        ("agents.rank", SampleAnswered),
        ("query_api", AccessChanged),
    ):
        told = refusal(running, user, write=event(said, **about, visibility="public", organisation_id="o", occurred_us=1))
        assert f"does not let user {user} do that" in told and "python -m infra.kafka.acls" in told
    for user, topic in (("gpu_agent", ACCESS), ("agents.rank", ACCESS), ("gpu_agent", ANSWERS)):
        assert f"does not let user {user} do that" in refusal(running, user, read=topic)


@pytest.mark.parametrize(
    ("user", "lacks"), [("agents.rank", ("group", "assay-plan")), ("agents.plan", ("topic", REQUESTS.name))], ids=["group", "topic"]
)
def test_a_processor_without_its_rights_says_so(running: Secured, user: str, lacks: tuple[str, str]) -> None:
    """Of its group, as one under another's user; of a topic, as after an update whose rights nobody gave: by its user, and it waits."""
    if user == "agents.plan":
        withheld = next(one for one in acls([user]) if (one.operation, one.resource, one.name) == ("Read", *lacks))
        admin = administrator(running)
        for done in admin.delete_acls([filter_of(withheld)], request_timeout=60).values():
            done.result(60)
    home = running.settings.home / lacks[0]
    child = spawn("agents", "plan", settings=running.of(user).model_copy(update={"home": home}))
    log = home / "logs" / "agents-plan.log"
    try:
        until(lambda: log.exists() and "AuthorizationFailed" in log.read_text(errors="replace"))
        assert child.poll() is None
    finally:
        end(child)
    line = next(one for one in log.read_text(errors="replace").splitlines() if "AuthorizationFailed" in one)
    assert f"does not let user {user} do that" in line and lacks[1] in line and "infra.kafka.acls" in line, line


def places(of: Secured) -> Iterator[tuple[str, bytes]]:
    """Everything that a person or a program could look at after a run, by its name."""
    for path in sorted(one for one in of.settings.home.rglob("*") if one.is_file() and one.suffix not in PLACES):
        with suppress(FileNotFoundError):  # a segment that was rolled meanwhile
            yield f"file {path.relative_to(of.settings.home)}", path.read_bytes()
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            yield f"process {process.pid}", "\0".join(process.cmdline()).encode(errors="replace")

    async def events() -> list[tuple[str, bytes]]:
        async with Log(of.of(OPERATOR), client_id="test", attempts=1) as log:
            return [(f"event {r.place}", repr(r.event.model_dump()).encode()) async for r in log.read(TOPICS) if r.event]

    async def rows() -> list[tuple[str, bytes]]:
        async with ClickHouse(of.settings) as clickhouse:
            # States of aggregates are hashes and sums, which no client reads.
            columns = await clickhouse.query(
                "SELECT table, groupArray(name) AS names FROM system.columns WHERE database = currentDatabase() "
                "AND NOT startsWith(type, 'AggregateFunction') GROUP BY table"
            )
            asked = {row["table"]: ", ".join(f"`{name}`" for name in row["names"]) for row in columns}
            return [
                (f"table {name}", repr(await clickhouse.query(f"SELECT {told} FROM `{name}`")).encode()) for name, told in asked.items()
            ]

    yield from asyncio.run(events())
    yield from asyncio.run(rows())
    for asked in ("/", "/metrics", "/v1/runs", f"/v1/runs/{of.run_id}", f"/runs/{of.run_id}", "/acts", "/v1/acts", "/nowhere",
                 "/v1/runs/none", "/v1/runs?limit=x", "/signin/leave", "/openapi.json", "/healthz"):  # fmt: skip
        told = answer(of, asked)
        yield f"answer {asked}", told.content + repr(told.headers).encode()
    bare = httpx.get(f"{of.settings.api}/v1/runs", headers={"Authorization": f"Bearer {of.key[:-1]}!"}, timeout=60)
    yield "answer to a wrong key", bare.content


class Search:
    """What was found of some secrets, and in which kinds of places any of the marks was, which must be found."""

    def __init__(self, needles: Mapping[str, str], *, marks: tuple[str, ...]) -> None:
        assert all(len(value) >= 16 for value in needles.values())
        shown = f"assay:{needles['registry_password']}".encode()
        self._needles = {name: value.encode() for name, value in needles.items()} | {"registry, as shown": base64.b64encode(shown)}
        self._marks = tuple(one.encode() for one in marks)
        self.found: list[tuple[str, str]] = []
        self.marked: set[str] = set()

    def look(self, name: str, content: bytes) -> None:
        """Looks through one place."""
        self.found += [(what, name) for what, value in self._needles.items() if value in content]
        self.marked |= {name.partition(" ")[0]} if any(one in content for one in self._marks) else set()


def test_no_secret_is_found_anywhere_after_a_run(running: Secured) -> None:
    """Not in logs, events, tables, snapshots, answers, error pages or command lines: of no setting that is one; stores away too."""
    assert PLANTED.keys() == SECRETS.keys()
    assert running.run_id and running.key
    with pytest.raises(Unavailable):
        asyncio.run(_published_by_a_stranger(running))
    search = Search(running.needles, marks=(MARKED, running.run_id))
    for name, content in places(running):
        search.look(name, content)
    end(running.children["clickhouse"])
    until(lambda: answer(running, "/v1/runs").status_code == 503)
    later = [(f"answer {path}, ClickHouse away", answer(running, path).content) for path in ("/", "/v1/runs", "/readyz")]
    later += [(f"log {path.name}", path.read_bytes()) for path in (running.settings.home / "logs").glob("*.log")]
    for name, content in later:
        search.look(name, content)
    assert search.marked >= {"file", "event", "table", "answer"}, search.marked
    assert search.found == []


async def _published_by_a_stranger(of: Secured) -> None:
    """One whose password is another's: what is said of that is looked through too."""
    other = of.settings.model_copy(update={"kafka_user": "agents.plan", "kafka_password_file": of.secrets / "kafka" / "gpu_agent"})
    async with Log(other, client_id="test", attempts=1):
        pass
