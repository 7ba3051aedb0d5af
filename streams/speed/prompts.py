"""Prompts of a load that are a data set's own: read from lines, checked, and said where they repeat.

A line is a JSON object whose `text` is a prompt; what else it tells is left out.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Final

from schemas.requests import Prompt, Workload
from streams.bounds import MOST_TRACED
from streams.errors import Invalid
from streams.once import once

CODE: Final = "workload"


def read_prompts(lines: Iterable[str], *, limit: int | None = None) -> tuple[Prompt, ...]:
    """The prompts of such lines, the first so many. Raises: Invalid, naming the line."""
    read = list[Prompt]()
    for number, line in enumerate(lines, start=1):
        if len(read) == limit:
            break
        if not line.strip():
            continue
        if len(read) == MOST_TRACED:
            raise Invalid(f"line {number}: there are more than {MOST_TRACED:,} prompts; cut them with --prompts-limit", code=CODE)
        read.append(Prompt(text=_text(line, number)))
    if not read:
        raise Invalid("line 1: there is no prompt", code=CODE)
    return tuple(read)


def _text(line: str, number: int) -> str:
    try:
        told = json.loads(line, object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise Invalid(f"line {number}: it is no JSON", code=CODE) from error
    text = told.get("text") if isinstance(told, dict) else None
    if not isinstance(text, str) or not text.strip():
        raise Invalid(f'line {number}: give an object with a text, as {{"text": "Once upon a time"}}', code=CODE)
    return text


def check_prompts(workload: Workload) -> None:
    """Raises: Invalid, where a data set's prompts cannot be those of the load."""
    if workload.prompts_limit is not None and workload.prompts_task is None:
        raise Invalid("prompts_limit is for the documents of prompts_task: give that, or leave it out", code=CODE)
    if not workload.prompts and workload.prompts_task is None:
        return
    if workload.prompts and workload.prompts_task is not None:
        raise Invalid("prompts and prompts_task are two sets of prompts: leave one out", code=CODE)
    if workload.url is None:
        raise Invalid("an engine here draws its prompts itself: give the url of a server, or leave prompts out", code=CODE)
    others = {"a trace": workload.profile == "trace", "turns": workload.turns > 1, "shared_prefix_ratio": workload.shared_prefix_ratio > 0}
    if other := next((name for name, asked in others.items() if asked), None):
        raise Invalid(f"prompts of a data set are asked as they are, each by itself: leave {other} out, or the prompts", code=CODE)
    if (empty := next((place for place, one in enumerate(workload.prompts) if not one.text.strip()), None)) is not None:
        raise Invalid(f"prompts.{empty} is empty: give a text", code=CODE)


def repeats_said(prompts: Sequence[Prompt], *, requests: int | None, task: str | None = None) -> tuple[str, ...]:
    """What is to be said of a load with these prompts before it runs; `requests`: so many are sent, where that is known."""
    if not prompts:
        return ()
    whose = f" of task {task}" if task else ""
    told = f"the load asks with {len(prompts):,} prompts{whose}, just as they are: a server that saw them before may have kept them"
    if requests and requests > len(prompts):
        return (f"{told}; {requests:,} requests are more, so that prompts are sent again (prompts_repeated)",)
    return (told,)
