"""What the log says of a run and its settler has not read yet: topics are read unevenly.

An agent's first report is in the log before any answer of its attempt, and so before what is scored of it: where a run is over, every
attempt that has brought something of it was reported there. How many readings its meters gave an attempt says with its last report: of one
that was cut off nobody knows, and what the log has of them counts; so does all that it has of a run of which something could not be taken
in.
"""

from contextlib import aclosing

from infra.kafka import Ends, Log
from streams.settling.runs import INPUTS, Run
from streams.topics import JOB_STATUS, RESOURCES
from streams.trust.stretches import run_of_key


async def awaited(log: Log, run: Run, *, partition: int, read: Ends) -> bool:
    """Whether what would be missing for good lies behind what was read: it settles the run again. Raises: Unavailable."""
    topics = INPUTS if run.lacks else (JOB_STATUS, RESOURCES) if run.used.cut_off else (JOB_STATUS,)
    ends = await log.ends(topics)
    until = {place: ends[place] for topic in topics if read.get(place := (topic.name, partition), 0) < ends.get(place, 0)}
    if not until:
        return False
    since = {place: read.get(place, 0) for place in until}
    of_run = log.follow(topics, since=since, until=until, wanted=lambda key, _place: run_of_key(key) == run.run_id)
    async with aclosing(of_run) as records:
        async for record in records:
            if record.event is not None:  # what cannot be read is none
                return True
    return False
