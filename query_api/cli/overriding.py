"""What the command line says beside a request file: an option that is given counts, in place of the file's field."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from query_api.cli.budgets import budget
from query_api.cli.options import ME
from query_api.cli.request_files import from_file, model_at, model_named, model_said
from query_api.cli.shares import NAMES, limit_said, without_limits
from query_api.cli.suites import suite_said
from query_api.cli.task_files import is_path, tasks_in
from schemas.requests import Varied
from streams.errors import Invalid
from streams.quality.judging import PAIRWISE, USUAL


def submission_of(options: Mapping[str, Any], *, models: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The body that the options of `assay submit` ask for, by their names. Raises: Invalid."""
    each = {name: options[name] for name in ("fewshot", "metrics", "repeats")} | limit_said(options["limit"])
    each |= {"vary": varied(options["vary"])}
    each |= {"fewshot_exclude_self": options["fewshot_exclude_self"] or None}
    body = body_of(options["file"], models=models, said=said_of(options))
    named = [name for name in options["task"] or [] if not is_path(name)]
    paths = [Path(name) for name in options["task"] or [] if is_path(name)] + (options["task_file"] or [])
    own = tasks_in(paths, trust_code=options["trust_code"])
    tasks = tasks_over(body.get("tasks", []), named, each) + tasks_over(own, [], each)
    return body | {"tasks": tasks} | suite_said(tasks, **each)


def judgement_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """The body that the options of `assay judge` ask for, by their names. Raises: Invalid."""
    if options["model"] is None:
        raise Invalid("which judge? give --model FOLDER (or org/name)", code="no-model")
    names = options["task"] or [PAIRWISE if options["against"] else USUAL]
    said = {
        "model": model_at(options["url"], options["model"], trust_code=options["trust_model_code"]),
        "engine": engine_said(options["engine"], options["option"] or [], url=options["url"]), "credential_ref": options["credential"],
        "submitter": options["submitter"] or ME, "parent_run": options["run_id"], "against_run": options["against"],
        "chat": {"template": "model" if options["chat"] else None, **{name: options[name] for name in ("system", "fold_system")}},
        "visibility": "private" if options["private"] else options["visibility"],
    }  # fmt: skip
    return over({"tasks": tasks_over([], names, limit_said(options["limit"]))}, said)


def body_of(file: Path | None, *, models: Sequence[Mapping[str, Any]], said: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a request: its file's, where there is one; the first of the models in place of its model, and what is said over that.

    Raises: Invalid, where no model is named or the file cannot be read.
    """
    body = {"submitter": ME} | (from_file(file) if file else {}) | ({"model": models[0]} if models else {})
    if "model" not in body:
        raise Invalid("which model? give --model FOLDER (or org/name), or a request file", code="no-model")
    return over(body, said)


def said_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """What a submission's options say as fields of its body, by their names; null where an option was not given. Raises: Invalid."""
    chat = {name: options[name] for name in ("system", "fold_system", "multiturn", "thinking", "thinking_tokens")}
    return {
        "model": model_said(trust_code=options["trust_model_code"], base=options["base"]) or None,
        "engine": engine_said(options["engine"], options["option"] or [], url=options["url"]),
        "credential_ref": options["credential"],
        "budget": budget({"s": options["budget_s"], "deadline": options["deadline"], "usd": options["budget_usd"]}),
        "chat": {"template": "model" if options["chat"] else None, **chat},
        **{name: options[name] for name in ("priority", "suite", "submitter", "model_published", "adaptive")},
        **{name: options[name] or None for name in ("pinned", "skip_missing", "no_truncation", "skip_bad_rows", "non_commercial")},
        "model_licences": named(options["licence"]),
        "data_licences": named(options["data_licence"]),
        "stopping": {"half_width": options["until_within"]} if options["until_within"] is not None else None,
        "visibility": "private" if options["private"] else options["visibility"],
        "judgements": judges_said(options["judge"] or [], options["judge_task"], chat=options["chat"]),
    }


def over(body: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    """The body with what is said in place of its own, record by record; null was not said."""
    told = dict(body)
    for name, value in said.items():
        if isinstance(value, Mapping):
            told[name] = over(told.get(name) or {}, value)
        elif value is not None:
            told[name] = value
    return told


def tasks_over(tasks: Sequence[Mapping[str, Any]], named: Sequence[str], each: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The named tasks, else the file's, each with the settings that are given."""
    limited = any(each.get(name) is not None for name in NAMES)
    return [over(without_limits(task) if limited else task, each) for task in ([{"name": name} for name in named] or tasks)]


def judges_said(models: Sequence[str], task: str, *, chat: bool) -> list[dict[str, Any]] | None:
    """The judgements that the command line asks for, the judges' prompts dressed as the model's are; null where it asks for none."""
    dress = {"template": "model"} if chat else {}
    return [{"task": task, "model": model_named(one), "chat": dress} for one in models] or None


def varied(said: str | None) -> list[str] | None:
    """What repeats vary in, as written on the command line, `seed,format`; null where nothing is said. Raises: Invalid."""
    if said is None:
        return None
    names = named(said) or []
    if wrong := next((name for name in names if name not in get_args(Varied)), None):
        raise Invalid(f"--vary {wrong!r}: give {', '.join(get_args(Varied))}, or both with a comma between", code="option")
    return names


def named(said: str | None) -> list[str] | None:
    """Names as written on the command line, with commas between, each once; null where nothing is said."""
    return None if said is None else list(dict.fromkeys(name.strip() for name in said.split(",")))


def engine_said(name: str | None, options: Sequence[str], *, url: str | None = None) -> dict[str, Any]:
    """An engine's name and its options as written on the command line, `name=value`; of a server at `url` its own. Raises: Invalid."""
    for one in options:
        if "=" not in one:
            raise Invalid(f"--option {one!r}: write name=value", code="option")
    told: dict[str, str] = {} if url is None else {"url": url}
    for option, value in (one.split("=", 1) for one in options):
        if told.setdefault(option, value) != value:
            raise Invalid(f"option {option} is given twice, {told[option]!r} and {value!r}: only one would count; keep one", code="option")
    return {"name": name if url is None else name or "openai", "options": told}
