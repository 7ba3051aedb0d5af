"""Labels as CSV files: a template of answers for a person to fill in, and what a filled one says, each row with its line.

A spreadsheet reads a cell that begins as a formula as one, and an answer may be one that a model wrote: the apostrophe before such a cell
(streams/visible.py) is taken off again.

The column check holds a row's texts to what the template had: a label of a text that somebody changed would be given to another.
"""

import csv
import difflib
import hashlib
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from infra.text_files import text_of
from streams.errors import Invalid
from streams.quality.labels import LARGEST, LONGEST_NOTE, Scale, value_of
from streams.visible import in_cell, of_cell

PLACE: Final = ("task", "ordinal", "repeat", "request", "draw")
ASKED: Final = ("task", "ordinal", "label")
TEXTS: Final = ("answer", "other")
COLUMNS: Final = ("run", *PLACE, "swapped", "prompt", *TEXTS, "label", "note", "check")
TRUE, FALSE = frozenset({"yes", "true", "1"}), frozenset({"", "no", "false", "0"})
COMPARED: Final = 10_000  # characters of a text but for spaces; a spreadsheet cuts a cell at 32,767
TOLD: Final = 3  # faults that are told; of more, how many
SEPARATOR: Final = re.compile(r"sep=[,;\t]\r?\n")
COMMA: Final = re.compile(r"(\d+),(\d+)")
OF_THE_API: Final = re.compile(r"labels\.(\d+)(?:\.(\w+))?: (.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Row:
    """A label as the API takes it, and the line on which it begins."""

    line: int
    told: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Filled:
    """What a file says: its labels, and how many rows have none yet."""

    rows: tuple[Row, ...]
    without: int


def template(run_id: str, answers: Iterable[Mapping[str, Any]]) -> str:
    """The CSV of answers for a person to fill in."""
    written = io.StringIO(newline="")
    rows = csv.writer(written)
    told = list(answers)
    columns = [name for name in COLUMNS if name not in ("other", "swapped") or any(one["other"] is not None for one in told)]
    rows.writerow(columns)
    for one in told:
        cells = {"run": run_id, "label": "", "note": ""} | {**one, "swapped": "yes" if one["swapped"] else "no", "check": check_of(one)}
        rows.writerow([in_cell(str(cells[name])) for name in columns])
    return written.getvalue()


def check_of(texts: Mapping[str, str | None]) -> str:
    """What tells a row's texts from others, whatever spreadsheets do to spaces and lines: x, and twelve hex digits of their SHA-256.

    No spreadsheet takes it for a number.
    """
    told = ["".join(of_cell(texts.get(name) or "").split())[:COMPARED] for name in TEXTS]
    return f"x{hashlib.sha256(json.dumps(told).encode()).hexdigest()[:12]}"


def read(path: Path, *, run_id: str, scale: Scale) -> Filled:
    """The labels of a file. Raises: Invalid, with lines and columns of what is wrong in any row."""
    text = text_of(path)
    faults, rows, without, first = list[str](), list[Row](), 0, dict[tuple[Any, ...], int]()
    for line, cells in _records(path, text):
        if not cells["label"].strip():
            without += 1
            continue
        told = _row(cells, scale=scale, run_id=run_id, faults=(own := list[str]()))
        about = (told.get("by", ""), *(told[name] for name in PLACE))
        if not own and first.setdefault(about, line) != line:
            own.append(f"column ordinal: the same answer as in line {first[about]}; leave one out")
        faults += [f"line {line}, {fault}" for fault in own]
        rows.append(Row(line, told))
    if faults:
        more = f"; and {len(faults) - TOLD} more" if len(faults) > TOLD else ""
        raise Invalid(f"{path}, {'; '.join(faults[:TOLD])}{more}", code="label-file")
    if not rows:
        raise Invalid(f"{path} has no label in it: fill in the column label", code="label-file")
    return Filled(tuple(rows), without)


def _records(path: Path, text: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Records below the head, each with the line that it begins on.

    In some countries spreadsheets part cells by semicolons, and text copied from one has tabs; `sep=;` above the head tells Excel which.
    """
    blank = len(text) - len(text.lstrip("\r\n"))
    above, text = text[:blank], text[blank:]
    if told := SEPARATOR.match(text):
        above, text = above + told[0], text[told.end() :]
    head_line = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=head_line.count), strict=True)
    before = len(above.splitlines())
    head, line = list[str](), 1 + before
    try:
        for cells in reader:
            if not head:
                head = _head(path, cells, line)
            elif any(cell.strip() for cell in cells):
                if len(cells) != len(head):
                    raise Invalid(f"{path}, line {line}: {len(cells)} cells under a head of {len(head)}", code="label-file")
                yield line, dict(zip(head, cells, strict=True))
            line = reader.line_num + 1 + before
    except csv.Error as error:
        raise Invalid(f"{path}, line {reader.line_num + before}: no CSV: {error}", code="label-file") from error
    if not head:
        raise Invalid(f"{path} is empty: `assay judge labels {path} --template` writes one to fill in", code="label-file")


def _head(path: Path, cells: Sequence[str], line: int) -> list[str]:
    head = [cell.strip().lower() for cell in cells]
    for name in ASKED:
        if name not in head:
            close = difflib.get_close_matches(name, head, n=1)
            hint = f"; is it {close[0]!r}?" if close else ""
            raise Invalid(f"{path}, line {line}: no column {name!r}{hint}", code="label-file")
    if twice := [name for name in (*COLUMNS, "by") if head.count(name) > 1]:
        raise Invalid(f"{path}, line {line}: column {twice[0]!r} comes twice", code="label-file")
    return head


def _row(cells: Mapping[str, str], *, scale: Scale, run_id: str, faults: list[str]) -> dict[str, Any]:
    """A label as the API takes it; what is wrong goes to `faults`."""
    told: dict[str, Any] = {"task": of_cell(cells["task"].strip()), "note": of_cell(cells.get("note", "")).strip()}
    if cells.get("run", "").strip() not in ("", run_id):
        faults.append(f"column run: this row is about run {cells['run'].strip()!r}, not {run_id}")
    if _is_changed(cells):
        faults.append(
            "column answer: somebody changed a text in this row, and the label would be given to the text as it was: put that back"
        )
    if not told["task"]:
        faults.append("column task: it is empty")
    for name in PLACE[1:]:
        told[name] = _whole(cells.get(name, "0" if name != "ordinal" else ""), name, faults)
    swapped = cells.get("swapped", "").strip().lower()
    if swapped not in TRUE | FALSE:
        faults.append(f"column swapped: {cells['swapped']!r}; write yes or no")
    told["swapped"] = swapped in TRUE
    told["label"] = COMMA.sub(r"\1.\2", of_cell(cells["label"]).strip())
    try:
        value_of(told["label"], scale, swapped=False)
    except Invalid as error:
        faults.append(f"column label: {error}")
    if len(told["note"]) > LONGEST_NOTE:
        faults.append(f"column note: {len(told['note'])} characters; {LONGEST_NOTE} are the most")
    return told | ({"by": by} if (by := of_cell(cells.get("by", "")).strip()) else {})


def _is_changed(cells: Mapping[str, str]) -> bool:
    """The texts are not those that the row was written with; not told where it has no check, or the file no texts."""
    check, texts = cells.get("check", "").strip(), {name: cells[name] for name in TEXTS if name in cells}
    return bool(check and "answer" in texts) and check_of(texts) != check


def _whole(cell: str, name: str, faults: list[str]) -> int:
    """A whole number; a spreadsheet may have made 3.0 of 3."""
    word = cell.strip().removesuffix(".0") or ("" if name == "ordinal" else "0")
    if word.isascii() and word.isdigit() and int(word) < LARGEST:
        return int(word)
    faults.append(f"column {name}: {cell!r} is no whole number")
    return -1


def placed(error: Invalid, path: Path, rows: Sequence[Row]) -> Invalid:
    """What the API says of an entry, told with the file's line and column."""
    found = OF_THE_API.fullmatch(str(error))
    if found is None:
        return error
    number, field, message = found.groups()
    column = f", column {field}" if field else ""
    return Invalid(f"{path}, line {rows[int(number)].line}{column}: {message}", code=error.code)
