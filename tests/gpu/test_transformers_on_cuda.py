"""The transformers engine on CUDA beside the same on a CPU; `make test-gpu` runs it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.filling import Shape, made
from gpu_agent.engines.engine import Engine, EngineAnswer, EngineRequest, Halved, Thinking, engine_named
from infra.models import inspect
from infra.preparing import estimate_of
from schemas.requests import EngineChoice, ModelRef
from tests.engine_cases import GREEDY, PAIRS, QUESTION, all_alike, scored, texts
from tests.models import tiny_llama
from tests.reference import ours

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(900), pytest.mark.filterwarnings("ignore")]
LENGTH = 128
# Nats, or the same share of the value: the order of sums.
TOLERANCE = 0.0005
MIB = 2**20


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random model."""
    return tiny_llama(tmp_path_factory.mktemp("model"), max_length=LENGTH, head_size=64)


def loaded(model: Path, device: str, **options: str) -> Engine:
    """The engine with that model on that device."""
    engine = engine_named("transformers")
    engine.load(ModelRef(uri=str(model)), options=options, device=device)
    return engine


@pytest.fixture(scope="module")
def reference(folder: Path) -> Iterator[Engine]:
    """On a CPU."""
    engine = loaded(folder, "cpu", threads="1")
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def engine(folder: Path) -> Iterator[Engine]:
    """On CUDA."""
    engine = loaded(folder, "cuda")
    yield engine
    engine.close()


def test_the_bound_is_that_of_the_page() -> None:
    """docs/engines.md has it in its table."""
    page = (Path(__file__).parents[2] / "docs" / "engines.md").read_text()
    (row,) = re.findall(r"^\| CUDA: `transformers`[^|]+\| (0\.\d+) \|", page, re.MULTILINE)
    assert float(row) == TOLERANCE


def test_likelihoods_are_those_of_a_processor(engine: Engine, reference: Engine) -> None:
    """Shared contexts, too long ones, whole texts, and hundreds over one prefix."""
    rolling = [EngineRequest(index=n, request_type="loglikelihood_rolling", context=one) for n, one in enumerate(["x", QUESTION * 9, ""])]
    many = [(f"{'the dogs near the cat run. ' * 3}{n % 7}", f" {n}") for n in range(200)]
    for asked in (scored(PAIRS), rolling, scored(many)):
        all_alike(ours(engine, asked), ours(reference, asked), tolerance=TOLERANCE)


def test_greedy_texts_are_those_of_a_processor(engine: Engine, reference: Engine) -> None:
    """Token by token; thoughts too."""
    many = [(f"{QUESTION} {'and ' * (n % 5)}{n}", {"until": [], "max_gen_toks": 3 + n % 4}) for n in range(40)]
    for asked in (texts(GREEDY), texts(many), texts(GREEDY[:1], thinking=Thinking(" end.", 8))):
        assert ours(engine, asked) == ours(reference, asked)


def test_a_stream_has_as_many_tokens_as_asked_for(engine: Engine) -> None:
    """One a step."""
    assert list(engine.stream(input_tokens=20, output_tokens=9, seed=1)) == [1] * 9


def test_a_model_takes_what_was_estimated(tmp_path: Path) -> None:
    """Weights to the byte; all of it at most, and more than half as much."""
    import torch

    model = made(Shape(1024, 8, window=1024), tmp_path, device="cuda")
    facts = inspect(ModelRef(uri=str(model)))
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    engine = engine_named("transformers")
    told = engine.load(ModelRef(uri=str(model)), options={"batch_tokens": "1024"}, device="cuda")
    assert (told.weights_bytes, told.used.dtype, told.used.device) == (facts.weights_bytes, "bfloat16", "cuda")
    long = "the dogs near the cat run, and what grows in the garden is a tree. " * 100
    list(engine.answer(texts([(f"{n} {long}", {"until": [], "max_gen_toks": 4}) for n in range(32)])))
    list(engine.answer(scored([(f"{n} {long[:800]}", " a tree") for n in range(32)])))
    peak = torch.cuda.max_memory_allocated()
    engine.close()
    guess = estimate_of(facts, engine=EngineChoice())
    most = guess.weights_bytes + guess.kv_bytes + guess.activation_bytes  # without the runtime, which no tensor holds
    assert most / 2 < peak <= most


def test_out_of_memory_halves_and_goes_on(folder: Path, reference: Engine) -> None:
    """With so little memory that what is begun with cannot go through at once: it is said, and the answers are the same."""
    import torch

    engine = loaded(folder, "cuda", batch_tokens="16384")
    many = scored([(f"{n} " * (10 + n % 9), f" {n} " * (20 + n % 11)) for n in range(400)])
    torch.cuda.empty_cache()
    whole = torch.cuda.mem_get_info()[1]
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_allocated() + 24 * MIB) / whole)
    try:
        told: list[Any] = list(engine.answer(many))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
        engine.close()
    assert any(isinstance(one, Halved) for one in told)
    found = sorted((one for one in told if isinstance(one, EngineAnswer)), key=lambda one: one.index)
    all_alike(found, ours(reference, many), tolerance=TOLERANCE)
