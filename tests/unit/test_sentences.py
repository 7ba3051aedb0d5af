"""Sentences read into requirements: what each turn of phrase means, that what is read is a requirement, and that nothing is passed over."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query_api.pages.recommending import form_of, told_by
from streams.deciding.reading import requirement_of
from streams.deciding.sentences import LONGEST, USES, Read, as_yaml, read
from streams.errors import Invalid

TASKS = ("gsm8k", "mmlu", "arc_easy", "ifeval", "humaneval")
BANK = "a chatbot for a bank, 20 requests a second, two L40S, German"
WHOLE = (
    "We need a coding assistant: 1,200 requests per minute, prompts of 2000 tokens, answers of 300 tokens, first token within 800 ms, "
    "40 ms between tokens, at most $3k a month, on H100 or A100, permissive licence, in the EU, 32k context, 90 % sure"
)


def texts(told: Any) -> Any:
    """The same as a form has it: numbers as texts."""
    if isinstance(told, Mapping):
        return {name: texts(one) for name, one in told.items()}
    return told if isinstance(told, list) else str(told)


def told(sentence: str) -> dict[str, Any]:
    """What is asked for."""
    return dict(read(sentence, tasks=TASKS).requirement)


def test_the_sentence_of_the_issue() -> None:
    """What it says is understood; the tasks are suggestions; what is not understood is told."""
    found = read(BANK, tasks=TASKS)
    assert found.requirement == {
        "traffic": {"rate": "20/s"}, "allowed": {"owned": {"L40S": 2}, "languages": ["de"]}, "tasks": {"ifeval": 1, "mmlu": 1}
    }  # fmt: skip
    assert {one.field for one in found.understood if one.suggested} == {"tasks.ifeval", "tasks.mmlu"}
    assert found.left == ("bank",)


def test_a_long_sentence_is_a_whole_requirement() -> None:
    """In base units, by the reader of requirements."""
    made = requirement_of(told(WHOLE))
    assert made.traffic is not None
    assert (made.traffic.curve_per_s[0], made.traffic.input_tokens, made.traffic.output_tokens) == (20.0, 2000, 300)
    assert (made.latency.ttft_p95_s, made.latency.itl_p95_s, made.spending.per_month_usd_nano) == (0.8, 0.04, 3000 * 10**9)
    assert made.allowed.hardware == ("H100", "A100") and made.allowed.licences == ("apache-2.0", "mit")
    assert (made.allowed.regions, made.allowed.context_tokens, made.threshold_ratio) == (("eu",), 32_000, 0.9)
    assert set(made.tasks) == {"humaneval", "mbpp"}


@pytest.mark.parametrize(
    ("sentence", "meant"),
    [
        ("5 qps", {"traffic": {"rate": "5/s"}}),
        ("a dozen messages an hour", {"traffic": {"rate": "12/h"}}),
        ("2,400 requests per day", {"traffic": {"rate": "100/h"}}),
        ("4000 tokens in and 200 tokens out", {"traffic": {"input": "4000 tokens", "output": "200 tokens"}}),
        ("answers within 5 seconds", {"latency": {"e2e_p95": "5 s"}}),
        ("TTFT under 300ms", {"latency": {"ttft_p95": "300 ms"}}),
        ("0.5 USD per million tokens", {"budget": {"per_1m_tokens": "0.5 USD"}}),
        ("a monthly budget of 3000 euros", {"budget": {"per_month": "3000 EUR"}}),
        ("€100k for hardware", {"budget": {"capital": "100000 EUR"}}),
        ("2 J per token", {"energy": {"per_token": "2 J"}}),
        ("48 GB of memory", {"allowed": {"memory": "48 GB"}}),
        ("on a laptop", {"allowed": {"places": ["cpu"]}}),
        ("a single GPU", {"allowed": {"places": ["one-gpu"]}}),
        ("an instruct model with MIT licence", {"allowed": {"kinds": ["fine-tuned"], "licences": ["mit"]}}),
        ("air-gapped, on CPU", {"allowed": {"places": ["air-gapped", "cpu"]}}),
        ("it must run without internet access", {"allowed": {"places": ["air-gapped"]}}),
        ("hosted in eu-west-1", {"allowed": {"regions": ["eu-west-1"]}}),
        ("French and German", {"allowed": {"languages": ["fr", "de"]}}),
        ("at least 60 % on gsm8k", {"tasks": {"gsm8k": 1}, "floors": {"gsm8k": "60 %"}}),
        ("gsm8k and arc_easy with vLLM", {"tasks": {"gsm8k": 1, "arc_easy": 1}, "allowed": {"engines": ["vllm"]}}),
        (
            "two hundred requests per second, not more than $3,000 a month",
            {"traffic": {"rate": "200/s"}, "budget": {"per_month": "3000 USD"}},
        ),
        ("200 tokens in under 2 seconds, 5 qps", {"traffic": {"rate": "5/s"}}),
        ("maths, by gsm8k", {"tasks": {"gsm8k": 1}}),  # a task that is named needs no suggestion
    ],
)
def test_a_turn_of_phrase(sentence: str, meant: dict[str, Any]) -> None:
    """And its meaning."""
    assert told(sentence) == meant


def test_what_no_rule_knows_is_told() -> None:
    """It is not asked for."""
    assert read("20 requests a second, blue, with a good sense of humour", tasks=TASKS).left == ("blue", "good sense of humour")


@pytest.mark.parametrize(
    ("sentence", "left"),
    [
        ("5 qps, not on H100", "not on H100"),
        ("5 qps, it must not be licensed under MIT", "not be licensed under MIT"),
        ("5 qps, not German", "not German"),
        ("5 qps and 1,5 EUR per million tokens", "1,5 EUR per million tokens"),
        ("5 qps and 0,5 s to first token", "0,5 s to first token"),
        ("5 qps, engli\u017fh", "engli\u017fh"),
    ],
)
def test_what_is_not_wanted_and_what_is_no_number_here_is_told(sentence: str, left: str) -> None:
    """A requirement says what is allowed; a comma is no point."""
    found = read(sentence, tasks=TASKS)
    assert dict(found.requirement) == {"traffic": {"rate": "5/s"}}
    assert left in found.left


@pytest.mark.parametrize("sentence", ["hello world", "", "?!", "x" * (LONGEST + 1)])
def test_a_sentence_of_which_nothing_is_understood_says_what_one_looks_like(sentence: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(Invalid, match=r"say for instance: a chatbot|write a requirement as YAML"):
        read(sentence)


PARTS = st.sampled_from([*WHOLE.split(", "), *BANK.split(", "), "at least 60 % on gsm8k", "blue", "48 GB of memory", "5 s", "maths"])


@given(st.lists(PARTS, min_size=1, max_size=8).map(", ".join))
def test_every_word_is_understood_or_told(sentence: str) -> None:
    """And the page's form, filled in with what was read, asks for the same."""
    try:
        found: Read = read(sentence, tasks=TASKS)
    except Invalid:
        return
    assert told_by(form_of(found.requirement)) == texts(found.requirement)
    for word in ("blue", "bank"):
        assert (word in sentence.split() or word in sentence.split(", ")) <= (any(word in one.split() for one in found.left))
    assert as_yaml(found.requirement).count("\n") == len(found.requirement)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(sentence: str) -> None:
    """In time."""
    try:
        assert read(sentence, tasks=TASKS).understood
    except Invalid as error:
        assert error.code == "sentence"


@pytest.mark.parametrize("piece", ["answers of in ", "H100 or ", "9", "1,", "context of at least 9k ", "20 requests ", "$9k a "])
def test_no_sentence_takes_long(piece: str) -> None:
    """Whatever is written again and again: a rule that went back over its words would never end."""
    text = (piece * LONGEST)[: LONGEST - 1] + "!"
    try:
        read(text, tasks=TASKS)
    except Invalid:
        return


def test_what_uses_suggest_has_names() -> None:
    """Each use some tasks."""
    assert all(tasks for tasks in USES.values())


def test_suites_are_named_as_suites() -> None:
    """Their names are plain words: a standard chatbot asks for no suite."""
    found = read("a standard chatbot, at least 55 % on the reasoning suite", suites=("standard", "reasoning"))
    assert found.requirement["tasks"] == {"reasoning": 1} and found.requirement["floors"] == {"reasoning": "55 %"}
    assert read("good at the suite coding", suites=("coding",)).requirement == {"tasks": {"coding": 1}}


@pytest.mark.parametrize(
    ("sentence", "left"),
    [
        ("3.000 EUR a month", "3.000 EUR"), ("1.234,56 EUR a month", "1.234,56 EUR"),
        ("at least 3000 USD a month", "at least 3000 USD a month"),
        ("no less than $3,000 a month", "no less than $3,000 a month"), ("at most 60 % on gsm8k", "at most 60 % on gsm8k"),
        ("up to 60 % on the core suite", "up to 60 % on the core suite"), ("at least 24 GB VRAM", "at least 24 GB VRAM"),
        ("a context of at most 8k", "context of at most 8k"), ("less than 80 % sure", "less than 80 % sure"),
        ("over 2 J per token", "over 2 J per token"), ("at least 300 ms to first token", "at least 300 ms to first token"),
        ("p99 ttft under 300 ms", "p99 ttft under 300 ms"), ("median ttft of 300 ms", "median ttft of 300 ms"),
        ("ttft under 200 ms at p99", "ttft under 200 ms at p99"), ("latency under 2 s on average", "latency under 2 s on average"),
    ],
)  # fmt: skip
def test_what_says_something_else_than_a_rule_is_left_and_not_asked_for(sentence: str, left: str) -> None:
    """The contrary of a bound, another percentile than the 95th, and a number that may be three or three thousand."""
    found = read(f"two L40S; {sentence}", tasks=["gsm8k"], suites=["core"])
    assert dict(found.requirement) == {"allowed": {"owned": {"L40S": 2}}}
    assert any(left in one for one in found.left)


@pytest.mark.parametrize(
    ("sentence", "requirement"),
    [
        ("not more than $3,000 a month", {"budget": {"per_month": "3000 USD"}}),
        ("0.125 J per token", {"energy": {"per_token": "0.125 J"}}),
        ("p95 ttft under 300 ms", {"latency": {"ttft_p95": "300 ms"}}), ("context of up to 8k tokens", {"allowed": {"context": "8 k"}}),
        ("no less than 60 % on gsm8k", {"tasks": {"gsm8k": 1}, "floors": {"gsm8k": "60 %"}}),
        ("apache licence or MIT", {"allowed": {"licences": ["apache-2.0", "mit"]}}),
        ("MIT or apache-2.0 licensed", {"allowed": {"licences": ["apache-2.0", "mit"]}}),
        ("MIT licence", {"allowed": {"licences": ["mit"]}}),
    ],
)  # fmt: skip
def test_a_bound_is_read_by_its_own_words(sentence: str, requirement: dict[str, Any]) -> None:
    """And every licence of a list."""
    assert dict(read(sentence, tasks=["gsm8k"]).requirement) == requirement
