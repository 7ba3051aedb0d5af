"""Tasks of the clients' own: YAML in lm-eval's form, checked before it is used; each error names its file and line.

A definition travels in the request with the files that it leans on, and is kept in the build: any process makes the task from it.
Nothing in it is run as Python: templates are rendered in Jinja's sandbox, and what would import a function, or read files of the machine
that plans, is refused unless the request trusts it; and then it runs where the machine lets it (infra/trust.py).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any

import yaml
from jinja2 import TemplateSyntaxError
from jinja2 import nodes as nodes_of
from jinja2.filters import FILTERS as DEFAULT_FILTERS
from jinja2.sandbox import SandboxedEnvironment
from jinja2.tests import TESTS as DEFAULT_TESTS

from infra.harness.defined_fields import check_kinds
from infra.harness.defined_filters import check_filters
from infra.harness.defined_metrics import (
    LISTS,
    check_aggregations,
    check_examples,
    check_generation,
    check_metrics,
    check_named,
)
from infra.harness.definition_files import CODE, FUNCTION, Fields, Files, check_function, modules_of
from infra.harness.definition_groups import USUAL, Member, members, name_of
from infra.marked_yaml import PLAIN, meant, nodes, pairs, word, wrong
from streams.errors import Invalid

# What `datasets` reads files as, where it is named in a data set's place.
FORMATS = frozenset({"json", "csv", "parquet", "text"})
# What else the library reads files as: where none are named, those of the folder that it runs in. Source: datasets 5, packaged_modules.
READERS = FORMATS | {
    "arrow", "audiofolder", "conll", "eval", "fasta", "fastq", "genbank", "harbor", "hdf5", "iceberg", "imagefolder", "lance",
    "meshfolder", "mmcif", "niftifolder", "pandas", "pdb", "pdffolder", "tsfile", "videofolder", "vortex", "webdataset", "xml",
}  # fmt: skip
NAME = re.compile(r"[A-Za-z0-9_.()-]{1,100}(::[A-Za-z0-9_.()-]{1,100}){0,2}")
KINDS = ("multiple_choice", "generate_until", "loglikelihood", "loglikelihood_rolling")
REGISTERS = "register_"
TEMPLATES = ("doc_to_text", "doc_to_target", "doc_to_choice", "description", "gen_prefix")
LEANING = (nodes_of.Include, nodes_of.Import, nodes_of.FromImport, nodes_of.Extends)
FILTERS = frozenset(DEFAULT_FILTERS) | {"regex_replace"}  # lm-eval 0.4.13, utils.py
TESTS = frozenset(DEFAULT_TESTS)
OF_DATA = ("revision", "streaming", "verification_mode", "keep_in_memory")  # what of a data set an untrusted request may say
NEEDED = ("dataset_path", "doc_to_text")
SPLITS = ("test_split", "validation_split")
MOST = 1_000  # examples in a prompt, draws of a request
TRUST = "it runs only where the request trusts it (--trust-code)"


def checked(files: Files, *, trust_code: bool) -> str:
    """The name of the task or group that a definition is of. Raises: Invalid, naming file and line of what is wrong and what to do."""
    for one in members(files):
        if isinstance(one, Member):
            check(one, files, trust_code=trust_code)
    return name_of(files)


def check(one: Member, files: Files, *, trust_code: bool) -> None:
    """Raises: Invalid for a task that cannot be made or scored, or does what its request does not trust; naming file and line."""
    told = one.fields
    for node in _nodes(told):
        _check_tag(node, files, trust_code=trust_code)
    _check_fields(one)
    _check_reach(told, trust_code=trust_code)
    _check_scoring(told, files, trust_code=trust_code)
    for name, node in _templates(told):
        _check_template(name, node)


def _nodes(told: Fields) -> Iterator[Any]:
    for _, value in told.values():
        yield from nodes(value)


def _check_tag(node: Any, files: Files, *, trust_code: bool) -> None:
    if node.tag in PLAIN:
        return
    if not trust_code:
        told = f" {node.value}" if isinstance(node, yaml.ScalarNode) else ""
        raise _wrong(node, f"{node.tag}{told} runs Python; write a template, or {TRUST}")
    if node.tag != FUNCTION:
        raise _wrong(node, f"{node.tag} is not understood; a function is written {FUNCTION} module.function")
    check_function(files, node)


def _wrong(node: Any, told: str) -> Invalid:
    return wrong(node, told, code=CODE)


def _check_fields(one: Member) -> None:
    from lm_eval.config.task import TaskConfig

    told, root, known = one.fields, one.root, [field.name for field in fields(TaskConfig)]
    for name, (key, _) in told.items():
        if name == "class":
            raise _wrong(key, "class is not supported: a task is made of fields and functions; write it as these")
        if name not in known:
            raise _wrong(key, f"there is no field {name!r}; {meant(name, known)}")
    if missing := [name for name in NEEDED if not _says(told, name) and not (name == "dataset_path" and "custom_dataset" in told)]:
        raise _wrong(_where(told, missing, root), f"{', '.join(missing)} must be there")
    if not any(_says(told, name) for name in SPLITS):
        raise _wrong(_where(told, SPLITS, root), "test_split must be there: the split whose documents are asked")
    check_kinds(told)
    _check_words(one)


def _says(told: Fields, name: str) -> bool:
    """Whether a definition says a field; null says nothing."""
    return name in told and not told[name][1].tag.endswith(":null")


def _where(told: Fields, names: Sequence[str], root: Any) -> Any:
    """The first of the fields that is there, else the definition."""
    return next((told[name][0] for name in names if name in told), root)


def _check_words(one: Member) -> None:
    """Raises: Invalid where the task's name or kind is none, or what its kind needs is not there."""
    told = one.fields
    for field in ("task", "output_type", *NEEDED, *SPLITS):
        if field in told and told[field][1].tag in PLAIN:
            word(told[field][1], code=CODE)
    kind = told["output_type"][1] if "output_type" in told else yaml.ScalarNode("", USUAL, one.root.start_mark)
    if not NAME.fullmatch(one.name):
        raise _wrong(told["task"][1], f"task {one.name!r} must be a name of letters, digits, _, ., -, ( and ), 100 at most")
    if kind.value not in KINDS:
        raise _wrong(kind, f"output_type {kind.value!r} must be one of {', '.join(KINDS)}; {meant(kind.value, KINDS)}")
    needs = () if "process_results" in told else ("doc_to_target", *(("doc_to_choice",) if kind.value == "multiple_choice" else ()))
    if missing := [field for field in needs if not _says(told, field)]:
        raise _wrong(_where(told, missing, kind), f"{', '.join(missing)} must be there for output_type {kind.value}")


def _check_reach(told: Fields, *, trust_code: bool) -> None:
    """Raises: Invalid where files of the machine that plans would be read, and the request does not trust it."""
    path = told["dataset_path"][1] if "dataset_path" in told else None
    if path is None or trust_code:
        _check_files(path, told)
        return
    if path.value in READERS or str(path.value).startswith((".", "/", "~")):
        raise _wrong(path, f"dataset_path {path.value!r} reads files where it is planned; name a data set, or {TRUST}")
    if "dataset_kwargs" in told and isinstance(told["dataset_kwargs"][1], yaml.MappingNode):
        for key, _ in told["dataset_kwargs"][1].value:
            if key.value not in OF_DATA:
                raise _wrong(key, f"{key.value} reaches beyond a data set; leave it out, or {TRUST}")


def _check_files(path: Any, told: Fields) -> None:
    """Raises: Invalid where it is not known which files a trusted definition reads."""
    if path is None:
        return
    if path.value == "~" or path.value.startswith((".", "~/")):
        told_ = f"dataset_path {path.value!r} goes from where it is planned, which nobody knows; write a full path"
        raise _wrong(path, told_)
    given = pairs(told["dataset_kwargs"][1]) if "dataset_kwargs" in told else {}
    if path.value in FORMATS and not {"data_files", "data_dir"} & given.keys():
        raise _wrong(path, f"dataset_path {path.value!r} reads files: name them, as dataset_kwargs: {{data_files: {{test: /a/file}}}}")


def _check_scoring(told: Fields, files: Files, *, trust_code: bool) -> None:
    kind = told["output_type"][1].value if "output_type" in told else USUAL
    for field in LISTS.keys() & told.keys():
        check_named(told[field][1], field=field)
    # What a module registers with lm-eval is there once that is imported.
    if not (trust_code and any(REGISTERS in files.texts[path] for path in modules_of(files, told))):
        _check_registered(told, kind=kind, trust_code=trust_code)
    if "generation_kwargs" in told and kind == "generate_until":
        check_generation(told["generation_kwargs"][1])
    for name, least in (("num_fewshot", 0), ("repeats", 1)):
        none = name == "num_fewshot" and name in told and told[name][1].tag.endswith(":null")  # lm-eval's default
        if name in told and not none and not _is_count(told[name][1], least):
            raise _wrong(told[name][1], f"{name} {told[name][1].value!r} must be a whole number from {least} to {MOST:,}")


def _check_registered(told: Fields, *, kind: str, trust_code: bool) -> None:
    """Raises: Invalid for what lm-eval looks up by its name and does not have."""
    if "metric_list" in told and trust_code and "process_results" in told:
        check_aggregations(told["metric_list"][1])
    elif "metric_list" in told:
        check_metrics(told["metric_list"][1], kind=kind)
    if "fewshot_config" in told:
        check_examples(told["fewshot_config"][1])
    if "filter_list" in told:
        check_filters(told["filter_list"][1])


def _is_count(node: Any, least: int) -> bool:
    return node.tag == "tag:yaml.org,2002:int" and str(node.value).isdecimal() and least <= int(node.value) <= MOST


def _templates(told: Fields) -> Iterator[tuple[str, Any]]:
    """The templates of a task, and of its few-shot examples."""
    for name, (_, node) in [*told.items(), *(pairs(told["fewshot_config"][1]).items() if "fewshot_config" in told else ())]:
        if name in TEMPLATES and isinstance(node, yaml.ScalarNode) and node.tag in PLAIN:
            yield name, node


def _check_template(name: str, node: Any) -> None:
    try:
        found: list[Any] = list(SandboxedEnvironment().parse(node.value).find_all((nodes_of.Filter, nodes_of.Test, *LEANING)))
    except TemplateSyntaxError as error:
        raise wrong(node, f"not a Jinja template: {error.message}", code=CODE, below=_below(node, error.lineno)) from error
    except RecursionError as error:
        raise wrong(node, "not a Jinja template: it is nested too deep", code=CODE) from error
    for one in found:
        if isinstance(one, LEANING):
            told = f"{name} leans on another template, and there is none beside it; write it out"
        elif one.name in (known := FILTERS if isinstance(one, nodes_of.Filter) else TESTS):
            continue
        else:
            kind = "filter" if isinstance(one, nodes_of.Filter) else "test"
            told = f"{name}: there is no {kind} {one.name!r} in Jinja; {meant(one.name, known)}"
        raise wrong(node, told, code=CODE, below=_below(node, one.lineno))


def _below(node: Any, line: int) -> int:
    """How far below a field's beginning a line of its template is."""
    return line - (0 if node.style in ("|", ">") else 1)
