"""Texts of others as they may be shown: what a terminal would obey, and what turns the direction of reading, is made visible.

Whoever wrote them (a model, a submitter, a server) may have meant harm. Source: ECMA-48 (C0, C1); Unicode UAX #9 (bidirectional
controls), and section 5.8 of its standard (separators of lines and paragraphs).

A spreadsheet takes a cell that begins as a formula for one, whoever wrote it: it is written with an apostrophe in front, which
spreadsheets show as text. Source: OWASP, CSV Injection.
"""

from typing import Final

C0: Final = {code: 0x2400 + code for code in range(0x20)}
HIDDEN: Final = frozenset({0x7F, *range(0x80, 0xA0), 0x61C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)})
SEPARATORS: Final = {0x2028: "␤", 0x2029: "␤"}
LINES: Final = C0 | {0x7F: "␡"} | dict.fromkeys(sorted(HIDDEN - {0x7F}), "�") | SEPARATORS
TEXTS: Final = {code: shown for code, shown in LINES.items() if chr(code) not in "\n\t"}
ESCAPED: Final = {code: f"\\u{code:04x}" for code in (*HIDDEN, *SEPARATORS)}
FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def plain(text: str) -> str:
    """The text; its lines and tabs stay."""
    return text.translate(TEXTS)


def in_line(text: str) -> str:
    """The text in one line, which nobody can go on with another of their own."""
    return text.translate(LINES)


def in_json(document: str) -> str:
    """A JSON document that says the same, where C0 is escaped already: what else would be obeyed is escaped too."""
    return document.translate(ESCAPED)


def in_cell(text: str) -> str:
    """The text as a cell that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(FORMULAS) else text


def of_cell(cell: str) -> str:
    """The text of a cell, as it was before."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(FORMULAS) else cell
