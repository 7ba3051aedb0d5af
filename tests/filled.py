"""Events with something in every field: whatever is told of one shows its mark."""

import types
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from schemas.event import Event, Record, RunId, Text
from schemas.external import ExternalResultImported
from schemas.requests import TaskChoice
from schemas.results import Documents, Figure, PerformanceSummarised, RankingRow, SampleScored
from schemas.runs import Plan, PlannedTask
from schemas.settled import RunSettled
from schemas.trust import DeadLettered
from streams.settling.documents import packed

PLAIN: Final[dict[Any, Any]] = {int: 1, float: 0.5, bool: True}
# What must fit together for something to be made of it: the main metric of a task is a figure, and a run of its own judges nobody.
FITTING: Final[Mapping[type[Record], Mapping[str, Any]]] = {
    Figure: {"metric": "acc", "filter": "none", "low": 0.25, "high": 0.75, "method": "wilson"},
    SampleScored: {"metric": "acc", "filter": "none"},
    PlannedTask: {
        "main_metric": "acc", "main_filter": "none", "adaptive": None, "setups": (), "judged": None, "stopping": None, "places": (),
    },
    DeadLettered: {"requeued_as": None},
    ExternalResultImported: {"form": "lm-eval"},
    PerformanceSummarised: {"steps": ()},
    Plan: {"audit_of": None, "subject": None, "against": None},
    RankingRow: {"data_age": "unknown", "speed_run": None},
    RunSettled: {"state": "completed"},
    TaskChoice: {"limit_ratio": None},
}  # fmt: skip
OF_NO_EVENT: Final = ("event_id", "trace_parent")


def filled(model: type[Record], told: Mapping[str, Any], *, mark: str, of_run: str) -> Any:
    """A valid record of the model: texts are the mark, runs that one, numbers 1 or a half, one of each list; `told` stands as it is."""
    hints = get_type_hints(model, include_extras=True)
    given = {**FITTING.get(model, {}), **{name: value for name, value in told.items() if name in hints}}
    given = {name: f'{{"{mark}": "{mark}"}}' for name in hints if name.endswith("_json") or name == "conditions"} | given
    names = [name for name in model.model_fields if name not in given and name not in OF_NO_EVENT]
    return model.model_validate({name: _value(hints[name], mark, of_run) for name in names} | given)


def event(model: type[Event], *, mark: str, of_run: str, **told: Any) -> Any:
    """The same of an event, whose names of runs are that one's; of `told` it takes what it has."""
    names = {"run_id": of_run, "audit_run": of_run}
    return filled(model, names | told, mark=mark, of_run=of_run)


def _value(hint: Any, mark: str, of_run: str) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    plain = PLAIN | {RunId: of_run, str: mark, bytes: mark.encode(), Text: Text.plain(f'"{mark}"'), Documents: packed({0: 0.5, 1: 1.0}, {})}
    if hint in plain:
        return plain[hint]
    if origin is Annotated or origin in (Union, types.UnionType):
        return _value(next(argument for argument in arguments if argument is not type(None)), mark, of_run)
    if origin is Literal:
        return arguments[0]
    if origin is tuple:
        return (_value(arguments[0], mark, of_run),)
    if origin is dict:
        return {mark: _value(arguments[1], mark, of_run)}
    return filled(hint, {}, mark=mark, of_run=of_run)
