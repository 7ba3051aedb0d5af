"""Request files: what is wrong is said with the line, and with the field that was meant."""

from pathlib import Path

import pytest

from query_api.cli.request_files import from_file
from streams.errors import Invalid

GOOD = """model: org/name@main
engine: {name: echo}
tasks:
  - hellaswag
  - name: mmlu_anatomy
    fewshot: 5
workload: {profile: constant, rate_per_s: 2, duration_s: 10}
"""


def test_names_alone_are_written_out(tmp_path: Path) -> None:
    """A model with its revision, tasks with their settings."""
    path = tmp_path / "request.yaml"
    path.write_text(GOOD)
    body = from_file(path)
    assert body["model"] == {"uri": "org/name", "revision": "main"}
    assert body["tasks"] == [{"name": "hellaswag"}, {"name": "mmlu_anatomy", "fewshot": 5}]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("engine:", "engin:", "line 2: engin: there is no such field; did you mean engine?"),
        ("    fewshot: 5", "    few_shot: 5", "line 6: tasks.1.few_shot: there is no such field; did you mean fewshot?"),
        ("    fewshot: 5", "    fewshot: five", 'line 6: tasks.1.fewshot: it should be a valid integer, not "five"'),
        ("rate_per_s: 2", "rate: 2", "line 7: workload.rate: there is no such field; did you mean rate_per_s?"),
        ("profile: constant", "profile: constnt", "line 7: workload.profile: it should be 'single', 'constant'"),
        ("  - hellaswag", "  - 7", "line 4: tasks.0: it should be an object, not 7"),
        ("engine: {name: echo}", "engine: {name: echo", "line 3: not YAML"),
        ("model: org/name@main", "xyzzy: 1", "line 1: xyzzy: there is no such field; the fields are"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(old: str, new: str, says: str, tmp_path: Path) -> None:
    """And what was meant."""
    path = tmp_path / "request.yaml"
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(Invalid) as refused:
        from_file(path)
    assert f"{path}, {says}" in str(refused.value)


@pytest.mark.parametrize(
    ("text", "says"), [("", "must be a mapping"), ("- a\n", "must be a mapping"), ("tasks: x\n", "tasks: it should be")]
)
def test_what_is_no_request_is_refused(text: str, says: str, tmp_path: Path) -> None:
    """Empty, a list, a task that is no list."""
    path = tmp_path / "request.yaml"
    path.write_text(text)
    with pytest.raises(Invalid, match=says):
        from_file(path)
    with pytest.raises(Invalid, match="there is no file"):
        from_file(tmp_path / "none.yaml")
    with pytest.raises(Invalid, match="cannot read"):
        from_file(tmp_path)
