"""Assay, through Kafka and its agents, against lm_eval.simple_evaluate with HFLM: every task of every suite that ASSAY_DATASETS serves.

    python -m benchmarks.conformance [--limit 8] [--task NAME …] [--model FOLDER]

The model is a small one that is made here, with a chat template, unless one is named. Tasks are compared plainly, then those without MMLU
dressed in the template. Then the first request again, with other batches and after a restart of every process: all samples must be the
same. Writes benchmarks/results/conformance.json and docs/conformance.md; with --task only those tasks' rows. Ends with 1 where something
differs.
"""

import argparse
import asyncio
import json
import logging
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.conformance_page import SOURCE, write_page
from benchmarks.conforming import compared, of_events
from benchmarks.harness import write
from infra.harness.catalogue import find
from infra.harness.data import reading
from infra.kafka import Log
from infra.settings import Settings, of_process
from infra.suites.reading import Member, names, suite
from schemas.requests import Chat, EngineChoice, EvaluationRequested
from streams.runs import TERMINAL
from streams.topics import ANSWERS, RUN_SCORES, RUNS, SCORES
from tests.conftest import end, spawn, stack_in
from tests.flow import events_of, request
from tests.models import tiny_llama

PATIENCE_S = 3600
MAX_LENGTH = 1536
PROCESSORS = ("plan", "dispatch", "score", "settle", "rank")
TEMPLATE = Chat(template="model")
# lm-eval would run what the model writes on this machine itself; and it draws by another chance.
LEFT_OUT = frozenset({"humaneval", "mbpp", "assay_continuations"})


@contextmanager
def processors(stack: Settings) -> Iterator[None]:
    """Every processor that a run needs, and one agent; ended with the context."""
    children = [spawn("agents", name, settings=stack) for name in PROCESSORS]
    children.append(spawn("gpu_agent", settings=stack.model_copy(update={"agent_id": "conformance"})))
    try:
        yield
    finally:
        for child in children:
            end(child)


async def finished(stack: Settings, asked: EvaluationRequested) -> list[Any]:
    """The run's answers, scores and figures, once it is over. Ends the program where it is not completed."""
    async with Log(stack, client_id="conformance") as log:
        await log.publish(asked)
        give_up = time.monotonic() + PATIENCE_S
        while time.monotonic() < give_up:
            over = [event for event in await events_of(log, RUNS, asked.run_id) if event.state in TERMINAL]
            if over and over[0].state == "completed":
                return [event for topic in (ANSWERS, SCORES, RUN_SCORES) for event in await events_of(log, topic, asked.run_id)]
            if over:
                sys.exit(f"run {asked.run_id} is {over[0].state}: {over[0].message}")
            await asyncio.sleep(1)
    sys.exit(f"run {asked.run_id} is not over after {PATIENCE_S} s")


def asking(model: Path, members: Sequence[Member], *, limit: int, chat: Chat, options: dict[str, str]) -> EvaluationRequested:
    """The request for these tasks, with their own metrics alone, which lm-eval has too; those that cannot run here are left out."""
    choices = tuple(
        choice.model_copy(update={"limit": limit, "version": None, "data_revision": None, "metrics": ()})
        for member in members for name in names() for choice in suite(name).choices()
        if (choice.name, choice.fewshot) == (member.task, member.fewshot)
    )  # fmt: skip
    unique = tuple({choice.name: choice for choice in choices}.values())
    engine = EngineChoice(name="transformers", options=options)
    return request(model=str(model), tasks=unique, chat=chat, engine=engine, skip_missing=True, limit=None)


def theirs(lm: Any, member: Member, *, limit: int, chat: Chat, settings: Settings) -> dict[str, Any]:
    """What simple_evaluate says of the task."""
    import lm_eval
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_defaults=False, include_path=[str(find(member.task).folder)])
    with reading(settings.datasets):
        return dict(
            lm_eval.simple_evaluate(
                lm, tasks=[member.task], task_manager=manager, limit=limit, num_fewshot=member.fewshot, log_samples=True,
                apply_chat_template=chat.template is not None, fewshot_as_multiturn=chat.multiturn,
            )
        )  # fmt: skip


def rows_of(lm: Any, members: Sequence[Member], *, stack: Settings, model: Path, limit: int, chat: Chat) -> list[dict[str, Any]]:
    """Each task's row. A task that is asked with several numbers of examples needs a run for each: a run has a task once."""
    rows, rest = list[dict[str, Any]](), list(members)
    while rest:
        now = list({member.task: member for member in reversed(rest)}.values())[::-1]
        rest = [member for member in rest if member not in now]
        started = time.monotonic()
        ours = of_events(asyncio.run(finished(stack, asking(model, now, limit=limit, chat=chat, options={}))))
        took_s = (time.monotonic() - started) / max(1, len(ours))
        for member in (one for one in now if one.task in ours):
            began = time.monotonic()
            reference = theirs(lm, member, limit=limit, chat=chat, settings=stack)
            row = compared(ours[member.task], reference, member.task)
            rows.append(
                {
                    "main": member.pin.metric if member.pin else "",
                    "fewshot": member.fewshot,
                    "ours_s": took_s,
                    "lm_eval_s": time.monotonic() - began,
                }
                | row
            )
            print(f"{member.task:36} {'equal' if row['equal'] else 'DIFFERS'} {row['max_relative']:.1e}", flush=True)
    return rows


def again(stack: Settings, model: Path, members: Sequence[Member], *, limit: int) -> dict[str, Any]:
    """The same request twice, with batches of another size and every process started anew in between: how many samples are the same."""
    found = []
    for options in ({}, {"batch_tokens": "300"}):
        with processors(stack):
            events = asyncio.run(finished(stack, asking(model, members, limit=limit, chat=Chat(), options=options)))
        found.append({task: told.items for task, told in of_events(events).items()})
    first, second = found
    values = [(items[key], second[task].get(key)) for task, items in first.items() for key in items]
    return {"tasks": sorted(first), "values": len(values), "equal": sum(1 for one, other in values if one == other)}


def chosen(tasks: Sequence[str]) -> list[Member]:
    """The tasks of all suites, each once with each number of examples; only those named, where some are."""
    every = {(member.task, member.fewshot): member for name in names() for member in suite(name).members if member.task not in LEFT_OUT}
    return [member for member in every.values() if not tasks or member.task in tasks]


def measured(given: argparse.Namespace, home: Path) -> dict[str, Any]:
    """The report."""
    from lm_eval.models.huggingface import HFLM

    model = Path(given.model).resolve() if given.model else tiny_llama(home / "model", max_length=MAX_LENGTH, template=True)
    members, lm = chosen(given.task), HFLM(pretrained=str(model), device="cpu", dtype="float32", batch_size=1)
    dressed = [member for member in members if member.group is None]
    with stack_in(home / "stack") as bare:
        stack = bare.model_copy(update={"datasets": of_process().datasets, "engine": "transformers", "lease_s": 60.0})
        with processors(stack):
            given_ = {"stack": stack, "model": model, "limit": given.limit}
            plain = rows_of(lm, members, chat=Chat(), **given_)
            chat = rows_of(lm, dressed, chat=TEMPLATE, **given_)
        if given.task:
            return merged(json.loads(SOURCE.read_text()), plain, chat)
        repeated = again(stack, model, dressed, limit=given.limit)
    return {"limit": given.limit, "tasks": plain, "chat": chat, "again": repeated}


def merged(before: dict[str, Any], plain: list[dict[str, Any]], chat: list[dict[str, Any]]) -> dict[str, Any]:
    """The report with these rows in place of those that it had."""
    told = {name: value for name, value in before.items() if name != "machine"}
    for name, rows in (("tasks", plain), ("chat", chat)):
        told[name] = list({(row["task"], row["fewshot"]): row for row in [*before[name], *rows]}.values())
    return told


def main() -> None:
    """Runs both, writes the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, default=8)
    parser.add_argument("--task", action="append", default=[])
    parser.add_argument("--model")
    given = parser.parse_args()
    if of_process().datasets is None:
        sys.exit("set ASSAY_DATASETS to the folder of data sets")
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # so that what was started ends too
    with tempfile.TemporaryDirectory() as home:
        told = measured(given, Path(home))
    write("conformance", told)
    write_page()
    if not all(row["equal"] for row in [*told["tasks"], *told["chat"]]) or told["again"]["equal"] != told["again"]["values"]:
        sys.exit("something differs")


if __name__ == "__main__":
    main()
