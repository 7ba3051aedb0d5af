"""The first seal of each run, which nobody can choose and nothing changes later: by its signature an audit's part is drawn."""

import asyncio
from contextlib import aclosing

from infra import seal_keys
from infra.kafka import Log
from infra.sealed_events import seals
from infra.settings import Settings
from streams.trust.chains import Chains


class FirstSeals:
    """Signatures of runs' first seals: of the own chain, where public keys of it are here, else of any whose links count."""

    def __init__(self, log: Log, settings: Settings) -> None:
        self._log = log
        self._settings = settings
        self._chains = Chains()
        self._next = 0
        self._found: dict[str, bytes] = {}
        self._following = asyncio.Lock()

    async def of(self, run_id: str) -> bytes | None:
        """That of a run, as of now; None where it is not sealed yet. Raises: Unavailable."""
        async with self._following:
            self._chains.known = seal_keys.publics(self._settings)
            async with aclosing(seals(self._log, since=self._next)) as every:
                async for offset, seal in every:
                    why, self._next = self._chains.fold(seal), offset + 1
                    if why is None and (self._chains.is_own(seal) or not self._chains.known):
                        self._found.setdefault(seal.run_id, seal.signature)
                    await asyncio.sleep(0)  # a signature takes a tenth of a millisecond, and there is one for each run
        return self._found.get(run_id)
