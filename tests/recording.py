"""`python -m tests.recording GROUP NAME [strand|never|block|block:N]`: a processor whose effect is a line `partition offset` per
event, in a file of the home.

With `strand` its group loses it after its first batch: it finds no coordinator any more, as with a broker under load; with `never` it has
none from its start on. NAME.asked says that it looks for one. With `block` its second batch never ends, and holds up its event loop; with
`block:N` that with offset N of partition 0.
"""

import asyncio
import sys
from collections.abc import Sequence

from aiokafka.consumer.group_coordinator import GroupCoordinator

from agents.app import consume
from infra.kafka import Log, Record
from infra.settings import Settings
from streams.topics import CANCELLATIONS


async def main(group: str, name: str, then: str = "") -> None:
    """Records until SIGTERM."""
    settings = Settings()

    async def found_no_more(_coordinator: GroupCoordinator) -> None:
        (settings.home / f"{name}.asked").touch()
        await asyncio.Event().wait()

    if then == "never":
        GroupCoordinator.ensure_coordinator_known = found_no_more

    async def handle(records: Sequence[Record]) -> None:
        assert len(records) <= settings.batch_events
        await asyncio.sleep(0.01)  # the batch is in hand for a while: that is when processes are ended
        lines = [f"{record.place.partition} {record.place.offset}\n" for record in records]
        while (then == "block" and (settings.home / name).exists()) or _blocks(records, then):
            pass
        with (settings.home / name).open("a") as out:
            out.write("".join(lines))
        if then == "strand":
            GroupCoordinator.ensure_coordinator_known = found_no_more

    async with Log(settings, client_id=group) as log:
        await consume(group, (CANCELLATIONS,), handle, log=log, settings=settings)


def _blocks(records: Sequence[Record], then: str) -> bool:
    return any(then == f"block:{record.place.offset}" for record in records if record.place.partition == 0)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
