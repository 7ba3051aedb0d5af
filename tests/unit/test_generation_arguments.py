"""Generation arguments: what is refused, and in which words."""

import json
from typing import Any

import pytest

from streams.errors import Invalid
from streams.quality.generation import arguments, check, merged

REFUSED = {
    "{max_gen_toks: 4}": "no JSON", "[1]": "no JSON object", "[" * 100_000: "no JSON", '{"temprature": 1}': "did you mean temperature",
    '{"stop": ["x"]}': "give until instead", '{"num_return_sequences": 2}': "repeats", '{"beam_me_up": 1}': "usual ones are until",
    '{"do_sample": true, "temperature": 0}': "temperature above 0", '{"do_sample": true, "temperature": 0.0}': "temperature above 0",
    '{"temperature": NaN}': "a number, 0 or more", '{"temperature": "hot"}': "a number, 0 or more", '{"top_p": 0}': "above 0, at most 1",
    '{"max_gen_toks": 0}': "1 or more", '{"max_gen_toks": true}': "1 or more", '{"max_gen_toks": 1.5}': "1 or more",
    '{"until": [1]}': "list of texts", '{"num_beams": 100000}': "from 1 to 64", '{"max_gen_toks": 1000000000}': "at most 1,000,000",
    '{"top_k": 100000000}': "at most 1,000,000",
    '{"do_sample": "no"}': "true or false", '{"max_length": -1}': "1 or more",
}  # fmt: skip
TAKEN: list[dict[str, Any]] = [
    {}, {"until": []}, {"until": ["x", "\n"]}, {"until": [""]}, {"until": ["x", ""]}, {"until": ""},
    {"until": "x", "max_gen_toks": 3, "temperature": 0}, {"do_sample": False, "temperature": 0.7, "top_p": None},
    {"num_beams": 4, "early_stopping": "never"}, {"do_sample": True, "temperature": 1, "top_k": 0},
]  # fmt: skip


@pytest.mark.parametrize(("text", "said"), list(REFUSED.items()), ids=range(len(REFUSED)))
def test_what_no_engine_can_do_is_refused_in_words(text: str, said: str) -> None:
    """They name the argument, quote no more than a line of it, and say what to do."""
    with pytest.raises(Invalid) as caught:
        arguments(text)
    assert caught.value.code == "generation"
    assert said in str(caught.value)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("told", TAKEN)
def test_what_tasks_ask_for_is_taken(told: dict[str, Any]) -> None:
    """As it is."""
    assert arguments(json.dumps(told)) == told


def test_a_length_of_the_request_counts_whatever_the_task_calls_its_own() -> None:
    """Of two lengths an engine would take the one whose name it looks for first."""
    assert merged({"max_gen_toks": 256, "until": ["x"]}, {"max_new_tokens": 8}) == {"until": ["x"], "max_new_tokens": 8}
    assert merged({"max_gen_toks": 256}, {"top_p": 0.5}) == {"max_gen_toks": 256, "top_p": 0.5}
    check(merged({"do_sample": False}, {"temperature": 0.0}))
