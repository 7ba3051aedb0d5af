"""Requirements from files, as the API takes them."""

from pathlib import Path
from typing import Any

from query_api.cli.request_files import mapping_of
from query_api.cli.trace_files import traced
from streams.deciding.traced import traffic_of


def requirement_from(file: Path) -> dict[str, Any]:
    """The requirement of a YAML file; a trace that its traffic names is read, by its place beside the file. Raises: Invalid."""
    _, told = mapping_of(file, fields="tasks and traffic")
    traffic = told.get("traffic")
    if isinstance(traffic, dict) and isinstance(traffic.get("trace"), str):
        rest = {name: value for name, value in traffic.items() if name != "trace"}
        told = told | {"traffic": traffic_of(traced(file.parent / Path(traffic["trace"]).expanduser())) | rest}
    found: dict[str, Any] = named(told)
    return found


def named(value: Any) -> Any:
    """The same with every key a text, as JSON has it: hours of a curve are numbers in YAML."""
    return {str(key): named(one) for key, one in value.items()} if isinstance(value, dict) else value
