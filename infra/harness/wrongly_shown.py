"""What a template would show that nobody means: a null as "None" (joined, put into a text, in a list), true or false of JSON as Python
writes them, a function, what is no text yet.

The template is filled once more with nulls and flags that are alike in all, but cannot be shown. What it only asks about (`is none`, `if`,
`select`, `default(…, true)`, `|lower` of a flag) and what writes JSON (`tojson`) goes as it does without.
"""

import functools
from collections.abc import Collection, Iterator, Mapping
from numbers import Number
from typing import Any, Final, Never, Self

from jinja2.runtime import TemplateReference

NUMBER: Final = "\0"  # before what a template shows of a number
PART: Final = "what is made of a column"
TESTS: Final = ("true", "false", "boolean", "integer", "number", "sameas")  # what asks of a value's kind
WORDS: Final = ("string", "lower", "upper", "title", "capitalize")  # what makes a text of true and false that people may mean


def wrongly_shown(told: Any, document: Mapping[str, Any], *, meant: Collection[str] = ()) -> str | None:
    """Why what a template shows of a document is none of its texts, naming the field: `a.b` within an object, `a[0]` within a list.

    `meant`: texts that it may show, as those of choices, whatever they are made of.
    """
    if not isinstance(told, str) or "{{" not in told:
        return None
    try:
        _strict(told).render(**{name: _marked(one, name) for name, one in document.items()})
    except FlagError as error:
        return str(error) if str(error.value) not in meant else None
    except ShownError as error:
        return str(error)
    except Exception:  # noqa: BLE001  the document as it is fills the template: whatever this raises is no matter of a text
        return None
    return None


def shows_number(template: str, document: Mapping[str, Any]) -> bool:
    """Whether a template shows a number of a document, as `{{ choices.index(answer) }}` does, and not a text of digits."""
    return bool(NUMBER in _numbered(template).render(**document))


class ShownError(Exception):
    """A template shows what it should not."""


class FlagError(ShownError):
    """A template shows a column's true or false."""

    def __init__(self, way: str, value: bool) -> None:
        json_has, shown = str(value).lower(), f"would be shown as {value}, as Python writes it"
        super().__init__(f"{way} is {json_has}, and {shown}; write {{{{ 'yes' if {way} else 'no' }}}}, as you mean it")
        self.value = value


def _null(way: str) -> ShownError:
    return ShownError(f"{way} is null, and would be shown as None; give a value, or leave the row out")


class _Null:
    """A null, and where it is."""

    def __init__(self, way: str) -> None:
        self._way = way

    def __eq__(self, other: object) -> bool:
        return other is None or isinstance(other, _Null)

    def __hash__(self) -> int:
        return hash(None)

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> Never:
        raise _null(self._way)

    def __format__(self, _: str) -> Never:
        raise _null(self._way)


class _Flag(int):
    """True or false, and where it is: alike in all, but that it cannot be a text. Within a list or an object it is shown as Python's."""

    def __new__(cls, value: bool, _: str) -> Self:
        return super().__new__(cls, value)

    def __init__(self, _: bool, way: str) -> None:
        self.way = way

    def __repr__(self) -> str:
        return repr(bool(self))

    def __str__(self) -> Never:
        raise FlagError(self.way, bool(self))

    def __format__(self, _: str) -> Never:
        raise FlagError(self.way, bool(self))


def _plain(value: Any) -> Any:
    return bool(value) if isinstance(value, _Flag) else value


def _marked(value: Any, way: str) -> Any:
    if value is None:
        return _Null(way)
    if isinstance(value, bool):
        return _Flag(value, way)
    if isinstance(value, dict):
        return {name: _marked(one, f"{way}.{name}") for name, one in value.items()}
    return [_marked(one, f"{way}[{place}]") for place, one in enumerate(value)] if isinstance(value, list) else value


def _checked(value: Any) -> Any:
    if value is None:
        raise _null(PART)
    if isinstance(value, _Flag):
        raise FlagError(value.way, bool(value))
    if isinstance(value, TemplateReference):
        raise ShownError("self is a name of Jinja's own; give the column another")
    if callable(value):
        name = getattr(value, "__name__", "it")
        raise ShownError(f"what would be shown is a function of Python's, {name}; call it, as {name}()")
    if isinstance(value, Iterator):
        raise ShownError("what would be shown is no text yet, but what a filter goes through; add |join or |list")
    return value


@functools.cache
def _numbered(template: str) -> Any:
    from lm_eval import utils

    marking = utils.env.overlay(finalize=lambda value: f"{NUMBER}{value}" if isinstance(value, Number) else value)
    return type(marking).from_string(marking, template)


def _of_plain(function: Any) -> Any:
    """A filter or test that takes true and false for what they are."""
    return lambda *arguments, **named: function(*map(_plain, arguments), **named)


@functools.cache
def _strict(template: str) -> Any:
    from lm_eval import utils

    strict = utils.env.overlay(finalize=_checked)
    strict.tests = strict.tests | {name: _of_plain(strict.tests[name]) for name in TESTS}
    strict.tests["none"] = lambda value: value is None or isinstance(value, _Null)
    strict.filters = strict.filters | {name: _of_plain(strict.filters[name]) for name in WORDS}
    strict.policies = strict.policies | {"json.dumps_kwargs": {"sort_keys": True, "default": lambda _: None}}
    return type(strict).from_string(strict, template)  # its own one is the plain environment's, kept (infra/harness/tasks.py)
