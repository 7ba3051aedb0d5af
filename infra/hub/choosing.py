"""Which files of a repository are a model: its weights in one format, and what engines read beside them."""

import re
from typing import Final

from infra.hub.index import File, Listing
from infra.trust import HOW
from streams.errors import Invalid
from streams.hub_names import GGUF

# Files of the repository itself and not of folders in it, by names that can be nothing but names.
PLAIN: Final = re.compile(r"[0-9A-Za-z_][0-9A-Za-z_. +-]*").fullmatch
BESIDE: Final = (".json", ".jinja", ".model", ".txt", ".py", ".tiktoken")
CARDS: Final = ("README.md", "LICENSE", "LICENSE.md")
# The weights that transformers would load, the first that are there: in parts, whole, or an adapter's.
WEIGHTS: Final = (
    re.compile(r"model-\d+-of-\d+\.safetensors").fullmatch,
    re.compile(r"model\.safetensors").fullmatch,
    re.compile(r"adapter_model\.safetensors").fullmatch,
    re.compile(r"(?!consolidated).*\.safetensors").fullmatch,
)
PICKLED: Final = (re.compile(r"pytorch_model-\d+-of-\d+\.bin").fullmatch, re.compile(r"pytorch_model\.bin").fullmatch)


def wanted(listing: Listing, *, trusted: bool) -> tuple[File, ...]:
    """The files to fetch. Code that a model brings is among them: who runs it is another question, and the model's hash is over it.

    Raises: Invalid where there are none, where it must be said which, and where weights are pickled and not `trusted`.
    """
    files = {one.name: one for one in listing.files if PLAIN(one.name)}
    beside = [one for name, one in files.items() if name.endswith(BESIDE) or name in CARDS]
    if listing.named.file is not None:
        return (_named(listing, files), *(one for one in beside if one.name in CARDS))
    for patterns in (WEIGHTS, PICKLED):
        for pattern in patterns:
            if found := [one for name, one in files.items() if pattern(name)]:
                if patterns is PICKLED:
                    _check_trusted(listing, found[0], trusted=trusted)
                return (*found, *beside)
        if patterns is WEIGHTS and (ggufs := _ggufs(files)):
            return (_only(listing, ggufs), *(one for one in beside if one.name in CARDS))
    raise Invalid(
        f"{listing.named.repository} holds no weights of those that are fetched (safetensors or GGUF); name another model",
        code="model-no-weights",
    )


def is_pickled(names: tuple[str, ...]) -> bool:
    """Whether weights among such files are pickles, which are read by running them."""
    return any(pattern(name) for pattern in PICKLED for name in names)


def refusal(repository: str) -> Invalid:
    """Why pickled weights are not taken, and who can let them be."""
    return Invalid(
        f"the weights of {repository} are pickled, and can run code as they are read: name a model in safetensors, or trust it by {HOW}",
        code="model-pickled",
    )  # fmt: skip


def _check_trusted(listing: Listing, file: File, *, trusted: bool) -> None:
    if not trusted:
        raise refusal(f"{listing.named.repository} ({file.name})")


def _ggufs(files: dict[str, File]) -> list[File]:
    return [one for name, one in files.items() if name.endswith(GGUF)]


def _named(listing: Listing, files: dict[str, File]) -> File:
    name = listing.named.file or ""
    if name not in files:
        told = ", ".join(sorted(one.name for one in _ggufs(files))) or "no GGUF file"
        raise Invalid(f"{listing.named.repository} has no {name}; it has {told}", code="model-not-found")
    return files[name]


def _only(listing: Listing, ggufs: list[File]) -> File:
    if len(ggufs) > 1:
        told = ", ".join(sorted(one.name for one in ggufs))
        raise Invalid(
            f"{listing.named.repository} holds {len(ggufs)} GGUF files; name one, as {listing.named.repository}/FILE: {told}",
            code="model-parts",
        )
    return ggufs[0]
