"""The MLX engine against the transformers engine on the same weights, in its own environment: `make test-mlx`."""

import asyncio
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpu_agent.engines.engine import Engine, EngineRequest, Thinking, engine_named
from infra.engine_environments import place_of
from infra.models import inspect
from infra.settings import Settings
from schemas.requests import ModelRef
from streams.errors import Permanent
from tests.engine_cases import GREEDY, PAIRS, QUESTION, Child, all_alike, scored, texts
from tests.models import overflowing, tiny_llama
from tests.reference import ours

pytestmark = [pytest.mark.mlx, pytest.mark.timeout(600), pytest.mark.filterwarnings("ignore")]
# Nats, or shares of the value, of one continuation: by what is computed with.
TOLERANCES = {"float32": 0.0002, "bfloat16": 0.2, "4 bits": 0.0005}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random model."""
    return tiny_llama(tmp_path_factory.mktemp("model"), max_length=128)


def loaded(model: Path) -> Engine:
    """The transformers engine with that model."""
    engine = engine_named("transformers")
    engine.load(ModelRef(uri=str(model)), options={"threads": "1"}, device="cpu")
    return engine


@pytest.fixture(scope="module")
def reference(folder: Path) -> Iterator[Engine]:
    """The transformers engine."""
    engine = loaded(folder)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def child() -> Iterator[Child]:
    """The MLX engine's process."""
    with asyncio.Runner() as runner:
        found = Child(runner, "mlx")
        yield found
        runner.run(found.engines.close())


@pytest.fixture
def engine(child: Child, folder: Path) -> Child:
    """The engine with the small model, also where a test before it loaded another."""
    child.load(folder)
    return child


def mlx(*arguments: str) -> None:
    """Runs mlx-lm's own command in the engine's environment."""
    python = place_of("mlx", Settings().home).python
    subprocess.run([str(python), "-m", "mlx_lm", *arguments], check=True, capture_output=True, timeout=300)


def test_the_bounds_are_those_of_the_page() -> None:
    """docs/engines.md has each of them in its table, and no other of this engine."""
    page = (Path(__file__).parents[2] / "docs" / "engines.md").read_text()
    rows = re.findall(r"^\| `mlx`[^|]+\| (\d+(?:\.\d+)?) \|", page, re.MULTILINE)
    assert sorted(map(float, rows)) == sorted(TOLERANCES.values())


def test_what_was_loaded_is_told(child: Child, folder: Path) -> None:
    """As the files say it."""
    told = child.load(folder, max_length="64")
    facts = inspect(ModelRef(uri=str(folder)))
    assert (told.used.name, told.used.device, told.used.dtype, told.used.max_len) == ("mlx", "cpu", "float32", 64)
    assert (told.model_sha, told.weights_bytes, told.parameters) == (facts.model_sha, facts.weights_bytes, facts.parameters)


def test_likelihoods_are_those_of_transformers(engine: Child, reference: Engine) -> None:
    """Shared contexts, trailing spaces, no context, special tokens, too long ones; whole texts too."""
    rolling = [EngineRequest(index=n, request_type="loglikelihood_rolling", context=one) for n, one in enumerate(["x", QUESTION * 9, ""])]
    for asked in (scored(PAIRS), rolling):
        all_alike(engine.answer(asked), ours(reference, asked), tolerance=TOLERANCES["float32"])


def test_a_shared_beginning_changes_nothing(engine: Child, reference: Engine) -> None:
    """Hundreds of requests over one prefix, and over others behind it."""
    pairs = [(f"{'the dogs near the cat run. ' * 3}{n % 7}", f" {n}") for n in range(120)]
    all_alike(engine.answer(scored(pairs)), ours(reference, scored(pairs)), tolerance=TOLERANCES["float32"])


def test_greedy_texts_are_those_of_transformers(engine: Child, reference: Engine) -> None:
    """Stop texts, lengths, cut prompts, penalties; thoughts; many prompts of many lengths."""
    many = [(f"{QUESTION} {'and ' * (n % 5)}{n}", {"until": [], "max_gen_toks": 3 + n % 4}) for n in range(30)]
    for asked in (texts(GREEDY), texts(many), texts(GREEDY[:1], thinking=Thinking(" end.", 8))):
        assert engine.answer(asked) == ours(reference, asked)


def test_bfloat16_is_close(child: Child, folder: Path, reference: Engine) -> None:
    """The tests' weights are large: all is computed in 8 bits of precision."""
    assert child.load(folder, dtype="bfloat16").used.dtype == "bfloat16"
    short = scored(PAIRS[:9])
    all_alike(child.answer(short), ours(reference, short), tolerance=TOLERANCES["bfloat16"], greedy=False)


def test_mlxs_own_quantised_weights_are_what_they_stand_for(child: Child, folder: Path, tmp_path: Path) -> None:
    """Beside the same file dequantised, in float32; engine transformers refuses it by name."""
    small, whole = tmp_path / "small", tmp_path / "whole"
    mlx("convert", "--hf-path", str(folder), "--mlx-path", str(small), "-q", "--q-bits", "4", "--q-group-size", "32", "--dtype", "float32")
    mlx("convert", "--hf-path", str(small), "--mlx-path", str(whole), "-d", "--dtype", "float32")
    told = child.load(small)
    assert (told.used.quantisation, told.used.dtype) == ("mlx 4 bits", "float32")
    assert told.weights_bytes == pytest.approx(inspect(ModelRef(uri=str(small))).weights_bytes, rel=0.01)
    reference = loaded(whole)
    all_alike(child.answer(scored(PAIRS)), ours(reference, scored(PAIRS)), tolerance=TOLERANCES["4 bits"])
    assert child.answer(texts(GREEDY)) == ours(reference, texts(GREEDY))
    reference.close()
    with pytest.raises(Permanent, match="are quantised by mlx, which engine transformers does not read; give engine mlx"):
        loaded(small)


def test_outputs_that_are_no_numbers_are_no_answers(child: Child, folder: Path, tmp_path: Path) -> None:
    """As by every engine."""
    child.load(overflowing(folder, tmp_path / "m"))
    with pytest.raises(Permanent, match="outputs are not numbers"):
        child.answer(scored(PAIRS[:1]))


def test_draws_are_the_seeds_own(engine: Child) -> None:
    """The same alone and among others."""
    settings = {"until": [], "max_gen_toks": 16, "do_sample": True, "temperature": 1.0, "top_p": 0.9}
    many = [EngineRequest(n, "generate_until", QUESTION, generation=settings, seed=n) for n in range(20)]
    together = [answer.output for answer in engine.answer(many)]
    assert engine.answer(many[7:8])[0].output == together[7] and len(set(together)) > 15
