"""The transformers engine against lm-eval's HFLM, and what it says of models that cannot be run."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpu_agent.engines.engine import EngineRequest
from gpu_agent.engines.loading import check_memory
from gpu_agent.engines.transformers import Transformers
from gpu_agent.meters.clock import clock
from gpu_agent.meters.meters import find_meters, read_all
from gpu_agent.workloads.drive import checked, drive
from gpu_agent.workloads.schedule import Planned
from gpu_agent.workloads.timed import Timed
from infra.models import inspect
from infra.preparing import estimate_of
from schemas.requests import EngineChoice, ModelRef, Workload
from streams.errors import AssayError, Invalid, Permanent, Temporary
from tests.flow import PATIENCE_S
from tests.models import save, tiny_llama
from tests.reference import hflm, ours, theirs

# What transformers and torch warn of is not ours to mend.
pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore")]
LENGTH = 128
QUESTION = "Question: What is it that grows in the garden, and why? Answer:"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random model with room for 128 tokens."""
    return tiny_llama(tmp_path_factory.mktemp("model"), max_length=LENGTH)


@pytest.fixture(scope="module")
def engine(folder: Path) -> Iterator[Transformers]:
    """Ours."""
    ours = Transformers()
    ours.load(ModelRef(uri=str(folder)), options={}, device="cpu")
    yield ours
    ours.close()


@pytest.fixture(scope="module")
def reference(folder: Path) -> Any:
    """lm-eval's."""
    return hflm(folder)


LOADING = """
import sys
from gpu_agent.engines.transformers import Transformers
from schemas.requests import ModelRef
print(Transformers().load(ModelRef(uri=sys.argv[1]), options={}, device="cpu").peak_bytes)
"""


def test_a_fresh_engine_takes_about_what_was_estimated(folder: Path) -> None:
    """Of a model of next to no size that is the runtime alone."""
    told = subprocess.run(
        [sys.executable, "-c", LOADING, str(folder)], capture_output=True, text=True, check=True, timeout=PATIENCE_S
    ).stdout
    guess = estimate_of(inspect(ModelRef(uri=str(folder))), engine=EngineChoice())
    estimated = guess.weights_bytes + guess.kv_bytes + guess.activation_bytes + guess.overhead_bytes
    assert estimated / 2 < int(told) <= estimated


PAIRS = [
    (QUESTION, " a tree"), (QUESTION, " a flower"), (QUESTION, " 12 apples, or more of them than that"), (QUESTION + "  ", "b"),
    ("", " alone"), ("", "x"), ("ünïcödé — ok", " schön 🌱"), ("one", "\n\n"), ("<s>sum: 1+2=", "3"), ("a b c " * 100, " cut on the left"),
    ("a b c " * 100, "cut"), ("q", "w " * 40),
]  # fmt: skip


def test_likelihoods_are_lm_evals(engine: Transformers, reference: Any) -> None:
    """Shared contexts, trailing spaces, no context, special tokens in the text, too long ones; greedy exactly, values within 1e-4."""
    expected = theirs(reference, "loglikelihood", list(PAIRS))
    requests = [EngineRequest(index=n, request_type="loglikelihood", context=c, continuation=k) for n, (c, k) in enumerate(PAIRS)]
    found = ours(engine, requests)
    for n, (total, greedy) in enumerate(expected):
        assert found[n].loglikelihood == pytest.approx(total, rel=1e-4)
        assert found[n].is_greedy == greedy
        assert np.frombuffer(found[n].token_logprobs or b"", "<f4").sum() == pytest.approx(total, rel=1e-4)
    assert found[9].truncated_tokens > 0


def test_rolling_likelihoods_are_lm_evals(engine: Transformers, reference: Any) -> None:
    """Texts below, at and far above the model's length."""
    texts = ["short", QUESTION * 3, "the dogs near the cat run. " * 60, "x"]
    expected = theirs(reference, "loglikelihood_rolling", [(text,) for text in texts])
    requests = [EngineRequest(index=n, request_type="loglikelihood_rolling", context=text) for n, text in enumerate(texts)]
    found = [answer.loglikelihood for answer in ours(engine, requests)]
    assert found == pytest.approx(expected, rel=1e-4)


def test_generated_texts_are_lm_evals(engine: Transformers, reference: Any) -> None:
    """Stop texts, lengths, a prompt that must be cut; a stop text of no letters ends a text at once."""
    told = [
        (QUESTION, {"until": ["\n"], "max_gen_toks": 24, "do_sample": False}),
        (QUESTION, {"until": ["e"], "max_gen_toks": 24}),
        ("copy: abc=", {"until": ["\n\n", "the"], "max_new_tokens": 16, "temperature": 0.0}),
        ("a b c " * 100, {"until": ["zzz"], "max_gen_toks": 32}),
        (QUESTION, {"until": [""], "max_gen_toks": 24}),
        (QUESTION, {"until": "", "max_gen_toks": 24}),
    ]
    expected = theirs(reference, "generate_until", [(text, dict(settings)) for text, settings in told])
    requests = [EngineRequest(index=n, request_type="generate_until", context=c, generation=g) for n, (c, g) in enumerate(told)]
    found = ours(engine, requests)
    assert [found[n].output for n in range(len(told))] == expected
    assert found[3].truncated_tokens > 0


def test_texts_that_fit_are_all_begun_before_any_goes_on(engine: Transformers) -> None:
    """What is behind the beginning that they share goes through the model at once, and then all of them go on together."""
    told = {"until": ["zzz"], "max_gen_toks": 4}
    shared = QUESTION.replace("garden", "gardens")
    requests = [EngineRequest(index=n, request_type="generate_until", context=f"{shared} {n}", generation=told) for n in range(40)]
    passes = list[int]()
    hook = engine.network.register_forward_hook(lambda *_, **__: passes.append(1))
    try:
        found = ours(engine, requests)
    finally:
        hook.remove()
    assert sum(one.output_tokens == 4 for one in found) > 30
    assert len(passes) == 1 + 3


@pytest.mark.parametrize("more", [{}, {"num_beams": 2}])
def test_answers_say_when_they_were_computed(engine: Transformers, more: dict[str, Any]) -> None:
    """A text when its prompt went in and when its first token came; a likelihood has no first token; all of it lies within the call."""
    told = {"until": ["zzz"], "max_gen_toks": 8, **more}
    requests = [EngineRequest(index=0, request_type="generate_until", context=QUESTION, generation=told)]
    requests.append(EngineRequest(index=1, request_type="loglikelihood", context=QUESTION, continuation=" a tree"))
    before_ns = time.perf_counter_ns()
    found = ours(engine, requests)
    after_ns = time.perf_counter_ns()
    assert before_ns < (found[0].began_ns or 0) < (found[0].first_ns or 0) < after_ns
    assert before_ns < (found[1].began_ns or 0) < after_ns and found[1].first_ns is None


def test_texts_searched_by_beams_are_lm_evals(engine: Transformers, reference: Any) -> None:
    """The first beam's stop text ends them all, as lm-eval has it."""
    searches = ((["e"], 4), (["</s>"], 10), (["a", "\n"], 3))
    told: list[tuple[str, dict[str, Any]]] = [
        (text, {"until": until, "max_gen_toks": 24, "num_beams": beams})
        for text in (QUESTION, "copy: abc=", "the dogs near the cat run.") for until, beams in searches
    ]  # fmt: skip
    expected = theirs(reference, "generate_until", [(text, dict(settings)) for text, settings in told])
    requests = [EngineRequest(index=n, request_type="generate_until", context=c, generation=g) for n, (c, g) in enumerate(told)]
    found = ours(engine, requests)
    assert [found[n].output for n in range(len(told))] == expected


def test_whole_numbers_are_taken_as_the_fractions_that_they_are(engine: Transformers) -> None:
    """transformers takes a 2.0 for a penalty, and no 2."""
    whole: list[dict[str, Any]] = [
        {"repetition_penalty": 2},
        {"sequence_bias": [[[5], 3]]},
        {"do_sample": True, "temperature": 2, "num_beams": 2, "top_h": 1},
    ]
    parts: list[dict[str, Any]] = [
        {"repetition_penalty": 2.0},
        {"sequence_bias": [[[5], 3.0]]},
        {"do_sample": True, "temperature": 2.0, "num_beams": 2, "top_h": 1.0},
    ]
    texts = [
        [EngineRequest(index=n, request_type="generate_until", context=QUESTION, generation=one | {"max_gen_toks": 6})
         for n, one in enumerate(told)] for told in (whole, parts)
    ]  # fmt: skip
    first, second = (ours(engine, requests) for requests in texts)
    assert [first[n].output for n in range(3)] == [second[n].output for n in range(3)]


@pytest.mark.parametrize("told", [{}, {"num_beams": 2}], ids=str)
def test_an_empty_prompt_is_begun_as_an_empty_context_is(engine: Transformers, told: dict[str, Any]) -> None:
    """By the token that begins a text, where the tokenizer adds none: so other engines have it, and HFLM breaks over it."""
    requests = [
        EngineRequest(index=n, request_type="generate_until", context=text, generation={"max_gen_toks": 6} | told)
        for n, text in enumerate(("", "<s>", QUESTION))
    ]
    found = ours(engine, requests)
    assert (found[0].output, found[0].prompt_tokens) == (found[1].output, 1)
    assert found[0].output != found[2].output


def test_a_context_of_nothing_but_spaces_is_an_empty_one(engine: Transformers, reference: Any) -> None:
    """Its spaces belong to the answer, as those at the end of any context do. HFLM, whose context then has no token, ends by an assertion.

    So is a whole text without a token 0, and a text that is only spaces one like others, as HFLM has it.
    """
    spaced = [(" ", "alone"), ("  ", "x"), ("\n", "a tree")]
    pairs = spaced + [("", space + answer) for space, answer in spaced]
    scored = [EngineRequest(index=n, request_type="loglikelihood", context=c, continuation=k) for n, (c, k) in enumerate(pairs)]
    found = ours(engine, scored)
    assert [answer.error for answer in found] == [None] * 6
    assert [(one.loglikelihood, one.prompt_tokens) for one in found[:3]] == [(one.loglikelihood, one.prompt_tokens) for one in found[3:]]
    expected = theirs(reference, "loglikelihood", pairs[3:])
    assert [one.loglikelihood for one in found[3:]] == pytest.approx([value for value, _ in expected], rel=1e-4)
    with pytest.raises(AssertionError):
        theirs(reference, "loglikelihood", [(" ", "alone")])
    texts = ["", "  ", "\n"]
    rolled = ours(engine, [EngineRequest(index=n, request_type="loglikelihood_rolling", context=text) for n, text in enumerate(texts)])
    values = theirs(reference, "loglikelihood_rolling", [(text,) for text in texts])
    assert [one.loglikelihood for one in rolled] == pytest.approx(values, rel=1e-4)
    assert rolled[0].loglikelihood == 0


def test_sampling_is_repeatable_and_draws_differ(engine: Transformers) -> None:
    """The same seed gives the same text; another one another."""
    settings = {"until": [], "max_gen_toks": 20, "do_sample": True, "temperature": 1.0}
    draws = [EngineRequest(index=0, request_type="generate_until", context=QUESTION, generation=settings, seed=n) for n in (0, 0, 1)]
    first, again, other = (ours(engine, [request])[0].output for request in draws)
    assert first == again
    assert first != other


def test_a_stream_has_as_many_tokens_as_asked_for(engine: Transformers) -> None:
    """One a step."""
    assert list(engine.stream(input_tokens=20, output_tokens=9, seed=1)) == [1] * 9


def broken(folder: Path, into: Path, *, without: str = "") -> Path:
    """A copy of the model, without a file."""
    shutil.copytree(folder, into)
    for path in into.glob(without or "nothing"):
        path.unlink()
    return into


@pytest.mark.parametrize(
    ("without", "code"), [("config.json", "model-no-config"), ("tokenizer*", "model-no-tokenizer"), ("*.safetensors", "model-no-weights")]
)
def test_a_folder_that_lacks_something_says_what(folder: Path, tmp_path: Path, without: str, code: str) -> None:
    """And the code names it."""
    with pytest.raises(Invalid) as caught:
        inspect(ModelRef(uri=str(broken(folder, tmp_path / "m", without=without))))
    assert caught.value.code == code


def test_a_folder_says_by_its_card_when_its_model_was_published(folder: Path, tmp_path: Path) -> None:
    """Which is no part of what the model is."""
    copy = broken(folder, tmp_path / "m")
    before = inspect(ModelRef(uri=str(copy)))
    (copy / "README.md").write_text("---\nlicense: mit\n---\n**Model Release Date:** July 23, 2024\n")
    after = inspect(ModelRef(uri=str(copy)))
    assert (before.published, after.published, after.licence) == (None, "2024-07-23", "mit")
    assert after.model_sha == before.model_sha


def test_truncated_weights_are_found_without_loading_them(folder: Path, tmp_path: Path) -> None:
    """By the header's own sizes."""
    copy = broken(folder, tmp_path / "m")
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(Invalid, match="bytes; fetch the model again") as caught:
        inspect(ModelRef(uri=str(copy)))
    assert caught.value.code == "model-truncated"


def test_nan_weights_are_named(folder: Path, tmp_path: Path) -> None:
    """The first tensor that holds one."""
    import torch
    from safetensors.torch import load_file, save_file

    copy = broken(folder, tmp_path / "m")
    tensors = load_file(copy / "model.safetensors")
    tensors["model.layers.1.mlp.up_proj.weight"][3, 4] = torch.nan
    save_file(tensors, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(Invalid, match=r"layers\.1\.mlp\.up_proj\.weight") as caught:
        Transformers().load(ModelRef(uri=str(copy)), options={}, device="cpu")
    assert caught.value.code == "model-nan-weights"


@pytest.mark.parametrize("told", [None, {}, {"do_sample": True, "temperature": 1.0}, {"num_beams": 2}], ids=str)
def test_outputs_that_are_no_numbers_are_no_answers(folder: Path, told: dict[str, Any] | None) -> None:
    """Of a model that overflows in float16, by every way to ask it; in float32 it answers."""
    given: dict[str, Any] = {"request_type": "loglikelihood", "continuation": " tree"}
    if told is not None:
        given = {"request_type": "generate_until", "generation": told | {"until": ["\n"], "max_gen_toks": 3}}
    request, says = (
        EngineRequest(index=0, context=QUESTION, **given),
        r"outputs are not numbers .* overflows in float16; ask for dtype float32",
    )
    for dtype in ("float16", "float32"):
        engine = Transformers()
        engine.load(ModelRef(uri=str(folder), dtype=dtype), options={}, device="cpu")
        assert engine.sees_trees
        engine.network.model.norm.weight.data.fill_(6e4)
        with pytest.raises(Permanent, match=says) if dtype == "float16" else nullcontext():
            assert len(list(engine.answer([request]))) == 1
        engine.close()


def test_a_model_too_large_for_the_machine_is_not_loaded(folder: Path, tmp_path: Path) -> None:
    """Its header says so: a file with a hole stands for its weights."""
    copy = broken(folder, tmp_path / "m", without="*.safetensors")
    size = 2**42
    header = json.dumps({"w": {"dtype": "F32", "shape": [size // 4], "data_offsets": [0, size]}}).encode()
    with (copy / "model.safetensors").open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + size)
    import torch

    facts = inspect_without_reading(copy)
    with pytest.raises(Invalid, match=r"needs 4096\.2 GiB") as caught:
        check_memory(facts, torch.device("cpu"))
    assert caught.value.code == "model-too-large"


def inspect_without_reading(folder: Path) -> Any:
    """The facts, without hashing four terabytes of nothing."""
    from infra import models

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "sha_of", lambda _files: "")
        return inspect(ModelRef(uri=str(folder)))


@pytest.mark.parametrize(
    ("family", "says"),
    [("BigBird", "is an encoder"), ("BertGeneration", "sees what comes after each token"), ("Data2VecText", "is an encoder")],
)
def test_a_model_that_sees_what_comes_after_each_token_is_refused(tmp_path: Path, family: str, says: str) -> None:
    """A model of a family that no list knows shows it itself. As decoders the same families are taken."""
    import transformers

    shape = {
        "vocab_size": 512, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2,
        "max_position_embeddings": 64, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2, "type_vocab_size": 1,
    }  # fmt: skip
    for decoder in (False, True):
        config = getattr(transformers, f"{family}Config")(**shape, is_decoder=decoder)
        folder, engine = save(config, tmp_path / str(decoder)), Transformers()
        with nullcontext() if decoder else pytest.raises(Invalid, match=says):
            engine.load(ModelRef(uri=str(folder)), options={}, device="cpu")
            engine.close()


def test_an_answer_of_no_token_is_refused(engine: Transformers) -> None:
    """Nothing has no likelihood, and would be the likeliest of all."""
    with pytest.raises(Invalid, match="has no token"):
        list(engine.answer([EngineRequest(0, "loglikelihood", QUESTION, ""), EngineRequest(1, "loglikelihood", QUESTION, " a")]))


def test_a_load_that_the_window_would_cut_is_refused(engine: Transformers) -> None:
    """What was cut would be measured for the whole."""
    with pytest.raises(Invalid, match="have 120 \\+ 9 tokens, and the model's window 128"):
        list(engine.stream(input_tokens=120, output_tokens=9, seed=1))


def test_weights_that_would_be_left_over_are_refused(folder: Path, tmp_path: Path) -> None:
    """Layers that the configuration does not name, and files beside those that are loaded; the same weights in another form are neither."""
    layers, beside = tmp_path / "layers", tmp_path / "beside"
    for copy in (layers, beside):
        shutil.copytree(folder, copy)
    config = json.loads((layers / "config.json").read_text())
    (layers / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 1}))
    with pytest.raises(Invalid, match=r"makes no use of, 9 in all, the first model\.layers\.1\."):
        Transformers().load(ModelRef(uri=str(layers)), options={}, device="cpu")
    before = inspect(ModelRef(uri=str(beside)))
    shutil.copy(folder / "model.safetensors", beside / "consolidated.00.safetensors")
    assert inspect(ModelRef(uri=str(beside))) == before
    shutil.copy(folder / "model.safetensors", beside / "pytorch_lora_weights.safetensors")
    with pytest.raises(Invalid, match=r"holds pytorch_lora_weights\.safetensors beside the weights that are loaded"):
        Transformers().load(ModelRef(uri=str(beside)), options={}, device="cpu")
    (beside / "generation_config.json").write_text('{"eos_token_id": 5}')
    assert inspect(ModelRef(uri=str(beside))).model_sha != before.model_sha


def test_an_unknown_option_is_refused(folder: Path) -> None:
    """With those that there are."""
    with pytest.raises(Invalid, match="max_length"):
        Transformers().load(ModelRef(uri=str(folder)), options={"speed": "ludicrous"}, device="cpu")


def test_facts_of_a_model(folder: Path) -> None:
    """Counted from the files, and equal to what is loaded."""
    facts = inspect(ModelRef(uri=str(folder)))
    loaded = Transformers().load(ModelRef(uri=str(folder)), options={}, device="cpu")
    assert (facts.parameters, facts.weights_bytes) == (loaded.parameters, loaded.weights_bytes)
    assert (facts.max_len, facts.special_tokens["bos_token"], facts.kv_bytes_per_token) == (LENGTH, "<s>", 2 * 2 * 2 * 16 * 4)


def paced(planned: Planned, *, first_s: float = 0.02) -> Iterator[int]:
    """A stand-in for an engine whose speed is known."""
    time.sleep(first_s)
    for _ in range(planned.output_tokens):
        yield 1


def run(**told: Any) -> list[Timed]:
    """The steady requests of a workload."""
    workload = Workload.model_validate({"output_tokens": 3, "warmup_requests": 1} | told)
    return [timed for timed in drive(workload, partial(paced), seed=1) if timed.planned.phase == "steady"]


def test_an_open_load_keeps_its_schedule_and_measures_the_queue() -> None:
    """At twice the rate that one at a time can bear, sends keep to the schedule and the wait grows."""
    timed = run(profile="constant", rate_per_s=100.0, requests=20)
    assert len(timed) == 20
    assert [one.scheduled_ns - timed[0].scheduled_ns for one in timed] == [n * 10_000_000 for n in range(20)]
    assert all(one.sent_ns >= one.scheduled_ns for one in timed)
    # However the machine stumbles, most are sent before the one before them is answered, and each waits for all that are before it.
    assert sum(later.sent_ns < one.ended_ns for one, later in pairwise(timed)) > 10
    assert all(later.sent_ns + (later.queued_ns or 0) >= one.ended_ns for one, later in pairwise(timed))
    assert max(one.in_flight for one in timed) > 5 and max(one.queued_ns or 0 for one in timed) > 60_000_000
    assert all(len(one.arrivals) == 3 and one.ended_ns >= one.arrivals[-1][0] > one.sent_ns for one in timed)


def test_a_closed_load_holds_its_concurrency() -> None:
    """Never more in flight than asked for."""
    timed = run(profile="concurrent", concurrency=4, requests=24)
    assert len(timed) == 24
    assert max(one.in_flight for one in timed) <= 4


def test_a_load_by_time_ends() -> None:
    """After its duration no request is sent."""
    timed = run(profile="single", duration_s=0.3)
    assert 2 <= len(timed) <= 20  # each takes 20 ms at least


def _refused() -> Iterator[int]:
    raise Temporary("refused", code="connection")


def test_a_load_that_never_succeeds_fails_instead_of_running_on() -> None:
    """With the last reason."""

    def fails(_planned: Planned) -> Iterator[int]:
        yield from _refused()

    with pytest.raises(AssayError, match="refused"):
        list(checked(drive(Workload(profile="constant", rate_per_s=200.0, requests=500), fails, seed=1)))


def test_meters_read_what_is_here_and_name_what_is_not() -> None:
    """This process's memory is known; a missing meter has its reason."""
    import os

    meters, missing = find_meters(os.getpid)
    readings = {reading["sensor"]: reading for reading in read_all(meters)}
    assert readings["psutil-process"]["memory_bytes"] > 10 * 2**20
    assert len(missing) + sum("energy_uj" in reading for reading in readings.values()) >= 1
    assert min(clock().uncertainty_us for _ in range(9)) < 100_000
