"""A dry run refuses what would be rejected, with the same words, and tells what would be measured."""

from pathlib import Path
from typing import Any

import pytest

from infra.settings import Settings
from query_api.cli.estimating import estimated
from streams import bounds
from streams.errors import Invalid, Permanent


def asked(request: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The plan of such a request."""
    body = {"model": {"uri": "echo"}, "engine": {"name": "echo"}, "tasks": [{"name": "assay_copy", "limit": 4} | more]}
    return estimated(body | request, Settings(), told=lambda text: None, quiet=True)


def test_metrics_beside_a_tasks_own_are_told() -> None:
    """By their names."""
    own, more = (asked({}, metrics=metrics)["tasks"][0]["metrics"] for metrics in ([], ["f1"]))
    assert own == ["exact_match"] and set(more) > set(own) and "f1" in more


@pytest.mark.parametrize(
    ("request_", "of_task", "says"),
    [
        ({}, {"metrics": ["nope"]}, "unknown metric 'nope'; there are"),
        ({}, {"metrics": ["perplexity"]}, "metric perplexity needs log-likelihoods, which task assay_copy does not give"),
        ({"tasks": [{"name": "assay_text", "limit": 4}], "stopping": {"half_width": 0.1}}, {}, "no task can stop early"),
        ({"model": {"uri": ""}}, {}, "no model is named"),
        ({"model": {"uri": " "}, "engine": {"name": "transformers"}}, {}, "no model is named"),
        ({"model_licences": [""]}, {}, "model_licences"),
        ({"judgements": [{"task": "nope", "model": {"uri": "m"}}]}, {}, "task 'nope' does not judge one run; those that do: assay_judge"),
    ],
)
def test_what_would_be_rejected_is_refused(request_: dict[str, Any], of_task: dict[str, Any], says: str) -> None:
    """Before anything is produced. An empty name of a model is not the folder that one is in."""
    with pytest.raises(Invalid, match=says):
        asked(request_, **of_task)


def test_the_licence_of_data_is_told_and_a_filter(tmp_path: Path) -> None:
    """By the card of the data set; what is for non-commercial use alone needs a yes."""
    folder = tmp_path / "me__t" / "default"
    folder.mkdir(parents=True)
    (folder / "test.jsonl").write_text('{"q": "a"}\n')
    (folder.parent / "README.md").write_text("---\nlicense: cc-by-nc-4.0\n---\n")
    said = {
        "dataset_path": "me/t",
        "test_split": "test",
        "doc_to_text": "'{{q}}'",
        "doc_to_target": "'{{q}}'",
        "output_type": "generate_until",
    }
    definition = "\n".join(["task: mine", *(f"{name}: {value}" for name, value in said.items())])
    body = {"model": {"uri": "echo"}, "engine": {"name": "echo"}, "tasks": [{"name": "mine", "definition": definition}]}

    def plan(**told: Any) -> dict[str, Any]:
        return estimated(body | told, Settings(datasets=tmp_path), told=lambda text: None, quiet=True)

    with pytest.raises(Invalid, match=r"the data of task mine are under cc-by-nc-4\.0, for non-commercial use alone"):
        plan()
    assert plan(non_commercial=True)["tasks"][0]["licence"] == "cc-by-nc-4.0"
    with pytest.raises(Invalid, match="and the request takes mit: leave the task out"):
        plan(non_commercial=True, data_licences=["mit"])


ENDS = {"ends": "os._exit(0)", "hangs": "hang()", "leaves": "sys.exit(3)"}
OWN = """task: {name}
dataset_path: me/t
test_split: test
doc_to_text: x
doc_to_target: y
process_docs: !function code.{name}
"""


@pytest.mark.parametrize(
    ("name", "limit_s", "says"),
    [
        ("ends", 60, r"building 'ends' ended its process, as what takes longer than 60 s \(ASSAY_BUILD_LIMIT_S\) and hears nothing does"),
        ("hangs", 3, r"building 'hangs' ended its process"),
        ("leaves", 60, "its own code raised SystemExit: 3"),
    ],
)
def test_a_tasks_own_code_ends_no_command(name: str, limit_s: float, says: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """It runs in a process of its own, and what it prints is none of a document's."""
    # It hears no alarm at all: of one that is only caught, now and then one comes beside the `try`.
    code = "import os, signal, sys\n\ndef hang():\n    signal.signal(signal.SIGALRM, signal.SIG_IGN)\n    while True:\n        pass\n\n"
    code += f"def {name}(documents):\n    print('mine')\n    {ENDS[name]}\n"
    folder = tmp_path / "me__t" / "default"
    folder.mkdir(parents=True)
    (folder / "test.jsonl").write_text('{"q": "a"}\n')
    task = {"name": name, "definition": OWN.format(name=name), "file": "a.yaml", "parts": [{"path": "code.py", "text": code}]}
    body = {"model": {"uri": "echo"}, "engine": {"name": "echo"}, "tasks": [task | {"trust_code": True}]}
    with pytest.raises(Permanent, match=says):
        estimated(body, Settings(datasets=tmp_path, build_limit_s=limit_s), told=lambda text: None, quiet=True)
    out, err = capfd.readouterr()
    assert not out and "mine" in err


def test_set_ups_that_would_fill_the_log_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is a build of all documents, however few are asked."""
    assert asked({}, vary=["format"], repeats=3)["samples"] == 12
    monkeypatch.setattr(bounds, "MOST_SAMPLES", 599)
    with pytest.raises(Invalid, match=r"in 3 set-ups, each built with all of its 200 documents, is 600 samples: give at most 599"):
        asked({}, vary=["format"], repeats=3)
