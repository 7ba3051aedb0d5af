"""What vLLM is told: of a model, its device and options, and of each text; and what is refused before it is asked. No vLLM is needed."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from transformers import GenerationConfig

from gpu_agent.engines.engine import EngineRequest
from gpu_agent.engines.failures import OfAll
from gpu_agent.engines.vllm.arguments import Asked, arguments_of, asked
from gpu_agent.engines.vllm.sampling import params_of
from gpu_agent.engines.written import Prompt, prompt_of
from infra import model_fitness
from infra.models import ModelFacts, inspect
from schemas.requests import ModelRef
from streams import model_memory
from streams.errors import Invalid
from tests.models import adapter_of, tiny_llama

ENDS = (1, 7)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random model."""
    return tiny_llama(tmp_path_factory.mktemp("model"), max_length=128)


@pytest.fixture(scope="module")
def facts(folder: Path) -> ModelFacts:
    """What its files say."""
    return inspect(ModelRef(uri=str(folder)))


def prompt(**told: Any) -> Prompt:
    """A text of five tokens that is to be gone on from."""
    return prompt_of(EngineRequest(0, "generate_until", "x", generation=told, seed=9), [5, 6, 7, 8, 9], eos="", max_len=1024)


def params(told: dict[str, Any], *, written: int = 0, limit: int = 16, **own: Any) -> dict[str, Any]:
    """What vLLM is told of it; `own`: the model's own settings."""
    return params_of(prompt(**told), GenerationConfig(**own), ends=ENDS, written=written, limit=limit)


def test_a_greedy_text_is_the_likeliest_tokens() -> None:
    """Whatever the model's own settings of draws are; where it ends is seen by us, and by the tokens that end texts."""
    found = params({"until": ["a"]}, do_sample=True, temperature=0.3, top_k=5)
    assert (found["temperature"], found["max_tokens"], found["min_tokens"]) == (0.0, 16, 0)
    assert (found["stop_token_ids"], found["ignore_eos"], found["repetition_penalty"]) == ([1, 7], True, 1.0)
    assert not {"top_k", "top_p", "min_p", "seed", "stop", "logit_bias"} & found.keys()


def test_a_drawn_text_is_told_as_transformers_draws_it() -> None:
    """By its seed; what the request leaves out is the model's own, else transformers' usual."""
    found = params({"do_sample": True, "top_p": 0.9}, temperature=0.7)
    assert {name: found[name] for name in ("temperature", "top_k", "top_p", "min_p", "seed")} == {
        "temperature": 0.7, "top_k": 50, "top_p": 0.9, "min_p": 0.0, "seed": 9,
    }  # fmt: skip
    assert params({"do_sample": True, "top_k": 0, "min_p": 0.2})["min_p"] == 0.2
    assert params({"do_sample": True}, written=4)["seed"] not in (9, params({"do_sample": True}, written=5)["seed"])


def test_lengths_count_what_is_there_already() -> None:
    """The least of new tokens, and of all; no more than may come."""
    assert params({"min_new_tokens": 6}, written=2)["min_tokens"] == 4
    assert params({"min_length": 12})["min_tokens"] == 7
    assert params({"min_new_tokens": 60}, limit=3)["min_tokens"] == 3


def test_tokens_that_must_not_come_have_no_chance() -> None:
    """By the request, or by the model's own settings."""
    assert params({"suppress_tokens": [3, 4]})["logit_bias"] == dict.fromkeys([3, 4], float("-inf"))
    assert params({}, suppress_tokens=[3])["logit_bias"] == {3: float("-inf")}
    assert params({}, repetition_penalty=1.2)["repetition_penalty"] == 1.2


def test_what_the_model_wants_and_vllm_has_not_is_refused() -> None:
    """What concerns draws alone is no matter of greedy texts."""
    with pytest.raises(
        OfAll, match=r"generation_config\.json sets num_beams to 4, which engine vllm does not do; give engine transformers"
    ):
        params({}, num_beams=4)
    with pytest.raises(OfAll, match=r"sets typical_p to 0\.5"):
        params({"do_sample": True}, typical_p=0.5)
    params({}, typical_p=0.5)


def test_options_are_read_or_refused() -> None:
    """In words that say what they take."""
    told = {"tensor_parallel_size": "2", "pipeline_parallel_size": "3", "gpu_memory_utilization": "0.5", "enforce_eager": "true"}
    assert asked(told | {"max_length": "64"}) == Asked(64, None, 2, 3, 0.5, True)
    assert asked(told).parts == 6
    for options, said in (
        ({"gpu_memory_utilization": "1.5"}, "above 0, at most 1"), ({"gpu_memory_utilization": "nan"}, "above 0, at most 1"),
        ({"enforce_eager": "yes"}, "true or false"), ({"tensor_parallel_size": "0"}, "from 1 to 1,024"),
    ):  # fmt: skip
        with pytest.raises(Invalid, match=said):
            asked(options)


def test_on_a_cpu_keys_and_values_take_what_was_estimated(facts: ModelFacts, folder: Path) -> None:
    """In whole blocks, of which vLLM keeps one for itself; a share of a GPU is refused."""
    found = arguments_of(facts, ModelRef(uri=str(folder)), Asked(), max_len=128, on_cpu=True)
    estimated = model_memory.kv_bytes(per_token=facts.kv_bytes_per_token, max_len=128, weights_bytes=facts.weights_bytes)
    assert 0 <= found["kv_cache_memory_bytes"] - estimated <= 2 * found["block_size"] * facts.kv_bytes_per_token
    assert (found["max_model_len"], found["enforce_eager"], found["dtype"]) == (129, True, "float32")
    assert (found["max_num_batched_tokens"], found["max_num_seqs"]) == (model_memory.TOKENS_AT_ONCE, 256)
    with pytest.raises(Invalid, match="is a GPU's"):
        arguments_of(facts, ModelRef(uri=str(folder)), Asked(share=0.5), max_len=128, on_cpu=True)


def test_on_gpus_vllm_takes_what_it_is_given(facts: ModelFacts, folder: Path) -> None:
    """The share and the parallel sizes; its own way where nothing is said."""
    model = ModelRef(uri=str(folder), trust_code=True)
    found = arguments_of(facts, model, Asked(share=0.5, tensor=2, pipeline=4, batch_tokens=64), max_len=64, on_cpu=False)
    assert (found["gpu_memory_utilization"], found["tensor_parallel_size"], found["pipeline_parallel_size"]) == (0.5, 2, 4)
    assert (found["max_num_batched_tokens"], found["max_num_seqs"], found["trust_remote_code"]) == (64, 64, True)
    usual = arguments_of(facts, model, Asked(), max_len=64, on_cpu=False)
    assert usual["enforce_eager"] is False
    assert not {"gpu_memory_utilization", "max_num_batched_tokens", "kv_cache_memory_bytes", "block_size"} & usual.keys()


def test_what_vllm_cannot_run_is_refused_at_planning(facts: ModelFacts, folder: Path, tmp_path: Path) -> None:
    """float64, models that do not go on from a text, adapters that it does not serve; of others it is told the rank."""
    model_fitness.check(facts, engine="vllm")
    with pytest.raises(Invalid, match="engine vllm does not compute with dtype float64"):
        model_fitness.check(replace(facts, dtype="float64"), engine="vllm")
    with pytest.raises(Invalid, match="and engine vllm runs models of a decoder alone"):
        model_fitness.check(replace(facts, shape=replace(facts.shape, encoder_decoder=True)), engine="vllm")
    adapter = adapter_of(folder, tmp_path, rank=20)
    whole = inspect(ModelRef(uri=str(adapter)))
    model_fitness.check(whole, engine="vllm")
    assert arguments_of(whole, ModelRef(uri=str(adapter)), Asked(), max_len=64, on_cpu=True)["max_lora_rank"] == 32
    own = json.loads((adapter / "adapter_config.json").read_text())
    for name, value in (("use_dora", True), ("peft_type", "IA3"), ("modules_to_save", ["lm_head"]), ("bias", "all")):
        (adapter / "adapter_config.json").write_text(json.dumps(own | {name: value}))
        with pytest.raises(Invalid, match=f"is an adapter with {name} .*, which vLLM does not serve; give engine transformers"):
            model_fitness.check(whole, engine="vllm")
