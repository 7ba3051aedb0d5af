"""What a template would show that nobody means: a null as "None" (joined, put into a text, in a list), true or false of JSON as Python
writes them, a function, what is no text yet.

The template is filled once more with nulls that are alike in all, but cannot be shown. What it only asks about (`is none`, `if`, `select`,
`default(…, true)`) and what writes JSON (`tojson`) goes as it does without.
"""

import functools
from collections.abc import Collection, Iterator, Mapping
from numbers import Number
from typing import Any, Final, Never

from jinja2 import meta
from jinja2.runtime import TemplateReference
from jinja2.sandbox import SandboxedEnvironment

from infra.harness.rows import values

NUMBER: Final = "\0"  # before what a template shows of a number
PART: Final = "what is made of a column"
TEMPLATES: Final = SandboxedEnvironment()


def wrongly_shown(told: Any, document: Mapping[str, Any], *, meant: Collection[str] = ()) -> str | None:
    """Why what a template shows of a document is none of its texts, naming the field: `a.b` within an object, `a[0]` within a list.

    `meant`: texts that it may show, as those of choices, whatever they are made of.
    """
    if not isinstance(told, str) or "{{" not in told:
        return None
    try:
        _strict(told).render(**{name: _marked(one, name) for name, one in document.items()})
    except FlagError as error:
        return _of_flag(told, document, error.value) if str(error.value) not in meant else None
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
    """A template shows true or false: a column's, or what it asks itself."""

    def __init__(self, value: bool) -> None:
        super().__init__(str(value))
        self.value = value


def _of_flag(template: str, document: Mapping[str, Any], value: bool) -> str | None:
    """Why true or false is shown wrongly where a column has it; None where the template itself asks, as `{{ a == b }}` does."""
    columns = sorted(meta.find_undeclared_variables(TEMPLATES.parse(template)) & document.keys())
    way = next((way for name in columns for way, one in values(document[name], name) if one is value), None)
    if way is None:
        return None
    json_has = str(value).lower()
    return (
        f"{way} is {json_has}, and would be shown as {value}, as Python writes it; write {{{{ 'yes' if {way} else 'no' }}}}, as you mean it"
    )


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


def _marked(value: Any, way: str) -> Any:
    if value is None:
        return _Null(way)
    if isinstance(value, dict):
        return {name: _marked(one, f"{way}.{name}") for name, one in value.items()}
    return [_marked(one, f"{way}[{place}]") for place, one in enumerate(value)] if isinstance(value, list) else value


def _checked(value: Any) -> Any:
    if value is None:
        raise _null(PART)
    if isinstance(value, bool):
        raise FlagError(value)
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


@functools.cache
def _strict(template: str) -> Any:
    from lm_eval import utils

    strict = utils.env.overlay(finalize=_checked)
    strict.tests = strict.tests | {"none": lambda value: value is None or isinstance(value, _Null)}
    strict.policies = strict.policies | {"json.dumps_kwargs": {"sort_keys": True, "default": lambda _: None}}
    return type(strict).from_string(strict, template)  # its own one is the plain environment's, kept (infra/harness/tasks.py)
