"""Who may do what: API keys, and members that an identity provider vouches for, as the log says them, of each its last word.

Pure: query_api/access asks, infra/api_keys.py hashes.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from string import ascii_lowercase, ascii_uppercase
from typing import Final, Literal

from schemas.trust import AccessChanged

Role = Literal["reader", "submitter", "operator", "owner"]
# Each may all that those before it may: look; ask for, cancel and label runs, and decide; retract runs and publish prices; all.
ROLES: Final[tuple[Role, ...]] = ("reader", "submitter", "operator", "owner")
MAY: Final[Mapping[Role, str]] = {
    "reader": "look at everything that is told",
    "submitter": "ask for runs, cancel and label them, ask for recommendations and write decisions down too",
    "operator": "retract runs and publish prices too",
    "owner": "do all that the API can do",
}

# Stands where a key has its hash, with a random part by which sessions know this admission: no key opens it, and a provider's word does.
VOUCHED: Final = "oidc"
GROUP: Final = "%"
BY: Final = "\n"  # between a member and the group by which they came in: no name has it
BY_DOMAIN: Final = f"{BY}{BY}"  # behind a member who came in by the domain of their address: no group is called so
LOWER: Final = str.maketrans(ascii_uppercase, ascii_lowercase)


def id_of_member(member: str) -> str:
    """Under which id a member is admitted; `*@DOMAIN` is everybody whose verified address ends so, `%GROUP` whoever is in that group.

    A–Z are as a–z, as in addresses; all else stands for itself. Unicode's folding would give one person's name to another: ſam sam's.
    """
    return f"{VOUCHED}:{member.translate(LOWER)}"


def ids_of(subject: str) -> list[str]:
    """Whose use it is where that subject comes in: the key's, or the member's, and that of the group or domain by which they came."""
    own, by, group = subject.partition(BY)
    if not by:
        return [own]
    return [own, id_of_member(f"*@{own.rpartition('@')[2]}" if group == BY else f"{GROUP}{group}")]


def is_vouched(grant: AccessChanged) -> bool:
    """Whether it lets in whom the provider vouches for, and no key."""
    return (grant.key_hash or "").partition(":")[0] == VOUCHED


def covers(role: Role, needed: Role) -> bool:
    """Whether who has the one role may do what needs the other."""
    return ROLES.index(role) >= ROLES.index(needed)


@dataclass(slots=True)
class Access:
    """Every key that was ever made, and every member that was ever admitted, by its id, as it is now."""

    keys: dict[str, AccessChanged] = field(default_factory=dict)

    def fold(self, event: AccessChanged) -> None:
        """Takes in the next word of the log. Of one key they lie in one partition, in their order.

        Members whose names are not ASCII were once called otherwise: of two words about one under two subjects the later one holds.
        """
        key = id_of_member(event.member) if event.subject.startswith(f"{VOUCHED}:") else event.subject
        known = self.keys.get(key)
        if known is None or known.subject == event.subject or known.occurred_us <= event.occurred_us:
            self.keys[key] = event

    def grant(self, key_id: str, *, now_us: int) -> AccessChanged | None:
        """What the key grants now; None where it is unknown, was revoked, or has expired."""
        found = self.keys.get(key_id)
        return found if found is not None and state_of(found, now_us=now_us) == "open" else None

    def member(self, member: str, *, now_us: int, groups: Collection[str] = (), verified: bool = False) -> AccessChanged | None:
        """What a member is granted whom the provider vouches for; None: nothing.

        By their own name; else by the group of theirs that may most; else, where the provider has `verified` that their name is an address
        of theirs, by its domain. Whoever was admitted once by name, and was revoked, or whose time is over, comes in by nothing else. What
        is granted by a group or a domain says so in its subject, by which a session asks again (`again`).
        """
        if member.startswith((GROUP, "*@")):  # nobody's name, whoever chose it for themselves
            return None
        own = id_of_member(member)
        if own in self.keys:
            return _as(self.grant(own, now_us=now_us), own, member)
        granted = [(group, found) for group in groups if (found := self.grant(id_of_member(f"{GROUP}{group}"), now_us=now_us))]
        if granted:
            group, found = max(granted, key=lambda one: (ROLES.index(one[1].role), one[0]))
            return _as(found, f"{own}{BY}{group}", member)
        domain = id_of_member(f"*@{member.rpartition('@')[2]}")
        return _as(self.grant(domain, now_us=now_us), f"{own}{BY_DOMAIN}", member) if verified and "@" in member else None

    def again(self, subject: str, *, now_us: int) -> AccessChanged | None:
        """What the key, or the member, of that subject is granted now; a member by the group or domain by which they came in, if so."""
        kind, _, vouched = subject.partition(":")
        if kind != VOUCHED or not vouched:
            return self.grant(subject, now_us=now_us)
        member, _, group = vouched.partition(BY)
        verified = group == BY
        return self.member(member, now_us=now_us, groups=[group] if group and not verified else (), verified=verified)

    def any_open(self, *, now_us: int) -> bool:
        """Whether any key opens anything."""
        return any(state_of(one, now_us=now_us) == "open" for one in self.keys.values())


def _as(found: AccessChanged | None, subject: str, member: str) -> AccessChanged | None:
    """A grant as a member's own."""
    return found.model_copy(update={"subject": subject, "member": member}) if found else None


def state_of(key: AccessChanged, *, now_us: int) -> Literal["open", "revoked", "expired"]:
    """How a key stands. A key without a hash opens nothing: that is how one is revoked."""
    if key.key_hash is None:
        return "revoked"
    return "expired" if key.expires_us is not None and key.expires_us <= now_us else "open"
