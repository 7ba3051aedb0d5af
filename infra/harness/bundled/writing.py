"""Requests for stories, poems and other writing, in the project's own words; and the form that a poem was asked for.

How good an answer is, a judge says (docs/judging.md). What can be counted is counted here.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from infra.suites.tasks.words import varied

STORIES: Final = (
    "Write a short story about a lighthouse keeper who finds that the light answers ships which are not there.",
    "Write a short story in which two neighbours share a wall and, without ever meeting, a secret.",
    "Write a short story about the last shift of a night-bus driver. Let the reader learn only at the end why it is the last.",
    "Write a short story about a clockmaker who is asked to build a clock that is always wrong.",
    "Write a short story told by a house that is being emptied after a death.",
    "Write a short story about a child who sells weather at a market.",
    "Write a short story in which a translator changes one word on purpose, and what comes of it.",
    "Write a short story about three siblings, one inheritance and a rowing boat.",
    "Write a short story that begins with the sentence: The map was right, it was the town that had moved.",
    "Write a short story about a beekeeper and a letter that is delivered thirty years late.",
)
SCENES: Final = (
    "Describe a railway station at four in the morning, without using any word for light or darkness.",
    "Write a dialogue between a river and the bridge across it. Neither may say what it is.",
    "Write a letter from a retired magician to the rabbit.",
    "Write the opening page of a novel whose narrator lies, and let an attentive reader notice.",
    "Describe the taste of an apple to somebody who has only ever read about food.",
    "Write a monologue of a museum guard who has fallen out with one of the paintings.",
    "Write a scene in which two old friends argue about a recipe and mean something else.",
    "Write an obituary for an umbrella, in earnest.",
    "Describe the same kitchen twice: as seen by who is leaving it, and by who has just come home.",
    "Write a page from the diary of the first person to winter on a new planet. Nothing dramatic happens.",
)
# Each with how many lines its form has, and the syllables of each line where the form counts them.
POEMS: Final[tuple[tuple[str, int, tuple[int, ...]], ...]] = (
    ("Write a haiku about the first frost: three lines of five, seven and five syllables.", 3, (5, 7, 5)),
    ("Write a haiku about an empty playground: three lines of five, seven and five syllables.", 3, (5, 7, 5)),
    ("Write a limerick about a baker who was afraid of flour: five lines.", 5, ()),
    ("Write a limerick about a very slow train: five lines.", 5, ()),
    ("Write a quatrain about the sea at night, in which the first line rhymes with the third and the second with the fourth.", 4, ()),
    ("Write a poem of two quatrains about a shared umbrella, in rhymed couplets.", 8, ()),
    ("Write a sonnet of fourteen lines to a worn-out pair of shoes.", 14, ()),
    ("Write a poem of six lines about waiting for news, without rhyme.", 6, ()),
    ("Write a poem of five lines whose first letters spell STONE.", 5, ()),
    ("Write a poem of ten lines about bread, each line a little longer than the one before.", 10, ()),
)


def poem(document: Mapping[str, Any], results: Sequence[str]) -> dict[str, float]:
    """`lines`: 1 where the poem has as many lines with words as its form asks for, else 0; and what `varied` says of its words."""
    lines = sum(1 for line in results[0].splitlines() if line.strip())
    return {"lines": float(lines == document["lines"]), **varied(document, results)}
