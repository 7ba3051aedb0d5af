"""`python -m tests.stored.write` stores an event of every released version that has none yet; what is stored is never changed."""

import base64
import json
import types
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from schemas.catalogue import EVENTS
from schemas.event import Record, RunId
from schemas.released import released_codec, releases
from streams.projection import plain
from tests.runs import FIRST

FILE = Path(__file__).parent / "events.json"
PLAIN: dict[Any, Any] = {str: "text ü", bytes: b"\x00\xff", int: 2**40, float: 0.1, bool: True}
JOB, LOAD = f"{FIRST}/t/0/0", f"{FIRST}/perf"
# What must be of a run, or known, lest a record is refused or passed over whatever else is in it; of some events, by their names, other.
NAMED: dict[str, Any] = {"job_id": JOB, "jobs_active": (LOAD,), "sensor": "nvml-total-energy"}
NAMED_OF: dict[str, dict[str, Any]] = {name: {"job_id": LOAD} for name in ("RequestTimed", "TokensTimed")}


def _value(hint: Any) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if hint == RunId:
        return FIRST
    if origin is Annotated:
        return _value(arguments[0])
    if origin is Literal:
        return arguments[-1]
    if origin in (Union, types.UnionType):
        return _value(next(argument for argument in arguments if argument is not type(None)))
    if origin is tuple:
        return (_value(arguments[0]),)
    if origin is dict:
        return {"key": _value(arguments[1])}
    return filled(hint) if isinstance(hint, type) and issubclass(hint, Record) else PLAIN[hint]


def filled(model: type[Record]) -> Record:
    """A record that has every field, always the same."""
    hints, named = get_type_hints(model, include_extras=True), NAMED | NAMED_OF.get(model.__name__, {})
    return model.model_validate(
        {name: named[name] if name in named else _value(hints[name]) for name in model.model_fields if name != "event_id"}
    )


def main() -> None:
    """Writes."""
    stored: list[dict[str, Any]] = json.loads(FILE.read_text()) if FILE.exists() else []
    known = {(row["event"], row["version"]) for row in stored}
    codec = released_codec()
    newest = {release.event: release.version for release in releases()}
    for name, version in newest.items():
        if (name, version) not in known:
            event = filled(EVENTS[name])
            payload = base64.b64encode(codec.encode(event)).decode()  # type: ignore[arg-type]
            stored.append({"event": name, "version": version, "payload": payload, "fields": plain(event)})
    FILE.write_text(json.dumps(stored, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
