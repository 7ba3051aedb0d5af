"""What a workload asks for: which of its fields go together, and how many requests that is."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from schemas.requests import Objective, Profile, Workload
from streams import bounds, served
from streams.engines import kind_of
from streams.errors import Invalid
from streams.speed import objective
from streams.speed.bodies import body_of
from streams.speed.prompts import check_prompts
from streams.speed.traces import check_trace
from streams.statistics.order import needed

CODE: Final = "workload"
PACED: Final[frozenset[Profile]] = frozenset({"constant", "poisson", "gamma", "ramp"})
DRAWN: Final[tuple[Profile, ...]] = ("single", "constant", "poisson", "gamma", "ramp", "concurrent", "sweep")
# What means something to some profiles alone, and what only beside another field: said of another load it would be ignored.
BELONGING: Final[Mapping[str, tuple[Profile, ...]]] = MappingProxyType({
    "rate_per_s": ("constant", "poisson", "gamma", "ramp", "sweep"), "rate_to_per_s": ("ramp",), "burstiness": ("gamma", "sweep"),
    "concurrency": ("concurrent",), "trace": ("trace",), "speedup": ("trace",), "input_tokens": DRAWN, "output_tokens": DRAWN,
})  # fmt: skip
TOGETHER: Final[Mapping[str, str]] = MappingProxyType({"cancel_after_s": "cancel_ratio", "shared_prefixes": "shared_prefix_ratio"})


def check(workload: Workload, *, engine: str, slo: Objective | None = None) -> None:
    """Raises: Invalid, saying what to change, where the workload cannot be."""
    if not kind_of(engine).tokens:
        raise Invalid(
            f"engine {engine} generates no tokens, so that their speed cannot be measured; ask for no workload", code="engine-cannot"
        )
    served.check_load(workload.url, engine=engine)
    _check_belonging(workload)
    if workload.shared_prefix_ratio and (workload.url is None or workload.profile == "trace"):
        raise Invalid(
            "shared_prefix_ratio is for prompts that are drawn for a server: give its url and no trace, or leave it out", code=CODE
        )
    if workload.cancel_ratio and (workload.url is None or workload.cancel_after_s is None):
        raise Invalid("cancel_ratio is for a server: give its url, and cancel_after_s, when requests are given up", code=CODE)
    _check_form(workload, slo)
    check_prompts(workload)
    _check_chats(workload)
    if slo:
        _held(workload, slo)
    if own := OF_PROFILE.get(workload.profile):
        own(workload)
    _check_size(workload)


def _check_belonging(workload: Workload) -> None:
    """Nothing is said that the load would make nothing of."""
    for name, of in BELONGING.items():
        if said(workload, name) and workload.profile not in of:
            raise Invalid(f"{name} is for profile {' or '.join(of)}, not {workload.profile}; leave it out, or change one", code=CODE)
    for name, other in TOGETHER.items():
        if said(workload, name) and not said(workload, other):
            raise Invalid(f"{name} says nothing without {other}: give that too, or leave it out", code=CODE)
    if (workload.prompts or workload.prompts_task is not None) and said(workload, "input_tokens"):
        raise Invalid("prompts of a data set are as long as they are: leave input_tokens out, or the prompts", code=CODE)


def said(workload: Workload, name: str) -> bool:
    """Whether a field says anything but what it says by itself."""
    return bool(getattr(workload, name) != Workload.model_fields[name].default)


def _check_form(workload: Workload, slo: Objective | None) -> None:
    """How requests are asked is for a server; and nothing is held to a time that whole answers do not have."""
    asked = {
        "api responses": workload.api == "responses",
        "stream false": not workload.stream,
        "http 2": workload.http == "2",
        "extra_body": bool(body_of(workload.extra_body)),
    }
    if workload.streams is not None and workload.http != "2":
        raise Invalid("streams are of HTTP/2: give http 2 (--http 2), or leave streams out", code=CODE)
    if workload.url is None and (name := next((name for name, told in asked.items() if told), None)):
        raise Invalid(f"{name} is for a server: give its url, or leave it out", code=CODE)
    if not workload.stream and slo and (limits := [name for name in ("ttft", "itl") if getattr(slo, f"{name}_ns") is not None]):
        raise Invalid(
            f"answers that come whole (stream false) have no {' and no '.join(name.upper() for name in limits)}: hold them to e2e, or let "
            "them be streamed", code=CODE,
        )  # fmt: skip


def _check_chats(workload: Workload) -> None:
    """Whether chats of several turns can be: only a server is asked so, by its chats, and a trace or a sweep has requests of its own."""
    if workload.turns == 1 and workload.think_s:
        raise Invalid("think_s is for chats of several turns: give turns, or leave it out", code=CODE)
    if workload.turns > 1 and (workload.url is None or workload.api == "completions"):
        raise Invalid("turns are a chat's, which a server is asked for: give its url, and api chat or responses", code=CODE)
    if workload.turns > 1 and workload.profile in ("trace", "sweep"):
        raise Invalid(
            f"turns are for loads that draw their own requests at one rate, not for profile {workload.profile}; leave one out", code=CODE
        )
    if workload.turns > 1 and workload.shared_prefix_ratio:
        raise Invalid("each turn begins with its chat's own turns before: leave shared_prefix_ratio out, or turns", code=CODE)


def most_requests(workload: Workload) -> int:
    """How many steady requests it sends at most: as many as it says, else as many as a load's tokens are bounded to."""
    if workload.requests is not None:
        return workload.requests
    if workload.trace:
        return len(workload.trace)
    return min(bounds.MOST_LOAD_REQUESTS, bounds.MOST_LOAD_TOKENS // max(1, workload.output_tokens))


def _check_length(workload: Workload) -> None:
    """How long it would last where only its requests end it."""
    for name in ("rate_per_s", "rate_to_per_s"):
        if 0 < (getattr(workload, name) or 0) < bounds.LEAST_RATE:
            raise Invalid(
                f"{name} is {getattr(workload, name):g}: give {bounds.LEAST_RATE:f} or more, one request a day", code="out-of-bounds"
            )
    if workload.duration_s is not None:
        return
    rate = workload.rate_per_s if workload.profile in PACED else None
    chats = (workload.requests or 0) / workload.turns
    lasts_s = workload.trace[-1].at_ms / 1000 / workload.speedup if workload.trace else chats / rate if rate else 0
    lasts_s += (workload.turns - 1) * workload.think_s
    if lasts_s > bounds.MOST_LOAD_S:
        raise Invalid(
            f"the workload would last {lasts_s / bounds.DAY_S:,.0f} days: give at most {bounds.MOST_LOAD_S // bounds.DAY_S}; "
            f"raise its {'speedup' if workload.trace else 'rate_per_s'}, or give a duration_s",
            code="out-of-bounds",
        )


def _check_size(workload: Workload) -> None:
    _check_length(workload)
    if (sent := _sent(workload)) > bounds.MOST_LOAD_REQUESTS:
        raise Invalid(f"the workload would send {sent:,} requests: give at most {bounds.MOST_LOAD_REQUESTS:,}; lower its rate_per_s or "
                      "its duration_s", code="out-of-bounds")  # fmt: skip
    steady = sum(one.output_tokens for one in workload.trace) or (workload.requests or sent) * workload.output_tokens
    tokens = steady + workload.warmup_requests * workload.output_tokens
    if tokens > bounds.MOST_LOAD_TOKENS:
        raise Invalid(f"the workload would bring {tokens:,} output tokens: give at most {bounds.MOST_LOAD_TOKENS:,}; lower its requests, "
                      "its warmup_requests, its duration_s or its output_tokens", code="out-of-bounds")  # fmt: skip
    if workload.requests is None and workload.duration_s is None and workload.profile != "trace":
        raise Invalid("a workload needs requests or duration_s, or it would never end", code=CODE)
    if workload.input_tokens < 1 or workload.output_tokens < 1:
        raise Invalid("input_tokens and output_tokens must be 1 or more", code=CODE)


def _held(workload: Workload, slo: Objective) -> None:
    outputs = [one.output_tokens for one in workload.trace] or [workload.output_tokens]
    objective.check(slo, output_tokens=max(outputs))
    least, sent = 2 * needed(slo.ratio), workload.requests
    if workload.profile == "sweep" and sent is not None and sent < least:
        raise Invalid(f"each step of the sweep would send {sent:,} requests, and a p{100 * slo.ratio:g} needs {least:,}: give as many, or "
                      "leave requests out", code=CODE)  # fmt: skip


def _paced(workload: Workload) -> None:
    if not (workload.rate_per_s and workload.rate_per_s > 0):
        raise Invalid(f"profile {workload.profile} needs a rate_per_s above 0", code=CODE)


def _gamma(workload: Workload) -> None:
    _paced(workload)
    if workload.burstiness is None:
        raise Invalid("profile gamma needs a burstiness: 1 is Poisson, less comes in bursts, more is evener", code=CODE)


def _ramp(workload: Workload) -> None:
    rates = (workload.rate_per_s or 0, workload.rate_to_per_s or 0)
    if min(rates) < 0 or not any(rates):
        raise Invalid("profile ramp needs rate_per_s and rate_to_per_s, of which one is above 0 and none below", code=CODE)
    if workload.duration_s is None:
        raise Invalid("profile ramp needs a duration_s: how long it takes from one rate to the other", code=CODE)


def _sweep(workload: Workload) -> None:
    if workload.rate_per_s is not None and workload.rate_per_s <= 0:
        raise Invalid("profile sweep begins at a rate_per_s above 0; leave it out to begin at that of one stream alone", code=CODE)


def _concurrent(workload: Workload) -> None:
    if not (workload.concurrency and workload.concurrency > 0):
        raise Invalid("profile concurrent needs a concurrency above 0", code=CODE)


def _trace(workload: Workload) -> None:
    if not workload.trace:
        raise Invalid("profile trace needs a trace: give a file of one (--trace FILE)", code=CODE)
    check_trace(workload.trace)
    if workload.url is None and any(one.text is not None for one in workload.trace):
        raise Invalid(
            "the trace has texts, and an engine here draws its prompts itself: give the url of a server, or leave text out", code=CODE
        )


OF_PROFILE: Final[Mapping[Profile, Callable[[Workload], None]]] = MappingProxyType({
    "constant": _paced, "poisson": _paced, "gamma": _gamma, "ramp": _ramp, "concurrent": _concurrent, "trace": _trace,
    "sweep": _sweep,
})  # fmt: skip


def _sent(workload: Workload) -> int:
    """How many requests a workload sends where nothing but its rate and its time say it; 0 for others."""
    if workload.requests is not None or workload.profile not in PACED:
        return 0
    ramp = workload.profile == "ramp"
    rate = ((workload.rate_per_s or 0) + (workload.rate_to_per_s or 0)) / 2 if ramp else workload.rate_per_s or 0
    return round(rate * (workload.duration_s or 0)) * workload.turns


def requests(workload: Workload | None) -> int | None:
    """How many steady requests a workload will send, where that is known before; 0 where only its end is; None without one."""
    if workload is None:
        return None
    if workload.profile == "trace":
        end_ms = (workload.duration_s or float("inf")) * 1000 * workload.speedup
        return min(sum(one.at_ms < end_ms for one in workload.trace), workload.requests or len(workload.trace))
    if workload.requests is not None and workload.profile != "sweep":
        return workload.requests
    return _sent(workload) if workload.profile == "constant" and workload.turns == 1 else 0


def longest(workload: Workload) -> tuple[int, int]:
    """The input and output tokens of its longest request."""
    # The last turn of a chat has all before it.
    own = (workload.turns * workload.input_tokens + (workload.turns - 1) * workload.output_tokens, workload.output_tokens)
    told = [(one.input_tokens, one.output_tokens) for one in workload.trace] or [own]
    return max(told, key=sum)
