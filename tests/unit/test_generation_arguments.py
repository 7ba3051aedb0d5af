"""Generation arguments: what is refused, and in which words."""

import json
from typing import Any

import pytest

from streams.errors import Invalid
from streams.quality.generation import arguments, check, check_tokens, fractions, merged

REFUSED = {
    "{max_gen_toks: 4}": "no JSON", "[1]": "no JSON object", "[" * 100_000: "no JSON", '{"temprature": 1}': "did you mean temperature",
    '{"stop": ["x"]}': "give until instead", '{"num_return_sequences": 2}': "repeats", '{"beam_me_up": 1}': "usual ones are until",
    '{"do_sample": true, "temperature": 0}': "temperature above 0", '{"do_sample": true, "temperature": 0.0}': "temperature above 0",
    '{"temperature": NaN}': "0, or a number from", '{"temperature": "hot"}': "0, or a number from", '{"top_p": 0}': "above 0, at most 1",
    '{"max_gen_toks": 0}': "1 or more", '{"max_gen_toks": true}': "1 or more", '{"max_gen_toks": 1.5}': "1 or more",
    '{"until": [1]}': "list of texts", '{"num_beams": 100000}': "from 1 to 64", '{"max_gen_toks": 1000000000}': "at most 1,000,000",
    '{"top_k": 100000000}': "at most 1,000,000",
    '{"temperature": 1e-300, "do_sample": true}': "0, or a number from 0.001 to 1000", '{"length_penalty": 1e308}': "-1000 to 1000",
    '{"eos_token_id": ["abc"]}': "a list of them", '{"eos_token_id": {"a": 1}}': "a list of them",
    '{"bad_words_ids": [[]]}': "[[12, 7], [3]]",
    '{"exponential_decay_length_penalty": 5}': "[20, 1.05]", '{"suppress_tokens": [-600]}': "each 0 or more",
    '{"sequence_bias": {"1": 2}}': "[[[12, 7], -1.5]]", '{"forced_bos_token_id": [1]}': "a token's id",
    '{"max_gen_toks": 1, "max_gen_toks": 3}': "'max_gen_toks' is there twice",
    '{"max_gen_toks": 3, "max_new_tokens": 400}':
        "max_gen_toks=3 and max_new_tokens=400 are names of one thing, the most tokens of an answer, and only max_gen_toks would count",
    '{"until": "\\ud800"}': "half of a letter (a lone surrogate): write the letter", '{"\\ud800": 1}': "half of a letter",
    '{"top_h": 0}': "a number above 0, at most 1", '{"epsilon_cutoff": 1}': "from 0, below 1", '{"eta_cutoff": 1.0}': "from 0, below 1",
    '{"do_sample": "no"}': "true or false", '{"max_length": -1}': "1 or more",
}  # fmt: skip
TAKEN: list[dict[str, Any]] = [
    {}, {"until": []}, {"until": ["x", "\n"]}, {"until": [""]}, {"until": ["x", ""]}, {"until": ""},
    {"until": "x", "max_gen_toks": 3, "temperature": 0}, {"do_sample": False, "temperature": 0.7, "top_p": None},
    {"eos_token_id": [1, 2], "bad_words_ids": [[1], [2, 3]], "sequence_bias": [[[1, 2], -3.5]],
     "exponential_decay_length_penalty": [4, 1.5], "forced_eos_token_id": 2, "suppress_tokens": [0]},
    {"num_beams": 4, "early_stopping": "never"}, {"do_sample": True, "temperature": 1, "top_k": 0},
    {"max_gen_toks": 4, "max_tokens": 4, "max_new_tokens": None},
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


def test_a_token_that_the_model_does_not_have_is_refused() -> None:
    """Wherever it is named."""
    check_tokens({"eos_token_id": 99, "bad_words_ids": [[0, 99]], "sequence_bias": [[[5], 1000]], "top_k": 1000}, vocabulary=100)
    for told in ({"eos_token_id": 100}, {"bad_words_ids": [[0], [1, 100]]}, {"sequence_bias": [[[100], 1]]}, {"forced_bos_token_id": 9999}):
        with pytest.raises(Invalid, match="the model has tokens 0 to 99"):
            check_tokens(told, vocabulary=100)


@pytest.mark.parametrize("barred", [{"suppress_tokens": range(9)}, {"suppress_tokens": range(5), "begin_suppress_tokens": range(4, 9)}])
def test_a_model_is_left_something_to_say(barred: dict[str, range]) -> None:
    """Where all tokens are barred, the likeliest of them is none."""
    told = {name: list(tokens) for name, tokens in barred.items()}
    check_tokens(told, vocabulary=10)
    with pytest.raises(Invalid, match=f"generation arguments {' and '.join(told)} bar all 9 tokens of the model: nothing is left"):
        check_tokens(told, vocabulary=9)


def test_whole_numbers_are_fractions_where_a_model_takes_no_others() -> None:
    """And counts stay whole."""
    told = {"repetition_penalty": 2, "temperature": 1, "top_p": None, "top_k": 5, "sequence_bias": [[(0, 3), 1]], "until": ["x"]}
    found = fractions(told)
    assert found == told | {"sequence_bias": [[[0, 3], 1.0]]}
    assert [type(found[name]) for name in ("repetition_penalty", "temperature", "top_k")] == [float, float, int]
    assert isinstance(found["sequence_bias"][0][1], float)


def test_a_length_of_the_request_counts_whatever_the_task_calls_its_own() -> None:
    """Of two lengths an engine would take the one whose name it looks for first."""
    assert merged({"max_gen_toks": 256, "until": ["x"]}, {"max_new_tokens": 8}) == {"until": ["x"], "max_new_tokens": 8}
    assert merged({"max_gen_toks": 256}, {"top_p": 0.5}) == {"max_gen_toks": 256, "top_p": 0.5}
    check(merged({"do_sample": False}, {"temperature": 0.0}))
