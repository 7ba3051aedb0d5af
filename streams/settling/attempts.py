"""The attempts of a run's result: few are named one by one; many are packed as columns, some 15 bytes each in place of 190.

The columns are a JSON object, compressed by zlib. Names that come again are listed once, under `names`, and stand as their numbers; job ids
stand without the run's id before them. `first_us` are differences, each from the one before; `ran_us` is `last_us - first_us`.
"""

import json
import zlib
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Final

from schemas.settled import AttemptUsed, RunSettled
from streams.errors import Invalid
from streams.settling.inflating import inflated

MOST_NAMED: Final = 1_000  # some 190 kB
NAMED: Final = ("agent_id", "environment_sha", "energy_grade")
PLAIN: Final = ("attempt", "finished", "energy_uj")


def packed(attempts: Sequence[AttemptUsed], *, run_id: str) -> bytes:
    """The attempts of a run as columns."""
    names = list(dict.fromkeys(getattr(one, name) for name in NAMED for one in attempts))
    numbers = {name: number for number, name in enumerate(names)}
    columns = {
        "names": names,
        "job_id": [one.job_id.removeprefix(run_id) for one in attempts],
        "first_us": [after - before for before, after in pairwise([0, *(one.first_us for one in attempts)])],
        "ran_us": [one.last_us - one.first_us for one in attempts],
        **{name: [numbers[getattr(one, name)] for one in attempts] for name in NAMED},
        **{name: [getattr(one, name) for one in attempts] for name in PLAIN},
    }
    return zlib.compress(json.dumps(columns, separators=(",", ":")).encode(), 9)


def unpacked(told: bytes, *, run_id: str) -> tuple[AttemptUsed, ...]:
    """What was packed. Raises: Invalid where it is none: its sender may mean harm."""
    try:
        return _unpacked(told, run_id=run_id)
    except Exception as error:  # whatever bytes that are none lead to
        raise Invalid(f"the attempts of run {run_id} cannot be read: {type(error).__name__}: {error}", code="corrupt-result") from error


def _unpacked(told: bytes, *, run_id: str) -> tuple[AttemptUsed, ...]:
    columns = json.loads(inflated(told, what="attempts"))
    names, first_us = columns["names"], list(accumulate(columns["first_us"]))
    fields = {
        "job_id": [f"{run_id}{job}" for job in columns["job_id"]],
        "first_us": first_us,
        "last_us": [at + ran for at, ran in zip(first_us, columns["ran_us"], strict=True)],
        **{name: [names[number] for number in columns[name]] for name in NAMED},
        **{name: columns[name] for name in PLAIN},
    }
    return tuple(AttemptUsed(**dict(zip(fields, row, strict=True))) for row in zip(*fields.values(), strict=True))


def unfolded(settled: RunSettled) -> RunSettled:
    """The result with its attempts one by one. Raises: as `unpacked`."""
    if settled.attempts_packed is None:
        return settled
    attempts = unpacked(settled.attempts_packed, run_id=settled.run_id)
    return settled.model_copy(update={"attempts": attempts, "attempts_packed": None})
