"""The one list of engines: what each can do is refused or offered by it; and where an engine is found."""

import hashlib
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from gpu_agent.environment import environment
from infra import engine_environments, environments
from infra.engine_environments import REQUIREMENTS, install, installed, offered, place_of, runnable
from schemas.event import Producer, derive_run_id
from schemas.requests import EngineChoice, EvaluationRequested, Judgement, ModelRef, TaskChoice
from streams import planning
from streams.engines import KINDS, NAMES, Kind, check_format, install_command
from streams.errors import Invalid, Unavailable
from streams.quality import generation

LACKING = "no_such_package_anywhere"
LOCKS = {
    "gguf": {"gguf.txt": "cyllama=="},
    "mlx": {"mlx.txt": "\nmlx-cpu=="},
    "onnx": {"onnx.txt": "\nonnxruntime=="},
    "tensorflow": {"tensorflow.txt": "\ntensorflow-cpu=="},
    "vllm": {"vllm.txt": "\nvllm==", "vllm_cpu.txt": "\nvllm-cpu=="},
}


@pytest.fixture
def lacking(monkeypatch: pytest.MonkeyPatch) -> str:
    """An engine whose package is not in this environment."""
    kind = Kind("GGUF files", KINDS["gguf"].factory, KINDS["gguf"].formats, KINDS["gguf"].answers, ("cpu",), (LACKING,), "gguf.txt")
    kinds = {**KINDS, "gguf": kind}
    monkeypatch.setattr(engine_environments, "KINDS", kinds)
    monkeypatch.setattr(engine_environments, "kind_of", lambda name: kinds[name])
    return "gguf"


def made(home: Path, engine: str, sha: str) -> Path:
    """An engine's environment as `install` leaves it."""
    folder = engine_environments.folder_of(engine, home)
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").touch()
    (folder / environments.WHOLE).write_text(sha)
    return folder / "bin" / "python"


@pytest.mark.parametrize("name", KINDS)
def test_an_engine_of_the_list_is_there(name: str) -> None:
    """Its class is in the module that is named, its formats have names, its requirement file is hashed and holds its packages."""
    kind = KINDS[name]
    module, _, factory = kind.factory.partition(":")
    spec = find_spec(module)
    assert spec is not None and spec.origin is not None
    assert re.search(rf"^class {factory}\b", Path(spec.origin).read_text(), re.MULTILINE)
    assert kind.formats <= NAMES.keys()
    files = [one for one in (kind.requirements, kind.requirements_cpu) if one]
    assert files == list(LOCKS.get(name, {}))
    for file in files:
        told = "\n" + (REQUIREMENTS / file).read_text()
        assert LOCKS[name][file] in told
        assert "--hash=sha256:" in told
        assert "://" not in told
        assert install_command(name) == f"assay engine install {name}"


def test_the_build_is_chosen_by_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an NVIDIA GPU vLLM's own, else the one for CPUs; the other is outdated, and no CPU has the agent's own packages for it."""
    monkeypatch.setattr(engine_environments, "find_spec", lambda name: None)
    made(tmp_path, "vllm", engine_environments.wanted_sha("vllm_cpu.txt"))
    for here, file, state in ((False, "vllm_cpu.txt", "own"), (True, "vllm.txt", "outdated")):
        monkeypatch.setattr(engine_environments, "has_nvidia_gpu", lambda here=here: here)
        assert engine_environments.requirements_of("vllm") == file
        assert place_of("vllm", tmp_path).state == state
    monkeypatch.setattr(engine_environments, "find_spec", lambda name: name)
    for here, state in ((False, "own"), (True, "here")):
        monkeypatch.setattr(engine_environments, "has_nvidia_gpu", lambda here=here: here)
        assert place_of("vllm", tmp_path).state == state
    assert engine_environments.requirements_of("gguf") == "gguf.txt"
    assert engine_environments.requirements_of("transformers") is None


def test_an_engine_is_run_where_its_packages_are(lacking: str, tmp_path: Path) -> None:
    """In this environment; else in its own, once that is whole and of the requirements of now; else the command is said."""
    assert place_of("echo", tmp_path).state == "here"
    assert (place_of(lacking, tmp_path).state, lacking in offered(tmp_path)) == ("missing", False)
    with pytest.raises(Invalid, match="engine gguf is not installed on this machine; `assay engine install gguf`") as caught:
        runnable(lacking, tmp_path)
    assert caught.value.code == "engine-missing"
    python = made(tmp_path, lacking, "of another time")
    assert (place_of(lacking, tmp_path).state, lacking in offered(tmp_path)) == ("outdated", False)
    with pytest.raises(Invalid, match="not of the version that is wanted"):
        runnable(lacking, tmp_path)
    sha = hashlib.sha256((REQUIREMENTS / "gguf.txt").read_bytes()).hexdigest()
    (python.parents[1] / environments.WHOLE).write_text(sha)
    assert (runnable(lacking, tmp_path), lacking in offered(tmp_path), installed(tmp_path)) == (python, True, {lacking: sha})


def test_an_environment_that_an_image_brings_is_run_where_it_is_of_now(
    lacking: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before one of the machine's; one of another release's requirements is passed over."""
    monkeypatch.setattr(engine_environments, "BROUGHT", tmp_path / "image" / "engines")
    wanted = engine_environments.wanted_sha("gguf.txt")
    own = made(tmp_path, lacking, wanted)
    brought = made(tmp_path / "image", lacking, "of another time")
    assert runnable(lacking, tmp_path) == own
    (brought.parents[1] / environments.WHOLE).write_text(wanted)
    assert (runnable(lacking, tmp_path), place_of(lacking, tmp_path / "none").state) == (brought, "own")


def test_an_environment_of_its_own_is_part_of_what_is_seen(tmp_path: Path) -> None:
    """By the hash of what it is made from: with another it is another environment."""
    seen = [environment("local", region="any", engines=engines) for engines in ({}, {"gguf": "a" * 64}, {"gguf": "b" * 64})]
    assert len({one.sha for one in seen}) == 3
    assert seen[1].packages["engine gguf"] == f"sha256:{'a' * 64}"


def test_an_install_that_breaks_off_leaves_no_environment(lacking: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It counts once it is whole; and an engine of the agent's own environment has none to install."""
    monkeypatch.setattr(environments, "_uv", lambda: "false")
    with pytest.raises(Unavailable, match="the same command goes on from there"):
        install(lacking, tmp_path, quiet=True)
    assert place_of(lacking, tmp_path).state == "missing"
    with pytest.raises(Invalid, match="comes with the agent's own environment"):
        install("echo", tmp_path)


def asked(engine: str, model: ModelRef, *, task: TaskChoice | None = None, judge: Judgement | None = None) -> EvaluationRequested:
    """A request."""
    return EvaluationRequested(
        occurred_us=0, producer=Producer(service="t", version="0", commit=""), run_id=derive_run_id("t", "", 1), model=model,
        engine=EngineChoice(name=engine), tasks=(task or TaskChoice(name="t"),), judgements=(judge,) if judge else (),
    )  # fmt: skip


def test_planning_refuses_what_an_engine_cannot_do() -> None:
    """Unknown engines, also of judges; a dtype for weights that are used as they are; formats; arguments of texts."""
    planning.check(asked("gguf", ModelRef(uri="m")))
    with pytest.raises(
        Invalid, match="unknown engine 'vlm'; there are classifier, echo, encoder, gguf, mlx, onnx, openai, tensorflow, transformers, vllm"
    ):
        planning.check(asked("vlm", ModelRef(uri="m")))
    judge = Judgement(task="t", model=ModelRef(uri="m"), engine=EngineChoice(name="ggml"))
    with pytest.raises(Invalid, match="unknown engine 'ggml'"):
        planning.check(asked("gguf", ModelRef(uri="m"), judge=judge))
    with pytest.raises(Invalid, match="not as dtype float16; leave it out, or give engine transformers"):
        planning.check(asked("gguf", ModelRef(uri="m", dtype="float16")))
    with pytest.raises(
        Invalid, match=r"engine onnx computes with the weights as the file has them, and not as dtype float16; leave it out$"
    ):
        planning.check(asked("onnx", ModelRef(uri="m", dtype="float16")))
    with pytest.raises(Invalid, match=r"m is ONNX, and engine gguf reads GGUF; give engine onnx, or a model"):
        check_format("gguf", "onnx", model="m")
    with pytest.raises(Invalid, match=r"m is GGUF, and engine classifier reads PyTorch \.bin and safetensors; give engine gguf or transfo"):
        check_format("classifier", "gguf", model="m")
    generation.check_taken({"num_beams": 1, "temperature": 0.5, "typical_p": None, "until": ["\n"]}, engine="gguf")
    generation.check_taken({"num_beams": 4, "sequence_bias": {}}, engine="transformers")
    with pytest.raises(Invalid, match="engine gguf does not take generation argument num_beams=4; leave it out"):
        generation.check_taken({"num_beams": 4}, engine="gguf")
    generation.check_taken({"temperature": 0.0, "top_k": 0, "min_p": 0.1, "no_repeat_ngram_size": None}, engine="vllm")
    generation.check_taken({"temperature": 2.5}, engine="gguf")
    with pytest.raises(Invalid, match="engine vllm does not take generation argument no_repeat_ngram_size=2"):
        generation.check_taken({"no_repeat_ngram_size": 2}, engine="vllm")
    for temperature in (0.005, 2.5):
        with pytest.raises(Invalid, match=f"engine vllm takes generation argument temperature from 0.01 to 2, and not {temperature}"):
            generation.check_taken({"temperature": temperature}, engine="vllm")
