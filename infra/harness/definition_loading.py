"""Tasks made of a client's own files, as lm-eval makes them: unpacked into a fresh folder, their functions imported from there."""

import linecache
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from infra.harness.definition_files import CODE, Fields, Files
from infra.harness.limits import words
from streams.errors import Invalid

ALONE: Final = "task.yaml"
PREFIX: Final = "assay-task-"


@contextmanager
def unpacked(files: Files) -> Iterator[Path]:
    """While it lasts, a folder that holds the files, and nothing else."""
    with tempfile.TemporaryDirectory(prefix=PREFIX) as made:
        folder = Path(made).resolve()
        for name, text in files.texts.items():
            path = (folder / (name or ALONE)).resolve()
            if not path.is_relative_to(folder):
                raise Invalid(f"{name!r} leads out of the definition's folder", code=CODE)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            _remember(path, text)
        yield folder


def task_of(name: str, fields: Fields, folder: Path, overrides: dict[str, Any]) -> Any:
    """The task object that the fields make; `overrides` count before them. Raises: whatever lm-eval raises."""
    from lm_eval.api.task import ConfigurableTask

    config = {field: _value(node, folder) for field, (_, node) in fields.items()} | overrides | {"task": name}
    told = config.get("metadata")
    config["metadata"] = told if isinstance(told, dict) else {} if told is None else {"_metadata": told}
    return ConfigurableTask(config=config)


def _value(node: Any, folder: Path) -> Any:
    """What a field says, its functions imported from beside the file that it stands in."""
    from lm_eval.tasks._yaml_loader import _make_loader

    loader = _make_loader((folder / node.start_mark.name).parent if node.start_mark.name else folder, resolve_funcs=True)("")
    try:
        return loader.construct_document(node)
    finally:
        loader.dispose()


def told_of(error: BaseException, files: Files | None) -> str:
    """What a task's own code raised, with the file and line of it where it is one of the client's."""
    said = words(error)
    paths = [path for path in files.texts if path] if files else []
    frames = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    found = [(path, line) for file, line in frames for path in paths if PREFIX in file and file.endswith(f"/{path}")]
    return f"{found[-1][0]}, line {found[-1][1]} raised {said}" if found else said


def _remember(path: Path, text: str) -> None:
    """Lets the source of a module be read when its folder is gone: builds are named by it, and errors show it."""
    if path.suffix == ".py":
        linecache.cache[str(path)] = (len(text), None, text.splitlines(keepends=True), str(path))
