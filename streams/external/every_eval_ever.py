"""A sealed run's results as Every Eval Ever has them: a record of its figures, and a row for each sample that was scored.

Source: every_eval_ever 0.3.0, schemas/eval.schema.json and instance_level_eval.schema.json.
"""

import hashlib
import json
import math
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

from schemas.builds import BuiltRequest, SampleBuilt
from schemas.event import Text
from schemas.measurements import Answer, SampleAnswered
from schemas.results import Figure
from streams.engines import UNKNOWN
from streams.external.results import Results, Scored
from streams.quality.ranges import known_range

SCHEMA: Final = "0.3.0"
HERE: Final = "assay"
UNSAFE: Final = str.maketrans({char: "-" for char in '/\\:*?"<>| '})


def place(results: Results) -> str:
    """Where the record belongs in a folder of such records, without its ending: the rows are beside it, `_samples.jsonl`."""
    developer, _, name = results.model.rpartition("/")
    number = uuid.UUID(bytes=hashlib.sha256(results.seal.run_id.encode()).digest()[:16], version=4)
    return "/".join(["data", HERE, developer.translate(UNSAFE) or "unknown", name.translate(UNSAFE), str(number)])


def evaluation_id(results: Results) -> str:
    """The record's name, the same whenever it is written."""
    return f"{HERE}/{results.model}/{results.seal.run_id}"


def record(results: Results, *, organisation: str, rows: int, checksum: str) -> dict[str, Any]:
    """The record; `rows` and `checksum` are of its file of samples, in hex."""
    plan, engine = results.plan, results.settled.engine
    served = plan.model_sha == UNKNOWN
    used = {"name": engine.name, "version": engine.version} if engine else {"name": plan.engine.name}
    details = {"model_sha256": plan.model_sha, "tokenizer_sha256": plan.tokenizer_sha, "dtype": engine.dtype if engine else ""}
    return {
        "schema_version": SCHEMA,
        "evaluation_id": evaluation_id(results),
        "evaluation_timestamp": results.ended,
        "retrieved_timestamp": str(results.settled.changed_us // 10**6),
        "source_metadata": {
            "source_name": "Assay", "source_type": "evaluation_run", "source_organization_name": organisation,
            "evaluator_relationship": "other", "additional_details": {"run_id": results.seal.run_id, **results.sealed},
        },
        "eval_library": {
            "name": HERE, "version": results.release, "additional_details": {"harness": results.tasks[0].built.harness_version},
        },
        "model_info": {
            "name": results.model, "id": results.model, "inference_engine": used,
            "additional_details": {
                "deployment_type": UNKNOWN if served else "self_deployed", "model_availability": UNKNOWN if served else "open_weights",
            } | {name: told for name, told in details.items() if told},
        },
        "evaluation_results": [_result(results, task, figure) for task in results.tasks for figure in task.figures],
        "detailed_evaluation_results": {
            "format": "jsonl", "file_path": f"{place(results)}_samples.jsonl", "hash_algorithm": "sha256", "checksum": checksum,
            "total_rows": rows,
        },
    }  # fmt: skip


def result_id(results: Results, task: Scored, figure: Figure) -> str:
    """The name of a figure of the record."""
    return f"{evaluation_id(results)}#{task.planned.task}#{figure.metric}#{figure.filter}"


def _result(results: Results, task: Scored, figure: Figure) -> dict[str, Any]:
    built = task.built
    about = {"data_sha256": built.data_sha, "task_version": task.planned.task_version, "fewshot": str(built.fewshot)}
    data: dict[str, Any] = {"dataset_name": task.planned.task, "additional_details": about}
    data |= {"source_type": "hf_dataset", "hf_repo": task.hub_data, "samples_number": built.samples} if task.hub_data else {
        "source_type": "other"
    }  # fmt: skip
    return {
        "evaluation_result_id": result_id(results, task, figure),
        "evaluation_name": task.planned.task,
        "source_data": data,
        "evaluation_timestamp": results.ended,
        "metric_config": _metric(task, figure),
        "score_details": {
            "score": figure.value, "uncertainty": _uncertainty(figure),
            "details": {"scorer": task.scorer_version, "not_scored": str(figure.not_scored)},
        },
    }  # fmt: skip


def _metric(task: Scored, figure: Figure) -> dict[str, Any]:
    told: dict[str, Any] = {
        "metric_id": figure.metric, "metric_name": figure.metric, "metric_parameters": {"filter": figure.filter},
        "lower_is_better": task.lower_is_better(figure),
    }  # fmt: skip
    if (ends := known_range(figure.metric)) is not None:
        told |= {"score_type": "continuous"} | dict(zip(("min_score", "max_score"), map(_end, ends), strict=True))
    return told


def _end(value: float) -> float | str:
    return value if math.isfinite(value) else ("Infinity" if value > 0 else "-Infinity")


def _uncertainty(figure: Figure) -> dict[str, Any]:
    told: dict[str, Any] = {"num_samples": figure.n}
    if figure.stderr is not None:
        told["standard_error"] = {"value": figure.stderr}
    if figure.low is not None and figure.high is not None:
        told["confidence_interval"] = {"lower": _end(figure.low), "upper": _end(figure.high), "confidence_level": 0.95,
                                       "method": figure.method or ""}  # fmt: skip
        if not (math.isfinite(figure.low) and math.isfinite(figure.high)):
            del told["confidence_interval"]  # its ends must be numbers
    return told


def row(
    results: Results, task: Scored, *, sample: SampleBuilt, answered: SampleAnswered, value: float, contents: Mapping[str, str]
) -> dict[str, Any]:
    """A sample with its main score. `contents`: the texts that its requests refer to, by their ids.

    A sample of several requests is a choice among their continuations, of which the likeliest is the output. Right is a whole mark.
    """
    asked, answers = sample.requests[0], answered.answers
    shown = [_read(one.continuation) for one in sample.requests if one.continuation is not None]
    raw, reference = _read(asked.context), [_read(sample.target)] if sample.target is not None else []
    output = _output(sample.requests, answers)
    main, several = task.figures[0], len(shown) > 1
    attributed = [] if several or shown else [
        {"turn_idx": 0, "source": "output.raw", "extracted_value": text, "extraction_method": main.filter, "is_terminal": True}
        for text in output[:1]
    ]  # fmt: skip
    return {
        "schema_version": SCHEMA,
        "evaluation_id": evaluation_id(results),
        "model_id": results.model,
        "evaluation_name": task.planned.task,
        "evaluation_result_id": result_id(results, task, main),
        "sample_id": f"{task.planned.task}/{sample.ordinal}" + (f"/{answered.repeat}" if answered.repeat else ""),
        "sample_hash": hashlib.sha256(json.dumps([raw, reference]).encode()).hexdigest(),
        "interaction_type": "single_turn",
        "input": {
            "raw": raw, "formatted": contents.get(asked.prefix_ref or "", "") + raw, "reference": reference,
            "choices": shown if several else None,
        },
        "output": {"raw": output, "reasoning_trace": [_read(one.reasoning) for one in answers if one.reasoning is not None] or None},
        "answer_attribution": attributed,
        "evaluation": {"score": value, "is_correct": value >= 1},
        "token_usage": _tokens(answers),
        "error": next((one.error for one in answers if one.error), None),
    }  # fmt: skip


def _output(requests: Sequence[BuiltRequest], answers: Sequence[Answer]) -> list[str]:
    if texts := [_read(one.output) for one in answers if one.output is not None]:
        return texts
    told = [one for one in answers if one.loglikelihood is not None and one.request_index < len(requests)]
    likeliest = max(told, key=lambda one: one.loglikelihood or 0.0, default=None)
    chosen = requests[likeliest.request_index].continuation if likeliest else None
    return [_read(chosen)] if chosen is not None else [""]


def _tokens(answers: Sequence[Answer]) -> dict[str, Any]:
    read, written = sum(one.prompt_tokens for one in answers), sum(one.output_tokens for one in answers)
    thought = [one.reasoning_tokens for one in answers if one.reasoning_tokens is not None]
    return {
        "input_tokens": read, "output_tokens": written, "total_tokens": read + written,
        "input_tokens_cache_read": sum(one.cached_prompt_tokens for one in answers), "reasoning_tokens": sum(thought) if thought else None,
    }  # fmt: skip


def _read(text: Text | None) -> str:
    return text.read() if text is not None else ""
