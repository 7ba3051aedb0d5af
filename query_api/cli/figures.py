"""The stack's figures, as its processes' metrics and its log tell them; what nobody tells is None."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from infra.embedded.processes import last_line
from infra.embedded.state import Status
from infra.settings import Settings
from query_api.cli.letters import known
from streams.errors import AssayError

TIMEOUT_S = 2


def figures(settings: Settings, processes: Sequence[Status]) -> dict[str, Any]:
    """Each process with its lag and what it waits for; over all, the queue, leases, agents, dead letters and insert delay (seconds)."""
    told = {one.name: _scraped(one) for one in processes}
    everything = [sample for samples in told.values() for sample in samples]
    inserted = _total(everything, "assay_insert_delay_seconds_count")
    return {
        "processes": [_process(one, told[one.name], settings) for one in processes],
        "queue_jobs": _total(everything, "assay_queue_jobs"),
        "leases": _total(everything, "assay_leases"),
        "agents": _total(everything, "assay_agents"),
        "dead_letters": _letters_that_wait(settings, processes),
        "insert_delay_s": _total(everything, "assay_last_insert_delay_seconds") if inserted else None,
    }


def _letters_that_wait(settings: Settings, processes: Sequence[Status]) -> int | None:
    """Dead letters that were not requeued, as the log has them; None where the log cannot be read."""
    if not any(one.name == "broker" and one.state == "up" for one in processes):
        return None
    try:
        return sum(letter.requeued_as is None for letter in asyncio.run(known(settings)))
    except AssayError:
        return None


def _scraped(one: Status) -> list[Sample]:
    if not one.metrics or not one.alive:
        return []
    try:
        text = httpx.get(f"http://{one.metrics}/metrics", timeout=TIMEOUT_S).raise_for_status().text
    except httpx.HTTPError:
        return []
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


def _total(samples: Iterable[Sample], name: str, **labels: str) -> float | None:
    """The sum of a metric's series with these labels."""
    values = [sample.value for sample in samples if sample.name == name and labels.items() <= sample.labels.items()]
    return (int(sum(values)) if all(value.is_integer() for value in values) else sum(values)) if values else None


def _process(one: Status, samples: Sequence[Sample], settings: Settings) -> Mapping[str, Any]:
    waits = sorted(sample.labels["what"] for sample in samples if sample.name == "assay_waiting_seconds" and sample.value > 0)
    note = f"waits for {', '.join(waits)}" if waits else None
    return {
        "name": one.name, "state": one.state, "pid": one.pid, "restarts": one.restarts, "last_exit": one.last_exit,
        "lag": _total(samples, "assay_consumer_lag_events"), "metrics": one.metrics or None,
        "note": note if one.state == "up" else last_line(one.name, settings),
    }  # fmt: skip
