"""Which licences a request takes: by their SPDX ids, as models' cards name them; a hub writes them small."""

from collections.abc import Sequence

from streams.errors import Invalid

CODE = "model-licence"


def check(licence: str | None, *, taken: Sequence[str], model: str) -> None:
    """Raises: Invalid where the model's licence is none of those that are taken; where none is named, all are."""
    if not all(one.strip() for one in taken):
        raise Invalid("a licence that is taken has no name; give SPDX ids such as apache-2.0,mit, or leave model_licences out", code=CODE)
    if not taken or (licence is not None and licence.casefold() in {one.casefold() for one in taken}):
        return
    told = f"the licence of {model} is {licence}" if licence else f"nothing in the files of {model} tells its licence"
    raise Invalid(f"{told}, and the request takes {', '.join(taken)}: name another model, or take its licence too", code=CODE)


def check_unseen(*, taken: Sequence[str], model: str) -> None:
    """Raises: Invalid where licences are taken of a model whose files nobody here reads."""
    if taken:
        raise Invalid(f"no licence of {model} can be seen, for its files are not read here; leave model_licences out", code=CODE)
