"""What a command of commands.py asks for, as `POST /v1/evaluations` takes it: a recommendation keeps commands, and a click asks for them.

Just what these commands say is read. A recommendation that somebody else wrote may have any text in their place, and any other is refused.
"""

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from streams.errors import Invalid
from streams.numbers import shown, whole

MOST_TIMES: Final = 16  # of one command: the most that is foretold (measuring_next.py)
TIMES: Final = re.compile(r"(?P<command>.*?)  # (?P<times>[1-9]\d?) times", re.DOTALL)
TEXTS: Final = frozenset({"--model", "--base", "--engine", "--option", "--task", "--suite", "--system", "--profile"})
NUMBERS: Final = frozenset({
    "--limit", "--fewshot", "--thinking-tokens", "--concurrency", "--requests", "--input-tokens", "--output-tokens",
})  # fmt: skip
FLAGS: Final = frozenset({"--chat", "--fold-system", "--multiturn", "--thinking", "--no-thinking", "--trust-model-code", "--wait"})
LOAD: Final = ("profile", "concurrency", "requests", "input_tokens", "output_tokens")
Said = dict[str, list[Any]]


@dataclass(frozen=True, slots=True)
class Ask:
    """A command, the request that it is, and how often it is asked for."""

    command: str
    body: dict[str, Any]
    times: int = 1


def ask_of(typed: str) -> Ask:
    """What is asked for by a command. Raises: Invalid for one that is none of ours."""
    found = TIMES.fullmatch(typed)
    command, times = (found["command"], int(found["times"])) if found else (typed, 1)
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise _strange(typed) from error
    if words[:1] != ["assay"] or words[1:2] not in (["submit"], ["perf"]) or times > MOST_TIMES:
        raise _strange(typed)
    said = _said(words[2:], typed)
    return Ask(command, dict(_submitted(said) if words[1] == "submit" else _loaded(said)), times)


def _said(words: Sequence[str], typed: str) -> Said:
    """The options by their names, each with its values in their order."""
    found, left = Said(), list(words)
    while left:
        name = left.pop(0)
        if name in FLAGS:
            found.setdefault(name, []).append(True)
        elif name in TEXTS | NUMBERS and left:
            value = left.pop(0)
            try:
                found.setdefault(name, []).append(whole(value) if name in NUMBERS else value)
            except ValueError as error:
                raise _strange(typed) from error
        else:
            raise _strange(typed)
    if "--model" not in found:
        raise _strange(typed)
    return found


def _strange(typed: str) -> Invalid:
    return Invalid(f"{shown(typed)} is no command that a recommendation gives; look it over, and type it yourself", code="strange-command")


def _model(said: Said) -> Iterator[tuple[str, Any]]:
    uri = said["--model"][0]
    name, _, revision = (uri, "", "") if uri.startswith("/") else uri.partition("@")
    beside = {"base": said["--base"][0]} if "--base" in said else {}
    yield "model", {"uri": name, "revision": revision or None, "trust_code": "--trust-model-code" in said} | beside
    options = dict(one.split("=", 1) for one in said.get("--option", ()) if "=" in one)
    yield "engine", {"options": options} | ({"name": said["--engine"][0]} if "--engine" in said else {})


def _submitted(said: Said) -> Iterator[tuple[str, Any]]:
    yield from _model(said)
    each = {name: said[f"--{name}"][0] for name in ("limit", "fewshot") if f"--{name}" in said}
    if "--task" in said:
        yield "tasks", [{"name": name, **each} for name in said["--task"]]
    elif "limit" in each:
        yield "limit", each["limit"]
    if "--suite" in said:
        yield "suite", said["--suite"][0]
    yield "chat", dict(_dress(said))


def _dress(said: Said) -> Iterator[tuple[str, Any]]:
    if "--chat" in said:
        yield "template", "model"
    for flag in ("--fold-system", "--multiturn"):
        if flag in said:
            yield flag.strip("-").replace("-", "_"), True
    for name in ("--thinking", "--no-thinking"):
        if name in said:
            yield "thinking", name == "--thinking"
    for name in ("--system", "--thinking-tokens"):
        if name in said:
            yield name.strip("-").replace("-", "_"), said[name][0]


def _loaded(said: Said) -> Iterator[tuple[str, Any]]:
    yield from _model(said)
    named = {name: f"--{name.replace('_', '-')}" for name in LOAD}
    yield "workload", {name: said[option][0] for name, option in named.items() if option in said}
