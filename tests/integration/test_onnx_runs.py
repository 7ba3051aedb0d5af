"""A run on engine onnx through every process, beside the same model on the transformers engine."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra.settings import Settings
from tests.conftest import environment
from tests.flow import PATIENCE_S, until_listed
from tests.models import tiny_llama
from tests.onnx_models import onnx_of

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
TASKS = ("--task", "assay_agreement", "--task", "assay_copy", "--task", "assay_text", "--limit", "6")
TOLERANCE = 0.0002  # as docs/engines.md has it


def assay(flow: Settings, *arguments: str) -> Any:
    """What the command line says as JSON, a document or one a line."""
    command = [sys.executable, "-m", "query_api.cli.main", *arguments, "--json"]
    done = subprocess.run(command, env=environment(flow), capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if arguments[0] != "samples" else [json.loads(line) for line in done.stdout.splitlines()]


def values(flow: Settings, run_id: str) -> dict[tuple[str, int, str], float | None]:
    """Every sample's values."""
    return {(one["task"], one["doc_id"], one["metric"]): one["value"] for one in assay(flow, "samples", run_id)}


def test_a_run_has_the_scores_of_the_transformers_engine(flow: Settings, tmp_path: Path) -> None:
    """By likelihoods, texts and whole texts, sample by sample; the run says what it ran on."""
    folder = tiny_llama(tmp_path / "m")
    asked = ((onnx_of(folder, tmp_path / "o"), "onnx"), (folder, "transformers"))
    own, its = (assay(flow, "submit", "--model", str(model), "--engine", engine, *TASKS, "--wait")["run_id"] for model, engine in asked)
    until_listed(flow, own, its, samples=6 + 6 + 6)
    found, wanted = values(flow, own), values(flow, its)
    assert found.keys() == wanted.keys()
    assert {task for task, *_ in found} == {"assay_agreement", "assay_copy", "assay_text"}
    for key, value in found.items():
        assert (value is None) == (wanted[key] is None)
        assert value is None or value == pytest.approx(wanted[key], rel=TOLERANCE, abs=TOLERANCE), key
    assert assay(flow, "run", own)["engine"] == "onnx"
