"""What is made of an energy counter: by us, codecarbon and zeus, of counters that this benchmark turns.

    python -m benchmarks.energy

A package's counter lies in a folder, as RAPL's does in /sys/class/powercap. It is turned by 5 J every 1.3 s, which is time enough for
zeus' process that looks for wraps once a second, and read by each by its own code (gpu_agent/meters/rapl.py, streams/speed/counters.py;
codecarbon.core.rapl; zeus.device.cpu.rapl). *plain*: it only grows. *wrap*: it begins again at 0 behind its range. *reset*: its driver is
loaded anew in the middle of its range, and nobody can know what it had counted by then: the right answer is that it is not known. *away*:
it cannot be read once. Writes results/energy.json. The peers' environments are made at the first start.
"""

import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from benchmarks.harness import show, write
from gpu_agent.meters.rapl import rapl
from gpu_agent.meters.readings import Reading
from infra import environments
from infra.settings import of_process
from streams.speed.counters import grown_uj

RANGE_UJ: Final = 262_143_328_850
STEP_UJ: Final = 5_000_000
STEP_S: Final = 1.3
PEERS: Final = ("codecarbon", "zeus")
# What the counter shows, step after step (None: it cannot be read), and the joules that were spent; None: nobody knows.
SCENARIOS: Final[dict[str, tuple[list[int | None], float | None]]] = {
    "plain": ([n * STEP_UJ for n in range(5)], 20.0),
    "wrap": ([(RANGE_UJ - 2 * STEP_UJ + 1_000_000 + n * STEP_UJ) % RANGE_UJ for n in range(5)], 20.0),
    "reset": ([RANGE_UJ // 2, RANGE_UJ // 2 + STEP_UJ, 0, STEP_UJ, 2 * STEP_UJ], None),
    "away": ([0, STEP_UJ, None, 3 * STEP_UJ, 4 * STEP_UJ], 20.0),
}


def zone_in(sys: Path, uj: int) -> Path:
    """A package's folder below a /sys."""
    zone = sys / "class" / "powercap" / "intel-rapl:0"
    zone.mkdir(parents=True)
    (zone / "name").write_text("package-0\n")
    (zone / "max_energy_range_uj").write_text(f"{RANGE_UJ}\n")
    (zone / "energy_uj").write_text(f"{uj}\n")
    return zone


def turn(zone: Path, uj: int | None) -> None:
    """The counter shows that; it is never seen half written."""
    if uj is None:
        (zone / "energy_uj").unlink()
        return
    (zone / "new").write_text(f"{uj}\n")
    (zone / "new").rename(zone / "energy_uj")


@contextmanager
def reader(name: str, zone: Path) -> Iterator["subprocess.Popen[str]"]:
    """A peer that reads the counter, while it lasts."""
    folder = of_process().home.resolve() / "peers" / name
    environments.ensure(folder, Path(__file__).parent / "peers" / f"{name}.txt")
    command = [str(environments.python_of(folder)), str(Path(__file__).parent / "peers" / "energy_reader.py"), name, str(zone)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.communicate()


def asked(process: "subprocess.Popen[str]", seconds: float) -> str:
    """What a peer says now."""
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(f"{seconds}\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def ours(readings: Sequence[Reading]) -> float | None:
    """Joules over readings one after another; None where a stretch is not known."""
    points = [(one["mono_ns"], one["energy_uj"]) for one in readings]
    grown = [grown_uj(before, after, range_uj=RANGE_UJ) for before, after in pairwise(points)]
    return None if None in grown else sum(one for one in grown if one is not None) / 1e6


def measured(name: str) -> dict[str, Any]:
    """What each says of a scenario, in joules; None: that it is not known; a text: what it ended in."""
    shown, truth = SCENARIOS[name]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        assert shown[0] is not None
        zone = zone_in(Path(folder), shown[0])
        meter, why = rapl(Path(folder))
        assert meter is not None, why
        peers = {peer: stack.enter_context(reader(peer, zone)) for peer in PEERS}
        readings, told = list(meter()), dict[str, str]()
        for uj in shown[1:]:
            turn(zone, uj)
            time.sleep(STEP_S)
            readings += list(meter())
            told = {peer: asked(process, STEP_S) for peer, process in peers.items()}
    return {"scenario": name, "true_j": truth, "assay": ours(readings)} | {peer: _number(said) for peer, said in told.items()}


def _number(said: str) -> float | str:
    return said if said.startswith("error") or not said else round(float(said), 6)


def main() -> None:
    """Measures, and writes what was found."""
    rows = [measured(name) for name in SCENARIOS]
    show("joules of a counter", rows)
    write("energy", {"rows": rows})


if __name__ == "__main__":
    main()
