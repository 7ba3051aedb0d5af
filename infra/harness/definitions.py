"""Tasks of the clients' own: YAML in lm-eval's form, checked before it is used; each error names its line.

A definition stands alone, for it travels in the request and is kept in the build: any process makes the task from it without a file.
Nothing in it is run as Python: templates are rendered in Jinja's sandbox, and what would import a function, or read files of the machine
that plans, is refused unless the request trusts it.
"""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml
from jinja2 import TemplateSyntaxError
from jinja2.sandbox import SandboxedEnvironment

from infra.harness.defined_metrics import CODE, check_filters, check_generation, check_metrics
from infra.marked_yaml import PLAIN, composed, meant, nodes, pairs, word, wrong
from streams.errors import Invalid

# What `datasets` reads files as, where it is named in a data set's place.
FORMATS = frozenset({"json", "csv", "parquet", "text"})
NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
KINDS = ("multiple_choice", "generate_until", "loglikelihood", "loglikelihood_rolling")
TEMPLATES = ("doc_to_text", "doc_to_target", "doc_to_choice", "description")
NEEDED = ("task", "dataset_path", "output_type", "doc_to_text")
SPLITS = ("test_split", "validation_split")
LONGEST = 100_000
MOST = 1_000  # examples in a prompt, draws of a request
TRUST = "it runs only where the request trusts it (--trust-code)"
Pairs = dict[str, tuple[Any, Any]]


def checked(text: str, *, trust_code: bool) -> str:
    """The name of the task that a definition is of. Raises: Invalid, naming the line of what is wrong and what to do."""
    root = _composed(text)
    if not isinstance(root, yaml.MappingNode):
        raise _wrong(root, "a task is a mapping of fields such as task, dataset_path and doc_to_text")
    for node in nodes(root):
        if node.tag not in PLAIN and not trust_code:
            raise _wrong(node, f"{node.tag} {getattr(node, 'value', '')} runs Python; write a template, or {TRUST}")
    told = pairs(root)
    _check_fields(root, told)
    _check_reach(told, trust_code=trust_code)
    _check_scoring(told, trust_code=trust_code)
    for name in TEMPLATES:
        if name in told:
            _check_template(told[name][1])
    return str(told["task"][1].value)


def line_of(text: str, field: str) -> str:
    """Where a definition says a field, as a refusal begins; nothing where it does not."""
    told = pairs(yaml.compose(text, Loader=yaml.SafeLoader))
    return f"line {told[field][0].start_mark.line + 1}: " if field in told else ""


@contextmanager
def folder_of(name: str, text: str) -> Iterator[str]:
    """While it lasts, a folder that holds the definition alone, as lm-eval reads it."""
    with tempfile.TemporaryDirectory(prefix="assay-task-") as folder:
        (Path(folder) / f"{name}.yaml").write_text(text)
        yield folder


def _composed(text: str) -> Any:
    if len(text) > LONGEST:
        raise Invalid(f"a task's definition of {len(text):,} characters is too long; {LONGEST:,} is the most", code=CODE)
    root = composed(text, code=CODE)
    if root is None:
        raise Invalid("line 1: the task's definition is empty", code=CODE)
    return root


def _wrong(node: Any, told: str) -> Invalid:
    return wrong(node, told, code=CODE)


def _check_fields(root: Any, told: Pairs) -> None:
    from lm_eval.config.task import TaskConfig

    known = [field.name for field in fields(TaskConfig)]
    for name, (key, _) in told.items():
        if name in ("include", "class"):
            raise _wrong(key, f"{name} is not supported: a definition stands alone; write it out")
        if name not in known:
            raise _wrong(key, f"there is no field {name!r}; {meant(name, known)}")
    if missing := [name for name in NEEDED if name not in told and not (name == "dataset_path" and "custom_dataset" in told)]:
        raise _wrong(root, f"{', '.join(missing)} must be there")
    if not any(name in told for name in SPLITS):
        raise _wrong(root, "test_split must be there: the split whose documents are asked")
    _check_words(told)


def _check_words(told: Pairs) -> None:
    """Raises: Invalid where the task's name or kind is none, or what its kind needs is not there."""
    for field in (*NEEDED, *SPLITS):
        if field in told and told[field][1].tag in PLAIN:
            word(told[field][1], code=CODE)
    name, kind = told["task"][1], told["output_type"][1]
    if not NAME.fullmatch(word(name, code=CODE)):
        raise _wrong(name, f"task {name.value!r} must be a name of letters, digits, _, . and -, 64 at most")
    if kind.value not in KINDS:
        raise _wrong(kind, f"output_type {kind.value!r} must be one of {', '.join(KINDS)}; {meant(kind.value, KINDS)}")
    needs = () if "process_results" in told else ("doc_to_target", *(("doc_to_choice",) if kind.value == "multiple_choice" else ()))
    if missing := [field for field in needs if field not in told]:
        raise _wrong(kind, f"{', '.join(missing)} must be there for output_type {kind.value}")


def _check_reach(told: Pairs, *, trust_code: bool) -> None:
    """Raises: Invalid where files of the machine that plans would be read, and the request does not trust it."""
    if trust_code:
        return
    path = told["dataset_path"][1]
    if path.value in FORMATS or str(path.value).startswith((".", "/", "~")):
        raise _wrong(path, f"dataset_path {path.value!r} reads files where it is planned; name a data set, or {TRUST}")
    if "dataset_kwargs" in told and isinstance(told["dataset_kwargs"][1], yaml.MappingNode):
        for key, _ in told["dataset_kwargs"][1].value:
            if key.value in ("data_files", "data_dir", "trust_remote_code"):
                raise _wrong(key, f"{key.value} reaches beyond a data set; leave it out, or {TRUST}")


def _check_scoring(told: Pairs, *, trust_code: bool) -> None:
    kind = told["output_type"][1].value
    if "metric_list" in told and not (trust_code and "process_results" in told):
        check_metrics(told["metric_list"][1], kind=kind)
    if "filter_list" in told:
        check_filters(told["filter_list"][1])
    if "generation_kwargs" in told and kind == "generate_until":
        check_generation(told["generation_kwargs"][1])
    for name, least in (("num_fewshot", 0), ("repeats", 1)):
        if name in told and told[name][1].value != "" and not _is_count(told[name][1], least):
            raise _wrong(told[name][1], f"{name} {told[name][1].value!r} must be a whole number from {least} to {MOST:,}")


def _is_count(node: Any, least: int) -> bool:
    return node.tag == "tag:yaml.org,2002:int" and str(node.value).isdecimal() and least <= int(node.value) <= MOST


def _check_template(node: Any) -> None:
    if not isinstance(node, yaml.ScalarNode) or node.tag not in PLAIN:
        return
    try:
        SandboxedEnvironment().parse(node.value)
    except TemplateSyntaxError as error:
        line = node.start_mark.line + error.lineno - (0 if node.style in ("|", ">") else 1)
        raise Invalid(f"line {line + 1}: not a Jinja template: {error.message}", code=CODE) from error
