"""What is said of a run whose pool nobody serves: what a run waits for its pool's dispatcher tells, and there is none."""

from collections.abc import Mapping
from typing import Any, Final

# Until a job was leased, silence may be for want of a dispatcher; who leases tells what follows.
BEFORE_ITS_JOBS: Final = frozenset({"requested", "planned"})


def told_for(run: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """The run's row with what it waits for; a list's row has no code. `found` has its `pool`, and those that were ever `served`."""
    pool, served = found["pool"], ", ".join(sorted(found["served"])) or "no others either"
    waits_for = (
        f"a dispatcher of pool {pool!r}: none ever served it, there are {served}; ask again with another pool, or start "
        f"`ASSAY_POOL={pool} python -m agents dispatch` and a gpu_agent with the same setting"
    )
    told = {"waits_for": waits_for, "waits_code": "no-dispatcher"}
    return {name: told.get(name, value) for name, value in run.items()}
