"""The script of the exact server says what the other one would send, and when. Nothing is compiled here."""

import struct

import numpy as np
import pytest

from tests.delays import wire
from tests.delays.behaviour import behaviour, parts
from tests.delays.script import ID, script

MODEL = "known?ttft_ms=50&itl_ms=10&jitter=0.2"


def texts_of(told: bytes) -> tuple[int, int, list[bytes], np.ndarray]:
    """A script's numbers of parts and requests, its texts, and its delays."""
    count, requests = struct.unpack_from("=II", told)
    at, texts = 8, []
    for _ in range(5 + 3 * count):
        (length,) = struct.unpack_from("=I", told, at)
        texts.append(told[at + 4 : at + 4 + length])
        at += 4 + length
    return count, requests, texts, np.frombuffer(told, np.int64, offset=at).reshape(requests, count)


def test_a_script_has_all_that_is_sent_and_each_request_s_own_delays() -> None:
    """As the model's name asks, by the seed and the request's number."""
    count, requests, texts, delays = texts_of(script(MODEL, tokens=3, requests=4, chat=True, seed=7))
    assert (count, requests, texts[0]) == (3, 4, b"/v1/chat/completions")
    assert [wire.event(wire.delta("r", MODEL, api="chat", text=f" t{number}")) for number in range(3)] == [
        one.replace(ID.encode(), b"r") for one in texts[5:8]
    ]
    bare, told = texts[8:11], texts[11:14]
    assert all(one.endswith(wire.DONE) and b"usage" not in one for one in bare)
    assert [f'"completion_tokens":{number}'.encode() in one for number, one in enumerate(told, 1)] == [True] * 3
    how = behaviour(MODEL)
    assert delays.tolist() == [[one.due_ns for one in parts(how, tokens=3, seed=7, number=number)] for number in range(4)]


def test_a_script_has_delays_alone() -> None:
    """What misbehaves is the other server's."""
    with pytest.raises(ValueError, match="asks for more"):
        script("known?fault=cut", tokens=3, requests=1, chat=False, seed=1)
