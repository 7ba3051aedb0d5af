"""The engine of servers elsewhere against the transformers engine on the same weights, and what it makes of servers that go wrong."""

import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpu_agent.engines.engine import Engine, EngineAnswer, EngineRequest, Loaded, engine_named
from gpu_agent.engines.failures import OfAll, OfRequest, narrowed, told_of
from gpu_agent.engines.served import client as served_client
from infra.harness.chat import MESSAGES, renderer
from schemas.requests import ModelRef
from streams.errors import AssayError, Invalid, Permanent, Temporary
from tests.models import tiny_llama
from tests.openai_server import NAME, Model, Server
from tests.reference import ours

# What transformers and torch warn of is not ours to mend.
pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore")]
LENGTH = 128
# Nats, or the same share of the value: the server computes one sequence at a time.
TOLERANCE = 0.0001
QUESTION = "Question: What is it that grows in the garden, and why? Answer:"
PAIRS = [
    (QUESTION, " a tree"), (QUESTION, " a flower"), (QUESTION, " 12 apples, or more of them than that"), (QUESTION + "  ", "b"),
    ("ünïcödé — ok", " schön 🌱"), ("one", "\n\n"), ("sum: 1+2=", "3"), ("q", "w " * 20),
]  # fmt: skip
# What wants the tokenizer: no context, whole texts, what must be cut.
OF_TOKENS = [
    EngineRequest(0, "loglikelihood", "", " alone"), EngineRequest(1, "loglikelihood", "", "x"),
    EngineRequest(2, "loglikelihood_rolling", QUESTION), EngineRequest(3, "loglikelihood_rolling", ""),
]  # fmt: skip
TEXTS: list[tuple[str, dict[str, Any]]] = [
    (QUESTION, {"until": ["\n"], "max_gen_toks": 12, "do_sample": False}), (QUESTION, {"until": ["e"], "max_gen_toks": 12}),
    ("copy: abc=", {"until": ["a", "b", "c", "d", "the"], "max_new_tokens": 12, "temperature": 0.0}),
    (QUESTION, {"until": [""], "max_gen_toks": 12}), ("one two", {"until": [], "max_gen_toks": 5}),
]  # fmt: skip


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for what is tried again."""
    monkeypatch.setattr(served_client, "FIRST_PAUSE_S", 0.01)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random model."""
    return tiny_llama(tmp_path_factory.mktemp("model"), max_length=LENGTH, template=True)


@pytest.fixture(scope="module")
def reference(folder: Path) -> Iterator[Engine]:
    """The transformers engine."""
    engine = engine_named("transformers")
    engine.load(ModelRef(uri=str(folder)), options={"threads": "1"}, device="cpu")
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def model(folder: Path) -> Model:
    """The model that is served."""
    return Model.of(str(folder))


@pytest.fixture
def server(model: Model) -> Iterator[tuple[Server, str]]:
    """A server with that model, and its address."""
    served = Server(model)
    listening = served.listening()
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield served, f"http://127.0.0.1:{listening.server_address[1]}"
    listening.shutdown()
    listening.server_close()
    thread.join()


OPEN: list[Engine] = []


def loaded(url: str, *, name: str = NAME, **options: str) -> tuple[Engine, Loaded]:
    """The engine at that address."""
    engine = engine_named("openai")
    told = engine.load(ModelRef(uri=name), options={"url": url, "retries": "2", "concurrency": "2"} | options, device="cpu")
    OPEN.append(engine)
    return engine, told


@pytest.fixture(autouse=True)
def closing() -> Iterator[None]:
    """Ends the connections of what was loaded."""
    yield
    while OPEN:
        OPEN.pop().close()


def scored(pairs: list[tuple[str, str]]) -> list[EngineRequest]:
    """Requests for likelihoods."""
    return [EngineRequest(index=n, request_type="loglikelihood", context=c, continuation=k) for n, (c, k) in enumerate(pairs)]


def texts(told: list[tuple[str, dict[str, Any]]], **more: Any) -> list[EngineRequest]:
    """Requests for texts."""
    return [EngineRequest(n, "generate_until", context, generation=told, **more) for n, (context, told) in enumerate(told)]


def alike(found: list[EngineAnswer], wanted: list[EngineAnswer]) -> None:
    """All is equal but likelihoods, which are close."""
    for own, its in zip(found, wanted, strict=True):
        assert own.loglikelihood == pytest.approx(its.loglikelihood, rel=TOLERANCE, abs=TOLERANCE)
        assert np.frombuffer(own.token_logprobs or b"", "<f4") == pytest.approx(
            np.frombuffer(its.token_logprobs or b"", "<f4"), rel=TOLERANCE, abs=TOLERANCE
        )
        assert replace(own, loglikelihood=None, token_logprobs=None) == replace(its, loglikelihood=None, token_logprobs=None)


def test_the_bound_is_that_of_the_page() -> None:
    """docs/engines.md has it in its table."""
    page = (Path(__file__).parents[2] / "docs" / "engines.md").read_text()
    assert [float(told) for told in re.findall(r"^\| `openai`[^|]+\| (0\.\d+) \|", page, re.MULTILINE)] == [TOLERANCE]


@pytest.mark.parametrize("by", ["echo", "prompt_logprobs"])
@pytest.mark.parametrize("here", [False, True], ids=["texts", "tokens"])
def test_likelihoods_are_those_of_transformers(server: tuple[Server, str], reference: Engine, folder: Path, by: str, here: bool) -> None:
    """By either way in which servers tell them, with the tokenizer here and without it; also the counts, and which are the likeliest."""
    served, url = server
    served.can = frozenset({"completions", by})
    engine, told = loaded(url, **({"tokenizer": str(folder)} if here else {}))
    assert (told.server and told.server.likelihoods) == by
    alike(ours(engine, scored(PAIRS)), ours(reference, scored(PAIRS)))


def test_with_the_tokenizer_all_is_as_in_an_engine_of_ours(server: tuple[Server, str], reference: Engine, folder: Path) -> None:
    """Texts without a context, or a prompt, whole texts, and texts longer than the window; without it the first two are refused."""
    _, url = server
    engine, _ = loaded(url, tokenizer=str(folder))
    alike(ours(engine, OF_TOKENS), ours(reference, OF_TOKENS))
    spaces = [EngineRequest(0, "loglikelihood", " ", "alone")]
    alike(ours(engine, spaces), ours(reference, spaces))
    nothing = texts([("", {"max_gen_toks": 5}), ("  ", {"max_gen_toks": 5})])
    assert ours(engine, nothing) == ours(reference, nothing)
    narrow = engine_named("transformers")
    narrow.load(ModelRef(uri=str(folder)), options={"threads": "1", "max_length": "30"}, device="cpu")
    engine, _ = loaded(url, tokenizer=str(folder), max_length="32")
    long = [EngineRequest(0, "loglikelihood", "a b c " * 30, " cut"), EngineRequest(1, "loglikelihood_rolling", QUESTION * 2)]
    alike(ours(engine, long), ours(narrow, long))
    engine, _ = loaded(url)
    for request in OF_TOKENS[:3]:
        with pytest.raises(Invalid, match="give --option tokenizer=FOLDER"):
            ours(engine, [request])


@pytest.mark.parametrize("here", [False, True], ids=["texts", "tokens"])
def test_greedy_texts_are_those_of_transformers(server: tuple[Server, str], reference: Engine, folder: Path, here: bool) -> None:
    """Also behind more stop texts than a server takes."""
    engine, _ = loaded(server[1], **({"tokenizer": str(folder)} if here else {}))
    for found, wanted in zip(ours(engine, texts(TEXTS)), ours(reference, texts(TEXTS)), strict=True):
        assert (found.output, found.prompt_tokens) == (wanted.output, wanted.prompt_tokens)
        assert found.output_tokens >= wanted.output_tokens - 1  # a stop text that the server does not know is cut here
    assert all(len(asked.get("stop", ())) <= 4 for asked in server[0].seen)


def test_a_chat_is_the_servers_own_template(server: tuple[Server, str], reference: Engine, model: Model) -> None:
    """Its messages come there; the text is that of the same prompt, dressed here."""
    messages = [{"role": "user", "content": QUESTION}]
    told = {"until": ["\n"], "max_gen_toks": 8}
    engine, _ = loaded(server[1])
    context = renderer(MESSAGES, {})(messages)
    (found,) = ours(engine, texts([(context, told)], is_chat=True))
    dressed = model.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    (wanted,) = ours(reference, texts([(dressed, told)]))
    assert (found.output, server[0].seen[-1]["messages"]) == (wanted.output, messages)
    with pytest.raises(OfAll, match="leave --chat out"):
        ours(engine, [replace(scored([(context, "x")])[0], is_chat=True)])
    with pytest.raises(Invalid, match="beginning of an answer"):
        renderer(MESSAGES, {})([*messages, {"role": "assistant", "content": "It"}], add_generation_prompt=False)


def test_a_server_that_only_chats_is_asked_so(server: tuple[Server, str]) -> None:
    """A prompt is a user's message; likelihoods are refused once, with nothing sent, and what no interface has likewise."""
    served, url = server
    served.can = frozenset({"chat"})
    engine, told = loaded(url)
    assert told.server
    assert (told.server.apis, told.server.likelihoods) == (("chat",), None)
    ours(engine, texts([(QUESTION, {"max_gen_toks": 2})]))
    assert served.seen[-1]["messages"] == [{"role": "user", "content": QUESTION}]
    before = len(served.seen)
    with pytest.raises(OfAll, match=r"tells no log-probabilities of a prompt .* ask for tasks that generate"):
        list(narrowed(engine.answer, scored(PAIRS)))
    with pytest.raises(OfRequest, match="engine openai does not take generation argument top_k=3"):
        list(narrowed(engine.answer, texts([(QUESTION, {"do_sample": True, "top_k": 3})])))
    assert len(served.seen) == before


def test_draws_are_asked_for_as_the_request_has_them(server: tuple[Server, str]) -> None:
    """Temperature, share and the text's own seed; greedy ones bring no seed."""
    engine, _ = loaded(server[1])
    ours(engine, texts([("one", {"do_sample": True, "temperature": 0.7, "top_p": 0.9, "max_gen_toks": 1})], seed=2**40 + 5))
    assert {name: server[0].seen[-1][name] for name in ("temperature", "top_p", "seed")} == {"temperature": 0.7, "top_p": 0.9, "seed": 5}
    ours(engine, texts([("one", {"do_sample": False, "temperature": 0.7, "max_gen_toks": 1})]))
    assert (server[0].seen[-1]["temperature"], "seed" in server[0].seen[-1]) == (0.0, False)


def test_what_the_server_says_of_itself_is_told_and_nothing_else(server: tuple[Server, str]) -> None:
    """Its model, owner, version and header; weights, dtype, quantisation and device are unknown."""
    _, told = loaded(server[1])
    assert told.server is not None
    assert told.server.model_dump() == {
        "address": server[1], "model": NAME, "owner": "tests", "version": "1.2", "header": "tests/1", "max_len": LENGTH,
        "apis": ("completions", "chat"), "likelihoods": "echo",
    }  # fmt: skip
    used = told.used
    assert (used.version, used.max_len, used.batch) == ("tests 1.2", LENGTH, "2 requests")
    assert (used.dtype, used.quantisation, used.device, told.model_sha) == ("unknown", "unknown", "unknown", None)


@pytest.mark.parametrize("fault", ["wait", "500", "503", "half", "inside", "drop"])
def test_what_may_pass_is_asked_again(server: tuple[Server, str], fault: str) -> None:
    """The answer comes; a Retry-After is waited for."""
    served, url = server
    engine, _ = loaded(url)
    wanted = ours(engine, texts(TEXTS[:1]))
    served.faults[:] = [fault]
    assert ours(engine, texts(TEXTS[:1])) == wanted
    assert served.faults == []


def test_a_server_that_stays_away_is_a_failure_that_may_pass(server: tuple[Server, str]) -> None:
    """What it answered before is not lost; nothing is asked of it without end."""
    served, url = server
    engine, _ = loaded(url, concurrency="1")
    served.faults[:] = ["", "", *["drop"] * 3]
    found: list[Any] = []
    with pytest.raises(Temporary, match=r"ended in the middle .*; that was try 3"):
        found.extend(narrowed(engine.answer, texts([(f"{n}", {"max_gen_toks": 1}) for n in range(20)])))
    assert served.faults == []
    assert [answer.index for answer in found] == [0, 1]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("401", "give the server's key by its name: --credential NAME"), ("404", "is the model's name the server's, and the address right"),
        ("html", "answers text/html, no JSON: is it the address of a server"),
        ("nothing", "answers 200 without any choice"),
        ("302", "it sends to elsewhere: give that server's address"),
    ],
)  # fmt: skip
def test_what_will_not_pass_is_told_with_what_to_do_and_asked_once(server: tuple[Server, str], fault: str, said: str) -> None:
    """However many requests there are."""
    served, url = server
    engine, _ = loaded(url, concurrency="1")
    served.faults[:] = [fault] * 100
    with pytest.raises(OfAll, match=said):
        list(narrowed(engine.answer, texts([(f"{n}", {"max_gen_toks": 1}) for n in range(20)])))
    assert len(served.faults) >= 98


def test_who_asks_for_an_hour_is_not_waited_for(server: tuple[Server, str]) -> None:
    """The attempt is given up instead, and says what was asked for."""
    served, url = server
    engine, _ = loaded(url)
    served.faults[:] = ["wait long"]
    with pytest.raises(Temporary, match="it asks for 3600 s of patience; that was try 1"):
        ours(engine, texts(TEXTS[:1]))


def test_one_bad_request_is_named(server: tuple[Server, str]) -> None:
    """As by any engine: one that cannot be asked, and one that the server refuses."""
    engine, _ = loaded(server[1], concurrency="1")
    server[0].faults[:] = ["400"] * 100
    with pytest.raises(OfRequest, match="answers 400: asked to answer 400"):
        list(narrowed(engine.answer, texts(TEXTS)))
    server[0].faults.clear()
    with pytest.raises(OfRequest) as caught:
        list(narrowed(engine.answer, scored([*PAIRS[:2], (QUESTION, ""), PAIRS[3]])))
    assert caught.value.index == 2


@pytest.mark.parametrize(
    ("name", "can", "said"),
    [
        ("tinny", {"completions"}, "has no model 'tinny'; it has tiny: name one of them"),
        (NAME, set(), "answers neither /v1/completions nor /v1/chat/completions"),
    ],
)
def test_a_server_without_the_model_is_refused(server: tuple[Server, str], name: str, can: set[str], said: str) -> None:
    """When it is loaded: no sample is sent."""
    server[0].can = frozenset(can)
    with pytest.raises(Invalid, match=said):
        loaded(server[1], name=name)


def test_nobody_at_an_address_is_a_failure_that_may_pass() -> None:
    """And says so."""
    with pytest.raises(Temporary, match="cannot be reached"):
        loaded("http://127.0.0.1:9", retries="1")


def test_a_key_is_shown_to_its_server_and_told_nobody(server: tuple[Server, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is taken from its file by its name; what the server repeats of it is no part of the error."""
    served, url = server
    served.key = "sk-right-1"
    monkeypatch.setenv("ASSAY_CREDENTIALS", str(tmp_path))
    for name, key in (("mine", "sk-right-1"), ("old", "sk-wrong-2")):
        (tmp_path / name).write_text(f"{url}/v1\n{key}\n")
    engine, told = loaded(url, credential="mine")
    assert "sk-" not in repr(told)
    assert ours(engine, texts(TEXTS[:1]))[0].output is not None
    for options in ({}, {"credential": "old"}):
        with pytest.raises(Permanent, match="answers 401: Incorrect API key") as caught:
            loaded(url, **options)
        assert "sk-" not in str(told_of(caught.value)) + repr(caught.value)
    (tmp_path / "other").write_text("http://127.0.0.1:9\nsk-right-1\n")
    with pytest.raises(AssayError, match=r"credential 'other' is for http://127\.0\.0\.1:9, and the run asks") as elsewhere:
        loaded(url, credential="other")
    assert "sk-" not in str(elsewhere.value)
