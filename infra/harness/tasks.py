"""lm-eval's task objects: with their data, for building; and without, for scoring.

What needs a hub while it is only being imported is refused here; what runs code that a model wrote gets the sandbox.
"""

import functools
import json
import logging
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import numpy as np
from jinja2.sandbox import SandboxedEnvironment

from infra.harness import code
from infra.harness.catalogue import DERIVED_TASKS, find
from infra.harness.code import CodeEval
from infra.harness.data import Given, Used, giving, note_generated, reading, standing_in
from infra.harness.defined_documents import explained
from infra.harness.definitions import checked, folder_of
from infra.settings import Settings
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
    utils.env = SandboxedEnvironment(loader=plain.loader, undefined=plain.undefined, keep_trailing_newline=plain.keep_trailing_newline)
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


def _loaded(name: str, folder: str, overrides: dict[str, Any], definition: str | None = None) -> Any:
    """The task object. Raises: Invalid with what lm-eval says."""
    from lm_eval.tasks import TaskManager

    _fast_templates()
    manager = TaskManager(include_defaults=False, include_path=[folder])
    wanted = {"group": "assay", "task": [{"task": name, **overrides}]} if overrides else name
    try:
        with _no_hub_metrics():
            (task,) = manager.load(wanted)["tasks"].values()
    except AssayError:
        raise
    except Exception as error:  # a task's definition is code of others: whatever it raises is this task's refusal
        told = explained(_half_made(error), definition) or Invalid(
            f"task {name} cannot be made: {type(error).__name__}: {error}", code="task-broken"
        )
        raise told from error
    if "rouge_score.scoring" in sys.modules:  # its import takes seconds, and few tasks want it
        _fast_rouge()
    return task


def _half_made(error: BaseException) -> Any:
    """The task object that lm-eval was making when it raised: it tries the first document as it makes one. None where there is none yet."""
    frames = traceback.walk_tb(error.__traceback__)
    made = [frame.f_locals["self"] for frame, _ in frames if "self" in frame.f_locals]
    return next((one for one in made if hasattr(one, "task_docs")), None)


def with_data(choice: TaskChoice, settings: Settings, given: Given | None = None) -> tuple[Any, Used]:
    """A fresh task object with its data, and what was read for it; `given` are a derived task's documents. Raises: NotFound, Invalid."""
    own = _own(choice.name)
    if given is None and own in DERIVED_TASKS:
        raise Invalid(f"task {choice.name} judges another run's answers: `assay judge RUN` asks for it", code="nobody-judged")
    source = giving(given) if given else reading(settings.datasets)
    with _folder(own, choice.definition, trust_code=choice.trust_code) as folder, source as used:
        task = _loaded_or_missing(own, folder, used, choice.definition)
        if callable(getattr(task.config, "custom_dataset", None)):
            note_generated(used, task.dataset)
    _set_fewshot(task, choice, used)
    return task, used


@contextmanager
def _folder(name: str, definition: str | None, *, trust_code: bool) -> Iterator[str]:
    """The folder that defines a task: one of its own for a definition that came with the request, once that is checked."""
    if definition is None:
        found = find(name)
        if found.folder is None:
            raise Invalid(f"{name!r} is a group; name its tasks", code="group")
        yield found.folder
        return
    if (told := checked(definition, trust_code=trust_code)) != name:
        raise Invalid(f"task {name!r} is asked for with a definition of {told!r}; give it that name", code="task-definition")
    with folder_of(name, definition) as folder:
        yield folder


def _own(name: str) -> str:
    """The name that a task's definition has: of a derived task, its own without the judged one's."""
    return own if (own := derived_name(name)) in DERIVED_TASKS else name


def _loaded_or_missing(name: str, folder: str, used: Used, definition: str | None) -> Any:
    try:
        return _loaded(name, folder, {}, definition)
    except Invalid as error:
        if used.missing and error.code == "task-broken":
            missing = ", ".join(sorted(used.missing))
            raise Invalid(f"task {name} needs split {missing}, which {used.source} does not have", code="no-data") from error
        raise


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
    """A task object for scoring and aggregating, made from a build's `config_json` alone."""
    config = json.loads(config_json)
    name, definition, trust_code = config["task"], config.get("definition"), config.get("trust_code", False)
    overrides: dict[str, Any] = {"process_docs": None} if config["yaml"] else {}
    if config["custom_dataset"]:
        overrides |= {"custom_dataset": None, "dataset_path": "stand-in"}
    with _folder(_own(name), definition, trust_code=trust_code) as folder, standing_in(config["document"]):
        return _loaded(_own(name), folder, overrides)
