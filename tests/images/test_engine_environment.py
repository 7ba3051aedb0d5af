"""An engine's own environment, installed for real: what is locked is enough to run it, and nothing of the agent's environment is needed."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

from gpu_agent.engines.engine import EngineAnswer, EngineRequest
from gpu_agent.runner import Engines
from infra import engine_environments
from infra.engine_environments import Place, place_of, wanted_sha
from schemas.requests import EngineChoice, ModelRef
from tests.dockerfile import ROOT, run, stages
from tests.models import gguf_of, tiny_llama
from tests.onnx_models import onnx_of

pytestmark = [pytest.mark.images, pytest.mark.timeout(1200), pytest.mark.filterwarnings("ignore")]


MADE: dict[str, tuple[str, Callable[[Path, Path], Path]]] = {
    "gguf": ("cyllama", lambda model, into: gguf_of(model, into / "tiny.gguf")),
    "onnx": ("onnxruntime", lambda model, into: onnx_of(model, into / "onnx")),
}


REQUESTS = [EngineRequest(0, "loglikelihood", "a b", " c"), EngineRequest(1, "generate_until", "a b", generation={"max_gen_toks": 4})]


async def answered(engine: str, home: Path, file: Path, requests: Sequence[EngineRequest]) -> list[EngineAnswer]:
    """What the engine answers in its child process."""
    engines = Engines("cpu", home=home)
    try:
        await engines.load(ModelRef(uri=str(file), trust_code=True), EngineChoice(name=engine, options={"max_length": "64"}))
        assert engines.pid is not None
        assert psutil.Process(engines.pid).cmdline()[0] == str(place_of(engine, home).python)
        return [one async for one in engines.answer(requests) if isinstance(one, EngineAnswer)]
    finally:
        await engines.close()


@pytest.mark.parametrize("engine", MADE)
def test_an_engine_runs_in_the_environment_that_is_made_for_it(engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made from its lock, anew after it was broken off; its child answers; torch is not in it."""
    package, made = MADE[engine]
    file = made(tiny_llama(tmp_path / "model"), tmp_path)
    monkeypatch.setattr(engine_environments, "find_spec", lambda name: None if name == package else find_spec(name))
    folder = engine_environments.folder_of(engine, tmp_path)
    folder.mkdir(parents=True)  # as one leaves it who ends the command at its beginning
    place = engine_environments.install(engine, tmp_path, quiet=True)
    assert place == Place(engine, "own", folder / "bin" / "python", wanted_sha(f"{engine}.txt")) == place_of(engine, tmp_path)
    assert place.python is not None and place.python != Path(sys.executable)
    lacks = subprocess.run([place.python, "-c", "import torch"], capture_output=True, text=True, check=False)
    assert "No module named 'torch'" in lacks.stderr
    monkeypatch.delenv("PYTHONPATH", raising=False)
    scored, written = asyncio.run(answered(engine, tmp_path, file, REQUESTS))
    assert scored.loglikelihood is not None and scored.loglikelihood < 0
    assert written.output_tokens > 0


@pytest.mark.parametrize("engine", ["mlx", "tensorflow"])
def test_an_engine_runs_in_the_environment_that_its_image_brings(engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The image's own lines, in a clean folder; the engine starts there, and answers."""
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp" / "requirements").symlink_to(ROOT / "infra" / "requirements")
    for stage in ("installer", f"{engine}_agent-packages"):
        for line in stages()[stage].told("RUN"):
            run(line, tmp_path)
    monkeypatch.setattr(engine_environments, "BROUGHT", tmp_path / "opt" / "engines")
    python = place_of(engine, tmp_path).python
    assert python == tmp_path / "opt" / "engines" / engine / "bin" / "python"
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.setenv("ASSAY_ALLOW_CODE", "true")
    model = tiny_llama(tmp_path / "model")
    if engine == "tensorflow":
        saving = [str(python), "-m", "tests.tensorflow_models", str(model), str(tmp_path / "saved")]
        subprocess.run(saving, check=True, capture_output=True, timeout=300, env=os.environ | {"PYTHONPATH": str(ROOT)}, cwd=ROOT)
        model = tmp_path / "saved"
    scored, written = asyncio.run(answered(engine, tmp_path, model, REQUESTS))
    assert scored.loglikelihood is not None and scored.loglikelihood < 0
    assert written.output_tokens > 0
