"""Private texts on the command line: their keys, their master key, and an organisation forgotten. Keys are files of this machine."""

import asyncio
from typing import Annotated, Any

import typer

from infra.settings import Settings
from query_api.cli import showing
from query_api.cli.options import ME, AsJson
from schemas.event import MOST_WHO, MOST_WHY
from streams.errors import Invalid
from streams.times import utc

Organisation = Annotated[str, typer.Argument(help="whose private texts nobody shall read any more; `assay keys texts` lists them")]


def forget(
    organisation: Organisation,
    reason: Annotated[str, typer.Option(help="why: it is said wherever the texts are asked for")],
    by: Annotated[str, typer.Option(help="who asks for it")] = ME,
    yes: Annotated[bool, typer.Option("--yes", help="do it; without, it is only told what would be destroyed")] = False,
    as_json: AsJson = False,
) -> None:
    """Destroys the keys of an organisation's private texts: prompts, documents, answers and definitions are unreadable from then on.

    Scores, speed, costs, seals and what was exported before stay. There is no way back; docs/privacy.md says what to do about backups.

    Example: `assay forget acme --reason "contract ended" --yes`
    """
    if len(by) > MOST_WHO or len(reason) > MOST_WHY:
        raise Invalid(f"--by has {MOST_WHO} characters at most, --reason {MOST_WHY}", code="too-long")
    from infra.forgetting import held
    from infra.text_keys import TextKeys

    if not yes:
        found = ", ".join(one.key_id for one in held(TextKeys(Settings()), organisation)) or "no key that is there still"
        raise Invalid(f"this destroys {found} of {organisation}, for ever: say --yes", code="not-confirmed")
    told = asyncio.run(_forget(Settings(), organisation, by=by, reason=reason))
    if as_json:
        showing.document({"forgotten": told})
        return
    showing.table(["key", "made", "forgotten", "by"], [(one["text_key"], one["made"], one["forgotten"], one["by"]) for one in told])
    showing.say("what was sealed under them cannot be read; backups of their files: docs/privacy.md")


async def _forget(settings: Settings, organisation: str, *, by: str, reason: str) -> list[dict[str, Any]]:
    from infra.forgetting import forget as forgotten
    from query_api.cli.logs import opened

    async with opened(settings) as log:
        said = await forgotten(log, organisation, by=by, reason=reason)
    names = ("organisation", "text_key", "master_key", "wrapped_sha256", "by", "reason", "event_id")
    return [{name: getattr(one, name) for name in names} | {"made": _day(one.made_us), "forgotten": _day(one.occurred_us)} for one in said]


def texts(as_json: AsJson = False) -> None:
    """Lists the keys of private texts that are here, by organisation: under which master key, those that were forgotten, broken files.

    Examples: `assay keys texts` · `assay keys texts --json`
    """
    from infra.text_keys import TextKeys

    keys = TextKeys(Settings())
    told = [{"organisation": one.organisation, "text_key": one.key_id, "master_key": one.master, "made": _day(one.made_us),
             "forgotten": _day(one.forgotten_us) if one.forgotten_us else None, "by": one.by or None} for one in keys.every()]  # fmt: skip
    broken = [str(error) for error in keys.broken()]
    if as_json:
        showing.document({"keys": told, "broken": broken})
        return
    for one in broken:
        showing.remark(one)
    if not told:
        showing.say(f"no key in {keys.folder}; the first private text of an organisation makes it")
    else:
        rows = [(one["organisation"], one["text_key"], one["master_key"], one["made"], one["forgotten"]) for one in told]
        showing.table(["organisation", "key", "master key", "made", "forgotten"], rows)


def master() -> None:
    """Prints a new master key, as `ASSAY_MASTER_KEY_FILE` takes it. To rotate, put it on the first line, and `assay keys rewrap`.

    Example: `assay keys master > master.key`
    """
    from infra.text_keys import new_master

    typer.echo(new_master(), nl=False)


def rewrap(as_json: AsJson = False) -> None:
    """Wraps the keys of private texts by the first master key of the file; then those behind it can go, with what they wrapped in backups.

    Example: `assay keys rewrap`
    """
    from infra.text_keys import TextKeys

    keys = TextKeys(Settings())
    count, broken = keys.rewrap(), [str(error) for error in keys.broken()]
    if as_json:
        showing.document({"rewrapped": count, "broken": broken})
        return
    for one in broken:
        showing.remark(one)
    left = "those of these files alone need the older master keys" if broken else "the older master keys open none that is here"
    showing.say(f"rewrapped {count} keys; {left}")


def _day(at_us: int) -> str:
    return utc(at_us, "%Y-%m-%dT%H:%M:%SZ")
