"""The documents name what there is: every topic, event, setting, make target; and the two commands stand first."""

import re
from pathlib import Path

import pytest

from infra.describe import example, settings_page, shown
from infra.harness.metrics.registry import FAMILIES
from infra.settings import Settings
from schemas.catalogue import EVENTS
from streams.projection import name_of
from streams.topics import TOPICS, Topic, jobs_topic

ROOT = Path(__file__).parents[2]
LONGEST_README = 150


def text(*parts: str) -> str:
    """A document."""
    return ROOT.joinpath(*parts).read_text()


def test_readme_is_short_and_begins_with_the_two_commands() -> None:
    """Whoever arrives can begin."""
    lines = text("README.md").splitlines()
    assert len(lines) < LONGEST_README
    commands = [line.split("#")[0].strip() for line in lines[:12] if line.startswith("    make")]
    assert commands == ["make demo", "make test"]


@pytest.mark.parametrize("topic", [topic for topic in TOPICS if topic.name != jobs_topic("default").name], ids=lambda topic: topic.name)
def test_the_architecture_names_every_topic_and_event(topic: Topic) -> None:
    """In the life of an evaluation, or among what comes later."""
    told = text("ARCHITECTURE.md")
    assert f"`{topic.name}`" in told
    assert f"`{topic.event.__name__}" in told


def test_every_event_has_a_topic_and_a_table_that_is_named() -> None:
    """None is written nowhere."""
    told = text("docs", "tables.md")
    assert {topic.event for topic in TOPICS} == set(EVENTS.values())
    assert [name_of(topic) for topic in TOPICS if f"`{name_of(topic)}`" not in told] == []


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_described_with_itsshown(name: str) -> None:
    """In docs/settings.md and in .env.example."""
    info = Settings.model_fields[name]
    assert f"| `ASSAY_{name.upper()}` | `{shown(info.default)}` | {info.description} |" in text("docs", "settings.md")
    assert text("docs", "settings.md") == settings_page()
    assert text(".env.example") == example()


def test_no_setting_is_described_that_is_not_there() -> None:
    """A renamed one leaves no ghost."""
    known = {f"ASSAY_{name.upper()}" for name in Settings.model_fields}
    assert set(re.findall(r"\bASSAY_[A-Z_]+", text(".env.example"))) == known


def test_every_metric_beside_a_tasks_own_is_described() -> None:
    """By the name that it is asked for, with its figures."""
    told = text("docs", "metrics.md")
    rows = {name: line for name in FAMILIES for line in told.splitlines() if line.startswith(f"| `{name}` |")}
    assert rows.keys() == FAMILIES.keys()
    assert [metric.name for name, family in FAMILIES.items() for metric in family if f"`{metric.name}`" not in rows[name]] == []


def test_make_help_lists_every_target() -> None:
    """Each has its sentence."""
    told = text("Makefile")
    targets = set(re.search(r"^\.PHONY: (.+)$", told, re.MULTILINE)[1].split())  # type: ignore[index]
    described = set(re.findall(r"^([a-z-]+):.*## ", told, re.MULTILINE))
    assert targets == described


def test_every_promise_of_trust_names_a_test_that_is_there() -> None:
    """By its file and its name, or a benchmark by its target."""
    told = text("docs", "trust.md").partition("## Promises")[2]
    rows = [line for line in told.splitlines() if line.startswith("| ") and not line.startswith(("| promise", "| ---"))]
    assert all("::test_" in row or "`make bench-" in row for row in rows)
    file, missing = "", list[str]()
    for name, test in re.findall(r"`(\w+\.py|…)::(test_\w+)`", told):
        file = file if name == "…" else name
        (path,) = (ROOT / "tests").glob(f"*/{file}")
        missing += [test] if f"def {test}(" not in path.read_text() else []
    assert missing == []


def test_decision_records_are_numbered_without_gaps() -> None:
    """And each has its reasons."""
    records = sorted((ROOT / "docs" / "adr").glob("*.md"))
    assert [int(path.name[:4]) for path in records] == list(range(1, len(records) + 1))
    assert all("**Why.**" in path.read_text() for path in records)
