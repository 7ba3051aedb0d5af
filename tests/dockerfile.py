"""The Dockerfile, read: its stages with their instructions, so that tests can hold it and run its commands."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
FILE = ROOT / "infra" / "images" / "Dockerfile"
MOVED = ("/opt/", "/tmp/requirements", "/srv/assay")


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage: its name, the one that it is built from, its instructions in order."""

    name: str
    parent: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def told(self, keyword: str) -> list[str]:
        """What this stage says with a keyword."""
        return [rest for word, rest in self.instructions if word == keyword]


def stages() -> dict[str, Stage]:
    """The stages by name."""
    found: dict[str, Stage] = {}
    current: Stage | None = None
    for line in FILE.read_text().splitlines():
        word, _, rest = line.partition(" ")
        if word == "FROM":
            parent, _, name = rest.partition(" AS ")
            current = found[name] = Stage(name, parent)
        elif current and word.isupper():
            current.instructions.append((word, rest))
    return found


def lineage(name: str) -> list[Stage]:
    """A stage and those that it is built from, the first one first."""
    every = stages()
    stage = every[name]
    return [*(lineage(stage.parent) if stage.parent in every else []), stage]


def base_image() -> str:
    """The image that all are built from."""
    return next(line.partition("PYTHON=")[2] for line in FILE.read_text().splitlines() if line.startswith("ARG PYTHON="))


def command(name: str) -> list[str]:
    """What an image runs: its entry point, then its own command."""
    stage = stages()[name]
    return [word for keyword in ("ENTRYPOINT", "CMD") for told in stage.told(keyword) for word in json.loads(told)]


def moved(text: str, root: Path) -> str:
    """A line of the Dockerfile with its paths in the folder."""
    for path in MOVED:
        text = text.replace(path, f"{root}{path}")
    return text


def run(line: str, root: Path) -> None:
    """A RUN line, in a shell that knows nothing of this environment's packages; `python`, which not every machine has, is this one."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV", "ASSAY_"))}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    subprocess.run(["bash", "-euc", moved(line, root)], env=clean | {"UV_SYSTEM_CERTS": "1", "PATH": path}, check=True)
