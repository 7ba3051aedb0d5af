"""The server of known delays: OpenAI's completions, chat and responses over bare sockets, with no framework in its path.

It notes what it sent, and when, before the bytes go to the system. `GET /record` gives that as lines of JSON, `DELETE /record` forgets it.
A prompt has a token for each four bytes, begun ones too.
"""

import asyncio
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from itertools import takewhile
from typing import Any

from gpu_agent.workloads.timer import Timer
from tests.delays import wire
from tests.delays.behaviour import Behaviour, Part, behaviour, parts
from tests.delays.places import Places
from tests.delays.record import Sent

PLAIN = {
    "html": (200, b"<!doctype html><title>Sign in</title>", "text/html"), "401": (401, b"", ""), "429": (429, b"", ""),
    "500": (500, b"", ""),
}  # fmt: skip
ENDLESS = 10**6
Lost = Callable[[], None]
PREFACE = b"PRI * HTTP/2.0"  # Source: RFC 9113, section 3.4


class State:
    """What connections share: the timer, the seed, the record, the prompts that were seen, and the places."""

    def __init__(self, timer: Timer, *, seed: int) -> None:
        self.timer, self.seed = timer, seed
        self.record: list[Sent] = []
        self.seen: set[str] = set()
        self.count = 0
        self.places = Places()

    def kept(self, text: str, block: int) -> int:
        """How many of a prompt's tokens lie in blocks that were in front of another too; all of its whole ones are kept from then on."""
        ends = range(4 * block, len(text) + 1, 4 * block) if block else ()
        fronts = [text[:end] for end in ends]
        known = sum(1 for _ in takewhile(self.seen.__contains__, fronts))
        self.seen.update(fronts)
        return known * block


class Connection(asyncio.Protocol):
    """One client's connection; requests come one after the other."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._transport: asyncio.Transport | None = None
        self._got = b""
        self._first_ns = 0
        self._answer: Answer | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """What was under way ends here."""
        self._transport = None
        if self._answer:
            self._answer.lost()

    def data_received(self, data: bytes) -> None:
        """Answers when a request is whole."""
        self._first_ns = self._first_ns if self._got else time.perf_counter_ns()
        self._got += data
        if self._got.startswith(PREFACE):
            return self._by_http2()
        while (cut := self._got.find(b"\r\n\r\n")) >= 0 and self._transport:
            lines = self._got[:cut].decode("latin-1").split("\r\n")
            headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
            end = cut + 4 + int(headers.get("content-length", 0))
            if len(self._got) < end:
                return
            body, self._got = self._got[cut + 4 : end], self._got[end:]
            method, path, _ = lines[0].split(" ")
            self._answer = handle(self._state, self._transport, (method, path), headers, body, first_ns=self._first_ns)
        return None

    def _by_http2(self) -> None:
        """Hands over to HTTP/2, by which the client speaks."""
        from tests.delays.http2 import Connection as Http2  # their package is for those clients alone

        def answered(
            stream: asyncio.Transport, line: tuple[str, str], headers: Mapping[str, str], body: bytes, first_ns: int
        ) -> Lost | None:
            answer = handle(self._state, stream, line, headers, body, first_ns=first_ns)
            return answer.lost if answer else None

        assert self._transport is not None
        other = Http2(answered)
        self._transport.set_protocol(other)
        other.connection_made(self._transport)
        other.data_received(self._got)


def handle(
    state: State, transport: asyncio.Transport, line: tuple[str, str], headers: Mapping[str, str], body: bytes, *, first_ns: int
) -> "Answer | None":
    """Answers a request of that method and path, whose first byte came then; the answer that is under way, where one is."""
    method, path = line
    if path == "/record":
        told = b"".join(json.dumps(one.told()).encode() + b"\n" for one in state.record)
        if method == "DELETE":
            state.record, state.seen, state.count = [], set(), 0
        transport.write(wire.whole(200, told, kind="application/x-ndjson"))
    elif path in ("/v1/models", "/health"):
        transport.write(wire.whole(200, wire.LISTING))
    elif path in wire.PATHS:
        try:
            asked = json.loads(body)
            how = behaviour(asked.get("model", ""))
        except ValueError as error:
            transport.write(wire.whole(400, json.dumps(wire.error(str(error), code="invalid")).encode()))
            return None
        request_id = headers.get("x-request-id", f"known-{state.count}")
        one = Sent(request_id, state.count, path, first_ns)
        state.count += 1
        state.record.append(one)
        answer = Answer(transport, state, one, how, asked)
        answer.begin()
        return answer
    else:
        transport.write(wire.whole(404, b"{}"))
    return None


class Answer:
    """An answer under way."""

    def __init__(self, transport: asyncio.Transport, state: State, one: Sent, how: Behaviour, asked: Mapping[str, Any]) -> None:
        self._transport, self._state, self._one, self._how, self._asked = transport, state, one, how, asked
        self._api = wire.PATHS[one.path]
        self._model = str(asked.get("model", "known"))
        self._stream = bool(asked.get("stream"))
        self._fault = how.of(one.number)
        self._gone = False
        self._began_ns: int | None = None
        self._parts: list[Part] = []
        self._next = b""
        said = [{"content": asked.get("prompt", "")}] if self._api == "completions" else asked.get("messages") or asked["input"]
        text = "".join(str(message.get("content", "")) for message in said)
        self._text = text
        one.asked = {name: value for name, value in asked.items() if name not in ("prompt", "messages", "input")}
        one.prompt_tokens, one.prompt_sha = -(-len(text.encode()) // 4), hashlib.sha256(text.encode()).hexdigest()

    def begin(self) -> None:
        """Sends what comes at once, and says when the rest is due."""
        one, how, state = self._one, self._how, self._state
        if self._fault in PLAIN:
            return self._refuse(self._fault)
        if self._fault == "reset":
            return self._end(abort=True)
        cached = bool(how.cache) and one.prompt_sha in state.seen
        one.cached_tokens = one.prompt_tokens if cached else state.kept(self._text, how.blocks)
        state.seen.add(one.prompt_sha)
        self._parts = parts(how, tokens=self._tokens(), seed=state.seed, number=one.number, cached=cached)
        if self._stream:
            self._begin_stream()
        state.places.enter(self._model, how.places, self._serve, now_ns=one.received_ns)
        return None

    def _serve(self, at_ns: int) -> bool:
        """Has a place from that moment on; whether anybody still waits for the answer."""
        if self._gone:
            return False
        self._began_ns = max(at_ns, self._one.received_ns)
        self._await(0)
        return True

    def _leave(self, due_ns: int) -> None:
        """Gives its place away, once."""
        if self._began_ns is not None:
            self._began_ns = None
            self._state.places.leave(self._model, due_ns)

    def _due_ns(self, part: Part) -> int:
        return (self._began_ns or 0) + part.due_ns

    def _begin_stream(self) -> None:
        self._transport.write(wire.head(200, kind="text/event-stream", request_id=self._one.request_id))
        if self._fault == "error200":
            dead = "the engine is dead"
            responds = self._api == "responses"
            self._write(
                wire.failed(self._one.request_id, dead) if responds else wire.event(wire.error(dead, code="internal_error")) + wire.DONE
            )
            self._end()
            return
        if self._api == "responses":
            self._write(wire.begun(self._one.request_id, self._model))
        if self._how.role and self._api == "chat":
            self._write(wire.event(wire.delta(self._one.request_id, self._model, api="chat", text="", role=True)))
        for _ in range(self._how.empty):
            self._write(wire.event(wire.delta(self._one.request_id, self._model, api=self._api, text="")))

    def _tokens(self) -> int:
        if self._fault == "endless":
            return ENDLESS // 1000
        names = ("max_completion_tokens", "max_tokens", "max_output_tokens")
        asked = next((int(told) for name in names if (told := self._asked.get(name))), 16)
        return min(asked, self._how.eos) if self._how.eos and not self._asked.get("ignore_eos") else asked

    def _await(self, number: int) -> None:
        """The next chunk at its time, counted from the request: what is late does not make the next one late. Its bytes are made before."""
        if not self._gone:
            self._next = wire.chunk(self._body(self._parts[number])) if self._stream else b""
            self._state.timer.at(self._due_ns(self._parts[number]), lambda: self._send(number))

    def _send(self, number: int) -> None:
        if self._gone:
            return
        part, fault = self._parts[number], self._fault
        if fault in ("cut", "stall") and part.first >= self._how.after:
            return self._end(abort=True) if fault == "cut" else None
        self._one.due_ns.append(self._due_ns(part))
        self._one.sent_ns.append(time.perf_counter_ns())
        self._one.tokens.append(part.tokens)
        if self._stream:
            self._transport.write(self._next)
            self._one.blocked |= self._transport.get_write_buffer_size() > 0
        if number + 1 < len(self._parts):
            self._await(number + 1)
        else:
            self._finish()
            self._leave(self._due_ns(part))
        return None

    def _thought(self, part: Part) -> bool:
        return self._api != "completions" and part.first < self._how.reasoning

    def _body(self, part: Part) -> bytes:
        thinks = self._thought(part)
        text = wire.texts(part.first, part.tokens)
        told = wire.delta(self._one.request_id, self._model, api=self._api, text="" if thinks else text, thought=text if thinks else "")
        return wire.event(told)

    def _finish(self) -> None:
        tokens = sum(self._one.tokens)
        wrong = 2 if self._how.usage == "wrong" else 1
        thought = sum(part.tokens for part in self._parts if self._thought(part))
        usage = wire.usage(self._one.prompt_tokens, tokens * wrong, cached=self._one.cached_tokens, reasoning=thought)
        if not self._stream:
            told = self._whole(thought, usage)
            self._transport.write(wire.whole(200, json.dumps(told).encode(), request_id=self._one.request_id))
            self._one.ended_ns = time.perf_counter_ns()
            return
        if self._api == "responses":
            self._write(wire.ended(self._whole(thought, usage)))
        else:
            asked = (self._asked.get("stream_options") or {}).get("include_usage") and self._how.usage != "never"
            ending = wire.ending(self._one.request_id, self._model, api=self._api, usage=usage if asked else None)
            self._write(ending + (b"" if self._fault == "nodone" else wire.DONE))
        self._end()

    def _whole(self, thought: int, usage: Mapping[str, Any]) -> dict[str, Any]:
        """The answer in one piece, of which so many tokens are reasoning."""
        tokens, told = sum(self._one.tokens), None if self._how.usage == "never" else usage
        text, thinks = wire.texts(thought, tokens - thought), wire.texts(0, thought)
        if self._api == "responses":
            named = wire.tokens_of_response(told) if told else None
            return wire.response(self._one.request_id, self._model, text=text, thought=thinks, usage=named)
        answer = wire.closing(self._one.request_id, self._model, api=self._api, reason="length")
        chat = {"message": {"role": "assistant", "content": text} | ({"reasoning_content": thinks} if thinks else {})}
        answer["choices"][0] |= chat if self._api == "chat" else {"text": text}
        answer["choices"][0].pop("delta", None)
        return answer | ({"usage": told} if told else {})

    def _refuse(self, fault: str) -> None:
        status, body, kind = PLAIN[fault]
        extra = {"Retry-After": str(self._how.retry_after)} if fault == "429" else {}
        told = body or json.dumps(wire.error(f"refused with {status}", code=fault)).encode()
        self._one.status = status
        self._transport.write(wire.whole(status, told, kind=kind or "application/json", request_id=self._one.request_id, extra=extra))
        self.lost()

    def _write(self, body: bytes) -> None:
        self._transport.write(wire.chunk(body))

    def _end(self, *, abort: bool = False) -> None:
        self._one.ended_ns = time.perf_counter_ns()
        self._gone = True
        if abort:
            self._leave(time.perf_counter_ns())
            self._transport.abort()
        else:
            self._transport.write(wire.LAST)

    def lost(self) -> None:
        """Sends no more."""
        self._gone = True
        self._leave(time.perf_counter_ns())
        self._one.ended_ns = self._one.ended_ns or time.perf_counter_ns()
