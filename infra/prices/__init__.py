"""Price books as files: the bundled example, and reading a CSV or JSON file row by row with its lines."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from infra.text_files import MIB, text_of
from streams.errors import Invalid
from streams.once import once

EXAMPLE = Path(__file__).parent / "example-2026.csv"
LARGEST_LIST = 512 * MIB  # of one region and service; larger ones are cut before
DIGITS: Any = {"parse_float": str, "parse_int": str, "parse_constant": str}  # numbers as they are written
Line = tuple[int, dict[str, Any]]


def rows_of(path: Path) -> list[Line]:
    """The prices in a file as texts by field, each with its line. Raises: Invalid, naming file and line."""
    text = text_of(path)
    readers = {".csv": _csv, ".json": _json}
    if path.suffix.lower() not in readers:
        raise Invalid(f"{path}: a price book is a file that ends in .csv or .json", code="price-file")
    rows = list(readers[path.suffix.lower()](path, text))
    if not rows:
        raise Invalid(f"{path} has no price in it", code="price-file")
    return rows


def _csv(path: Path, text: str) -> Iterator[Line]:
    """Rows below a head with the fields' names; lines that begin with # are comments."""
    reader, head = csv.reader(text.splitlines()), None
    for cells in _cells(path, reader):
        if not any(cell.strip() for cell in cells) or cells[0].lstrip().startswith("#"):
            continue
        if head is None:
            head = _once(path, reader.line_num, [cell.strip() for cell in cells])
        elif len(cells) != len(head):
            raise Invalid(f"{path}, line {reader.line_num}: {len(cells)} cells under a head of {len(head)}", code="price-file")
        else:
            yield reader.line_num, dict(zip(head, cells, strict=True))


def _once(path: Path, line: int, names: list[str]) -> list[str]:
    """The names, each there once: of two values the last would count, in silence. Raises: Invalid."""
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise Invalid(f"{path}, line {line}: {twice!r} is there twice; give it once", code="price-file")
    return names


def _cells(path: Path, reader: Any) -> Iterator[list[str]]:
    try:
        yield from reader
    except csv.Error as error:
        raise Invalid(f"{path}, line {reader.line_num}: no CSV: {error}", code="price-file") from error


def _json(path: Path, text: str) -> Iterator[Line]:
    """An array of objects, or an object with the array `prices`. JSON is YAML, whose parser knows lines and keeps decimals as written."""
    import yaml

    try:
        node = yaml.compose(text.replace("\t", " "), Loader=yaml.SafeLoader)
    except RecursionError as error:
        raise Invalid(f"{path}: lists within lists, too deep to be read; write them flat", code="not-json") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise Invalid(f"{path}{where}: not JSON: {getattr(error, 'problem', error)}", code="not-json") from error
    if isinstance(node, yaml.MappingNode):
        node = next((value for key, value in node.value if key.value == "prices"), None)
    if not isinstance(node, yaml.SequenceNode):
        raise Invalid(f"{path} must be an array of prices, or an object with the array 'prices'", code="price-file")
    for entry in node.value:
        line = entry.start_mark.line + 1
        if not isinstance(entry, yaml.MappingNode) or not all(isinstance(value, yaml.ScalarNode) for _, value in entry.value):
            raise Invalid(f"{path}, line {line}: a price is an object of plain values", code="price-file")
        names = _once(path, line, [key.value for key, _ in entry.value])
        yield line, dict(zip(names, (_plain(value) for _, value in entry.value), strict=True))


def list_of(path: Path) -> Any:
    """A cloud's price list as JSON has it, amounts as they are written. Raises: Invalid, naming file and line."""
    try:
        return json.loads(text_of(path, most_bytes=LARGEST_LIST), object_pairs_hook=once, **DIGITS)
    except RecursionError as error:
        raise Invalid(f"{path}: lists within lists, too deep to be read", code="not-json") from error
    except ValueError as error:
        where = f", line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise Invalid(f"{path}{where}: not JSON: {error}", code="not-json") from error


def _plain(node: Any) -> str | None:
    return None if node.tag.endswith(":null") else str(node.value)
