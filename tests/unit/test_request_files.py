"""Request files: what is wrong is said with the line, and with the field that was meant."""

import json
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


def test_dates_are_the_texts_that_were_written(tmp_path: Path) -> None:
    """With quotes or without: YAML makes dates of them, and JSON has none."""
    path = tmp_path / "request.yaml"
    path.write_text(
        "model: {uri: m}\ntasks: [2026-01-01]\nmodel_published: 2024-07-01\nlabels: {day: 2026-01-02}\nbudget: {deadline: 2036-12-01}\n"
    )
    body = from_file(path)
    assert (body["model_published"], body["labels"]) == ("2024-07-01", {"day": "2026-01-02"})
    assert body["tasks"] == [{"name": "2026-01-01"}]
    assert body["budget"] == {"deadline_us": 2_111_702_400 * 10**6}
    for deadline in ("'2036-12-01'", "2036-12-01T00:00:00Z", "2036-12-01 02:00:00+02:00"):
        path.write_text(f"model: {{uri: m}}\ntasks: [t]\nbudget: {{deadline: {deadline}}}\n")
        assert from_file(path)["budget"] == body["budget"]
    json.dumps(body)


def test_a_limit_below_1_is_a_share(tmp_path: Path) -> None:
    """Of all tasks or of one, as lm-eval has it."""
    path = tmp_path / "request.yaml"
    path.write_text(GOOD.replace("fewshot: 5", "limit: 0.1") + "limit: 0.25\n")
    body = from_file(path)
    assert (body["limit_ratio"], "limit" in body, body["tasks"][1]) == (0.25, False, {"name": "mmlu_anatomy", "limit_ratio": 0.1})


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
        ("    fewshot: 5", "    limit: 2.5", "line 6: limit 2.5: give 1 or more for so many samples, a share such as 0.1"),
        ("engine: {name: echo}", "model: other", "line 2: 'model' is there twice, here and in line 1"),
        ("engine: {name: echo}", "labels: {yes: a, true: b}", "line 2: 'true', which YAML reads as the same as 'yes', is there twice"),
        ("engine: {name: echo}", "labels: {0x10: a, 16.0: b}", "line 2: '16.0', which YAML reads as the same as '0x10', is there twice"),
        ("engine: {name: echo}", "labels: {~: a, null: b}", "line 2: 'null', which YAML reads as the same as '~', is there twice"),
        ("engine: {name: echo}", 'labels: {"yes": a, yes: b}', "line 2: 'yes' is there twice, here and in line 2"),
        (
            "engine: {name: echo}",
            "labels: {2026-02-30: a, b: c}",
            "line 2: '2026-02-30' is a date, and a key must be a word: put it in quotes",
        ),
        ("engine: {name: echo}", "engine: &a {name: *a}", "line 2: an alias leads into itself"),
        ("engine: {name: echo}", "engine: !function mine.engine", "line 2: !function is no plain value"),
        ("engine: {name: echo}", "budget: {s: .nan}", "line 2: budget of nan s: write a number of seconds"),
        ("engine: {name: echo}", "labels: {day: 2026-02-30}", "line 2: '2026-02-30' is no value: day is out of range"),
        ("rate_per_s: 2", "rate_per_s: .inf", "line 7: workload.rate_per_s: inf is not a value here: give a number"),
        ("engine: {name: echo}", "judgements: 5", "line 2: judgements: it should be a valid array, not 5"),
        ("engine: {name: echo}", "parent_run: mine", "line 2: parent_run: 'mine' is no run's id; draw a UUIDv7"),
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
    with pytest.raises(Invalid, match=f"{tmp_path} cannot be read: Is a directory"):
        from_file(tmp_path)
