"""What the shell completes: runs, tasks and topics by their beginning. What is not there to be asked gives nothing, and no error."""

from collections.abc import Iterator

from infra.settings import Settings
from streams.errors import AssayError

OFFERED = 100


def run_ids(incomplete: str) -> Iterator[tuple[str, str]]:
    """Ids of runs, the newest first, each with its model and state; none where the API is not up."""
    from query_api.cli import showing
    from query_api.cli.client import Client

    try:
        found = Client(Settings()).get("/v1/runs", limit=OFFERED)["runs"]
    except AssayError:
        return
    for run in found:
        if run["run_id"].startswith(incomplete):
            yield run["run_id"], f"{showing.short(run['model'])}, {run['state']}"


def task_names(incomplete: str) -> list[str]:
    """Names of tasks; before `assay tasks` was called, the bundled ones."""
    from infra.harness.catalogue import known_at_once

    return [name for name in known_at_once() if name.startswith(incomplete)][:OFFERED]


def topic_names(incomplete: str) -> list[str]:
    """Topics, by their middle part and by their whole name."""
    from streams.topics import TOPICS

    short = [topic.name.removeprefix("assay.").removesuffix(".v1") for topic in TOPICS]
    return [name for name in [*short, *(topic.name for topic in TOPICS)] if name.startswith(incomplete)]


def letter_ids(incomplete: str) -> Iterator[tuple[str, str]]:
    """Ids of dead letters that were not requeued, each with its reason."""
    import asyncio

    from query_api.cli.letters import known

    try:
        found = asyncio.run(known(Settings()))
    except AssayError:
        return
    for letter in found:
        if letter.requeued_as is None and letter.letter_id.startswith(incomplete):
            yield letter.letter_id, letter.event.reason_code
