"""What the exact server's sender is given: every byte and every delay of its answers, made ahead by what the other server uses too.

Its form (sender.c reads it), numbers as this machine has them: how many parts an answer has, how many requests there are (u32); then texts,
each behind its length (u32): path, model, the answer to any GET, the answer to what the script has not, the head; of each part its event;
of each number of tokens the ending, without usage, then with it; last the delays of each request's parts since its first byte (i64,
ns). A part is a token. `ID` stands wherever the request's id goes.
"""

import json
import struct
from collections.abc import Iterator

import numpy as np

from schemas.requests import Api
from tests.delays import wire
from tests.delays.behaviour import Behaviour, behaviour, parts

ID = "`"  # JSON leaves it as it is, and nothing else has one
PROMPT_TOKENS = 16  # what usage says: the sender reads no prompt


def script(model: str, *, tokens: int, requests: int, chat: bool, seed: int) -> bytes:
    """The script of so many requests, of up to so many tokens. Raises: ValueError, where the model's name asks for more than delays."""
    how = behaviour(model)
    if how != Behaviour(ttft_ms=how.ttft_ms, itl_ms=how.itl_ms, jitter=how.jitter):
        raise ValueError(f"the exact server knows ttft_ms, itl_ms and jitter; {model} asks for more: python -m tests.delays has all")
    made = list(_texts(model, tokens=tokens, chat=chat))
    delays = [[part.due_ns for part in parts(how, tokens=tokens, seed=seed, number=number)] for number in range(requests)]
    texts = b"".join(struct.pack("=I", len(one)) + one for one in made)
    return struct.pack("=II", tokens, requests) + texts + np.array(delays, np.int64).tobytes()


def path(*, chat: bool) -> str:
    """Where its answers are."""
    return "/v1/chat/completions" if chat else "/v1/completions"


def _texts(model: str, *, tokens: int, chat: bool) -> Iterator[bytes]:
    api: Api = "chat" if chat else "completions"
    yield path(chat=chat).encode()
    yield json.dumps(model).encode()
    yield wire.whole(200, wire.LISTING)
    told = f"this server has answers by its script alone: {path(chat=chat)}, model {model}, a stream of at most {tokens} tokens"
    yield wire.whole(400, json.dumps(wire.error(told, code="invalid")).encode())
    yield wire.head(200, kind="text/event-stream", request_id=ID)
    for number in range(tokens):
        yield wire.event(wire.delta(ID, model, api=api, text=wire.texts(number, 1)))
    for asked in (False, True):
        for count in range(1, tokens + 1):
            usage = wire.usage(PROMPT_TOKENS, count) if asked else None
            yield wire.ending(ID, model, api=api, usage=usage) + wire.DONE
