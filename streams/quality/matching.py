"""Which tasks of a run ask about the same documents, though they read them from other files, or in another order.

A build names what each of its documents asks: the question, where the task says which text that is (lm-eval's
`doc_to_decontamination_query`), else the whole row. Tasks that name the same, or read the same file and have as many documents of it, are a
family. Where its tasks do not all have the same order, each says the place of every document among all of the family's, so that what tasks
share is counted document by document (streams/statistics/joining.py).
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from schemas.runs import PlannedTask

BYTES: Final = 6  # of a question's hash: of 100,000 two are alike by chance in 1 of 50,000 builds, and would count as one
MOST: Final = 100_000  # documents whose names an event holds beside everything else
LEAST_SHARED: Final = 0.1  # of the smaller task's documents; less leaves the others' covariance as it is, or nearly
Named = tuple[bytes, int]  # a question's name, and how many before it in its task have the same


@dataclass(frozen=True, slots=True)
class Asked:
    """What a build asks: how many documents, of which data, and their names in their order, BYTES each (empty: not known)."""

    data_sha: str
    samples: int
    questions: bytes


@dataclass(frozen=True, slots=True)
class Matched:
    """What a task's documents are called, and the place of each; none where it is the ordinal."""

    documents: str
    places: tuple[int, ...] = ()


def names_of(questions: Iterable[str]) -> bytes:
    """The names of a build's questions, whatever their white space and case; empty where they are too many to be told."""
    told = [hashlib.sha256(" ".join(one.split()).casefold().encode(errors="replace")).digest()[:BYTES] for one in questions]
    return b"".join(told) if len(told) <= MOST else b""


def matched(builds: Sequence[Asked]) -> list[Matched]:
    """What each build's documents are called, and where they stand among those of all builds that share some."""
    named = _named(builds)
    families = _families(named)
    found = dict[int, Matched]()
    for family in families:
        keys, shas = [named[one] for one in family], {builds[one].data_sha for one in family}
        alone = not any(builds[one].data_sha in shas and named[one] for one in range(len(builds)) if one not in family)
        if len(set(keys)) == 1 and len(shas) == 1 and alone:
            found |= {one: Matched(builds[one].data_sha) for one in family}
            continue
        every = sorted({key for own in keys for key in own})
        place, name = {key: number for number, key in enumerate(every)}, hashlib.sha256(b"".join(key for key, _ in every)).hexdigest()
        found |= {one: Matched(name, tuple(place[key] for key in own)) for one, own in zip(family, keys, strict=True)}
    return [found.get(one, Matched(build.data_sha)) for one, build in enumerate(builds)]


def places_of(planned: PlannedTask, ordinals: NDArray[np.int32] | NDArray[np.intp]) -> NDArray[np.intp]:
    """Where documents of these ordinals stand among all that tasks of the same `documents` ask about."""
    own = ordinals.astype(np.intp)
    return np.asarray(planned.places, dtype=np.intp)[own] if planned.places else own


def _named(builds: Sequence[Asked]) -> list[tuple[Named, ...]]:
    """Each build's documents by name. Those of one file, of which there are as many, are the same, whatever each build calls them.

    Of several names the ones count that most documents of other files have too, or the first.
    """
    told = defaultdict[tuple[str, int], dict[bytes, tuple[Named, ...]]](dict)
    for build in builds:
        if build.questions:
            told[build.data_sha, build.samples].setdefault(build.questions, _keys(build.questions))
    known = Counter(key for names in told.values() for key in {key for own in names.values() for key in own})
    chosen = {file: max(names.values(), key=lambda own: sum(known[key] > 1 for key in own)) for file, names in told.items()}
    return [chosen.get((build.data_sha, build.samples), ()) for build in builds]


def _keys(questions: bytes) -> tuple[Named, ...]:
    before = Counter[bytes]()
    found = list[Named]()
    for start in range(0, len(questions), BYTES):
        one = questions[start : start + BYTES]
        found.append((one, before[one]))
        before[one] += 1
    return tuple(found)


def _families(named: Sequence[tuple[Named, ...]]) -> list[list[int]]:
    """The builds whose documents are named, those that share enough of them together."""
    asking = defaultdict[Named, list[int]](list)
    for number, own in enumerate(named):
        for key in own:
            asking[key].append(number)
    both = Counter(pair for builds in asking.values() for pair in combinations(builds, 2))
    family = list(range(len(named)))
    for (one, other), count in both.items():
        if count >= LEAST_SHARED * min(len(named[one]), len(named[other])):
            joined, old = family[one], family[other]
            family = [joined if number == old else number for number in family]
    found = defaultdict[int, list[int]](list)
    for number, own in enumerate(named):
        if own:
            found[family[number]].append(number)
    return list(found.values())
