"""A poem's form: what rhymes, and how many syllables there are; by hand, and as it must always be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.harness.metrics import registry, verse
from infra.harness.metrics.cases import case_of
from infra.harness.metrics.measure import Case
from infra.harness.tasks import without_data
from streams.errors import Invalid

HAIKU = "An old silent pond.\n\nA frog jumps into the pond:\nsplash! Silence again."
LIMERICK = """There was an Old Man with a beard,
Who said, "It is just as I feared!
Two Owls and a Hen,
Four Larks and a Wren,
Have all built their nests in my beard!\""""
POEM = '{"task": "assay_poem", "yaml": true, "custom_dataset": true, "document": {"request": "r", "lines": 3, "syllables": [5, 7, 5]}}'
WORDS = ["light", "night", "see", "sea", "orange", "banana", "zyxt’s", "fire", "don't"]
poems = st.lists(st.lists(st.sampled_from(WORDS), max_size=5).map(" ".join), max_size=8)


def rhyme(*ends: str) -> float | None:
    """Of lines that end so."""
    return verse.rhyme(Case(text="\n".join(f"it ends with {end}," for end in ends)))


def test_line_ends_rhyme_by_their_sounds() -> None:
    """Not by their letters; of beard and feared, Hen and Wren, beard: all five."""
    assert verse.rhyme(Case(text=LIMERICK)) == 1.0
    assert rhyme("light", "kite") == 1.0
    assert rhyme("love", "move") == 0.0
    assert rhyme("butterfly", "sky") == 1.0
    assert rhyme("play", "lay", "banana", "stone") == 0.5


def test_what_sounds_the_same_is_no_rhyme() -> None:
    """A word again, or its like in sound."""
    assert rhyme("sea", "sea") == rhyme("sea", "see") == rhyme("leave", "believe") == 0.0


def test_a_rhyme_is_near() -> None:
    """Within three lines with words; what the dictionary lacks takes its line's place, and is counted nowhere."""
    assert rhyme("light", "stone", "river", "night") == 0.5
    assert rhyme("light", "stone", "river", "window", "night") == 0.0
    assert rhyme("light", "zyxtqv", "night") == 1.0
    assert rhyme("light", "zyxtqv") is None


def test_syllables_are_the_dictionarys_or_groups_of_vowels() -> None:
    """An accent is none of the letter's."""
    assert [verse.syllables(word) for word in ("silent", "don't", "orange", "zyxtqv", "brontoflüg", "42", "aalborg")] == [
        2,
        1,
        2,
        1,
        3,
        1,
        2,
    ]


def test_a_form_is_held_line_by_line() -> None:
    """5-7-5 is; a line too few is off by all of its syllables, a line too many too; where no form is asked for there is no error."""
    assert verse.syllable_error(Case(text=HAIKU, form=(5, 7, 5))) == 0.0
    assert verse.syllable_error(Case(text="An old silent pond", form=(5, 7, 5))) == pytest.approx((7 + 5) / 3)
    assert verse.syllable_error(Case(text=HAIKU, form=(5, 6))) == pytest.approx((1 + 5) / 2)
    assert verse.syllable_error(Case(text=HAIKU)) is None
    assert verse.syllable_spread(Case(text=HAIKU)) == pytest.approx((8 / 9) ** 0.5)
    assert verse.syllable_spread(Case(text=HAIKU, form=(5, 7, 5))) is None
    assert verse.syllable_spread(Case(text="one line")) is None


@given(poems)
def test_ranges(lines: list[str]) -> None:
    """A share is one; nothing is negative; empty lines change nothing."""
    text, airy = "\n".join(lines), "\n\n".join(lines)
    share = verse.rhyme(Case(text=text))
    assert share is None or 0 <= share <= 1
    assert share == verse.rhyme(Case(text=airy))
    error = verse.syllable_error(Case(text=text, form=(5, 7, 5)))
    assert error is not None and error >= 0


def test_a_document_says_its_form() -> None:
    """As lm-eval's object and an answered instance have it."""
    from lm_eval.api.instance import Instance

    task = without_data(POEM)
    told = Instance(request_type="generate_until", doc={}, arguments=("", {}), idx=0)
    told.filtered_resps = {"none": HAIKU}
    assert case_of(task, {"syllables": [5, 7, 5]}, [told], filter_name="none").form == (5, 7, 5)
    assert case_of(task, {"syllables": "many"}, [told], filter_name="none").form == ()


def test_without_its_library_a_metric_refuses_the_task(monkeypatch: pytest.MonkeyPatch) -> None:
    """And says what to install; with it, its figures are expected."""
    task = without_data(POEM)
    assert [one.metric for one in registry.expected(task, ["syllables", "rhyme"])] == ["syllable_error", "syllable_spread", "rhyme"]
    monkeypatch.setitem(registry.OPTIONAL, "rhyme", ("no_such_library", "poetry"))
    with pytest.raises(Invalid, match=r"needs the library no_such_library, which is not installed: pip install 'assay\[poetry\]'"):
        registry.expected(task, ["rhyme"])
