"""Requests as YAML files. What is wrong in one is said with its file and line, and an unknown field with the one that was meant."""

import difflib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from infra.places import is_there
from infra.text_files import MIB, text_of
from query_api.cli.budgets import budget
from query_api.cli.shares import with_shares
from query_api.cli.trace_files import packed, prompted
from streams.errors import Invalid

Loc = Sequence[int | str]


def model_named(uri: str, *, trust_code: bool = False, base: str | None = None) -> dict[str, Any]:
    """A model as named, and an adapter's base; folders and files by their full paths, for the agent may run elsewhere on this machine."""
    name, _, revision = uri.partition("@") if not is_there(uri) else (uri, "", "")
    return {"uri": _placed(name), "revision": revision or None} | model_said(trust_code=trust_code, base=base)


def model_said(*, trust_code: bool, base: str | None) -> dict[str, Any]:
    """What is said of a model beside its name, where anything is."""
    return ({"trust_code": True} if trust_code else {}) | ({"base": _placed(base)} if base else {})


def _placed(name: str) -> str:
    return str(Path(name).resolve()) if is_there(name) else name


def model_at(url: str | None, uri: str, *, trust_code: bool = False, base: str | None = None) -> dict[str, Any]:
    """A model as named to a server at `url`: by its very name; without one as `model_named`."""
    return {"uri": uri} | model_said(trust_code=trust_code, base=base) if url else model_named(uri, trust_code=trust_code, base=base)


def mapping_of(path: Path, *, fields: str) -> tuple[Any, dict[str, Any]]:
    """The mapping that a YAML file holds, as the parser has it and as Python does. Raises: Invalid, naming file and line."""
    from infra.marked_yaml import composed, plainly

    text = text_of(path, most_bytes=4 * MIB)
    try:
        root = composed(text, code="not-yaml")
        body = plainly(root, code="not-yaml") if root is not None else None
    except Invalid as error:
        raise Invalid(f"{path}, {error}", code=error.code) from error
    if not isinstance(body, dict):
        raise Invalid(f"{path}, line 1: must be a mapping of fields such as {fields}", code="not-yaml")
    return root, body


def from_file(path: Path) -> dict[str, Any]:
    """The body of a request that a file holds. Raises: Invalid, naming file and line."""
    root, body = mapping_of(path, fields="model and tasks")
    try:
        completed = _completed(body)
    except Invalid as error:
        raise Invalid(f"{path}, line {_line_of(root, error.code)}: {error}", code=error.code) from error
    _check(completed, path, root)
    return completed


def _completed(body: dict[str, Any]) -> dict[str, Any]:
    """The body with a model, tasks and limits that are given as people write them written out."""
    tasks = body.get("tasks") or []
    named = [_task(task) for task in tasks] if isinstance(tasks, list) else tasks
    model = {"model": model_named(body["model"])} if isinstance(body.get("model"), str) else {}
    judges = [one | {"model": model_named(one["model"])} if isinstance(one, dict) and isinstance(one.get("model"), str) else one
              for one in body.get("judgements") or []] if isinstance(body.get("judgements"), list) else []  # fmt: skip
    limits = {"budget": budget(body["budget"])} if isinstance(body.get("budget"), dict) else {}
    return with_shares(body) | model | limits | _load(body.get("workload")) | ({"judgements": judges} if judges else {}) | {"tasks": named}


def _load(told: Any) -> dict[str, Any]:
    """A workload whose trace or prompts are a file's name, with what the file holds, and whose extra_body is a mapping, as JSON."""
    if not isinstance(told, dict):
        return {}
    read = dict[str, Any]()
    if isinstance(told.get("extra_body"), dict):
        read["extra_body"] = json.dumps(told["extra_body"], sort_keys=True)
    if isinstance(told.get("prompts"), str):
        read["prompts"] = prompted(Path(told["prompts"]))
    if isinstance(told.get("trace"), str):
        limits = {name: told[name] for name in ("speedup", "requests", "duration_s") if isinstance(told.get(name), int | float)}
        read["trace"] = packed(Path(told["trace"]), **limits)
    return {"workload": told | read} if read else {}


def _task(told: Any) -> Any:
    return {"name": told} if isinstance(told, str) else with_shares(told) if isinstance(told, dict) else told


def _check(body: dict[str, Any], path: Path, root: Any) -> None:
    from query_api.producing.submitting import Submission

    try:
        Submission.model_validate_json(json.dumps(body), strict=True)
    except ValidationError as error:
        # A model that is missing may be named on the command line.
        wrong = [one for one in error.errors() if (one["loc"], one["type"]) != (("model",), "missing")]
        if not wrong:
            return
        first = wrong[0]
        name = ".".join(map(str, first["loc"]))
        raise Invalid(f"{path}, line {_line(root, first['loc'])}: {name}: {_said(first, Submission)}", code="invalid-field") from error


def _said(error: Any, shape: type[BaseModel]) -> str:
    if error["type"] == "value_error":
        return str(error["msg"]).removeprefix("Value error, ")
    if error["type"] != "extra_forbidden":
        return f"{error['msg'].replace('Input should', 'it should')}, not {json.dumps(error['input'], default=str)}"
    known = _fields(shape, error["loc"][:-1])
    written = str(error["loc"][-1])
    close = [name for name in known if name.startswith(f"{written}_")] or difflib.get_close_matches(written, known, n=1, cutoff=0.5)
    return "there is no such field; " + (f"did you mean {close[0]}?" if close else f"the fields are {', '.join(sorted(known))}")


def _fields(shape: type[BaseModel], loc: Loc) -> list[str]:
    """The fields of the model that lies at that place."""
    for name in loc:
        if isinstance(name, str):
            shape = _model_in(shape.model_fields[name].annotation) or shape
    return list(shape.model_fields)


def _model_in(hint: Any) -> type[BaseModel] | None:
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return hint
    return next((found for part in get_args(hint) if (found := _model_in(part))), None)


def _line(node: Any, loc: Loc) -> int:
    """The line, from 1, of the deepest part of the file on the way to that place."""
    line: int = node.start_mark.line
    for name in loc:
        step = _step(node, name)
        if step is None:
            break
        node, line = step
    return line + 1


def _line_of(root: Any, field: str) -> int:
    """The line of the first field of that name that is no whole number: those are written as they are."""
    from infra.marked_yaml import nodes, pairs

    found = [pairs(node)[field] for node in nodes(root) if field in pairs(node)]
    lines = [key.start_mark.line + 1 for key, value in found if not str(value.value).isdecimal()]
    return min(lines, default=1)


def _step(node: Any, name: int | str) -> tuple[Any, int] | None:
    if isinstance(node.value, list) and isinstance(name, int) and name < len(node.value) and not isinstance(node.value[name], tuple):
        return node.value[name], node.value[name].start_mark.line
    pairs = [pair for pair in node.value if isinstance(pair, tuple)] if isinstance(node.value, list) else []
    return next(((value, key.start_mark.line) for key, value in pairs if key.value == name), None)
