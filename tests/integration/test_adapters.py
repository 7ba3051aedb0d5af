"""Adapters on their base, against lm-eval's HFLM with the same adapter, and what is said of those that do not fit or change nothing."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from gpu_agent.engines.engine import EngineRequest
from gpu_agent.engines.transformers import Transformers
from infra.models import inspect
from schemas.requests import ModelRef
from streams.errors import Invalid
from tests.models import adapter_of, tiny_llama
from tests.reference import hflm, ours, theirs

# What transformers, peft and torch warn of is not ours to mend.
pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
PAIRS = [("the garden", " of a tree"), ("the garden", " of a flower"), ("one two", " three"), ("", "alone")]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random model."""
    return tiny_llama(tmp_path_factory.mktemp("base"), max_length=64)


@pytest.fixture(scope="module")
def adapter(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter that changes it."""
    return adapter_of(base, tmp_path_factory.mktemp("adapter"))


def answers(model: ModelRef) -> list[Any]:
    """Likelihoods of the pairs, and a greedy text."""
    engine = Transformers()
    engine.load(model, options={}, device="cpu")
    asked = [EngineRequest(index=n, request_type="loglikelihood", context=c, continuation=k) for n, (c, k) in enumerate(PAIRS)]
    asked.append(
        EngineRequest(index=len(PAIRS), request_type="generate_until", context="the garden", generation={"until": [], "max_gen_toks": 12})
    )
    try:
        return ours(engine, asked)
    finally:
        engine.close()


def test_an_adapter_is_a_model_of_its_own(base: Path, adapter: Path) -> None:
    """Its values are those of lm-eval's HFLM with it, and not its base's; its base is the one that its settings name."""
    found, plain = answers(ModelRef(uri=str(adapter))), answers(ModelRef(uri=str(base)))
    reference = hflm(base, peft=adapter)
    for one, without, (total, greedy) in zip(found, plain, theirs(reference, "loglikelihood", list(PAIRS)), strict=False):
        assert one.loglikelihood == pytest.approx(total, rel=1e-4)
        assert one.is_greedy == greedy
        assert abs(one.loglikelihood - without.loglikelihood) > 0.01
    (text,) = theirs(reference, "generate_until", [("the garden", {"until": [], "max_gen_toks": 12})])
    assert found[-1].output == text


def test_an_adapter_is_known_by_its_files_and_its_bases(base: Path, adapter: Path, tmp_path: Path) -> None:
    """Another base or another adapter is another model; where its base lies elsewhere, that can be said."""
    facts = inspect(ModelRef(uri=str(adapter)))
    assert (facts.folder, facts.adapter, facts.base) == (base, adapter, str(base))
    assert facts.parameters == inspect(ModelRef(uri=str(base))).parameters
    other = tiny_llama(tmp_path / "other", seed=1, max_length=64)
    moved = inspect(ModelRef(uri=str(adapter), base=str(other)))
    assert (moved.folder, moved.tokenizer_sha) == (other, facts.tokenizer_sha)
    second = inspect(ModelRef(uri=str(adapter_of(base, tmp_path / "second", rank=2))))
    assert len({facts.model_sha, moved.model_sha, second.model_sha, inspect(ModelRef(uri=str(base))).model_sha}) == 4
    assert inspect(ModelRef(uri=str(adapter), sha256=facts.model_sha)) == facts
    with pytest.raises(Invalid, match="as the request says"):
        inspect(ModelRef(uri=str(adapter), sha256="0" * 64))


def test_an_adapter_that_changes_nothing_or_does_not_fit_is_refused(base: Path, adapter: Path, tmp_path: Path) -> None:
    """In the words of what is wrong, before it answers anything in its base's stead."""
    with pytest.raises(Invalid, match="changes nothing"):
        answers(ModelRef(uri=str(adapter_of(base, tmp_path / "fresh", trained=False))))
    wide = _wide(tmp_path / "wide")
    with pytest.raises(Invalid, match="cannot be put on"):
        answers(ModelRef(uri=str(adapter), base=str(wide)))
    with pytest.raises(Invalid, match=r"which --base can name otherwise: no model at .*/gone"):
        inspect(ModelRef(uri=str(adapter), base=str(tmp_path / "gone")))
    for under in (adapter_of(base, tmp_path / "another"), adapter):
        with pytest.raises(Invalid, match="or an adapter itself"):
            inspect(ModelRef(uri=str(adapter), base=str(under)))
    with pytest.raises(Invalid, match="is a whole model"):
        inspect(ModelRef(uri=str(base), base=str(base)))
    empty = Path(shutil.copytree(adapter, tmp_path / "empty"))
    (empty / "adapter_model.safetensors").rename(empty / "adapter_model.bin")
    with pytest.raises(Invalid, match="which is read by running it"):
        inspect(ModelRef(uri=str(empty)))


def _wide(folder: Path) -> Path:
    from transformers import LlamaConfig

    from tests.models import save

    config = LlamaConfig(vocab_size=512, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
                         num_key_value_heads=2, max_position_embeddings=64, bos_token_id=0, eos_token_id=1, pad_token_id=2)  # fmt: skip
    return save(config, folder)
