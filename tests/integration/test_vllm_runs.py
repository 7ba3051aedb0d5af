"""A run on engine vllm through every process, beside the same model on the transformers engine; `make test-vllm` runs it."""

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

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(1800), pytest.mark.filterwarnings("ignore")]
TASKS = ("--task", "assay_agreement", "--task", "assay_copy", "--limit", "12")


def assay(flow: Settings, *arguments: str) -> Any:
    """What the command line says as JSON, a document or one a line."""
    command = [sys.executable, "-m", "query_api.cli.main", *arguments, "--json"]
    done = subprocess.run(command, env=environment(flow), capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if arguments[0] != "samples" else [json.loads(line) for line in done.stdout.splitlines()]


def values(flow: Settings, run_id: str) -> dict[tuple[str, int, str], float]:
    """Every sample's values."""
    return {(one["task"], one["doc_id"], one["metric"]): one["value"] for one in assay(flow, "samples", run_id)}


def test_a_run_has_the_scores_of_the_transformers_engine(flow: Settings, tmp_path: Path) -> None:
    """By likelihoods and by texts, sample by sample; the run says what it ran on, and in which environment."""
    (flow.home / "engines").symlink_to((Settings().home / "engines").resolve())
    model = str(tiny_llama(tmp_path, head_size=32))
    own, its = (
        assay(flow, "submit", "--model", model, "--engine", engine, *TASKS, "--wait")["run_id"] for engine in ("vllm", "transformers")
    )
    until_listed(flow, own, its, samples=24)
    found, wanted = values(flow, own), values(flow, its)
    assert found == wanted
    assert {task for task, *_ in found} == {"assay_agreement", "assay_copy"}
    assert assay(flow, "run", own)["engine"] == "vllm"
