"""Keys of servers elsewhere, named in requests and kept with the agent: a file each, of the address that it is for and the key.

A key is shown to the address that stands in its file and to no other: whoever may name it in a request cannot have it sent elsewhere.
And it is shown for its organisation alone: <folder>/NAME is of the organisation that the agent is of (ASSAY_ORGANISATION), and
<folder>/ORGANISATION/NAME of another.
"""

import re
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from infra.settings import Settings
from streams.errors import Invalid
from streams.served import base_of

CREDENTIAL: Final = "credential"
PLAIN: Final = re.compile(r"[0-9A-Za-z_-][0-9A-Za-z_.-]*").fullmatch
PORTS: Final = {"http": 80, "https": 443}


def key_of(name: str | None, url: str) -> str | None:
    """The key of that name, for that address; None where none is named.

    Raises: Invalid where there is none, where its file is not as it must be, and where it is for another address. No message holds a key.
    """
    if name is None:
        return None
    folder = folder_of(Settings())
    if not all(map(PLAIN, name.split("/"))) or name.count("/") > 1 or not (folder / name).is_file():
        raise _none(name)
    lines = (folder / name).read_text(errors="replace").split()
    if len(lines) != 2 or not (lines[1].isascii() and lines[1].isprintable()):
        raise Invalid(f"{folder / name} must hold two lines: the server's address, and the key", code="no-credential")
    if _origin(lines[0]) != _origin(url):
        raise Invalid(
            f"credential {name!r} is for {base_of(lines[0])}, and the run asks {base_of(url)}: name the one that is for it",
            code="no-credential",
        )
    return lines[1]


def owned(name: str | None, organisation: str) -> str | None:
    """A key's name as `key_of` takes it, for who asks: below the folder of their organisation, where it is not the agent's own.

    Raises: Invalid for what is no name: it could be another organisation's.
    """
    if name is None or (organisation == (settings := Settings()).organisation and PLAIN(name)):
        return name
    if not PLAIN(name) or not PLAIN(organisation):
        raise _none(name)
    return f"{organisation}/{name}" if organisation != settings.organisation else name


def _none(name: str) -> Invalid:
    organisation, _, own = name.rpartition("/")
    whose = f" for organisation {organisation!r}" if organisation else ""
    where = folder_of(Settings()) / organisation / "NAME"
    return Invalid(
        f"no credential {own!r} is kept with this agent{whose}: put it into {where}, first the server's address, on the next line the key",
        code="no-credential",
    )


def folder_of(settings: Settings) -> Path:
    """Where the keys are."""
    return settings.credentials or settings.home / "credentials"


def _origin(url: str) -> tuple[str, str, int]:
    parts = urlsplit(base_of(url))
    return parts.scheme, parts.hostname or "", parts.port or PORTS[parts.scheme]
