"""What is too large for a record: sizes are known before anything is written, thoughts are cut first, and nothing waits for the rest."""

from collections.abc import Mapping

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.catalogue import EVENTS
from schemas.event import Event, Producer, Text
from schemas.measurements import SampleAnswered
from schemas.released import released_codec
from schemas.results import SampleNotScored, SampleScored
from streams.errors import Permanent
from streams.fitting import answered_within, encoded_bytes, scored_within, shortened
from tests.runs import run_named
from tests.strategies import events

CODEC = released_codec()
HEADER = {
    "occurred_us": 1,
    "producer": Producer(service="test", version="1"),
    "run_id": run_named("r"),
    "task": "t",
    "ordinal": 3,
    "repeat": 0,
}
TEXTS = st.text(st.sampled_from("aé🙂"), max_size=400)


def answered(*answers: Mapping[str, object]) -> SampleAnswered:
    """A sample with these answers."""
    told = [{"request_index": n, "request_type": "generate_until", "finish_reason": "stop", "prompt_tokens": 1, **answer}
            for n, answer in enumerate(answers)]  # fmt: skip
    own = {"job_id": "j", "attempt": 1, "build_id": "b", "seed": 1, "arguments_sha": "s", "answers": told}
    return SampleAnswered.model_validate(HEADER | own)


def scored(metric: str, parts: str | None) -> SampleScored:
    """A score with these parts."""
    own = {"doc_id": 1, "scorer_version": "1", "filter": "none", "metric": metric, "value": 1.0, "parts_json": parts, "metrics": 2}
    return SampleScored.model_validate(HEADER | {"visibility": "private"} | own)


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_an_event_is_never_larger_than_it_is_said_to_be(name: str) -> None:
    """Whatever is in it, as the codec writes it."""

    @settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
    @given(events(EVENTS[name]))
    def check(event: object) -> None:
        assert isinstance(event, Event)
        assert len(CODEC.encode(event)) <= encoded_bytes(event)

    check()


def test_the_size_of_a_long_text_is_known_to_within_a_few_hundred_bytes() -> None:
    """Else what fits would be cut."""
    event = answered({"reasoning": Text.plain("ü" * 500_000)})
    assert encoded_bytes(event) - len(CODEC.encode(event)) < 400


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=8), st.integers(0, 4000))
def test_thoughts_are_cut_before_outputs_to_what_a_record_holds_and_every_byte_left_out_is_counted(
    texts: list[tuple[str, str]], room: int
) -> None:
    """The longest most; a text that is whole is the one that the model wrote."""
    event = answered(*({"reasoning": Text.plain(thought), "output": Text.plain(said)} for thought, said in texts))
    bare = encoded_bytes(answered(*({"reasoning": Text.plain(""), "output": Text.plain("")} for _ in texts)))
    fitted = answered_within(event, most_bytes=bare + room)
    assert len(CODEC.encode(fitted)) <= encoded_bytes(fitted) <= bare + room
    for answer, (thought, said) in zip(fitted.answers, texts, strict=True):
        _check(answer.reasoning, thought, left_out=answer.reasoning_cut_bytes)
        _check(answer.output, said, left_out=answer.output_cut_bytes)
    if sum(len(said.encode()) for _, said in texts) <= room:
        assert not any(answer.output_cut_bytes for answer in fitted.answers)
    if encoded_bytes(event) <= bare + room:
        assert fitted == event


def _check(text: Text | None, before: str, *, left_out: int) -> None:
    assert text is not None
    mark = f" … [{left_out} bytes left out] … "
    whole, kept = before.encode(), text.read()
    if not left_out:
        assert text.bytes == whole
    elif kept:
        first, last = kept.split(mark)
        assert before.startswith(first) and before.endswith(last)
        assert len(first.encode()) + len(last.encode()) + left_out == len(whole)
    else:
        assert left_out == len(whole)


def test_a_sealed_text_is_left_out_whole() -> None:
    """Cut, nobody could open it."""
    sealed = {"bytes": b"x" * 1000, "key_id": "k", "nonce": b"n"}
    (answer,) = answered_within(answered({"reasoning": sealed}), most_bytes=900).answers
    assert (answer.reasoning, answer.reasoning_cut_bytes) == (Text(bytes=b""), 1000)


def test_what_does_not_fit_without_its_texts_says_what_to_do() -> None:
    """Log-probabilities have no middle to cut."""
    with pytest.raises(Permanent, match=r"answers to sample 3 of t are .* without token log-probabilities"):
        answered_within(answered({"token_logprobs": b"x" * 5000, "output": Text.plain("a" * 100)}), most_bytes=2000)


def test_scores_that_fit_stay_and_one_that_does_not_makes_its_sample_not_scorable() -> None:
    """All of its metrics are expected together: without one of them the run would wait for ever."""
    small, large = scored("acc", "[1]"), scored("bleu", "ü" * 3000)
    assert scored_within([small, small], most_bytes=2000) == [small, small]
    (told,) = scored_within([small, large], most_bytes=2000)
    assert isinstance(told, SampleNotScored)
    assert told.reason == "bleu (none) has 6000 bytes of parts; 2000 is the most"
    assert (told.run_id, told.ordinal, told.visibility, told.scorer_version) == (small.run_id, 3, "private", "1")


def test_a_text_is_cut_between_its_characters() -> None:
    """However many bytes they have."""
    text, left_out = shortened(("🙂" * 100).encode(), most=101)
    assert text.read().count("🙂") * 4 + left_out == 400
    assert shortened(b"short", most=5) == (Text(bytes=b"short"), 0)
