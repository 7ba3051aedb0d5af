"""A TensorFlow SavedModel as it lies on the disk: its graph, its numbers, and what is said of it without TensorFlow.

Source: https://www.tensorflow.org/guide/saved_model (The SavedModel format on disk).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from streams.errors import Invalid

GRAPH: Final = "saved_model.pb"
NUMBERS: Final = "variables"
# The folder of a model's folder in which it may lie, as transformers published them.
FOLDER: Final = "saved_model"


@dataclass(frozen=True, slots=True)
class SavedModel:
    """`path` is its graph; `files` are all that it is read from."""

    path: Path
    files: tuple[Path, ...]

    @property
    def size_bytes(self) -> int:
        """As large as its files."""
        return sum(one.stat().st_size for one in self.files)


def graph_in(place: Path) -> Path | None:
    """The graph of the SavedModel that a folder is, or holds; None where there is none."""
    if place.is_file():
        return place if place.name == GRAPH else None
    found = (folder / GRAPH for folder in (place, place / FOLDER, place / FOLDER / "1"))
    return next((path for path in found if path.is_file()), None)


def read(path: Path) -> SavedModel:
    """What lies beside the graph. Raises: Invalid where its numbers are not whole: an index names how many files they have."""
    numbers = sorted((path.parent / NUMBERS).glob("variables.data-*"))
    index = path.parent / NUMBERS / "variables.index"
    wanted = {int(one.name.rpartition("-of-")[2]) for one in numbers if one.name.rpartition("-of-")[2].isdecimal()}
    if not index.is_file() or wanted != {len(numbers)}:
        raise Invalid(f"{path.parent} lacks files of its {NUMBERS}; fetch the model again", code="model-truncated")
    return SavedModel(path, (path, index, *numbers))
