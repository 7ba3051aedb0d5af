"""What was measured of a request to a server, out of what was sent and what came."""

import json
from dataclasses import dataclass

from gpu_agent.workloads.answers import Answer, Tokens, arrivals, read_answer
from gpu_agent.workloads.asking import key_in, prompts_in
from gpu_agent.workloads.connections import Exchange
from gpu_agent.workloads.schedule import Planned
from gpu_agent.workloads.timed import Timed
from streams.errors import AssayError, Permanent, Temporary

# The same request will be refused the same way.
FINAL = frozenset({400, 401, 403, 404, 405, 422})
KEY = "give the server's key by its name: --credential NAME (docs/engines.md)"
HINTS = {401: KEY, 403: KEY, 404: "is the model's name the server's, and the address right?"}
LONGEST_QUOTE = 200
CANCELLED = "cancelled: by the client, as it was asked to"


@dataclass(slots=True)
class Sent:
    """A request that was sent, and its measurements that the exchange itself does not have."""

    planned: Planned
    scheduled_ns: int
    begun_ns: int
    in_flight: int
    exchange: Exchange
    loop_lag_ns: int = 0
    cpu_ratio: float | None = None
    unread: int = 0


def timed_of(sent: Sent, *, tokens_of: Tokens | None) -> Timed:
    """The request's measurements."""
    exchange = sent.exchange
    timed = Timed(
        sent.planned, sent.scheduled_ns, sent.begun_ns, exchange.sent_ns or exchange.closed_ns, ended_ns=exchange.closed_ns,
        connect_ns=exchange.connect_ns, tls_ns=exchange.tls_ns, in_flight=sent.in_flight,
        http_status=exchange.response.status or None, loop_lag_ns=sent.loop_lag_ns, cpu_ratio=sent.cpu_ratio, unread=sent.unread,
        counted_by="none",
    )  # fmt: skip
    answer = Answer()
    if exchange.response.status == 200:
        answer = read_answer(exchange.pieces, kind=exchange.response.headers.get("content-type", ""))
        _tokens(timed, answer, tokens_of=tokens_of)
        if tokens_of and answer.usage:
            _beside(timed, answer, sent, tokens_of)
    error = refused(exchange, answer)
    timed.cancelled = exchange.failure == CANCELLED
    if error and not timed.cancelled:
        timed.error, timed.permanent, timed.dropped = f"{error.code}: {error}", isinstance(error, Permanent), error.code == "client-limit"
    return timed


def answered(sent: Sent) -> str | None:
    """What was answered, without reasoning: what a person reads, and the next turn of a chat has in it; None where it is no answer."""
    exchange = sent.exchange
    answer = read_answer(exchange.pieces, kind=exchange.response.headers.get("content-type", ""))
    return None if answer.error else "".join(text for _, text, reasoning in answer.texts if not reasoning)


def _tokens(timed: Timed, answer: Answer, *, tokens_of: Tokens | None) -> None:
    if answer.usage:
        timed.prompt_tokens, timed.cached_tokens = answer.usage.prompt_tokens, answer.usage.cached_tokens
        timed.reasoning_tokens = answer.usage.reasoning_tokens
    timed.arrivals, timed.counted_by, timed.apportioned = arrivals(answer, tokens_of=tokens_of)
    timed.output_tokens = sum(count for _, count in timed.arrivals)
    timed.last_token_ns = answer.texts[-1][0] if answer.texts else None
    if answer.texts and not answer.whole:
        timed.first_token_ns = answer.texts[0][0]
        timed.first_answer_ns = next((at_ns for at_ns, _, reasoning in answer.texts if not reasoning), None)


def _beside(timed: Timed, answer: Answer, sent: Sent, tokens_of: Tokens) -> None:
    """Counts what the server counted too, by the texts: channel by channel, for one's text is not the other's beginning."""
    thought, said = (tokens_of("".join(text for _, text, reasoning in answer.texts if reasoning is one)) for one in (True, False))
    timed.text_tokens, timed.text_reasoning_tokens = thought + said, thought
    timed.text_prompt_tokens = sum(map(tokens_of, prompts_in(sent.exchange.request)))


def refused(exchange: Exchange, answer: Answer | None = None) -> AssayError | None:
    """Why the exchange gave no whole answer, in words without the server's key; None where it did. Its `code` is the kind."""
    error = _refused(exchange, answer)
    key = key_in(exchange.request)
    return type(error)(str(error).replace(key, "…"), code=error.code) if error and key else error


def _refused(exchange: Exchange, answer: Answer | None) -> AssayError | None:
    response = exchange.response
    if exchange.failure:
        code, _, told = exchange.failure.partition(": ")
        return Temporary(told, code=code)
    if response.status != 200:
        wait = response.headers.get("retry-after")
        told = quoted(exchange) + (f"; {HINTS[response.status]}" if response.status in HINTS else "")
        told += f"; it asks for {wait} s of patience" if wait else ""
        kind = Permanent if response.status in FINAL else Temporary
        return kind(f"the server answers {response.status}: {told}", code=f"http-{response.status}")
    if answer and answer.error:
        code, _, told = answer.error.partition(": ")
        return (Permanent if code == "not-a-stream" else Temporary)(told, code=code)
    return None


def quoted(exchange: Exchange) -> str:
    return said_in(b"".join(piece for _, piece in exchange.pieces).decode(errors="replace"))


def said_in(text: str) -> str:
    """What an error's body says, on one line."""
    try:
        told = json.loads(text)
        error = told.get("error", told)
        text = str(error.get("message", error) if isinstance(error, dict) else error)
    except (ValueError, AttributeError):
        pass
    return " ".join(text.split())[:LONGEST_QUOTE]
