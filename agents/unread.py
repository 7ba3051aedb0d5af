"""What the log says of a run and its settler has not read yet: topics are read unevenly.

An agent's first report is in the log before any answer of its attempt, and so before what is scored of it: where a run is over, every
attempt that has brought something of it was reported there.
"""

from contextlib import aclosing

from infra.kafka import Ends, Log
from streams.topics import JOB_STATUS
from streams.trust.stretches import run_of_key


async def reports(log: Log, run_id: str, *, partition: int, read: Ends) -> bool:
    """Whether reports of the run's attempts lie behind what was read: they come, and settle it again. Raises: Unavailable."""
    place = (JOB_STATUS.name, partition)
    since, until = read.get(place, 0), (await log.ends([JOB_STATUS])).get(place, 0)
    if since >= until:
        return False
    of_run = log.follow([JOB_STATUS], since={place: since}, until={place: until}, wanted=lambda key, _place: run_of_key(key) == run_id)
    async with aclosing(of_run) as records:
        async for record in records:
            if record.event is not None:  # what cannot be read is none
                return True
    return False
