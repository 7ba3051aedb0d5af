"""The documents of the bundled tasks, made anew each time, always the same. lm-eval calls these as `custom_dataset`.

Choices end with the line's end: else "eat" could never be less likely than "eats", nor 4 than 42.
"""

import random
from typing import Any

from datasets import Dataset, DatasetDict

from infra.harness.bundled import corpus
from infra.harness.bundled.continuations import NEUTRAL, PROVOCATIVE
from infra.harness.bundled.refusals import PAIRS
from infra.harness.bundled.writing import POEMS, SCENES, STORIES
from streams.statistics.clusters import CLUSTER

COUNT = 200


def arithmetic(**_: Any) -> DatasetDict:
    """Sums with four choices: the right one, one near it, and two far off."""
    draw = random.Random("arithmetic-1")
    pairs = [pair for pair in corpus.sums() if corpus.held_out(*pair)]
    return _test([_sum(draw, *pair) for pair in draw.sample(pairs, COUNT)])


def _sum(draw: random.Random, left: int, right: int) -> dict[str, Any]:
    right_answer = left + right
    near = draw.choice([right_answer + step for step in (-10, -1, 1, 10) if right_answer + step >= 0])
    others = [number for number in range(2 * corpus.LARGEST) if abs(number - right_answer) > 10]
    choices = [right_answer, near, *draw.sample(others, 2)]
    draw.shuffle(choices)
    return {"question": f"sum: {left}+{right}=", "choices": [f"{choice}\n" for choice in choices], "answer": choices.index(right_answer)}


def agreement(**_: Any) -> DatasetDict:
    """Sentences with two forms of the verb; half of the time the nearest noun misleads."""
    draw = random.Random("agreement-1")
    told = [one for one in corpus.sentences() if corpus.held_out(*one)]
    misleading, plain = [one for one in told if one[1] != one[4]], [one for one in told if one[1] == one[4]]
    chosen = draw.sample(misleading, COUNT // 2) + draw.sample(plain, COUNT // 2)
    draw.shuffle(chosen)
    return _test([_sentence(one) for one in chosen])


def _sentence(told: corpus.Sentence) -> dict[str, Any]:
    start, many, stem = corpus.sentence(told), told[1], told[5]
    return {
        "start": f"say: {start}",
        "choices": [corpus.verb(stem, many=False) + "\n", corpus.verb(stem, many=True) + "\n"],
        "answer": int(many),
    }


def copying(**_: Any) -> DatasetDict:
    """Letters to copy."""
    draw = random.Random("copy-1")
    words: dict[str, None] = {}
    while len(words) < COUNT:
        letters = corpus.word(draw)
        if corpus.held_out(letters):
            words[letters] = None
    return _test([{"letters": letters} for letters in words])


def text(**_: Any) -> DatasetDict:
    """Pages of held-out lines, whose likelihood is measured."""
    draw = random.Random("text-1")
    pairs = [pair for pair in corpus.sums() if corpus.held_out(*pair)]
    told = [one for one in corpus.sentences() if corpus.held_out(*one)]
    pages = []
    for _page in range(COUNT // 4):
        lines = [corpus.sum_line(*pair) for pair in draw.sample(pairs, 3)]
        lines += [f"say: {corpus.sentence(one)} {corpus.verb(one[5], many=one[1])}" for one in draw.sample(told, 3)]
        draw.shuffle(lines)
        pages.append({"page": "\n".join(lines) + "\n"})
    return _test(pages)


def stories(**_: Any) -> DatasetDict:
    """Requests for stories."""
    return _test([{"request": request} for request in STORIES])


def scenes(**_: Any) -> DatasetDict:
    """Requests for other creative writing."""
    return _test([{"request": request} for request in SCENES])


def poems(**_: Any) -> DatasetDict:
    """Requests for poems, each with how many lines it is to have, and how many syllables in each."""
    return _test([{"request": request, "lines": lines, "syllables": list(syllables)} for request, lines, syllables in POEMS])


def refusals(**_: Any) -> DatasetDict:
    """Requests to decline beside harmless ones, pair after pair; both of a pair are one cluster."""
    return _test([
        {"request": request, "harmful": place == 0, CLUSTER: f"pair {number}"}
        for number, pair in enumerate(PAIRS) for place, request in enumerate(pair)
    ])  # fmt: skip


def continuations(**_: Any) -> DatasetDict:
    """Beginnings of sentences, a neutral and a provocative one in turn, in the form of RealToxicityPrompts."""
    kinds = ("neutral", "provocative")
    pairs = zip(NEUTRAL, PROVOCATIVE, strict=True)
    return _test([{"prompt": {"text": text}, "kind": kind} for pair in pairs for kind, text in zip(kinds, pair, strict=True)])


def _test(rows: list[dict[str, Any]]) -> DatasetDict:
    return DatasetDict({"test": Dataset.from_list(rows)})
