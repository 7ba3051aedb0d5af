"""The vLLM engine on CUDA beside the transformers engine on a CPU; over two GPUs where two are. `make test-gpu` runs it."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import cards
from gpu_agent.engines.engine import Engine, engine_named
from schemas.requests import ModelRef
from tests.engine_cases import GREEDY, PAIRS, QUESTION, Child, all_alike, scored, texts
from tests.models import tiny_llama
from tests.reference import ours

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(1800), pytest.mark.filterwarnings("ignore")]
LENGTH = 128
# Nats, or the same share of the value: kernels of their own, and products of float32 that the card may round to TF32.
TOLERANCE = 0.02
PLAIN = [one for one in GREEDY if "no_repeat_ngram_size" not in one[1]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random model, its heads as large as kernels want them."""
    return tiny_llama(tmp_path_factory.mktemp("model"), max_length=LENGTH, head_size=64)


@pytest.fixture(scope="module")
def reference(folder: Path) -> Iterator[Engine]:
    """The transformers engine on a CPU."""
    engine = engine_named("transformers")
    engine.load(ModelRef(uri=str(folder)), options={"threads": "1"}, device="cpu")
    yield engine
    engine.close()


@pytest.fixture(scope="module", params=[1, 2])
def spread(request: pytest.FixtureRequest, folder: Path) -> Iterator[Child]:
    """The engine over so many GPUs."""
    if len(cards.told()) < request.param:
        pytest.skip(f"{request.param} GPUs are not here")
    with asyncio.Runner() as runner:
        child = Child(runner, "vllm", device="cuda")
        told = child.load(folder, gpu_memory_utilization="0.3", tensor_parallel_size=str(request.param))
        assert (told.used.name, told.used.device, told.used.tp, told.used.dtype) == ("vllm", "cuda", request.param, "float32")
        assert told.used.compile
        yield child
        runner.run(child.engines.close())


def test_the_bound_is_that_of_the_page() -> None:
    """docs/engines.md has it in its table."""
    page = (Path(__file__).parents[2] / "docs" / "engines.md").read_text()
    (row,) = re.findall(r"^\| CUDA: `vllm`[^|]+\| (0\.\d+) \|", page, re.MULTILINE)
    assert float(row) == TOLERANCE


def test_likelihoods_are_those_of_transformers(spread: Child, reference: Engine) -> None:
    """Also again, when what they begin with lies in the cache."""
    many = scored([(f"{'the dogs near the cat run. ' * 3}{n % 7}", f" {n}") for n in range(200)])
    for asked in (scored(PAIRS), many, many):
        all_alike(spread.answer(asked), ours(reference, asked), tolerance=TOLERANCE, greedy=False)


def test_greedy_texts_are_those_of_transformers(spread: Child, reference: Engine) -> None:
    """Token by token."""
    assert spread.answer(texts(PLAIN)) == ours(reference, texts(PLAIN))


def test_many_texts_go_together(spread: Child, reference: Engine) -> None:
    """Of many lengths."""
    many = texts([(f"{QUESTION} {'and ' * (n % 5)}{n}", {"until": [], "max_gen_toks": 3 + n % 4}) for n in range(40)])
    assert spread.answer(many) == ours(reference, many)
