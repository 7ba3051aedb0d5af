"""The vLLM engine, in its own environment and process, against the transformers engine on the same weights; `make test-vllm` runs it."""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpu_agent.engines.engine import Engine, EngineRequest, Thinking, engine_named
from infra.models import inspect
from schemas.requests import ModelRef, Workload
from streams.errors import Permanent
from tests.engine_cases import GREEDY as SHARED
from tests.engine_cases import PAIRS, QUESTION, Child, all_alike, scored, texts
from tests.models import adapter_of, overflowing, tiny_llama
from tests.reference import ours

# What transformers and torch warn of is not ours to mend.
pytestmark = [pytest.mark.vllm, pytest.mark.timeout(900), pytest.mark.filterwarnings("ignore")]
LENGTH = 128
# Nats, or the same share of the value: the order of sums; an adapter beside its base and not merged into it.
TOLERANCE, ADAPTED = 0.0002, 0.002
PREFIX = "the dogs near the cat run. " * 6
# vLLM has no no_repeat_ngram_size.
GREEDY = [
    (one, told if "no_repeat_ngram_size" not in told else {"until": [], "max_gen_toks": 24, "min_length": 80}) for one, told in SHARED
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random model, its heads as large as vLLM's kernels for CPUs want them."""
    return tiny_llama(tmp_path_factory.mktemp("model"), max_length=LENGTH, head_size=32)


@pytest.fixture(scope="module")
def reference(folder: Path) -> Iterator[Engine]:
    """The transformers engine."""
    engine = engine_named("transformers")
    engine.load(ModelRef(uri=str(folder)), options={"threads": "1"}, device="cpu")
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def child() -> Iterator[Child]:
    """The vLLM engine's process."""
    with asyncio.Runner() as runner:
        found = Child(runner, "vllm")
        yield found
        runner.run(found.engines.close())


@pytest.fixture
def engine(child: Child, folder: Path) -> Child:
    """With the small model."""
    child.load(folder)
    return child


def test_the_bounds_are_those_of_the_page() -> None:
    """docs/engines.md has both in its table."""
    page = (Path(__file__).parents[2] / "docs" / "engines.md").read_text()
    rows = re.findall(r"^\| `vllm`[^|]+\| (0\.\d+) \|", page, re.MULTILINE)
    assert sorted(map(float, rows)) == [TOLERANCE, ADAPTED]


def test_what_was_loaded_is_told(engine: Child, folder: Path) -> None:
    """Engine, version, dtype, window, sizes and hash; and the same model is not loaded twice."""
    found = engine.load(folder)
    assert (found.used.name, found.used.version, found.used.dtype, found.used.device) == ("vllm", "0.32.0", "float32", "cpu")
    assert (found.used.max_len, found.used.batch, found.used.quantisation) == (LENGTH, "1024 tokens", None)
    facts = inspect(ModelRef(uri=str(folder)))
    assert (found.model_sha, found.parameters, found.weights_bytes) == (facts.model_sha, facts.parameters, facts.weights_bytes)
    assert found.kv_bytes and found.kv_bytes >= LENGTH * facts.kv_bytes_per_token
    assert engine.engines.held == ModelRef(uri=str(folder))


def test_likelihoods_are_those_of_transformers(engine: Child, reference: Engine) -> None:
    """Shared contexts, trailing spaces, no context, special tokens in the text, too long ones, and one cut itself: also what is counted."""
    all_alike(engine.answer(scored(PAIRS)), ours(reference, scored(PAIRS)), tolerance=TOLERANCE)


def test_a_cache_of_prefixes_changes_nothing(engine: Child, reference: Engine) -> None:
    """Hundreds of requests over one prefix, answers that share their beginning, and the same again when all of it is in the cache."""
    pairs = [(f"{PREFIX}{n % 7}", f" {n}") for n in range(200)] + [(PREFIX, " the cat" * n) for n in range(1, 30)]
    wanted = ours(reference, scored(pairs))
    for _ in range(2):
        all_alike(engine.answer(scored(pairs)), wanted, tolerance=TOLERANCE)


def test_many_single_tokens_behind_one_context(engine: Child, reference: Engine) -> None:
    """More than one request of vLLM's can ask for."""
    pairs = [(QUESTION, chr(n)) for n in range(33, 240) if chr(n).isprintable()]
    all_alike(engine.answer(scored(pairs)), ours(reference, scored(pairs)), tolerance=TOLERANCE)


def test_rolling_likelihoods_are_those_of_transformers(engine: Child, reference: Engine) -> None:
    """Texts below, at and far above the model's length, and an empty one."""
    told = ["short", QUESTION * 3, "the dogs near the cat run. " * 60, "x", ""]
    requests = [EngineRequest(index=n, request_type="loglikelihood_rolling", context=text) for n, text in enumerate(told)]
    all_alike(engine.answer(requests), ours(reference, requests), tolerance=TOLERANCE)


def test_greedy_texts_are_those_of_transformers(engine: Child, reference: Engine) -> None:
    """Stop texts, lengths, prompts that must be cut, and what alters which token is the likeliest."""
    assert engine.answer(texts(GREEDY)) == ours(reference, texts(GREEDY))


@pytest.mark.parametrize("tokens", [8, 1, None])
def test_thinking_is_told_apart_and_ended(engine: Child, reference: Engine, tokens: int | None) -> None:
    """As by the transformers engine: the end is put in, and the answer follows."""
    told = texts(
        [(QUESTION, {"until": ["\n"], "max_gen_toks": 12}), ("one", {"until": [], "max_gen_toks": 6})], thinking=Thinking(" end.", tokens)
    )
    assert engine.answer(told) == ours(reference, told)


def test_draws_are_the_seeds_own(engine: Child) -> None:
    """The same alone and among others; another seed, another text; the likeliest token alone where top_k is 1."""
    settings = {"until": [], "max_gen_toks": 16, "do_sample": True, "temperature": 1.0, "top_p": 0.9}
    many = [EngineRequest(n, "generate_until", QUESTION, generation=settings, seed=n) for n in range(40)]
    together = [answer.output for answer in engine.answer(many)]
    assert engine.answer(many[7:8])[0].output == together[7]
    assert len(set(together)) > 30
    narrow = texts([(QUESTION, {"until": [], "max_gen_toks": 16, "do_sample": True, "top_k": 1})])
    assert engine.answer(narrow)[0].output == engine.answer(texts([(QUESTION, {"until": [], "max_gen_toks": 16})]))[0].output


def test_draws_have_the_models_shares(engine: Child) -> None:
    """Of 400 first tokens as many are the likeliest as its likelihood says, within four standard errors."""
    settings = {"until": [], "max_gen_toks": 1, "do_sample": True, "temperature": 1.0, "top_k": 0}
    many = [EngineRequest(n, "generate_until", QUESTION, generation=settings, seed=n) for n in range(400)]
    best = engine.answer(texts([(QUESTION, {"until": [], "max_gen_toks": 1})]))[0].output
    assert best is not None
    likelihood = engine.answer(scored([(QUESTION, best)]))[0].loglikelihood
    assert likelihood is not None
    share, count = float(np.exp(likelihood)), sum(answer.output == best for answer in engine.answer(many))
    assert abs(count - 400 * share) < 4 * (400 * share * (1 - share)) ** 0.5 + 1


def test_requests_that_it_does_not_take_are_named_and_it_serves_on(engine: Child) -> None:
    """Beams, a temperature that vLLM would alter, a text longer than the model; and the process is still there."""
    before, process = engine.answer(texts(GREEDY[:1])), engine.engines.pid
    for wrong, said in (
        ({"num_beams": 4}, "does not take generation argument num_beams=4"),
        ({"do_sample": True, "temperature": 3.0}, "takes generation argument temperature from 0.01 to 2"),
        ({"max_gen_toks": 500}, "give a max_gen_toks"),
        ({"max_gen_toks": 4, "suppress_tokens": [99_999]}, "99999"),
    ):
        with pytest.raises(Permanent, match=said):
            engine.answer(texts([*GREEDY[:2], (QUESTION, wrong)]))
        assert engine.answer(texts(GREEDY[:1])) == before
    assert engine.engines.pid == process


def test_a_load_has_as_many_tokens_as_asked_for(engine: Child, folder: Path) -> None:
    """Each told as it comes, behind the end-of-text token too."""
    workload = Workload(profile="constant", rate_per_s=5.0, duration_s=1.0, input_tokens=20, output_tokens=9)

    async def whole() -> list[Any]:
        return [one async for one in engine.engines.measure(workload, model=ModelRef(uri=str(folder)), seed=1, mark="")]

    timed = engine.run(whole())
    assert {one.planned.output_tokens for one in timed} == {one.output_tokens for one in timed} == {9}
    assert all(sum(count for _, count in one.arrivals) == 9 and len(one.arrivals) > 1 for one in timed)


def test_a_model_that_vllm_cannot_run_is_refused_in_words(child: Child, tmp_path: Path) -> None:
    """Its kernels for CPUs have no heads so small."""
    with pytest.raises(Permanent, match=r"cannot be loaded: RuntimeError: Unsupported CPU attention configuration: head_dim=16"):
        child.load(tiny_llama(tmp_path))


def test_a_model_whose_outputs_are_no_numbers_is_told_as_it_loads(child: Child, folder: Path, tmp_path: Path) -> None:
    """A few tokens are tried then; of texts vLLM tells no numbers."""
    with pytest.raises(Permanent, match=r"outputs are not numbers .* overflows in float32; fetch its files again"):
        child.load(overflowing(folder, tmp_path / "m"))


def test_a_model_generates_as_its_own_settings_say(child: Child, tmp_path: Path) -> None:
    """What transformers takes from its generation_config.json is taken, where the request says nothing else."""
    model = tiny_llama(tmp_path, max_length=LENGTH, head_size=32)
    own = json.loads((model / "generation_config.json").read_text())
    (model / "generation_config.json").write_text(json.dumps(own | {"repetition_penalty": 1.4, "eos_token_id": [1, 300]}))
    plain = engine_named("transformers")
    plain.load(ModelRef(uri=str(model)), options={"threads": "1"}, device="cpu")
    child.load(model)
    assert child.answer(texts(GREEDY[:4])) == ours(plain, texts(GREEDY[:4]))


def test_an_adapter_is_served_beside_its_base(child: Child, folder: Path, tmp_path: Path) -> None:
    """Its values are those of the merged model; one that changes nothing is refused."""
    adapter = adapter_of(folder, tmp_path / "adapter")
    plain = engine_named("transformers")
    plain.load(ModelRef(uri=str(adapter)), options={"threads": "1"}, device="cpu")
    told = child.load(adapter)
    assert told.model_sha == inspect(ModelRef(uri=str(adapter))).model_sha
    wanted = ours(plain, scored(PAIRS))
    all_alike(child.answer(scored(PAIRS)), wanted, tolerance=ADAPTED)
    assert child.answer(texts(GREEDY[:4])) == ours(plain, texts(GREEDY[:4]))
    with pytest.raises(Permanent, match="changes nothing of"):
        child.load(adapter_of(folder, tmp_path / "fresh", trained=False))
