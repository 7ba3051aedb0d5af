"""A definition with the files that it leans on: YAMLs that it includes, and Python modules beside them whose functions it names.

They travel in the request and are kept in the build, so that any process makes the task from them. Each part of a merged definition
knows the file that it stands in. Source: lm-eval 0.4.13, tasks/_yaml_loader.py.
"""

import ast
import difflib
import posixpath
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Final

import yaml

from infra.marked_yaml import composed, items, nodes, pairs, place, word, wrong
from schemas.requests import TaskChoice, TaskPart
from streams.errors import Invalid

CODE: Final = "task-definition"
LONGEST: Final = 100_000
FUNCTION: Final = "!function"
INCLUDE: Final = "include"
Fields = dict[str, tuple[Any, Any]]  # name → the nodes of key and value


@dataclass(frozen=True, slots=True)
class Files:
    """Texts by their paths; `main` is the definition's own, empty where it stands alone and has none."""

    main: str
    texts: Mapping[str, str]


def alone(text: str) -> Files:
    """A definition that leans on nothing."""
    return Files("", {"": text})


def files_of(choice: TaskChoice) -> Files | None:
    """The files of a task that the request brings; None where it brings none."""
    if choice.definition is None:
        return None
    main = choice.file or ""
    return Files(main, {one.path: one.text for one in choice.parts} | {main: choice.definition})


def parts_of(files: Files) -> tuple[TaskPart, ...]:
    """What a definition leans on, as a request has it."""
    return tuple(TaskPart(path=path, text=files.texts[path]) for path in sorted(files.texts) if path != files.main)


def root_of(files: Files, path: str) -> Any:
    """The mapping that a YAML among the files holds. Raises: Invalid, naming file and line."""
    text, where = files.texts[path], f"{path}, line 1: " if path else "line 1: "
    if len(text) > LONGEST:
        raise Invalid(f"{where}a file of {len(text):,} characters is too long; {LONGEST:,} is the most", code=CODE)
    root = composed(text, code=CODE, file=path)
    if root is None:
        raise Invalid(f"{where}the task's definition is empty", code=CODE)
    if not isinstance(root, yaml.MappingNode):
        raise wrong(root, "a task is a mapping of fields such as task, dataset_path and doc_to_text", code=CODE)
    return root


def fields_of(files: Files, path: str) -> tuple[Fields, frozenset[str]]:
    """The fields of a YAML with those that it includes, and the paths of all these; its own count before the others. Raises: Invalid."""
    return included(files, pairs(root_of(files, path)), path)


def included(files: Files, own: Fields, path: str) -> tuple[Fields, frozenset[str]]:
    """Fields with those of the files that they include, of which the last counts, and the paths of all. Raises: Invalid.

    `path`: the file in which the fields stand; what they include is named from there.
    """
    seen = {path}
    merged = _merged(files, own, path, seen)
    return merged, frozenset(seen)


def _merged(files: Files, own: Fields, path: str, seen: set[str]) -> Fields:
    merged: Fields = {}
    for node in items(own[INCLUDE][1]) if INCLUDE in own else ():
        name = beside(path, word(node, code=CODE))
        if posixpath.isabs(node.value):
            raise wrong(
                node,
                f"{node.value} is a path of this machine alone; write it from this file on, as ../{posixpath.basename(name)}",
                code=CODE,
            )
        if name in seen:
            raise wrong(node, f"{node.value} is included twice, or includes itself; lm-eval takes a file once", code=CODE)
        if name not in files.texts:
            raise wrong(node, f"there is no file {node.value!r}{_meant(name, files.texts)}", code=CODE)
        seen.add(name)
        merged |= _merged(files, pairs(root_of(files, name)), name, seen)
    return {name: pair for name, pair in (merged | own).items() if name != INCLUDE}


def beside(path: str, name: str) -> str:
    """The path of a file that another names from where it lies."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), name))


def functions_in(fields: Fields) -> Iterator[Any]:
    """The nodes that name functions."""
    seen = set[int]()
    for _, value in fields.values():
        for node in nodes(value):
            if node.tag == FUNCTION and id(node) not in seen:
                seen.add(id(node))
                yield node


def module_of(node: Any) -> str:
    """The path of the module beside its YAML that a function's name means: `utils.choices` is in utils.py. Raises: Invalid."""
    module = word(node, code=CODE).rpartition(".")[0]
    if not module:
        raise wrong(node, f"!function {node.value!r} names no module; write module.function", code=CODE)
    return beside(node.start_mark.name, f"{module.replace('.', '/')}.py")


def check_function(files: Files, node: Any) -> None:
    """Raises: Invalid for a function that neither a module beside its YAML nor one that is installed can have."""
    path, name = module_of(node), str(node.value).rpartition(".")[2]
    if path not in files.texts:
        if find_spec(str(node.value).partition(".")[0]) is None:
            raise wrong(node, f"!function {node.value}: there is no {path} beside it, and no module of that name is installed", code=CODE)
        return
    known = _names(files, path)
    if known and name not in known:
        raise wrong(node, f"!function {node.value}: {path} has no {name!r}{_meant(name, known)}", code=CODE)


def modules_of(files: Files, fields: Fields) -> set[str]:
    """The modules among the files whose functions some fields name."""
    return {path for node in functions_in(fields) if (path := module_of(node)) in files.texts}


def line_of(fields: Fields, field: str) -> str:
    """Where a definition says a field, as a refusal begins; nothing where it does not."""
    return place(fields[field][0].start_mark) if field in fields else ""


def _names(files: Files, path: str) -> set[str]:
    """The names in a module; nothing where it makes some that are not written there. Raises: Invalid where it is no Python."""
    try:
        tree = ast.parse(files.texts[path])
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:  # the last two: it is nested too deep
        line, what = getattr(error, "lineno", None) or 1, getattr(error, "msg", error) or "it is nested too deep"
        raise Invalid(f"{path}, line {line}: not Python: {what}", code=CODE) from error
    found = set[str]()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                found.add(name)
            case ast.Name(id=name, ctx=ast.Store()):
                found.add(name)
            case ast.alias(name="*") | ast.Name(id="globals" | "vars" | "setattr" | "exec"):
                return set()
            case ast.alias(name=name, asname=other):
                found.add(other or name)
    return found


def _meant(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""
