"""Who may do what: API keys, and members that an identity provider vouches for, as the log says them, of each its last word.

Pure: query_api/access asks, infra/api_keys.py hashes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
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

VOUCHED: Final = "oidc"  # stands where a key has its hash: no key opens this, and a provider's word does


def id_of_member(member: str) -> str:
    """Under which id a member is admitted; `*@DOMAIN` is everybody whose verified address ends so."""
    return f"{VOUCHED}:{member.strip().casefold()}"


def covers(role: Role, needed: Role) -> bool:
    """Whether who has the one role may do what needs the other."""
    return ROLES.index(role) >= ROLES.index(needed)


@dataclass(slots=True)
class Access:
    """Every key that was ever made, and every member that was ever admitted, by its id, as it is now."""

    keys: dict[str, AccessChanged] = field(default_factory=dict)

    def fold(self, event: AccessChanged) -> None:
        """Takes in the next word of the log. Of one key they lie in one partition, in their order."""
        self.keys[event.subject] = event

    def grant(self, key_id: str, *, now_us: int) -> AccessChanged | None:
        """What the key grants now; None where it is unknown, was revoked, or has expired."""
        found = self.keys.get(key_id)
        return found if found is not None and state_of(found, now_us=now_us) == "open" else None

    def member(self, member: str, *, now_us: int) -> AccessChanged | None:
        """What a member is granted whom the provider vouches for: by their own name, else by that of their domain; None: nothing.

        Whoever was admitted once by name, and was revoked, or whose time is over, does not come in by their domain.
        """
        own, domain = id_of_member(member), id_of_member(f"*@{member.rpartition('@')[2]}")
        found = self.grant(own if own in self.keys or "@" not in member else domain, now_us=now_us)
        return found.model_copy(update={"subject": own, "member": member}) if found else None

    def any_open(self, *, now_us: int) -> bool:
        """Whether any key opens anything."""
        return any(state_of(one, now_us=now_us) == "open" for one in self.keys.values())


def state_of(key: AccessChanged, *, now_us: int) -> Literal["open", "revoked", "expired"]:
    """How a key stands. A key without a hash opens nothing: that is how one is revoked."""
    if key.key_hash is None:
        return "revoked"
    return "expired" if key.expires_us is not None and key.expires_us <= now_us else "open"
