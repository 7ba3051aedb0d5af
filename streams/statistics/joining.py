"""What the means of several tasks share: their errors over documents that they have in common.

A document that is hard in one task is hard in another that asks about it, so that the mean over both varies more than means of independent
samples do. What it adds is the covariance of the errors, document by document, or by whole clusters; a task that has no value of
a document has no error from it.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from streams.statistics.spreads import Clusters, Floats, numbered

Places = NDArray[np.intp]


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
