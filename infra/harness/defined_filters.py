"""The filters of a client's task, checked before anything runs: that there are such, and that they take what they are given.

Source: lm-eval 0.4.13, filters/.
"""

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from infra.harness.defined_metrics import HANDED, check_keys, registry_of
from infra.harness.definition_files import CODE
from infra.marked_yaml import PLAIN, items, meant, pairs, value_of, word, wrong

# Arguments that lm-eval takes, and with which a filter breaks over some answers, or leaves nothing of any: what holds, and what to give.
SOUND: Final[Mapping[str, tuple[Callable[[Any], bool], str]]] = {
    "group_select": (
        lambda value: type(value) is int and value in (0, -1),
        "0, the first match, or -1, the last: any other breaks where an answer has fewer matches",
    ),
    "k": (lambda value: type(value) is int and value > 0, "a whole number, 1 or more: how many answers are kept"),
}


def check_filters(node: Any) -> None:
    """Raises: Invalid for a filter that there is not, or that does not take what it is given."""
    for one in items(node):
        told = pairs(one)
        if "filter" not in told or "name" not in told:
            raise wrong(one, "each of filter_list has a name and a filter, a list such as - function: take_first", code=CODE)
        check_keys(told, {"name", "filter"}, what="a filter of filter_list")
        if pairs(told["filter"][1]):
            raise wrong(
                told["filter"][1], "a filter is a list of steps, and this is one without its dash: - function: take_first", code=CODE
            )
        if not items(told["filter"][1]):
            raise wrong(told["filter"][1], "a filter has at least one step, as - function: take_first", code=CODE)
        for step in items(told["filter"][1]):
            _check_filter(step)


def _check_filter(step: Any) -> None:
    registry = registry_of()
    told = pairs(step)
    if "function" not in told:
        raise wrong(step, "each step of a filter names its function, as - function: take_first", code=CODE)
    name = told["function"][1]
    if name.tag not in PLAIN:
        return
    word(name, code=CODE)
    if name.value not in registry.filter_registry:
        raise wrong(name, f"there is no filter {name.value!r}; {meant(name.value, registry.filter_registry.keys())}", code=CODE)
    given = {key: pair for key, pair in told.items() if key != "function"}
    made = registry.filter_registry.get(name.value)
    _check_arguments(f"filter {name.value}", made, given)
    if all(value.tag in PLAIN for _, value in given.values()):
        _try(name, made, {key: value_of(value) for key, (_, value) in given.items()})
    for argument, (holds, takes) in SOUND.items():
        if argument in given and not holds(value := value_of(given[argument][1])):
            raise wrong(given[argument][0], f"filter {name.value}: {argument} is {value!r}; give {takes}", code=CODE)


def _try(name: Any, made: Any, given: Mapping[str, Any]) -> None:
    """Makes the filter as scoring would."""
    try:
        made(**given)
    except re.error as error:
        raise wrong(name, f"filter {name.value}: {error.pattern!r} is no regular expression: {error}", code=CODE) from error
    except KeyError as error:
        raise wrong(name, f"filter {name.value} needs {error.args[0]} as well", code=CODE) from error
    except Exception as error:  # filters are lm-eval's: whatever one raises over what it is given is this definition's refusal
        raise wrong(name, f"filter {name.value} does not take {dict(given)!r}: {error}", code=CODE) from error


def _check_arguments(what: str, function: Any, given: Mapping[str, tuple[Any, Any]]) -> None:
    taken = inspect.signature(function).parameters.values()
    if any(one.kind is one.VAR_KEYWORD for one in taken):
        return
    names = [one.name for one in taken if one.name not in HANDED]
    for name, (key, _) in given.items():
        if name not in names:
            raise wrong(key, f"{what} has no argument {name!r}; {meant(name, names) if names else 'it takes none'}", code=CODE)
    lacks = [one.name for one in taken if one.name in names and one.default is one.empty and one.name not in given]
    if given and lacks:
        raise wrong(next(iter(given.values()))[0], f"{what} needs {', '.join(lacks)} as well", code=CODE)
