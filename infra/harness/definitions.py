"""Tasks of the clients' own: YAML in lm-eval's form, checked before it is used; each error names its line.

A definition stands alone, for it travels in the request and is kept in the build: any process makes the task from it without a file.
Nothing in it is run as Python: templates are rendered in Jinja's sandbox, and what would import a function, or read files of the machine
that plans, is refused unless the request trusts it.
"""

import difflib
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

from streams.errors import Invalid

# What `datasets` reads files as, where it is named in a data set's place.
FORMATS = frozenset({"json", "csv", "parquet", "text"})
NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
KINDS = ("multiple_choice", "generate_until", "loglikelihood", "loglikelihood_rolling")
TEMPLATES = ("doc_to_text", "doc_to_target", "doc_to_choice", "description")
NEEDED = ("task", "dataset_path", "output_type", "doc_to_text")
SPLITS = ("test_split", "validation_split")
PLAIN = frozenset(f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "seq", "map", "timestamp", "merge"))
LONGEST = 100_000
TRUST = "it runs only where the request trusts it (--trust-code)"
Pairs = dict[str, tuple[Any, Any]]


def checked(text: str, *, trust_code: bool) -> str:
    """The name of the task that a definition is of. Raises: Invalid, naming the line of what is wrong and what to do."""
    root = _composed(text)
    if not isinstance(root, yaml.MappingNode):
        raise _wrong(root, "a task is a mapping of fields such as task, dataset_path and doc_to_text")
    for node in _nodes(root):
        if node.tag not in PLAIN and not trust_code:
            raise _wrong(node, f"{node.tag} {getattr(node, 'value', '')} runs Python; write a template, or {TRUST}")
    pairs = {key.value: (key, value) for key, value in root.value}
    _check_fields(root, pairs)
    _check_reach(pairs, trust_code=trust_code)
    if "metric_list" in pairs and not (trust_code and "process_results" in pairs):
        _check_metrics(pairs["metric_list"][1])
    for name in TEMPLATES:
        if name in pairs:
            _check_template(pairs[name][1])
    return str(pairs["task"][1].value)


@contextmanager
def folder_of(name: str, text: str) -> Iterator[str]:
    """While it lasts, a folder that holds the definition alone, as lm-eval reads it."""
    with tempfile.TemporaryDirectory(prefix="assay-task-") as folder:
        (Path(folder) / f"{name}.yaml").write_text(text)
        yield folder


def _composed(text: str) -> Any:
    if len(text) > LONGEST:
        raise Invalid(f"a task's definition of {len(text):,} characters is too long; {LONGEST:,} is the most", code="task-definition")
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        raise Invalid(f"{where}not YAML: {getattr(error, 'problem', error)}", code="task-definition") from error
    if root is None:
        raise Invalid("line 1: the task's definition is empty", code="task-definition")
    return root


def _wrong(node: Any, told: str) -> Invalid:
    return Invalid(f"line {node.start_mark.line + 1}: {told}", code="task-definition")


def _nodes(root: Any) -> Iterator[Any]:
    """Every node once, though aliases may lead to it from many places."""
    left, seen = [root], set[int]()
    while left:
        node = left.pop()
        if id(node) not in seen:
            seen.add(id(node))
            yield node
            left += [one for part in node.value for one in (part if isinstance(part, tuple) else (part,))] if _has_nodes(node) else []


def _has_nodes(node: Any) -> bool:
    return isinstance(node, (yaml.MappingNode, yaml.SequenceNode))


def _check_fields(root: Any, pairs: Pairs) -> None:
    from lm_eval.config.task import TaskConfig

    known = [field.name for field in fields(TaskConfig)]
    for name, (key, _) in pairs.items():
        if name in ("include", "class"):
            raise _wrong(key, f"{name} is not supported: a definition stands alone; write it out")
        if name not in known:
            close = difflib.get_close_matches(str(name), known, n=1)
            raise _wrong(key, f"there is no field {name!r}; " + (f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"))
    if missing := [name for name in NEEDED if name not in pairs and not (name == "dataset_path" and "custom_dataset" in pairs)]:
        raise _wrong(root, f"{', '.join(missing)} must be there")
    if not any(name in pairs for name in SPLITS):
        raise _wrong(root, "test_split must be there: the split whose documents are asked")
    name, kind = pairs["task"][1], pairs["output_type"][1]
    if not isinstance(name, yaml.ScalarNode) or not NAME.fullmatch(name.value):
        raise _wrong(name, f"task {name.value!r} must be a name of letters, digits, _, . and -, 64 at most")
    if kind.value not in KINDS:
        raise _wrong(kind, f"output_type {kind.value!r} must be one of {', '.join(KINDS)}")


def _check_reach(pairs: Pairs, *, trust_code: bool) -> None:
    """Raises: Invalid where files of the machine that plans would be read, and the request does not trust it."""
    if trust_code:
        return
    path = pairs["dataset_path"][1]
    if path.value in FORMATS or str(path.value).startswith((".", "/", "~")):
        raise _wrong(path, f"dataset_path {path.value!r} reads files where it is planned; name a data set, or {TRUST}")
    if "dataset_kwargs" in pairs and isinstance(pairs["dataset_kwargs"][1], yaml.MappingNode):
        for key, _ in pairs["dataset_kwargs"][1].value:
            if key.value in ("data_files", "data_dir", "trust_remote_code"):
                raise _wrong(key, f"{key.value} reaches beyond a data set; leave it out, or {TRUST}")


def _check_metrics(node: Any) -> None:
    import lm_eval.api.metrics  # noqa: F401  registers them
    from lm_eval.api.registry import METRIC_REGISTRY

    if not isinstance(node, yaml.SequenceNode) or not node.value:
        raise _wrong(node, "metric_list must list at least one metric, as - metric: acc")
    known = sorted(METRIC_REGISTRY)
    for one in node.value:
        told = dict((key.value, value) for key, value in one.value) if isinstance(one, yaml.MappingNode) else {}
        if "metric" not in told:
            raise _wrong(one, "each of metric_list names its metric, as - metric: acc")
        metric = told["metric"]
        if metric.tag in PLAIN and metric.value not in known:
            close = difflib.get_close_matches(metric.value, known, n=1)
            raise _wrong(
                metric,
                f"there is no metric {metric.value!r}; " + (f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"),
            )


def _check_template(node: Any) -> None:
    if not isinstance(node, yaml.ScalarNode) or node.tag not in PLAIN:
        return
    try:
        SandboxedEnvironment().parse(node.value)
    except TemplateSyntaxError as error:
        line = node.start_mark.line + error.lineno - (0 if node.style in ("|", ">") else 1)
        raise Invalid(f"line {line + 1}: not a Jinja template: {error.message}", code="task-definition") from error
