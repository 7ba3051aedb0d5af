"""Intervals that held on what was left out: conformal prediction for a group that nobody has measured.

A new model's error is one more draw beside those of the models that were measured, each of which counts alike, however many runs it has.
The interval's half is the least error that so great a share of the groups keeps, one group (the new one) counted as beyond all of them.
Source: V. Vovk, A. Gammerman, G. Shafer 2005, Algorithmic Learning in a Random World; R. Dunn, L. Wasserman, A. Ramdas 2023,
Distribution-Free Prediction Sets for Two-Layer Hierarchical Models, section 3 (pooling by groups); R. Barber et al. 2021, Predictive
Inference with the Jackknife+ (errors of fits without the group).
"""

from collections.abc import Hashable, Sequence
from typing import Final

import numpy as np

from streams.predicting.leaving_out import Numbers, group_weights

LEVEL: Final = 0.8
LEAST_GROUPS: Final = 4  # with fewer no error is known that so great a share of new groups keeps


def half_width(errors: Numbers, groups: Sequence[Hashable], *, level: float = LEVEL) -> float | None:
    """The half of the interval of that level, as an error; None where there are too few groups for any."""
    count = len(set(groups))
    if count / (count + 1) < level:
        return None
    size = np.abs(errors)
    order = np.argsort(size)
    share = np.cumsum(group_weights(groups)[order]) * count / (count + 1)
    place = min(int(np.searchsorted(share, level - 1e-9)), len(order) - 1)
    return float(size[order[place]])
