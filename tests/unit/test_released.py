"""Released schemas: every version's bytes still decode, and no change breaks old readers or new ones."""

import base64
import copy
import json
from typing import Any

import pytest

from schemas.avro import avro_schema
from schemas.catalogue import EVENTS
from schemas.compatibility import conflicts
from schemas.measurements import TokensTimed
from schemas.released import refused, released_codec, releases, stale
from streams.projection import plain
from tests.stored.write import FILE

CODEC = released_codec()
STORED: list[dict[str, Any]] = json.loads(FILE.read_text())


def test_every_released_version_has_stored_bytes() -> None:
    """Or nobody would notice when they no longer decode."""
    assert {(row["event"], row["version"]) for row in STORED} == {(release.event, release.version) for release in releases()}


@pytest.mark.parametrize("row", STORED, ids=lambda row: f"{row['event']}.v{row['version']}")
def test_stored_bytes_decode_to_what_was_written(row: dict[str, Any]) -> None:
    """Every field that it had then; a field that came later has its default, and what is kept in another form says the same."""
    event = CODEC.decode(base64.b64decode(row["payload"]), EVENTS[row["event"]])
    told = plain(event)
    if isinstance(event, TokensTimed) and row["version"] == 1:
        told |= dict(zip(("arrival_ns", "tokens_per_arrival"), map(list, event.arrivals), strict=True))
    assert kept(told, row["fields"]) == row["fields"]


def kept(told: Any, then: Any) -> Any:
    """Of what is told now the fields that there were then, in records within records too."""
    if isinstance(told, dict) and isinstance(then, dict):
        return {name: kept(told[name], then[name]) for name in then}
    if isinstance(told, list) and isinstance(then, list):
        return [kept(one, was) for one, was in zip(told, then, strict=True)]
    return told


def test_the_models_are_what_is_released() -> None:
    """No drift, and nothing that a frozen version could not read."""
    assert stale() == ()
    assert refused() == ()


def changed(change: Any) -> dict[str, Any]:
    """The schema of a request, changed."""
    schema = copy.deepcopy(avro_schema(EVENTS["EvaluationRequested"]))
    change(schema["fields"])
    return schema


def field(fields: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """The field of that name."""
    return next(one for one in fields if one["name"] == name)


ALONE = "is in one version only and has no default"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda fields: fields.append({"name": "new", "type": "string"}), [f"new {ALONE}"]),
        (lambda fields: fields.append({"name": "new", "type": "string", "default": ""}), []),
        (lambda fields: fields.remove(field(fields, "priority")), []),
        (lambda fields: fields.remove(field(fields, "run_id")), [f"run_id {ALONE}"]),
        (lambda fields: field(fields, "priority").update(type="string"), ["priority changes its type"]),
        (
            lambda fields: field(fields, "model")["type"]["fields"].append({"name": "x", "type": "long"}),
            [f"judgements[].model.x {ALONE}", f"model.x {ALONE}"],
        ),
        (lambda fields: field(fields, "tasks")["type"]["items"]["fields"].append({"name": "y", "type": "long"}), [f"tasks[].y {ALONE}"]),
    ],
)
def test_a_change_that_would_break_a_reader_is_found(change: Any, says: list[str]) -> None:
    """At the top, in a nested record, in an array's record; in both directions."""
    now, expected = avro_schema(EVENTS["EvaluationRequested"]), [f"EvaluationRequested.{one}" for one in says]
    assert conflicts(now, changed(change)) == expected
    assert conflicts(changed(change), now) == expected
