"""The log on the command line: its topics, their events, and the proof by replay."""

import asyncio
from typing import Annotated

import typer

from infra.settings import Settings
from query_api.cli import showing
from query_api.cli.completing import run_ids, topic_names
from query_api.cli.options import AsJson
from streams.errors import Invalid


def topics(as_json: AsJson = False) -> None:
    """Lists the topics, with how many events each holds.

    Examples: `assay topics` · `assay topics --json`
    """
    from query_api.cli import logs

    rows = asyncio.run(logs.topics(Settings()))
    if as_json:
        showing.document({"topics": rows})
        return
    showing.table(["topic", "event", ">partitions", ">events"], [(r["topic"], r["event"], r["partitions"], r["events"]) for r in rows])


def tail(
    topic: Annotated[
        str, typer.Argument(help="a topic, by its whole name or its middle part: runs, run-scores …", autocompletion=topic_names)
    ],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="go on with what comes")] = False,
    count: Annotated[int, typer.Option("-n", help="the last so many events")] = 10,
    private: Annotated[bool, typer.Option("--private", help="with the texts of private runs, which else are withheld")] = False,
) -> None:
    """Decodes a topic's events to JSON lines.

    Examples: `assay tail runs -n 5` · `assay tail assay.scores.v1 --follow`
    """
    from query_api.cli import logs

    asyncio.run(logs.tail(Settings(), topic, count=count, follow=follow, private=private))


def replay(
    verify: Annotated[bool, typer.Option("--verify", help="compare the rebuilt projections with the live ones")] = False,
    run_id: Annotated[str | None, typer.Option("--run", help="only this run's events", autocompletion=run_ids)] = None,
    keep: Annotated[bool, typer.Option(help="leave the second database there")] = False,
    as_json: AsJson = False,
) -> None:
    """Rebuilds the projections from the log into a second database, compares, and says equal or where not.

    Examples: `assay replay --verify` · `assay replay --verify --run RUN_ID --json`
    """
    from infra.replay import verify as verified

    if not verify:
        raise Invalid("say --verify: a replay into the live database is not offered, for it has every event already", code="replay")
    told = asyncio.run(verified(Settings(), run_id=run_id, keep=keep, told=lambda text: None if as_json else showing.errors.print(text)))
    if as_json:
        showing.document(told.document())
    else:
        showing.table(["table", ">rows", "digest"], [(name, one.rows, one.digest) for name, one in told.tables.items()])
        showing.console.print("equal" if told.equal else f"not equal: {told.difference}")
    if not told.equal:
        raise Invalid(f"the projections differ from the log: {told.difference}", code="not-equal")
