"""What is said beside judges held to people, and beside strengths of models: by the command line and the pages alike."""

from collections.abc import Iterator, Mapping
from typing import Any

from query_api.drawing.charts import number


def ends(one: Mapping[str, Any]) -> str:
    """An interval, or why there is none."""
    return f"{number(one['low'], 3)} – {number(one['high'], 3)}" if one["low"] is not None else str(one["why_undefined"] or "no interval")


def of_correction(one: Mapping[str, Any]) -> Iterator[str]:
    """How far judge and people are apart."""
    value = one["bias"]["value"]
    persons = "1 person" if one["persons"] == 1 else f"{one['persons']} persons"
    apart = f"{number(abs(value), 3)} {'less' if value < 0 else 'more'}"
    yield f"{one['labels']} answers labelled by {persons}; the judge gives {apart} than people (95 %: {ends(one['bias'])})"
    yield f"judge and people agree: {_alpha(one['agreement'])}"
    if one["among_people"]["answers"]:
        yield f"people agree among themselves: {_alpha(one['among_people'])}"
    if one["unmatched"]:
        yield f"{one['unmatched']} labelled answers have no value by this judge, and are left out"


def _alpha(one: Mapping[str, Any]) -> str:
    if one["alpha"] is None:
        return str(one["why_undefined"])
    return f"alpha {number(one['alpha'], 3)} ({ends(one)}) over {one['answers']} answers"


def of_strengths(one: Mapping[str, Any]) -> Iterator[str]:
    """What order, ties and length are worth."""
    yield "strength: log-odds, 0 is the mean; wins: what is expected against the others, a tie counting half"
    for name, text in (
        ("order", "the first place is worth"),
        ("ties", "share of ties between equals"),
        ("length", "twice as long is worth"),
    ):
        own = one[name]
        yield f"{text}: " + (str(own["why_undefined"]) if own["value"] is None else f"{number(own['value'], 3)} ({ends(own)})")
