"""What a gpu_agent measures as it goes. It never scores, averages or prices."""

from typing import ClassVar, Literal, Self

from pydantic import model_validator

from schemas.event import Double, Event, Finite, Record, RunId, Text
from schemas.gaps import packed, times_of, unpacked

Phase = Literal["warmup", "steady", "drain"]


class Answer(Record):
    """The answer to one request of a sample, of one repetition inside the task (`draw`).

    Texts too long for a record are cut in the middle: so many bytes are left out of them.
    """

    request_index: int
    request_type: str
    draw: int = 0
    output: Text | None = None
    reasoning: Text | None = None
    loglikelihood: Double | None = None
    is_greedy: bool | None = None
    token_logprobs: bytes | None = None
    finish_reason: str
    prompt_tokens: int
    cached_prompt_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int | None = None
    truncated_tokens: int = 0
    error: str | None = None
    reasoning_cut_bytes: int = 0
    output_cut_bytes: int = 0


class SampleAnswered(Event):
    """All answers of one sample, together: whoever scores it needs no other event but the sample itself.

    On the host's monotonic clock: `began_ns` is when the engine began to compute the first of them, with all that it computed together,
    `first_token_ns` when the first token of a text was there, `ended_ns` when the last was known. Null where the engine cannot say, and
    before this was told.
    """

    identity: ClassVar[tuple[str, ...]] = ("run_id", "build_id", "ordinal", "repeat")
    key: ClassVar[tuple[str, ...]] = ("job_id",)

    run_id: RunId
    job_id: str
    attempt: int
    task: str
    build_id: str
    ordinal: int
    repeat: int
    seed: int
    arguments_sha: str
    answers: tuple[Answer, ...]
    began_ns: int | None = None
    first_token_ns: int | None = None
    ended_ns: int | None = None


class Clock(Record):
    """How a host's monotonic clock stands to UTC."""

    host: str
    boot_id: str
    mono_epoch_ns: int
    utc_us: int
    uncertainty_us: int


class LoadClient(Record):
    """How well the load generator itself kept up. `pacing_error_ns`: how late it turned to the request.

    `queued_ns`: what lay between the schedule and the sending, a connection's making too. `loop_lag_ns`: the worst lag of its loop in the
    second before the request ended; `cpu_ratio`: the cores that it took. `dropped`: it could not send the request at all. `unread`: how
    many answers had ended before this one's and waited to be read; `unsent`: how many measurements the agent had that the broker had not.
    """

    lag_ns: int
    pacing_error_ns: int
    in_flight: int
    queued_ns: int | None = None
    loop_lag_ns: int | None = None
    cpu_ratio: Finite | None = None
    dropped: bool = False
    unread: int | None = None
    unsent: int | None = None


class RequestTimed(Event):
    """One request of a workload, on its host's monotonic clock. `scheduled_ns` is when it should have been sent.

    `first_byte_ns` is when its first token of any channel came, `first_answer_ns` the first one that is no reasoning, `last_token_ns` the
    last; of an answer that came whole the first two are null. `ended_ns`: when no more could come. What connecting and TLS took is in
    `connect_ns` and `tls_ns`, where a connection was made for it. `counted_by`: what its tokens are counted by: engine, usage, tokenizer,
    none (then they are not known, and 0), or chunks (only before this was said). `apportioned`: chunks held several tokens, or
    parts of one, which are apportioned to them by length. `status` is ok, error or cancelled: the client gave it up on purpose.
    `loop`: an open load sends by its schedule, a closed one when an answer has ended. `step`: of which step of a sweep it is, from 0, and
    `step_rate_per_s` its rate; null in the first, one stream alone. `turn`: of a chat, which `session` names, from 0; of chats that begin
    by a schedule, or with thinking between turns, `loop` is null.
    `text_tokens`: how many tokens all texts of the answer have by the model's tokenizer, where that is here, `text_reasoning_tokens` how
    many of them are reasoning, `text_prompt_tokens` how many its prompt has, without what a template adds: beside what the server told.
    `prompt`: which of a data set's prompts it had, from 0.
    """

    identity: ClassVar[tuple[str, ...]] = ("run_id", "job_id", "attempt", "request_index")
    key: ClassVar[tuple[str, ...]] = ("run_id",)

    run_id: RunId
    job_id: str
    attempt: int
    request_index: int
    phase: Phase
    clock: Clock
    scheduled_ns: int
    queued_ns: int | None
    sent_ns: int
    first_byte_ns: int | None
    ended_ns: int
    status: str
    prompt_tokens: int
    output_tokens: int
    error_kind: str | None = None
    http_status: int | None = None
    session: str | None = None
    turn: int | None = None
    client: LoadClient
    connect_ns: int | None = None
    tls_ns: int | None = None
    first_answer_ns: int | None = None
    last_token_ns: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    counted_by: str = "chunks"
    apportioned: bool = False
    loop: Literal["open", "closed"] | None = None
    step: int | None = None
    step_rate_per_s: Finite | None = None
    text_tokens: int | None = None
    text_reasoning_tokens: int | None = None
    text_prompt_tokens: int | None = None
    prompt: int | None = None


class TokensTimed(Event):
    """A run of arrivals of one sequence, on the host's monotonic clock: when the first came, and the gaps between them.

    `usual_gap_ns` and `gaps`: from each arrival to the next (schemas/gaps.py). `tokens_per_arrival` is empty where each brought one token.
    `arrival_ns`: when each came, as records tell it that are older than gaps; whoever reads or makes an event has gaps of it.
    """

    identity: ClassVar[tuple[str, ...]] = ("run_id", "job_id", "attempt", "request_index", "sequence", "chunk")
    key: ClassVar[tuple[str, ...]] = ("run_id",)

    run_id: RunId
    job_id: str
    attempt: int
    request_index: int
    sequence: int
    chunk: int
    first_token: int
    arrival_ns: tuple[int, ...] = ()
    tokens_per_arrival: tuple[int, ...] = ()
    first_ns: int | None = None
    usual_gap_ns: int = 0
    gaps: bytes = b""

    @model_validator(mode="after")
    def _in_gaps(self) -> Self:
        if self.arrival_ns:
            told = list(zip(self.arrival_ns, self.tokens_per_arrival or (1,) * len(self.arrival_ns), strict=False))
            times, tokens = [at for at, _ in told], tuple(count for _, count in told)
            usual, gaps = packed(times)
            made = {"arrival_ns": (), "tokens_per_arrival": () if set(tokens) == {1} else tokens, "first_ns": times[0] if times else None}
            for name, value in (made | {"usual_gap_ns": usual, "gaps": gaps}).items():
                object.__setattr__(self, name, value)
        return self

    @property
    def gap_ns(self) -> tuple[int, ...]:
        """From each arrival to the next."""
        return unpacked(self.usual_gap_ns, self.gaps)

    @property
    def arrivals(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """When each came, in ns, and how many tokens it brought."""
        if self.first_ns is None:
            return (), ()
        times = times_of(self.first_ns, self.gap_ns)
        tokens = self.tokens_per_arrival or (1,) * len(times)
        return times[: len(tokens)], tokens[: len(times)]


class ResourceRead(Event):
    """One reading of one sensor, while jobs were active: `attempts` are theirs, in the order of `jobs_active`.

    `own_cost_ns` is what taking it took. `energy_range_uj`: where the counter begins again at 0. `idle_w`: what the device drew when the
    agent had no job last. `processor_s`: the processor time that a process or a cgroup has taken. It lies where the events of the run lie
    whose job was active.
    """

    identity: ClassVar[tuple[str, ...]] = ("agent_id", "boot_id", "scope", "device_uuid", "sensor", "mono_ns")
    key: ClassVar[tuple[str, ...]] = ("agent_id",)

    agent_id: str
    host: str
    boot_id: str
    mono_ns: int
    device_uuid: str | None
    scope: Literal["device", "process", "cgroup", "host"]
    jobs_active: tuple[str, ...]
    util_ratio: Finite | None = None
    memory_bytes: int | None = None
    power_w: Finite | None = None
    energy_uj: int | None = None
    temperature_c: Finite | None = None
    clock_hz: int | None = None
    throttle: str | None = None
    method: str
    sensor: str
    own_cost_ns: int
    attempts: tuple[int, ...] = ()
    energy_range_uj: int | None = None
    idle_w: Finite | None = None
    processor_s: Finite | None = None

    def partition_key(self) -> bytes:
        """The run of the job that was active (a job's id begins with its run's); the agent, where none was."""
        return self.jobs_active[0].partition("/")[0].encode() if self.jobs_active else self.agent_id.encode()
