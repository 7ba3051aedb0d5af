"""What counts of a language model's reading of a sentence, whatever it writes; and in what it differs from that by rules."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query_api.pages.recommending import form_of, lacking, told_by
from query_api.reading.readers import _content
from query_api.routes.recommendations import by_model_told, by_rules
from streams.deciding.readers import EXAMPLE, SCHEMA, compared, messages, taken
from streams.deciding.reading import requirement_of
from streams.deciding.sentences import read
from streams.errors import Invalid

GOOD: dict[str, Any] = {
    "tasks": {"gsm8k": 2}, "traffic": {"rate": "20/s", "input": "800 tokens", "output": "200 tokens"},
    "budget": {"per_month": "3000 EUR"}, "allowed": {"owned": {"L40S": 2}, "languages": ["de"], "places": ["air-gapped"]},
    "threshold": "80 %",
}  # fmt: skip


def texts(told: Any) -> Any:
    """The same with every amount as it was written."""
    if isinstance(told, dict):
        return {name: texts(one) for name, one in told.items()}
    return [texts(one) for one in told] if isinstance(told, list) else str(told)


@pytest.mark.parametrize("around", ["{}", "Sure! Here it is:\n```json\n{}\n```\nAnything else?", "Let me {{think}}. {}"])
def test_a_whole_answer_is_a_requirement(around: str) -> None:
    """Whatever words a model puts around it."""
    found = taken(around.replace("{{", "{").replace("}}", "}").replace("{}", json.dumps(GOOD)))
    assert found.requirement == texts(GOOD) and found.refused == {}
    assert requirement_of({**found.requirement, "rates": {"EUR": "1.08"}}).allowed.owned == {"L40S": 2}


def test_the_example_that_a_model_is_shown_is_one() -> None:
    """It keeps the schema's names, and the rules read much the same."""
    sentence, answer = EXAMPLE
    told = taken(json.dumps(answer))
    assert told.requirement == texts(answer) and told.refused == {}
    assert set(answer) <= set(SCHEMA["properties"])
    assert messages("a chatbot", ["gsm8k"])[-1] == {"role": "user", "content": "a chatbot"}
    assert sentence in messages("a chatbot", [])[1]["content"]


@pytest.mark.parametrize(
    ("said", "part", "why"),
    [
        ('{"traffic": {"rate": "fast"}}', "traffic.rate", "rate"),
        ('{"tasks": [1, 2]}', "tasks", "must be a mapping"),
        ('{"allowed": {"places": [{"x": 1}]}}', "allowed.places", "no name and no amount"),
        ('{"budget": {"per_month": -5}}', "budget.per_month", "per_month"),
        ('{"__class__": {"x": "y"}}', "__class__.x", "no field"),
        ('{"threshold": true}', "threshold", "no name and no amount"),
        ('{"tasks": {"a\\u001b[31m": "1"}}', "tasks.a\x1b[31m", "no name and no amount"),
        (json.dumps({"floors": {"a" * 500: "1"}}), "floors." + "a" * 53, "no name"),
        ("I cannot do that.", "the answer", "there is no JSON object"),
        ("", "the answer", "no JSON object"),
        ("[1]", "the answer", "no JSON"),
        ("{" * 20_000, "the answer", "no JSON object"),
        ('{"tasks":' * 5000, "the answer", "no JSON object"),
        ('{"latency": {"ttft_p95": 1e999}}', "latency.ttft_p95", "ttft_p95"),
        ('{"latency": {"ttft_p95": NaN}}', "latency.ttft_p95", "ttft_p95"),
    ],
)  # fmt: skip
def test_what_no_requirement_has_counts_for_nothing_and_says_why(said: str, part: str, why: str) -> None:
    """It is text, and nothing of it is in the requirement."""
    found = taken(said)
    assert found.requirement == {} and why in found.refused[part]


def test_the_good_parts_of_a_bad_answer_count() -> None:
    """Each field by itself; empty ones say nothing."""
    found = taken('{"tasks": {"gsm8k": 1}, "latency": {"ttft_p95": "soon"}, "budget": {}, "energy": null, "allowed": {"regions": []}}')
    assert found.requirement == {"tasks": {"gsm8k": "1"}} and set(found.refused) == {"latency.ttft_p95"}


@pytest.mark.parametrize(
    "said",
    [
        {"allowed": {"hardware": "L40S", "languages": "de"}}, {"allowed": {"hardware": "L40S, H100"}},
        {"energy": {"carbon_per_1m_tokens": "300 g"}}, {"traffic": {"rate": "5/s", "headroom": "50 %"}},
        {"rates": {"EUR": "1.1"}, "budget": {"per_month": "3000 EUR"}}, {"prefer": {"points": {"quality": 100}, "order": ["quality"]}},
        {"traffic": {"curve": {"0-8": "2/s", "8-24": "5/s"}, "input": "1 tokens", "output": "1 tokens"}}, GOOD,
    ],
)  # fmt: skip
def test_what_counts_of_an_answer_is_in_the_form(said: dict[str, Any]) -> None:
    """All of it, so that what is asked for by the form is what was read; a text in a list's place is that list."""
    found = taken(json.dumps(said)).requirement
    filled = form_of(found)
    assert told_by(filled) == found and lacking(found, filled) == []
    assert found.get("allowed", {}).get("hardware", ["L40S"])[0] == "L40S"


def test_what_the_form_has_no_place_for_is_named() -> None:
    """A name that a field would take for two."""
    for told, fields in (
        ({"allowed": {"models": ["a, b"], "languages": ["de"]}}, ["allowed.models"]),
        ({"tasks": {"a: 1, a": "1", "mmlu": "2"}}, ["tasks.a: 1, a", "tasks.mmlu"]),
    ):  # fmt: skip
        assert lacking(told, form_of(told)) == fields


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8) | st.sampled_from(sorted(GOOD)), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*SCHEMA["properties"], "prefer", "rates"]), json_values, max_size=4), st.text(max_size=30))
def test_whatever_a_model_says_is_a_requirement_or_refused(told: dict[str, Any], words: str) -> None:
    """What counts can be asked for, and is told in words beside the rules' reading."""
    found = taken(words.replace("{", "") + json.dumps(told))
    requirement_of({"rates": {"EUR": "1"}, **found.requirement})
    assert by_model_told("m", found, GOOD)["yaml"].count("\n") == len(found.requirement)
    assert taken(words).said == words


def test_what_two_readers_differ_in_is_marked() -> None:
    """By field; spaces and the order of names are no difference."""
    rules = read("20 requests a second on L40S or H100, German", tasks=()).requirement
    model = {"traffic": {"rate": "20 /s"}, "allowed": {"hardware": ["H100", "L40S"], "languages": ["fr"]}, "threshold": "90 %"}
    told = {one.field: (one.rules, one.model, one.same) for one in compared(rules, model)}
    assert told == {
        "traffic.rate": ("20/s", "20 /s", True), "allowed.hardware": ("H100, L40S", "H100, L40S", True),
        "allowed.languages": ("de", "fr", False), "threshold": (None, "90 %", False),
    }  # fmt: skip


def test_where_rules_understand_nothing_a_model_may_stand_alone() -> None:
    """And without one it is refused as before."""
    names: dict[str, list[str]] = {"tasks": [], "suites": []}
    assert by_rules("hello", names, alone=False).left == ("hello",)
    with pytest.raises(Invalid, match="nothing in this sentence is understood"):
        by_rules("hello", names, alone=True)


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"choices": []}', b'{"choices": [{"message": {"content": 5}}]}', b"[" * 100_000])
def test_a_server_that_answers_something_else_has_said_nothing(raw: bytes) -> None:
    """Whatever it is."""
    assert _content(raw) == ""
