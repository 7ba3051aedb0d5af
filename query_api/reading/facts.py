"""Events out of their facts: what was projected, read back as it was said."""

import base64
import json
from collections.abc import Mapping
from typing import Any, TypeVar

from schemas.event import Event
from streams.projection import is_plain

E = TypeVar("E", bound=Event)


def event_of(kind: type[E], row: Mapping[str, Any]) -> E:
    """The event of a row that has its columns; those of fields that have a default may be left out."""
    told = {name: _value(info.annotation, row[name]) for name, info in kind.model_fields.items() if name in row}
    if isinstance(documents := told.get("documents"), dict):
        told["documents"] = {name: None if value is None else base64.b64decode(value) for name, value in documents.items()}
    return kind.model_validate(told)


def _value(hint: Any, cell: Any) -> Any:
    if hint is bytes:
        return base64.b64decode(cell)
    return cell if cell is None or is_plain(hint) else json.loads(cell)
