"""The model that fills a GPU, made small on a processor: its files are what was reckoned, and an engine runs them."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.filling import Shape, made
from gpu_agent.engines.engine import engine_named
from infra.engine_environments import has_nvidia_gpu
from infra.models import inspect
from schemas.requests import ModelRef
from tests.engine_cases import scored, texts
from tests.reference import ours

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def test_the_files_are_the_models(tmp_path: Path) -> None:
    """Parameters, dtype and window are read from them as they were reckoned; it answers, by tokens that its tokenizer has not, too."""
    shape = Shape(64, 2, head=16, kv_heads=2, vocabulary=2048, window=256)
    model = ModelRef(uri=str(made(shape, tmp_path, device="cpu")))
    facts = inspect(model)
    assert (facts.parameters, facts.weights_bytes, facts.dtype, facts.max_len) == (shape.parameters, 2 * shape.parameters, "bfloat16", 256)
    assert facts.kv_bytes_per_token == shape.sizes.kv_bytes_per_token == 2 * 2 * 2 * 2 * 16
    assert shape.step_bytes == 2 * (shape.parameters - 2048 * 64)
    engine = engine_named("transformers")
    told = engine.load(model, options={"threads": "1"}, device="cpu")
    assert (told.weights_bytes, told.used.dtype) == (2 * shape.parameters, "bfloat16")
    (likely,) = ours(engine, scored([("a b", " c")]))
    (text,) = ours(engine, texts([("a b", {"until": [], "max_gen_toks": 16})]))
    assert likely.loglikelihood is not None and likely.loglikelihood < 0
    assert text.output_tokens == 16
    engine.close()


@pytest.mark.skipif(has_nvidia_gpu(), reason="there is a GPU here")
def test_the_benchmark_without_a_gpu_is_no_success() -> None:
    """It says what lacks, on one line."""
    done = subprocess.run([sys.executable, "-m", "benchmarks.gpu"], capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == ["no NVIDIA GPU: the driver's library (libnvidia-ml.so.1) is not here, or shows none"]
