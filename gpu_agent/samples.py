"""A job's samples: read from the log, turned into the engine's requests, and put together again from its answers."""

import json
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from gpu_agent.engines.engine import EngineAnswer, EngineRequest, Thinking
from infra.builds import contents_of, samples_of
from infra.kafka import Log
from schemas.builds import BuiltRequest, SampleBuilt
from schemas.jobs import BuildPlace, Job
from schemas.measurements import Answer
from streams.engines import is_elsewhere
from streams.errors import Invalid, Permanent
from streams.quality.generation import arguments, merged, text_seed

# A request's index on its way through the engine is (sample's position) * WIDTH + (its own index in the sample).
WIDTH = 1 << 20


async def read_samples(log: Log, job: Job, build: BuildPlace, *, done: Container[int]) -> list[SampleBuilt]:
    """The job's samples that are not done yet, in order. Raises: Invalid where the log lacks one."""
    wanted = job.samples
    if (most := build.last_offset - build.first_offset + 1) < len(wanted):
        raise Invalid(f"the job is of {len(wanted)} samples, and its build of {most} at most", code="samples-missing")
    found = await samples_of(log, build, wanted=wanted)
    if missing := set(wanted) - found.keys():
        raise Invalid(f"build {build.build_id} lacks {len(missing)} samples, the first is {min(missing)}", code="samples-missing")
    return [found[ordinal] for place, ordinal in enumerate(wanted) if place not in done]


async def read_prefixes(log: Log, build: BuildPlace, samples: Sequence[SampleBuilt]) -> dict[str, str]:
    """Content id → text, of the few-shot prefixes that the samples refer to."""
    named = {request.prefix_ref for sample in samples for request in sample.requests}
    return await contents_of(log, [place for place in build.contents if place.content_id in named])


@dataclass(slots=True)
class Open:
    """Samples whose answers come in; `ready` are those that are whole and not yet published."""

    samples: Sequence[SampleBuilt]
    answers: dict[int, list[EngineAnswer]] = field(default_factory=dict)
    ready: list[int] = field(default_factory=list)

    def requests(self, job: Job, prefixes: dict[str, str]) -> Iterator[EngineRequest]:
        """All that the engine must answer."""
        for position, sample in enumerate(self.samples):
            if not any(built.repeats for built in sample.requests):
                self.ready.append(position)
            for number, built in enumerate(sample.requests):
                prefix = prefixes[built.prefix_ref] if built.prefix_ref else ""
                yield from _requests(built, job, sample, index=position * WIDTH + number, prefix=prefix)

    def take(self, answer: EngineAnswer) -> None:
        """Takes an answer in, of whichever sample."""
        position = answer.index // WIDTH
        own = self.answers.setdefault(position, [])
        own.append(answer)
        if len(own) == sum(built.repeats for built in self.samples[position].requests):
            self.ready.append(position)

    def sample_of(self, index: int) -> SampleBuilt:
        """The sample that a request of that index is of."""
        return self.samples[index // WIDTH]

    def whole(self) -> list[tuple[SampleBuilt, tuple[Answer, ...], dict[str, int | None]]]:
        """The samples that are ready, each with its answers in order and their moments; they stay ready until they are `told`."""
        found = [(self.samples[position], self.answers.get(position, [])) for position in self.ready]
        return [(sample, _ordered(sample, answers), moments_of(answers)) for sample, answers in found]

    def told(self, count: int) -> set[int]:
        """The ordinals of the first that were ready, which are published now."""
        gone, self.ready = self.ready[:count], self.ready[count:]
        for position in gone:
            self.answers.pop(position, None)
        return {self.samples[position].ordinal for position in gone}


def check_whole(answer: EngineAnswer, sample: SampleBuilt, *, task: str, window: int) -> None:
    """Raises: Permanent where the model's window of so many tokens truncated the answer's request."""
    if answer.truncated_tokens:
        whole = answer.prompt_tokens + answer.truncated_tokens
        raise Permanent(
            f"document {sample.doc_id} of {task}: request {answer.index % WIDTH + 1} has {whole:,} tokens, {answer.truncated_tokens:,} "
            f"more than fit into the model's window of {window:,}; ask without no_truncation, for fewer examples or new tokens, or take a "
            "model with a longer window", code="truncated",
        )  # fmt: skip


def moments_of(answers: Sequence[EngineAnswer]) -> dict[str, int | None]:
    """When a sample's first answer was begun, the first token of a text was there, and the last answer was known, as its event has it.

    The first two are None where the engine does not say the one of every answer, and the other of any.
    """
    began = [answer.began_ns for answer in answers if answer.began_ns is not None]
    first = [answer.first_ns for answer in answers if answer.first_ns is not None]
    ended = [answer.ended_ns for answer in answers if answer.ended_ns is not None]
    return {
        "began_ns": min(began) if began and len(began) == len(answers) else None, "first_token_ns": min(first, default=None),
        "ended_ns": max(ended, default=None),
    }  # fmt: skip


def _requests(built: BuiltRequest, job: Job, sample: SampleBuilt, *, index: int, prefix: str) -> Iterator[EngineRequest]:
    told = merged(json.loads(built.generation_json or "{}"), arguments(job.generation_json))
    thinking = Thinking(job.chat.thinking_end, job.chat.thinking_tokens) if job.chat.thinking else None
    is_chat = job.chat.template == "model" and is_elsewhere(job.engine.name)
    drawn = partial(text_seed, job.seed, build_id=sample.build_id, ordinal=sample.ordinal, repeat=job.repeat, request=index % WIDTH)
    for draw in range(built.repeats):
        yield EngineRequest(
            index=index, request_type=built.request_type, context=prefix + built.context.read(),
            continuation=built.continuation.read() if built.continuation else None, generation=told, draw=draw,
            seed=drawn(draw=draw), thinking=thinking, is_chat=is_chat,
        )  # fmt: skip


def _ordered(sample: SampleBuilt, answers: Sequence[EngineAnswer]) -> tuple[Answer, ...]:
    ordered = sorted(answers, key=lambda answer: (answer.index, answer.draw))
    return tuple(_answer_of(answer, sample.requests[answer.index % WIDTH].request_type) for answer in ordered)


def _answer_of(answer: EngineAnswer, request_type: str) -> Answer:
    output, reasoning = ({"bytes": text.encode()} if text is not None else None for text in (answer.output, answer.reasoning))
    return Answer.model_validate({
        "request_index": answer.index % WIDTH, "request_type": request_type, "draw": answer.draw, "output": output,
        "reasoning": reasoning, "reasoning_tokens": answer.reasoning_tokens,
        "loglikelihood": answer.loglikelihood, "is_greedy": answer.is_greedy, "token_logprobs": answer.token_logprobs,
        "finish_reason": answer.finish_reason, "prompt_tokens": answer.prompt_tokens, "output_tokens": answer.output_tokens,
        "truncated_tokens": answer.truncated_tokens, "error": answer.error,
    })  # fmt: skip
