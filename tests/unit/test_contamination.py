"""Signs that a model has seen the data: what counts as one, what does not, and what a run says of them."""

import math
import random

import pytest

from infra.harness.metrics.contamination import canary, copied_8gram, hidden_8gram, texts_in
from infra.harness.metrics.measure import Case
from infra.harness.metrics.registry import measured, total
from query_api.reading.flags import flags

SHOWN = "The old lighthouse keeper climbed the stairs every evening before the sun went down."
HIDDEN = "On the last night he forgot the lamp, and three ships were lost on the rocks."
GUID = "26b5c67b-86a8-4d3b-9f3a-0a1b2c3d4e5f"


def case(output: str, *, document: str = f"{SHOWN} {HIDDEN}", prompt: str = f"Go on: {SHOWN}") -> Case:
    """A text that goes on from the first sentence of its document."""
    return Case(text="filtered", output=output, prompt=prompt, document=(document,), references=(HIDDEN,))


def test_eight_words_that_the_prompt_did_not_show_are_a_sign() -> None:
    """Whatever their case and punctuation; seven are none."""
    assert hidden_8gram(case("ON the last night, he forgot the lamp!")) == 1.0
    assert hidden_8gram(case("On the last night he forgot the oil.")) == 0.0


def test_what_the_prompt_shows_is_no_sign_but_copied() -> None:
    """All runs of eight words of it stand in the prompt."""
    repeats = case(SHOWN)
    assert (hidden_8gram(repeats), copied_8gram(repeats)) == (0.0, 1.0)
    assert copied_8gram(case("On the last night he forgot the lamp, and three ships were lost.")) == 0.0


def told_of(texts: list[str], documents: list[str]) -> tuple[float | None, float | None]:
    """The null's figure of texts, each the answer to one of the documents, of which nothing is shown."""
    cases = [case(text, document=document, prompt="Go on:") for text, document in zip(texts, documents, strict=True)]
    return total("unrelated_8gram", [measured("unrelated_8gram", one)[1] for one in cases])


def test_other_documents_tell_what_chance_gives() -> None:
    """Of four documents one says what another hides: one pair of twelve; its own does not count, nor does what the prompt shows."""
    documents = [" ".join(f"{name}{n}" for n in range(12)) for name in "abcd"]
    value, error = told_of([documents[1], documents[1], "nothing", documents[3]], documents)
    assert value == pytest.approx(1 / 12)
    # Left out in turn: without the first, the pair is gone, and without the second; else it is one of six.
    assert error == pytest.approx(math.sqrt(3 / 4 * 4 * (1 / 12) ** 2))
    shown = case(documents[1], document=documents[0], prompt=documents[1])
    assert measured("unrelated_8gram", shown)[1][1] == ""
    assert measured("unrelated_8gram", Case(output="four", prompt="2 + 2 =", document=("4",), references=("four",))) == (None, None)


def test_repeats_of_a_document_are_no_others() -> None:
    """Nor does one document alone have others; where nothing is found the error is that of none among as many."""
    documents = [" ".join(f"{name}{n}" for n in range(12)) for name in "aabb"]
    value, error = told_of([documents[0], documents[0], "nothing", documents[2]], documents)
    assert value == 0.0 and error is not None and error > 0.05
    assert told_of(["a", "b"], documents[:2]) == (None, None)


def test_the_null_is_what_a_model_that_knows_nothing_shows() -> None:
    """Texts of stock phrases that documents hide too: signs are as frequent as with the documents of others."""
    draw = random.Random(3)
    phrases = [" ".join(draw.choices("uvwxyz", k=10)) for _ in range(12)]
    documents = [" . ".join(draw.sample(phrases, 3)) for _ in range(300)]
    texts = [draw.choice(phrases) for _ in documents]
    own = [hidden_8gram(case(text, document=document, prompt="Go on:")) or 0 for text, document in zip(texts, documents, strict=True)]
    value, error = told_of(texts, documents)
    assert value is not None and error is not None
    assert abs(value - sum(own) / len(own)) < 4 * (error + math.sqrt(0.25 * 0.75 / 300))
    assert 0.2 < value < 0.3


def test_where_nothing_is_hidden_or_too_little_is_said_nothing_is_known() -> None:
    """Undefined, not 0."""
    assert hidden_8gram(Case(output="four", prompt="2 + 2 =", document=("4",), references=("four",))) is None
    assert copied_8gram(case("too short")) is None
    assert hidden_8gram(Case()) is None and canary(Case()) is None


def test_a_canary_is_a_sign_unless_the_prompt_has_it() -> None:
    """Of any data set in its own form; a bare GUID only where the document has it."""
    told = f"canary GUID {GUID.upper()}"
    assert canary(case(told)) == 1.0
    assert canary(case(told, prompt=f"Say {GUID}")) == 0.0
    assert canary(case(f"id {GUID}")) == 0.0
    assert canary(case(f"id {GUID}", document=f"row {GUID}")) == 1.0


def test_all_texts_of_a_document_are_looked_at() -> None:
    """However deep."""
    assert list(texts_in({"a": "x", "b": [{"c": "y"}, 3, None], "d": ("z",)})) == ["x", "y", "z"]


def test_a_run_says_what_was_found_once() -> None:
    """Not what was not found, nor what is no sign; two filters see the same."""
    found = {"task": "t", "metric": "hidden_8gram", "value": 3 / 200, "samples": 200}
    others = [found | {"metric": "canary", "value": 0.0}, found | {"metric": "copied_8gram", "value": 0.5}, found | {"value": None}]
    assert flags([found, found, *others]) == ["3 of 200 outputs of t have 8 words in a row of their document that the prompt did not show"]
    (told,) = flags([found, found | {"metric": "unrelated_8gram", "value": 0.0012}])
    assert told.endswith("of their document that the prompt did not show; of unrelated documents 0.24 would have them")
