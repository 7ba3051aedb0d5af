"""What each field of a definition must be, for lm-eval takes it for that without a look; a fault is told with its line."""

from collections.abc import Mapping
from typing import Any, Final

import yaml

from infra.harness.definition_files import CODE, FUNCTION, Fields
from infra.marked_yaml import pairs, wrong

TEXT: Final = ("a text", ("str",))
FUNCTION_ONLY: Final = ("a function, as !function utils.name", ("null",))
# What lm-eval takes a field for, and the kinds that YAML has for that.
TAKES: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    **dict.fromkeys(("description", "target_delimiter", "fewshot_delimiter"), TEXT),
    **dict.fromkeys(("training_split", "validation_split", "fewshot_split", "gen_prefix"), ("a text", ("str", "null"))),
    **dict.fromkeys(("process_docs", "process_results", "custom_dataset"), FUNCTION_ONLY),
    **dict.fromkeys(("dataset_kwargs", "generation_kwargs"), ("a mapping, as {name: value}", ("map", "null"))),
    "use_prompt": ("left out: prompts of promptsource are not here", ("null",)),
}
SHOWN: Final = 40


def check_kinds(told: Fields) -> None:
    """Raises: Invalid for a field that lm-eval would take for something that it is not."""
    for name, (_, node) in told.items():
        takes, tags = TAKES.get(name, ("", ()))
        if takes and node.tag != FUNCTION and node.tag.rpartition(":")[2] not in tags:
            hint = "; put it in quotes" if isinstance(node, yaml.ScalarNode) and "str" in tags else ""
            raise wrong(node, f"{name} must be {takes}, not {_kind(node)}{hint}", code=CODE)
    for choice in _listed(told, "doc_to_choice"):
        if not choice.tag.endswith(":str"):
            raise wrong(choice, f"a choice must be a text, and {_kind(choice)} is none to YAML; put it in quotes", code=CODE)
    for metric in _listed(told, "metric_list"):
        better = pairs(metric).get("higher_is_better")
        if better and not better[1].tag.endswith(":bool"):
            raise wrong(better[1], f"higher_is_better must be true or false, not {_kind(better[1])}", code=CODE)


def _listed(told: Fields, name: str) -> list[Any]:
    return list(told[name][1].value) if name in told and isinstance(told[name][1], yaml.SequenceNode) else []


def _kind(node: Any) -> str:
    """What a part says, as people wrote it."""
    return (
        str(node.value)[:SHOWN] or "nothing" if isinstance(node, yaml.ScalarNode) else node.tag.rpartition(":")[2].replace("seq", "a list")
    )
