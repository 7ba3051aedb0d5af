"""What a secured stack is made of: `python -m infra.secured FOLDER` draws a password for every user, and writes what the stores are told.

<folder>/kafka/<user>            the password of each process at the broker, of the operator and of the broker itself
<folder>/broker.properties       the same for the broker (`jaas`), which reads it by Kafka's FileConfigProvider
<folder>/kafka-acls.sh           the commands that give each process its rights (infra/kafka/acls.py)
<folder>/admin.properties        how these commands sign in there, as the broker's own user
<folder>/registry, clickhouse-default, clickhouse-project, clickhouse-api       passwords
<folder>/master.key              the master key of private texts (docs/privacy.md)
<folder>/clickhouse-users.sql    the statements that make ClickHouse's users (infra/clickhouse_users.py)

What is there stays: whoever asks again adds what lacks. What follows from it is written anew, for every agent that has a password here, and
with the mode that the file has. Certificates are the operator's to bring (docs/security.md).
Source: KIP-421 and KIP-297 (config providers); Apache Kafka 4.1 documentation, 7.3 SASL/PLAIN.
"""

import argparse
import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from infra import clickhouse_users
from infra.clickhouse_users import API, PROJECT
from infra.kafka.acls import AGENT, OPERATOR, RIGHTS, acls, commands
from infra.settings import Settings
from infra.text_keys import new_master
from infra.whole_files import put
from streams.errors import Invalid

BROKER: Final = "broker"
USERS: Final = (*RIGHTS, OPERATOR, BROKER)
PLAIN: Final = "org.apache.kafka.common.security.plain.PlainLoginModule"
PASSWORD: Final = re.compile(r"[!#-&(-\[\]-~]+")  # what stands between quotes in a line of JAAS as itself: no quote, backslash, or space


def write(folder: Path, *, server: str, database: str, agents: Sequence[str] = ()) -> None:
    """Writes what lacks. `server`: the broker, as the commands name it. `agents`: more that get a user of their own. Raises: Invalid."""
    there = {path.name for path in (folder / "kafka").glob(f"{AGENT}.*")}
    own = sorted({*there, *(f"{AGENT}.{name}" for name in agents)})
    rights = list(acls((*RIGHTS, OPERATOR, *own)))
    passwords = {user: _password(folder / "kafka" / user) for user in (*USERS, *own)}
    _kept(folder / "broker.properties", f"jaas={jaas(passwords)}\n", anew=True)
    _kept(folder / "kafka-acls.sh", _lines(commands(server, told=rights)), anew=True)
    _kept(folder / "admin.properties", _lines(admin(passwords[BROKER])), anew=True)
    _kept(folder / "master.key", new_master())
    for name in ("registry", "clickhouse-default"):
        _password(folder / name)
    statements = [f"CREATE DATABASE IF NOT EXISTS `{database}`"]
    for user, name in ((PROJECT, "clickhouse-project"), (API, "clickhouse-api")):
        statements += clickhouse_users.statements(user, _password(folder / name), database=database, salt=secrets.token_hex(16))
    _kept(folder / "clickhouse-users.sql", _lines(f"{one};" for one in statements), anew=True)


def jaas(passwords: dict[str, str]) -> str:
    """Who may sign in at the broker, as it reads it; itself among them, for it asks itself too."""
    known = " ".join(f'user_{user}="{password}"' for user, password in passwords.items())
    return f'{PLAIN} required username="{BROKER}" password="{passwords[BROKER]}" {known};'


def admin(password: str) -> Iterator[str]:
    """Settings of Kafka's own tools, for the broker's user, in containers (docker-compose.secure.yml)."""
    yield "security.protocol=SASL_SSL"
    yield "sasl.mechanism=PLAIN"
    yield f'sasl.jaas.config={PLAIN} required username="{BROKER}" password="{password}";'
    yield "ssl.truststore.type=PEM"
    yield "ssl.truststore.location=/run/secrets/ca.pem"


def _lines(told: Iterable[str]) -> str:
    return "".join(f"{one}\n" for one in told)


def _password(path: Path) -> str:
    """That of a file; drawn where there is none: 32 random bytes. Raises: Invalid."""
    _kept(path, secrets.token_urlsafe(32) + "\n")
    try:
        told = path.read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"the password in {path} cannot be read ({type(error).__name__})", code="password") from error
    if not PASSWORD.fullmatch(told):
        raise Invalid(
            f"{path} holds no password that every store takes: one line of ASCII letters, digits and signs, without spaces, quotes and "
            "backslashes; take the file away, and one is drawn", code="password",
        )  # fmt: skip
    return told


def _kept(path: Path, text: str, *, anew: bool = False) -> None:
    """A file with that text, at first of mode 0600; one that is there stays, or with `anew` its mode: containers' users may read it."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    there = path.exists()
    if anew or not there:
        put(path, text.encode(), first=not anew, mode=path.stat().st_mode & 0o777 if there else 0o600)


def main() -> None:
    """Writes them."""
    parser = argparse.ArgumentParser("python -m infra.secured", description="Draws what a secured stack's processes show their stores.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--server", default="broker:9092", help="the broker, as kafka-acls.sh reaches it")
    parser.add_argument("--agent", action="append", default=[], metavar="NAME", help="an agent that gets a user of its own, gpu_agent.NAME")
    told = parser.parse_args()
    try:
        write(told.folder, server=told.server, database=Settings().database, agents=told.agent)
    except Invalid as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
