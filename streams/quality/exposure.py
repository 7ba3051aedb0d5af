"""Whether a model can have seen a task's data: by what was published first, the data or the model.

Both dates are claims, and months are compared: data of the model's own month are told as older, for they may have been seen. What older
and newer data do and do not say: docs/contamination.md.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Literal

from schemas.runs import PlannedTask, Published
from streams.errors import Invalid

DataAge = Literal["older", "newer", "unknown"]
ASK = "say when it was published: --model-published YYYY-MM"


def check_date(text: str) -> str:
    """The date as it was given. Raises: Invalid where it is neither YYYY-MM nor YYYY-MM-DD."""
    if re.fullmatch(r"\d{4}-\d{2}(-\d{2})?", text):
        try:
            date.fromisoformat(text if len(text) > len("YYYY-MM") else f"{text}-01")
        except ValueError:
            pass
        else:
            return text
    raise Invalid(f"{text!r} is no date; give the month or the day as YYYY-MM or YYYY-MM-DD, such as 2024-07", code="date")


def data_age(data: str | None, model: str | None) -> DataAge:
    """How old data of that date are beside a model of that date; unknown where either is."""
    if data is None or model is None:
        return "unknown"
    return "newer" if data[:7] > model[:7] else "older"


def joined(ages: Iterable[DataAge]) -> DataAge:
    """How old several data are together: older where any is, newer where all are."""
    found = set(ages)
    return "older" if "older" in found else "newer" if found == {"newer"} else "unknown"


def in_words(model: Published | None, tasks: Sequence[PlannedTask]) -> Iterator[str]:
    """The findings about a run, a sentence for each age; nothing where no date of data is known, nor of the model."""
    by_age = dict[DataAge, dict[str, None]]()
    for one in tasks:
        name = one.group or one.task
        told = f"{name} ({one.data_published})" if one.data_published else name
        by_age.setdefault(data_age(one.data_published, model.date if model else None), {})[told] = None
    names = {age: ", ".join(told) for age, told in by_age.items()}
    if model is None:
        if any(one.data_published for one in tasks):
            yield f"whether the model has seen the data is unknown, for its own date is; {ASK}"
        return
    yield from _of_known(f"{model.date}, as its {model.source} says", names)


def _of_known(model: str, names: Mapping[DataAge, str]) -> Iterator[str]:
    if "older" in names:
        yield f"data are older than the model ({model}): it may have seen {names['older']}"
    if "newer" in names:
        yield f"data are newer than the model ({model}): it cannot have seen {names['newer']}, as far as the dates are right"
    if "unknown" in names:
        yield f"whether the model ({model}) has seen {names['unknown']} is unknown: when these data were published is"
