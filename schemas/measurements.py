"""What a gpu_agent measures as it goes. It never scores, averages or prices."""

from typing import ClassVar, Literal

from schemas.event import Double, Event, Record, RunId, Text

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
    """All answers of one sample, together: whoever scores it needs no other event but the sample itself."""

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


class Clock(Record):
    """How a host's monotonic clock stands to UTC."""

    host: str
    boot_id: str
    mono_epoch_ns: int
    utc_us: int
    uncertainty_us: int


class LoadClient(Record):
    """How well the load generator itself kept up."""

    lag_ns: int
    pacing_error_ns: int
    in_flight: int


class RequestTimed(Event):
    """One request of a workload, on its host's monotonic clock. `scheduled_ns` is when it should have been sent."""

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


class TokensTimed(Event):
    """A run of at most 64 arrivals of one sequence, on the host's monotonic clock."""

    identity: ClassVar[tuple[str, ...]] = ("run_id", "job_id", "attempt", "request_index", "sequence", "chunk")
    key: ClassVar[tuple[str, ...]] = ("run_id",)

    run_id: RunId
    job_id: str
    attempt: int
    request_index: int
    sequence: int
    chunk: int
    first_token: int
    arrival_ns: tuple[int, ...]
    tokens_per_arrival: tuple[int, ...]


class ResourceRead(Event):
    """One reading of one sensor, while jobs were active: `attempts` are theirs, in the order of `jobs_active`.

    `own_cost_ns` is what taking it took. It lies where the events of the run lie whose job was active.
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
    util_ratio: Double | None = None
    memory_bytes: int | None = None
    power_w: Double | None = None
    energy_uj: int | None = None
    temperature_c: Double | None = None
    clock_hz: int | None = None
    throttle: str | None = None
    method: str
    sensor: str
    own_cost_ns: int
    attempts: tuple[int, ...] = ()

    def partition_key(self) -> bytes:
        """The run of the job that was active (a job's id begins with its run's); the agent, where none was."""
        return self.jobs_active[0].partition("/")[0].encode() if self.jobs_active else self.agent_id.encode()
