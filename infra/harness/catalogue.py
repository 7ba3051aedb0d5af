"""Which tasks there are, and in which folder each is defined: the project's own, then lm-eval's.

A derived task is asked for by its name, or as `derived:judged task`, about the answers to that task alone.

lm-eval's index takes some ten seconds to make, so it is made once on a machine and kept; loading one task then looks at its folder only.
"""

import difflib
import functools
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from infra.machine import CACHE, locked
from streams.errors import Invalid, NotFound
from streams.quality.judging import derived_name

BUNDLED = Path(__file__).parent / "bundled"
BUNDLED_TASKS = tuple(sorted(path.stem for path in BUNDLED.glob("assay_*.yaml")))
# Tasks of our own over data sets of others.
DEFINED = Path(__file__).parents[1] / "suites" / "tasks"
# Tasks about the answers of another run.
DERIVED = Path(__file__).parent / "derived"
DERIVED_TASKS = frozenset(path.stem for path in DERIVED.glob("*.yaml"))
FOLDERS = {BUNDLED: BUNDLED_TASKS, DERIVED: DERIVED_TASKS, DEFINED: [path.stem for path in DEFINED.glob("*.yaml")]}
OWN = {name: folder for folder, names in FOLDERS.items() for name in names}
HARNESS_VERSION = version("lm-eval")
LAYOUT = 3  # of the index's file
INDEX = CACHE / f"catalogue-{HARNESS_VERSION}-{LAYOUT}.json"
# What a group says of a member that does not change how it is evaluated.
COSMETIC = {"task", "group", "task_alias", "group_alias", "aggregate_metric_list", "metadata"}


@dataclass(frozen=True, slots=True)
class Leaf:
    """A task that a name stands for; `fewshot` and `changed` fields are what the group wants otherwise than the task itself.

    `brought`: the request brings its definition. `weight_by_size`: in its group's figure it counts by its samples, else as any other.
    """

    name: str
    fewshot: int | None = None
    changed: tuple[str, ...] = ()
    brought: bool = False
    weight_by_size: bool = True


@dataclass(frozen=True, slots=True)
class Found:
    """A name: a task with the folder that defines it, or a group or tag with its members.

    `weight_by_size`: these count by their samples in the group's figure, else alike.
    """

    name: str
    folder: str | None
    members: tuple[Leaf, ...] = ()
    weight_by_size: bool = True


def known_tasks() -> list[str]:
    """Every name that can be asked for."""
    return sorted({*OWN, *_index()})


def known_at_once() -> list[str]:
    """The names that can be told without loading lm-eval: the project's own, and all once they were listed on this machine."""
    rows = json.loads(INDEX.read_text()) if INDEX.exists() else []
    return sorted({*OWN, *(row["name"] for row in rows)})


def find(name: str) -> Found:
    """The task or group of that name. Raises: NotFound with names like it."""
    if (own := derived_name(name)) in (DERIVED_TASKS if own != name else OWN):
        return Found(own, str(OWN[own]))
    index = _index()
    if name not in index:
        close = difflib.get_close_matches(name, [*OWN, *index], n=3, cutoff=0.7)
        hint = f"did you mean {' or '.join(close)}?" if close else "`assay tasks` lists them"
        raise NotFound(f"unknown task {name!r}; {hint}", code="unknown-task")
    return index[name]


def resolve(name: str) -> list[Leaf]:
    """The tasks that a name stands for, in order: itself, or a group's or tag's tasks. Raises: NotFound, Invalid.

    A group may want other few-shot examples of a member than the member itself; one that changes more of it is refused.
    """
    leaves, by_size = dict[str, Leaf](), find(name).weight_by_size
    for leaf in _leaves(Leaf(name)):
        leaves.setdefault(leaf.name, replace(leaf, weight_by_size=by_size))
        if leaf.changed:
            raise Invalid(
                f"group {name!r} changes {', '.join(leaf.changed)} of its task {leaf.name!r}, which is not supported; name its tasks",
                code="group-changes-tasks",
            )
    return list(leaves.values())


def _leaves(member: Leaf) -> Iterator[Leaf]:
    if member.changed:
        yield member
        return
    found = find(member.name)
    if found.folder is not None:
        yield member
    for one in found.members:
        yield from _leaves(Leaf(one.name, one.fewshot if one.fewshot is not None else member.fewshot, one.changed))


@functools.cache
def _index() -> dict[str, Found]:
    if not INDEX.exists():
        _write()
    rows = json.loads(INDEX.read_text())
    root = _root()
    return {row["name"]: _found(row, root) for row in rows}


def _write() -> None:
    with locked(INDEX):
        if INDEX.exists():  # by the process that was waited for
            return
        written = INDEX.with_suffix(".new")
        written.write_text(json.dumps([asdict(found) for found in _scan()]))
        written.replace(INDEX)


def _found(row: dict[str, Any], root: Path) -> Found:
    members = tuple(Leaf(one["name"], one["fewshot"], tuple(one["changed"])) for one in row["members"])
    return Found(row["name"], str(root / row["folder"]) if row["folder"] is not None else None, members, row["weight_by_size"])


def _root() -> Path:
    import lm_eval.tasks

    return Path(lm_eval.tasks.__file__).parent


def _scan() -> Iterator[Found]:
    from lm_eval.tasks import TaskManager

    for name, entry in TaskManager().task_index.items():
        members = tuple(_members((entry.cfg or {}).get("task"))) if entry.kind.name == "GROUP" else tuple(map(Leaf, sorted(entry.tags)))
        is_task = entry.kind.name in ("TASK", "PY_TASK")
        folder = str(entry.yaml_path.parent.relative_to(_root())) if is_task else None
        yield Found(name, folder, () if is_task else members, _by_size(entry.cfg or {}))


def _by_size(group: dict[str, Any]) -> bool:
    """Whether a group's tasks count by their samples, as they do unless each of its figures says otherwise; one without figures that is
    another under a name of its own has that one's.

    Source: lm-eval 0.4.13, config/group.py, AggMetricConfig.
    """
    figures, below = group.get("aggregate_metric_list"), group.get("task")
    if figures is None and isinstance(below, list) and len(below) == 1 and isinstance(below[0], dict):
        return _by_size(below[0])
    told = [one for one in (figures if isinstance(figures, list) else [figures]) if isinstance(one, dict)]
    return not told or any(one.get("weight_by_size", True) for one in told)


def _members(told: Any) -> Iterator[Leaf]:
    """A group's members: names, names with changes, and groups within it."""
    for member in told if isinstance(told, list) else [told]:
        if isinstance(member, str):
            yield Leaf(member)
        elif isinstance(member, dict) and isinstance(member.get("task"), (list, dict)):
            yield from _members(member["task"])
        elif isinstance(member, dict):
            changed = tuple(sorted(set(member) - COSMETIC - {"num_fewshot"}))
            yield Leaf(str(member.get("task") or member.get("group") or member.get("dataset_name")), member.get("num_fewshot"), changed)
