"""What a graph bears, tried when it is loaded: exports differ, and none says of itself whether it may be fed in these ways.

Graphs with GroupQueryAttention take several tokens behind a past of one text alone, and read a mask as no more than a length; older ones
reckon positions from the past's length. What is tried is held to the same tokens in one piece.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from gpu_agent.engines.graphs.graph import Graph, Numbers, Whole, past_of
from streams.errors import Temporary

TRIED: Final = 8
# Logits may differ by this part of the largest one: far above rounding, far below what a wrong mask or position does.
CLOSE_RATIO: Final = 1e-3
CLOSE_RATIO_ROUGH: Final = 5e-2
# Of graphs that round activations to what stands beside them: by so many times of what another text beside it changes, in bounds.
TIMES: Final = 4
MOST_RATIO: Final = 0.25


@dataclass(frozen=True, slots=True)
class Bears:
    """`past`: several tokens behind a past; `rows`: such of several texts at once; `gaps`: a past of which some is passed over."""

    past: bool
    rows: bool
    gaps: bool


def tried(graph: Graph, *, vocabulary: int, rough: bool) -> Bears:
    """What it bears; `rough`: its numbers are rounded more than those of float32. Raises: Temporary where memory ran out."""
    if not graph.keeps:
        return Bears(past=False, rows=False, gaps=False)
    tokens = np.array([[(17 * n * n + 5 * n + 3 * k) % vocabulary for n in range(TRIED)] for k in range(2)], np.int64)
    tokens[1, : TRIED // 2] = tokens[0, : TRIED // 2]
    (whole, _), (alone, _) = graph.run(tokens), graph.run(tokens[:1])
    most, beside = float(np.abs(whole).max()), float(np.abs(alone - whole[:1]).max())
    close = max(most * (CLOSE_RATIO_ROUGH if rough else CLOSE_RATIO), min(TIMES * beside, MOST_RATIO * most))
    past = _agrees(lambda: _behind(graph, tokens[:1]), whole[:1, TRIED // 2 :], close)
    rows = past and _agrees(lambda: _behind(graph, tokens), whole[:, TRIED // 2 :], close)
    gaps = past and _agrees(lambda: _with_gaps(graph, tokens), np.stack([whole[0, 3], whole[1, 5]])[:, None], close)
    return Bears(past=past, rows=rows, gaps=gaps)


def _agrees(run: Callable[[], Numbers], wanted: Numbers, close: float) -> bool:
    try:
        found = run()
    except Temporary:
        raise
    except Exception:  # noqa: BLE001  what it does with shapes that it was not made for is its own affair
        return False
    return bool(np.abs(found - wanted).max() <= close)


def _behind(graph: Graph, tokens: Whole) -> Numbers:
    """The second half behind the first, which all rows share."""
    _, past = graph.run(tokens[:1, : TRIED // 2])
    assert past is not None
    return graph.run(tokens[:, TRIED // 2 :], past.of([0] * len(tokens)))[0]


def _with_gaps(graph: Graph, tokens: Whole) -> Numbers:
    """The first row's fourth token behind three with a gap on either side, and the second row's sixth behind five."""
    _, past = graph.run(tokens[:, :5])
    assert past is not None
    arrays = [array.copy() for array in past.arrays()]
    for array in arrays:
        array[0, :, 1:4], array[0, :, 0] = array[0, :, :3].copy(), 0
    gapped = past_of(arrays, np.array([[0, 1, 1, 1, 0], [1] * 5], np.int64), past.memory)
    return graph.run(np.stack([tokens[0, 3:4], tokens[1, 5:6]]), gapped)[0]
