"""Rows of a task's data that were left out: what is said of them beside the task's score."""


def told_of(task: str, rows: int, first: str | None) -> str | None:
    """What there is to say of the rows that were left out; None where none were."""
    if not rows:
        return None
    counted = "1 row was" if rows == 1 else f"{rows:,} rows were"
    first = f"the first: {first}" if rows > 1 else first
    return f"{task}: {counted} left out, which cannot be asked or scored: its score is over fewer; {first}"
