"""The forms in which a run's load is written for what reads other load generators' files."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from streams.errors import Invalid
from streams.external.aiperf import aiperf
from streams.external.guidellm import guidellm
from streams.external.loads import Load

WRITTEN: Final[Mapping[str, Callable[[Load], dict[str, Any]]]] = MappingProxyType({"aiperf": aiperf, "guidellm": guidellm})


def check_form(form: str) -> None:
    """Raises: Invalid, where a load is written in no such form."""
    if form not in WRITTEN:
        raise Invalid(f"no form {form}; a load is written as {' or '.join(WRITTEN)}", code="form")


def written(load: Load, form: str) -> dict[str, Any]:
    """The load as a document of that form. Raises: Invalid, where there is no such form."""
    check_form(form)
    return WRITTEN[form](load)
