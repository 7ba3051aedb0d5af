"""Any event at all, made from its model: what round trips and folds are tested on."""

import functools
import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

from schemas.event import Event, Finite, Record, RunId
from tests.runs import run_named

PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(st.characters(codec="utf-8"), max_size=12),
    bytes: st.binary(max_size=12),
    int: st.integers(-(2**63), 2**63 - 1),
    float: st.floats(allow_nan=False),
    bool: st.booleans(),
}


def _fields(hint: Any) -> st.SearchStrategy[Any]:
    origin, arguments = get_origin(hint), get_args(hint)
    if hint == RunId:
        return st.integers(0, 99).map(run_named)
    if hint == Finite:
        return st.floats(allow_nan=False, allow_infinity=False)
    if origin is Annotated:
        return _fields(arguments[0])
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin in (Union, types.UnionType):
        return st.none() | _fields(next(argument for argument in arguments if argument is not type(None)))
    if origin is tuple:
        return st.lists(_fields(arguments[0]), max_size=2).map(tuple)
    if origin is dict:
        return st.dictionaries(PLAIN[str], _fields(arguments[1]), max_size=2)
    return records(hint) if isinstance(hint, type) and issubclass(hint, Record) else PLAIN[hint]


@functools.cache
def records(model: type[Record]) -> st.SearchStrategy[Any]:
    """Any valid record of the model."""
    hints = get_type_hints(model, include_extras=True)
    fields = {name: _fields(hints[name]) for name in model.model_fields if name != "event_id"}
    return st.fixed_dictionaries(fields).map(model.model_validate)


def events(model: type[Event]) -> st.SearchStrategy[Any]:
    """Any valid event of the model, its id derived."""
    return records(model)
