"""What clients say: evaluate this, cancel that. And the shapes that a request shares with its jobs."""

from typing import ClassVar, Literal

from pydantic import Field

from schemas.event import Event, Finite, Record, RunId, Who, Why

Purpose = Literal["evaluate", "audit", "train"]
Varied = Literal["seed", "format"]
Api = Literal["completions", "chat", "responses"]
Http = Literal["1.1", "2"]
Profile = Literal["single", "constant", "poisson", "gamma", "ramp", "trace", "concurrent", "sweep"]


class Adapter(Record):
    """A fine-tuned adapter on top of a base model."""

    uri: str
    method: str


class ModelRef(Record):
    """A model: a folder, or a hub name with its revision. `sha256` is over its weights and tokenizer."""

    uri: str
    revision: str | None = None
    sha256: str | None = None
    format: str | None = None
    base: str | None = None
    adapter: Adapter | None = None
    dtype: str | None = None
    quantisation: str | None = None
    trust_code: bool = False


class EngineChoice(Record):
    """An engine by name, with options of its own (strings; each engine documents and validates them)."""

    name: str = "transformers"
    options: dict[str, str] = Field(default_factory=dict)


class Generation(Record):
    """Generation settings that override the task's own. `json` holds lm-eval's `generation_kwargs` as JSON."""

    json_text: str = "{}"


class TaskPart(Record):
    """A file that a definition leans on, by its path beside it: a YAML that it includes, or a Python module whose functions it names."""

    path: str
    text: str


class TaskChoice(Record):
    """A task as it is asked for. `limit` takes the first samples of the whole build, `limit_ratio` that share of them.

    `version` and `data_revision` are its pins: the task's version and the sha of its data, as TaskBuilt tells them. Tasks of one `group`
    count as one in a suite, by their samples or, without `weight_by_size`, alike. `definition` is a task or a group of the client's own:
    its YAML in lm-eval's form, whose Python is run where `trust_code`; `file` is its path among the `parts` that it leans on. `metrics` are
    computed beside the task's own. `skip_bad_rows`: rows that cannot be asked or scored are left out and counted, instead of refusing the
    task. `fewshot_exclude_self`: a document is never among its own examples. `vary`: in what repeats are built differently, the seed of the
    few-shot examples or the prompt's format.
    """

    name: str
    version: str | None = None
    data_revision: str | None = None
    fewshot: int | None = None
    limit: int | None = None
    repeats: int = 1
    seeds: tuple[int, ...] = (1234,)
    generation: Generation | None = None
    group: str | None = None
    definition: str | None = None
    trust_code: bool = False
    metrics: tuple[str, ...] = ()
    limit_ratio: Finite | None = None
    fewshot_exclude_self: bool = False
    file: str | None = None
    parts: tuple[TaskPart, ...] = ()
    skip_bad_rows: bool = False
    vary: tuple[Varied, ...] = ()
    weight_by_size: bool = True


class Chat(Record):
    """How prompts are dressed. `template`: null for none, "model" for the tokenizer's own, else a Jinja text.

    `thinking`: what the template is told as `enable_thinking`; null leaves it to the template. Where it is true, what follows the last
    `thinking_end` is the answer; after `thinking_tokens` tokens without one, that text is put in. Null is no limit but the answer's.
    `fold_system`: the system message is put before the first user message, for templates that refuse the system role.
    """

    template: str | None = None
    system: str | None = None
    multiturn: bool = False
    thinking: bool | None = None
    thinking_tokens: int | None = None
    thinking_end: str = "</think>"
    fold_system: bool = False


class Traced(Record):
    """A request of a trace, `at_ms` after its first. Requests whose `hash_ids` begin alike have prompts that begin alike.

    An id stands for a block of 512 tokens, the last one for what is left. `text` is the prompt itself.
    """

    at_ms: Finite
    input_tokens: int
    output_tokens: int
    hash_ids: tuple[int, ...] = ()
    text: str | None = None


class Prompt(Record):
    """A prompt of a load, as it is sent."""

    text: str


class Workload(Record):
    """A load to measure speed under. `requests` and `duration_s` end it, whichever comes first; a trace also ends by itself.

    `burstiness` is the shape of gamma arrivals: 1 is Poisson, less comes in bursts. A ramp goes from `rate_per_s` to `rate_to_per_s`.
    A trace is sent `speedup` times as fast as it was recorded. A sweep is a series of loads, each as long as `requests` and `duration_s`
    say: one stream alone, then at rates from `rate_per_s` on, to where the server is saturated or misses its service level. `api` is what
    the server at `url` is asked by. `fresh_prompts`: no prompt begins as one that was sent before, in any run, so that no cache of prefixes
    answers; without, the same seed sends the same prompts. Of each prompt's tokens `shared_prefix_ratio` are the beginning that it has in
    common with others: one of so many `shared_prefixes`, drawn for each request.
    So great a share as `cancel_ratio` of the requests, drawn too, the client gives up `cancel_after_s` after it has sent them.
    `turns`: requests of a chat, each with all that was said before and `input_tokens` more, `think_s` after the answer to the last. Rates
    and concurrency are of chats then, `requests` of all their turns. `stream`: answers come token by token; else whole, and nothing is
    known of when their tokens came. `extra_body`: what every request's body has beside the load's own, as JSON.
    `prompts`: a data set's own, which the seed shuffles; none is sent again before all were. `prompts_task`: the planner takes them of that
    task's documents, the first `prompts_limit` of them, as the task asks them. `http`: by which version the server is spoken to; by HTTP/2
    as many requests at a time go over one connection as the server takes, at most `streams`.
    """

    profile: Profile = "single"
    rate_per_s: Finite | None = None
    concurrency: int | None = None
    duration_s: Finite | None = None
    requests: int | None = None
    warmup_requests: int = 2
    input_tokens: int = 64
    output_tokens: int = 32
    url: str | None = None
    api: Api = "completions"
    fresh_prompts: bool = True
    burstiness: Finite | None = None
    rate_to_per_s: Finite | None = None
    trace: tuple[Traced, ...] = ()
    speedup: Finite = 1.0
    shared_prefix_ratio: Finite = 0.0
    shared_prefixes: int = 1
    cancel_ratio: Finite = 0.0
    cancel_after_s: Finite | None = None
    turns: int = 1
    think_s: Finite = 0.0
    stream: bool = True
    extra_body: str = "{}"
    prompts: tuple[Prompt, ...] = ()
    prompts_task: str | None = None
    prompts_limit: int | None = None
    http: Http = "1.1"
    streams: int | None = None


class Objective(Record):
    """A service level that a load is held to: of all times, so great a share is at most so long. Null is no limit."""

    ttft_ns: int | None = None
    itl_ns: int | None = None
    e2e_ns: int | None = None
    ratio: Finite = 0.95


class Budget(Record):
    """What a run may take before it stops; null is no limit. `s` counts from when it first ran; `deadline_us` is UTC."""

    usd_nano: int | None = None
    s: Finite | None = None
    deadline_us: int | None = None


class Stopping(Record):
    """When a task is known well enough to stop: each of its figures to ±`half_width`, in the figure's unit, with that confidence."""

    half_width: Finite
    confidence: Finite = 0.95


class Judgement(Record):
    """A judge of a run's answers: `model` answers the derived task `task` about them, in a run of its own, once it is complete."""

    task: str
    model: ModelRef
    engine: EngineChoice = EngineChoice()
    chat: Chat = Chat()


class EvaluationRequested(Event):
    """Somebody wants a model evaluated. `run_id` is a UUIDv7 that the client draws; it is the idempotency key.

    `suite` is the board; of a suite of the project's, `suite_version` is its version. `pinned`: a task that differs from its pins is
    refused, not only told. `skip_missing`: tasks that cannot run are left out, instead of all being refused. Derived tasks are about the
    answers of `parent_run`; those that compare, also about those of `against_run`. `judges` are models that judge by the usual rubric.
    `stopping`: tasks may end before their last sample; null runs them whole. `model_published`: when the model was published, YYYY-MM or
    YYYY-MM-DD; null leaves it to the model's card. `no_truncation`: a request that the model's window would cut fails the run.
    `adaptive`: of each task only so many documents are asked, and the whole is estimated by other models' runs; null asks all.
    `model_licences`: SPDX ids; a model under another licence, or none that is told, is refused; empty takes all.
    `audit_of`: the run that an audit runs again, in that share (`audit_ratio`) of its documents; null is all of them. `data_licences`:
    SPDX ids; a task whose data are under another licence, or none that is told, is refused; empty takes all. `non_commercial`: data whose
    licence is for non-commercial use alone are taken.
    """

    identity: ClassVar[tuple[str, ...]] = ("run_id",)
    key: ClassVar[tuple[str, ...]] = ("run_id",)

    run_id: RunId
    submitter: str = "anonymous"
    purpose: Purpose = "evaluate"
    parent_run: RunId | None = None
    campaign: str | None = None
    model: ModelRef
    engine: EngineChoice = EngineChoice()
    suite: str | None = None
    tasks: tuple[TaskChoice, ...] = ()
    chat: Chat = Chat()
    workload: Workload | None = None
    slo: Objective | None = None
    judges: tuple[str, ...] = ()
    stop_rule: str | None = None
    priority: int = 0
    budget: Budget = Budget()
    credential_ref: str | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    pool: str = "default"
    suite_version: str | None = None
    pinned: bool = False
    skip_missing: bool = False
    judgements: tuple[Judgement, ...] = ()
    against_run: RunId | None = None
    stopping: Stopping | None = None
    model_published: str | None = None
    no_truncation: bool = False
    adaptive: int | None = None
    model_licences: tuple[str, ...] = ()
    audit_of: RunId | None = None
    audit_ratio: Finite | None = None
    data_licences: tuple[str, ...] = ()
    non_commercial: bool = False


class CancellationRequested(Event):
    """Somebody wants a run stopped; what it has measured so far stays."""

    identity: ClassVar[tuple[str, ...]] = ("run_id",)
    key: ClassVar[tuple[str, ...]] = ("run_id",)

    run_id: RunId
    by: Who
    message: Why = ""

    @property
    def why(self) -> str:
        """In words."""
        return self.message or f"cancelled by {self.by}"
