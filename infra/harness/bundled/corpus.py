"""A tiny language: what demo models are trained on, and what the bundled tasks ask about.

Sums of two numbers below 50, sentences whose verb must agree with a noun that is not the nearest, and strings to copy. What is asked in
a task never occurs in the training lines: `held_out` parts the two.
"""

import random
from collections.abc import Iterator
from itertools import product

LARGEST = 50
NOUNS = ("dog", "cat", "bird", "horse", "child", "king", "queen", "farmer", "sailor", "doctor")
PLACES = ("near", "behind", "beside", "under", "with")
VERBS = ("run", "sing", "sleep", "wait", "speak", "work", "eat", "swim")
LETTERS = "abcdefghijklmnopqrstuvwxyz"
SHORTEST_COPY, LONGEST_COPY = 3, 6
Sentence = tuple[str, bool, str, str, bool, str]  # noun, it is plural, place, other noun, that is plural, verb


def plural(noun: str) -> str:
    """The noun's plural."""
    return "children" if noun == "child" else f"{noun}s"


def held_out(*parts: object) -> bool:
    """Whether something belongs to the tasks (a fifth of all) or to the training lines; the same on every machine."""
    number = 0
    for char in repr(parts):
        number = (number * 131 + ord(char)) % 1_000_003
    return number % 5 == 0


def sums() -> Iterator[tuple[int, int]]:
    """All pairs of summands."""
    return product(range(LARGEST), range(LARGEST))


def sentences() -> Iterator[Sentence]:
    """All of them."""
    many = (False, True)
    return ((n, a, p, o, b, v) for n, a, p, o, b, v in product(NOUNS, many, PLACES, NOUNS, many, VERBS) if n != o)


def sentence(told: Sentence) -> str:
    """The sentence up to its verb."""
    noun, many, place, other, others, _ = told
    return f"the {plural(noun) if many else noun} {place} the {plural(other) if others else other}"


def verb(stem: str, *, many: bool) -> str:
    """The verb's form for one or for many."""
    return stem if many else f"{stem}s"


def word(draw: random.Random) -> str:
    """Letters to copy."""
    return "".join(draw.choices(LETTERS, k=draw.randint(SHORTEST_COPY, LONGEST_COPY)))


def sum_line(left: int, right: int) -> str:
    """A sum as it is written."""
    return f"sum: {left}+{right}={left + right}"


def _sum(draw: random.Random) -> str:
    while True:
        left, right = draw.randrange(LARGEST), draw.randrange(LARGEST)
        if not held_out(left, right):
            return sum_line(left, right)


def _say(draw: random.Random) -> str:
    while True:
        noun, other = draw.sample(NOUNS, 2)
        told = (noun, draw.random() < 0.5, draw.choice(PLACES), other, draw.random() < 0.5, draw.choice(VERBS))
        if not held_out(*told):
            return f"say: {sentence(told)} {verb(told[5], many=told[1])}"


def _copy(draw: random.Random) -> str:
    while True:
        letters = word(draw)
        if not held_out(letters):
            return f"copy: {letters}={letters}"


KINDS = (_sum, _say, _copy)
WEIGHTS = (0.3, 0.35, 0.35)


def lines(*, seed: int, count: int) -> Iterator[str]:
    """Training lines, the three kinds mixed; the same for the same seed."""
    draw = random.Random(seed)
    for _ in range(count):
        yield draw.choices(KINDS, WEIGHTS)[0](draw)
