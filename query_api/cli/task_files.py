"""Tasks of the client's own, from files and folders: checked here, so that what is wrong is told with its line before anything is asked.

A file is packed with what it leans on: the YAMLs that it includes, the modules whose functions it names, and, where it is a group, the
files of its folder that hold the tasks that it names.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from infra.places import is_there
from infra.text_files import MIB, text_of
from streams.errors import Invalid

YAML: Final = (".yaml", ".yml")
MOST: Final = 10_000


def is_path(name: str) -> bool:
    """What is named where a task is asked for is a file or a folder."""
    return name.endswith(YAML) or name in (os.curdir, os.pardir) or (os.sep in name and is_there(name))


def tasks_in(paths: Sequence[Path], *, trust_code: bool) -> list[dict[str, Any]]:
    """The tasks that the files and folders define, as a request has them. Raises: Invalid, naming file and line."""
    if trust_code and not paths:
        raise Invalid("--trust-code is for the tasks of --task-file; there is none", code="option")
    found = [one for path in paths for one in (_folder if path.is_dir() else _file)(path, trust_code=trust_code)]
    return [one.told for one in found]


@dataclass(frozen=True, slots=True)
class _Packed:
    """A task or group as a request has it; `parts` are the names of what it is made of."""

    told: dict[str, Any]
    parts: frozenset[str]


class _OnDisk(Mapping[str, str]):
    """Files by their paths, read when they are asked for; those that are listed are the folder's YAMLs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, str] = {}

    def __getitem__(self, path: str) -> str:
        if path not in self._read:
            self._read[path] = text_of(path, most_bytes=MIB)
        return self._read[path]

    def __contains__(self, path: object) -> bool:
        return is_there(str(path)) and Path(str(path)).is_file()

    def __iter__(self) -> Iterator[str]:
        found = sorted(str(path) for end in YAML for path in self._folder.rglob(f"*{end}") if path.is_file())
        if len(found) > MOST:
            raise Invalid(f"{self._folder} holds {len(found):,} YAML files: name a folder of at most {MOST:,}", code="no-file")
        return iter(found)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _folder(folder: Path, *, trust_code: bool) -> list[_Packed]:
    """All tasks and groups in a folder; what is a part of a group in it comes with that alone."""
    found, first = list[_Packed](), dict[str, str]()
    for path in _OnDisk(folder):
        for one in _file(Path(path), trust_code=trust_code, among=folder):
            if (other := first.setdefault(one.told["name"], path)) != path:
                told = f"{other} and {path} both define {one.told['name']!r}: give one of them another name, or name one file alone"
                raise Invalid(told, code="task-twice")
            found.append(one)
    if not found:
        raise Invalid(f"{folder} holds no task: there is no *.yaml in it with task or group", code="no-file")
    within = {name for one in found for name in one.parts - {one.told["name"]}}
    return [one for one in found if one.told["name"] not in within]


def _file(file: Path, *, trust_code: bool, among: Path | None = None) -> list[_Packed]:
    """What a file defines; `among`: the folder that it is one file of, where one that defines nothing is for others to include."""
    from infra.harness.definition_files import Files, fields_of
    from infra.harness.definition_groups import members, names_of, only
    from infra.harness.definitions import checked

    main = os.path.normpath(file)
    files = Files(main, _OnDisk(among or Path(main).parent))
    if among is not None and not {"task", "group"} & fields_of(files, main)[0].keys():
        return []
    some = members(files)
    told = {"name": checked(files, trust_code=trust_code), "trust_code": trust_code, **_told(only(files, some))}
    return [_Packed(told, names_of(some))]


def _told(files: Any) -> dict[str, Any]:
    """A definition and its parts, whose paths go from the folder that holds them all."""
    root = os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in files.texts])
    paths = {path: Path(os.path.relpath(path, root)).as_posix() for path in files.texts}
    parts = [{"path": paths[path], "text": text} for path, text in files.texts.items() if path != files.main]
    return {"definition": files.texts[files.main]} | ({"file": paths[files.main], "parts": parts} if parts else {})
