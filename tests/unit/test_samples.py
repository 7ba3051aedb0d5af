"""Samples while their answers come in: whole only with every answer, in order, and ready until it is said that they are published."""

import random

import pytest

from gpu_agent.engines.engine import EngineAnswer
from gpu_agent.samples import WIDTH, Open, check_whole, moments_of
from schemas.builds import BuiltRequest, SampleBuilt
from schemas.event import Producer, Text
from schemas.jobs import Job
from schemas.requests import Chat, EngineChoice, ModelRef
from streams.errors import Permanent
from streams.quality.generation import text_seed
from tests.runs import run_named

R = run_named("r")

FROM = Producer(service="test", version="0", commit="")


def sample(ordinal: int, *repeats: int) -> SampleBuilt:
    """A sample with a request for each number, asked for so many times."""
    requests = tuple(BuiltRequest(request_type="generate_until", context=Text.plain(f"q{ordinal}"), repeats=count) for count in repeats)
    return SampleBuilt(
        occurred_us=1, producer=FROM, build_id="b", ordinal=ordinal, doc_id=ordinal, document=Text.plain("{}"), requests=requests,
        arguments_sha="",
    )  # fmt: skip


def job() -> Job:
    """A job of whichever samples."""
    return Job(
        run_id=R, job_id=f"{R}/t/0/0", kind="answer", pool="p", submitter="me", organisation_id="local", priority=0,
        model=ModelRef(uri="m"), engine=EngineChoice(name="echo"), chat=Chat(),
    )  # fmt: skip


def test_a_sample_is_whole_with_its_last_answer_whatever_their_order() -> None:
    """Answers of all samples come mixed; each sample's are told in the order of its requests and draws."""
    open_ = Open([sample(7, 2, 1), sample(9, 1)])
    requests = list(open_.requests(job(), {}))
    for request in random.Random(1).sample(requests, len(requests)):
        before = len(open_.ready)
        open_.take(EngineAnswer(request.index, request.draw, "stop", 1, output=f"{request.draw}"))
        assert len(open_.ready) - before in (0, 1)
    told = {built.ordinal: [(answer.request_index, answer.draw) for answer in answers] for built, answers, _ in open_.whole()}
    assert told == {7: [(0, 0), (0, 1), (1, 0)], 9: [(0, 0)]}


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ([(20, 25, 40), (10, 30, 35)], (10, 25, 40)),
        ([(20, None, 40), (10, 30, 35)], (10, 30, 40)),  # beside a text another answer is scored, which has no first token
        ([(None, None, 40), (10, 30, 35)], (None, 30, 40)),  # it may have been begun before the other
        ([(None, None, None)], (None, None, None)),
        ([], (None, None, None)),
    ],
)
def test_a_sample_lasts_from_its_first_answers_beginning_to_its_last_ones_end(
    answers: list[tuple[int | None, ...]], told: tuple[int | None, ...]
) -> None:
    """Nothing is guessed of what the engine does not say."""
    moments = moments_of([EngineAnswer(0, 0, "stop", 1, began_ns=one[0], first_ns=one[1], ended_ns=one[2]) for one in answers])
    assert tuple(moments[name] for name in ("began_ns", "first_token_ns", "ended_ns")) == told


def test_what_is_ready_stays_so_until_it_is_published() -> None:
    """What comes while others are published is not forgotten; a sample that asks nothing is whole at once."""
    open_ = Open([sample(0, 1), sample(1, 1), sample(2)])
    first, second = open_.requests(job(), {})
    open_.take(EngineAnswer(first.index, 0, "stop", 1, output=""))
    published = len(open_.whole())
    open_.take(EngineAnswer(second.index, 0, "stop", 1, output=""))
    assert open_.told(published) == {0, 2}
    assert [built.ordinal for built, _, _ in open_.whole()] == [1]
    assert open_.told(1) == {1}
    assert (open_.ready, open_.answers) == ([], {})


def test_every_text_of_a_run_draws_by_a_seed_of_its_own_that_stays() -> None:
    """Whichever documents a job has and in whatever order; of one seed, no two of documents, repeats, requests and draws are equal."""

    def seeds(*ordinals: int, repeat: int = 0, seed: int = 1) -> dict[tuple[int, int, int, int], int]:
        samples = [sample(ordinal, 2, 1) for ordinal in ordinals]
        told = job().model_copy(update={"repeat": repeat, "seed": seed})
        return {
            (samples[one.index // WIDTH].ordinal, repeat, one.index % WIDTH, one.draw): one.seed for one in Open(samples).requests(told, {})
        }

    whole = seeds(*range(40)) | seeds(*range(40), repeat=1)
    assert len(set(whole.values())) == len(whole) == 240
    assert set(whole.values()).isdisjoint(seeds(*range(40), seed=2).values())
    shard = seeds(31, 7, repeat=1)
    assert shard == {place: whole[place] for place in shard}
    assert text_seed(1234, build_id="b", ordinal=0, repeat=0, request=0, draw=0) == 7104996367553153937  # for ever


def test_a_truncated_request_is_refused_in_words() -> None:
    """They name task, document, tokens and window; what is whole is taken."""
    check_whole(EngineAnswer(1, 0, "none", 2048), sample(7, 1, 1), task="t", window=2048)
    with pytest.raises(Permanent) as refused:
        check_whole(EngineAnswer(5 * WIDTH + 1, 0, "truncated", 2048, truncated_tokens=52), sample(7, 1, 1), task="t", window=2048)
    assert refused.value.code == "truncated"
    assert str(refused.value).startswith("document 7 of t: request 2 has 2,100 tokens, 52 more than fit into the model's window of 2,048;")
