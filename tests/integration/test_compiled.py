"""The transformers engine compiled by torch beside the same uncompiled; what cannot be compiled is refused."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gpu_agent.engines.engine import Engine, engine_named
from schemas.requests import ModelRef
from streams.errors import Invalid
from tests.engine_cases import GREEDY, PAIRS, all_alike, scored, texts
from tests.models import tiny_llama, tiny_t5
from tests.reference import ours

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
# Nats, or the same share of the value: the order of sums.
TOLERANCE = 0.0002


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random model."""
    return tiny_llama(tmp_path_factory.mktemp("model"), max_length=128)


def loaded(folder: Path, **options: str) -> Engine:
    """The engine with that model; what was loaded says whether it is compiled."""
    engine = engine_named("transformers")
    told = engine.load(ModelRef(uri=str(folder)), options={"threads": "1"} | options, device="cpu")
    assert told.used.compile == (options.get("compile") == "true")
    return engine


@pytest.fixture(scope="module")
def plain(folder: Path) -> Iterator[Engine]:
    """Uncompiled, as it is unless it is asked for."""
    engine = loaded(folder, compile="false")
    yield engine
    engine.close()


def test_a_compiled_model_says_the_same(folder: Path, plain: Engine) -> None:
    """Likelihoods over packed trees, greedy texts in slots, and streams; and programs were made for them."""
    from torch._dynamo.utils import counters

    engine = loaded(folder, compile="true")
    at_first = counters["stats"]["unique_graphs"]
    assert at_first > 0
    all_alike(ours(engine, scored(PAIRS)), ours(plain, scored(PAIRS)), tolerance=TOLERANCE)
    assert ours(engine, texts(GREEDY)) == ours(plain, texts(GREEDY))
    assert list(engine.stream(input_tokens=20, output_tokens=9, seed=1)) == [1] * 9
    assert counters["stats"]["unique_graphs"] > at_first
    engine.close()


def test_what_cannot_be_compiled_is_refused(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Models of two parts; a machine on which torch finds no compiler."""
    with pytest.raises(Invalid, match="an encoder and a decoder are not compiled here; leave it out"):
        loaded(tiny_t5(tmp_path), compile="true")
    import torch
    import torch._inductor.config as inductor

    monkeypatch.setattr(inductor.cpp, "cxx", (None, "no-such-compiler"))
    monkeypatch.setattr(inductor, "force_disable_caches", True)
    torch.compiler.reset()
    with pytest.raises(Invalid, match=r"torch .* cannot compile the model here, leave it out: ") as refused:
        loaded(folder, compile="true")
    assert refused.value.code == "engine-cannot"
