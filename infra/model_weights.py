"""Which of a folder's files of weights are loaded, by transformers and by vLLM: what is hashed is what is computed with."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from infra.model_files import PICKLED, WEIGHTS, read_json
from streams.errors import Invalid

INDEX: Final = ".index.json"
SAFE: Final = "model.safetensors"
# In transformers' order. Source: transformers 5.19, modeling_utils.py, _get_resolved_checkpoint_files.
NAMES: Final = (SAFE, f"{SAFE}{INDEX}", "pytorch_model.bin", f"pytorch_model.bin{INDEX}")
EXPLICIT: Final = "transformers_weights"  # the key of config.json by which transformers takes another file
# As Mistral names the same weights in its own form, which it publishes beside; vLLM loads these where they are.
SAME_WEIGHTS: Final = "consolidated"
# What vLLM passes over. Source: vLLM, model_executor/model_loader/weight_utils.py, filter_files_not_needed_for_inference.
NO_WEIGHTS: Final = ("training_args.bin", "optimizer.bin")


def loaded(folder: Path, config: Mapping[str, Any]) -> list[Path]:
    """The files of weights that transformers loads of a folder. Raises: Invalid: there are none, or not all that an index names."""
    if (named := config.get(EXPLICIT)) is not None:
        raise Invalid(
            f"config.json of {folder} names its weights, {named!r:.80}, by {EXPLICIT}, which not every engine follows; name that file "
            f"{SAFE}, and take {EXPLICIT} out", code="model-no-weights",
        )  # fmt: skip
    first = next((folder / name for name in NAMES if (folder / name).exists()), None)
    if first is None:
        raise Invalid(f"{folder} has no weights that are loaded, {' or '.join(NAMES)}{_instead(folder)}", code="model-no-weights")
    return _indexed(first) if first.name.endswith(INDEX) else [first]


def _instead(folder: Path) -> str:
    """What to do for a folder without weights by their names."""
    found = sorted(path.name for pattern in WEIGHTS for path in folder.glob(pattern))
    if not found:
        return "; fetch the model again"
    return f": it holds {found[0]}; where that is the whole model name it {SAFE}, and of one in parts fetch the index too"


def _indexed(index: Path) -> list[Path]:
    parts = sorted({index.parent / name for name in read_json(index).get("weight_map", {}).values()})
    if not parts:
        raise Invalid(f"{index} names no file of weights; fetch the model again", code="model-truncated")
    if missing := [path for path in parts if not path.exists()]:
        raise Invalid(f"{index.parent} lacks {missing[0].name}, which its index names; fetch the model again", code="model-truncated")
    return parts


def unread(folder: Path, weights: Sequence[Path]) -> tuple[str, ...]:
    """Files of weights beside those that are loaded, by which another model may be meant.

    The same weights in another form, as some publish them beside safetensors, are none; `older` has those.
    """
    beside = [path.name for path in folder.glob("*.safetensors") if path not in weights]
    if weights[0].suffix == ".safetensors":
        return tuple(sorted(name for name in beside if not name.startswith(SAME_WEIGHTS)))
    return tuple(sorted([*beside, *_pickled_beside(folder, weights)]))


def older(folder: Path, weights: Sequence[Path]) -> tuple[str, ...]:
    """Files of the older form, PyTorch's, beside safetensors that are loaded: mostly the same weights."""
    return tuple(sorted(_pickled_beside(folder, weights))) if weights[0].suffix == ".safetensors" else ()


def _pickled_beside(folder: Path, weights: Sequence[Path]) -> list[str]:
    return [path.name for path in folder.glob(PICKLED) if path not in weights]


def other_for_vllm(folder: Path, weights: Sequence[Path]) -> str | None:
    """The name of a file of weights that vLLM would load and transformers not, or the other way about; None where both load the same.

    Source: vLLM, model_executor/model_loader/default_loader.py, DefaultModelLoader._prepare_weights with load_format auto.
    """
    own = set(folder.glob(f"{SAME_WEIGHTS}*.safetensors")) or set(folder.glob("*.safetensors"))
    index = folder / f"{SAFE}{INDEX}"
    if own and index.exists() and not any(path.name.startswith(SAME_WEIGHTS) for path in own):
        own &= set(_indexed(index))
    own = own or {path for path in folder.glob("*.bin") if path.name not in NO_WEIGHTS}
    return next((path.name for path in sorted(own ^ {path for path in weights if path.parent == folder})), None)
