"""Folders of adapters, as peft saves them: what is in them, and of which model they are."""

from dataclasses import dataclass
from pathlib import Path

from infra import model_files
from streams.errors import Invalid

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
PICKLED = "adapter_model.bin"
LONGEST_NAME = 4_000  # of a model, as in requests


@dataclass(frozen=True, slots=True)
class Adapted:
    """An adapter: `base` is the model that its own settings name, at a `revision`."""

    folder: Path
    base: str | None
    revision: str | None

    @property
    def weights(self) -> Path:
        """Its tensors."""
        return self.folder / WEIGHTS

    @property
    def files(self) -> list[Path]:
        """What makes it the adapter that it is."""
        return [self.folder / CONFIG, self.weights]


def adapted(folder: Path) -> Adapted | None:
    """The adapter in a folder; None where it holds a whole model. Raises: Invalid for both in one, and for one that is not whole."""
    named = next((name for name in (CONFIG, WEIGHTS, PICKLED) if (folder / name).exists()), None)
    if named is None:
        return None
    if any(path.name not in (WEIGHTS, PICKLED) for pattern in model_files.WEIGHTS for path in folder.glob(pattern)):
        raise Invalid(
            f"{folder} holds full weights and an adapter ({named}), and nobody can tell which is meant; move the adapter into a folder of "
            "its own, and name that as the model", code="model-adapter",
        )  # fmt: skip
    told = model_files.read_json(folder / CONFIG)
    if not (folder / WEIGHTS).exists():
        why = f"has {PICKLED}, which is read by running it" if (folder / PICKLED).exists() else "has no tensors"
        raise Invalid(f"{folder} {why}; save it as {WEIGHTS} (peft: save_pretrained)", code="model-adapter")
    return Adapted(folder, _name(told.get("base_model_name_or_path")), _name(told.get("revision")))


def _name(told: object) -> str | None:
    return told if isinstance(told, str) and 0 < len(told) <= LONGEST_NAME else None
