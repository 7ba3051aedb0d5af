"""The TensorFlow engine against the transformers engine on the same weights, in its own environment: `make test-tensorflow`."""

import asyncio
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpu_agent.engines.engine import Engine, EngineRequest, Thinking, engine_named
from infra import model_fitness
from infra.engine_environments import place_of
from infra.models import inspect
from infra.settings import Settings
from schemas.requests import ModelRef
from streams.errors import Invalid, Permanent
from tests.engine_cases import GREEDY, PAIRS, QUESTION, Child, all_alike, scored, texts
from tests.models import tiny_llama
from tests.reference import ours

pytestmark = [pytest.mark.tensorflow, pytest.mark.timeout(600), pytest.mark.filterwarnings("ignore")]
TOLERANCES = {"float32": 0.0002}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random model."""
    return tiny_llama(tmp_path_factory.mktemp("model"), max_length=128)


def saved(folder: Path, into: Path, *length: str) -> Path:
    """The same as a SavedModel, made in the engine's environment."""
    python = place_of("tensorflow", Settings().home).python
    told = [str(python), "-m", "tests.tensorflow_models", str(folder), str(into), *length]
    subprocess.run(told, check=True, capture_output=True, timeout=300)
    return into


@pytest.fixture(scope="module")
def model(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small model as a SavedModel."""
    return saved(folder, tmp_path_factory.mktemp("saved"))


@pytest.fixture(scope="module")
def reference(folder: Path) -> Iterator[Engine]:
    """The transformers engine."""
    engine = engine_named("transformers")
    engine.load(ModelRef(uri=str(folder)), options={"threads": "1"}, device="cpu")
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def child() -> Iterator[Child]:
    """The engine's process, on a machine that trusts models."""
    with pytest.MonkeyPatch.context() as patch, asyncio.Runner() as runner:
        patch.setenv("ASSAY_ALLOW_CODE", "true")
        found = Child(runner, "tensorflow", trust_code=True)
        yield found
        runner.run(found.engines.close())


@pytest.fixture
def engine(child: Child, model: Path) -> Child:
    """The engine with the small model."""
    child.load(model)
    return child


def test_the_bounds_are_those_of_the_page() -> None:
    """docs/engines.md has each of them in its table, and no other of this engine."""
    page = (Path(__file__).parents[2] / "docs" / "engines.md").read_text()
    rows = re.findall(r"^\| `tensorflow`[^|]+\| (\d+(?:\.\d+)?) \|", page, re.MULTILINE)
    assert sorted(map(float, rows)) == sorted(TOLERANCES.values())


def test_what_was_loaded_is_told(child: Child, model: Path, folder: Path) -> None:
    """As the files say it; its numbers are the model's."""
    told, facts = child.load(model), inspect(ModelRef(uri=str(model)))
    assert (told.used.name, told.used.device, told.used.dtype, told.used.max_len) == ("tensorflow", "cpu", "float32", 128)
    assert (facts.format, told.model_sha) == ("savedmodel", facts.model_sha)
    assert told.parameters == inspect(ModelRef(uri=str(folder))).parameters
    assert inspect(ModelRef(uri=str(model / "saved_model" / "saved_model.pb"))) == facts


def test_likelihoods_are_those_of_transformers(engine: Child, reference: Engine) -> None:
    """Shared contexts, trailing spaces, no context, special tokens, too long ones; whole texts too."""
    rolling = [EngineRequest(index=n, request_type="loglikelihood_rolling", context=one) for n, one in enumerate(["x", QUESTION * 9, ""])]
    for asked in (scored(PAIRS), rolling):
        all_alike(engine.answer(asked), ours(reference, asked), tolerance=TOLERANCES["float32"])


def test_greedy_texts_are_those_of_transformers(engine: Child, reference: Engine) -> None:
    """Stop texts, lengths, cut prompts, penalties; thoughts; many prompts of many lengths."""
    many = [(f"{QUESTION} {'and ' * (n % 5)}{n}", {"until": [], "max_gen_toks": 3 + n % 4}) for n in range(20)]
    for asked in (texts(GREEDY), texts(many), texts(GREEDY[:1], thinking=Thinking(" end.", 8))):
        assert engine.answer(asked) == ours(reference, asked)


def test_a_program_runs_only_where_it_is_trusted(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the request, when it is planned, and by the machine, when it is loaded; other engines do not read it."""
    facts = inspect(ModelRef(uri=str(model)))
    with pytest.raises(Invalid, match="is a program of TensorFlow's, which may read and write files"):
        model_fitness.check_told(ModelRef(uri=str(model)), facts)
    with pytest.raises(Invalid, match=r"is SavedModel, and engine transformers reads .*; give engine tensorflow"):
        model_fitness.check(facts, engine="transformers")
    monkeypatch.setenv("ASSAY_ALLOW_CODE", "false")
    with asyncio.Runner() as runner:
        strict = Child(runner, "tensorflow", trust_code=True)
        with pytest.raises(Permanent, match="runs only where it is trusted by"):
            strict.load(model)
        runner.run(strict.engines.close())


def test_what_the_engine_cannot_do_is_refused_in_words(child: Child, model: Path, folder: Path, tmp_path: Path) -> None:
    """A signature of one length; numbers that are not all there."""
    with pytest.raises(Permanent, match=r"takes input_ids of the shape \(None, 16\) alone; save it with both open"):
        child.load(saved(folder, tmp_path / "narrow", "16"))
    cut = tmp_path / "cut"
    saved(folder, cut)
    next((cut / "saved_model" / "variables").glob("variables.data-*")).unlink()
    with pytest.raises(Invalid, match="lacks files of its variables; fetch the model again"):
        inspect(ModelRef(uri=str(cut)))
