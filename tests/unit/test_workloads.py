"""Schedules: fixed before the start, right in their rate, the same for the same seed; and prompts as tokens."""

import itertools
import statistics
from collections.abc import Callable
from contextlib import nullcontext

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gpu_agent.engines.prompts import cut, generation, rolling
from gpu_agent.workloads.schedule import next_turn, schedule
from gpu_agent.workloads.wording import prompt_of
from schemas.requests import EvaluationRequested, Workload
from streams.bounds import LEAST_RATE, MOST_LOAD_S
from streams.errors import Invalid
from streams.planning import check
from streams.speed.workloads import longest
from tests.pool import STAMP
from tests.runs import run_named

R = run_named("r")


@given(st.floats(0.5, 200), st.integers(1, 60))
def test_a_constant_rate_is_constant(rate: float, requests: int) -> None:
    """Request k is due at k / rate; none after the duration."""
    warmup, steady = schedule(Workload(profile="constant", rate_per_s=rate, requests=requests, duration_s=2.0), seed=1)
    due = [planned.at_s for planned in steady]
    assert len(warmup) == 2
    assert all(at is not None and at < 2.0 for at in due)
    assert due == pytest.approx([k / rate for k in range(len(due))])
    assert len(due) == requests or len(due) >= 2.0 * rate - 1


def test_poisson_arrivals_have_the_rate_and_the_spread_of_a_poisson_process() -> None:
    """The mean gap is 1 / rate, and so is its standard deviation."""
    _, steady = schedule(Workload(profile="poisson", rate_per_s=50.0, requests=4000), seed=7)
    due = [planned.at_s or 0.0 for planned in steady]
    gaps = [after - before for before, after in itertools.pairwise(due)]
    mean = sum(gaps) / len(gaps)
    spread = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    assert mean == pytest.approx(0.02, rel=0.06)
    assert spread == pytest.approx(0.02, rel=0.08)


@pytest.mark.parametrize("shape", [0.25, 1.0, 16.0])
def test_gamma_arrivals_have_the_rate_and_the_burstiness_that_was_asked_for(shape: float) -> None:
    """The mean gap is 1 / rate, and its coefficient of variation 1 / √burstiness."""
    _, steady = schedule(Workload(profile="gamma", rate_per_s=50.0, burstiness=shape, requests=6000), seed=7)
    gaps = [(after.at_s or 0) - (before.at_s or 0) for before, after in itertools.pairwise(steady)]
    assert statistics.fmean(gaps) == pytest.approx(0.02, rel=0.08)
    assert statistics.stdev(gaps) == pytest.approx(0.02 / shape**0.5, rel=0.08)


@given(st.floats(0, 100), st.floats(0, 100), st.floats(1, 20))
def test_a_ramp_has_sent_as_many_as_its_rate_lets_it_at_every_moment(rate: float, to: float, duration_s: float) -> None:
    """Request k is due when the rate's integral is k; the last one before the end."""
    assume(max(rate, to) > 0.1)
    _, steady = schedule(Workload(profile="ramp", rate_per_s=rate, rate_to_per_s=to, duration_s=duration_s), seed=1)
    due = [planned.at_s or 0.0 for planned in steady]
    assert due == sorted(due) and all(0 <= at < duration_s for at in due)
    assert [rate * at + (to - rate) / duration_s * at * at / 2 for at in due] == pytest.approx(list(range(len(due))), abs=1e-6)
    assert len(due) == pytest.approx((rate + to) / 2 * duration_s, abs=1.01)


@pytest.mark.parametrize(
    ("told", "due"),
    [
        ({"profile": "concurrent", "concurrency": 8}, [None] * 4),
        ({"profile": "constant", "rate_per_s": 2.0}, [0.0, 0.5, 1.0, 1.5]),
        ({"profile": "constant", "rate_per_s": 0.01}, [0.0, 10.0, 20.0, 30.0]),  # as fast as a warm-up must be
        ({"profile": "ramp", "rate_per_s": 0.0, "rate_to_per_s": 2.0, "duration_s": 1.0}, [0.0]),
    ],
)
def test_a_warm_up_has_the_shape_of_its_load(told: dict[str, object], due: list[float | None]) -> None:
    """So many at a time, or at its rate; the steady phase is numbered behind it, whatever it had."""
    load = Workload.model_validate({"warmup_requests": 4, "requests": 3} | told)
    warmup, steady = schedule(load, seed=3)
    assert [one.at_s for one in warmup] == pytest.approx(due) if due[0] is not None else [one.at_s for one in warmup] == due
    assert {one.phase for one in warmup} == {"warmup"} and next(steady).index == 4


def test_a_warm_up_sends_no_text_of_a_trace_ahead() -> None:
    """Its lengths and times, with prompts of its own: a cache that knew the trace's would answer."""
    trace = (
        {"at_ms": 0, "input_tokens": 600, "output_tokens": 5, "hash_ids": [1, 2]},
        {"at_ms": 40, "input_tokens": 9, "output_tokens": 7},
    )
    warmup, steady = schedule(Workload.model_validate({"profile": "trace", "trace": trace, "url": "http://h"}), seed=3)
    assert [(one.input_tokens, one.output_tokens, one.at_s, one.shared) for one in warmup] == [(600, 5, 0.0, ()), (9, 7, 0.04, ())]
    assert [one.shared for one in steady] == [((1, 512), (2, 88)), ()]


def test_prompts_share_as_much_of_their_beginning_as_was_asked_for() -> None:
    """Three prefixes of 60 tokens, in front of 40 that nobody else has; the same in the next attempt, behind another mark."""
    told = Workload(requests=40, warmup_requests=0, input_tokens=100, shared_prefix_ratio=0.6, shared_prefixes=3)
    prompts = [prompt_of(one, mark="run/perf/1").split() for one in schedule(told, seed=5)[1]]
    assert len({tuple(words[:61]) for words in prompts}) == 3
    assert len({tuple(words[61:]) for words in prompts}) == 40
    assert {len(words) for words in prompts} == {1 + 60 + 1 + 40}
    again = [prompt_of(one, mark="run/perf/2").split() for one in schedule(told, seed=5)[1]]
    assert all(one[0] != other[0] and one[1:61] == other[1:61] for one, other in zip(prompts, again, strict=True))


def test_the_client_gives_up_as_many_requests_as_it_was_asked_to() -> None:
    """By the draw of each, the same for the same seed; none of the warm-up."""
    told = Workload(requests=2000, warmup_requests=3, cancel_ratio=0.2, cancel_after_s=0.5)
    warmup, steady = schedule(told, seed=5)
    given_up = [one.index for one in steady if one.cancel_after_s == 0.5]
    assert len(given_up) == pytest.approx(400, rel=0.1)
    assert given_up == [one.index for one in schedule(told, seed=5)[1] if one.cancel_after_s is not None]
    assert {one.cancel_after_s for one in warmup} == {None}


@pytest.mark.parametrize("profile", ["constant", "poisson", "gamma", "concurrent", "single"])
def test_the_same_seed_gives_the_same_schedule(profile: str) -> None:
    """Every request with its own number and seed."""
    told = Workload.model_validate({"profile": profile, "rate_per_s": 5.0, "burstiness": 2.0, "concurrency": 3, "requests": 20})
    first, second, other = (list(schedule(told, seed=seed)[1]) for seed in (3, 3, 4))
    assert first == second
    assert first != other
    assert [planned.index for planned in first] == list(range(2, 22))


def test_chats_are_numbered_turn_behind_turn_and_the_last_has_what_is_left() -> None:
    """At the rate of chats; each turn has a prompt of its own."""
    workload = Workload(profile="constant", rate_per_s=2.0, requests=7, turns=3, api="chat", url="http://h", warmup_requests=1)
    firsts = list(schedule(workload, seed=5)[1])
    assert [(one.index, one.at_s, one.turns, one.session) for one in firsts] == [(1, 0.0, 3, 1), (4, 0.5, 3, 4), (7, 1.0, 1, None)]
    second = next_turn(workload, firsts[0], seed=5)
    assert second is not None and (second.index, second.turn, second.session, second.at_s) == (2, 1, 1, None)
    third = next_turn(workload, second, seed=5)
    assert third is not None and next_turn(workload, third, seed=5) is None
    assert len({one.seed for one in (*firsts, second, third)}) == 5
    assert longest(workload) == (3 * workload.input_tokens + 2 * workload.output_tokens, workload.output_tokens)


def test_a_profile_without_its_rate_is_refused() -> None:
    """It would never send, or all at once."""
    with pytest.raises(Invalid, match="rate"):
        list(schedule(Workload(profile="constant", requests=3), seed=1)[1])


@pytest.mark.parametrize(
    ("engine", "told", "says"),
    [
        ("encoder", {"profile": "single", "requests": 3}, "generates no tokens"),
        ("transformers", {"profile": "constant", "requests": 3}, "needs a rate_per_s above 0"),
        ("transformers", {"profile": "single"}, "would never end"),
        ("transformers", {"profile": "gamma", "rate_per_s": 1, "requests": 3}, "profile gamma needs a burstiness"),
        (
            "transformers",
            {"profile": "poisson", "rate_per_s": 1, "burstiness": 2, "requests": 3},
            "burstiness is for profile gamma or sweep, not poisson",
        ),
        (
            "transformers",
            {"requests": 3, "url": "http://h", "cancel_ratio": 0.5},
            "cancel_ratio is for a server: give its url, and cancel_after_s",
        ),
        ("transformers", {"requests": 3, "turns": 2}, "turns are a chat's, which a server is asked for: give its url, and api chat"),
        ("transformers", {"requests": 3, "prompts": [{"text": "a"}]}, "draws its prompts itself: give the url of a server"),
        ("transformers", {"requests": 3, "url": "http://h", "prompts": [{"text": "a"}, {"text": ""}]}, "prompts.1 is empty"),
        ("transformers", {"requests": 3, "url": "http://h", "prompts_limit": 2}, "prompts_limit is for the documents of prompts_task"),
        (
            "transformers",
            {"requests": 3, "url": "http://h", "prompts": [{"text": "a"}], "prompts_task": "gsm8k"},
            "prompts and prompts_task are two sets of prompts",
        ),
        (
            "transformers",
            {"requests": 3, "url": "http://h", "prompts_task": "gsm8k", "shared_prefix_ratio": 0.5},
            "asked as they are, each by itself: leave shared_prefix_ratio out",
        ),
        (
            "transformers",
            {"requests": 3, "url": "http://h", "prompts": [{"text": "a" * 90_000}] * 12},
            "12 prompts have 1,080,000 bytes: give at most 1,048,576",
        ),
        ("transformers", {"requests": 3, "concurrency": 64}, "concurrency is for profile concurrent, not single"),
        (
            "transformers",
            {"requests": 3, "concurrency": 64, "profile": "constant", "rate_per_s": 5},
            "concurrency is for profile concurrent, not constant",
        ),
        ("transformers", {"duration_s": 3, "concurrency": 64, "profile": "sweep"}, "concurrency is for profile concurrent, not sweep"),
        (
            "transformers",
            {"requests": 3, "rate_per_s": 9},
            "rate_per_s is for profile constant or poisson or gamma or ramp or sweep, not s",
        ),
        (
            "transformers",
            {"requests": 3, "rate_per_s": 0},
            "rate_per_s is for profile constant or poisson or gamma or ramp or sweep, not s",
        ),
        (
            "transformers",
            {"requests": 3, "concurrency": 2, "profile": "concurrent", "rate_per_s": 9},
            "rate_per_s is for profile .*, not concurrent",
        ),
        (
            "transformers",
            {"profile": "trace", "trace": [{"at_ms": 0, "input_tokens": 1, "output_tokens": 1}], "output_tokens": 9},
            "output_tokens is for profile .*, not trace",
        ),
        ("transformers", {"requests": 3, "url": "http://h", "cancel_after_s": 1}, "cancel_after_s says nothing without cancel_ratio"),
        (
            "transformers",
            {"requests": 3, "url": "http://h", "shared_prefixes": 9},
            "shared_prefixes says nothing without shared_prefix_ratio",
        ),
        ("transformers", {"requests": 3, "url": "http://h", "prompts": [{"text": "a"}], "input_tokens": 9}, "leave input_tokens out"),
        ("transformers", {"requests": 3, "stream": False}, "stream false is for a server: give its url, or leave it out"),
        ("transformers", {"requests": 3, "api": "responses"}, "api responses is for a server"),
        ("transformers", {"requests": 3, "http": "2"}, "http 2 is for a server"),
        ("transformers", {"requests": 3, "url": "http://h", "streams": 4}, "streams are of HTTP/2: give http 2"),
        ("transformers", {"requests": 3, "extra_body": '{"top_k": 5}'}, "extra_body is for a server"),
        ("transformers", {"requests": 3, "url": "http://h", "extra_body": "{"}, "extra_body is no JSON: give an object"),
        ("transformers", {"requests": 3, "url": "http://h", "extra_body": '{"p": NaN}'}, "extra_body is no JSON: give an object"),
        ("transformers", {"requests": 3, "url": "http://h", "extra_body": "[" * 9000}, "extra_body is no JSON: give an object"),
        ("transformers", {"requests": 3, "url": "http://h", "extra_body": "[]"}, "extra_body is no JSON object"),
        (
            "transformers",
            {"requests": 3, "url": "http://h", "extra_body": '{"top_k": 5, "stream": false}'},
            "extra_body may not say stream: the load says whether answers are streamed",
        ),
        (
            "transformers",
            {"requests": 3, "url": "http://h", "extra_body": '{"max_tokens": 9}'},
            "may not say max_tokens: the load says how long",
        ),
        ("transformers", {"requests": 3, "turns": 2, "url": "http://h"}, "give its url, and api chat"),
        ("transformers", {"requests": 3, "turns": 101, "url": "http://h", "api": "chat"}, "workload.turns 101: give 1 to 100"),
        ("transformers", {"requests": 3, "turns": 0}, "workload.turns 0: give 1 to 100"),
        ("transformers", {"requests": 3, "think_s": 2}, "think_s is for chats of several turns"),
        ("transformers", {"requests": 3, "turns": 2, "url": "http://h", "api": "chat", "profile": "sweep"}, "not for profile sweep"),
        (
            "transformers",
            {"requests": 3, "turns": 2, "url": "http://h", "api": "chat", "shared_prefix_ratio": 0.5},
            "leave shared_prefix_ratio out, or turns",
        ),
        (
            "transformers",
            {"requests": 9, "turns": 9, "think_s": 86_400, "url": "http://h", "api": "chat", "profile": "constant", "rate_per_s": 1},
            "would last 8 days",
        ),
        ("transformers", {"requests": 3, "shared_prefix_ratio": 0.5}, "shared_prefix_ratio is for prompts that are drawn for a server"),
        ("transformers", {"profile": "ramp", "rate_per_s": 1, "requests": 3}, "needs a duration_s"),
        ("transformers", {"profile": "ramp", "rate_per_s": -1, "rate_to_per_s": 3, "duration_s": 3}, "none below"),
        (
            "transformers",
            {"profile": "ramp", "rate_per_s": 9_000, "rate_to_per_s": 9_000, "duration_s": 300},
            "would send 2,700,000 requests",
        ),
        (
            "transformers",
            {"profile": "constant", "rate_per_s": 1e-5, "requests": 9},
            "would last 10 days: give at most 7; raise its rate_per_s",
        ),
        (
            "transformers",
            {"profile": "gamma", "burstiness": 1, "rate_per_s": 1e-300, "duration_s": 3},
            "rate_per_s is 1e-300: give 0.000010 or more",
        ),
        ("transformers", {"profile": "ramp", "rate_per_s": 1, "rate_to_per_s": 1e-300, "duration_s": 3}, "rate_to_per_s is 1e-300: give"),
        (
            "transformers",
            {
                "profile": "trace",
                "speedup": 0.001,
                "trace": [{"at_ms": 0, "input_tokens": 1, "output_tokens": 1}, {"at_ms": 7e5, "input_tokens": 1, "output_tokens": 1}],
            },
            "would last 8 days: give at most 7; raise its speedup",
        ),
        (
            "transformers",
            {"profile": "single", "requests": 1, "warmup_requests": 10_000, "output_tokens": 1_000_000},
            "would bring 10,001,000,000 output tokens",
        ),
    ],
)
def test_a_workload_that_cannot_be_is_refused_when_it_is_planned(engine: str, told: dict[str, object], says: str) -> None:
    """With what to change."""
    request = EvaluationRequested.model_validate(
        {"occurred_us": 0, "producer": STAMP, "run_id": R, "model": {"uri": "m"}, "engine": {"name": engine}, "workload": told}
    )
    with pytest.raises(Invalid, match=says):
        check(request)


@pytest.mark.parametrize(("limit", "says"), [("ttft_ns", "have no TTFT: hold them to e2e"), ("itl_ns", "have no ITL"), ("e2e_ns", None)])
def test_whole_answers_are_held_to_no_time_that_they_do_not_have(limit: str, says: str | None) -> None:
    """Refused when it is planned."""
    workload = {"url": "http://h", "stream": False, "profile": "single", "requests": 3}
    about = {"occurred_us": 0, "producer": STAMP, "run_id": R, "model": {"uri": "m"}, "workload": workload}
    request = EvaluationRequested.model_validate(about | {"slo": {limit: 10**9}})
    with pytest.raises(Invalid, match=says) if says else nullcontext():
        check(request)


@pytest.mark.parametrize(
    ("workload", "most"),
    [
        (Workload(profile="concurrent", concurrency=10_000, duration_s=604_800, output_tokens=1_000_000), 20),
        (Workload(profile="single", duration_s=604_800, output_tokens=5_000, warmup_requests=0), 4_000),
        (Workload(profile="poisson", rate_per_s=LEAST_RATE, requests=50), None),
    ],
)
def test_what_only_its_time_ends_sends_no_more_than_a_load_may_bring(workload: Workload, most: int | None) -> None:
    """So many requests that their tokens are held in memory; and none behind a week, however seldom they come."""
    steady = list(schedule(workload, seed=1)[1])
    if most is None:
        assert 1 <= len(steady) < 50 and all((one.at_s or 0) < MOST_LOAD_S for one in steady)
    else:
        assert len(steady) == most


@given(st.lists(st.integers(0, 9), max_size=60), st.integers(2, 12))
def test_rolling_windows_score_every_token_once(tokens: list[int], length: int) -> None:
    """In order, each window within the model's length, each with a token before it."""
    windows = list(rolling(tokens, prefix_token=99, max_len=length))
    assert [token for window in windows for token in window.continuation] == tokens
    assert all(window.context and len(window.context) + len(window.continuation) <= length + 1 for window in windows)


@pytest.mark.parametrize(
    ("told", "until", "tokens", "samples"),
    [
        ({}, ("</s>",), 256, False),
        ({"until": "\n", "max_new_tokens": 7}, ("\n", "</s>"), 7, False),
        ({"until": ["a", "</s>"], "max_gen_toks": 3, "max_tokens": 9, "temperature": 0.5}, ("a", "</s>"), 3, True),
        ({"do_sample": False, "temperature": 0.8}, ("</s>",), 256, False),
        ({"until": ""}, ("", "</s>"), 256, False),
    ],
)
def test_generation_settings_are_normalised(told: dict[str, object], until: tuple[str, ...], tokens: int, samples: bool) -> None:
    """Aliases by their priority, end of text always, greedy unless told otherwise."""
    found = generation(told, eos="</s>")
    assert (found.until, found.max_tokens, found.rest["do_sample"]) == (until, tokens, samples)


@given(st.text("ab\n", max_size=20))
def test_text_is_cut_at_the_first_stop(text: str) -> None:
    """Nothing of a stop text is left."""
    found: Callable[[str], bool] = cut(text, ["\n", "bb", ""]).__contains__
    assert not found("\n")
    assert not found("bb")
