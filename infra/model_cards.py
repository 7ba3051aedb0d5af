"""What a model's card (README.md) says: its licence, its languages, what it was made from, and when the model was published.

The hub's metadata has no field for a date, and no config.json of transformers has one. Some cards say it all the same: as `release_date` or
`date` in the metadata, or in a line "Model Release Date: July 23, 2024" of the text, as Meta's and Microsoft's do.
Source: the metadata's fields, https://github.com/huggingface/hub-docs/blob/main/modelcard.md
"""

import re
from collections.abc import Iterator
from datetime import date
from itertools import takewhile
from pathlib import Path
from typing import Final

LONGEST_METADATA_LINES: Final = 200
LONGEST_CARD: Final = 500_000
MONTHS: Final = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december")
IN_METADATA: Final = re.compile(r"(?:release_date|date):\s*(.+)")
IN_TEXT: Final = re.compile(r"\W*(?:model\s+)?release\s+date\W+(.+)", re.IGNORECASE)
NUMBERS: Final = re.compile(r"['\"]?(\d{4})-(\d{2})(?:-(\d{2}))?(?![\d-])")
AMERICAN: Final = re.compile(r"([A-Za-z]+)\.? (?:(\d{1,2})(?:st|nd|rd|th)?, )?(\d{4})\b")
BRITISH: Final = re.compile(r"(\d{1,2})(?:st|nd|rd|th)? ([A-Za-z]+)\.? (\d{4})\b")


def licence(folder: Path) -> str | None:
    """The licence that the metadata of a model's card names: its SPDX id, or, where that is `other`, the name that it gives it."""
    metadata = _metadata(_lines(folder))
    named = _several(metadata, "license")[:1]
    return next(iter((_several(metadata, "license_name") if named == ("other",) else ()) or named), None)


def languages(folder: Path) -> tuple[str, ...]:
    """The languages that the metadata of a model's card names, as en and de."""
    return _several(_metadata(_lines(folder)), "language")


def base(folder: Path) -> str | None:
    """The model that this one was made from, where the metadata of its card names one."""
    return next(iter(_several(_metadata(_lines(folder)), "base_model")), None)


def published(folder: Path) -> str | None:
    """When the card says that the model was published, YYYY-MM-DD or YYYY-MM; the last of several, by which more may have been seen."""
    lines = _lines(folder)
    metadata = _metadata(lines)
    told = [found[1] for line in metadata if (found := IN_METADATA.match(line))]
    told += [found[1] for line in lines[len(metadata) :] if (found := IN_TEXT.match(line))]
    return max(filter(None, map(dated, told)), default=None)


def dated(text: str) -> str | None:
    """The date that a text begins with: 2024-07-23, 2024-07, July 23, 2024, July 2024 or 23 July 2024; None for any other."""
    if found := NUMBERS.match(text):
        return _date(found[1], int(found[2]), found[3])
    if found := AMERICAN.match(text):
        return _date(found[3], _month(found[1]), found[2])
    if found := BRITISH.match(text):
        return _date(found[3], _month(found[2]), found[1])
    return None


def _month(name: str) -> int:
    """A month's number by its name or the beginning of it, three letters or more; 0 for none."""
    found = (number for number, month in enumerate(MONTHS, start=1) if len(name) >= 3 and month.startswith(name.lower()))
    return next(found, 0)


def _date(year: str, month: int, day: str | None) -> str | None:
    try:
        told = date(int(year), month, int(day or 1)).isoformat()
    except ValueError:
        return None
    return told if day else told[:7]


def _lines(folder: Path) -> list[str]:
    card = folder / "README.md"
    if not card.is_file():
        return []
    with card.open(errors="replace") as file:
        return file.read(LONGEST_CARD).splitlines()


def _metadata(lines: list[str]) -> list[str]:
    """The lines between the card's first two `---`, the first of them too; none where it does not begin so."""
    if not lines or lines[0].strip() != "---":
        return []
    return [lines[0], *_until_dashes(lines[1:LONGEST_METADATA_LINES])]


def _several(metadata: list[str], name: str) -> tuple[str, ...]:
    """The values of a field: one behind its name, several in brackets there, or each on a line of its own below it."""
    place = next((n for n, line in enumerate(metadata) if line.startswith(f"{name}:")), None)
    if place is None:
        return ()
    behind = metadata[place].partition(":")[2].strip()
    below = takewhile(lambda line: line.lstrip().startswith("- "), metadata[place + 1 :])
    told = behind.strip("[]").split(",") if behind else [line.lstrip().removeprefix("- ") for line in below]
    return tuple(value for one in told if (value := one.strip().strip("'\"")))


def _until_dashes(lines: list[str]) -> Iterator[str]:
    for line in lines:
        if line.strip() == "---":
            return
        yield line
