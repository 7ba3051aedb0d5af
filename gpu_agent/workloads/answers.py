"""What an answer says, out of its body's bytes and when each came: done after the answer has ended, so that it delays no other's stamp.

A token's arrival is that of the bytes which made its chunk whole. Chunks without text in any channel, as one with a role alone, are none.
How many tokens there were is counted by the server's usage, else by the model's tokenizer where that is here; never by chunks. Where chunks
hold several, or halves, the tokens are apportioned to them by their texts' lengths in bytes, and it is said so.

Of an answer that comes whole, not as a stream, nobody knows when its tokens came but that all were there at its end.

Source: OpenAI API reference, Completions and Chat, streaming; WHATWG HTML, section 9.2 (server-sent events). The channel of reasoning is
`reasoning_content` in vLLM 0.32 and DeepSeek's interface, `reasoning` in OpenRouter's. Responses: responses.py.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gpu_agent.workloads import responses

Pieces = Sequence[tuple[int, bytes]]  # perf_counter_ns, bytes of the body
Tokens = Callable[[str], int]
LONGEST_QUOTE = 200
MOST_TOKENS = 2**40  # of one answer, as a usage may say
# How servers say that a text broke off by their own fault, inside a 200. Source: vLLM 0.32 and SGLang (abort, error), DeepSeek's interface.
BROKEN_OFF = ("abort", "error", "insufficient_system_resource")
FILTERED = "content_filter"  # a text of fewer tokens than were asked for, by the server's own doing
UNENDED = "cut: the stream ended without finish_reason, usage or [DONE]"


@dataclass(slots=True)
class Usage:
    """What the server says it read and wrote."""

    prompt_tokens: int
    output_tokens: int
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


@dataclass(slots=True)
class Answer:
    """An answer as it was read. `texts`: when each text came, and whether it was reasoning. `error`: what it tells instead of a text.

    `whole`: it came in one piece, not as a stream; `ended`: its end was told.
    """

    texts: list[tuple[int, str, bool]] = field(default_factory=list)
    usage: Usage | None = None
    error: str | None = None
    whole: bool = False
    ended: bool = False


def read_answer(pieces: Pieces, *, kind: str) -> Answer:
    """The answer in a 200's body. `kind`: its content type."""
    answer = Answer()
    try:
        if _streams(kind):
            for at_ns, name, data in _events(pieces):
                if data.strip() == "[DONE]":
                    answer.ended = True
                else:
                    _take(answer, at_ns, json.loads(data), name=name)
        elif "json" in kind.lower():
            answer.whole = answer.ended = True
            _take(answer, pieces[-1][0] if pieces else 0, json.loads(b"".join(piece for _, piece in pieces)))
        else:
            answer.error = f"not-a-stream: the server answers {kind or 'without a content type'}; is the address right?"
    except (ValueError, TypeError, AttributeError, LookupError, RecursionError) as error:
        answer.error = f"not-understood: {type(error).__name__}: {error}"[:LONGEST_QUOTE]
    if answer.error is None and not answer.texts:
        answer.error = "no-token: the answer ended without any text"
    if answer.error is None and not answer.ended:
        answer.error = UNENDED
    return answer


def went_on_ns(pieces: Pieces, *, kind: str, since_ns: int) -> int:
    """When an answer under way last went on: with a text, or, where it comes whole, with more than blanks; `since_ns` where it did not.

    Comments, empty chunks and blank lines keep a connection, and are no answer. Most pieces hold whole events, so that the last one tells.
    """
    late = [one for one in pieces if one[0] > since_ns]
    if not _streams(kind):
        return max((at_ns for at_ns, piece in late if piece.strip()), default=since_ns)
    for one in reversed(late):
        if read_answer([one], kind=kind).texts:
            return one[0]
    texts = read_answer(pieces, kind=kind).texts if late else []
    return max(since_ns, texts[-1][0] if texts else 0)


def _streams(kind: str) -> bool:
    return "event-stream" in kind.lower()


def _events(pieces: Pieces) -> Iterator[tuple[int, str, str]]:
    """Server-sent events' names and data, each with when its last byte came."""
    held, name = list[str](), ""
    for at_ns, line in _lines(pieces):
        if line.startswith("data:"):
            held.append(line[5:].removeprefix(" "))
        elif line.startswith("event:"):
            name = line[6:].strip()
        elif not line:
            if held:
                yield at_ns, name, "\n".join(held)
            held, name = [], ""


def _lines(pieces: Pieces) -> Iterator[tuple[int, str]]:
    """The lines, each with when its last byte came; what has no end is the last of them, and an empty one ends all."""
    rest = b""
    for at_ns, piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        yield from ((at_ns, line.rstrip(b"\r").decode(errors="replace")) for line in lines)
    if pieces:
        yield from ((pieces[-1][0], line) for line in (rest.decode(errors="replace").strip(), ""))


def _take(answer: Answer, at_ns: int, told: dict[str, Any], *, name: str = "") -> None:
    if responses.is_one(told):
        return _take_response(answer, at_ns, told)
    if error := _error(told, name=name):
        answer.error = f"error-in-200: {error}"[:LONGEST_QUOTE]
    ends = _ends(told)
    answer.ended = answer.ended or bool(ends) or bool(told.get("usage") and not told.get("choices"))
    if reason := next((reason for reason in ends if reason in (*BROKEN_OFF, FILTERED)), None):
        answer.error = f"broken-off: the server ends its text by {reason!r}"
    for choice in told.get("choices") or ():
        thought, text = texts_of(choice)
        answer.texts += [(at_ns, text, reasoning) for text, reasoning in ((thought, True), (text, False)) if text]
    if usage := told.get("usage"):
        answer.usage = usage_of(usage)
    return None


def _error(told: Mapping[str, Any], *, name: str) -> object:
    """What an event says to have gone wrong, in whichever form; None where it says nothing of that.

    Source: `error` as OpenAI's interfaces have it; `object` "error" as vLLM 0.6 and FastChat, `detail` as FastAPI, `message` as TGI 3 do.
    """
    said = told.get("error") or told.get("detail") or (told.get("message") if "choices" not in told else None)
    if not (said or name == "error" or told.get("object") == "error"):
        return None
    return said.get("message", said) if isinstance(said, dict) else said or "it says no more of it"


def _take_response(answer: Answer, at_ns: int, told: dict[str, Any]) -> None:
    if error := responses.failure(told):
        answer.error = f"error-in-200: {error}"[:LONGEST_QUOTE]
    elif responses.filtered(told):
        answer.error = f"broken-off: the server ends its text by {FILTERED!r}"
    answer.ended = answer.ended or bool(responses.end(told))
    answer.texts += [(at_ns, said, reasoning) for text, reasoning in responses.texts(told) if (said := _text(text))]
    if usage := responses.usage(told):
        answer.usage = usage_of(usage)


def broken_off(told: Mapping[str, Any]) -> str | None:
    """The reason by which a body, or a chunk, says that the server broke its text off; None where it says none."""
    return next((reason for reason in _ends(told) if reason in BROKEN_OFF), None)


def _ends(told: Mapping[str, Any]) -> list[str]:
    """The reasons by which a body, or a chunk, says that its texts have ended."""
    choices = told.get("choices")
    reasons = [choice.get("finish_reason") for choice in choices if isinstance(choice, dict)] if isinstance(choices, list) else []
    return [str(reason) for reason in reasons if reason]


def texts_of(choice: dict[str, Any]) -> tuple[str, str]:
    """A choice's reasoning and its answer: in a chunk's delta, in a whole message, or plain. Raises: ValueError where they are no texts."""
    told = choice.get("delta") or choice.get("message") or {}
    calls = "".join(_text((call.get("function") or {}).get("arguments")) for call in told.get("tool_calls") or ())
    thought = _text(told.get("reasoning_content")) or _text(told.get("reasoning"))
    return thought, (_text(choice.get("text")) or _text(told.get("content")) or _text(told.get("refusal"))) + calls


def _text(told: object) -> str:
    """A text, or the texts of a list of parts; nothing for none. Halves of a letter, which no UTF-8 can write, become "?"."""
    if isinstance(told, list) and all(isinstance(part, dict) for part in told):
        return "".join(_text(part.get("text")) for part in told)
    if told is not None and not isinstance(told, str):
        raise ValueError(f"{str(told)[:LONGEST_QUOTE]} stands where a text should")
    return (told or "").encode(errors="replace").decode()


def usage_of(told: dict[str, Any]) -> Usage:
    """What a body's `usage` says. Raises: ValueError where that is no number of tokens."""
    read, written = told.get("prompt_tokens_details") or {}, told.get("completion_tokens_details") or {}
    return Usage(
        _tokens(told.get("prompt_tokens")) or 0, _tokens(told.get("completion_tokens")) or 0, _tokens(read.get("cached_tokens")),
        _tokens(written.get("reasoning_tokens")),
    )  # fmt: skip


def _tokens(told: object) -> int | None:
    if told is None:
        return None
    if isinstance(told, bool) or not isinstance(told, int | float) or not 0 <= told <= MOST_TOKENS:
        raise ValueError(f"usage says {str(told)[:40]}, which is no number of tokens")
    return int(told)


def arrivals(answer: Answer, *, tokens_of: Tokens | None) -> tuple[list[tuple[int, int]], str, bool]:
    """When so many tokens came; what they are counted by (usage, tokenizer, none); whether they had to be apportioned.

    Counted by nothing, there is no arrival at all: a chunk is no token. An answer that came whole arrived at once.
    """
    texts = answer.texts
    if answer.usage and answer.usage.output_tokens > 0:
        total, counted_by = answer.usage.output_tokens, "usage"
    elif tokens_of:
        total, counted_by = tokens_of("".join(text for _, text, _ in texts)), "tokenizer"
    else:
        return [], "none", False
    if answer.whole:
        return [(texts[-1][0], total)] if texts and total else [], counted_by, False
    if total == len(texts):
        return [(at_ns, 1) for at_ns, _, _ in texts], counted_by, False
    shares = apportioned(total, [len(text.encode()) for _, text, _ in texts])
    return [(at_ns, share) for (at_ns, _, _), share in zip(texts, shares, strict=True) if share], counted_by, True


def apportioned(total: int, weights: Sequence[int]) -> list[int]:
    """The total as whole shares by weight, the first at least 1: largest remainders (Hamilton's method)."""
    if not weights or total <= 0:
        return [0] * len(weights)
    whole = sum(weights)
    shares = [total * weight // whole for weight in weights]
    order = sorted(range(len(weights)), key=lambda n: (-(total * weights[n] % whole), n))
    for n in order[: total - sum(shares)]:
        shares[n] += 1
    if shares[0] == 0:
        most = max(range(len(shares)), key=shares.__getitem__)
        shares[0], shares[most] = 1, shares[most] - 1
    return shares
