"""What can be counted of a poem's form: line ends that rhyme, and syllables. By the CMU Pronouncing Dictionary, for English.

Lines are those with words. A word is said as the dictionary's first entry for it has it; what rhymes may be any. Words that it lacks have
as many syllables as groups of vowel letters (one at least), and are left out of rhyme. Source: CMU Pronouncing Dictionary 0.7b, by
`pronouncing` 0.3, which the extra `poetry` brings.
"""

import math
import re
import unicodedata
from collections.abc import Sequence
from statistics import fmean, pstdev

from infra.harness.metrics.diversity import words
from infra.harness.metrics.measure import Case, mean_of

LIBRARY = "pronouncing"
WITHIN_LINES = 3
VOWELS = re.compile(r"[aeiouy]+")
Sounds = frozenset[tuple[str, str]]  # the consonants before the last stressed vowel, and all from that vowel on


def rhyme(case: Case) -> float | None:
    """Line ends that rhyme with one at most three lines away, over line ends that the dictionary has, 0 to 1; undefined below two of these.

    A perfect rhyme: the same sounds from the last stressed vowel on, and other consonants before it; so no word rhymes with itself.
    """
    ends = [_sounds(line[-1]) for line in _lines(case.text)]
    known = [(place, own) for place, own in enumerate(ends) if own]
    if len(known) < 2:
        return None
    near = [(own, [other for there, other in known if 0 < abs(there - place) <= WITHIN_LINES]) for place, own in known]
    return fmean(any(_rhyme(own, other) for other in others) for own, others in near)


def syllable_error(case: Case) -> float | None:
    """Σ |syllables - those asked for| over the lines, by the number of lines asked for; one too few or too many is off by all of its own.

    In syllables a line. Undefined where the document asks for none (its field `syllables`: a number for each line), and without a text.
    """
    if case.text is None or not case.form:
        return None
    told = [sum(map(syllables, line)) for line in _lines(case.text)]
    length = max(len(told), len(case.form))
    pairs = zip(_padded(told, length), _padded(case.form, length), strict=True)
    return math.fsum(abs(own - asked) for own, asked in pairs) / len(case.form)


def syllable_spread(case: Case) -> float | None:
    """√(Σ (syllables - mean)² / lines) over a text's lines; undefined below two lines, and where the document asks for a form."""
    told = [sum(map(syllables, line)) for line in _lines(case.text)]
    return pstdev(told) if len(told) > 1 and not case.form else None


def syllables(word: str) -> int:
    """The word's syllables: by the dictionary, else its groups of vowel letters, one at least."""
    if said := _said(word):
        return sum(phone[-1].isdigit() for phone in said[0])
    return max(1, len(VOWELS.findall(unicodedata.normalize("NFKD", word))))


def _lines(text: str | None) -> list[list[str]]:
    return [found for line in (text or "").splitlines() if (found := words(line.replace("’", "'")))]


def _padded(counts: Sequence[int], length: int) -> list[int]:
    return [*counts, *[0] * (length - len(counts))]


def _said(word: str) -> list[list[str]]:
    """The word's pronunciations, each by its phones; some entries of the dictionary end with a remark."""
    import pronouncing

    return [phones.partition("#")[0].split() for phones in pronouncing.phones_for_word(word)]


def _sounds(word: str) -> Sounds:
    return frozenset(map(_parted, _said(word)))


def _parted(phones: Sequence[str]) -> tuple[str, str]:
    """Primary and secondary stress sound alike here; where no vowel is stressed, its last one counts."""
    vowels = [place for place, phone in enumerate(phones) if phone[-1].isdigit()]
    stressed = [place for place in vowels if not phones[place].endswith("0")]
    last = (stressed or vowels or [0])[-1]
    first = max((place + 1 for place in vowels if place < last), default=0)
    return " ".join(phones[first:last]), re.sub(r"\d", "", " ".join(phones[last:]))


def _rhyme(own: Sounds, other: Sounds) -> bool:
    return any(rest == ending and before != start for before, rest in own for start, ending in other)


RHYME = (mean_of("rhyme", "text", rhyme),)
SYLLABLES = (
    mean_of("syllable_error", "text", syllable_error, higher_is_better=False),
    mean_of("syllable_spread", "text", syllable_spread, higher_is_better=False),
)
