"""Models of an encoder and a decoder on engine transformers, against lm-eval's HFLM (its backend seq2seq)."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gpu_agent.engines.engine import EngineAnswer, EngineRequest, Halved
from gpu_agent.engines.transformers import Transformers
from infra import model_fitness
from infra.models import inspect
from infra.preparing import estimate_of
from schemas.requests import EngineChoice, ModelRef
from streams.errors import Invalid
from tests.models import adapter_of, tiny_bart, tiny_t5
from tests.reference import hflm, ours, theirs

# What transformers and torch warn of is not ours to mend.
pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore")]
LENGTH = 128
QUESTION = "Question: What is it that grows in the garden, and why? Answer:"
Make = Callable[[Path], Path]


def loaded(folder: Path, **options: str) -> Transformers:
    """The engine with that model."""
    engine = Transformers()
    engine.load(ModelRef(uri=str(folder)), options=options, device="cpu")
    return engine


PAIRS = [
    (QUESTION, " a tree"), (QUESTION, " a flower"), (QUESTION, " 12 apples, or more of them than that"), (QUESTION + "  ", "b"),
    ("", " alone"), ("", "x"), ("ünïcödé — ok", " schön 🌱"), ("one", "\n\n"), ("<s>sum: 1+2=", "3"), ("a b c " * 100, " cut on the left"),
    ("a b c " * 100, "cut"), ("q", "w " * 40),
]  # fmt: skip


@pytest.mark.parametrize("make", [tiny_t5, tiny_bart])
@pytest.mark.parametrize("options", [{}, {"batch_tokens": "16"}], ids=["together", "apart"])
def test_likelihoods_are_lm_evals(tmp_path: Path, make: Make, options: dict[str, str]) -> None:
    """Each part with its own special tokens; no context, trailing spaces, too long ones; and whole texts, far above the window too."""
    folder = make(tmp_path)
    engine, reference = loaded(folder, **options), hflm(folder)
    expected = theirs(reference, "loglikelihood", list(PAIRS))
    requests = [EngineRequest(index=n, request_type="loglikelihood", context=c, continuation=k) for n, (c, k) in enumerate(PAIRS)]
    found = ours(engine, requests)
    for n, (total, greedy) in enumerate(expected):
        assert found[n].loglikelihood == pytest.approx(total, rel=1e-5)
        assert found[n].is_greedy == greedy
        assert np.frombuffer(found[n].token_logprobs or b"", "<f4").sum() == pytest.approx(total, rel=1e-5)
    assert (found[9].truncated_tokens > 0, found[9].finish_reason, found[0].truncated_tokens) == (True, "truncated", 0)
    texts = ["short", QUESTION * 3, "the dogs near the cat run. " * 60, "x"]
    rolling = [EngineRequest(index=n, request_type="loglikelihood_rolling", context=text) for n, text in enumerate(texts)]
    whole = theirs(reference, "loglikelihood_rolling", [(text,) for text in texts])
    assert [answer.loglikelihood for answer in ours(engine, rolling)] == pytest.approx(whole, rel=1e-5)


@pytest.mark.parametrize("make", [tiny_t5, tiny_bart])
def test_texts_are_lm_evals_as_far_as_they_were_asked_for(tmp_path: Path, make: Make) -> None:
    """lm-eval adds a prompt's length to what a decoder may write; here max_gen_toks is what it says. Beams, cut prompts, stops."""
    folder = make(tmp_path)
    told = [
        *((f"{QUESTION} {letter}", {"until": ["zzz"], "max_gen_toks": 24}) for letter in "abcab"),
        (QUESTION, {"until": ["\n"], "max_gen_toks": 24, "no_repeat_ngram_size": 2}),
        (QUESTION, {"until": ["zzz"], "max_gen_toks": 12, "num_beams": 3, "length_penalty": 0.0}),
    ]  # fmt: skip
    expected = theirs(hflm(folder), "generate_until", [(text, dict(settings)) for text, settings in told])
    requests = [EngineRequest(index=n, request_type="generate_until", context=c, generation=g) for n, (c, g) in enumerate(told)]
    engine = loaded(folder)
    found = ours(engine, requests)
    for answer, text in zip(found[:-1], expected[:-1], strict=True):
        assert answer.output and text.startswith(answer.output)
    assert [answer.output_tokens for answer in found[:5]] == [24] * 5
    assert (found[6].finish_reason, found[6].output_tokens) == ("length", 12)
    cut = ours(engine, [EngineRequest(0, "generate_until", "a b c " * 100, generation={"max_gen_toks": 32})])[0]
    assert (cut.prompt_tokens, cut.truncated_tokens > 0, found[0].truncated_tokens) == (LENGTH, True, 0)
    # A stop text ends one of several that are written together, and no other.
    stop = (found[0].output or "")[3]
    again = [EngineRequest(n, "generate_until", c, generation={"until": [stop], "max_gen_toks": 24}) for n, (c, _) in enumerate(told[:5])]
    assert [one.output for one in ours(engine, again)] == [(one.output or "").split(stop)[0] for one in found[:5]]
    assert ours(engine, again)[0].output_tokens < 24


def test_a_drawn_text_is_its_seeds_in_any_company(tmp_path: Path) -> None:
    """The same alone as among others; another seed gives another."""
    engine = loaded(tiny_t5(tmp_path))
    drawn = {"until": ["zzz"], "max_gen_toks": 12, "temperature": 20.0, "do_sample": True}
    requests = [EngineRequest(n, "generate_until", QUESTION, generation=drawn, seed=n % 3) for n in range(6)]
    together = [answer.output for answer in ours(engine, requests)]
    alone = [next(iter(engine.answer([request]))) for request in requests]
    assert together == [one.output for one in alone if isinstance(one, EngineAnswer)]
    assert (together[:3], len(set(together))) == (together[3:], 3)


def test_out_of_memory_halves_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches that are too large for the memory become smaller, and every answer comes."""
    engine = loaded(tiny_t5(tmp_path))
    whole = engine.network.get_encoder().forward

    def bounded(*args: object, **told: object) -> object:
        if getattr(told["input_ids"], "shape", (0,))[0] > 2:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return whole(*args, **told)

    monkeypatch.setattr(engine.network.get_encoder(), "forward", bounded)
    requests = [EngineRequest(n, "loglikelihood", f"{QUESTION} {n % 10}", " a tree") for n in range(64)]
    found = list(engine.answer(requests))
    assert any(isinstance(one, Halved) for one in found)
    assert sorted(one.index for one in found if isinstance(one, EngineAnswer)) == list(range(64))


def test_an_adapter_is_merged_into_it(tmp_path: Path) -> None:
    """And changes what it says."""
    base = tiny_t5(tmp_path / "base")
    adapter = adapter_of(base, tmp_path / "adapter")
    asked = [EngineRequest(0, "loglikelihood", QUESTION, " a tree")]
    assert ours(loaded(adapter), asked)[0].loglikelihood != pytest.approx(ours(loaded(base), asked)[0].loglikelihood, rel=1e-4)


def test_its_speed_is_that_of_its_decoder(tmp_path: Path) -> None:
    """A token a step, however many are asked for."""
    assert list(loaded(tiny_bart(tmp_path)).stream(input_tokens=20, output_tokens=9, seed=1)) == [1] * 9


def test_it_is_planned_for_the_engine_that_has_it(tmp_path: Path) -> None:
    """Its window is its tokenizer's, where nothing else tells; keys and values are those of what is read and of what is said."""
    facts = inspect(ModelRef(uri=str(tiny_t5(tmp_path))))
    model_fitness.check(facts, engine="transformers")
    with pytest.raises(Invalid, match=r"has an encoder and a decoder.*; give engine transformers"):
        model_fitness.check(facts, engine="vllm")
    layers, heads, size, parts = 2, 2, 16, 2
    assert (facts.max_len, facts.kv_bytes_per_token) == (LENGTH, 2 * layers * heads * size * parts * 4)
    assert estimate_of(facts, engine=EngineChoice()).kv_bytes >= facts.kv_bytes_per_token * LENGTH
