"""Models behind an address with OpenAI's interface: vLLM, SGLang, TGI, llama-server, `transformers serve`, Ollama, and hosted ones.

Options: `url` (of the server), `tokenizer` (a folder with the served model's own: tokens are then sent instead of texts), `max_length`
(tokens; less than the server's), `concurrency` (requests under way, 16), `retries` (of what may pass, 6), `timeout_s` (600); `credential`
is put there by the agent: the name of the key that the run's request gives.
"""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from gpu_agent.engines.engine import EngineAnswer, EngineRequest, Halved, Loaded
from gpu_agent.engines.failures import OfAll
from gpu_agent.engines.scored import Reading, score
from gpu_agent.engines.served.client import OF_REQUEST, Client, Refused
from gpu_agent.engines.served.likelihoods import Likelihoods
from gpu_agent.engines.served.probe import Found, probe
from gpu_agent.engines.served.texts import Texts
from gpu_agent.engines.served.tokens import Tokens
from infra.addresses import Askable
from infra.credentials import CREDENTIAL, key_of
from schemas.jobs import EngineUsed, Server
from schemas.requests import ModelRef
from streams.engines import UNKNOWN, read_options
from streams.errors import AssayError, Invalid
from streams.served import base_of

CONCURRENCY, RETRIES, TIMEOUT_S = 16, 6, 600
WINDOW: Final = 256


class Served:
    """One server's model."""

    def __init__(self) -> None:
        self._client: Client
        self._found: Found
        self._model = ""
        self._tokens: Tokens | None = None
        self._max_len = sys.maxsize

    def load(self, model: ModelRef, *, options: Mapping[str, str], device: str) -> Loaded:
        """Asks the server what it can do. Raises: Invalid, Refused, Passing."""
        asked = read_options("openai", {name: told for name, told in options.items() if name != CREDENTIAL})
        url = asked.get("url", "")
        base = base_of(url)
        asks = Askable.of()
        asks.check(base)
        started = time.perf_counter_ns()
        tokens = Tokens(asked["tokenizer"]) if "tokenizer" in asked else None
        client = Client(
            base, key=key_of(options.get(CREDENTIAL), url), retries=asked.get("retries", RETRIES),
            timeout_s=asked.get("timeout_s", TIMEOUT_S), at_once=asked.get("concurrency", CONCURRENCY), asks=asks,
        )  # fmt: skip
        try:
            found = probe(client, model.uri)
        except AssayError:
            client.close()
            raise
        self._client, self._model, self._found, self._tokens = client, model.uri, found, tokens
        server = found.server
        self._max_len = min(asked.get("max_length", sys.maxsize), server.max_len or sys.maxsize)
        used = EngineUsed(
            name="openai", version=_version(server), dtype=UNKNOWN, quantisation=UNKNOWN, device=UNKNOWN,
            batch=f"{self._client.at_once} requests", max_len=self._max_len if self._max_len < sys.maxsize else 0,
        )  # fmt: skip
        return Loaded(used=used, download_ns=0, load_ns=time.perf_counter_ns() - started, warmup_ns=0, weights_bytes=0, server=server)

    def answer(self, requests: Sequence[EngineRequest]) -> Iterator[EngineAnswer | Halved]:
        """Answers as they come. Raises: OfAll where the server answers none of its kind, Refused and Invalid over one, Passing."""
        texts = [request for request in requests if request.request_type == "generate_until"]
        scored = [request for request in requests if request.request_type != "generate_until"]
        try:
            if scored:
                yield from self._score(scored)
            yield from self._generate(texts)
        except Refused as error:
            if error.status in OF_REQUEST:
                raise
            raise OfAll(str(error), code=error.code) from error

    def _score(self, requests: Sequence[EngineRequest]) -> Iterator[EngineAnswer | Halved]:
        server = self._found.server
        if server.likelihoods is None:
            raise OfAll(
                f"{server.address} tells no log-probabilities of a prompt (asked by echo with logprobs, and by prompt_logprobs), which "
                "this task wants: ask for tasks that generate, or a server that tells them, as vLLM does", code="server-cannot",
            )  # fmt: skip
        if any(request.is_chat for request in requests):
            raise OfAll(
                "no server tells likelihoods of a chat's answer: leave --chat out, or give chat.template as its text", code="server-cannot"
            )
        likelihoods = Likelihoods(self._client, self._model, by=server.likelihoods)
        for first in range(0, len(requests), WINDOW):
            some = requests[first : first + WINDOW]
            if self._tokens is None:
                yield from likelihoods.of_texts(some)
            else:
                # The server generates a token behind what it reads, and a row is one longer than its input.
                reading = Reading(self._tokens.encode_all, self._tokens.prefix_token, self._max_len - 2)
                yield from score(some, reading, likelihoods.of)

    def _generate(self, requests: Sequence[EngineRequest]) -> Iterator[EngineAnswer]:
        texts = Texts(self._client, self._model, self._found)
        tokens: Sequence[Any] = [None] * len(requests)
        if self._tokens is not None:
            found = self._tokens.encode_all([request.context for request in requests], None)
            tokens = [own or [self._tokens.prefix_token] for own in found]
        asked = [texts.asked(request, own, max_len=self._max_len) for request, own in zip(requests, tokens, strict=True)]
        pairs = list(zip(requests, asked, strict=True))
        for _, answer in self._client.each(lambda pair: texts.answered(*pair), pairs):
            yield answer

    def stream(self, *, input_tokens: int, output_tokens: int, seed: int) -> Iterator[int]:
        """Raises: Invalid: how fast a server is, a load on its address measures."""
        raise Invalid("how fast a server is, a load on its address measures: `assay perf --url`", code="engine-cannot")

    def close(self) -> None:
        """Ends the connections."""
        self._client.close()


def _version(server: Server) -> str:
    """What is known of the server's program."""
    return " ".join(filter(None, (server.owner, server.version))) or server.header or UNKNOWN
