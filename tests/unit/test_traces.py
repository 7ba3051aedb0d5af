"""Traces of real loads: read in both forms, refused by line, replayed at their times, with prompts that begin alike where they did."""

import json
from itertools import takewhile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_agent.workloads.schedule import schedule
from gpu_agent.workloads.wording import prompt_of
from query_api.cli.request_files import from_file
from query_api.cli.trace_files import packed
from schemas.requests import Traced, Workload
from streams.bounds import MOST_TRACED
from streams.errors import Invalid
from streams.speed import workloads
from streams.speed.traces import check_trace, read_trace

MOONCAKE = [
    '{"timestamp": 27000, "input_length": 1100, "output_length": 52, "hash_ids": [46, 47, 48]}', "",
    '{"timestamp": 27500, "input_length": 1024, "output_length": 3, "hash_ids": [46, 47], "type": "chat"}',
    '{"timestamp": 30000.5, "input_length": 9, "output_length": 7, "text": "Say it."}',
]  # fmt: skip
BURSTGPT = ["Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type", "5,ChatGPT,472,18,490,Conversation log",
            "45.5,GPT-4,1087,230,1317,API log"]  # fmt: skip


def test_both_forms_are_read_with_times_from_the_first_request() -> None:
    """Milliseconds of the one, seconds of the other."""
    first, second, third = read_trace(MOONCAKE)
    assert (first.at_ms, second.at_ms, third.at_ms) == (0, 500, 3000.5)
    assert (first.input_tokens, first.output_tokens, first.hash_ids, third.text) == (1100, 52, (46, 47, 48), "Say it.")
    assert read_trace(BURSTGPT) == (
        Traced(at_ms=0, input_tokens=472, output_tokens=18), Traced(at_ms=40_500, input_tokens=1087, output_tokens=230),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([*MOONCAKE, '{"timestamp": 2, "input_length": 1, "output_length": 1}'], "line 5: its time goes back, from 3000.5 to -26998 ms"),
        ([MOONCAKE[0].replace("1100", "-4")], "line 1: it has an input of -4 tokens"),
        ([MOONCAKE[0].replace("1100", "100")], "line 1: it has 3 hash_ids for 100 tokens, which are 1 blocks of 512"),
        ([MOONCAKE[0].replace("[46", "[-46")], "line 1: it has a hash_id below 0"),
        ([MOONCAKE[0].replace("[46", '["a"')], "line 1: hash_ids 'a': give a number"),
        ([MOONCAKE[0].replace('"output_length"', '"output"')], "line 1: it has no output_length"),
        ([MOONCAKE[0].replace("52", "5.5")], "line 1: output_length 5.5: give a whole number"),
        ([MOONCAKE[0].replace("27000", "NaN")], "line 1: timestamp nan: give a number"),
        ([*MOONCAKE, "{"], "line 5: no JSON"),
        ([*MOONCAKE, "[]"], "line 5: write an object"),
        ([*BURSTGPT, "46,GPT-4,10,0,10,API log"], "line 4: it has an output of 0 tokens; give 1 or more, and leave out"),
        ([*BURSTGPT, "46,GPT-4"], "line 4: it has no Request tokens"),
        ([*BURSTGPT, "46,GPT-4,many,1"], "line 4: Request tokens 'many': give a number"),
        ([*BURSTGPT, "46,GPT-4,10," + "1" * 200_000], "line 4: no CSV: field larger than field limit"),
        ([*MOONCAKE, '{"a":' * 20_000], "line 5: no JSON"),
        ([*MOONCAKE, '{"timestamp": 1, "timestamp": 9}'], "line 5: no JSON ('timestamp' is there twice; give it once"),
        (["Timestamp,Request tokens,Response tokens,Request tokens", "5,472,18,9"], "line 1: column 'Request tokens' is there twice"),
        (["time,in,out", "1,2,3"], "line 1: neither an object of JSON nor a row of columns"),
        ([], "the trace has no request"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_by_its_line(lines: list[str], says: str) -> None:
    """With what to do."""
    with pytest.raises(Invalid) as refused:
        read_trace(lines)
    assert says in str(refused.value)


def test_a_long_trace_is_cut_where_it_is_asked_to_be() -> None:
    """Without a limit it is refused; what lies behind the cut is not read."""
    many = [json.dumps({"timestamp": n, "input_length": 1, "output_length": 1}) for n in range(MOST_TRACED + 1)]
    with pytest.raises(Invalid, match="more than 20,000 requests; cut it with --requests or --duration"):
        read_trace(many)
    assert [len(read_trace(many, requests=n)) for n in (5, MOST_TRACED)] == [5, MOST_TRACED]
    assert len(read_trace([*many[:9], "no more"], until_ms=8)) == 8


def test_a_file_is_packed_and_its_name_is_in_what_is_wrong(tmp_path: Path) -> None:
    """By the command line's option, and by a request file that names it."""
    file = tmp_path / "trace.jsonl"
    file.write_text("\n".join(MOONCAKE))
    assert [one["at_ms"] for one in packed(file, duration_s=2, speedup=1)] == [0, 500]
    assert len(packed(file, duration_s=2, speedup=2)) == 3
    request = tmp_path / "request.yaml"
    request.write_text(f"model: org/name\nworkload: {{profile: trace, url: 'http://h', trace: {file}, requests: 1}}\n")
    assert from_file(request)["workload"]["trace"] == packed(file, requests=1)
    file.write_text("x")
    with pytest.raises(Invalid, match=f"{file}, line 1: neither"):
        packed(file)
    with pytest.raises(Invalid, match="there is no file"):
        packed(tmp_path / "none")


@given(st.lists(st.tuples(st.integers(0, 5000), st.integers(1, 4000), st.integers(1, 99)), min_size=1, max_size=30), st.floats(0.5, 20))
def test_a_replay_sends_at_the_traces_times_and_lengths(gaps: list[tuple[int, int, int]], speedup: float) -> None:
    """Faster by the speed-up, in the trace's order; a limit ends it."""
    trace = tuple(
        Traced(at_ms=sum(gap for gap, _, _ in gaps[: n + 1]), input_tokens=i, output_tokens=o) for n, (_, i, o) in enumerate(gaps)
    )
    told = Workload(profile="trace", trace=trace, speedup=speedup)
    sent = list(schedule(told, seed=1)[1])
    assert [one.at_s for one in sent] == pytest.approx([one.at_ms / 1000 / speedup for one in trace])
    assert [(one.input_tokens, one.output_tokens) for one in sent] == [(one.input_tokens, one.output_tokens) for one in trace]
    assert workloads.requests(told) == len(sent)
    cut = told.model_copy(update={"duration_s": 3.0, "requests": 4})
    assert workloads.requests(cut) == len(list(schedule(cut, seed=1)[1])) <= 4


def test_prompts_begin_alike_where_their_ids_do_and_nowhere_else() -> None:
    """And with nothing that another attempt has sent."""
    planned = list(schedule(Workload(profile="trace", trace=read_trace(MOONCAKE)), seed=1)[1])
    first, second, third = (prompt_of(one, mark="run/perf/1") for one in planned)
    assert third == "Say it."
    alike = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(first.split(), second.split(), strict=False)))
    assert alike == 1 + 1024 == len(second.split())
    assert len(first.split()) == 1 + 1100
    again = prompt_of(planned[0], mark="run/perf/2")
    assert again.split()[0] != first.split()[0] and again.split()[1:] == first.split()[1:]
    assert prompt_of(planned[0], mark="").split() == first.split()[1:]


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({}, "profile trace needs a trace"),
        ({"trace": read_trace(MOONCAKE)}, "the trace has texts, and an engine here draws its prompts itself"),
        ({"trace": read_trace(MOONCAKE)[::-1], "url": "http://h"}, "trace.1: its time goes back"),
        ({"trace": read_trace(BURSTGPT), "profile": "single", "requests": 1}, "trace is for profile trace, not single"),
    ],
)
def test_a_trace_that_cannot_be_replayed_is_refused_when_it_is_planned(told: dict[str, object], says: str) -> None:
    """However it came."""
    with pytest.raises(Invalid, match=says):
        workloads.check(Workload.model_validate({"profile": "trace"} | told), engine="transformers")


def test_a_traces_longest_request_is_held_to_the_models_window() -> None:
    """Input and output together."""
    assert workloads.longest(Workload(profile="trace", trace=read_trace(BURSTGPT))) == (1087, 230)
    assert workloads.longest(Workload(input_tokens=7, output_tokens=8)) == (7, 8)
    check_trace(read_trace(BURSTGPT))
