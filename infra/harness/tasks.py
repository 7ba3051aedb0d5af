"""lm-eval's task objects: with their data, for building; and without, for scoring.

What needs a hub while it is only being imported is refused here; what runs code that a model wrote gets the sandbox.
"""

import functools
import json
import logging
import math
import sys
import traceback
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import numpy as np

from infra.harness import code
from infra.harness.catalogue import DERIVED_TASKS, find
from infra.harness.code import CodeEval
from infra.harness.data import NO_DATA, Given, Used, giving, note_generated, reading, standing_in
from infra.harness.defined_documents import explained
from infra.harness.definition_files import Files, files_of, line_of
from infra.harness.definition_groups import Member, member, only
from infra.harness.definition_loading import task_of, told_of, unpacked
from infra.harness.definitions import check
from infra.harness.rows import Fractions
from infra.harness.skipping import skipping
from infra.harness.templates import Sandboxed
from infra.marked_yaml import meant
from infra.settings import Settings
from infra.trust import check_task
from schemas.requests import TaskChoice
from streams.errors import AssayError, Invalid
from streams.quality.judging import derived_name

FEWSHOT_SEED = 1234
logging.getLogger("lm_eval").setLevel(logging.ERROR)


@functools.cache
def _fast_templates() -> None:
    """lm-eval compiles a task's templates anew for every document; compiling each once is 52 times faster on MMLU, and equal.

    And they are rendered in Jinja's sandbox: a template that a request brought is to run nothing.
    """
    from lm_eval import utils

    plain = utils.env
    utils.env = Sandboxed(loader=plain.loader, undefined=plain.undefined, keep_trailing_newline=plain.keep_trailing_newline)
    utils.env.filters |= plain.filters
    utils.env.from_string = functools.cache(utils.env.from_string)


@functools.cache
def _fast_rouge() -> None:
    """rouge-score resamples even a single score a thousand times, always to that score; leaving this out is fast, and equal."""
    from rouge_score import scoring

    resampled = scoring.BootstrapAggregator._bootstrap_resample
    scoring.BootstrapAggregator._bootstrap_resample = lambda self, scores: (
        np.repeat(scores, 3, axis=0) if len(scores) == 1 else resampled(self, scores)
    )


@contextmanager
def _no_hub_metrics() -> Iterator[None]:
    """While it lasts, a metric that would be fetched from the hub is ours, or refused.

    What stands in for the package `evaluate` also keeps it from being imported: that takes twenty seconds and a GiB, for torch.
    """
    made, before, stand_in = list[CodeEval](), sys.modules.get("evaluate"), ModuleType("evaluate")
    stand_in.__spec__ = ModuleSpec("evaluate", None)

    def ours(path: str, *_args: object, **_named: object) -> CodeEval:
        if path != code.NAME:
            raise Invalid(f"its metric {path!r} comes from the hub; only {code.NAME!r} is had without it", code="hub-metric")
        made.append(CodeEval(loading=sys.modules.get("evaluate") is stand_in))
        return made[-1]

    vars(stand_in)["load"] = ours
    sys.modules["evaluate"] = stand_in
    try:
        yield
    finally:
        del sys.modules["evaluate"]
        if before is not None:
            sys.modules["evaluate"] = before
        for metric in made:
            metric.loading = False


@dataclass(frozen=True, slots=True)
class Own:
    """A task that a request brings, with its files."""

    files: Files
    member: Member


def own_of(choice: TaskChoice) -> Own | None:
    """The task that the request brings for this choice, checked; None where it brings none. Raises: Invalid."""
    files = files_of(choice)
    if files is None:
        return None
    found = member(files, choice.name)
    check(found, files, trust_code=choice.trust_code)
    return Own(only(files, [found]), found)


def _loaded(name: str, own: Own | None, overrides: dict[str, Any]) -> Any:
    """The task object. Raises: NotFound, Invalid with what lm-eval says."""
    _fast_templates()
    try:
        with _no_hub_metrics():
            task = _brought(own, overrides) if own else _known(name, overrides)
    except (AssayError, MemoryError) as error:
        if own and isinstance(error, AssayError) and error.code == NO_DATA:
            raise Invalid(f"{line_of(own.member.fields, 'dataset_path')}{error}", code=NO_DATA) from error
        raise
    except Exception as error:  # a task's definition is code of others: whatever it raises is this task's refusal
        told = explained(_half_made(error), own.member.fields if own else None) or Invalid(
            f"task {name} cannot be made: {told_of(error, own.files if own else None)}", code="task-broken"
        )
        raise told from error
    if "rouge_score.scoring" in sys.modules:  # its import takes seconds, and few tasks want it
        _fast_rouge()
    return task


def _brought(own: Own, overrides: dict[str, Any]) -> Any:
    with unpacked(own.files) as folder:
        return task_of(own.member.name, own.member.fields, folder, overrides)


def _known(name: str, overrides: dict[str, Any]) -> Any:
    from lm_eval.tasks import TaskManager

    found = find(name)
    if found.folder is None:
        raise Invalid(f"{name!r} is a group; name its tasks", code="group")
    manager = TaskManager(include_defaults=False, include_path=[found.folder])
    wanted = {"group": "assay", "task": [{"task": name, **overrides}]} if overrides else name
    (task,) = manager.load(wanted)["tasks"].values()
    return task


def _half_made(error: BaseException) -> Any:
    """The task object that lm-eval was making when it raised: it tries the first document as it makes one. None where there is none yet."""
    frames = traceback.walk_tb(error.__traceback__)
    made = [frame.f_locals["self"] for frame, _ in frames if "self" in frame.f_locals]
    return next((one for one in made if hasattr(one, "task_docs")), None)


def with_data(choice: TaskChoice, settings: Settings, given: Given | None = None) -> tuple[Any, Used]:
    """A fresh task object with its data, and what was read for it; `given` are a derived task's documents. Raises: NotFound, Invalid."""
    check_task(choice, settings)
    own = own_of(choice)
    if given is None and own is None and _own(choice.name) in DERIVED_TASKS:
        raise Invalid(f"task {choice.name} judges another run's answers: `assay judge RUN` asks for it", code="nobody-judged")
    if given is None and choice.skip_bad_rows:
        task, used = _fewest_skipped(choice, own, settings)
    else:
        with giving(given) if given else reading(settings.datasets) as used, _looking(choice, own, used):
            task = _made(choice, own, used)
    _set_fewshot(task, choice, used)
    return task, used


def _fewest_skipped(choice: TaskChoice, own: Own | None, settings: Settings) -> tuple[Any, Used]:
    """The task with as few rows left out as may be: where one has a fraction for a label, all labels are fractions, and none is a place.

    So each field that mixes the two is tried with rows with fractions left out, where that leaves more rows. Raises: as with_data.
    """

    def tried(fields: frozenset[str]) -> tuple[Any, Used, float]:
        used = Used(skips=True, fractions=Fractions(fields))
        try:
            with reading(settings.datasets, used), _looking(choice, own, used):
                return _made(choice, own, used), used, used.lost
        except Invalid as error:
            return error, used, math.inf

    best, found, lost = tried(frozenset())
    for field in sorted(found.fractions.mixed) if lost else ():
        other = tried(found.fractions.bad | {field})
        if other[2] < lost:
            best, found, lost = other
    if isinstance(best, Invalid):
        raise best
    return best, found


def _looking(choice: TaskChoice, own: Own | None, used: Used) -> AbstractContextManager[None]:
    return skipping(used, own=own is not None) if choice.skip_bad_rows else nullcontext()


def _made(choice: TaskChoice, own: Own | None, used: Used) -> Any:
    task = _loaded_or_missing(choice.name if own else _own(choice.name), own, used)
    if callable(getattr(task.config, "custom_dataset", None)):
        note_generated(used, task.dataset)
    return task


def _own(name: str) -> str:
    """The name that a task's definition has: of a derived task, its own without the judged one's."""
    return own if (own := derived_name(name)) in DERIVED_TASKS else name


def _loaded_or_missing(name: str, own: Own | None, used: Used) -> Any:
    try:
        return _loaded(name, own, {})
    except Invalid as error:
        if used.missing and error.code == "task-broken":
            raise Invalid(_lacking(name, own, used), code="no-data") from error
        raise


def _lacking(name: str, own: Own | None, used: Used) -> str:
    """That a split is not there, with the one that was meant; with its line in a definition of the client's."""
    missing = sorted(used.missing)
    fields = own.member.fields if own else {}
    said = next((field for field, (_, node) in fields.items() if field.endswith("_split") and node.value in missing), "")
    hint = f"; {meant(missing[0], used.there)}" if used.there else ""
    return f"{line_of(fields, said)}task {name} needs split {', '.join(missing)}, which {used.source} does not have{hint}"


def _set_fewshot(task: Any, choice: TaskChoice, used: Used) -> None:
    if choice.fewshot is not None:
        task.set_config(key="num_fewshot", value=choice.fewshot)
    elif task.config.num_fewshot is None:
        task.set_config(key="num_fewshot", value=0)
    split = getattr(getattr(task, "fewshot_cfg", None), "split", None) or task.config.training_split
    if task.config.num_fewshot and split in used.missing:
        raise Invalid(
            f"task {choice.name} at {task.config.num_fewshot} shots draws examples from split {split}, which {used.source} does not have; "
            "ask for fewshot 0, or add the split",
            code="no-fewshot-data",
        )
    task.set_fewshot_seed(seed=FEWSHOT_SEED)


@functools.lru_cache(maxsize=64)
def without_data(config_json: str) -> Any:
    """A task object for scoring and aggregating, made from a build's `config_json` alone.

    Raises: Invalid, also where its Python may not run in this process.
    """
    config = json.loads(config_json)
    told = {name: config[name] for name in ("definition", "trust_code", "file", "parts") if name in config}
    choice = TaskChoice.model_validate({"name": config["task"]} | told)
    check_task(choice, Settings())
    own = own_of(choice)
    overrides: dict[str, Any] = {"process_docs": None} if config["yaml"] else {}
    if config["custom_dataset"]:
        overrides |= {"custom_dataset": None, "dataset_path": "stand-in"}
    with standing_in(config["document"]):
        return _loaded(config["task"] if own else _own(config["task"]), own, overrides)
