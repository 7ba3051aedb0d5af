"""What each field of a definition must be, for lm-eval takes it for that without a look; a fault is told with its line."""

from collections.abc import Mapping
from typing import Any, Final

import yaml

from infra.harness.definition_files import CODE, FUNCTION, Fields
from infra.marked_yaml import pairs, wrong

TEXT: Final = ("a text", ("str",))
TEXT_OR_NONE: Final = ("a text", ("str", "null"))
FLAG: Final = ("true or false", ("bool",))
# What of a data set's own arguments is said by other fields.
BESIDE: Final[Mapping[str, str]] = {"path": "dataset_path", "name": "dataset_name", "split": "test_split"}
FUNCTION_ONLY: Final = ("a function, as !function utils.name", ("null",))
# What lm-eval takes a field for, and the kinds that YAML has for that.
TAKES: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    **dict.fromkeys(("description", "target_delimiter", "fewshot_delimiter"), TEXT),
    **dict.fromkeys(
        (
            "dataset_path",
            "dataset_name",
            "training_split",
            "validation_split",
            "test_split",
            "fewshot_split",
            "split",
            "gen_prefix",
            "task_alias",
        ),
        TEXT_OR_NONE,
    ),
    **dict.fromkeys(("should_decontaminate", "unsafe_code"), FLAG),
    "doc_to_decontamination_query": ("a template, a column's name or a function", ("str", "null")),
    **dict.fromkeys(("process_docs", "process_results", "custom_dataset"), FUNCTION_ONLY),
    "doc_to_text": ("a template, a column's name or a function", ("str", "int", "null")),
    "doc_to_target": ("a template, a column's name, the place of a choice or a function", ("str", "int", "seq", "null")),
    "doc_to_choice": ("a list, a template, a column's name or a function", ("str", "seq", "map", "null")),
    **dict.fromkeys(("dataset_kwargs", "generation_kwargs"), ("a mapping, as {name: value}", ("map", "null"))),
    "samples": ("a list of documents, as [{question: …, answer: …}], or a function", ("seq", "null")),
    "fewshot_indices": ("left out: lm-eval passes it over", ("null",)),
    "use_prompt": ("left out: prompts of promptsource are not here", ("null",)),
}
# What a metric's arguments are, where another kind would be taken for something else without a word.
OF_METRICS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    **dict.fromkeys(
        ("higher_is_better", "hf_evaluate", "ignore_case", "ignore_punctuation", "ignore_numbers"), ("true or false", ("bool",))
    ),
    "regexes_to_ignore": ("a list of texts", ("seq", "null")),
}
SHOWN: Final = 40


def check_kinds(told: Fields) -> None:
    """Raises: Invalid for a field that lm-eval would take for something that it is not."""
    examples = pairs(told["fewshot_config"][1]) if "fewshot_config" in told else {}
    for name, (_, node) in (*told.items(), *examples.items()):
        _check_kind(name, node, TAKES)
    for one in _listed(examples, "samples"):
        if not isinstance(one, yaml.MappingNode):
            raise wrong(one, f"a document of samples must be an object of fields, not {_kind(one)}", code=CODE)
    for choice in _listed(told, "doc_to_choice"):
        if not choice.tag.endswith(":str"):
            raise wrong(choice, f"a choice must be a text, and {_kind(choice)} is none to YAML; put it in quotes", code=CODE)
    for metric in _listed(told, "metric_list"):
        _check_metric(metric)
    _check_data(pairs(told["dataset_kwargs"][1]) if "dataset_kwargs" in told else {})


def _check_data(arguments: Fields) -> None:
    for name, (key, _) in arguments.items():
        if name in BESIDE:
            raise wrong(key, f"{name} of a data set is said by {BESIDE[name]}; leave it out of dataset_kwargs", code=CODE)


def _check_metric(metric: Any) -> None:
    for name, (_, node) in pairs(metric).items():
        # What begins so is true to lm-eval, whatever follows (afrobench).
        if not (name.startswith("ignore_") and str(node.value).startswith("true")):
            _check_kind(name, node, OF_METRICS)


def _check_kind(name: str, node: Any, takes: Mapping[str, tuple[str, tuple[str, ...]]]) -> None:
    wanted, tags = takes.get(name, ("", ()))
    if wanted and node.tag != FUNCTION and node.tag.rpartition(":")[2] not in tags:
        hint = "; put it in quotes" if isinstance(node, yaml.ScalarNode) and "str" in tags else ""
        raise wrong(node, f"{name} must be {wanted}, not {_kind(node)}{hint}", code=CODE)


def _listed(told: Fields, name: str) -> list[Any]:
    return list(told[name][1].value) if name in told and isinstance(told[name][1], yaml.SequenceNode) else []


def _kind(node: Any) -> str:
    """What a part says, as people wrote it."""
    return (
        str(node.value)[:SHOWN] or "nothing" if isinstance(node, yaml.ScalarNode) else node.tag.rpartition(":")[2].replace("seq", "a list")
    )
