"""A workload's measurements on their way to the log; of a sweep, step after step, by what the steps before it came to."""

from collections.abc import AsyncIterator, Callable, Mapping

from gpu_agent.meters.clock import clock
from gpu_agent.outbox import Outbox
from gpu_agent.runner import Engines
from gpu_agent.workloads.schedule import loop_of
from gpu_agent.workloads.timed import Timed
from infra.credentials import owned
from schemas.jobs import Job
from schemas.measurements import LoadClient, RequestTimed, TokensTimed
from schemas.requests import Workload
from streams.errors import AssayError
from streams.speed.sweeping import Step, following, steps_of
from streams.speed.timings import Timings

ARRIVALS = 1024  # in one record: its header is then no part of what a token takes, and it is some kilobytes
# What a request's event has just as it was measured.
AS_TIMED = (
    "scheduled_ns", "queued_ns", "sent_ns", "ended_ns", "prompt_tokens", "output_tokens", "connect_ns", "tls_ns", "first_answer_ns",
    "last_token_ns", "cached_tokens", "reasoning_tokens", "counted_by", "apportioned", "http_status",
    "text_tokens", "text_reasoning_tokens", "text_prompt_tokens",
)  # fmt: skip


class Measuring:
    """A job's workload at work. `header`: what each of its events begins with."""

    def __init__(self, job: Job, *, outbox: Outbox, engines: Engines, attempt: int, header: Callable[[], Mapping[str, object]]) -> None:
        self._job, self._outbox, self._engines, self._header = job, outbox, engines, header
        self._mark = f"{job.job_id}/{attempt}"
        self._clock = clock()
        self._requests = self._token_timings = self._first = 0

    async def run(self, workload: Workload) -> AsyncIterator[dict[str, int]]:
        """How much was taken over to be published, each time that more was. Raises: Permanent, Temporary."""
        if workload.profile != "sweep":
            async for _ in self._load(workload, about={}):
                yield self._counts
            return
        steps = list[Step]()
        while (step := following(workload, steps, slo=self._job.slo)) is not None:
            seen = Timings()
            async for _ in self._step(step, seen, number=len(steps)):
                yield self._counts
            taken = seen.taken()
            if not len(taken.steady):
                return
            steps += steps_of(taken.steady, taken.arrivals, slo=self._job.slo)

    async def _step(self, workload: Workload, seen: Timings, *, number: int) -> AsyncIterator[None]:
        """Measures a step of a sweep; `seen` takes up what it measures."""
        about = {"step": number, "step_rate_per_s": workload.rate_per_s}
        try:
            async for timed, tokens in self._load(workload, about=about):
                seen.add(timed)
                for one in tokens:
                    seen.add(one)
                yield
        except AssayError as error:
            # A server that answers no more, once it has answered, is a limit that was found.
            if number == 0 or error.code == "engine-died":
                raise

    @property
    def _counts(self) -> dict[str, int]:
        return {"requests": self._requests, "token_timings": self._token_timings}

    async def _load(self, workload: Workload, *, about: Mapping[str, object]) -> AsyncIterator[tuple[RequestTimed, list[TokensTimed]]]:
        """Each request of a load, on its way to the log as it ends."""
        told = {"loop": loop_of(workload), **about}
        job = self._job
        timings = self._engines.measure(
            workload, model=job.model, seed=job.seed, mark=self._mark, first=self._first,
            credential=owned(job.credential_ref, job.organisation_id),
        )  # fmt: skip
        async for timed in timings:
            tokens = [self._tokens(timed, chunk) for chunk in range(-(-len(timed.arrivals) // ARRIVALS))]
            request = self._timed(timed, told)
            await self._outbox.put([request, *tokens])
            self._requests, self._token_timings = self._requests + 1, self._token_timings + len(tokens)
            self._first = max(self._first, timed.planned.index + 1)
            yield request, tokens

    def _timed(self, timed: Timed, told: Mapping[str, object]) -> RequestTimed:
        planned, pacing = timed.planned, timed.begun_ns - timed.scheduled_ns
        chat = {} if planned.session is None else {"session": f"{planned.session}", "turn": planned.turn}
        return RequestTimed.model_validate({**self._header(), **told} | {name: getattr(timed, name) for name in AS_TIMED} | {
            **chat, "prompt": planned.prompt, "request_index": planned.index, "phase": planned.phase, "clock": self._clock,
            "first_byte_ns": timed.first_token_ns,
            "status": "cancelled" if timed.cancelled else "error" if timed.error else "ok", "error_kind": timed.error,
            "client": LoadClient(lag_ns=max(0, pacing), pacing_error_ns=pacing, in_flight=timed.in_flight, loop_lag_ns=timed.loop_lag_ns,
                                 queued_ns=timed.sent_ns - timed.scheduled_ns, cpu_ratio=timed.cpu_ratio, dropped=timed.dropped,
                                 unread=timed.unread, unsent=len(self._outbox)),
        })  # fmt: skip

    def _tokens(self, timed: Timed, chunk: int) -> TokensTimed:
        first = chunk * ARRIVALS
        arrivals = timed.arrivals[first : first + ARRIVALS]
        return TokensTimed.model_validate({**self._header()} | {
            "request_index": timed.planned.index, "sequence": 0, "chunk": chunk,
            "first_token": sum(count for _, count in timed.arrivals[:first]), "arrival_ns": tuple(at for at, _ in arrivals),
            "tokens_per_arrival": tuple(count for _, count in arrivals),
        })  # fmt: skip
