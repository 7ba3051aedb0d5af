"""Whether something like it was measured at all: beyond that nothing is predicted, and why is said."""

from collections.abc import Callable, Sequence
from typing import Final

from streams.predicting.subjects import Row, Subject

BEYOND: Final = 2.0  # times more, or less, than anything measured

# What is compared, in words and of a subject.
SIZES: Final[Sequence[tuple[str, Callable[[Subject], float]]]] = (
    ("{:.3g} parameters", lambda one: one.model.parameters),
    ("{:.2g} bytes a parameter", lambda one: one.model.weights_bytes / one.model.parameters),
    ("{:.3g} requests at a time", lambda one: one.load.in_flight),
    ("prompts of {:.0f} tokens", lambda one: one.load.input_tokens),
    ("answers of {:.0f} tokens", lambda one: one.load.output_tokens),
    ("a memory of {:.3g} bytes/s", lambda one: one.machine.bytes_per_s),
)


def outside(subject: Subject, rows: Sequence[Row]) -> str | None:
    """Why nothing is said of it, given what was measured; None where it lies among that."""
    if not rows:
        return "nobody has measured that figure yet"
    engines = sorted({row.subject.engine for row in rows})
    if subject.engine not in engines:
        return f"nobody has measured it on engine {subject.engine}, only on {', '.join(engines)}"
    kinds = {row.subject.machine.nominal for row in rows}
    if subject.machine.nominal and subject.machine.name not in {row.subject.machine.name for row in rows}:
        return f"no data sheet tells what {subject.machine.name} can do, and nothing was measured on it"
    if subject.machine.nominal not in kinds:
        return f"nobody has measured it on a device of a data sheet, as {subject.machine.name} is"
    for words, size in SIZES:
        own, seen = size(subject), [size(row.subject) for row in rows]
        if not min(seen) / BEYOND <= own <= max(seen) * BEYOND:
            return f"{words.format(own)} are far from all that was measured: {words.format(min(seen))} to {words.format(max(seen))}"
    return None
