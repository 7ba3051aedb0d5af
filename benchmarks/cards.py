"""The NVIDIA cards of this machine: whether they can be used from here, and what nvidia-smi says of them.

    python -m benchmarks.cards

tells them; where there is none, or it cannot be used, what lacks, on one line, and ends with 1.
"""

import csv
import shutil
import subprocess
from dataclasses import dataclass
from typing import Final

from infra.engine_environments import has_nvidia_gpu

MIB: Final = 2**20
# Source: nvidia-smi --help-query-gpu. `memory.used` has not what the driver keeps for itself; NVML's first structure of memory has it.
ASKED: Final = ("uuid", "name", "power.draw", "memory.used", "memory.reserved", "temperature.gpu", "utilization.gpu")


@dataclass(frozen=True, slots=True)
class Told:
    """What nvidia-smi says of a card; None of what it does not tell."""

    uuid: str
    name: str
    power_w: float | None
    memory_bytes: int | None
    celsius: float | None
    util_ratio: float | None


def lacking() -> str | None:
    """What keeps this process from NVIDIA's cards, on one line; None where nothing does."""
    if not has_nvidia_gpu():
        return "no NVIDIA GPU: the driver's library (libnvidia-ml.so.1) is not here, or shows none"
    if shutil.which("nvidia-smi") is None:
        return "nvidia-smi is not on the path: NVML's readings are held beside it"
    import torch  # which takes seconds

    if torch.version.cuda is None:
        return f"torch {torch.__version__} is built without CUDA; install the one of infra/requirements/gpu_agent.txt"
    if not torch.cuda.is_available():
        return f"torch {torch.__version__} (CUDA {torch.version.cuda}) cannot use the GPU that the driver shows; is the driver older?"
    return None


def told() -> list[Told]:
    """What nvidia-smi says now. Raises: CalledProcessError."""
    command = ["nvidia-smi", f"--query-gpu={','.join(ASKED)}", "--format=csv,noheader,nounits"]
    return read(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout)


def read(text: str) -> list[Told]:
    """The cards of nvidia-smi's lines; what it calls [N/A], [Not Supported] or the like is not told."""
    found = []
    for row in csv.reader(text.splitlines(), skipinitialspace=True):
        uuid, name, *numbers = row
        power_w, used, reserved, celsius, busy = map(_number, numbers)
        memory_bytes = None if used is None else int((used + (reserved or 0)) * MIB)
        found.append(Told(uuid, name, power_w, memory_bytes, celsius, None if busy is None else busy / 100))
    return found


def _number(text: str) -> float | None:
    return None if text.startswith("[") or not text.strip() else float(text)


def main() -> None:
    """Tells the cards, or what lacks."""
    if why := lacking():
        raise SystemExit(why)
    for card in told():
        print(f"{card.name} {card.uuid}")


if __name__ == "__main__":
    main()
