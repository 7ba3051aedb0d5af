"""The project's own requests for writing: enough of them, none twice, and a poem's form counted as it is."""

import pytest

from infra.harness.bundled.writing import POEMS, SCENES, STORIES, poem


def test_there_are_thirty_and_none_is_there_twice() -> None:
    """In three kinds."""
    requests = [*STORIES, *SCENES, *(request for request, *_ in POEMS)]
    assert len(requests) == len(set(requests)) == 30


@pytest.mark.parametrize(
    ("text", "form"),
    [("old pond\n\n a frog jumps in\nthe sound of water\n", 1.0), ("old pond a frog jumps in\nthe sound of water", 0.0)],
)
def test_a_poem_has_its_lines_or_not(text: str, form: float) -> None:
    """Empty ones between them do not count."""
    found = poem({"lines": 3}, [text])
    assert (found["lines"], found["words"], found["repetition_4"]) == (form, 10.0, 0.0)
