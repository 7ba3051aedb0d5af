"""What a request says of its model is done, held to the model's files, or refused: never passed over in silence."""

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from infra.models import inspect
from infra.preparing import estimate_of, facts_of, placed, put, remarks_of
from schemas.requests import Adapter, Chat, EngineChoice, EvaluationRequested, Generation, ModelRef, Objective, TaskChoice, Workload
from streams.errors import Invalid
from streams.placing.ways import Machine
from streams.planning import check, need_of
from tests.models import causal
from tests.pool import STAMP
from tests.runs import run_named

# Field → a value that cannot be met, and the code of its refusal; None: it acts, which other tests hold.
FIELDS: dict[str, tuple[Any, str] | None] = {
    "uri": ("/no/such/folder", "model-not-found"),
    "revision": ("main", "model-revision"),
    "sha256": ("0" * 64, "model-changed"),
    "format": ("gguf", "model-format"),
    "base": ("org/base", "model-adapter"),
    "adapter": (Adapter(uri="/an/adapter", method="lora"), "model-adapter"),
    "dtype": ("float8_e4m3fn", "model-dtype"),
    "quantisation": ("int8", "model-quantisation"),
    "trust_code": None,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A causal model's files, of the smallest size."""
    return causal(tmp_path_factory.mktemp("model"))


def asked(model: ModelRef, *, engine: str = "transformers", url: str | None = None) -> EvaluationRequested:
    """A request for it; a load on a server where there is an address."""
    tasks, workload = ((), Workload(url=url, requests=1)) if url else ((TaskChoice(name="assay_copy"),), None)
    return EvaluationRequested(
        occurred_us=1, producer=STAMP, run_id=run_named("told"), model=model, engine=EngineChoice(name=engine), tasks=tasks,
        workload=workload,
    )  # fmt: skip


def refused(request: EvaluationRequested) -> Invalid:
    """Why it is refused."""
    with pytest.raises(Invalid) as caught:
        check(request)
        facts_of(request)
    return caught.value


def test_every_field_is_held_to_one_of_the_two() -> None:
    """Else the next that is added would be passed over."""
    assert FIELDS.keys() == ModelRef.model_fields.keys()


@pytest.mark.parametrize("name", [name for name, told in FIELDS.items() if told])
def test_what_a_models_files_deny_is_refused(folder: Path, name: str) -> None:
    """With a word on what to do."""
    value, code = FIELDS[name] or ("", "")
    error = refused(asked(ModelRef.model_validate({"uri": str(folder), name: value})))
    assert error.code == code
    assert name in ("uri", "adapter") or str(value) in str(error)


@pytest.mark.parametrize("name", ["revision", "sha256", "format", "dtype", "quantisation"])
@pytest.mark.parametrize(("engine", "url"), [("echo", None), ("transformers", "http://127.0.0.1:9/v1")])
def test_what_nobody_can_see_is_refused(name: str, engine: str, url: str | None) -> None:
    """Of a fake, and of what answers at an address, no file is read."""
    error = refused(asked(ModelRef.model_validate({"uri": "served", name: "float32"}), engine=engine, url=url))
    assert error.code == "model-unseen"
    assert f"{name} of served" in str(error)


@pytest.mark.parametrize(
    ("name", "value"), [("slo", Objective(ttft_ns=1)), ("stop_rule", "early"), ("credential_ref", "mine"), ("purpose", "train")]
)
def test_what_nothing_acts_on_is_refused(name: str, value: Any) -> None:
    """A run would be shown as what it is not."""
    error = refused(asked(ModelRef(uri="echo"), engine="echo").model_copy(update={name: value}))
    assert (error.code, str(error).startswith(f"{name} would change nothing: ")) == ("not-honoured", True)


def test_what_is_so_is_taken(folder: Path) -> None:
    """The hash that its files have, their format, and a dtype to compute in."""
    model = ModelRef(uri=str(folder), sha256=inspect(ModelRef(uri=str(folder))).model_sha, format="safetensors", dtype="bfloat16")
    check(asked(model))
    facts = facts_of(asked(model))
    assert facts is not None
    assert (facts.format, facts.dtype) == ("safetensors", "bfloat16")


def test_a_window_that_is_told_smaller_counts_for_loads_and_memory(folder: Path) -> None:
    """The engine keeps to it."""
    load = asked(ModelRef(uri=str(folder))).model_copy(update={"workload": Workload(requests=1, input_tokens=10, output_tokens=6)})
    facts = facts_of(load)
    narrow = EngineChoice(name="transformers", options={"max_length": "8"})
    whole, less = (estimate_of(facts, engine=engine).kv_bytes for engine in (load.engine, narrow))
    assert (whole, less) == (2 * less, less)
    with pytest.raises(Invalid, match=r"10 \+ 6 tokens, and the model's window 8; give fewer"):
        facts_of(load.model_copy(update={"engine": narrow}))


def test_a_model_goes_where_there_is_room_and_is_refused_with_figures_where_there_is_none(folder: Path) -> None:
    """What was chosen is in the request from then on, and in the need of its jobs."""
    request, facts = asked(ModelRef(uri=str(folder))), facts_of(asked(ModelRef(uri=str(folder))))
    able = frozenset({"engine:transformers", "device:cpu"})
    found = placed(request, facts, [Machine("a", able, (), 2**34), Machine("b", able, (), 2**20)])
    assert found is not None and (found.agents, found.device, found.dtype) == (("a",), "cpu", "float32")
    assert put(request, facts, found) == request  # nothing was left open that had to be said
    need = need_of(request, estimate_of(facts, engine=request.engine, placement=found), found)
    assert need.memory_bytes == found.needed_bytes and frozenset(need.capabilities) == able
    needs = re.escape(f"does not fit b: needs {found.needed_bytes / 2**30:.1f} GiB, has 0.0. Take a smaller")
    with pytest.raises(Invalid, match=f"the model fits no agent: {needs}"):
        placed(request, facts, [Machine("b", able, (), 2**20)])
    assert placed(request, facts, []) is None


@pytest.mark.parametrize(("method", "engine", "says"), [
    ("fp8", "transformers", "are quantised by fp8, which engine transformers does not read; give engine vllm"),
    ("mlx", "vllm", "are quantised by mlx, which engine vllm does not read; give engine mlx"),
    ("rot13", "transformers", "does not read; name weights that are not quantised"),
])  # fmt: skip
def test_quantised_weights_that_an_engine_does_not_read_are_refused(
    folder: Path, tmp_path: Path, method: str, engine: str, says: str
) -> None:
    """When they are planned, with who does; their memory is what their files take."""
    own = Path(shutil.copytree(folder, tmp_path / "m"))
    told = json.loads((own / "config.json").read_text())
    said = {"quantization": {"bits": 4, "group_size": 32}} if method == "mlx" else {"quantization_config": {"quant_method": method}}
    (own / "config.json").write_text(json.dumps(told | said))
    facts = inspect(ModelRef(uri=str(own)))
    assert (facts.weights_type, facts.shape.quantised) == (method, True)
    with pytest.raises(Invalid, match=says):
        facts_of(asked(ModelRef(uri=str(own)), engine=engine))


def test_a_token_that_the_model_does_not_have_is_refused(folder: Path) -> None:
    """As its files say."""
    choice = TaskChoice(name="assay_copy", generation=Generation(json_text='{"eos_token_id": 3}'))
    with pytest.raises(Invalid, match="names token 3, and the model has tokens 0 to 2"):
        facts_of(asked(ModelRef(uri=str(folder))).model_copy(update={"tasks": (choice,)}))


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json"])
def test_a_pipe_or_a_device_in_a_models_folder_is_refused_and_not_read(folder: Path, tmp_path: Path, name: str) -> None:
    """Reading it would not end, and hold up whoever plans."""
    own = Path(shutil.copytree(folder, tmp_path / "m"))
    (own / name).unlink()
    os.mkfifo(own / name)
    with pytest.raises(Invalid, match=f"{name} is no file, but a folder, a pipe or a device"):
        inspect(ModelRef(uri=str(own)))
    (own / name).unlink()
    (own / name).symlink_to("/dev/zero")
    with pytest.raises(Invalid, match=f"{name} is no file"):
        inspect(ModelRef(uri=str(own)))


def test_weights_of_the_older_form_beside_those_that_are_loaded_are_told(folder: Path, tmp_path: Path) -> None:
    """They may be another model's: they are neither read nor in its hash. Alone they are its weights."""
    both = tmp_path / "both"
    shutil.copytree(folder, both)
    request = asked(ModelRef(uri=str(both)))
    before = inspect(request.model)
    assert remarks_of(request, before) == []
    (both / "pytorch_model.bin").write_bytes(b"another model's")
    facts = inspect(request.model)
    assert facts.model_sha == before.model_sha
    (told,) = remarks_of(request, facts)
    assert told.startswith(
        f"{both} holds pytorch_model.bin beside its safetensors, which are loaded; the other is not read, nor in model_sha"
    )
    (both / "model.safetensors").unlink()
    alone = inspect(request.model)
    assert (alone.format, remarks_of(request, alone)) == ("bin", [])


R1, QWEN = "{{messages}}<think>\n", "{% if not enable_thinking %}<think>\n\n</think>{% endif %}"


@pytest.mark.parametrize(
    ("template", "thinking", "says"),
    [
        (R1, None, "tells of thoughts (<think>): of a task that asks for texts, what it thinks is scored as part of its answer; give --th"),
        (QWEN, None, "tells of thoughts (<think>)"), (R1, False, "has no enable_thinking, so that the model thinks all the same"),
        (R1, True, None), (QWEN, False, None), (QWEN, True, None), ("{{messages}}", None, None),
    ],
)  # fmt: skip
def test_thoughts_that_would_be_scored_as_answers_are_told(
    folder: Path, tmp_path: Path, template: str, thinking: bool | None, says: str | None
) -> None:
    """By whichever template dresses the prompts; without one nothing tells a model to think."""
    own = Path(shutil.copytree(folder, tmp_path / "m"))
    (own / "chat_template.jinja").write_text(template)
    request = asked(ModelRef(uri=str(own)))
    facts = inspect(request.model)
    assert remarks_of(request, facts) == []
    for named in ("model", template):
        told = remarks_of(request.model_copy(update={"chat": Chat(template=named, thinking=thinking)}), facts)
        assert len(told) == (says is not None) and (says or "") in "".join(told)
