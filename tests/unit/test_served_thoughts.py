"""What a server's model only thought, and texts that did not end, are no answers, whichever way they come."""

import json
from typing import Any

import pytest

from gpu_agent.engines.engine import EngineAnswer, EngineRequest
from gpu_agent.engines.served.client import Client, Passing
from gpu_agent.engines.served.probe import Found
from gpu_agent.engines.served.texts import Texts
from gpu_agent.workloads.answers import read_answer
from infra.addresses import Askable
from schemas.jobs import Server
from tests.unit.test_served_answers import answering

THINKING = "thinking"


def told_by(message: dict[str, Any], reason: str | None, *, api: str = "chat") -> EngineAnswer:
    """What the engine makes of a server's answer."""
    choice = {"message": {"role": "assistant", **message}} if api == "chat" else {"text": message["content"]}
    body = {"choices": [{**choice, "finish_reason": reason}], "usage": {"prompt_tokens": 9, "completion_tokens": 5}}
    told = {"until": ["\n\n", "Question:"], "max_gen_toks": 256}
    with answering(lambda handler: handler.wfile.write(json.dumps(body).encode())) as address:
        client = Client(address, key=None, retries=0, timeout_s=20.0, at_once=1, asks=Askable(own=True))
        try:
            texts = Texts(client, "m", Found(server=Server(address=address, model="m", apis=(api,)), chat_length="max_tokens"))
            context = json.dumps([{"role": "user", "content": "2+2?"}]) if api == "chat" else "2+2?"
            request = EngineRequest(0, "generate_until", context, generation=told, is_chat=api == "chat")
            return texts.answered(request, texts.asked(request, None, max_len=4096))
        finally:
            client.close()


@pytest.mark.parametrize("reason", ["stop", "length", None])
@pytest.mark.parametrize(
    ("message", "thought"),
    [
        ({"content": None, "reasoning_content": "First I add.\n"}, "First I add.\n"),
        ({"content": "", "reasoning": "First I add."}, "First I add."),
        ({"content": " \n", "reasoning_content": "hm"}, "hm"),
        ({"content": "<think>First 2 and 2 make 4"}, "First 2 and 2 make 4"),
        ({"content": "\n<think>\nFirst"}, "\nFirst"),
    ],
)
def test_a_thought_without_an_answer_is_none_however_it_ended(message: dict[str, Any], thought: str, reason: str | None) -> None:
    found = told_by(message, reason)
    assert (found.output, found.reasoning, found.finish_reason, found.output_tokens) == (None, thought, THINKING, 5)
    why = (
        "the thinking never ended: 5 tokens" if reason == "length" else "the server ended the thinking: 5 tokens without an answer; servers"
    )
    assert found.error is not None
    assert found.error.startswith(why)


@pytest.mark.parametrize(
    ("content", "reasoning", "output"),
    [
        ("<think>5? no.\n\nIt is 4.</think>\n\n4\n\nQuestion: 3", "5? no.\n\nIt is 4.", "4"),
        ("<think>a</think>b</think> 4", "a</think>b", "4"),
        ("<think></think>4", "", "4"),
        ("5? no.\n\nIt is 4.</think>\n\n4\n\nQuestion: 3", "5? no.\n\nIt is 4.", "4"),  # its template began it
        ("a</think>b</think> 4", "a</think>b", "4"),
        ("</think>4", "", "4"),
        ("Between <think> and </think>.", None, "Between <think> and </think>."),
        ("The tag <think> begins one.", None, "The tag <think> begins one."),
        ("4", None, "4"),
        ("", None, ""),
    ],
)
@pytest.mark.parametrize("api", ["chat", "completions"])
def test_a_thought_that_ended_in_the_text_is_parted_from_the_answer(content: str, reasoning: str | None, output: str, api: str) -> None:
    """Stop texts are looked for in the answer alone, without the white space before it."""
    found = told_by({"content": content}, "stop", api=api)
    assert (found.output, found.reasoning, found.error) == (output, reasoning, None)


def test_an_answer_behind_a_servers_own_channel_begins_by_its_first_word() -> None:
    found = told_by({"content": "\n\n4\n\nQuestion: 3", "reasoning_content": "hm"}, "stop")
    assert (found.output, found.reasoning, found.error) == ("4", "hm", None)


@pytest.mark.parametrize(
    ("reason", "known"), [("eos_token", "stop"), ("stop_sequence", "stop"), ("model_length", "length"), (None, "stop")]
)
def test_ends_by_other_words_are_ends(reason: str | None, known: str) -> None:
    found = told_by({"content": "4"}, reason)
    assert (found.output, found.finish_reason, found.error) == ("4", known, None)


@pytest.mark.parametrize("reason", ["abort", "error"])
def test_a_text_that_the_server_broke_off_is_a_failed_request(reason: str) -> None:
    """In a load too."""
    with pytest.raises(Passing, match=f"broke its text off, and ends it by '{reason}'"):
        told_by({"content": "4 be"}, reason)
    body = json.dumps({"choices": [{"text": "4 be", "finish_reason": reason}]}).encode()
    assert read_answer([(1, body)], kind="application/json").error == f"broken-off: the server ends its text by '{reason}'"


@pytest.mark.parametrize("reason", ["repetition", "tool_calls", "x" * 10_000])
def test_an_end_that_nobody_knows_is_no_answer(reason: str) -> None:
    found = told_by({"content": "4 4 4 4"}, reason)
    assert (found.output, found.finish_reason) == (None, "unknown")
    assert found.error == f"the server ends its text by {reason[:40]!r}, which is no end of an answer that is known here"
