"""Rows of a task's data that were left out: what is said of them beside the task's score."""


def told_of(task: str, rows: int, first: str | None) -> str | None:
    """What there is to say of the rows that were left out; None where none were."""
    return _told(task, rows, "which cannot be asked or scored: its score is over fewer", first)


def told_of_examples(task: str, rows: int, first: str | None) -> str | None:
    """What there is to say of the rows that no few-shot example is drawn from; None where there are none."""
    return _told(task, rows, "of which no few-shot example can be made", first)


def _told(task: str, rows: int, why: str, first: str | None) -> str | None:
    if not rows:
        return None
    counted = "1 row was" if rows == 1 else f"{rows:,} rows were"
    return f"{task}: {counted} left out, {why}; {f'the first: {first}' if rows > 1 else first}"
