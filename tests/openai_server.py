"""A small server with the interface of OpenAI over a real model: `python -m tests.openai_server FOLDER PORT [NAME KEY]`.

It answers completions (with `echo` and `logprobs`, or `prompt_logprobs`, where it has them), chat and the list of models. What goes wrong
is put before the next requests by `POST /faults` ({"faults": [...]}): an HTTP status, `wait` or `wait long` (429 with Retry-After), `html`,
`half` (an answer that is cut), `nothing` (a 200 without a choice), `inside` (an error in a 200), `drop` (the connection ends); an empty one
is none. `GET /seen` tells what was asked.
"""

import json
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

NAME = "tiny"
WAITS = {"wait": "1", "wait long": "3600"}  # seconds that are asked for


@dataclass(slots=True)
class Model:
    """A model and its tokenizer; tokens are computed one by one, without any cache."""

    network: Any
    tokenizer: Any

    @classmethod
    def of(cls, folder: str) -> "Model":
        """The model of a folder."""
        import transformers

        network = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype="float32").eval()
        return cls(network, transformers.AutoTokenizer.from_pretrained(folder))

    def logprobs(self, tokens: Sequence[int]) -> Any:
        """[tokens, vocabulary] behind each of the tokens."""
        import torch

        with torch.inference_mode():
            return self.network(torch.tensor([list(tokens)])).logits[0].log_softmax(-1)

    def written(self, tokens: Sequence[int], *, most: int, stops: Sequence[str]) -> tuple[list[int], str, str]:
        """Greedy tokens behind a prompt, their text without a stop text, and why they end."""
        new: list[int] = []
        while len(new) < most:
            new.append(int(self.logprobs([*tokens, *new])[-1].argmax()))
            text = self.tokenizer.decode(new, skip_special_tokens=True)
            if new[-1] == self.tokenizer.eos_token_id:
                return new, text, "stop"
            if found := [text.index(stop) for stop in stops if stop in text]:
                return new, text[: min(found)], "stop"
        return new, self.tokenizer.decode(new, skip_special_tokens=True), "length"


@dataclass(slots=True)
class Server:
    """What the server has and what it does next. `can`: completions, chat, echo, prompt_logprobs."""

    model: Model
    name: str = NAME
    key: str | None = None
    can: frozenset[str] = frozenset({"completions", "chat", "echo"})
    faults: list[str] = field(default_factory=list)
    seen: list[dict[str, Any]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def listening(self, port: int = 0) -> ThreadingHTTPServer:
        """The server, bound to a port of this machine."""
        return ThreadingHTTPServer(("127.0.0.1", port), type("Handler", (Handler,), {"owner": self}))

    def models(self) -> dict[str, Any]:
        """The list of models."""
        length = self.model.network.config.max_position_embeddings
        return {"object": "list", "data": [{"id": self.name, "object": "model", "owned_by": "tests", "max_model_len": length}]}

    def completion(self, asked: dict[str, Any]) -> dict[str, Any]:
        """A completion, with the log-probabilities that are asked for."""
        prompt = asked["prompt"] if isinstance(asked["prompt"], list) else self.model.tokenizer(asked["prompt"])["input_ids"]
        new, text, reason = self._written(prompt, asked)
        choice: dict[str, Any] = {"index": 0, "text": text, "finish_reason": reason, "logprobs": None}
        if asked.get("echo") and "echo" in self.can:
            choice["logprobs"] = self._legacy([*prompt, *new])
            choice["text"] = self.model.tokenizer.decode(prompt) + text
        if asked.get("prompt_logprobs") and "prompt_logprobs" in self.can:
            choice["prompt_logprobs"] = self._by_rank(prompt)
        return self._answer("text_completion", choice, len(prompt), len(new))

    def chat(self, asked: dict[str, Any]) -> dict[str, Any]:
        """A chat's next message."""
        text = self.model.tokenizer.apply_chat_template(asked["messages"], tokenize=False, add_generation_prompt=True)
        prompt = self.model.tokenizer(text, add_special_tokens=False)["input_ids"]
        new, text, reason = self._written(prompt, asked)
        message = {"role": "assistant", "content": text}
        return self._answer("chat.completion", {"index": 0, "message": message, "finish_reason": reason}, len(prompt), len(new))

    def _written(self, prompt: Sequence[int], asked: dict[str, Any]) -> tuple[list[int], str, str]:
        return self.model.written(prompt, most=asked.get("max_tokens", 16), stops=asked.get("stop") or [])

    def _legacy(self, tokens: Sequence[int]) -> dict[str, Any]:
        rows = self.model.logprobs(tokens)
        texts = [self.model.tokenizer.decode([token]) for token in tokens]
        own = [None, *(float(rows[place, token]) for place, token in enumerate(tokens[1:]))]
        best = [None, *({self.model.tokenizer.decode([int(row.argmax())]): float(row.max())} for row in rows[:-1])]
        return {"tokens": texts, "token_logprobs": own, "top_logprobs": best}

    def _by_rank(self, tokens: Sequence[int]) -> list[Any]:
        rows = self.model.logprobs(tokens)
        found: list[Any] = [None]
        for row, token in zip(rows[:-1], tokens[1:], strict=True):
            told = {token: {"logprob": float(row[token]), "rank": int((row > row[token]).sum()) + 1}}
            found.append(
                {str(one): said for one, said in told.items()} | {str(int(row.argmax())): {"logprob": float(row.max()), "rank": 1}}
            )
        return found

    def _answer(self, kind: str, choice: dict[str, Any], read: int, written: int) -> dict[str, Any]:
        usage = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
        return {"id": "1", "object": kind, "model": self.name, "choices": [choice], "usage": usage}


class Handler(BaseHTTPRequestHandler):
    """One request; `owner` is the server that it is asked of."""

    owner: Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "tests/1", ""

    def do_GET(self) -> None:
        """The list of models, the version, and what was asked."""
        if self.path == "/seen":
            self._send(200, {"seen": self.owner.seen})
        elif self.path == "/version":
            self._send(200, {"version": "1.2"})
        elif not self._refused():
            self._send(200, self.owner.models())

    def do_POST(self) -> None:
        """Completions and chat; the faults that come before them."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/faults":
            self.owner.faults[:] = asked["faults"]
            self._send(200, {})
            return
        with self.owner.lock:
            fault = self.owner.faults.pop(0) if self.owner.faults else ""
            self.owner.seen.append(asked)
            if not self._refused() and not self._faulty(fault):
                self._answer(asked)

    def _answer(self, asked: dict[str, Any]) -> None:
        name = self.path.removeprefix("/v1/").removesuffix("/completions")
        if name not in self.owner.can:
            self._send(404, {"error": {"message": "Not Found"}})
        elif asked["model"] != self.owner.name:
            self._send(404, {"error": {"message": f"The model {asked['model']} does not exist."}})
        else:
            self._send(200, self.owner.chat(asked) if name == "chat" else self.owner.completion(asked))

    def _refused(self) -> bool:
        if self.owner.key is None or self.headers.get("Authorization") == f"Bearer {self.owner.key}":
            return False
        self._send(401, {"error": {"message": f"Incorrect API key provided: {self.headers.get('Authorization')}"}})
        return True

    def _faulty(self, fault: str) -> bool:
        """Does what goes wrong; whether anything did."""
        if fault.isdecimal():
            self._send(int(fault), {"error": {"message": f"asked to answer {fault}"}})
        elif fault in WAITS:
            self._send(429, {"error": {"message": "slower, please"}}, {"Retry-After": WAITS[fault]})
        elif fault == "html":
            self._write(200, b"<!doctype html><title>Sign in</title>", "text/html", {})
        elif fault == "half":
            self._write(200, b'{"choices": [{"text": "ha', "application/json", {})
        elif fault == "nothing":
            self._send(200, {"choices": []})
        elif fault == "inside":
            self._send(200, {"error": {"message": "out of workers"}})
        elif fault == "drop":
            self.close_connection = True
        return bool(fault)

    def _send(self, status: int, told: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        self._write(status, json.dumps(told).encode(), "application/json", headers or {})

    def _write(self, status: int, body: bytes, kind: str, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in ({"Content-Type": kind, "Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: what was asked is told by /seen."""


if __name__ == "__main__":
    folder, port, name, key = [*sys.argv[1:], NAME, ""][:4]
    Server(Model.of(folder), name=name, key=key or None).listening(int(port)).serve_forever()
