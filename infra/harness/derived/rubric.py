"""What a judge's text says by a rubric: its points, line by line."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from streams.errors import Invalid

LEAST, MOST = 1, 10
MAIN: Final = "score"
# The line that gives a metric's points, in lower case → the metric.
LINES: Final = {
    MAIN: "rating",
    "coherence": "coherence",
    "creativity": "creativity",
    "style": "style",
    "prompt following": "prompt_following",
}
# Judges adorn their lines: `**Score:** 7/10`, `- Style: 6`.
LINE: Final = re.compile(rf"^[\s*#>-]*({'|'.join(LINES)})[\s*]*:[\s*]*(\d+(?:\.\d+)?)\b(?:\s*/\s*(\d+))?", re.IGNORECASE | re.MULTILINE)


def points(_doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, float]:
    """Metric → points, of 1 to 10. Of a line that comes twice the last counts, for a judge may weigh before it decides.

    Raises: Invalid, where there is no whole score: it is then not scored, never 0.
    """
    told = {LINES[name.lower()]: (float(value), greatest) for name, value, greatest in LINE.findall(results[0])}
    found = {metric: value for metric, (value, greatest) in told.items() if LEAST <= value <= MOST and greatest in ("", str(MOST))}
    if LINES[MAIN] not in found:
        said = (
            f"gave {told[LINES[MAIN]][0]:g} points, which is not within {LEAST} to {MOST}"
            if LINES[MAIN] in told
            else "wrote no line `Score: N`"
        )
        raise Invalid(f"the judge {said}", code="no-score")
    return found
