"""What processes measure of themselves: a closed list. docs/operations.md says of each what to do when it is bad.

Names, units and kinds are Prometheus's. Source: https://prometheus.io/docs/practices/naming/
"""

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Enum, Gauge, Histogram, ProcessCollector

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
# A counter's time of birth is a series that nobody here asks for.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # it has no types
SHORT_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
LONG_S = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
OF_TOPIC, OF_POOL = ("topic",), ("pool",)

READY = Gauge("assay_ready", "1 once the process does its work", registry=REGISTRY)
WAITING = Gauge("assay_waiting", "How long the process has waited for something, 0 when not", ("what",), unit="seconds", registry=REGISTRY)

EVENTS = Counter("assay_events_handled", "Events handled, their effect durable", OF_TOPIC, registry=REGISTRY)
BATCH = Histogram("assay_batch", "Time that a batch took with its effect", unit="seconds", buckets=SHORT_S, registry=REGISTRY)
LAG = Gauge("assay_consumer_lag", "Events in the log that the processor has not committed", OF_TOPIC, unit="events", registry=REGISTRY)
LOG = Gauge("assay_log", "Events that the topic holds", OF_TOPIC, unit="events", registry=REGISTRY)
DEAD_LETTERS = Counter("assay_dead_letters", "Records given to the dead letters", ("topic", "reason"), registry=REGISTRY)
BOARDS_FAILED = Counter("assay_boards_failed", "Boards that could not be ranked; the log says why", registry=REGISTRY)

INSERT_DELAY = Histogram(
    "assay_insert_delay", "From a record's writing until it can be queried; the oldest of each batch", unit="seconds",
    buckets=LONG_S, registry=REGISTRY,
)  # fmt: skip
LAST_INSERT_DELAY = Gauge("assay_last_insert_delay", "The same, of the last batch", unit="seconds", registry=REGISTRY)

QUEUE = Gauge("assay_queue", "Jobs that wait for an agent", OF_POOL, unit="jobs", registry=REGISTRY)
LEASES = Gauge("assay_leases", "Leases that run", OF_POOL, registry=REGISTRY)
AGENTS = Gauge("assay_agents", "Agents whose heartbeats come", OF_POOL, registry=REGISTRY)

ENGINE = Enum("assay_engine", "What the engine's process does", states=["none", "idle", "loading", "working"], registry=REGISTRY)
MODEL_LOADS = Counter("assay_model_loads", "Models asked of the engine: loaded, held already, or failed", ("outcome",), registry=REGISTRY)
MODEL_LOAD = Histogram("assay_model_load", "Time that loading a model took", unit="seconds", buckets=LONG_S, registry=REGISTRY)
ATTEMPTS = Counter("assay_attempts", "Attempts of jobs that ended", ("outcome",), registry=REGISTRY)

REQUEST = Histogram(
    "assay_request", "Time until an answer begins", ("route", "status"), unit="seconds", buckets=SHORT_S, registry=REGISTRY
)  # fmt: skip
LISTENERS = Gauge("assay_sse_listeners", "Live streams that are open", registry=REGISTRY)


def waits() -> dict[str, float]:
    """What this process waits for now, and the seconds for which it has."""
    return {sample.labels["what"]: sample.value for metric in WAITING.collect() for sample in metric.samples if sample.value > 0}


def is_ready() -> bool:
    """The process does its work, and waits for nothing."""
    return REGISTRY.get_sample_value("assay_ready") == 1 and not waits()
