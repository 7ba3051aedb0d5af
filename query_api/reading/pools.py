"""What is said of a run whose pool nobody serves: what a run waits for its pool's dispatcher tells, and there is none."""

from collections.abc import Mapping
from typing import Any, Final

from streams.times import moment

# In these a run needs its pool's dispatcher, to begin or to go on; of one that is silent nobody else can tell.
NEED_A_DISPATCHER: Final = frozenset({"requested", "planned", "running"})
SILENT_US: Final = 120_000_000  # a dispatcher says each second that it lives, and another takes its pool three seconds after its last word


def told_for(run: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """The run's row with what it waits for; a list's row has no code.

    `found` has its `pool`, those that were ever `served`, and when a dispatcher of it was last heard (`heard_us`, 0: not for a day).
    """
    pool, served = found["pool"], ", ".join(sorted(found["served"])) or "no others either"
    start = f"start `ASSAY_POOL={pool} python -m agents dispatch`"
    if pool in found["served"]:
        since = f"since {moment(found['heard_us'])}" if found["heard_us"] else "for a day"
        leased = "; jobs that agents have go on, no other begins" if run["state"] == "running" else ""
        waits_for = f"a dispatcher of pool {pool!r}: none was heard {since}{leased}; {start}"
    else:
        more = f"ask again with another pool, or {start} and a gpu_agent with the same setting"
        waits_for = f"a dispatcher of pool {pool!r}: none ever served it, there are {served}; {more}"
    told = {"waits_for": waits_for, "waits_code": "no-dispatcher"}
    return {name: told.get(name, value) for name, value in run.items()}
