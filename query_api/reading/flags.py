"""What a run's figures say of contamination: signs that its model has seen the data."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

SIGNS: Final = {
    "hidden_8gram": "have 8 words in a row of their document that the prompt did not show",
    "canary": "have a canary of the data",
}


def flags(scores: Iterable[Mapping[str, Any]]) -> list[str]:
    """The signs that were found, in words, by a run's figures; nothing where none was found, or none was looked for."""
    found = [(score, round(score["value"] * score["samples"])) for score in scores if score["metric"] in SIGNS and score["value"]]
    # A sign is looked for before any filter: its figure is the same under each.
    return list(dict.fromkeys(
        f"{count:,} of {score['samples']:,} outputs of {score['task']} {SIGNS[score['metric']]}" for score, count in found if count
    ))  # fmt: skip
