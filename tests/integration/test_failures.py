"""What goes wrong in the engine's real process: told in words, of which request, without the process or its model being lost."""

import asyncio
import json
import os
import shutil
import signal
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest

from gpu_agent.engines.engine import EngineAnswer, EngineRequest, Loaded
from gpu_agent.engines.failures import OfRequest
from gpu_agent.runner import Engines
from infra import model_fitness
from infra.models import inspect
from schemas.requests import EngineChoice, ModelRef, Workload
from streams.errors import Invalid, Permanent, Temporary
from streams.quality.generation import ARGUMENTS, LENGTHS
from tests.models import tiny_bert, tiny_llama

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
CHOICE = EngineChoice(options={"threads": "1"})
T = TypeVar("T")
Change = Callable[[Path], object]


@dataclass(frozen=True, slots=True)
class Held:
    """An engine's process, on a loop of its own, and the model that it holds."""

    loop: asyncio.AbstractEventLoop
    engines: Engines
    model: ModelRef

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What comes of it."""
        return self.loop.run_until_complete(work)

    def load(self, model: ModelRef | None = None, *, model_sha: str | None = None) -> tuple[Loaded, bool]:
        """The model, in the process."""
        return self.run(self.engines.load(model or self.model, CHOICE, model_sha=model_sha))

    def ask(self, *requests: EngineRequest) -> list[EngineAnswer]:
        """The answers, in order."""

        async def act() -> list[EngineAnswer]:
            return [reply async for reply in self.engines.answer(requests) if isinstance(reply, EngineAnswer)]

        return sorted(self.run(act()), key=lambda answer: answer.index)


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Held]:
    """A process with a small model."""
    loop = asyncio.new_event_loop()
    engines = Engines("cpu")
    try:
        yield Held(loop, engines, ModelRef(uri=str(tiny_llama(tmp_path_factory.mktemp("model"), max_length=64))))
    finally:
        loop.run_until_complete(engines.close())
        loop.close()


def text(index: int, context: str = "a tree", **generation: Any) -> EngineRequest:
    """A request for a text."""
    return EngineRequest(index, "generate_until", context, generation={"max_gen_toks": 4} | generation)


def choice(index: int, continuation: str, context: str = "a tree") -> EngineRequest:
    """A request for a likelihood."""
    return EngineRequest(index, "loglikelihood", context, continuation=continuation)


@pytest.mark.parametrize(
    ("wrong", "code", "said"),
    [
        pytest.param(text(3, bad_words_ids=[[99_999]]), "engine-failed", "ValueError: .*vocabulary size", id="a library's error"),
        pytest.param(choice(3, "lone \ud800"), "engine-failed", "Error: ", id="no text"),
        pytest.param(text(3, beam_me_up=1), "generation", "beam_me_up", id="unknown"),
        pytest.param(text(3, do_sample=True, temperature=0.0), "generation", "temperature 0", id="temperature 0"),
        pytest.param(text(3, "a tree " * 9, max_length=5), "generation", "max_length 5 .* max_gen_toks", id="max_length"),
        pytest.param(text(3, max_gen_toks=64), "too-long", "64 tokens are to be generated", id="no room"),
    ],
)
def test_a_request_that_cannot_be_answered_is_named_and_costs_nobody_else_anything(
    held: Held, wrong: EngineRequest, code: str, said: str
) -> None:
    """It is permanent, in the words of whoever raised it; process and model are as they were, and the others' answers came."""
    held.load()
    pid = held.engines.pid
    before = held.ask(text(0), choice(1, " grows"))
    others = [EngineRequest(n, "loglikelihood", "a tree", continuation=" grows") for n in (1, 2, 4)]
    with pytest.raises(OfRequest, match=said) as caught:
        held.ask(*others, wrong)
    assert (caught.value.code, caught.value.index) == (code, 3)
    assert len(str(caught.value)) < 700
    assert (held.load()[1], held.engines.pid) == (True, pid)
    assert held.ask(text(0), choice(1, " grows")) == before


def test_a_load_over_which_the_engine_fails_ends(held: Held) -> None:
    """Its threads do not end in silence, to be waited for; a request that cannot be met is said."""
    held.load()

    async def act() -> None:
        workload = Workload(profile="single", requests=1, warmup_requests=0, input_tokens=4, output_tokens=4)
        async for _ in held.engines.measure(workload, model=ModelRef(uri="m"), seed=-(10**9), mark=""):
            pass

    with pytest.raises(Permanent, match="ValueError"):
        held.run(act())
    assert held.load()[1]


def test_only_the_death_of_the_process_is_tried_again() -> None:
    """How it died is said, and the next job has another process; replies that nobody read are not taken for the next job's."""
    model, echo = ModelRef(uri="m"), EngineChoice(name="echo")

    async def asked(engines: Engines, *requests: EngineRequest, most: int = 99) -> list[int]:
        found = list[int]()
        async for reply in engines.answer(requests):
            assert isinstance(reply, EngineAnswer)
            found.append(reply.index)
            if len(found) == most:
                break
        return found

    async def act() -> None:
        engines = Engines("cpu")
        try:
            assert (await engines.load(model, echo))[1] is False
            os.kill(engines.pid or 0, signal.SIGKILL)
            with pytest.raises(Temporary, match="killed") as caught:
                await asked(engines, text(0))
            assert caught.value.code == "engine-died"
            assert (await engines.load(model, echo))[1] is False
            assert await asked(engines, *(text(n) for n in range(9)), most=1) == [0]
            assert (await engines.load(model, echo))[1] is False
            assert await asked(engines, text(5)) == [5]
        finally:
            await engines.close()

    asyncio.run(act())


def changed(folder: Path, name: str, **fields: Any) -> None:
    """Other fields in one of the folder's JSON files; None takes a field away."""
    path = folder / name
    told = json.loads(path.read_text()) | fields
    path.write_text(json.dumps({field: value for field, value in told.items() if value is not None}))


def cut_head(folder: Path) -> None:
    """An output head for fewer tokens than the configuration says."""
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    tensors["lm_head.weight"] = tensors["lm_head.weight"][:500].clone()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def only(folder: Path, *names: str) -> None:
    """Nothing else is left, and what was not there is."""
    for path in folder.iterdir():
        if path.name not in names:
            path.unlink()
    for name in names:
        if not (folder / name).exists():
            (folder / name).write_text('{"base_model_name_or_path": "some/base"}')


def copy(held: Held, into: Path, change: Change) -> ModelRef:
    """The model's folder with something changed."""
    shutil.copytree(held.model.uri, into)
    change(into)
    return ModelRef(uri=str(into))


PLANNED: list[tuple[str, Change, str]] = [
    ("float8", lambda one: changed(one, "config.json", dtype="float8_e4m3fn"), "stores weights, and nothing is computed with it"),
    ("tokenizer", lambda one: changed(one, "config.json", vocab_size=300), "512 tokens and the model embeddings for 300"),
    ("special tokens", lambda one: changed(one, "tokenizer_config.json", bos_token=None, eos_token=None), "no bos_token and no eos_token"),
    ("adapter beside", lambda one: (one / "adapter_model.safetensors").write_bytes(b""), "full weights and an adapter"),
    ("adapter", lambda one: only(one, "adapter_config.json", "adapter_model.safetensors"), "an adapter of some/base"),
    ("gguf", lambda one: only(one, "model-q4.gguf", "config.json", "tokenizer.json"), "is no whole GGUF file"),
    ("two formats", lambda one: (one / "model-q4.gguf").write_bytes(b""), "two formats; name the file"),
    ("T5's encoder", lambda one: changed(one, "config.json", model_type="t5", architectures=["T5EncoderModel"]), "is an encoder"),
    *((one, partial(changed, name="config.json", model_type=one), "is an encoder") for one in ("big_bird", "roc_bert", "xlm", "xlnet")),
    ("classifier", lambda one: changed(one, "config.json", architectures=["LlamaForSequenceClassification"]), "give engine classifier"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "said"), [pytest.param(*one[1:], id=one[0]) for one in PLANNED])
def test_what_the_files_tell_is_refused_when_it_is_planned(held: Held, tmp_path: Path, change: Change, said: str) -> None:
    """In words that say what it is and what to do."""
    model = copy(held, tmp_path / "m", change)
    with pytest.raises(Invalid, match=said):
        model_fitness.check(inspect(model), engine="transformers")


def test_an_encoder_is_no_causal_model(tmp_path: Path) -> None:
    """It loads, and every likelihood of it would be of a text that it has seen; its own engine takes it."""
    facts = inspect(ModelRef(uri=str(tiny_bert(tmp_path))))
    with pytest.raises(Invalid, match="is an encoder"):
        model_fitness.check(facts, engine="transformers")
    model_fitness.check(facts, engine="encoder")


def test_a_file_is_no_model(held: Held, tmp_path: Path) -> None:
    """What to name instead is said."""
    with pytest.raises(Invalid, match=r"is a file; name the folder that holds it.*: " + held.model.uri):
        inspect(ModelRef(uri=f"{held.model.uri}/model.safetensors"))
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    with pytest.raises(Invalid, match="is no whole GGUF file: it ends in its beginning"):
        inspect(ModelRef(uri=str(tmp_path / "m.gguf")))


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        pytest.param(cut_head, "model-shape", r"lm_head\.weight .* \[500, 64\], and its config.json wants \[512, 64\]", id="head"),
        pytest.param(lambda one: changed(one, "config.json", model_type="lama"), "model-broken", "ValueError: .*lama", id="kind"),
        pytest.param(lambda one: (one / "tokenizer.json").write_text('{"model": {}}'), "model-broken", "Error|Exception", id="tokenizer"),
        pytest.param(lambda one: changed(one, "config.json", dtype="float8_e4m3fn"), "model-dtype", "give dtype", id="float8"),
    ],
)
def test_a_model_that_cannot_be_loaded_says_why_and_the_process_serves_on(
    held: Held, tmp_path: Path, change: Change, code: str, said: str
) -> None:
    """Once, permanently; the next model has the same process."""
    held.load()
    pid = held.engines.pid
    with pytest.raises(Permanent, match=said) as caught:
        held.load(copy(held, tmp_path / "m", change))
    assert caught.value.code == code
    assert held.engines.held is None
    held.load()
    assert held.engines.pid == pid


def test_added_tokens_without_embeddings_are_found_where_they_come_up(held: Held, tmp_path: Path) -> None:
    """Many a model has some that no text brings; one that does is named, before a device dies of it."""

    def add(folder: Path) -> None:
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(folder)
        tokenizer.add_tokens(["@@"])
        tokenizer.save_pretrained(folder)

    held.load(copy(held, tmp_path / "m", add))
    with pytest.raises(OfRequest, match="token 512 of this text, and the model has embeddings for 512") as caught:
        held.ask(text(0), text(1, "so @@ it"), choice(2, " grows"))
    assert caught.value.index == 1


def test_weights_that_were_replaced_are_not_scored_under_the_old_name(held: Held, tmp_path: Path) -> None:
    """Also where the process holds them already: a plan's model is that of its hash, or there is none."""
    model = copy(held, tmp_path / "m", lambda _: None)
    first = inspect(model).model_sha
    assert held.load(model, model_sha=first)[0].model_sha == first
    shutil.copytree(tiny_llama(tmp_path / "other", seed=1, max_length=64), tmp_path / "m", dirs_exist_ok=True)
    second = inspect(model).model_sha
    assert held.load(model, model_sha=first)[1]
    loaded, was_there = held.load(model, model_sha=second)
    assert (loaded.model_sha, was_there) == (second, False)
    with pytest.raises(Permanent, match="not the model that was submitted") as caught:
        held.load(model, model_sha=first)
    assert caught.value.code == "model-changed"
    with pytest.raises(Invalid, match="as the request says"):
        inspect(model.model_copy(update={"sha256": first}))


def test_what_is_cut_is_counted_and_a_cut_choice_has_no_likelihood(held: Held) -> None:
    """lm-eval refuses the second; both kinds of the first are counted."""
    held.load()
    long = "a b c " * 40
    cut, whole, lost, generated = held.ask(choice(0, " yes", long), choice(1, " yes"), choice(2, long), text(3, long))
    assert (cut.finish_reason, cut.truncated_tokens > 0, cut.loglikelihood is not None) == ("truncated", True, True)
    assert (whole.finish_reason, whole.truncated_tokens) == ("none", 0)
    assert (lost.finish_reason, lost.truncated_tokens > 0, lost.loglikelihood) == ("truncated", True, None)
    assert "window 64" in (lost.error or "")
    assert generated.truncated_tokens > 0


def test_every_generation_argument_is_one_of_transformers_or_lm_evals() -> None:
    """Held against transformers' own list."""
    from transformers import GenerationConfig

    assert set(ARGUMENTS) - {"until", *LENGTHS} <= set(GenerationConfig().to_dict())


def test_every_family_of_masked_models_is_one_of_encoders() -> None:
    """Held against transformers' own list, but for those whose models have a decoder too."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

    assert set(MODEL_FOR_MASKED_LM_MAPPING_NAMES) - {"bart", "mbart", "mvp"} <= model_fitness.ENCODERS


@pytest.mark.parametrize(
    "told",
    [{"model_type": "big_bird", "is_decoder": True}, {"model_type": "xlm", "causal": True}, {"model_type": "xlnet", "attn_type": "uni"}],
)
def test_an_encoder_that_is_told_to_decode_is_taken(held: Held, tmp_path: Path, told: dict[str, Any]) -> None:
    """Its configuration says so, each family's in its own way."""
    model = copy(held, tmp_path / "m", lambda one: changed(one, "config.json", architectures=None, **told))
    model_fitness.check(inspect(model), engine="transformers")


def test_a_model_with_code_of_its_own_says_what_lets_it_run(held: Held, tmp_path: Path) -> None:
    """Its field and the command line's option; nothing of the code is run."""

    def own(folder: Path) -> None:
        changed(folder, "config.json", model_type="ours", auto_map={"AutoConfig": "ours.Config", "AutoModelForCausalLM": "ours.Model"})
        (folder / "ours.py").write_text("raise SystemExit('it was run')")

    with pytest.raises(Permanent, match=r"model\.trust_code \(--trust-model-code\) in the request, and ASSAY_ALLOW_CODE") as caught:
        held.load(copy(held, tmp_path / "m", own))
    assert caught.value.code == "model-own-code"
