"""One finding of `assay doctor`."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that Assay uses. `do` is what to do where it is not here; `required` ones the stack cannot do without."""

    what: str
    here: bool
    note: str
    do: str = ""
    required: bool = False
