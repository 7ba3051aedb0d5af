"""Models named as hubs name them: org/name, at a revision; of a repository of GGUF files org/name/FILE.gguf."""

import re
from dataclasses import dataclass
from typing import Final

from schemas.requests import ModelRef

PART: Final = re.compile(r"[0-9A-Za-z_][0-9A-Za-z_.-]{0,95}").fullmatch
COMMIT: Final = re.compile(r"[0-9a-f]{40}").fullmatch
GGUF: Final = ".gguf"


@dataclass(frozen=True, slots=True)
class Named:
    """A model on a hub; `revision` is a branch, a tag or a commit, None for the newest. `file`: the one GGUF file that is meant."""

    repository: str
    revision: str | None = None
    file: str | None = None

    @property
    def commit(self) -> str | None:
        """The commit, where the revision is one: it means the same for ever."""
        return self.revision if self.revision and COMMIT(self.revision) else None

    @property
    def uri(self) -> str:
        """The name that requests know it by, without its revision."""
        return f"{self.repository}/{self.file}" if self.file else self.repository


def named(model: ModelRef) -> Named | None:
    """The hub's model of that name; None where no hub has such names. A folder of the same name would come before it."""
    parts = model.uri.split("/")
    if len(parts) not in (2, 3) or not all(map(PART, parts)) or (len(parts) == 3 and not model.uri.endswith(GGUF)):
        return None
    return Named("/".join(parts[:2]), model.revision, parts[2] if parts[2:] else None)
