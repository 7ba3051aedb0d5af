"""Prefix trees through many kinds of models: lm-eval's HFLM's values, by the tree where attention is standard, plainly elsewhere."""

import asyncio
import random
from pathlib import Path
from typing import Any

import psutil
import pytest

from gpu_agent.engines.engine import EngineAnswer, EngineRequest, Halved
from gpu_agent.engines.generation import Texts
from gpu_agent.engines.transformers import Transformers
from gpu_agent.runner import Engines
from schemas.requests import EngineChoice, ModelRef
from tests.models import save
from tests.reference import hflm, ours, theirs

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
LENGTH = 160
SHAPE = {
    "vocab_size": 512, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
    "max_position_embeddings": LENGTH, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2,
}  # fmt: skip
GROUPED = {"num_key_value_heads": 2}
# Kind of model, what is told beside the shape, and whether it sees trees.
KINDS: dict[str, tuple[str, dict[str, Any], bool]] = {
    "llama": ("llama", GROUPED, True),
    "gpt2": ("gpt2", {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": LENGTH}, True),
    "gpt_neox": ("gpt_neox", {}, True),
    "qwen2": ("qwen2", GROUPED, True),
    "qwen3": ("qwen3", GROUPED | {"head_dim": 16}, True),
    "gemma": ("gemma", GROUPED | {"head_dim": 16}, True),
    "gemma2": ("gemma2", GROUPED | {"head_dim": 16, "sliding_window": 24, "query_pre_attn_scalar": 16}, True),
    "mistral": ("mistral", GROUPED | {"sliding_window": 24}, True),
    "opt": ("opt", {"ffn_dim": 96, "word_embed_proj_dim": 64}, True),
    "phi": ("phi", {}, True),
    "olmo2": ("olmo2", GROUPED, True),
    "llama-dynamic": ("llama", {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10_000.0}}, False),
    "bloom": ("bloom", {"n_layer": 2, "n_head": 4}, False),
    "mamba": ("mamba", {"state_size": 8}, False),
}
SHOTS = "The following are questions.\n\n" + "".join(f"Q: what is {n} and {n + 3}?\nA: {2 * n + 3}\n\n" for n in range(3))
ASKED = ("dogs", "a garden", "12 apples or more")
ANSWERS = (" yes", " no", " a tree, a flower")
PAIRS = [
    *((f"{SHOTS}Q: what of {word}?\nA:", answer) for word in ASKED for answer in ANSWERS),
    *((f"{SHOTS}Q: single?\nA:", letter) for letter in "ABCD"),
    ("The dog saw the cat because the dog", " was near"), ("The dog saw the cat because the cat", " was near"),
    ("", "alone"), ("", " x"), ("<s>already begun", " so"), ("ends with spaces   ", "word"), ("cut across the bound", "ary of tokens"),
    ("a b c " * 100, " too long"), ("a b c " * 100, " too long by far"), ("same", " twice"), ("same", " twice"), ("one", "\n\n"),
]  # fmt: skip


def engine_of(kind: str, folder: Path, **options: str) -> Transformers:
    """The engine with a small random model of that kind."""
    from transformers import AutoConfig

    name, told, _ = KINDS[kind]
    save(AutoConfig.for_model(name, **SHAPE | told), folder)
    engine = Transformers()
    engine.load(ModelRef(uri=str(folder)), options={"max_length": str(LENGTH)} | options, device="cpu")
    return engine


def pairs() -> list[EngineRequest]:
    """The pairs as requests."""
    return [EngineRequest(index=n, request_type="loglikelihood", context=c, continuation=k) for n, (c, k) in enumerate(PAIRS)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_model_has_lm_evals_values(kind: str, tmp_path: Path) -> None:
    """Likelihoods within 1e-4, greedy and texts equal; the tree is taken exactly where attention is standard."""
    engine = engine_of(kind, tmp_path)
    assert (engine.sees_trees, kind) == (KINDS[kind][2], kind)
    reference = hflm(tmp_path, max_length=LENGTH)
    found = ours(engine, pairs())
    expected = theirs(reference, "loglikelihood", list(PAIRS))
    assert [answer.loglikelihood for answer in found] == pytest.approx([total for total, _ in expected], rel=1e-4)
    assert [answer.is_greedy for answer in found] == [greedy for _, greedy in expected]
    told = [(SHOTS + f"Q: and {n}?\nA:", {"until": ["\n\n", "Q"], "max_gen_toks": 6 + n % 9, "do_sample": False}) for n in range(12)]
    requests = [EngineRequest(index=n, request_type="generate_until", context=c, generation=g) for n, (c, g) in enumerate(told)]
    assert [answer.output for answer in ours(engine, requests)] == theirs(reference, "generate_until", [(c, dict(g)) for c, g in told])


def test_values_do_not_depend_on_what_is_computed_together(tmp_path: Path) -> None:
    """One sequence at a time, all in one pack, or in another order, with a root kept from other requests: the same values."""
    engine = engine_of("llama", tmp_path / "m")
    expected = [answer.loglikelihood for answer in ours(engine, pairs())]
    mixed = random.Random(1).sample(pairs(), len(PAIRS))
    found = {answer.index: answer.loglikelihood for answer in engine.answer(mixed) if isinstance(answer, EngineAnswer)}
    assert [found[n] for n in range(len(PAIRS))] == pytest.approx(expected, rel=1e-5)
    for tokens in ("16", "100", "9999"):
        other = Transformers()
        other.load(ModelRef(uri=str(tmp_path / "m")), options={"max_length": str(LENGTH), "batch_tokens": tokens}, device="cpu")
        assert [answer.loglikelihood for answer in ours(other, pairs())] == pytest.approx(expected, rel=1e-5)


def test_texts_do_not_depend_on_what_is_generated_together(tmp_path: Path) -> None:
    """Fewer slots than prompts, of all lengths: each text is what it is alone, and one asked for twice comes twice."""
    engine = engine_of("llama", tmp_path, batch_tokens="96")
    told = [{"until": ["e", "\n"][: n % 3], "max_gen_toks": 3 + 5 * (n % 7), "do_sample": False} for n in range(30)]
    requests = [
        EngineRequest(index=n, request_type="generate_until", context=f"{SHOTS}Q{n // 2}: {'so ' * (n % 5)}", generation=told[n // 2])
        for n in range(30)
    ]
    alone = [ours(engine, [EngineRequest(0, "generate_until", one.context, generation=one.generation)])[0] for one in requests]
    together = ours(engine, requests)
    assert [answer.output for answer in together] == [answer.output for answer in alone]
    assert [answer.finish_reason for answer in together] == [answer.finish_reason for answer in alone]
    assert {answer.finish_reason for answer in together} == {"stop", "length"}


def test_draws_are_transformers_and_do_not_depend_on_what_is_drawn_together(tmp_path: Path) -> None:
    """Whatever the settings: each text is what the model's own `generate` draws by that seed alone."""
    engine = engine_of("llama", tmp_path, batch_tokens="96")
    kinds: list[dict[str, Any]] = [{}, {"top_p": 0.6, "top_k": 0}, {"temperature": 0.5, "top_k": 9}, {"temperature": 1.7, "top_k": 0}]
    requests = [
        EngineRequest(
            index=n, request_type="generate_until", context=f"{SHOTS}Q{n // 3}:", draw=n % 3, seed=n,
            generation={"until": ["\n"], "max_gen_toks": 4 + 3 * (n % 5), "do_sample": True, **kinds[n % 4]},
        )
        for n in range(36)
    ]  # fmt: skip
    together = ours(engine, requests)
    texts = engine._texts
    assert isinstance(texts, Texts)
    roots, texts._roots = texts._roots, None  # without which every text is `generate`'s
    alone = ours(engine, requests)
    texts._roots = roots
    assert [answer.output for answer in together] == [answer.output for answer in alone]
    assert [answer.output_tokens for answer in together] == [answer.output_tokens for answer in alone]
    assert len({answer.output for answer in together}) > 18


def test_where_memory_runs_out_smaller_packs_go_on(tmp_path: Path) -> None:
    """The engine's process may not have what its first packs need: it says so, halves them, and answers all the same."""
    engine_of("llama", tmp_path)
    draw = random.Random(2)
    words = [word for pair in PAIRS for word in pair[0].split()]
    requests = [
        EngineRequest(index=n, request_type="loglikelihood", context=" ".join(draw.choices(words, k=40)), continuation=" yes")
        for n in range(250)
    ]

    async def act(*, limited: bool) -> list[EngineAnswer | Halved]:
        engines = Engines("cpu")
        try:
            options = {"max_length": str(LENGTH), "batch_tokens": "60000", "threads": "1"}
            await engines.load(ModelRef(uri=str(tmp_path)), EngineChoice(name="transformers", options=options))
            async for _ in engines.answer(requests[:1]):
                pass
            if limited:
                process = psutil.Process(engines.pid)
                limit = process.memory_info().vms + 24 * 2**20
                process.rlimit(psutil.RLIMIT_AS, (limit, limit))
            return [reply async for reply in engines.answer(requests)]
        finally:
            await engines.close()

    free, tight = asyncio.run(act(limited=False)), asyncio.run(act(limited=True))
    halvings = [reply.batch for reply in tight if isinstance(reply, Halved)]
    assert halvings[:1] == ["30000 tokens"]
    assert [reply for reply in free if isinstance(reply, Halved)] == []
    found, expected = (
        {reply.index: reply.loglikelihood for reply in replies if isinstance(reply, EngineAnswer)} for replies in (tight, free)
    )
    assert len(found) == len(requests)
    assert found == pytest.approx(expected, rel=1e-5)
