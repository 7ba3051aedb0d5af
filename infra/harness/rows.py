"""Rows of a data set as a table; what cannot be one is told with its file, line and field, in plain words."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import datasets

from streams.errors import Invalid

CODE: Final = "data-row"
MOST_BITS: Final = 63
SHOWN: Final = 40
HALF: Final = "holds half of a letter (a lone surrogate), which UTF-8 has not; write the letter, or leave it out"
Numbered = Sequence[tuple[int, Any]]  # each row with its line


def table(rows: Numbered, *, where: str) -> Any:
    """The rows as a data set: a field that some rows lack is null there. Raises: Invalid, naming line and field."""
    for number, row in rows:
        if not isinstance(row, dict) or not row:
            told = "an object without fields" if row == {} else kind_of(row)
            raise Invalid(f'{where}, line {number}: a row must be an object such as {{"question": "…"}}, not {told}', code=CODE)
    # The library looks for fields in the first row alone.
    columns = dict.fromkeys(name for _, row in rows for name in row)
    first, *others = (row for _, row in rows)
    try:
        return datasets.Dataset.from_list([columns | first, *others])
    except (ValueError, TypeError, OverflowError, datasets.exceptions.DatasetsError) as error:
        told = next(_faults(rows), f": {error}")
        raise Invalid(f"{where}{told}", code=CODE) from error


def kind_of(value: Any) -> str:
    """What a value is, as people say it."""
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case list() | tuple():
            return "a list"
        case dict():
            return "an object"
    return f"a {type(value).__name__}"


def shown(value: Any) -> str:
    """What a value is. No text is repeated: it may be a private run's, and a refusal is told to more than its owner."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"the number {value}"
    return f"{kind_of(value)} of {len(value)}" if isinstance(value, str | list | tuple | dict) else kind_of(value)


def half_a_letter(text: str) -> bool:
    """The text holds a lone surrogate, which UTF-8 has no form for."""
    return any("\ud800" <= letter <= "\udfff" for letter in text)


def _faults(rows: Numbered) -> Iterator[str]:
    """What is wrong with rows that no table can hold."""
    first: dict[str, tuple[str, int]] = {}
    for number, row in rows:
        for field, value in _values(row, ""):
            if (told := _fault(value)) is not None:
                yield f", line {number}, field {field}: {told}"
            kind, line = first.setdefault(field, (kind_of(value), number))
            if kind != kind_of(value):
                told = f"{kind_of(value)}, where line {line} has {kind}; give all rows the same kind, or null"
                yield f", line {number}, field {field}: {told}"


def _fault(value: Any) -> str | None:
    if isinstance(value, int) and value.bit_length() > MOST_BITS:
        return f"{str(value)[:SHOWN]} has more than 64 bits; write it as a text, in quotes"
    if isinstance(value, str) and half_a_letter(value):
        return HALF
    return None


def _values(value: Any, way: str) -> Iterator[tuple[str, Any]]:
    """Every value in a row that is not null, with its field: `a.b` within an object, `a[]` within a list."""
    if isinstance(value, Mapping):
        for name, one in value.items():
            yield from _values(one, f"{way}.{name}" if way else str(name))
    elif isinstance(value, list):
        yield way, value
        for one in value:
            yield from _values(one, f"{way}[]")
    elif value is not None:
        yield way, value
