"""Hostile texts wherever they are shown: no terminal obeys them, no log has a line of theirs, no table or page a markup."""

import io
import json
import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import structlog

from infra.logging import configure
from infra.settings import Settings
from query_api.cli import showing
from query_api.drawing.calculating import as_markdown
from streams.visible import in_cell, in_json, in_line, of_cell, plain

ROOT = Path(__file__).parents[2]
CLEARS, TITLE, TURNED, OTHER_LINE = "\x1b[2J", "\x9d0;title\x07", "evil\u202etxt.exe", 'ok\n{"event": "forged"}'
HOSTILE = f"{CLEARS}{TITLE}{TURNED}\x7f{OTHER_LINE}\r"
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@contextmanager
def logging_to(out: io.StringIO) -> Iterator[None]:
    """Logs are written there meanwhile."""
    root = logging.getLogger()
    handlers, level, stderr = root.handlers[:], root.level, sys.stderr
    root.handlers.clear()
    sys.stderr = out
    try:
        yield
    finally:
        sys.stderr = stderr
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.reset_defaults()
        structlog.contextvars.clear_contextvars()


def test_nothing_that_a_terminal_would_obey_is_left() -> None:
    """In texts lines and tabs stay; in a line neither does; nothing else is changed."""
    assert OBEYED.search(HOSTILE) and not OBEYED.search(plain(HOSTILE)) and not OBEYED.search(in_line(HOSTILE))
    assert plain("a\tb\nc é 漢 😀 ‑") == "a\tb\nc é 漢 😀 ‑"
    assert "\n" not in in_line(OTHER_LINE) and in_line("é 漢 😀") == "é 漢 😀"


def test_a_line_is_one_whoever_parts_lines() -> None:
    """By every letter at which any reader does: Unicode's separators too."""
    for code in range(0x2100):
        assert len(in_line(f"a{chr(code)}b").splitlines()) == 1
    assert in_line("a\u2028b\u2029c") == "a␤b␤c" and plain("a\u2028b") == "a␤b"
    assert in_json('{"a": "b\u2028c"}') == '{"a": "b\\u2028c"}'


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])
def test_a_cell_is_no_formula_and_comes_back(first: str) -> None:
    """By whatever letter a spreadsheet knows one, the wide ones of East Asia too."""
    text = f"{first}1+cmd|' /C calc'!A0"
    assert in_cell(text) == f"'{text}" and of_cell(in_cell(text)) == text
    assert in_cell(f"a{text}") == of_cell(f"a{text}") == f"a{text}" and of_cell("'quoted'") == "'quoted'"


def test_every_csv_guards_its_cells() -> None:
    """Who writes one writes its texts by that."""
    writers = [path for folder in ("infra", "query_api", "streams", "agents") for path in (ROOT / folder).rglob("*.py")
               if "csv.writer(" in (told := path.read_text()) or "csv.DictWriter(" in told]  # fmt: skip
    assert {path.name for path in writers} == {"label_files.py", "calculating.py"}
    assert all("in_cell(" in path.read_text() for path in writers)


def test_a_json_document_says_the_same_and_commands_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """It may be read by a program, or by a person's terminal."""
    showing.document({"output": HOSTILE})
    told = capsys.readouterr().out
    assert not OBEYED.search(told.rstrip("\n")) and json.loads(told) == {"output": HOSTILE}
    assert in_json('{"a": "é 漢"}') == '{"a": "é 漢"}'


@pytest.mark.parametrize("as_json", [True, False])
def test_a_log_line_is_one_line_whatever_it_quotes(as_json: bool) -> None:
    """Ours, and a library's, also where that tells of an error."""
    out = io.StringIO()
    with logging_to(out):
        configure(Settings(log_json=as_json), process="p")
        structlog.get_logger().info("batch", run_id=HOSTILE, took_s=1.0)
        logging.getLogger("a library").warning("it said %s", HOSTILE)
        try:
            raise ValueError(HOSTILE)
        except ValueError:
            logging.getLogger("another library").exception("it broke over %s", OTHER_LINE)
    lines = re.sub("\x1b\\[[0-9;]*m", "", out.getvalue()).split("\n")  # colours are the console's own
    assert not any(OBEYED.search(line) for line in lines)
    assert ["batch" in lines[0], "it said" in lines[1], "it broke over" in lines[2]] == [True] * 3
    assert lines[3] == "Traceback (most recent call last):"


def test_a_table_in_markdown_has_no_markup_of_others() -> None:
    """Who wrote an input may not be who pastes the table."""
    source = "<img src=x onerror=alert(1)> | [a](javascript:b) `c`\n# head"
    found = {"figures": [{"figure": "rent", "value": 1.0, "unit": "USD", "formula": "", "source": source, "opened": []}], "undefined": {}}
    row = as_markdown(found).splitlines()[-1]
    assert len(re.findall(r"(?<!\\)\|", row)) == 6
    assert not re.search(r"(?<!\\)[<>\[\]`#(]", row) and "onerror" in row


def test_the_command_line_shows_no_text_of_others_as_it_is() -> None:
    """Whatever is echoed there is ours, or made plain; all else goes by showing.py."""
    ours = ("context.get_help()", "drawn.text", "new_master()", "public.hex()", "plain(", ".pem")
    told = [line.strip() for path in (ROOT / "query_api" / "cli").glob("*.py") for line in path.read_text().splitlines()
            if re.search(r"\b(typer\.echo|print|sys\.stdout\.write)\(", line) and path.name != "showing.py"]  # fmt: skip
    assert told and [line for line in told if not any(one in line for one in ours)] == []
