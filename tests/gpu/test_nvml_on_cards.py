"""NVML's meter on real cards: counter beside power, power beside nvidia-smi's, whose memory is whose. `make test-gpu` runs it."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from benchmarks import cards
from benchmarks.gpu import beside_nvidia_smi, burning, clocks, energy, readings
from gpu_agent.meters.nvml import NAMESPACE, nvml
from gpu_agent.meters.readings import Read, Reading

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(300), pytest.mark.filterwarnings("ignore")]
GIB = 2**30
HOLDING = (
    "import sys, torch; held = torch.ones(2**28, device='cuda'); torch.cuda.synchronize(); print('held', flush=True); sys.stdin.read()"
)


@pytest.fixture
def meter() -> Read:
    """The meter, this process the engine's."""
    found, why = nvml(os.getpid)
    assert found is not None, why
    return found


@pytest.fixture
def uuid() -> str:
    """The first card's."""
    import torch

    return f"GPU-{torch.cuda.get_device_properties(0).uuid}"


def of_processes(meter: Read, uuid: str, sensor: str) -> list[Reading]:
    """Readings of processes on a card."""
    return [one for one in meter() if one["sensor"] == sensor and one["device_uuid"] == uuid]


@pytest.fixture
def other() -> Iterator[subprocess.Popen[str]]:
    """A process of somebody else that holds a GiB: this one started it, and it is asked as if it had not."""
    with subprocess.Popen([sys.executable, "-c", HOLDING], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None and child.stdout.readline().strip() == "held"
        yield child
        child.kill()


def test_the_energy_counter_rises_as_the_power_says(meter: Read, uuid: str) -> None:
    """Within a twentieth, over ten seconds of work."""
    with burning():
        time.sleep(2)
        found = energy(meter, uuid, seconds=10)
    if found["counted_j"] is None:
        pytest.skip("this card counts no energy")
    assert found["counted_j"] > 0 and found["ratio"] == pytest.approx(1, abs=0.05)


def test_readings_are_nvidia_smis(meter: Read) -> None:
    """While it works: power within a tenth, memory within 16 MiB, temperature within 2 degrees."""
    with burning():
        time.sleep(2)
        found = beside_nvidia_smi(meter)
        power_w = max(one["power_w"] or 0 for one in readings(meter).values())
    assert abs(found["power_w"]["median"]) < 0.1 * power_w
    assert abs(found["memory_bytes"]["median"]) < 16 * 2**20
    assert abs(found["celsius"]["median"]) <= 2


def test_events_tell_what_the_wall_clock_tells() -> None:
    """Of the same kernels, within a twentieth."""
    assert clocks()["wall_to_events_ratio"] == pytest.approx(1, abs=0.05)


def test_a_known_allocation_is_told_within_2_percent(meter: Read, uuid: str) -> None:
    """Of the card; and of the process, where processes are numbered as the driver numbers them."""
    import torch

    torch.ones(1, device="cuda")
    before, own = readings(meter)[uuid]["memory_bytes"], of_processes(meter, uuid, "nvml-process")
    held = torch.ones(GIB // 4, device="cuda")
    torch.cuda.synchronize()
    after, grown = readings(meter)[uuid]["memory_bytes"], of_processes(meter, uuid, "nvml-process")
    assert len(held) == GIB // 4 and after - before == pytest.approx(GIB, rel=0.02)
    if own:
        assert grown[0]["memory_bytes"] - own[0]["memory_bytes"] == pytest.approx(GIB, rel=0.02)


@pytest.mark.skipif(not str(NAMESPACE.readlink()).endswith("[4026531836]"), reason="processes have numbers of their own in this container")
def test_somebody_elses_process_is_told_apart(other: subprocess.Popen[str], uuid: str) -> None:
    """Its memory is in no reading of the engine's."""
    meter, why = nvml(lambda: other.pid + 2**22)  # an engine that has nothing there
    assert meter is not None, why
    assert not of_processes(meter, uuid, "nvml-process")
    assert max(one["memory_bytes"] for one in of_processes(meter, uuid, "nvml-other")) >= GIB
    own, _ = nvml(os.getpid)
    assert own is not None and sum(one["memory_bytes"] for one in of_processes(own, uuid, "nvml-process")) >= GIB


def test_every_card_of_nvidia_smis_is_read(meter: Read) -> None:
    """By its UUID."""
    assert {one.uuid for one in cards.told()} <= readings(meter).keys()
