"""Known weaknesses of locked packages are found by a database in the form of OSV, and nothing else is."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.weaknesses import is_affected, locked, weaknesses

PACKAGES = {("a-package", "1.5"): ["core", "dev"], ("other", "2.0"): ["dev"]}


def advisory(number: int, name: str = "A_Package", **told: Any) -> dict[str, Any]:
    """One of OSV's form."""
    affected = {"package": {"ecosystem": told.pop("ecosystem", "PyPI"), "name": name}, "ranges": [
        {"type": "ECOSYSTEM", "events": told.pop("events", [{"introduced": "0"}, {"fixed": "1.6"}])}]}  # fmt: skip
    return {"id": f"PYSEC-{number}", "aliases": [f"CVE-{number}"], "summary": f"number {number}", "affected": [affected]} | told


@pytest.mark.parametrize(
    ("version", "events", "versions", "hit"),
    [
        ("1.5", [{"introduced": "0"}, {"fixed": "1.6"}], (), True),
        ("1.6", [{"introduced": "0"}, {"fixed": "1.6"}], (), False),
        ("1.10", [{"introduced": "1.9"}, {"last_affected": "1.10"}], (), True),
        ("1.11", [{"introduced": "1.9"}, {"last_affected": "1.10"}], (), False),
        ("2.5", [{"introduced": "0"}, {"fixed": "1.6"}, {"introduced": "2.0"}, {"fixed": "2.6"}], (), True),
        ("1.7", [{"introduced": "0"}, {"fixed": "1.6"}, {"introduced": "2.0"}, {"fixed": "2.6"}], (), False),
        ("3.0", [{"introduced": "2.0"}], (), True),
        ("1.6rc1", [{"introduced": "0"}, {"fixed": "1.6"}], (), True),
        ("9", [{"introduced": "0"}, {"fixed": "1"}], ("9",), True),
    ],
)
def test_a_version_is_affected_as_the_ranges_say(version: str, events: list[dict[str, str]], versions: tuple[str, ...], hit: bool) -> None:
    """By order of versions, and not of texts."""
    assert is_affected(version, {"ranges": [{"type": "ECOSYSTEM", "events": events}], "versions": versions}) is hit


def test_weaknesses_are_found_in_each_kind_of_database(tmp_path: Path) -> None:
    """Whichever way a package is written; of another ecosystem, withdrawn or mended ones are none."""
    told = [advisory(1), advisory(2, "other", ecosystem="npm"), advisory(3, withdrawn="2026-01-01T00:00:00Z"),
            advisory(4, "other", events=[{"introduced": "0"}, {"fixed": "2.0"}]), advisory(5, "unknown")]  # fmt: skip
    folder = tmp_path / "vulns" / "a"
    folder.mkdir(parents=True)
    for one in told[:2]:
        (folder / f"{one['id']}.yaml").write_text(yaml.safe_dump(one))
    for one in told[2:]:
        (folder / f"{one['id']}.json").write_text(json.dumps(one))
    archive = tmp_path / "all.zip"
    with zipfile.ZipFile(archive, "w") as out:
        for one in told:
            out.writestr(f"{one['id']}.json", json.dumps(one))
    for database in (tmp_path / "vulns", archive):
        (found,) = weaknesses(database, PACKAGES)
        assert (found.package, found.version, found.names, found.locks) == (
            "a-package", "1.5", ("PYSEC-1", "CVE-1"), ("core", "dev"),
        )  # fmt: skip
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="holds no advisory"):
        weaknesses(tmp_path / "empty", PACKAGES)


def test_every_package_of_every_lock_is_looked_for() -> None:
    """As many as the locks have lines with a version."""
    found = locked()
    assert {"core", "services", "gpu_agent", "dev", "vllm"} <= {lock for locks in found.values() for lock in locks}
    assert len(found) > 200 and all(name == name.lower() for name, _ in found)
    assert "core" in next(locks for (name, _), locks in found.items() if name == "pydantic")
