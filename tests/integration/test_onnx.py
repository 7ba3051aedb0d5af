"""The ONNX engine against the transformers engine on the same weights: likelihoods and texts, however a graph was exported."""

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gpu_agent.engines.engine import Engine, EngineRequest, Thinking, engine_named
from gpu_agent.engines.failures import OfAll, OfRequest, narrowed
from gpu_agent.engines.graphs.bearing import Bears
from infra import model_fitness
from infra.models import inspect
from schemas.requests import ModelRef
from streams.errors import Invalid, Permanent
from tests.engine_cases import GREEDY, PAIRS, QUESTION, alike, scored, texts
from tests.models import overflowing, tiny_llama
from tests.onnx_models import exported, onnx_of, rounded
from tests.reference import ours

# What transformers and torch warn of is not ours to mend.
pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore")]
LENGTH = 128
# Nats, or shares of the value, of one continuation: by what the weights are, and what is computed with.
TOLERANCES = {"float32": 0.0002, "float16": 0.02, "int8": 0.2, "int4": 0.0002}
# How a graph may be exported, and what it then bears of a past: several tokens, rows of them, gaps in it.
EXPORTS: dict[str, tuple[dict[str, Any], tuple[bool, bool, bool]]] = {
    "cached": ({}, (True, True, True)),
    "merged": ({"merged": True, "beside": True, "name": "decoder_model_merged.onnx"}, (True, True, True)),
    "grouped": ({"grouped": True}, (True, False, False)),
    "uncached": ({"cache": False}, (False, False, False)),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random model."""
    return tiny_llama(tmp_path_factory.mktemp("model"), max_length=LENGTH)


def loaded(name: str, model: Path, **options: str) -> Engine:
    """An engine with its model."""
    engine = engine_named(name)
    engine.load(ModelRef(uri=str(model)), options={"threads": "1"} | options, device="cpu")
    return engine


@pytest.fixture(scope="module")
def reference(folder: Path) -> Iterator[Engine]:
    """The transformers engine."""
    engine = loaded("transformers", folder)
    yield engine
    engine.close()


@pytest.fixture(scope="module", params=EXPORTS)
def exact(request: pytest.FixtureRequest, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The ONNX engine on the same weights, exported in each of these ways."""
    export, bears = EXPORTS[request.param]
    place = tmp_path_factory.mktemp("onnx")
    onnx_of(folder, place, **export)
    engine = loaded("onnx", place)
    own = engine._answering.bears  # type: ignore[attr-defined]
    assert (own.past, own.rows, own.gaps) == bears
    yield engine
    engine.close()


def test_the_bounds_are_those_of_the_page() -> None:
    """docs/engines.md has each of them in its table, and no other of this engine."""
    page = (Path(__file__).parents[2] / "docs" / "engines.md").read_text()
    rows = re.findall(r"^\| `onnx`[^|]+\| (\d+(?:\.\d+)?) \|", page, re.MULTILINE)
    assert sorted(map(float, rows)) == sorted(TOLERANCES.values())


def test_likelihoods_are_those_of_transformers(exact: Engine, reference: Engine) -> None:
    """Shared contexts, trailing spaces, no context, special tokens in the text, too long ones, and one cut itself: also what is counted."""
    for found, wanted in zip(ours(exact, scored(PAIRS)), ours(reference, scored(PAIRS)), strict=True):
        alike(found, wanted, tolerance=TOLERANCES["float32"])


def test_a_shared_beginning_changes_nothing(exact: Engine) -> None:
    """Hundreds of requests over one prefix, and over others behind it, say what each says alone."""
    prefix = "the dogs near the cat run. " * 6
    pairs = [(f"{prefix}{n % 7}", f" {n}") for n in range(300)]
    together = ours(exact, scored(pairs))
    for n in (0, 7, 150, 299):
        alone = ours(exact, scored([pairs[n]]))[0]
        alike(replace(alone, index=n), together[n], tolerance=TOLERANCES["float32"])


def test_rolling_likelihoods_are_those_of_transformers(exact: Engine, reference: Engine) -> None:
    """Texts below, at and far above the model's length, and an empty one."""
    told = ["short", QUESTION * 3, "the dogs near the cat run. " * 60, "x", ""]
    requests = [EngineRequest(index=n, request_type="loglikelihood_rolling", context=text) for n, text in enumerate(told)]
    for found, wanted in zip(ours(exact, requests), ours(reference, requests), strict=True):
        alike(found, wanted, tolerance=TOLERANCES["float32"])


def test_greedy_texts_are_those_of_transformers(exact: Engine, reference: Engine) -> None:
    """Stop texts, lengths, prompts that must be cut, and what alters which token is the likeliest; of many prompts of many lengths too."""
    for found, wanted in zip(ours(exact, texts(GREEDY)), ours(reference, texts(GREEDY)), strict=True):
        assert found == wanted
    many = texts([(f"{QUESTION} {'and ' * (n % 5)}{n}", {"until": [], "max_gen_toks": 3 + n % 4}) for n in range(45)])
    assert ours(exact, many) == ours(reference, many)


def test_thinking_is_told_apart_and_ended(exact: Engine, reference: Engine) -> None:
    """As by the transformers engine: the end is put in, and the answer follows."""
    told = texts([(QUESTION, {"until": ["\n"], "max_gen_toks": 12})], thinking=Thinking(" end.", 8))
    assert ours(exact, told) == ours(reference, told)


def test_draws_are_the_seeds_own(exact: Engine) -> None:
    """The same alone and among others; another seed, another text; the likeliest token alone where top_k is 1."""
    settings = {"until": [], "max_gen_toks": 16, "do_sample": True, "temperature": 1.0, "top_p": 0.9}
    many = [EngineRequest(n, "generate_until", QUESTION, generation=settings, seed=n) for n in range(40)]
    together = [answer.output for answer in ours(exact, many)]
    assert ours(exact, many[7:8])[0].output == together[7]
    assert len(set(together)) > 30
    narrow = texts([(QUESTION, {"until": [], "max_gen_toks": 16, "do_sample": True, "top_k": 1})])
    assert ours(exact, narrow)[0].output == ours(exact, texts([(QUESTION, {"until": [], "max_gen_toks": 16})]))[0].output


def test_a_stream_has_as_many_tokens_as_asked_for(exact: Engine) -> None:
    """One a step; and no more than the window has room for."""
    assert list(exact.stream(input_tokens=20, output_tokens=9, seed=1)) == [1] * 9
    with pytest.raises(Invalid, match="and the model's window 128"):
        list(exact.stream(input_tokens=120, output_tokens=9, seed=1))


def test_one_bad_request_is_named_and_the_model_serves_on(exact: Engine) -> None:
    """Beams, which it does not search by, and a text longer than the model."""
    before = ours(exact, texts(GREEDY[:1]))
    for wrong, said in (
        ({"num_beams": 4}, "does not take generation argument num_beams=4"),
        ({"max_gen_toks": 500}, "give a max_gen_toks"),
    ):
        with pytest.raises(OfRequest, match=said) as caught:
            list(narrowed(exact.answer, texts([*GREEDY[:2], (QUESTION, wrong)])))
        assert caught.value.index == 2
        assert ours(exact, texts(GREEDY[:1])) == before


def test_what_torch_exports_is_read(folder: Path, reference: Engine, tmp_path: Path) -> None:
    """transformers' own code as a graph, as people export it."""
    engine = loaded("onnx", exported(folder, tmp_path))
    assert engine._answering.bears == Bears(True, True, True)  # type: ignore[attr-defined]
    for found, wanted in zip(ours(engine, scored(PAIRS)), ours(reference, scored(PAIRS)), strict=True):
        alike(found, wanted, tolerance=TOLERANCES["float32"])
    assert ours(engine, texts(GREEDY)) == ours(reference, texts(GREEDY))
    engine.close()


@pytest.mark.parametrize("tokens", ["1", "40"])
def test_less_at_once_changes_nothing(folder: Path, reference: Engine, tmp_path: Path, tokens: str) -> None:
    """However few tokens go through together."""
    engine = loaded("onnx", onnx_of(folder, tmp_path), batch_tokens=tokens)
    for found, wanted in zip(ours(engine, scored(PAIRS)), ours(reference, scored(PAIRS)), strict=True):
        alike(found, wanted, tolerance=TOLERANCES["float32"])
    assert ours(engine, texts(GREEDY)) == ours(reference, texts(GREEDY))
    engine.close()


def test_float16_is_close(folder: Path, reference: Engine, tmp_path: Path) -> None:
    """Weights, keys and values of half the size; all is computed in it."""
    engine = engine_named("onnx")
    told = engine.load(ModelRef(uri=str(onnx_of(folder, tmp_path, dtype="float16"))), options={}, device="cpu")
    assert (told.used.dtype, told.used.quantisation) == ("float16", None)
    for found, wanted in zip(ours(engine, scored(PAIRS)), ours(reference, scored(PAIRS)), strict=True):
        alike(found, wanted, tolerance=TOLERANCES["float16"], greedy=False)
    engine.close()


def test_weights_of_4_bits_are_what_they_are_rounded_to(folder: Path, tmp_path: Path) -> None:
    """Beside the same model with its weights rounded so, in float32."""
    coarse = rounded(folder, tmp_path / "coarse")
    engine, its = engine_named("onnx"), loaded("transformers", coarse)
    told = engine.load(ModelRef(uri=str(onnx_of(coarse, tmp_path / "small", bits=4))), options={}, device="cpu")
    assert (told.used.dtype, told.used.quantisation) == ("float32", "int4")
    assert 0 < (told.parameters or 0) - inspect(ModelRef(uri=str(coarse))).parameters < 20_000  # scales and angles are numbers too
    for found, wanted in zip(ours(engine, scored(PAIRS)), ours(its, scored(PAIRS)), strict=True):
        alike(found, wanted, tolerance=TOLERANCES["int4"])
    assert ours(engine, texts(GREEDY)) == ours(its, texts(GREEDY))
    for one in (engine, its):
        one.close()


def test_weights_of_8_bits_are_close(folder: Path, reference: Engine, tmp_path: Path) -> None:
    """Quantised as they run: activations are rounded too, by the largest of all that goes through together."""
    engine, file = engine_named("onnx"), onnx_of(folder, tmp_path, name="onnx/model_quantized.onnx", bits=8)
    told = engine.load(ModelRef(uri=str(file)), options={}, device="auto")
    assert (told.used.dtype, told.used.quantisation) == ("float32", "int8")
    for found, wanted in zip(ours(engine, scored(PAIRS)), ours(reference, scored(PAIRS)), strict=True):
        alike(found, wanted, tolerance=TOLERANCES["int8"], greedy=False)
    own = engine._answering.bears  # type: ignore[attr-defined]
    assert (own.past, own.rows, own.gaps) == (True, True, True)
    assert all(answer.output for answer in ours(engine, texts(GREEDY[:1])))
    engine.close()


def test_a_model_is_what_its_files_say(folder: Path, tmp_path: Path) -> None:
    """As the folder that it was made from says it; the hash is over configuration, tokenizer, graph and numbers."""
    file = onnx_of(folder, tmp_path, beside=True)
    facts, its = inspect(ModelRef(uri=str(tmp_path))), inspect(ModelRef(uri=str(folder)))
    for name in ("parameters", "max_len", "dtype", "special_tokens", "tokenizer_sha", "licence"):
        assert getattr(facts, name) == getattr(its, name) or name == "parameters"
    assert facts.kv_bytes_per_token == 2 * its.kv_bytes_per_token  # a past and a present
    assert 0 < facts.parameters - its.parameters < 20_000  # angles and the like are numbers of the graph's too
    assert (facts.format, facts.weights_type, facts.shape.quantised, facts.file, facts.folder) == ("onnx", "float32", False, file, tmp_path)
    beside = file.with_name("model.onnx_data")
    assert facts.weights_bytes == file.stat().st_size + beside.stat().st_size
    assert inspect(ModelRef(uri=str(file))) == inspect(ModelRef(uri=str(file.parent))) == facts
    engine = engine_named("onnx")
    told = engine.load(ModelRef(uri=str(tmp_path)), options={"max_length": "64"}, device="auto")
    assert (told.used.name, told.used.max_len, told.used.device, told.model_sha) == ("onnx", 64, "cpu", facts.model_sha)
    engine.close()
    for changed in (tmp_path / "config.json", tmp_path / "tokenizer.json", file, beside):
        before = changed.read_bytes()
        changed.write_bytes(before.replace(b"llama", b"llamb") if changed.suffix == ".onnx" else before + b"\n")
        assert inspect(ModelRef(uri=str(tmp_path))).model_sha != facts.model_sha
        changed.write_bytes(before)


def test_what_lies_beside_it_is_asked_for_by_name(folder: Path, tmp_path: Path) -> None:
    """Several ONNX files; two formats in one folder; an export in the folder of another format's model is named by itself."""
    file = onnx_of(folder, tmp_path / "m")
    shutil.copy(file, file.with_name("model_fp16.onnx"))
    with pytest.raises(Invalid, match=r"holds 2 ONNX files; name the one that is meant: .*model\.onnx, .*model_fp16\.onnx"):
        inspect(ModelRef(uri=str(tmp_path / "m")))
    assert inspect(ModelRef(uri=str(file))).file == file
    shutil.copy(folder / "model.safetensors", tmp_path / "m" / "model.safetensors")
    assert inspect(ModelRef(uri=str(tmp_path / "m"))).format == "safetensors"
    assert inspect(ModelRef(uri=str(file))).format == "onnx"
    with pytest.raises(Invalid, match=r"m itself is safetensors; name the ONNX file that is meant: .*model\.onnx, .*model_fp16\.onnx"):
        model_fitness.check(inspect(ModelRef(uri=str(tmp_path / "m"))), engine="onnx")
    with pytest.raises(Invalid, match=r"is safetensors, and engine onnx reads ONNX; give engine .*, or a model that it reads"):
        model_fitness.check(inspect(ModelRef(uri=str(folder))), engine="onnx")
    with pytest.raises(Invalid, match="is ONNX, and engine transformers reads"):
        model_fitness.check(inspect(ModelRef(uri=str(file))), engine="transformers")
    for other in ("model.safetensors", "model-q4.gguf"):
        place = tmp_path / other.partition(".")[2]
        onnx_of(folder, place, name="model.onnx")
        (place / other).write_bytes(b"")
        with pytest.raises(Invalid, match=r"two formats; name the file .*model"):
            inspect(ModelRef(uri=str(place)))


def test_what_the_engine_cannot_do_is_refused_in_words(folder: Path, tmp_path: Path) -> None:
    """Devices, options, dtypes; models that classify or see what comes after, by their configuration and by what they do."""
    file = onnx_of(folder, tmp_path)
    for model, options, device, said in (
        (ModelRef(uri=str(file)), {}, "cuda", "without a provider for cuda"),
        (ModelRef(uri=str(file)), {"kv": "float16"}, "cpu", "no option"),
        (ModelRef(uri=str(file), dtype="float16"), {}, "cpu", "with the weights as the file has them, and not as dtype float16"),
    ):
        with pytest.raises(Invalid, match=said):
            engine_named("onnx").load(model, options=options, device=device)
    config = json.loads((tmp_path / "config.json").read_text())
    for told, said in (
        ({"model_type": "bert", "architectures": ["BertForMaskedLM"]}, "is an encoder: it sees what comes after each token"),
        ({"model_type": "t5", "is_encoder_decoder": True}, "has an encoder and a decoder, and engine onnx runs models of a decoder alone"),
    ):
        (tmp_path / "config.json").write_text(json.dumps(config | told))
        with pytest.raises(Invalid, match=said):
            engine_named("onnx").load(ModelRef(uri=str(file)), options={}, device="cpu")


def test_a_graph_that_sees_what_comes_after_is_refused(folder: Path, tmp_path: Path) -> None:
    """Whatever its configuration says of it."""
    file = onnx_of(folder, tmp_path, causal=False)
    with pytest.raises(Invalid, match=r"model\.onnx sees what comes after each token") as caught:
        engine_named("onnx").load(ModelRef(uri=str(file)), options={}, device="cpu")
    assert caught.value.code == "engine-cannot"


@pytest.mark.parametrize(
    "bears", [Bears(True, True, False), Bears(True, False, True), Bears(True, False, False), Bears(False, False, False)]
)
def test_what_a_graph_does_not_bear_is_done_otherwise(
    folder: Path, reference: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bears: Bears
) -> None:
    """With the same answers, in fewer rows or in more steps."""
    monkeypatch.setattr("gpu_agent.engines.graphs.answering.tried", lambda *_, **__: bears)
    engine = loaded("onnx", onnx_of(folder, tmp_path))
    for found, wanted in zip(ours(engine, scored(PAIRS)), ours(reference, scored(PAIRS)), strict=True):
        alike(found, wanted, tolerance=TOLERANCES["float32"])
    many = texts([*GREEDY, *((f"{QUESTION} {'and ' * (n % 3)}{n}", {"until": [], "max_gen_toks": 3 + n % 4}) for n in range(12))])
    assert ours(engine, many) == ours(reference, many)
    engine.close()


def test_a_graph_that_onnx_runtime_refuses_is_told_in_words(folder: Path, tmp_path: Path) -> None:
    """An operator that it does not know."""
    file = onnx_of(folder, tmp_path)
    file.write_bytes(file.read_bytes().replace(b"Sigmoid", b"Sigmoyd"))
    with pytest.raises(Invalid, match=r"model\.onnx cannot be run by ONNX Runtime .*Sigmoyd") as caught:
        engine_named("onnx").load(ModelRef(uri=str(file)), options={}, device="cpu")
    assert caught.value.code == "model-broken"


def test_outputs_that_are_no_numbers_are_no_answers(folder: Path, tmp_path: Path) -> None:
    """By every way to ask."""
    engine = loaded("onnx", onnx_of(overflowing(folder, tmp_path / "m"), tmp_path / "o"))
    asked = [
        scored(PAIRS[:1]),
        *(texts([(QUESTION, {"max_gen_toks": 3} | told)]) for told in ({}, {"do_sample": True}, {"min_new_tokens": 1})),
    ]
    for requests in asked:
        with pytest.raises(Permanent, match=r"outputs are not numbers .* overflows in float32; fetch its files again, or train it again"):
            list(engine.answer(requests))
    engine.close()


def test_the_models_own_way_of_generating_counts(folder: Path, tmp_path: Path) -> None:
    """Its generation_config.json, as transformers takes it; what engine onnx does not do of it is refused, but for likelihoods."""
    place = shutil.copytree(folder, tmp_path / "m")
    told = json.loads((place / "generation_config.json").read_text())
    (place / "generation_config.json").write_text(json.dumps(told | {"repetition_penalty": 1.5, "eos_token_id": [1, 300]}))
    engine, its = loaded("onnx", onnx_of(place, tmp_path / "o")), loaded("transformers", place)
    asked = texts(GREEDY[:1])
    assert ours(engine, asked) == ours(its, asked)
    (tmp_path / "o" / "generation_config.json").write_text(json.dumps(told | {"num_beams": 3}))
    engine.load(ModelRef(uri=str(tmp_path / "o")), options={}, device="cpu")
    with pytest.raises(
        OfAll, match=r"generation_config\.json sets num_beams to 3, which engine onnx does not do; give engine transformers"
    ):
        list(engine.answer(asked))
    assert ours(engine, scored(PAIRS[:1]))[0].loglikelihood is not None
    for one in (engine, its):
        one.close()
