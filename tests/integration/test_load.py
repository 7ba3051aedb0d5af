"""The load generator held to the server of known delays: what is told is what was really sent, and when, request by request."""

import asyncio
import hashlib
import itertools
import ssl
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from gpu_agent.workloads import load as loading
from gpu_agent.workloads.drive import checked
from gpu_agent.workloads.load import Target, load
from gpu_agent.workloads.timed import Timed
from schemas.event import Event
from schemas.jobs import JobChanged
from schemas.measurements import RequestTimed, ResourceRead, TokensTimed
from schemas.requests import Workload
from schemas.results import Figure
from streams.errors import AssayError, Permanent
from streams.speed.performance import Speed
from tests.attempts import attempted
from tests.certificates import certificates
from tests.delays.record import Sent
from tests.delays.running import Server, known_delays

pytestmark = [pytest.mark.integration, pytest.mark.slow]
QUICK = "known?ttft_ms=20&itl_ms=2"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """The server, for all tests of this file."""
    with known_delays() as started:
        yield started


def all_of(server: Server, model: str = QUICK, *, target: dict[str, Any] | None = None, **told: Any) -> list[Timed]:
    """The requests of a load, the warm-up's too, in their order."""
    server.forget()
    usual = {"profile": "concurrent", "concurrency": 2, "requests": 4, "output_tokens": 8, "url": server.url}
    return sorted(
        load(Workload.model_validate(usual | told), Target(model, "m", **(target or {})), seed=1), key=lambda one: one.planned.index
    )


def sent(server: Server, model: str = QUICK, *, target: dict[str, Any] | None = None, **told: Any) -> list[Timed]:
    """The steady requests of a load, in their order."""
    return [one for one in all_of(server, model, target=target, **told) if one.planned.phase == "steady"]


def sha(text: str) -> str:
    """A prompt's hash, as the server notes it."""
    return hashlib.sha256(text.encode()).hexdigest()


def truth(server: Server) -> dict[int, Sent]:
    """What the server did, by the request's index."""
    return {int(one.request_id): one for one in server.record()}


def figures_of(events: Sequence[Event]) -> dict[str, Figure]:
    """What an attempt's load came to, by name."""
    speed = Speed(next(event.job_id for event in events if isinstance(event, RequestTimed)))
    for event in events:
        if isinstance(event, RequestTimed | TokensTimed | ResourceRead | JobChanged):
            speed.add(event)
    assert speed.complete
    return {figure.metric: figure for figure in speed.summary().figures}


def test_every_stamp_lies_where_it_must(server: Server) -> None:
    """A request is sent before it is received, a token comes after it is sent; and what lies between is little."""
    timed, true = sent(server, profile="constant", rate_per_s=40.0, requests=40), truth(server)
    for one in timed:
        real = true[one.planned.index]
        assert one.sent_ns <= real.received_ns
        assert len(one.arrivals) == len(real.sent_ns) == one.output_tokens == 8
        assert all(came >= went for (came, _), went in zip(one.arrivals, real.sent_ns, strict=True))
        assert (one.first_token_ns, one.last_token_ns) == (one.arrivals[0][0], one.arrivals[-1][0])
        assert one.last_token_ns is not None and one.last_token_ns <= one.ended_ns
    off = [one.arrivals[0][0] - one.sent_ns - (true[one.planned.index].sent_ns[0] - true[one.planned.index].received_ns) for one in timed]
    assert statistics.median(off) < 20e6


@pytest.mark.parametrize("profile", ["constant", "concurrent"])
def test_answers_that_nobody_reads_are_few_and_the_rest_are_not_asked_for(
    server: Server, monkeypatch: pytest.MonkeyPatch, profile: str
) -> None:
    """Of an open load that is the client's limit, and each such request says so; a closed one waits. How many waited is in each."""
    monkeypatch.setattr(loading, "MOST_UNREAD", 5)
    server.forget()
    workload = Workload.model_validate({
        "profile": profile, "rate_per_s": 200.0 if profile == "constant" else None, "concurrency": 2 if profile == "concurrent" else None,
        "requests": 40, "output_tokens": 2, "url": server.url, "warmup_requests": 0,
    })  # fmt: skip
    timed = load(workload, Target(QUICK, "m"), seed=1)
    first = next(timed)
    time.sleep(1.0)  # all 40 would have been sent
    asked = len(server.record())
    rest = [first, *timed]
    dropped = [one for one in rest if one.dropped]
    assert asked < 20 and len(rest) == 40
    assert len(dropped) == (40 - asked + 1 if profile == "constant" else 0)  # the first request of all is not measured
    assert {one.error for one in dropped} <= {f"client-limit: {loading.FULL.partition(': ')[2]}"}
    assert 5 <= max(one.unread or 0 for one in rest if not one.dropped) < 20


def test_what_is_offered_is_really_sent(server: Server) -> None:
    """A hundred a second to a server that takes one second: a hundred in flight, each answered after that second."""
    timed = sent(server, "known?ttft_ms=1000&itl_ms=0", profile="constant", rate_per_s=100.0, requests=150, output_tokens=1)
    assert max(one.in_flight for one in timed) > 80
    assert statistics.median((one.first_token_ns or 0) - one.scheduled_ns for one in timed) == pytest.approx(1e9, rel=0.15)
    assert {one.error for one in timed} == {None}


def test_a_closed_load_has_as_many_in_flight_as_it_was_asked_for(server: Server) -> None:
    """More than 64 too."""
    timed = sent(server, "known?ttft_ms=300&itl_ms=0", concurrency=100, requests=250, output_tokens=1)
    assert len(timed) == 250
    assert max(one.in_flight for one in timed) == 100


def test_chats_have_all_that_was_said_before_and_wait_as_long_as_people_think(server: Server) -> None:
    """Three turns each: what was asked and answered is in the next prompt, so that a cache of prefixes finds it; two chats at a time."""
    timed = sent(
        server, f"{QUICK}&blocks=8", api="chat", turns=3, think_s=0.2, requests=8, input_tokens=32, warmup_requests=0
    )  # fmt: skip
    true = truth(server)
    of_chat: dict[int | None, list[Timed]] = {}
    for one in timed:
        of_chat.setdefault(one.planned.session, []).append(one)
    assert [[one.planned.turn for one in chat] for chat in of_chat.values()] == [[0, 1, 2], [0, 1, 2], [0, 1]]
    for chat in of_chat.values():
        prompts = [true[one.planned.index].prompt_tokens for one in chat]
        assert all(after - before > 30 for before, after in itertools.pairwise(prompts))  # the server counts four bytes as one
        assert chat[0].cached_tokens == 0 and all((one.cached_tokens or 0) > 0 for one in chat[1:])
        for before, after in itertools.pairwise(chat):
            assert after.scheduled_ns - before.ended_ns == 200_000_000
            assert 0 <= after.sent_ns - after.scheduled_ns < 100_000_000
    assert {one.error for one in timed} == {None} and max(one.in_flight for one in timed) <= 2


def test_a_chat_ends_where_it_is_not_answered_and_the_next_begins(server: Server) -> None:
    """Every second request fails."""
    timed = sent(server, f"{QUICK}&fault=500&every=2", api="chat", turns=3, requests=9, concurrency=1, warmup_requests=0)
    told = [(one.planned.session, one.planned.turn, one.error is None) for one in timed]
    assert len({session for session, _, _ in told}) == 3
    assert all(turn < 2 for _, turn, _ in told) and any(not good for _, _, good in told)


def test_the_first_turns_and_the_later_ones_have_their_own_ttft(server: Server) -> None:
    """In events and figures; a load with thinking in it is no capacity."""
    workload = Workload(profile="poisson", rate_per_s=10.0, url=server.url, api="chat", turns=2, think_s=0.1, requests=24, output_tokens=4)
    events = asyncio.run(attempted(workload, QUICK))
    requests = [one for one in events if isinstance(one, RequestTimed) and one.phase == "steady"]
    assert {(one.session is not None, one.turn, one.loop) for one in requests} == {(True, 0, None), (True, 1, None)}
    figures = figures_of(events)
    assert figures["ttft_first_turn_mean"].n + figures["ttft_later_turns_mean"].n == figures["ttft_mean"].n
    assert figures["capacity_tokens_per_s"].value is None


@pytest.mark.parametrize("api", ["completions", "chat", "responses"])
def test_tokens_are_counted_by_usage(server: Server, api: str) -> None:
    """32 in 8 chunks are 32, of either channel; input tokens are the server's; the last token ends it, not what follows."""
    timed, true = sent(server, f"{QUICK}&bundle=4&reasoning=8&role=1&empty=2", output_tokens=32, api=api), truth(server)
    for one in timed:
        real = true[one.planned.index]
        assert (one.output_tokens, len(one.arrivals), one.counted_by, one.apportioned) == (32, 8, "usage", True)
        assert (one.prompt_tokens, one.cached_tokens) == (real.prompt_tokens, 0)
        assert one.reasoning_tokens == (0 if api == "completions" else 8)
        assert one.first_token_ns is not None and one.first_token_ns >= real.sent_ns[0]
        assert (one.first_answer_ns == one.first_token_ns) is (api == "completions")


@pytest.mark.parametrize("api", ["completions", "chat", "responses"])
def test_a_whole_answer_has_an_end_and_no_first_token(server: Server, api: str) -> None:
    """It comes when the server has sent it; nothing is said of when its tokens came, and all are counted, by usage or the tokenizer."""
    timed, true = sent(server, f"{QUICK}&reasoning=3", api=api, stream=False), truth(server)
    for one in timed:
        real = true[one.planned.index]
        assert (one.error, one.first_token_ns, one.first_answer_ns) == (None, None, None)
        assert one.arrivals == [(one.last_token_ns, 8)] and (one.output_tokens, one.counted_by, one.apportioned) == (8, "usage", False)
        assert one.last_token_ns is not None and real.ended_ns is not None and one.last_token_ns >= real.sent_ns[-1]
        assert real.asked["stream"] is False and "stream_options" not in real.asked
    took = [
        (one.last_token_ns or 0) - one.sent_ns - (true[one.planned.index].sent_ns[-1] - true[one.planned.index].received_ns)
        for one in timed
    ]
    assert 0 <= statistics.median(took) < 20e6
    counting = {"tokens_of": lambda text: len(text.split())}
    assert {
        (one.output_tokens, one.counted_by) for one in sent(server, f"{QUICK}&usage=never", api=api, stream=False, target=counting)
    } == {(8, "tokenizer")}


def test_the_figures_of_whole_answers_say_what_they_do_not_know(server: Server) -> None:
    """E2E and tokens/s are there; TTFT, ITL and TPOT are not, with the reason."""
    server.forget()
    workload = Workload(profile="concurrent", concurrency=4, requests=40, output_tokens=8, url=server.url, stream=False)
    found = figures_of(asyncio.run(attempted(workload, QUICK)))
    for name in ("ttft_mean", "ttft_p50", "first_answer_mean", "itl_mean", "tpot_mean", "gap_p50"):
        assert found[name].value is None and "answers came whole" in (found[name].why_undefined or "")
    assert (found["e2e_mean"].value or 0) > 34e6 and (found["output_tokens"].value, found["tokens_not_timed"].value) == (320, 0)
    assert found["concurrent_tokens_per_s"].value == found["output_tokens_per_s"].value
    assert found["output_tokens_per_s"].value == pytest.approx(8 * (found["requests_per_s"].value or 0))


def test_the_warm_up_is_sent_in_the_loads_own_shape_and_ends_before_it(server: Server) -> None:
    """As many at a time, or at the rate; nothing of it is under way when the steady phase begins."""
    closed = all_of(server, "known?ttft_ms=50&itl_ms=1", concurrency=6, warmup_requests=12, requests=12)
    warm, steady = ([one for one in closed if one.planned.phase == phase] for phase in ("warmup", "steady"))
    assert (len(warm), max(one.in_flight for one in warm)) == (12, 6)
    assert max(one.ended_ns for one in warm) <= min(one.scheduled_ns for one in steady)
    paced = all_of(server, profile="constant", rate_per_s=40.0, concurrency=None, warmup_requests=8, requests=8)
    due = sorted(one.scheduled_ns for one in paced if one.planned.phase == "warmup")
    assert [after - before for before, after in itertools.pairwise(due)] == [25_000_000] * 7
    assert {one.error for one in (*closed, *paced)} == {None}


def test_a_usage_that_contradicts_its_text_is_told_and_not_chosen_silently(server: Server) -> None:
    """The server says twice as many tokens as it sent; what it says is counted, and beside it stands what the texts have."""
    counting = {"tokens_of": lambda text: len(text.split())}
    for api in ("completions", "chat", "responses"):
        for one in sent(server, f"{QUICK}&reasoning=3&usage=wrong", api=api, target=counting):
            assert (one.output_tokens, one.counted_by) == (16, "usage")
            assert (one.text_tokens, one.text_reasoning_tokens) == (8, 0 if api == "completions" else 3)
            assert one.text_prompt_tokens == 64
    assert {one.text_tokens for one in sent(server, f"{QUICK}&usage=wrong")} == {None}


def test_prompts_of_a_data_set_are_sent_as_they_are(server: Server) -> None:
    """Each once before any is sent again, which is told; none in the warm-up, whose words nobody has seen."""
    texts = [f"Say {number} words." for number in range(5)]
    load: dict[str, Any] = {"prompts": [{"text": text} for text in texts], "requests": 8, "warmup_requests": 2}
    every = all_of(server, api="responses", **load)
    true, (ahead, steady) = truth(server), (every[:2], every[2:])
    assert all(true[one.planned.index].prompt_sha == sha(texts[one.planned.prompt or 0]) for one in steady)
    assert sorted(one.planned.prompt or 0 for one in steady[:5]) == list(range(5))
    assert not {true[one.planned.index].prompt_sha for one in ahead} & set(map(sha, texts))
    found = figures_of(asyncio.run(attempted(Workload.model_validate({"profile": "single", "url": server.url} | load), QUICK)))
    assert (found["prompts_repeated"].value, found["prompts_repeated"].n) == (3, 8)


def test_what_the_client_puts_into_bodies_is_in_each_of_them(server: Server) -> None:
    """And a server that refuses it is told in its words."""
    sent(server, extra_body='{"top_k": 5, "ignore_eos": false}')
    asked = [one.asked for one in server.record()]
    assert len(asked) >= 4 and all((one["top_k"], one["ignore_eos"]) == (5, False) for one in asked)


def test_without_a_usage_the_tokenizer_counts_else_nothing(server: Server) -> None:
    """Chunks never do."""
    model = f"{QUICK}&bundle=4&usage=never"
    assert {(one.output_tokens, one.counted_by) for one in sent(server, model, output_tokens=32)} == {(0, "none")}
    counting = {"tokens_of": lambda text: len(text.split())}
    assert {(one.output_tokens, one.counted_by) for one in sent(server, model, output_tokens=32, target=counting)} == {(32, "tokenizer")}


def test_a_text_is_as_long_as_was_asked_for(server: Server) -> None:
    """Where the server takes it, the end of a text is ignored."""
    assert {one.output_tokens for one in sent(server, f"{QUICK}&eos=3", output_tokens=32)} == {32}


@pytest.mark.parametrize(
    ("fault", "says", "permanent"),
    [
        ("fault=error200", "error-in-200: the engine is dead", False),
        ("fault=cut&after=3", "cut: the connection ended", False),
        ("fault=reset", "cut: the connection ended", False),
        ("fault=429&retry_after=7", "http-429: the server answers 429: refused with 429; it asks for 7 s", False),
        ("fault=401", "http-401: the server answers 401: refused with 401; give the server's key", True),
        ("fault=html", "not-a-stream: the server answers text/html", True),
        ("fault=stall&after=2", "timeout: no token came for 5 s", False),
        ("fault=endless", "endless: ", False),
    ],
)
def test_a_fault_is_an_error_of_its_kind_and_no_other_suffers(server: Server, fault: str, says: str, permanent: bool) -> None:
    """Every second request has it."""
    quick = "known?ttft_ms=2&itl_ms=0.02" if "endless" in fault else QUICK
    timed = sent(server, f"{quick}&{fault}&every=2", requests=6, warmup_requests=0, target={"patience_s": 5.0})
    failed = [one for one in timed if one.error]
    assert len(failed) == 3 and len(timed) == 6
    assert all((one.error or "").startswith(says) and one.permanent is permanent for one in failed)
    assert all(one.output_tokens == 8 for one in timed if not one.error)


def test_an_end_without_done_is_an_end(server: Server) -> None:
    """Not every server sends it."""
    assert {(one.error, one.output_tokens) for one in sent(server, f"{QUICK}&fault=nodone")} == {(None, 8)}


def test_a_load_that_never_succeeds_is_given_up(server: Server) -> None:
    """With the server's words."""
    server.forget()
    workload = Workload(profile="constant", rate_per_s=50.0, requests=500, url=server.url, warmup_requests=0)
    with pytest.raises(AssayError, match="the engine is dead"):
        list(checked(load(workload, Target("known?fault=error200", "m"), seed=1)))
    with pytest.raises(Permanent, match="give the server's key"):
        list(load(workload, Target("known?fault=401", "m"), seed=1))
    with pytest.raises(AssayError, match="Connect"):
        list(load(workload.model_copy(update={"url": "http://127.0.0.1:9"}), Target("m", "m"), seed=1))


def test_the_same_seed_meets_no_warm_cache_unless_asked_for(server: Server) -> None:
    """A second attempt's prompts are new to the server; repeated ones are answered from its cache, and that is told."""
    model, caches = "known?ttft_ms=200&itl_ms=1&cache=1", []
    for first, second in (("run/perf/1", "run/perf/2"), ("", "")):
        server.forget()
        workload = Workload(profile="single", requests=3, url=server.url, warmup_requests=0, output_tokens=2)
        for mark in (first, second):
            timed = list(load(workload, Target(model, mark), seed=4))
        caches.append([(one.cached_tokens or 0) > 0 for one in timed])
    assert caches == [[False] * 3, [True] * 3]


def test_connecting_and_tls_are_told_apart(tmp_path: Path) -> None:
    """Only of requests that a connection was made for; and they are no part of the time to the first token."""
    authority, certificate, _ = certificates(tmp_path)
    with known_delays(certificate=str(certificate)) as secure:
        context = ssl.create_default_context(cafile=str(authority))
        timed = sent(secure, target={"context": context}, profile="single", requests=3)
        assert [one.tls_ns for one in timed] == [None] * 3
        fresh = sent(secure, target={"context": context}, requests=4, warmup_requests=0)
        assert any(one.connect_ns and one.tls_ns and one.sent_ns - one.begun_ns >= one.connect_ns + one.tls_ns for one in fresh)
        with pytest.raises(AssayError, match="certificate"):
            sent(secure)


def test_the_clients_own_health_is_told(server: Server) -> None:
    """Of every request: how late it was begun, how late its loop was, what it took of a core."""
    timed = sent(server, profile="constant", rate_per_s=50.0, requests=60)
    assert all(one.begun_ns >= one.scheduled_ns and one.sent_ns >= one.begun_ns for one in timed)
    assert all(one.loop_lag_ns is not None and one.loop_lag_ns >= 0 for one in timed)
    assert 0 < (timed[-1].cpu_ratio or 0) < 2
    assert not any(one.dropped for one in timed)


def test_an_attempt_says_what_the_server_sent(server: Server) -> None:
    """A chat of eight chunks with four tokens each, reasoning first, every fifth refused: tokens, errors by kind, no energy."""
    server.forget()
    workload = Workload(
        profile="concurrent", concurrency=4, requests=60, output_tokens=32, url=server.url, api="chat", warmup_requests=2
    )  # fmt: skip
    events = asyncio.run(attempted(workload, f"{QUICK}&bundle=4&reasoning=8&role=1&fault=429&every=5"))
    true = truth(server)
    refused = sum(true[index].status == 429 for index in range(2, 62))
    found = figures_of(events)
    assert (found["requests"].value, found["errors"].value, found["errors:http-429"].value) == (60, refused, refused)
    assert (found["output_tokens"].value, found["reasoning_tokens"].value) == (32 * (60 - refused), 8 * (60 - refused))
    assert found["input_tokens"].value == sum(one.prompt_tokens for index, one in true.items() if index >= 2 and one.sent_ns)
    assert found["tokens_not_timed"].value == 0
    assert found["concurrent_tokens_per_s"].value == found["output_tokens_per_s"].value
    assert (found["ttft_p50"].value or 0) < (found["first_answer_p50"].value or 0) <= (found["e2e_p50"].value or 0)
    assert (found["ttft_p99"].why_undefined or "").startswith("n/a (needs 662")
    assert "elsewhere" in (found["energy_uj"].why_undefined or "")


def test_an_attempt_on_a_server_that_refuses_fails_for_good_in_its_words(server: Server) -> None:
    """Another one would end the same way."""
    workload = Workload(profile="single", requests=5, url=server.url)
    ended = [event for event in asyncio.run(attempted(workload, "known?fault=401")) if isinstance(event, JobChanged)][-1]
    assert ended.state == "failed" and ended.error is not None
    assert ended.error.permanent and "give the server's key" in ended.error.message
