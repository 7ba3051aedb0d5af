"""Files that people name are read whole or not at all: what is no text is told with its line, and what has no end ends nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra.prices import rows_of
from infra.text_files import lines_of, text_of
from query_api.cli.external_files import document_of
from query_api.cli.request_files import from_file
from query_api.cli.task_files import tasks_in
from query_api.cli.trace_files import packed
from streams.errors import Invalid

ENDLESS = Path("/dev/zero")
READERS: dict[str, Callable[[Path], Any]] = {
    "task": lambda path: tasks_in([path], trust_code=False), "request": from_file, "trace": packed, "price": rows_of,
    "result": document_of,
}  # fmt: skip


@pytest.mark.parametrize("reader", READERS)
def test_a_file_without_end_is_refused_by_every_reader(reader: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("query_api.cli.external_files.MOST_BYTES", 2**20)
    with pytest.raises(Invalid, match=r"^/dev/zero(, line 1: it)? has more than (1|4|64) MiB, which are the most; is it the file"):
        READERS[reader](ENDLESS)


@pytest.mark.parametrize("reader", sorted(READERS.keys() - {"result"}))
@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("task: x\n".encode("utf-16"), ", line 1: it is UTF-16; save the file as UTF-8"),
        (b"a: b\nc: caf\xe9\n", ", line 2: it is not UTF-8 (byte 7 of the line is 0xe9); save the file as UTF-8"),
    ],
)
def test_another_encoding_is_told_with_its_line(reader: str, body: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(body if reader != "trace" else body.replace(b"a: b", b'{"timestamp": 0, "input_length": 1, "output_length": 1}'))
    with pytest.raises(Invalid) as caught:
        READERS[reader](path)
    assert str(caught.value) == f"{path}{says}"


@pytest.mark.parametrize("reader", READERS)
def test_a_file_that_is_not_there_is_told_alike(reader: str, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=f"^there is no file {tmp_path}/none.yaml$"):
        READERS[reader](tmp_path / "none.yaml")
    with pytest.raises(Invalid, match="x\0y cannot be read: embedded null byte"):
        text_of("x\0y")


def test_marks_and_ends_of_lines_are_read_as_text(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"\xef\xbb\xbfa\r\nb\rc\n")
    assert text_of(path, most_bytes=10) == "a\nb\nc\n"
    assert list(lines_of(path)) == ["a\n", "b\rc\n"]
    with pytest.raises(Invalid, match="a has more than 0 MiB"):
        text_of(path, most_bytes=9)


@pytest.mark.parametrize("leaning", [f"include: {'x' * 5000}", f"process_docs: !function {'y' * 5000}.f"])
def test_a_name_that_no_file_can_have_is_that_of_none(leaning: str, tmp_path: Path) -> None:
    """Of an include, and of a module."""
    (tmp_path / "a.yaml").write_text(f"task: t\ndataset_path: me/t\ntest_split: test\ndoc_to_text: x\ndoc_to_target: y\n{leaning}\n")
    with pytest.raises(Invalid, match=r"a\.yaml, line 6: .*there is no "):
        tasks_in([tmp_path / "a.yaml"], trust_code=True)
