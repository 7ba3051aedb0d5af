"""API keys on the command line: list, create, rotate, revoke. They are events, so this needs Kafka, and not the API."""

import asyncio
from typing import Annotated, Any, get_args

import typer

from query_api.cli import showing
from query_api.cli.options import AsJson
from schemas.trust import AccessChanged
from streams.errors import Invalid, NotFound
from streams.times import day
from streams.trust.access import MAY, ROLES, Access, Role, state_of

DAY_US = 24 * 3600 * 1_000_000
KeyId = Annotated[str, typer.Argument(help="the key's id, or its beginning")]
Days = Annotated[int, typer.Option(min=1, max=3650, help="after how many days it expires")]


def access(context: typer.Context) -> None:
    """API keys: who may use the API, where it can be reached from elsewhere. Alone it lists them.

    Examples: `assay access` · `assay access create --member ann --role submitter` · `assay access revoke 3f2a9c`
    """
    if context.invoked_subcommand is None:
        listed()


def listed(as_json: AsJson = False) -> None:
    """Lists every key that was made, with what it may and how it stands. No key's text is kept anywhere.

    Examples: `assay access list` · `assay access list --json`
    """
    from infra.identity import now_us

    told = [_document(key, now_us=now_us()) for key in _keys().values()]
    if as_json:
        showing.document({"keys": told})
        return
    if not told:
        showing.say("There is no API key yet: `assay access create --member NAME --role reader` makes one.")
        return
    showing.table(
        ["run", "member", "role", "is", "expires", ">a minute"],
        [(one["key_id"], one["member"], one["role"], one["state"], one["expires"], one["quota"]) for one in told],
    )


def create(
    member: Annotated[str, typer.Option(help="who gets it: what is done with it is done in that name")],
    role: Annotated[str, typer.Option(help=" · ".join(f"{role}: may {MAY[role]}" for role in ROLES))] = "reader",
    days: Days = 365,
    quota: Annotated[int | None, typer.Option(min=1, help="requests a minute; unset: ASSAY_API_RATE")] = None,
    as_json: AsJson = False,
) -> None:
    """Makes a key, and shows it: this once, for only its hash is kept.

    Examples: `assay access create --member ann --role submitter` · `assay access create --member ci --days 30 --quota 60`
    """
    if role not in ROLES:
        raise Invalid(f"unknown role {role!r}; there are {', '.join(get_args(Role))}", code="unknown-role")
    if not member.strip() or len(member) > 200:
        raise Invalid("a member has a name, of 200 letters at most", code="member")
    _made(member=member.strip(), role=role, days=days, quota=quota, as_json=as_json)


def rotate(
    which: KeyId,
    days: Days = 365,
    overlap_hours: Annotated[int, typer.Option(min=0, max=720, help="for how many hours the old key still opens")] = 24,
    as_json: AsJson = False,
) -> None:
    """Makes another key for a key's member. The old one opens for some hours more, so that programs can change over.

    Example: `assay access rotate 3f2a9c --overlap-hours 2`
    """
    from infra.identity import now_us

    old = _found(which)
    _made(member=old.member, role=old.role, days=days, quota=old.quota, as_json=as_json)
    ends_us = now_us() + overlap_hours * DAY_US // 24
    _say(old, key_hash=old.key_hash, expires_us=min(ends_us, old.expires_us or ends_us))


def revoke(which: KeyId, as_json: AsJson = False) -> None:
    """Takes a key back: within a second or two it opens nothing more, and no session that began with it.

    Example: `assay access revoke 3f2a9c`
    """
    from infra.identity import now_us

    key = _say(_found(which), key_hash=None, expires_us=None)
    if as_json:
        showing.document(_document(key, now_us=now_us()))
    else:
        showing.say(f"{key.member}'s key {key.subject} opens nothing any more")


def _made(*, member: str, role: str, days: int, quota: int | None, as_json: bool) -> None:
    from infra.api_keys import draw
    from infra.identity import now_us
    from infra.settings import Settings

    drawn, at_us = draw(), now_us()
    key = _event(
        at_us, subject=drawn.key_id, organisation=Settings().organisation, member=member, role=role, key_hash=drawn.key_hash,
        expires_us=at_us + days * DAY_US, quota=quota,
    )  # fmt: skip
    _publish(key)
    if as_json:
        showing.document(_document(key, now_us=at_us) | {"key": drawn.text})
        return
    typer.echo(drawn.text)
    showing.remark(f"This is {member}'s key, a {role}'s, until {_day(key.expires_us)}. It is shown this once: keep it as a password.")
    showing.remark("Use it as ASSAY_API_KEY, as `Authorization: Bearer …`, or at /signin.")


def _say(old: AccessChanged, *, key_hash: str | None, expires_us: int | None) -> AccessChanged:
    from infra.identity import now_us

    kept = {name: getattr(old, name) for name in ("subject", "organisation", "member", "role", "quota")}
    key = _event(now_us(), **kept, key_hash=key_hash, expires_us=expires_us)
    _publish(key)
    return key


def _event(at_us: int, **fields: Any) -> AccessChanged:
    from infra.identity import producer

    return AccessChanged(occurred_us=at_us, producer=producer("cli"), organisation_id=fields["organisation"], scopes=(), **fields)


def _found(which: str) -> AccessChanged:
    fitting = [key for key_id, key in _keys().items() if key_id.startswith(which.removeprefix("assay_")) and key.key_hash is not None]
    if len(fitting) != 1:
        what = f"{len(fitting)} keys begin" if fitting else "no key that is not revoked begins"
        raise NotFound(f"{what} with {which!r}; `assay access list` shows them", code="unknown-key")
    return fitting[0]


def _keys() -> dict[str, AccessChanged]:
    """Every key, the oldest first."""
    return asyncio.run(_read())


async def _read() -> dict[str, AccessChanged]:
    from infra.settings import Settings
    from query_api.cli.logs import opened
    from streams.topics import ACCESS

    access = Access()
    async with opened(Settings()) as log:
        await log.create_topics([ACCESS])
        async for record in log.read([ACCESS]):
            if isinstance(record.event, AccessChanged):
                access.fold(record.event)
    return access.keys


def _publish(event: AccessChanged) -> None:
    asyncio.run(_published(event))


async def _published(event: AccessChanged) -> None:
    from infra.settings import Settings
    from query_api.cli.logs import opened
    from streams.topics import ACCESS

    async with opened(Settings()) as log:
        await log.create_topics([ACCESS])
        await log.publish(event)


def _document(key: AccessChanged, *, now_us: int) -> dict[str, Any]:
    return {
        "key_id": key.subject, "member": key.member, "role": key.role, "state": state_of(key, now_us=now_us),
        "expires": _day(key.expires_us), "quota": key.quota,
    }  # fmt: skip


def _day(time_us: int | None) -> str | None:
    return day(time_us) if time_us is not None else None
