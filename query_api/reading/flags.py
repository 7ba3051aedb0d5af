"""What a run's figures say of contamination: signs that its model has seen the data."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

SIGNS: Final = {
    "hidden_8gram": "have 8 words in a row of their document that the prompt did not show",
    "canary": "have a canary of the data",
}


# What tells how often chance gives a sign: the same of documents that have nothing to do with the text.
NULLS: Final = {"hidden_8gram": "unrelated_8gram"}


def flags(scores: Iterable[Mapping[str, Any]]) -> list[str]:
    """The signs that were found, in words, by a run's figures; nothing where none was found, or none was looked for.

    Beside a sign stands how many chance would give, where it is known.
    """
    told = list(scores)
    by_name = {(score["task"], score["metric"]): score["value"] for score in told}
    found = [(score, round(score["value"] * score["samples"])) for score in told if score["metric"] in SIGNS and score["value"]]
    # A sign is looked for before any filter: its figure is the same under each.
    return list(dict.fromkeys(
        f"{count:,} of {score['samples']:,} outputs of {score['task']} {SIGNS[score['metric']]}{_by_chance(score, by_name)}"
        for score, count in found if count
    ))  # fmt: skip


def _by_chance(score: Mapping[str, Any], by_name: Mapping[tuple[Any, Any], float | None]) -> str:
    share = by_name.get((score["task"], NULLS.get(score["metric"])))
    return "" if share is None else f"; of unrelated documents {share * score['samples']:.2g} would have them"
