"""One small model in every format: each engine says the same tokens, and log-likelihoods within its bound. Writes docs/engines.md's table.

ASSAY_WRITE_TABLES=1 pytest tests/integration/test_formats.py    # with every engine installed; who is not keeps the row that it has
"""

import asyncio
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gpu_agent.engines.engine import Engine, EngineAnswer, EngineRequest, engine_named
from infra.engine_environments import offered, place_of
from infra.settings import Settings
from schemas.requests import ModelRef
from tests.engine_cases import GREEDY, PAIRS, Child, all_alike, farthest, scored, texts
from tests.models import adapter_of, gguf_of, tiny_llama
from tests.onnx_models import onnx_of
from tests.reference import ours

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
PAGE = Path(__file__).parents[2] / "docs" / "engines.md"
HEADING, COLUMNS = "## One model in every format", "| format | engine | bound | farthest | greedy texts |"


def pickled(folder: Path, into: Path) -> Path:
    """As PyTorch's own file."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    model.config.save_pretrained(into)
    AutoTokenizer.from_pretrained(folder).save_pretrained(into)
    torch.save(model.state_dict(), into / "pytorch_model.bin")
    return into


def saved(folder: Path, into: Path) -> Path:
    """As a SavedModel, made in the engine's environment."""
    python = place_of("tensorflow", Settings().home).python
    command = [str(python), "-m", "tests.tensorflow_models", str(folder), str(into)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    return into


@dataclass(frozen=True, slots=True)
class Form:
    """A format as an engine reads it: how it is made of a folder of safetensors, and how close its answers are."""

    name: str
    engine: str
    make: Callable[[Path, Path], Path]
    bound: float = 0.0002
    options: tuple[tuple[str, str], ...] = ()
    trust_code: bool = False

    @property
    def key(self) -> str:
        """What its row begins with."""
        return f"| {self.name} | `{self.engine}` |"


FORMS = (
    Form("PyTorch .bin", "transformers", pickled, bound=0.000001),
    Form("GGUF, float32", "transformers", lambda folder, into: gguf_of(folder, into / "m.gguf"), bound=0.00001),
    Form("GGUF, float32", "gguf", lambda folder, into: gguf_of(folder, into / "m.gguf"), options=(("kv", "float32"),)),
    Form("ONNX, float32", "onnx", onnx_of),
    Form("safetensors", "mlx", lambda folder, into: folder),
    Form("SavedModel, float32", "tensorflow", saved, trust_code=True),
)  # fmt: skip


@pytest.fixture(autouse=True)
def trusting(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine trusts models that are programs."""
    monkeypatch.setenv("ASSAY_ALLOW_CODE", "true")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small random model, as safetensors."""
    return tiny_llama(tmp_path_factory.mktemp("model"), max_length=128)


@pytest.fixture(scope="module")
def wanted(folder: Path) -> Iterator[Callable[[Sequence[EngineRequest]], list[EngineAnswer]]]:
    """What the transformers engine answers for the safetensors."""
    engine = engine_named("transformers")
    engine.load(ModelRef(uri=str(folder)), options={"threads": "1"}, device="cpu")
    yield lambda requests: ours(engine, requests)
    engine.close()


@pytest.fixture(scope="module")
def rows() -> Iterator[dict[str, str]]:
    """The table's rows, by what they begin with; written to the page where that is asked for."""
    _, _, behind = PAGE.read_text().partition(f"{COLUMNS}\n")
    found = dict.fromkeys((one.key for one in FORMS), "")
    for line in behind.partition("\n\n")[0].splitlines()[1:]:
        found |= {key: line for key in found if line.startswith(key)}
    yield found
    if os.environ.get("ASSAY_WRITE_TABLES"):
        before, _, rest = PAGE.read_text().partition(f"{COLUMNS}\n")
        table = "\n".join(["| --- " * 5 + "|", *filter(None, found.values())])
        PAGE.write_text(f"{before}{COLUMNS}\n{table}\n\n{rest.partition(chr(10) * 2)[2]}")


@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form.name} by {form.engine}")
def test_the_same_model_says_the_same(form: Form, folder: Path, tmp_path: Path, wanted: Any, rows: dict[str, str]) -> None:
    """Its likelihoods within the bound, its greedy texts exactly."""
    if form.engine not in offered(Settings().home):
        pytest.skip(f"engine {form.engine} is not here: assay engine install {form.engine}")
    likely, greedy = scored(PAIRS), texts(GREEDY[:6])
    found = answers_of(form, form.make(folder, tmp_path), (likely, greedy))
    all_alike(found[0], wanted(likely), tolerance=form.bound)
    assert found[1] == wanted(greedy)
    rows[form.key] = f"{form.key} {form.bound:.6f} | {farthest(found[0], wanted(likely)):.0e} | the same |"


def answers_of(form: Form, model: Path, asked: Sequence[Sequence[EngineRequest]]) -> list[list[EngineAnswer]]:
    """The engine's answers, from the environment that it is in."""
    if place_of(form.engine, Settings().home).state == "here":
        engine: Engine = engine_named(form.engine)
        engine.load(ModelRef(uri=str(model)), options={"threads": "1"} | dict(form.options), device="cpu")
        found = [ours(engine, one) for one in asked]
        engine.close()
        return found
    with asyncio.Runner() as runner:
        child = Child(runner, form.engine, trust_code=form.trust_code)
        child.load(model, **dict(form.options))
        found = [child.answer(one) for one in asked]
        runner.run(child.engines.close())
        return found


def test_an_adapter_is_the_model_that_it_makes(folder: Path, tmp_path: Path) -> None:
    """Put on its base as it is loaded, beside the same merged and saved."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    adapter, whole = adapter_of(folder, tmp_path / "adapter"), tmp_path / "whole"
    merged = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32), str(adapter)).merge_and_unload()
    merged.save_pretrained(whole)
    AutoTokenizer.from_pretrained(folder).save_pretrained(whole)
    found = []
    for place in (adapter, whole):
        engine = engine_named("transformers")
        engine.load(ModelRef(uri=str(place)), options={"threads": "1"}, device="cpu")
        found.append([ours(engine, scored(PAIRS)), ours(engine, texts(GREEDY[:6]))])
        engine.close()
    all_alike(found[0][0], found[1][0], tolerance=0.000001)
    assert found[0][1] == found[1][1]


def test_every_form_has_its_row(rows: dict[str, str]) -> None:
    """On the page, with its bound."""
    bounds = {one.key: one.bound for one in FORMS}
    told = {key: float(line.split("|")[3]) for key, line in rows.items() if line}
    assert told == {key: bounds[key] for key in told}
    assert len(told) == len(FORMS)
