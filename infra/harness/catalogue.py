"""Which tasks there are, and in which folder each is defined: the bundled ones, then lm-eval's.

lm-eval's index takes some ten seconds to make, so it is made once and kept as a file; loading one task then looks at its folder only.
"""

import difflib
import functools
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from infra.settings import Settings
from streams.errors import NotFound

BUNDLED = Path(__file__).parent / "bundled"
BUNDLED_TASKS = tuple(sorted(path.stem for path in BUNDLED.glob("assay_*.yaml")))
HARNESS_VERSION = version("lm-eval")


@dataclass(frozen=True, slots=True)
class Found:
    """A name: a task with the folder that defines it, or a group or tag with its members."""

    name: str
    folder: str | None
    members: tuple[str, ...] = ()


def known_tasks(settings: Settings) -> list[str]:
    """Every name that can be asked for."""
    return sorted({*BUNDLED_TASKS, *_index(settings)})


def find(name: str, settings: Settings) -> Found:
    """The task or group of that name. Raises: NotFound with names like it."""
    if name in BUNDLED_TASKS:
        return Found(name, str(BUNDLED))
    index = _index(settings)
    if name not in index:
        close = difflib.get_close_matches(name, [*BUNDLED_TASKS, *index], n=3, cutoff=0.7)
        hint = f"did you mean {' or '.join(close)}?" if close else "`assay tasks` lists them"
        raise NotFound(f"unknown task {name!r}; {hint}", code="unknown-task")
    return index[name]


def resolve(name: str, settings: Settings) -> list[str]:
    """The tasks that a name stands for, in order: itself, or a group's or tag's tasks. Raises: NotFound."""
    return list(dict.fromkeys(_leaves(name, settings)))


def _leaves(name: str, settings: Settings) -> Iterator[str]:
    found = find(name, settings)
    if found.folder is not None:
        yield name
    for member in found.members:
        yield from _leaves(member, settings)


@functools.cache
def _index(settings: Settings) -> dict[str, Found]:
    path = settings.home / "harness" / f"catalogue-{HARNESS_VERSION}.json"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        written = path.with_suffix(".new")
        written.write_text(json.dumps([asdict(found) for found in _scan()]))
        written.replace(path)
    rows = json.loads(path.read_text())
    root = _root()
    return {
        row["name"]: Found(row["name"], str(root / row["folder"]) if row["folder"] is not None else None, tuple(row["members"]))
        for row in rows
    }


def _root() -> Path:
    import lm_eval.tasks

    return Path(lm_eval.tasks.__file__).parent


def _scan() -> Iterator[Found]:
    from lm_eval.tasks import TaskManager

    for name, entry in TaskManager().task_index.items():
        members = tuple(_members(entry.cfg or {})) if entry.kind.name == "GROUP" else tuple(sorted(entry.tags))
        is_task = entry.kind.name in ("TASK", "PY_TASK")
        yield Found(name, str(entry.yaml_path.parent.relative_to(_root())), ()) if is_task else Found(name, None, members)


def _members(config: dict[str, Any]) -> Iterator[str]:
    told = config.get("task") or []
    for member in told if isinstance(told, list) else [told]:
        name = member if isinstance(member, str) else member.get("task") or member.get("group")
        if isinstance(name, str):
            yield name
