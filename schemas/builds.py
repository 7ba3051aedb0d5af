"""Tasks as they were built, once, for any run: after this the data set itself is no longer needed."""

from typing import ClassVar, Literal

from schemas.event import Event, Finite, Record, Text
from schemas.runs import ExpectedMetric

RequestType = Literal["loglikelihood", "loglikelihood_rolling", "generate_until", "multiple_choice"]


class ContentPlace(Record):
    """Where in the contents topic a content lies."""

    content_id: str
    partition: int
    first_offset: int
    last_offset: int


class TaskBuilt(Event):
    """A finished build. Its samples lie in one partition, between (and including) the two offsets.

    `config_json` is what scoring makes the task from again, without its data set; `chance` is the main metric's value of guessing.
    `own_examples`: how many documents are among the few-shot examples of their own prompts, with their answers.
    `rows_skipped` of its data were left out, for they could not be asked or scored; `skipped_first` tells the first, and why.
    `format`: one of the project's prompt formats (infra/harness/formats.py). `questions` names what each document asks, in their order
    (streams/quality/matching.py); empty where that is not known.
    """

    identity: ClassVar[tuple[str, ...]] = ("build_id",)
    key: ClassVar[tuple[str, ...]] = ("build_id",)

    build_id: str
    task: str
    task_version: str
    harness_version: str
    data_sha: str
    data_source: str
    licence: str | None
    fewshot: int
    seed: int
    chat_sha: str
    samples: int
    partition: int
    first_offset: int
    last_offset: int
    contents: tuple[ContentPlace, ...] = ()
    expected: tuple[ExpectedMetric, ...] = ()
    main_metric: str = ""
    main_filter: str = "none"
    chance: Finite | None = None
    config_json: str = "{}"
    own_examples: int = 0
    rows_skipped: int = 0
    skipped_first: str | None = None
    format: str = "own"
    questions: bytes = b""


class ContentPublished(Event):
    """A text that others refer to: few-shot prefixes and anything long, in chunks of at most 1 MiB."""

    identity: ClassVar[tuple[str, ...]] = ("content_id", "chunk")
    key: ClassVar[tuple[str, ...]] = ("content_id",)

    content_id: str
    media_type: str
    chunk: int
    chunks: int
    text: Text


class BuiltRequest(Record):
    """One request of a sample. The whole context is the content of `prefix_ref` followed by `context`.

    `generation_json` is the normalised `generation_kwargs` of a generate_until request.
    """

    request_type: RequestType
    context: Text
    prefix_ref: str | None = None
    continuation: Text | None = None
    generation_json: str | None = None
    repeats: int = 1


class SampleBuilt(Event):
    """One document of a task with all of its requests, in the task's own order. `target` is the expected answer, where the task has one."""

    identity: ClassVar[tuple[str, ...]] = ("build_id", "ordinal")
    key: ClassVar[tuple[str, ...]] = ("build_id",)

    build_id: str
    ordinal: int
    doc_id: int
    document: Text
    requests: tuple[BuiltRequest, ...]
    arguments_sha: str
    target: Text | None = None
