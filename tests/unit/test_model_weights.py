"""What is hashed of a folder of weights is what transformers loads of it, whichever files lie there."""

import json
import shutil
from itertools import combinations
from pathlib import Path

import pytest

from infra import model_fitness, model_weights
from infra.models import inspect
from schemas.requests import ModelRef
from streams.errors import Invalid
from tests.models import causal

PARTS = ("model-00001-of-00001.safetensors", "pytorch_model-00001-of-00001.bin")
BESIDE = ("ema.safetensors", "consolidated.safetensors")


def lay(folder: Path, names: tuple[str, ...]) -> Path:
    """A folder with such files of weights: each index names its part."""
    folder.mkdir()
    for name in names:
        part = PARTS[name.startswith("pytorch")]
        told = {"metadata": {}, "weight_map": {"embeddings": part}}
        (folder / name).write_text(json.dumps(told) if name.endswith(".json") else "weights")
    return folder


def test_the_files_that_transformers_resolves_are_those_that_are_hashed(tmp_path: Path) -> None:
    """Of each of the 256 folders that can be made of these names."""
    from transformers import modeling_utils

    names = (*model_weights.NAMES, *PARTS, *BESIDE)
    for number, chosen in enumerate(some for size in range(len(names) + 1) for some in combinations(names, size)):
        folder = lay(tmp_path / str(number), chosen)
        try:
            found, _ = modeling_utils._get_resolved_checkpoint_files(
                str(folder), variant=None, gguf_file=None, use_safetensors=None, user_agent=None, is_remote_code=False
            )
        except OSError:
            found = []
        theirs = sorted(found or [])
        try:
            assert [str(path) for path in model_weights.loaded(folder, {})] == theirs, chosen
        except Invalid as error:  # transformers names parts that are not there, and fails as it reads them
            assert not all(Path(path).exists() for path in theirs) or not theirs, (chosen, error)


def test_a_folder_without_weights_by_their_names_is_refused_with_what_to_do(tmp_path: Path) -> None:
    folder = lay(tmp_path / "one", ("ema.safetensors",))
    with pytest.raises(
        Invalid, match=r"it holds ema.safetensors; where that is the whole model name it model.safetensors, and of one in parts"
    ):
        model_weights.loaded(folder, {})
    with pytest.raises(Invalid, match=r"no weights that are loaded.*fetch the model again"):
        model_weights.loaded(lay(tmp_path / "two", ()), {})
    with pytest.raises(Invalid, match=r"names its weights, 'ema.safetensors', by transformers_weights"):
        model_weights.loaded(folder, {"transformers_weights": "ema.safetensors"})
    with pytest.raises(Invalid, match=r"lacks model-00001-of-00001.safetensors, which its index names"):
        model_weights.loaded(lay(tmp_path / "three", ("model.safetensors.index.json",)), {})


@pytest.mark.parametrize("beside", ["ema.safetensors", "consolidated.safetensors", *PARTS])
def test_weights_beside_pickled_ones_are_not_the_model_and_refused(tmp_path: Path, beside: str) -> None:
    """The hash is over what is loaded, and stays when the other file changes; nobody runs such a folder."""
    folder = causal(tmp_path / "m")
    shutil.move(folder / "model.safetensors", folder / "pytorch_model.bin")
    before = inspect(ModelRef(uri=str(folder)))
    model_fitness.check(before, engine="transformers")
    shutil.copy(folder / "pytorch_model.bin", folder / beside)
    facts = inspect(ModelRef(uri=str(folder)))
    assert (facts.format, facts.model_sha, facts.unread) == ("bin", before.model_sha, (beside,))
    with pytest.raises(Invalid, match=f"holds {beside} beside the weights that are loaded; name a folder of one model, or move it away"):
        model_fitness.check(facts, engine="transformers")
    (folder / "pytorch_model.bin").write_bytes(b"another")
    assert inspect(ModelRef(uri=str(folder))).model_sha != before.model_sha


def test_a_whole_file_comes_before_an_index(tmp_path: Path) -> None:
    folder = causal(tmp_path / "m")
    before = inspect(ModelRef(uri=str(folder)))
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": {"embeddings": PARTS[0]}}))
    shutil.copy(folder / "model.safetensors", folder / PARTS[0])
    facts = inspect(ModelRef(uri=str(folder)))
    assert (facts.model_sha, facts.unread) == (before.model_sha, (PARTS[0],))


@pytest.mark.parametrize(
    ("weights", "beside", "read_alike"),
    [
        ("model.safetensors", (), True), ("model.safetensors", ("pytorch_model.bin",), True),
        ("pytorch_model.bin", ("training_args.bin",), True),
        ("model.safetensors", ("consolidated.safetensors",), False), ("pytorch_model.bin", ("value_head.bin",), False),
    ],
)  # fmt: skip
def test_a_folder_that_vllm_reads_otherwise_is_refused_for_it(
    tmp_path: Path, weights: str, beside: tuple[str, ...], read_alike: bool
) -> None:
    folder = causal(tmp_path / "m")
    for name in beside:
        shutil.copy(folder / "model.safetensors", folder / name)
    (folder / "model.safetensors").rename(folder / weights)
    facts = inspect(ModelRef(uri=str(folder)))
    model_fitness.check(facts, engine="transformers")
    if read_alike:
        model_fitness.check(facts, engine="vllm")
        return
    with pytest.raises(
        Invalid, match=f"engine vllm loads other weights of {folder} than those .* they differ in {beside[0]}; move it away"
    ):
        model_fitness.check(facts, engine="vllm")
