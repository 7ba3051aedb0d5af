"""The manual of the command line, docs/cli.md: made from the commands. `python -m query_api.cli.manual` writes it, `--check` compares."""

import argparse
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from query_api.cli.main import assembled

WRITTEN = Path(__file__).parents[2] / "docs" / "cli.md"
HEAD = """# assay(1)

Written from the commands by `make schemas`. Every command takes `--help`. With `--json` a command prints one JSON document on stdout and
nothing else. What is wrong is one line on stderr; the exit code is 0 when all is well, 1 when not, 2 when the command was not
understood, 130 after Ctrl-C. `assay --install-completion` teaches the shell to complete commands, options, runs, tasks and topics.
"""


def manual() -> str:
    """The whole page."""
    root: Any = typer.main.get_command(assembled())
    return "\n".join([HEAD, *_contents(root), *(line for path, command in _all(root) for line in _entry(path, command))])


def _all(root: Any, path: str = "assay") -> Iterator[tuple[str, Any]]:
    for name, command in root.commands.items():
        yield f"{path} {name}", command
        if hasattr(command, "commands"):
            yield from _all(command, f"{path} {name}")


def _contents(root: Any) -> Iterator[str]:
    panels: dict[str, list[str]] = {}
    for name, command in root.commands.items():
        panels.setdefault(command.rich_help_panel, []).append(f"[{name}](#assay-{name})")
    for panel, names in panels.items():
        yield f"**{panel}**: {' · '.join(names)}  "
    yield ""


def _entry(path: str, command: Any) -> Iterator[str]:
    text, examples = parts(command.help or "")
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and p.name != "help"]
    yield f"## {path}\n"
    yield f"    {' '.join([path, *(_argument(p) for p in arguments), *(['[OPTIONS]'] if options else [])])}\n"
    yield f"{text}\n"
    if arguments or options:
        yield "| | | default |\n| --- | --- | --- |"
        yield from (f"| `{_names(p)}` | {p.help or ''} | {_default(p)} |" for p in [*arguments, *options])
        yield ""
    yield from (f"    {example}" for example in examples)
    yield ""


def parts(help_text: str) -> tuple[str, list[str]]:
    """A command's text, and its examples."""
    text, _, told = re.sub(r"[ \t]*\n[ \t]*(?!\n)", "\n", inspect.cleandoc(help_text)).partition("Example")
    return text.strip().replace("\n\n", "\0").replace("\n", " ").replace("\0", "\n\n"), re.findall(r"`([^`]+)`", told)


def _argument(parameter: Any) -> str:
    name = parameter.name.upper()
    return name if parameter.required else f"[{name}]"


def _names(parameter: Any) -> str:
    return parameter.name.upper() if parameter.param_type_name == "argument" else ", ".join([*parameter.opts, *parameter.secondary_opts])


def _default(parameter: Any) -> str:
    value = parameter.default
    return "" if value in (None, False, "", []) or callable(value) else f"`{'on' if value is True else value}`"


def commands_without_examples() -> list[str]:
    """The commands whose help shows no example; a test wants none."""
    root: Any = typer.main.get_command(assembled())
    return [path for path, command in _all(root) if not parts(command.help or "")[1]]


def main() -> None:
    """Writes or checks."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--check", action="store_true")
    if not asked.parse_args().check:
        WRITTEN.write_text(manual())
    elif not WRITTEN.exists() or WRITTEN.read_text() != manual():
        sys.exit(f"{WRITTEN} is not what the commands say; run `make schemas`")


if __name__ == "__main__":
    main()
