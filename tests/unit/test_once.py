"""A name that is there twice in JSON."""

import json

import pytest

from streams.once import once


def test_a_name_that_is_there_twice_is_named() -> None:
    """At any depth."""
    assert json.loads('{"a": {"b": 1}, "b": [{"a": 2}]}', object_pairs_hook=once) == {"a": {"b": 1}, "b": [{"a": 2}]}
    for text in ('{"a": 1, "a": 1}', '{"x": [{"b": 0, "a": 1, "a": 2}]}'):
        with pytest.raises(ValueError, match="'a' is there twice; give it once"):
            json.loads(text, object_pairs_hook=once)
