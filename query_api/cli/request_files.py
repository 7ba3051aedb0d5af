"""Requests as YAML files."""

from pathlib import Path
from typing import Any

from streams.errors import Invalid


def model_named(uri: str) -> dict[str, Any]:
    """A model as named; a folder by its full path, for the agent may run elsewhere on this machine."""
    name, _, revision = uri.partition("@") if not Path(uri).exists() else (uri, "", "")
    return {"uri": str(Path(name).resolve()) if Path(name).is_dir() else name, "revision": revision or None}


def from_file(path: Path) -> dict[str, Any]:
    """The body of a request that a file holds. Raises: Invalid, naming file and line."""
    import yaml

    try:
        body = yaml.safe_load(path.read_text())
    except FileNotFoundError as error:
        raise Invalid(f"there is no file {path}", code="no-file") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise Invalid(f"{path}{where}: not YAML: {getattr(error, 'problem', error)}", code="not-yaml") from error
    if not isinstance(body, dict):
        raise Invalid(f"{path} must be a mapping of fields such as model and tasks", code="not-yaml")
    if isinstance(body.get("model"), str):
        body["model"] = model_named(body["model"])
    body["tasks"] = [{"name": task} if isinstance(task, str) else task for task in body.get("tasks") or []]
    return body
