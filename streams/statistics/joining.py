"""What the means of several tasks share: their errors over documents, and over set-ups, that they have in common.

A document that is hard in one task is hard in another that asks about it, so that the mean over both varies more than means of independent
samples do. What it adds is the covariance of the errors, document by document, or by whole clusters; a task that has no value of
a document has no error from it. Likewise a prompt format that suits one task suits others.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from streams.statistics.components import crossed, kept
from streams.statistics.intervals import Z95, t95
from streams.statistics.spreads import Clusters, Floats, numbered

Places = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Part:
    """A task's values, shape [n], of its documents by ordinal, and their clusters, where some are shared.

    `documents` names what it asks about; None where no other task does. `table`: the values under each set-up, [n, set-ups], with NaN where
    there is none; None where the task's interval has no set-ups.
    """

    values: Floats
    ordinals: Places
    clusters: Clusters | None = None
    documents: str | None = None
    table: Floats | None = None


def shared(parts: Sequence[Part], scales: Sequence[float]) -> float:
    """What tasks that share documents, or set-ups, add to the variance of Σ scale·mean, as the normal's quantile wants it."""
    families: dict[object, list[int]] = {}
    for number, one in enumerate(parts):
        families.setdefault(number if one.documents is None else one.documents, []).append(number)
    at, first, over_documents = dict[int, Places](), 0, list[float]()
    for family in families.values():
        own = places([parts[number].ordinals for number in family], [parts[number].clusters for number in family])
        over_documents.append(covariance([scales[number] * parts[number].values for number in family], own))
        at |= {number: first + where for number, where in zip(family, own, strict=True)}
        first += 1 + max(int(where.max()) for where in own)
    tables = [
        (scale * one.table, at[number]) for number, (one, scale) in enumerate(zip(parts, scales, strict=True)) if one.table is not None
    ]
    return math.fsum(over_documents) + math.fsum(_over_setups(tables, first))


def _over_setups(tables: Sequence[tuple[Floats, Places]], size: int) -> Iterator[float]:
    """What tasks of so many set-ups each share: t²/z² of the variance of their joined mean between set-ups / set-ups, less their own.

    Of S means of set-ups, each the sum of the tasks', it is s² less what documents make of it: the squares of the sums of tasks' rests,
    each over √(D·(D - 1)), over all places of documents, over S - 1 (of one task as components.Crossed has it); t at S - 1 degrees of
    freedom.
    """
    whole = [(table[told], where[told]) for table, where in tables if (told := np.isfinite(table).all(axis=1)).any()]
    known = [(found, table, where) for table, where in whole if (found := crossed(table))]
    for setups in sorted({found.setups for found, *_ in known}):
        alike = [one for one in known if one[0].setups == setups]
        rests, means = np.zeros((size, setups)), np.zeros(setups)
        for _, table, where in alike:
            means += table.mean(axis=0)
            rest = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0) + table.mean()
            np.add.at(rests, where, rest / math.sqrt(len(table) * (len(table) - 1)))
        noise = float((rests**2).sum()) / (setups - 1)
        apart = max(0.0, float(means.var(ddof=1)) - noise) + kept(noise, setups)
        yield stretch(setups) * (apart / setups - math.fsum(found.added for found, *_ in alike))


def at_most(errors: Sequence[float]) -> float:
    """What means add to the variance of their sum where all of them may err the same way: (Σ e)² - Σ e² of their standard errors."""
    return math.fsum(errors) ** 2 - math.fsum(one**2 for one in errors)


def alike(errors: Sequence[float], names: Sequence[object]) -> float:
    """What means add to the variance of their sum where those of one name may err the same way."""
    named: dict[object, list[float]] = {}
    for error, name in zip(errors, names, strict=True):
        named.setdefault(name, []).append(error)
    return math.fsum(at_most(own) for own in named.values())


def stretch(setups: int) -> float:
    """t²/z² at S - 1 degrees of freedom: what makes a variance between set-ups one for the normal's quantile."""
    return (t95(setups - 1) / Z95) ** 2


def places(ordinals: Sequence[Places], clusters: Sequence[Clusters | None]) -> list[Places]:
    """Of each task's documents, by ordinal, shape [n], the number of what each stands or falls with: itself, or its cluster.

    The numbers are the same in all tasks. Clusters are the same where they have a document in common, whatever each task calls them.
    """
    if all(own is None for own in clusters):
        return list(ordinals)
    nodes = 1 + max(int(own.max(initial=0)) for own in ordinals)
    first, second = list[Places](), list[Places]()
    for own, shared in zip(ordinals, clusters, strict=True):
        if shared is not None:
            first.append(own)
            second.append(nodes + numbered(shared))
            nodes = 1 + int(second[-1].max(initial=nodes - 1))
    links = np.concatenate(first), np.concatenate(second)
    _, found = connected_components(coo_array((np.ones(len(links[0])), links), shape=(nodes, nodes)), directed=False)
    return [found[own].astype(np.intp) for own in ordinals]


def covariance(values: Sequence[Floats], at: Sequence[Places]) -> float:
    """What means over the same documents add to the variance of their sum: (Σ e)² - Σ e² of their errors, over all places."""
    if len(values) < 2:
        return 0.0
    size = 1 + max(int(one.max()) for one in at)
    parts = [np.bincount(where, (one - one.mean()) / len(one), minlength=size) for one, where in zip(values, at, strict=True)]
    whole = np.sum(parts, axis=0)
    return float(whole @ whole) - math.fsum(float(one @ one) for one in parts)


def together(values: Sequence[Floats], ordinals: Sequence[Places], at: Sequence[Places]) -> tuple[Floats, Places, float]:
    """Values, shape [..., documents], whose mean is the sum of the tasks' means, and whose errors are the sums of theirs.

    And the place of each document; and by how much the widest task was stretched for it. A task's values, [..., n], lie about their mean by
    as many times more as it has fewer documents than all have, and are at the mean where it has none.
    """
    every = np.unique(np.concatenate(ordinals))
    whole, where, stretched = np.zeros((*values[0].shape[:-1], len(every))), np.zeros(len(every), dtype=np.intp), 1.0
    for own, named, place in zip(values, ordinals, at, strict=True):
        stretch, mean, there = len(every) / len(named), own.mean(axis=-1, keepdims=True), np.searchsorted(every, named)
        full = np.repeat(mean, len(every), axis=-1)
        full[..., there] = own if stretch == 1 else mean + (own - mean) * stretch
        whole += full
        where[there], stretched = place, max(stretched, stretch)
    return whole, np.unique(where, return_inverse=True)[1], stretched
