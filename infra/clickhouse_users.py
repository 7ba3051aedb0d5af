"""ClickHouse's users, by what each process does there: `python -m infra.clickhouse_users --project FILE --api FILE` prints the statements.

The projector brings the database to its newest schema and inserts; the API reads, and can change nothing; no other process asks
ClickHouse. Both see every row: what the API tells of them goes by who asks (streams/trust/visibility.py). A policy says so for each
table, so that it holds whatever the server's settings say of users without one. Passwords are read from files, and printed as salted
hashes alone. The embedded engine has no users.
Source: ClickHouse documentation, CREATE USER (sha256_hash of the password with the salt behind it), GRANT, CREATE ROW POLICY.
"""

import argparse
import hashlib
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from infra.proving import password_of
from infra.settings import Settings
from streams.errors import Invalid
from streams.projection import table_of
from streams.trust.visibility import OF_RUNS, events

PROJECT, API = "assay_project", "assay_api"
MIGRATES: Final = ("SELECT", "INSERT", "ALTER", "CREATE", "DROP", "TRUNCATE", "OPTIMIZE", "SHOW")
RIGHTS: Final = {PROJECT: MIGRATES, API: ("SELECT", "SHOW")}


def statements(user: str, password: str, *, database: str, salt: str) -> Iterator[str]:
    """The statements that make a user, give it what its process does, and nothing else. `salt`: hexadecimal digits, drawn anew.

    Raises: Invalid without a password, for anybody would be that user.
    """
    if not password:
        raise Invalid(f"ClickHouse's user {user} has an empty password; write one into its file", code="password")
    digest = hashlib.sha256((password + salt).encode()).hexdigest()
    proof = f"IDENTIFIED WITH sha256_hash BY '{digest}' SALT '{salt}'"
    yield f"CREATE USER IF NOT EXISTS `{user}` {proof}"
    yield f"ALTER USER `{user}` {proof} DEFAULT DATABASE `{database}`"
    yield f"REVOKE ALL ON *.* FROM `{user}`"
    yield f"GRANT {', '.join(RIGHTS[user])} ON `{database}`.* TO `{user}`"
    for system in ("databases", "tables", "columns"):  # of these it sees what it may see
        yield f"GRANT SELECT ON system.{system} TO `{user}`"
    for table in sorted({table_of(one).name for one in events()} | set(OF_RUNS)):
        yield f"CREATE ROW POLICY OR REPLACE `{user}` ON `{database}`.{table} USING 1 TO `{user}`"


def main() -> None:
    """Prints them, for an administrator to read and run."""
    parser = argparse.ArgumentParser("python -m infra.clickhouse_users", description="Prints the statements that make ClickHouse's users.")
    parser.add_argument("--project", type=Path, required=True, help="file of the projector's password")
    parser.add_argument("--api", type=Path, required=True, help="file of the query API's password")
    told = parser.parse_args()
    database = Settings().database
    users = {PROJECT: Settings(clickhouse_password_file=told.project), API: Settings(clickhouse_password_file=told.api)}
    try:
        passwords = {user: password_of("clickhouse", settings) for user, settings in users.items()}
        every = [statement for user, password in passwords.items()
                 for statement in statements(user, password, database=database, salt=secrets.token_hex(16))]  # fmt: skip
    except Invalid as error:
        raise SystemExit(str(error)) from error
    sys.stdout.writelines(f"{statement};\n" for statement in (f"CREATE DATABASE IF NOT EXISTS `{database}`", *every))


if __name__ == "__main__":
    main()
