"""The log on the command line: its topics, their events, and the proof by replay."""

import asyncio
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from infra.settings import Settings
from infra.trust import HOW_TASKS
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
    derive: Annotated[bool, typer.Option("--derive", help="recompute scores, speed, results, costs and boards, and compare")] = False,
    run_id: Annotated[str | None, typer.Option("--run", help="only this run's events", autocompletion=run_ids)] = None,
    keep: Annotated[bool, typer.Option(help="leave the second database there")] = False,
    as_json: AsJson = False,
) -> None:
    """Rebuilds the projections from the log into a second database, compares, and says equal or where not.

    With --derive what is derived is recomputed from what was measured, and compared with what was said; snapshots are audited.

    Examples: `assay replay --verify` · `assay replay --verify --run RUN_ID --json` · `assay replay --derive`
    """
    if not verify and not derive:
        raise Invalid(
            "say --verify or --derive: a replay into the live database is not offered, for it has every event already", code="replay"
        )
    settings, told = Settings(), _quiet if as_json else showing.remark
    found = [asyncio.run(one) for one in _replays(settings, verify=verify, derive=derive, run_id=run_id, keep=keep, told=told)]
    if as_json:
        parts = [one.document() for one in found]
        showing.document({name: value for part in parts for name, value in part.items()} | {"equal": all(one.equal for one in found)})
    for one in found:
        if not as_json:
            _shown(one)
        if not one.equal:
            raise Invalid(f"it differs from the log: {one.difference}", code="not-equal")


def _quiet(_text: str) -> None:
    """Says nothing: the document says it all."""


def _replays(settings: Settings, *, verify: bool, derive: bool, run_id: str | None, keep: bool, told: Any) -> Iterator[Any]:
    if verify:
        from infra.replay import verify as verified

        yield verified(settings, run_id=run_id, keep=keep, told=told)
    if derive:
        from infra.deriving import derive as derived

        yield derived(settings, told=told, run_id=run_id)


def _shown(found: Any) -> None:
    document = found.document()
    if "tables" in document:
        showing.table(["table", ">rows", "digest"], [(name, one["rows"], one["digest"]) for name, one in document["tables"].items()])
    else:
        showing.table(["derived", ">events"], sorted(document["derived"].items()))
        if found.in_flight:
            showing.say(f"in flight at the cut: {', '.join(found.in_flight)}")
        if found.forgotten:
            showing.say(f"not recomputed, for their texts were forgotten: {', '.join(found.forgotten)}")
        if found.not_trusted:
            showing.say(f"not recomputed, for their tasks bring Python: {', '.join(found.not_trusted)}; {HOW_TASKS}")
        for difference in found.differences:
            showing.say(difference)
    showing.say("equal" if found.equal else f"not equal: {found.difference}")
