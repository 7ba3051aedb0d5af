"""The released schemas: committed `.avsc` files with fixed ids, held equal to the models.

`python -m schemas.released` writes what changed (`--check` only compares). A released version never changes meaning:
a change that FULL_TRANSITIVE allows becomes the next version, any other needs a `.v2` topic.
"""

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.avro import avro_schema
from schemas.catalogue import EVENTS
from schemas.codec import Codec
from schemas.compatibility import conflicts

FOLDER = Path(__file__).parent / "avsc"
INDEX = FOLDER / "index.json"


@dataclass(frozen=True, slots=True)
class Release:
    """One version of one event's schema; `schema_id` is its id in the embedded registry, for ever."""

    event: str
    version: int
    schema_id: int
    schema: dict[str, Any]


def releases() -> tuple[Release, ...]:
    """Every released version, oldest first."""
    rows = json.loads(INDEX.read_text())["releases"]
    return tuple(Release(schema=json.loads((FOLDER / _name(row)).read_text()), **row) for row in rows)


def released_codec() -> Codec:
    """A codec over the committed ids; what the embedded stack and tests speak."""
    all_releases = releases()
    codec = Codec({release.event: release.schema_id for release in all_releases})
    for release in all_releases:
        codec.learn(release.schema_id, release.schema)
    return codec


def _name(row: dict[str, Any]) -> str:
    return f"{row['event']}.v{row['version']}.avsc"


def stale() -> tuple[str, ...]:
    """The events whose newest released schema differs from the model's."""
    newest = {release.event: release.schema for release in releases()} if INDEX.exists() else {}
    return tuple(name for name, event in EVENTS.items() if newest.get(name) != avro_schema(event))


def _next_version(rows: list[dict[str, Any]], event: str, *, frozen: bool) -> None:
    versions = [row["version"] for row in rows if row["event"] == event]
    if versions and not frozen:
        return
    rows.append({"event": event, "version": len(versions) + 1, "schema_id": len(rows) + 1})


def refused() -> tuple[str, ...]:
    """Why the models' schemas cannot follow the released ones: FULL_TRANSITIVE, with every version."""
    return tuple(
        f"{found} (against version {release.version})"
        for release in releases() for found in conflicts(release.schema, avro_schema(EVENTS[release.event]))
    )  # fmt: skip


def write() -> tuple[str, ...]:
    """Writes what is stale: over its newest version while the index says that nothing is frozen, else as the next one.

    Raises: ValueError where a frozen version and the model cannot read each other.
    """
    changed = stale()
    index: dict[str, Any] = json.loads(INDEX.read_text()) if INDEX.exists() else {"frozen": False, "releases": []}
    if index["frozen"] and (reasons := refused()):
        raise ValueError(f"not FULL_TRANSITIVE: {'; '.join(reasons)}; give new fields a default, or make a .v2 topic")
    for event in changed:
        _next_version(index["releases"], event, frozen=index["frozen"])
        newest = [row for row in index["releases"] if row["event"] == event][-1]
        (FOLDER / _name(newest)).write_text(json.dumps(avro_schema(EVENTS[event]), indent=1) + "\n")
    INDEX.write_text(json.dumps(index, indent=1) + "\n")
    return changed


def main() -> None:
    """Writes or checks the committed schemas; exits 1 where a check finds a difference."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare only")
    if not parser.parse_args().check:
        FOLDER.mkdir(exist_ok=True)
        print("\n".join(write()) or "nothing changed")
        return
    if changed := stale():
        sys.exit(f"schemas/avsc differs from the models in {', '.join(changed)}: run `make schemas` and commit what it writes")


if __name__ == "__main__":
    main()
