"""Which licences a request takes, of models and of tasks' data: by their SPDX ids, as cards name them; a hub writes them small."""

import re
from collections.abc import Sequence
from typing import Final

from streams.errors import Invalid

CODE, OF_DATA = "model-licence", "data-licence"
GENERATED: Final = "generated"  # of data that are made here: nobody's
# CC-BY-NC-4.0 and its kin, by any spelling.
NON_COMMERCIAL: Final = re.compile(r"(?:^|[^a-z])(?:nc|non-?commercial)(?:[^a-z]|$)", re.IGNORECASE)


def check(licence: str | None, *, taken: Sequence[str], model: str) -> None:
    """Raises: Invalid where the model's licence is none of those that are taken; where none is named, all are."""
    if not all(one.strip() for one in taken):
        raise Invalid("a licence that is taken has no name; give SPDX ids such as apache-2.0,mit, or leave model_licences out", code=CODE)
    if not taken or (licence is not None and licence.casefold() in {one.casefold() for one in taken}):
        return
    told = f"the licence of {model} is {licence}" if licence else f"nothing in the files of {model} tells its licence"
    raise Invalid(f"{told}, and the request takes {', '.join(taken)}: name another model, or take its licence too", code=CODE)


def check_unseen(*, taken: Sequence[str], model: str) -> None:
    """Raises: Invalid where licences are taken of a model whose files nobody here reads."""
    if taken:
        raise Invalid(f"no licence of {model} can be seen, for its files are not read here; leave model_licences out", code=CODE)


def check_data(licence: str | None, *, taken: Sequence[str], non_commercial: bool, task: str) -> None:
    """Raises: Invalid where the licence of a task's data is none of those that are taken, or is for non-commercial use and that is not."""
    if not all(one.strip() for one in taken):
        told = "a licence that is taken has no name; give SPDX ids such as cc-by-4.0,mit, or leave data_licences out"
        raise Invalid(told, code=OF_DATA)
    if licence == GENERATED:
        return
    if licence is not None and NON_COMMERCIAL.search(licence) and not non_commercial:
        raise Invalid(
            f"the data of task {task} are under {licence}, for non-commercial use alone: say that yours is with --non-commercial "
            "(non_commercial: true), or leave the task out", code=OF_DATA,
        )  # fmt: skip
    if taken and (licence is None or licence.casefold() not in {one.casefold() for one in taken}):
        told = f"the data of task {task} are under {licence}" if licence else f"nothing tells the licence of the data of task {task}"
        raise Invalid(f"{told}, and the request takes {', '.join(taken)}: leave the task out, or take its licence too", code=OF_DATA)
