"""The API keys that the log knows, followed as it grows, and whether one that is shown is among them."""

import asyncio
import hashlib
from collections.abc import Collection
from contextlib import aclosing

from infra import api_keys
from infra.identity import now_us
from infra.kafka import Log
from infra.retrying import until_available
from schemas.trust import AccessChanged
from streams.errors import Invalid, Unavailable
from streams.topics import ACCESS
from streams.trust.access import Access

PATIENCE_MS, READ_S = 1000, 10.0
REMEMBERED = 10_000


class Keys:
    """What the log says of keys, a second late at most."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._access = Access()
        self._read = asyncio.Event()
        # Keys that were right, by their SHA-256, with the slow hash that they matched: so that it is worked out once.
        self._known: dict[bytes, str] = {}

    async def follow(self) -> None:
        """Reads all that there is, then what comes, for ever."""
        ends = await until_available(lambda: self._log.ends([ACCESS]), what="API keys")
        async with aclosing(self._log.follow([ACCESS], until=ends)) as past:
            async for record in past:
                self._take(record.event)
        self._read.set()
        async with aclosing(self._log.follow([ACCESS], since=ends, patience_ms=PATIENCE_MS)) as news:
            async for record in news:
                self._take(record.event)

    def _take(self, event: object) -> None:
        if isinstance(event, AccessChanged):
            self._access.fold(event)

    async def known(self, text: str) -> AccessChanged | None:
        """What the key grants, where it was right before. Raises: Unavailable while the log was not read yet."""
        await self._ready()
        grant = self._grant(text)
        return grant if grant is not None and self._known.get(_digest(text)) == grant.key_hash else None

    async def opens(self, text: str) -> AccessChanged | None:
        """What the key grants, by the slow hash; None where it grants nothing. Raises: Unavailable while the log was not read yet."""
        await self._ready()
        grant = self._grant(text)
        if grant is None or grant.key_hash is None or not await asyncio.to_thread(api_keys.matches, text, grant.key_hash):
            return None
        while len(self._known) >= REMEMBERED:
            self._known.pop(next(iter(self._known)))
        self._known[_digest(text)] = grant.key_hash
        return grant

    def _grant(self, text: str) -> AccessChanged | None:
        try:
            return self._access.grant(api_keys.id_of(text), now_us=now_us())
        except Invalid:
            return None

    async def member(self, member: str, groups: Collection[str] = (), *, verified: bool = False) -> AccessChanged | None:
        """What a member is granted whom the identity provider vouches for, in these groups (`Access.member`). Raises: as `known`."""
        await self._ready()
        return self._access.member(member, now_us=now_us(), groups=groups, verified=verified)

    async def now(self, key_id: str) -> AccessChanged | None:
        """What the key, or the member, of that id is granted now. Raises: Unavailable while the log was not read yet."""
        await self._ready()
        return self._access.again(key_id, now_us=now_us())

    def any_open(self) -> bool:
        """Whether there is any key that opens anything."""
        return self._access.any_open(now_us=now_us())

    async def _ready(self) -> None:
        try:
            await asyncio.wait_for(self._read.wait(), READ_S)
        except TimeoutError as error:
            raise Unavailable("the API keys are not read yet, for the log does not answer; `assay status` says whether it is up") from error


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.strip().encode()).digest()
