"""What an engine on the CPU has of this machine: its cores and its memory. No library of models here."""

import os

import psutil

from streams.errors import Invalid


def threads_of(asked: int | None) -> int:
    """As many threads as were asked for; else as many as there are cores for this process."""
    return asked or len(os.sched_getaffinity(0))


def check_memory(needed: int) -> None:
    """Raises: Invalid where so many bytes are not free."""
    free = int(psutil.virtual_memory().available)
    if needed > free:
        raise Invalid(
            f"the model needs {needed / 2**30:.1f} GiB, and {free / 2**30:.1f} GiB are free on this cpu; take a smaller model or "
            "max_length, or an agent with more memory", code="model-too-large",
        )  # fmt: skip
