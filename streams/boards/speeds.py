"""What of a run's speed boards tell, and which run's speed is another's too: one of the very same model, engine and environment.

A load's own tokens/s are what was offered, and a full server's TTFT is its queue: neither is the model's (streams/speed/loads.py). So told
are the tokens/s of a server that was proven full, else those of so many requests at a time, with their number; and the TTFT of one stream
alone: a sweep has that of its first step, beside that of its best.
"""

from collections.abc import Iterable, Mapping

from schemas.results import Figure
from streams.boards.results import Result


def capacity(speed: Mapping[str, Figure]) -> Figure | None:
    """Output tokens a second of a full server; None where the load has no such figure."""
    return speed.get("capacity_tokens_per_s")


def at_concurrency(speed: Mapping[str, Figure]) -> Figure | None:
    """Output tokens a second of a closed load of several, whose number is the figure `concurrency`; None where there is none."""
    return speed.get("concurrent_tokens_per_s")


def chosen(result: Result, others: Iterable[Result]) -> Result | None:
    """Of these runs the one whose speed boards show as the run's: the newest that proved a capacity, else the newest."""
    found = alike(result, others)
    return next((one for one in found if (full := capacity(one.speed)) and full.value is not None), next(iter(found), None))


def ttft(speed: Mapping[str, Figure]) -> Figure | None:
    """The median TTFT of one stream alone, ns; None where requests were under way together."""
    alone = speed.get("alone_tokens_per_s")
    return (speed.get("alone_ttft_p50") or speed.get("ttft_p50")) if alone and alone.value is not None else None


def energy(speed: Mapping[str, Figure]) -> Figure | None:
    """The energy of an output token, µJ; its origin is the meters' grade."""
    return speed.get("energy_per_output_token_uj")


def alike(result: Result, others: Iterable[Result]) -> list[Result]:
    """Of these runs those that measured a speed which is the run's too, the newest first."""
    found = [other for other in others if other.speed and other.model == result.model and ran_on(other) == ran_on(result)]
    return sorted(found, key=lambda other: (other.latest_us, other.run_id), reverse=True)


def ran_on(result: Result) -> tuple[object, ...]:
    """What a speed depends on beside the model: engine, version, precision, parallel sizes, compiled or not, device and environment."""
    used = result.engine
    told = (used.name, used.version, used.dtype, used.quantisation, used.tp, used.pp, used.compile, used.device) if used else ()
    return (*told, result.environments)
