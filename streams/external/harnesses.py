"""Quality results as lm-eval, inspect, HELM and Every Eval Ever write them.

Source: lm-eval 0.4.13 (results_*.json of `--output_path`), inspect_ai's eval log version 2 (`inspect log dump`), HELM's run folder
(run_spec.json, stats.json), and Every Eval Ever's eval.schema.json, versions 0.2 and 0.3.
"""

import math
import re
from collections.abc import Iterator
from typing import Any, Final

from streams.external.figures import (
    Figure,
    Json,
    count_or_none,
    error_or_none,
    inside,
    mapping,
    number,
    number_or_none,
    rows,
    text,
    text_or_none,
    time_us,
    wrong,
)

STDERR: Final = "_stderr"
MODEL_IN_NAME: Final = re.compile(r"[:,]model=[^,]*")
TOP: Final = "$"
INSPECT_VERSIONS: Final = re.compile(r"2")
EVERY_EVAL_EVER_VERSIONS: Final = re.compile(r"0\.[23](\..*)?")


def _document(told: Any, *, version: str, known: "re.Pattern[str]", words: str) -> Json:
    """The object that a file is, of a version that is read here. Raises: Invalid."""
    found = mapping(told, TOP)
    if (said := text_or_none(found, version, TOP)) is not None and not known.fullmatch(said):
        raise wrong(f"{TOP}.{version}", f"version {said[:40]!r} is not read here; there are {words}")
    return found


def of_lm_eval(document: Any) -> Iterator[Figure]:
    """Every metric of every task and group, with its standard error."""
    told = mapping(document, TOP)
    config = inside(told, "config", TOP)
    about: dict[str, Any] = {
        "model": text_or_none(told, "model_name", TOP) or _argument(config) or text(config, "model", "$.config"),
        "measured_us": time_us(told, "date", TOP), "harness_version": text_or_none(told, "lm_eval_version", TOP),
        "engine": text_or_none(told, "model_source", TOP),
    }  # fmt: skip
    conditions = {name: value for name in ("limit", "model_dtype", "model_sha") if isinstance(value := config.get(name), (str, int, float))}
    shots, better = (inside(told, name, TOP) for name in ("n-shot", "higher_is_better"))
    done = set[str]()
    for section in ("results", "groups"):  # a group stands in both
        for task, found in inside(told, section, TOP).items():
            if task in done:
                continue
            done.add(task)
            place = f"$.{section}.{task}"
            counted = inside(inside(told, "n-samples", TOP), task, "$.n-samples")
            given = {
                "num_fewshot": count_or_none(shots, task, "$.n-shot"), "n": count_or_none(counted, "effective", f"$.n-samples.{task}"),
                "conditions": conditions, **about,
            }  # fmt: skip
            yield from _metrics(mapping(found, place), place, task, inside(better, task, "$.higher_is_better"), given)


def _metrics(found: Json, place: str, task: str, better: Json, given: dict[str, Any]) -> Iterator[Figure]:
    for name in found:
        metric, comma, filter_ = name.partition(",")
        if not comma or metric.endswith(STDERR):
            continue
        if found[name] in (math.inf, -math.inf) or (value := number_or_none(found, name, place)) is None:
            continue  # a perplexity beyond all measure says nothing
        higher = better.get(metric)
        yield Figure(
            place=f"{place}.{name}", task=task, metric=metric, filter=filter_, value=value,
            stderr=error_or_none(found, f"{metric}{STDERR},{filter_}", place),
            lower_is_better=not higher if isinstance(higher, bool) else None, **given,
        )  # fmt: skip


def _argument(config: Json) -> str | None:
    """The model that lm-eval's arguments name."""
    arguments = config.get("model_args")
    if isinstance(arguments, str):
        arguments = dict(pair.split("=", 1) for pair in arguments.split(",") if "=" in pair)
    found = arguments.get("pretrained") or arguments.get("model") if isinstance(arguments, dict) else None
    return found if isinstance(found, str) and found else None


def of_inspect(document: Any) -> Iterator[Figure]:
    """Every metric of every score of an evaluation that has ended well."""
    told = _document(document, version="version", known=INSPECT_VERSIONS, words="logs of version 2")
    if (status := told.get("status", "success")) != "success":
        raise wrong("$.status", f"the evaluation has not ended well: {str(status)[:40]}")
    run = mapping(told.get("eval"), "$.eval")
    found, options = mapping(told.get("results"), "$.results"), inside(run, "model_generate_config", "$.eval")
    about: dict[str, Any] = {
        "model": text(run, "model", "$.eval"), "task": text(run, "task", "$.eval"), "measured_us": time_us(run, "created", "$.eval"),
        "harness_version": text_or_none(inside(run, "packages", "$.eval"), "inspect_ai", "$.eval.packages"),
        "n": count_or_none(found, "completed_samples", "$.results"),
        "conditions": {name: value for name, value in options.items() if isinstance(value, (str, int, float))},
    }  # fmt: skip
    for place, score in rows(found.get("scores"), "$.results.scores"):
        metrics = inside(score, "metrics", place)
        error = error_or_none(mapping(metrics["stderr"], f"{place}.metrics.stderr"), "value", place) if "stderr" in metrics else None
        names = [text_or_none(score, name, place) for name in ("scorer", "name", "reducer")]
        for name, one in metrics.items():
            at = f"{place}.metrics.{name}"
            if name != "stderr" and (value := number_or_none(mapping(one, at), "value", at)) is not None:
                yield Figure(
                    place=at, metric=name, value=value, stderr=error if name in ("accuracy", "mean") else None,
                    filter=", ".join(dict.fromkeys(filter(None, names))) or "none", **about,
                )  # fmt: skip


def of_helm(document: Any) -> Iterator[Figure]:
    """Every statistic of a split without perturbation. `document`: {"run_spec": …, "stats": …}, the folder's two files."""
    told = mapping(document, TOP)
    spec = mapping(told.get("run_spec"), "run_spec.json")
    adapter = inside(spec, "adapter_spec", "run_spec.json")
    about: dict[str, Any] = {
        "model": text(adapter, "model", "run_spec.json.adapter_spec"),
        "task": MODEL_IN_NAME.sub("", text(spec, "name", "run_spec.json")),
        "num_fewshot": count_or_none(adapter, "max_train_instances", "run_spec.json.adapter_spec"),
    }
    for place, stat in rows(told.get("stats"), "stats.json"):
        name = inside(stat, "name", place)
        split = text_or_none(name, "split", f"{place}.name")
        if split is None or name.get("perturbation") or (value := number_or_none(stat, "mean", place)) is None:
            continue
        filter_ = "/".join(filter(None, (split, text_or_none(name, "sub_split", f"{place}.name"))))
        yield Figure(
            place=place, metric=text(name, "name", f"{place}.name"), filter=filter_, value=value,
            conditions={"counted": count_or_none(stat, "count", place) or 0}, **about,
        )  # fmt: skip


def of_every_eval_ever(document: Any) -> Iterator[Figure]:
    """Every evaluation of a record."""
    told = _document(document, version="schema_version", known=EVERY_EVAL_EVER_VERSIONS, words="records of 0.2 and 0.3")
    model, library = inside(told, "model_info", TOP), inside(told, "eval_library", TOP)
    source, engine = inside(told, "source_metadata", TOP), inside(model, "inference_engine", "$.model_info")
    about: dict[str, Any] = {
        "model": text_or_none(model, "id", "$.model_info") or text(model, "name", "$.model_info"),
        "harness_version": text_or_none(library, "version", "$.eval_library"),
        "engine": text_or_none(engine, "name", "$.model_info.inference_engine"),
    }  # fmt: skip
    conditions = {
        name: value for name in ("source_organization_name", "evaluator_relationship") if isinstance(value := source.get(name), str)
    }
    if library.get("name"):
        conditions["harness"] = text(library, "name", "$.eval_library")
    when = time_us(told, "evaluation_timestamp", TOP) or time_us(told, "retrieved_timestamp", TOP)
    for place, one in rows(told.get("evaluation_results"), "$.evaluation_results"):
        score, config = mapping(one.get("score_details"), f"{place}.score_details"), inside(one, "metric_config", place)
        sure = inside(score, "uncertainty", f"{place}.score_details")
        error, interval = (inside(sure, name, f"{place}.uncertainty") for name in ("standard_error", "confidence_interval"))
        lower = config.get("lower_is_better")
        yield Figure(
            place=place, task=text(one, "evaluation_name", place), value=number(score, "score", f"{place}.score_details"),
            metric=text_or_none(config, "metric_name", f"{place}.metric_config") or "score",
            stderr=error_or_none(error, "value", place), low=number_or_none(interval, "lower", place),
            high=number_or_none(interval, "upper", place), n=count_or_none(sure, "num_samples", place),
            lower_is_better=lower if isinstance(lower, bool) else None, conditions=conditions,
            measured_us=time_us(one, "evaluation_timestamp", place) or when, **about,
        )  # fmt: skip
