"""What was measured of one request of a workload."""

from dataclasses import dataclass, field

from gpu_agent.workloads.schedule import Planned


@dataclass(slots=True)
class Timed:
    """Moments are this process's `perf_counter_ns`.

    `scheduled_ns` is when it should have been sent, `begun_ns` when the client turned to it, `sent_ns` when its bytes went, behind a
    connection that may have had to be made first. `queued_ns`: how long it then waited for an engine of our own, where one answers.
    `arrivals`: when so many tokens came; `ended_ns`: when no more could come. Of an answer that came whole, not as a stream, there is one
    arrival, its end, and the moments of its first tokens are None. `counted_by`: what its tokens are counted by: engine, usage,
    tokenizer or none. `text_tokens`: how many the answer's texts have by the tokenizer, of which `text_reasoning_tokens` are reasoning, and
    `text_prompt_tokens` how many the prompt has; None without one.
    """

    planned: Planned
    scheduled_ns: int
    begun_ns: int = 0
    sent_ns: int = 0
    queued_ns: int | None = None
    ended_ns: int = 0
    connect_ns: int | None = None
    tls_ns: int | None = None
    arrivals: list[tuple[int, int]] = field(default_factory=list)
    first_token_ns: int | None = None
    last_token_ns: int | None = None
    first_answer_ns: int | None = None
    in_flight: int = 0
    http_status: int | None = None
    error: str | None = None
    permanent: bool = False
    prompt_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    counted_by: str = "engine"
    apportioned: bool = False
    text_tokens: int | None = None
    text_reasoning_tokens: int | None = None
    text_prompt_tokens: int | None = None
    loop_lag_ns: int | None = None
    cpu_ratio: float | None = None
    unread: int | None = None
    dropped: bool = False
    cancelled: bool = False
