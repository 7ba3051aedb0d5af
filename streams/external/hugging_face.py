"""A sealed run's results as Hugging Face's hub reads them: a model card's `model-index`, and files of `.eval_results/`.

Sources: huggingface_hub 2.4, repocard_data.eval_results_to_model_index and _eval_results.eval_result_entries_to_yaml; Hub documentation,
Evaluation Results.
"""

from collections.abc import Iterator
from typing import Any, Final

from schemas.results import Figure
from streams.errors import Conflict
from streams.external.results import Results, Scored

TASK: Final = "text-generation"  # the hub's name of what is asked of a language model
OWN: Final = "assay"  # a data set that no hub has


def model_index(results: Results) -> dict[str, Any]:
    """What stands in a model card's front matter: each task's figures, with their intervals in their names."""
    return {"model-index": [{"name": results.model, "results": [_result(results, task) for task in results.tasks]}]}


def eval_results(results: Results) -> list[dict[str, Any]]:
    """The entries of a file of `.eval_results/`: the main figure of each task whose data the hub has. Raises: Conflict, where none is."""
    entries = list(_entries(results))
    if not entries:
        raise Conflict(
            f"run {results.seal.run_id} has no task with data of the hub, and .eval_results/ names data sets of it; --form model-index "
            "writes all tasks", code="not-of-the-hub",
        )  # fmt: skip
    return entries


def _result(results: Results, task: Scored) -> dict[str, Any]:
    data = {"name": task.planned.task, "type": task.hub_data or f"{OWN}/{task.planned.task}"}
    about = {"data_sha256": task.built.data_sha, "task_version": task.planned.task_version, "num_few_shot": task.built.fewshot}
    metrics = [
        {"type": figure.metric, "name": _named(figure), "value": figure.value, "verified": False,
         "args": {name: value for name, value in (("n", figure.n), ("low", figure.low), ("high", figure.high)) if value is not None}
         | {"assay_run": results.seal.run_id, "sealed_by": results.seal.key_id}}
        for figure in task.figures
    ]  # fmt: skip
    return {"task": {"type": TASK}, "dataset": data | {"args": about}, "metrics": metrics}


def _named(figure: Figure) -> str:
    metric = figure.metric if figure.filter == "none" else f"{figure.metric} ({figure.filter})"
    ends = "" if figure.low is None or figure.high is None else f", 95 % interval {figure.low:.4g} to {figure.high:.4g}"
    return f"{metric}, n = {figure.n}{ends}"


def _entries(results: Results) -> Iterator[dict[str, Any]]:
    for task in results.tasks:
        if (data := task.hub_data) is not None:
            main = task.figures[0]
            yield {
                "dataset": {"id": data, "task_id": task.planned.task}, "value": main.value, "date": results.ended,
                "notes": f"{_named(main)}, {task.built.fewshot} few-shot; {_note(results)}",
            }  # fmt: skip


def _note(results: Results) -> str:
    return f"Assay {results.release}, run {results.seal.run_id}, sealed by key {results.seal.key_id}"
