"""Known weaknesses of what the locks name, by a database that is here: `make weaknesses ADVISORIES=…`, and `make check` with it.

The database is advisories in the form of OSV: a folder of JSON or YAML files (the Python Packaging Authority's advisory-database), or a zip
of JSON files (OSV's own PyPI/all.zip). Nothing is fetched, and no name is told to anybody. What is accepted has its reason below.

Source: Open Source Vulnerability format 1.7 (affected, ranges, versions, withdrawn), and how its events are evaluated.
"""

import argparse
import json
import re
import sys
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

LOCKS: Final = Path(__file__).parents[1] / "infra" / "requirements"
PINNED: Final = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE).findall
ECOSYSTEM: Final = "PyPI"
ACCEPTED: Final[Mapping[str, str]] = {}  # an advisory's id → why it does not concern us


@dataclass(frozen=True, slots=True)
class Found:
    """A weakness of a package that is locked: its names, and in which locks."""

    package: str
    version: str
    names: tuple[str, ...]
    summary: str
    locks: tuple[str, ...]


def locked(folder: Path = LOCKS) -> dict[tuple[str, str], list[str]]:
    """Package and version → the locks that name it."""
    found = defaultdict[tuple[str, str], list[str]](list)
    for path in sorted(folder.glob("*.txt")):
        for name, version in PINNED(path.read_text()):
            found[canonicalize_name(name), version].append(path.stem)
    return dict(found)


def advisories(database: Path) -> Iterator[Mapping[str, Any]]:
    """Every advisory of the database. Raises: ValueError for one that holds none."""
    count = 0
    for name, raw in _files(database):
        told = json.loads(raw) if name.endswith(".json") else yaml.safe_load(raw)
        if isinstance(told, dict) and "affected" in told:
            count += 1
            yield told
    if not count:
        raise ValueError(f"{database} holds no advisory in the form of OSV, as .json or .yaml files, or a zip of .json")


def _files(database: Path) -> Iterator[tuple[str, bytes]]:
    if database.is_file():
        with zipfile.ZipFile(database) as archive:
            yield from ((name, archive.read(name)) for name in archive.namelist() if name.endswith(".json"))
        return
    for path in sorted(database.rglob("*")):
        if path.suffix in (".json", ".yaml") and path.is_file():
            yield path.name, path.read_bytes()


def weaknesses(database: Path, packages: Mapping[tuple[str, str], Sequence[str]]) -> list[Found]:
    """What of the packages the database knows a weakness of, but for what is accepted."""
    by_name = defaultdict[str, list[str]](list)
    for name, version in packages:
        by_name[name].append(version)
    found = []
    for told in advisories(database):
        names = (told["id"], *told.get("aliases", ()))
        if told.get("withdrawn") or ACCEPTED.keys() & set(names):
            continue
        for name, version in sorted(set(_affected(told, by_name))):
            locks = tuple(packages[name, version])
            found.append(Found(name, version, names, str(told.get("summary") or told.get("details", "")).partition("\n")[0][:200], locks))
    return sorted(found, key=lambda one: (one.package, one.names))


def _affected(told: Mapping[str, Any], by_name: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str]]:
    for affected in told["affected"]:
        package = affected.get("package", {})
        name = canonicalize_name(package.get("name", ""))
        if package.get("ecosystem") == ECOSYSTEM:
            yield from ((name, version) for version in by_name.get(name, ()) if is_affected(version, affected))


def is_affected(version: str, affected: Mapping[str, Any]) -> bool:
    """Whether the version is named, or lies in a range: from one that `introduced` it up to the next that `fixed` it, or was the last."""
    if version in affected.get("versions", ()):
        return True
    return any(_in_range(Version(version), one["events"]) for one in affected.get("ranges", ()) if one["type"] == "ECOSYSTEM")


def _in_range(version: Version, events: Sequence[Mapping[str, str]]) -> bool:
    inside = False
    for place, kind in sorted((_version(text), kind) for event in events for kind, text in event.items()):
        if kind == "introduced" and version >= place:
            inside = True
        elif (kind == "fixed" and version >= place) or (kind == "last_affected" and version > place):
            inside = False
    return inside


def _version(text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion:
        return Version("0")  # "0" is before all; what is no version bounds nothing


def main() -> None:
    """Tells them, and ends with 1 where there are any."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database", type=Path)
    packages = locked()
    found = weaknesses(parser.parse_args().database, packages)
    for one in found:
        print(f"{one.package} {one.version} ({', '.join(one.locks)}): {', '.join(one.names)}: {one.summary}")
    print(f"{len(packages)} locked packages, {len(found)} known weaknesses")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
