"""Runs of tests by name: their ids must be what every run's id is."""

from schemas.event import derive_run_id

FIRST_MS = 0x01890A5DAC96
FIRST = "01890a5d-ac96-774b-bcce-b302099a8057"


def run_named(name: object) -> str:
    """The id of the run of that name, always the same UUIDv7. Of two numbers (and their texts) the higher is the newer run."""
    number = int(text) if (text := str(name)).isdecimal() else 0
    time = f"{FIRST_MS + number:012x}"
    return derive_run_id("test", f"{time[:8]}-{time[8:]}{FIRST[13:]}", name)
