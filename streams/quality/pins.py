"""What a request's tasks are pinned to, against what they are here; and what is said of those that cannot run."""

from collections.abc import Mapping, Sequence

from schemas.requests import TaskChoice
from streams.errors import Invalid, Permanent

SHOWN = 12  # digits of a sha


def differences(choice: TaskChoice, *, version: str, data_sha: str) -> tuple[str, ...]:
    """In what a task differs from its pins, in words; nothing where it has none."""
    told = []
    if choice.version is not None and choice.version != version:
        told.append(f"{choice.name} is version {version} here, and pinned to {choice.version}")
    if choice.data_revision is not None and choice.data_revision != data_sha:
        told.append(f"the data of {choice.name} are {data_sha[:SHOWN]}… here, and pinned to {choice.data_revision[:SHOWN]}…")
    return tuple(told)


def check(found: Sequence[str], *, pinned: bool) -> None:
    """Raises: Invalid with all differences, where the request wants none."""
    if pinned and found:
        raise Invalid(f"not what was pinned: {'; '.join(found)}. Get that data, or ask without `pinned`", code="pins-differ")


def refused(errors: Mapping[str, Permanent], *, asked: int) -> Permanent:
    """The one refusal that names every task that cannot run."""
    if len(errors) == asked == 1:
        return next(iter(errors.values()))
    told = "; ".join(f"{name}: {error}" for name, error in errors.items())
    codes = {error.code for error in errors.values()}
    code = codes.pop() if len(codes) == 1 else "tasks-missing"
    return Invalid(f"{len(errors)} of {asked} tasks cannot run; skip_missing goes on without them: {told}", code=code)
