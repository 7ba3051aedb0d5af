"""The secured compose file: beside the plain one it gives each process its user and its secrets, as files, and no secret stands in it."""

import re
import shlex
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from infra import secured
from infra.clickhouse import ClickHouse
from infra.clickhouse_users import API, PROJECT
from infra.embedded.processes import SECRETS as SECRETS_TOLD
from infra.embedded.processes import TEXTS
from infra.kafka.acls import OPERATOR, RIGHTS, acls
from infra.kafka.security import security_arguments
from infra.proving import password_of, secret_of
from infra.settings import Settings
from query_api.access.sessions import Sessions
from query_api.cli import main as cli
from streams.errors import Invalid
from streams.topics import ACCESS
from tests.dockerfile import ROOT
from tests.unit.test_deployment import COMPOSE, SERVICES, process_of

TOLD: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.secure.yml").read_text())
ADDED: dict[str, Any] = TOLD["services"]
OURS = {name: service for name, service in ADDED.items() if "build" in SERVICES.get(name, {})}
PROCESSES = {name: service for name, service in OURS.items() if name != "registry"}
SECRETS = {name: one["file"].removeprefix("${SECRETS:-./secrets}/") for name, one in TOLD["secrets"].items()}


def secrets_of(name: str) -> dict[str, str]:
    """What a service finds below /run/secrets, or where else it is told to, and which file that is."""
    told = [{"source": one, "target": one} if isinstance(one, str) else one for one in ADDED[name].get("secrets", ())]
    return {one["target"] if one["target"].startswith("/") else f"/run/secrets/{one['target']}": SECRETS[one["source"]] for one in told}


def settings_of(name: str, folder: Path | None = None) -> Settings:
    """A service's settings as compose merges them, its secrets' files below that folder."""
    environment = {**SERVICES.get(name, {}).get("environment", {}), **ADDED[name]["environment"]}
    plain = {key: re.sub(r"\$\{(\w+):-(.*?)\}", r"\2", str(value)) for key, value in environment.items()}
    files = secrets_of(name) if folder else {}
    given = {
        key.removeprefix("ASSAY_").lower(): str(folder / files[value]) if folder and value in files else value
        for key, value in plain.items()
    }
    return Settings.model_validate(given)


def test_it_adds_to_every_service_and_takes_none_away() -> None:
    """But the one that gives rights, the operator's, and the two other brokers, which are another way."""
    assert ADDED.keys() - SERVICES.keys() == {"rights", "operator"} and ADDED["rights"]["profiles"] == ["secure"]
    assert SERVICES.keys() - ADDED.keys() == {"broker-2", "broker-3"}
    assert ADDED["rights"]["image"] == SERVICES["broker"]["image"]
    assert TOLD.keys() & COMPOSE.keys() <= {"services", "x-texts", "volumes"} and TOLD["volumes"].keys() == {"operator"}
    assert ADDED["operator"]["volumes"] == ["operator:/home/assay/state", "text-keys:/home/assay/text-keys"]


@pytest.mark.parametrize("name", PROCESSES)
def test_each_process_has_its_own_user_and_the_secrets_that_it_needs(name: str, tmp_path: Path) -> None:
    """Its password at the broker, the registry's, the master key where it reads texts, ClickHouse's where it asks that; nothing else."""
    secured.write(tmp_path, server="broker:9092", database="assay")
    settings, process = settings_of(name, tmp_path), process_of(name)
    assert (settings.kafka_user, settings.kafka_security) == (process, "SASL_SSL") and process in RIGHTS
    assert password_of("kafka", settings) == (tmp_path / "kafka" / process).read_text().strip()
    assert password_of("registry", settings) == (tmp_path / "registry").read_text().strip()
    asks = {"query_api": API, "project": PROJECT}.get(name)
    needed = {"ca.pem", "registry", f"kafka/{process}"}
    needed |= {"master.key"} if process in TEXTS else set()
    needed |= {"session-secret", "oidc-client-secret"} if name == "query_api" else set()
    needed |= {{API: "clickhouse-api", PROJECT: "clickhouse-project"}[asks]} if asks else set()
    assert set(secrets_of(name).values()) == needed
    if asks:
        assert settings.clickhouse_user == asks and settings.clickhouse.startswith("https://")
        assert password_of("clickhouse", settings) == (tmp_path / settings.clickhouse_password_file.name).read_text().strip()  # type: ignore[union-attr]
    variables = {**SERVICES[name]["environment"], **ADDED[name]["environment"]}
    paths = [value for value in variables.values() if str(value).startswith("/run/secrets/")]
    assert set(paths) == secrets_of(name).keys()


def test_the_api_takes_its_secrets_from_their_files(tmp_path: Path) -> None:
    """What signs sessions is drawn; the provider's secret is the operator's to bring, and until then there is none."""
    secured.write(tmp_path, server="broker:9092", database="assay")
    settings = settings_of("query_api", tmp_path)
    assert secret_of("session_secret", settings, code="x") == (tmp_path / "session-secret").read_text().strip()
    assert secret_of("oidc_client_secret", settings, code="x") == ""
    (tmp_path / "oidc-client-secret").write_text("the-provider-s\n")
    assert secret_of("oidc_client_secret", settings, code="x") == "the-provider-s"
    assert Sessions(settings) and not (settings.home / "session-secret").exists()


def test_the_operator_s_user_makes_the_first_key(tmp_path: Path) -> None:
    """It alone may write where keys are: a service runs `assay` as it, for one command, with as few privileges as the processes."""
    secured.write(tmp_path, server="broker:9092", database="assay")
    service, settings, like = ADDED["operator"], settings_of("operator", tmp_path), SERVICES["query_api"]
    assert {one.user for one in acls() if one.operation in ("Write", "All") and ACCESS.name.startswith(one.name)} == {settings.kafka_user}
    assert password_of("kafka", settings) == (tmp_path / "kafka" / OPERATOR).read_text().strip() and settings.kafka_user == OPERATOR
    assert password_of("registry", settings) == (tmp_path / "registry").read_text().strip()
    assert service["entrypoint"] == ["python", "-m", cli.__name__] and service["profiles"] == ["operator"]
    for name in ("build", "image", "read_only", "tmpfs", "cap_drop", "security_opt"):
        assert service[name] == like[name]
    for name in ("kafka_security", "kafka_ca", "kafka", "registry", "registry_ca", "registry_user"):
        assert getattr(settings, name) == getattr(settings_of("query_api", tmp_path), name)
    paths = [value for value in service["environment"].values() if str(value).startswith("/run/secrets/")]
    assert set(paths) == secrets_of("operator").keys()
    for page in ("docs/access.md", "docs/security.md"):
        assert "run --rm operator access create --member me --role owner" in (ROOT / page).read_text()


def test_no_secret_stands_in_it() -> None:
    """Every variable that is named as one is empty, or names a file; also of those that the plain file passes on, whatever is set there."""
    merged = {
        (name, variable): value
        for name in ADDED
        for variable, value in ({**SERVICES.get(name, {}).get("environment", {}), **ADDED[name].get("environment", {})}).items()
        if variable.removeprefix("ASSAY_").lower() in SECRETS_TOLD or re.search("PASSWORD|SECRET|MASTER|JAAS|_KEY$", variable)
    }
    assert {key: value for key, value in merged.items() if value and "/run/secrets/" not in value} == {}
    told = {
        (name, variable): value for name, service in ADDED.items() for variable, value in service.get("environment", {}).items()
        if re.search("PASSWORD|SECRET|MASTER|JAAS", variable)
    }  # fmt: skip
    assert {key: value for key, value in told.items() if value and "/run/secrets/" not in value} == {}
    assert set(SECRETS) == {
        one["source"] if isinstance(one, dict) else one for service in ADDED.values() for one in service.get("secrets", ())
    }


def test_what_it_names_is_drawn_or_is_the_operators_to_bring(tmp_path: Path) -> None:
    """Certificates are; what is drawn once stays, is its owner's alone, and no two passwords are alike."""
    secured.write(tmp_path, server="broker:9092", database="assay")
    before = {path: path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    drawn = {str(path.relative_to(tmp_path)) for path in before}
    assert {one for one in SECRETS.values() if one not in drawn} == {"ca.pem", "broker.pem", "registry.pem", "clickhouse.pem"}
    assert drawn - set(SECRETS.values()) == {"kafka/broker"}
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in before)
    brought = tmp_path / "oidc-client-secret"
    passwords = [text for path, text in before.items() if path != brought and ("." not in path.name or path.parent.name == "kafka")]
    assert before[brought] == ""
    brought.write_text("the-provider-s\n")
    assert len(set(passwords)) == len(passwords) and min(map(len, passwords)) > 40
    secured.write(tmp_path, server="broker:9092", database="assay")
    assert {path for path, text in before.items() if path.suffix != ".sql" and path.read_text() != text} == {brought}


def test_the_broker_knows_every_user_by_its_password(tmp_path: Path) -> None:
    """As it reads them; and rights are given to those alone."""
    secured.write(tmp_path, server="broker:9092", database="assay")
    told = (tmp_path / "broker.properties").read_text()
    known = dict(re.findall(r'user_([\w.]+)="([^"]+)"', told))
    assert known == {user: (tmp_path / "kafka" / user).read_text().strip() for user in secured.USERS}
    assert told.startswith("jaas=") and told.count("\n") == 1
    users = {
        shlex.split(line)[shlex.split(line).index("--allow-principal") + 1]
        for line in (tmp_path / "kafka-acls.sh").read_text().splitlines()
    }
    assert users == {f"User:{one.user}" for one in acls()} == {f"User:{user}" for user in known if user != "broker"}
    broker = ADDED["broker"]["environment"]
    assert broker["KAFKA_SUPER_USERS"] == "User:broker" and "PLAINTEXT" not in broker["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"]


def test_addresses_are_those_that_the_stores_listen_at() -> None:
    """By TLS each."""
    assert settings_of("registry").registry == "https://0.0.0.0:8081"
    assert {settings_of(name).registry for name in PROCESSES} == {"https://registry:8081"}
    assert {settings_of(name).clickhouse for name in ("query_api", "project")} == {"https://clickhouse:8443"}
    xml = (ROOT / "infra/images/clickhouse-tls.xml").read_text()
    assert "<https_port>8443</https_port>" in xml and '<http_port remove="1"/>' in xml
    with pytest.raises(Invalid, match=r"ASSAY_KAFKA_CA=/run/secrets/ca\.pem cannot be used"):
        security_arguments(settings_of("plan"))
    assert ClickHouse(settings_of("project")).database == "assay"


def test_an_agent_gets_a_user_of_its_own_where_it_is_named(tmp_path: Path) -> None:
    """Known to the broker, with an agent's rights; what is no name is refused before anything is written."""
    with pytest.raises(Invalid, match="no process is called"):
        secured.write(tmp_path / "none", server="broker:9092", database="assay", agents=["../x"])
    assert not (tmp_path / "none").exists()
    secured.write(tmp_path, server="broker:9092", database="assay", agents=["rack-7"])
    password = (tmp_path / "kafka" / "gpu_agent.rack-7").read_text().strip()
    assert f'user_gpu_agent.rack-7="{password}"' in (tmp_path / "broker.properties").read_text()
    assert (tmp_path / "kafka-acls.sh").read_text().count("User:gpu_agent.rack-7 ") == 4


def test_an_agent_that_has_a_user_keeps_it_when_another_comes(tmp_path: Path) -> None:
    """And when nobody is named; until its password is taken away."""

    def known(*agents: str) -> tuple[set[str], set[str]]:
        secured.write(tmp_path, server="broker:9092", database="assay", agents=agents)
        signing_in = re.findall(r"user_gpu_agent\.([\w-]+)=", (tmp_path / "broker.properties").read_text())
        return set(signing_in), set(re.findall(r"User:gpu_agent\.([\w-]+) ", (tmp_path / "kafka-acls.sh").read_text()))

    assert known("rack-7") == ({"rack-7"}, {"rack-7"})
    both = {"rack-7", "rack-8"}
    assert known("rack-8") == known() == (both, both)
    (tmp_path / "kafka" / "gpu_agent.rack-7").unlink()
    assert known() == ({"rack-8"}, {"rack-8"})
    (tmp_path / "kafka" / "gpu_agent.rack 9").write_text("x")
    with pytest.raises(Invalid, match=r"no process is called 'gpu_agent\.rack 9'"):
        known()


def test_what_is_written_anew_is_read_by_whom_it_was(tmp_path: Path) -> None:
    """Whoever let the containers' users read it does not do so again, and whose alone it was is so still."""
    secured.write(tmp_path, server="broker:9092", database="assay")
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    for path in files:
        path.chmod(0o644)
    (tmp_path / "master.key").chmod(0o600)
    secured.write(tmp_path, server="broker:9092", database="assay")
    assert {path.name: path.stat().st_mode & 0o777 for path in files} == {
        path.name: 0o600 if path.name == "master.key" else 0o644 for path in files
    }
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == set(files)


BAD: Final = (b"", b"\n", b'a"b', b"a'b", b"a\\b", b"a b", b"a\nb", "gehß".encode(), b"\xff")


@pytest.mark.parametrize(("name", "told"), [
    *(("kafka/agents.plan", one) for one in BAD), ("kafka/broker", b""), ("kafka/gpu_agent.rack-7", b""), ("registry", b""),
])  # fmt: skip
def test_what_is_no_password_is_refused_by_its_file(tmp_path: Path, name: str, told: bytes) -> None:
    """An empty one lets anybody in, and a quote would end the broker's line; the file is told, and nothing of what is in it."""
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(told)
    with pytest.raises(Invalid, match=re.escape(str(tmp_path / name))) as refused:
        secured.write(tmp_path, server="broker:9092", database="assay")
    assert b"a" not in told or told.decode() not in str(refused.value)
    assert (tmp_path / "broker.properties").exists() == (name == "registry")
