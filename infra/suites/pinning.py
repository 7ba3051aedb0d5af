"""`python -m infra.suites.pinning` measures what the suites' tasks are pinned to, on the folder ASSAY_DATASETS; writes pins.json.

A task that this folder does not serve keeps the pin that it had.
"""

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from infra.settings import Settings, of_process
from infra.suites.reading import FOLDER, PINS, Pin
from schemas.requests import Chat, TaskChoice
from streams.errors import Permanent


def measured(task: str, settings: Settings) -> Pin:
    """What the task is here. Raises: NotFound, Invalid."""
    from infra.harness.building import build
    from infra.harness.chat import Dress

    made = build(TaskChoice(name=task, fewshot=0), dress=Dress(Chat()), settings=settings)
    hub_name = made.data_source.rpartition(":")[2].replace("__", "/", 1)
    return Pin(made.task_version, hub_name, made.data_sha, made.main_metric, made.chance, len(made.samples))


def _written() -> Iterator[str]:
    """The tasks and groups that suites name, each once."""
    told = [one for path in sorted(FOLDER.glob("*.yaml")) for one in yaml.safe_load(path.read_text())["tasks"]]
    yield from dict.fromkeys(name for one in told for name in one.get("tasks", [one.get("task")]))


def main() -> None:
    """Measures and writes."""
    from infra.harness.catalogue import find, resolve

    os.environ["TQDM_DISABLE"] = "1"
    settings = of_process()
    if settings.datasets is None:
        sys.exit("set ASSAY_DATASETS to the folder to pin")
    before = json.loads(PINS.read_text())["pins"] if PINS.exists() else {}
    groups, pins = dict[str, list[str]](), dict[str, Any]()
    for name in _written():
        tasks = [leaf.name for leaf in resolve(name)]
        if find(name).folder is None:
            groups[name] = tasks
        for task in tasks:
            try:
                pins[task] = asdict(measured(task, settings))
            except Permanent as error:
                sys.stderr.write(f"{task} keeps its pin, or has none: {error}\n")
                pins |= {task: before[task]} if task in before else {}
    PINS.write_text(json.dumps({"groups": groups, "pins": dict(sorted(pins.items()))}, indent=1) + "\n")
    sys.stderr.write(f"{len(pins)} pins in {Path(PINS).name}\n")


if __name__ == "__main__":
    main()
