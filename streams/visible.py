"""Texts of others as they may be shown: what a terminal would obey, and what turns the direction of reading, is made visible.

Whoever wrote them (a model, a submitter, a server) may have meant harm. Source: ECMA-48 (C0, C1); Unicode UAX #9 (bidirectional controls).
"""

from typing import Final

C0: Final = {code: 0x2400 + code for code in range(0x20)}
HIDDEN: Final = frozenset({0x7F, *range(0x80, 0xA0), 0x61C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)})
LINES: Final = C0 | {0x7F: "␡"} | dict.fromkeys(sorted(HIDDEN - {0x7F}), "�")
TEXTS: Final = {code: shown for code, shown in LINES.items() if chr(code) not in "\n\t"}
ESCAPED: Final = {code: f"\\u{code:04x}" for code in HIDDEN}


def plain(text: str) -> str:
    """The text; its lines and tabs stay."""
    return text.translate(TEXTS)


def in_line(text: str) -> str:
    """The text in one line, which nobody can go on with another of their own."""
    return text.translate(LINES)


def in_json(document: str) -> str:
    """A JSON document that says the same, where C0 is escaped already: what else would be obeyed is escaped too."""
    return document.translate(ESCAPED)
