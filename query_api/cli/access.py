"""API keys and members on the command line: list, create, admit, rotate, revoke. They are events: this needs Kafka, not the API."""

import asyncio
import re
import secrets
from typing import Annotated, Any, get_args

import typer

from query_api.cli import showing
from query_api.cli.options import ME, AsJson
from schemas.trust import AccessChanged
from streams.errors import Invalid, NotFound
from streams.times import day, utc
from streams.trust.access import MAY, ROLES, VOUCHED, Access, Role, id_of_member, is_vouched, state_of

NAME = re.compile(r"[0-9A-Za-z_.-]{1,64}")
SHOWN = ("key_id", "member", "organisation", "role", "state", "expires", "last_used", "by", "quota")
DAY_US = 24 * 3600 * 1_000_000
KeyId = Annotated[str, typer.Argument(help="the key's id, or its beginning; or the member, where they were admitted")]
RoleName = Annotated[str, typer.Option(help=" · ".join(f"{role}: may {MAY[role]}" for role in ROLES))]
Organisation = Annotated[str | None, typer.Option(help="whose member this is, and whose runs they see; unset: ASSAY_ORGANISATION")]
Quota = Annotated[int | None, typer.Option(min=1, help="requests a minute; unset: ASSAY_API_RATE")]
Days = Annotated[int, typer.Option(min=1, max=3650, help="after how many days it expires")]


def access(context: typer.Context) -> None:
    """Who may use the API, where it can be reached from elsewhere: by a key, or by the identity provider. Alone it lists them.

    Examples: `assay access` · `assay access create --member ann --role submitter` · `assay access admit ann@example.org`
    """
    if context.invoked_subcommand is None:
        listed()


def listed(as_json: AsJson = False) -> None:
    """Lists every key that was made and every member that was admitted, with what they may, how they stand, and who made them.

    When one was used last is told to the hour, where an API of this home saw it. No key's text is kept.

    Examples: `assay access list` · `assay access list --json`
    """
    from infra.identity import now_us
    from infra.settings import Settings
    from query_api.access.uses import last_uses

    uses = last_uses(Settings())
    told = [_document(key, now_us=now_us()) | {"last_used": _hour(uses.get(key.subject))} for key in _keys().values()]
    if as_json:
        showing.document({"keys": told})
        return
    if not told:
        showing.say("There is no API key yet: `assay access create --member NAME --role reader` makes one.")
        return
    showing.table(
        ["run", "member", "organisation", "role", "is", "expires", "last used", "made by", ">a minute"],
        [tuple(one[name] for name in SHOWN) for one in told],
    )


def create(
    member: Annotated[str, typer.Option(help="who gets it: what is done with it is done in that name")],
    role: RoleName = "reader",
    organisation: Organisation = None,
    days: Days = 365,
    quota: Quota = None,
    as_json: AsJson = False,
) -> None:
    """Makes a key, and shows it: this once, for only its hash is kept.

    Examples: `assay access create --member ann --role submitter` · `assay access create --member ci --days 30 --quota 60`
    · `assay access create --member bob --organisation acme`
    """
    _check(member, role)
    _made(member=member.strip(), role=role, organisation=_named(organisation), days=days, quota=quota, as_json=as_json)


def admit(
    member: Annotated[
        str,
        typer.Argument(help="whom: as the identity provider names them, %GROUP for who is in it, or *@DOMAIN for all with such an address"),
    ],
    role: RoleName = "reader",
    organisation: Organisation = None,
    days: Days = 365,
    quota: Quota = None,
    as_json: AsJson = False,
) -> None:
    """Lets a member in whom the identity provider vouches for (ASSAY_OIDC_ISSUER), without a key; again: with another role.

    Examples: `assay access admit ann@example.org --role submitter` · `assay access admit %measurers --role operator`
    · `assay access admit '*@example.org'`
    """
    from infra.identity import now_us

    _check(member, role)
    at_us, name = now_us(), member.strip()
    grant = _event(
        at_us, subject=id_of_member(name), organisation=_named(organisation), member=name, role=role,
        key_hash=f"{VOUCHED}:{secrets.token_hex(16)}",
        expires_us=at_us + days * DAY_US, quota=quota,
    )  # fmt: skip
    _publish(grant)
    if as_json:
        showing.document(_document(grant, now_us=at_us))
    else:
        showing.say(f"{name} may come in by the identity provider, as a {role}, until {_day(grant.expires_us)}")


def _check(member: str, role: str) -> None:
    if role not in ROLES:
        raise Invalid(f"unknown role {role!r}; there are {', '.join(get_args(Role))}", code="unknown-role")
    if not member.strip() or len(member) > 200:
        raise Invalid("a member has a name, of 200 letters at most", code="member")


def _named(organisation: str | None) -> str:
    """The organisation; this process's own where none is said. Raises: Invalid for what is no name."""
    from infra.settings import Settings

    name = organisation if organisation is not None else Settings().organisation
    if not NAME.fullmatch(name):
        raise Invalid(f"{name!r} names no organisation: letters, digits, _, . and - do, 64 at most", code="organisation")
    return name


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
    if is_vouched(old):
        raise Invalid(f"{old.member} has no key, but comes in by the identity provider; `assay access admit` changes how", code="no-key")
    _made(member=old.member, role=old.role, organisation=old.organisation, days=days, quota=old.quota, as_json=as_json)
    ends_us = now_us() + overlap_hours * DAY_US // 24
    _say(old, key_hash=old.key_hash, expires_us=min(ends_us, old.expires_us or ends_us))


def revoke(which: KeyId, as_json: AsJson = False) -> None:
    """Takes a key back, or shuts a member out: within a second or two they open nothing more, and no session that began so.

    Examples: `assay access revoke 3f2a9c` · `assay access revoke ann@example.org`
    """
    from infra.identity import now_us

    old = _found(which)
    key = _say(old, key_hash=None, expires_us=None)
    if as_json:
        showing.document(_document(key, now_us=now_us()))
    else:
        showing.say(f"{key.member} is let in no more" if is_vouched(old) else f"{key.member}'s key {key.subject} opens nothing any more")


def _made(*, member: str, role: str, organisation: str, days: int, quota: int | None, as_json: bool) -> None:
    from infra.api_keys import draw
    from infra.identity import now_us

    drawn, at_us = draw(), now_us()
    key = _event(
        at_us, subject=drawn.key_id, organisation=organisation, member=member, role=role, key_hash=drawn.key_hash,
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

    return AccessChanged(occurred_us=at_us, producer=producer("cli"), organisation_id=fields["organisation"], scopes=(), by=ME, **fields)


def _found(which: str) -> AccessChanged:
    open_keys = {key_id: key for key_id, key in _keys().items() if key.key_hash is not None}
    if (member := open_keys.get(id_of_member(which.removeprefix(f"{VOUCHED}:")))) is not None:
        return member
    fitting = [key for key_id, key in open_keys.items() if key_id.startswith(which.removeprefix("assay_"))]
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
        "key_id": key.subject, "member": key.member, "organisation": key.organisation,
        "role": key.role, "state": state_of(key, now_us=now_us),
        "expires": _day(key.expires_us), "quota": key.quota, "by": key.by or None,
    }  # fmt: skip


def _hour(time_us: int | None) -> str | None:
    return utc(time_us, "%Y-%m-%d %H h") if time_us is not None else None


def _day(time_us: int | None) -> str | None:
    return day(time_us) if time_us is not None else None
