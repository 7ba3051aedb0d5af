"""The project's suites as they are written, with the pins of their tasks.

A suite is `<name>.yaml` here. What its tasks are pinned to lies in `pins.json`, which `python -m infra.suites.pinning` measures on a folder
of data sets. A pin that changes is a new version of every suite that has it: beside its version a suite keeps the digest of what it pins.
"""

import difflib
import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from schemas.requests import TaskChoice
from streams.errors import Invalid
from streams.quality.exposure import check_date

FOLDER = Path(__file__).parent
TOLD = ("licence", "source", "published")  # what is known of a task, and is no part of what is measured
PINS = FOLDER / "pins.json"


@dataclass(frozen=True, slots=True)
class Pin:
    """What a task was when it was pinned. `data` is the data set's name on the hub, `sha256` that of all that was read of it.

    `chance` is what guessing gives by `metric`, the main metric; `samples` is how many there are.
    """

    version: str
    data: str
    sha256: str
    metric: str
    chance: float | None
    samples: int


@dataclass(frozen=True, slots=True)
class Member:
    """A task of a suite. Tasks of one group count as one; `licence` and `source` are the data's. `pin` is None until there is one.

    `metrics` are computed beside the task's own. `published` is the month in which the data first appeared, YYYY-MM; None where it is not
    surely known.
    """

    task: str
    fewshot: int
    licence: str
    source: str
    group: str | None = None
    pin: Pin | None = None
    metrics: tuple[str, ...] = ()
    published: str | None = None


@dataclass(frozen=True, slots=True)
class Suite:
    """A version of a suite. `seed` is that of sampled generation; few-shot examples are drawn with lm-eval's own.

    `digest` is what `pinned` gave when this version was made.
    """

    name: str
    version: str
    description: str
    seed: int
    members: tuple[Member, ...]
    digest: str

    def choices(self) -> tuple[TaskChoice, ...]:
        """Its tasks as a request names them, with their pins."""
        return tuple(
            TaskChoice(
                name=one.task, fewshot=one.fewshot, group=one.group, seeds=(self.seed,), version=one.pin.version if one.pin else None,
                data_revision=one.pin.sha256 if one.pin else None, metrics=one.metrics,
            )
            for one in self.members
        )  # fmt: skip


def names() -> list[str]:
    """The suites that there are."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


@functools.cache
def suite(name: str) -> Suite:
    """The suite of that name. Raises: Invalid with the names that there are."""
    if name not in names():
        close = difflib.get_close_matches(name, names(), n=1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(names())}"
        raise Invalid(f"no suite {name!r}; {hint}", code="unknown-suite")
    told = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    members = tuple(member for one in told["tasks"] for member in _members(one))
    return Suite(name, str(told["version"]), " ".join(told["description"].split()), told["seed"], members, str(told.get("digest")))


def pinned(found: Suite) -> str:
    """The digest of what a suite measures: the SHA-256 of its seed and its tasks with their pins, in canonical JSON; its first half."""
    members = [{name: value for name, value in asdict(one).items() if name not in TOLD} for one in found.members]
    told = json.dumps([found.seed, members], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(told.encode()).hexdigest()[:32]


def check_version(found: Suite) -> None:
    """Raises: Invalid where the suite no longer pins what its version did."""
    if (now := pinned(found)) != found.digest:
        raise Invalid(
            f"suite {found.name} pins something else than its version {found.version} did (digest {found.digest}): raise `version` in "
            f"infra/suites/{found.name}.yaml, and write `digest: {now}` there",
            code="suite-version",
        )  # fmt: skip


@functools.cache
def licences() -> Mapping[str, str]:
    """Task → its data's licence, for every task of every suite."""
    return {member.task: member.licence for name in names() for member in suite(name).members}


@functools.cache
def published() -> Mapping[str, str]:
    """Task → the month in which its data first appeared, for every task of a suite of which that is known."""
    return {member.task: member.published for name in names() for member in suite(name).members if member.published}


def chosen(name: str | None, tasks: tuple[TaskChoice, ...]) -> tuple[tuple[TaskChoice, ...], str | None]:
    """A request's tasks, and its suite's version: a suite's own where none are named; any other name is but a board's.

    Raises: Invalid where tasks are named that the suite has not: they would stand on its board.
    """
    if name not in names():
        return tasks, None
    found = suite(name)
    own = {member.task for member in found.members}
    if strange := [choice.name for choice in tasks if choice.name not in own]:
        raise Invalid(
            f"suite {name!r} has its own tasks, and not {strange[0]!r}: leave tasks out, or name another board", code="suite-tasks"
        )
    return tasks or found.choices(), found.version


def _members(told: Mapping[str, Any]) -> list[Member]:
    """A task; or all tasks of a group: lm-eval's, or one that is written out."""
    pins, groups = _pinned()
    group = told.get("group") or (told["task"] if told["task"] in groups else None)
    tasks = told.get("tasks") or groups.get(told["task"], [told["task"]])
    metrics, month = tuple(told.get("metrics", ())), told.get("published")
    if month is not None and len(check_date(str(month))) != len("YYYY-MM"):
        raise Invalid(f"published {month!r} of {group or told['task']}: give a month, YYYY-MM", code="date")
    return [
        Member(task, told["fewshot"], told["licence"], told["source"], group, pins.get(task), metrics, month and str(month))
        for task in tasks
    ]


@functools.cache
def _pinned() -> tuple[Mapping[str, Pin], Mapping[str, list[str]]]:
    told = json.loads(PINS.read_text()) if PINS.exists() else {"groups": {}, "pins": {}}
    return {task: Pin(**pin) for task, pin in told["pins"].items()}, told["groups"]
