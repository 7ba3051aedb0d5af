"""Sensors that the test owns, at their real interfaces: a folder that looks as Linux's /sys does, and an NVML at its C interface.

What the meters read of them, and what it comes to.
"""

import os
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from gpu_agent.meters.host import cgroup, host, process
from gpu_agent.meters.hwmon import hwmon
from gpu_agent.meters.idle import Idle
from gpu_agent.meters.meters import find_meters, read_all
from gpu_agent.meters.nvml import nvml
from gpu_agent.meters.powermetrics import powermetrics
from gpu_agent.meters.rapl import rapl
from gpu_agent.meters.readings import Found, Reading
from streams.speed.counters import grown_uj
from streams.speed.sensors import SENSORS, together
from tests.flow import PATIENCE_S
from tests.nvml import Card, cards

pytestmark = pytest.mark.integration
RANGE_UJ = 262_143_328_850


def zone(folder: Path, number: str, *, name: str, uj: int) -> Path:
    """A domain of the folder."""
    made = folder / "class" / "powercap" / f"intel-rapl:{number}"
    made.mkdir(parents=True)
    (made / "name").write_text(f"{name}\n")
    (made / "max_energy_range_uj").write_text(f"{RANGE_UJ}\n")
    (made / "energy_uj").write_text(f"{uj}\n")
    return made


def turned(zone: Path, uj: int) -> None:
    """The counter shows something else."""
    (zone / "energy_uj").write_text(f"{uj}\n")


def counted(before: Reading, after: Reading) -> int | None:
    """What it counted between two readings."""
    return grown_uj((before["mono_ns"], before["energy_uj"]), (after["mono_ns"], after["energy_uj"]), range_uj=after["energy_range_uj"])


def read(found: Found) -> list[Reading]:
    """What a meter reads; it is there."""
    meter, why = found
    assert meter is not None, why
    return list(meter())


def shown(readings: Iterable[Reading], *names: str) -> list[tuple[object, ...]]:
    """Those fields of the readings."""
    return [tuple(one.get(name) for name in names) for one in readings]


def test_the_memory_beside_a_package_is_counted_and_nothing_twice(tmp_path: Path) -> None:
    """Cores and graphics are in the package's energy; the platform has all of it, and is the whole machine's."""
    for number, name in (("0", "package-0"), ("0:0", "core"), ("0:1", "dram"), ("0:2", "uncore"), ("1", "package-1"), ("2", "psys")):
        zone(tmp_path, number, name=name, uj=5)
    (tmp_path / "class" / "powercap" / "intel-rapl-mmio:0").mkdir()  # the same package by another door
    readings = read(rapl(tmp_path))
    assert shown(readings, "scope", "sensor", "device_uuid", "energy_uj", "energy_range_uj") == [
        ("device", "rapl-package", "intel-rapl:0", 5, RANGE_UJ), ("device", "rapl-core", "intel-rapl:0:0", 5, RANGE_UJ),
        ("device", "rapl-dram", "intel-rapl:0:1", 5, RANGE_UJ), ("device", "rapl-uncore", "intel-rapl:0:2", 5, RANGE_UJ),
        ("device", "rapl-package", "intel-rapl:1", 5, RANGE_UJ), ("host", "rapl-psys", "intel-rapl:2", 5, RANGE_UJ),
    ]  # fmt: skip
    known = [SENSORS[one["sensor"]] for one in readings if one["sensor"] in SENSORS]
    assert (len(known), together(one for one in known if one.boundary != "host")) == (4, "counter, processor")


def test_a_wrap_is_counted_on_and_a_reset_is_not_known(tmp_path: Path) -> None:
    """2 mJ before its end and 3 mJ behind it are 5; from its middle back to 0 is nobody's energy."""
    package = zone(tmp_path, "0", name="package-0", uj=RANGE_UJ - 2)
    meter, _ = rapl(tmp_path)
    assert meter is not None
    readings = []
    for uj in (RANGE_UJ - 2, 3, RANGE_UJ // 2, 0):
        turned(package, uj)
        readings += list(meter())
    assert counted(readings[0], readings[1]) == 5
    assert counted(readings[2], readings[3]) is None


def test_a_counter_that_is_away_makes_a_gap_and_no_end(tmp_path: Path) -> None:
    """The other is read on."""
    gone, _ = (zone(tmp_path, str(n), name=f"package-{n}", uj=n) for n in range(2))
    meter, _ = rapl(tmp_path)
    assert meter is not None
    (gone / "energy_uj").unlink()
    assert [one["device_uuid"] for one in meter()] == ["intel-rapl:1"]
    turned(gone, 9)
    assert [one["energy_uj"] for one in meter()] == [9, 1]


def test_no_counter_has_its_reason(tmp_path: Path) -> None:
    """As on a machine without one, and where it may not be read."""
    assert rapl(tmp_path) == (None, "no energy counter of the processor (powercap)")
    (zone(tmp_path, "0", name="package-0", uj=1) / "energy_uj").unlink()
    assert rapl(tmp_path)[1] == "the processor's energy counter cannot be read (No such file or directory)"


def sensor(sys: Path, number: int, name: str, **told: int) -> Path:
    """A folder of hwmon, with a device behind it."""
    folder, device = sys / "class" / "hwmon" / f"hwmon{number}", sys / "devices" / f"0000:0{number}:00.0"
    folder.mkdir(parents=True)
    device.mkdir(parents=True)
    (folder / "device").symlink_to(device)
    (folder / "name").write_text(f"{name}\n")
    for file, value in told.items():
        (folder / file).write_text(f"{value}\n")
    return folder


def test_cards_and_the_whole_machine_are_read_where_linux_tells_them(tmp_path: Path) -> None:
    """An AMD card by its power, an Intel card by its counter, the machine by its own meter; a processor's graphics are left out."""
    amd = sensor(tmp_path, 0, "amdgpu", power1_average=250_500_000, power1_cap=300_000_000, temp1_input=61_000)
    for name, value in (("gpu_busy_percent", 87), ("mem_info_vram_used", 5 * 2**30)):
        (amd / "device" / name).write_text(f"{value}\n")
    sensor(tmp_path, 1, "amdgpu", power1_average=15_000_000)
    sensor(tmp_path, 2, "xe", energy1_input=123_456)
    sensor(tmp_path, 3, "power_meter", power1_average=410_000_000)
    sensor(tmp_path, 4, "coretemp", temp1_input=40_000)
    readings = read(hwmon(tmp_path))
    assert shown(readings, "scope", "sensor", "device_uuid", "power_w", "energy_uj", "util_ratio", "memory_bytes", "temperature_c") == [
        ("device", "hwmon-power", "0000:00:00.0", 250.5, None, 0.87, 5 * 2**30, 61.0),
        ("device", "hwmon-energy", "0000:02:00.0", None, 123_456, None, None, None),
        ("host", "hwmon-host", "0000:03:00.0", 410.0, None, None, None, None),
    ]  # fmt: skip
    assert hwmon(tmp_path / "none")[1] == "no card of AMD or Intel, and no meter of the whole machine (hwmon)"


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """What Linux shows of the first namespace of processes, in which a driver counts them."""
    (tmp_path / "pid").symlink_to("pid:[4026531836]")
    return tmp_path / "pid"


def test_an_nvidia_card_tells_what_it_can(first: Path) -> None:
    """Its counter; without one its power; without either its limit times its utilisation; each with what else it has."""
    counted = Card("GPU-a", energy_mj=7_000, power_mw=300_500, busy_percent=90, memory_bytes=2**34, celsius=71, sm_mhz=1_980,
                   reasons=0x4 | 0x1 | 0x20, processes={12: 2**31})  # fmt: skip
    powered, rated = Card("GPU-b", power_mw=60_000), Card("GPU-c", limit_mw=75_000, busy_percent=40)
    with cards(counted, powered, rated, Card("GPU-d")):
        readings = read(nvml(lambda: 12, namespace=first))
    assert readings[0] == {
        "scope": "device", "device_uuid": "GPU-a", "sensor": "nvml-total-energy", "method": "nvml", "memory_bytes": 2**34,
        "util_ratio": 0.9, "temperature_c": 71.0, "clock_hz": 1_980_000_000, "energy_uj": 7_000_000, "power_w": 300.5,
        "throttle": "power-cap,thermal",
    }  # fmt: skip
    assert shown(readings[1:], "scope", "device_uuid", "sensor", "method", "power_w", "memory_bytes", "throttle") == [
        ("process", "GPU-a", "nvml-process", "nvml", None, 2**31, None),
        ("device", "GPU-b", "nvml-device", "nvml", 60.0, None, None),
        ("device", "GPU-c", "nvml-rated", "estimated", 30.0, None, None),
        ("device", "GPU-d", "nvml-device", "nvml", None, None, None),
    ]  # fmt: skip


def test_processes_that_are_not_the_engines_are_told_of(first: Path, tmp_path: Path) -> None:
    """Each with its memory: not those that the engine has started; without an engine all; in a container none."""
    with subprocess.Popen(["sleep", "60"]) as worker, subprocess.Popen(["sleep", "60"]) as other:
        holding = {os.getpid(): 2**30, worker.pid: 2**31, other.pid: 7, 2**22 + 1: 9}
        with cards(Card("GPU-a", processes=holding), Card("GPU-b", processes={os.getpid(): 5})):
            (own, *others), (own_b,), alone = (
                [one for one in read(nvml(pid, namespace=first)) if one["scope"] == "process" and one["device_uuid"] == device]
                for pid, device in ((os.getpid, "GPU-a"), (os.getpid, "GPU-b"), (lambda: None, "GPU-a"))
            )
            (tmp_path / "own").symlink_to("pid:[4026532207]")
            inside = read(nvml(os.getpid, namespace=tmp_path / "own"))
        for one in (worker, other):
            one.kill()
    assert shown([own, *others], "sensor", "memory_bytes") == [("nvml-process", 2**30 + 2**31 + 7), ("nvml-other", 9)]
    assert own_b["memory_bytes"] == 5
    assert shown(alone, "sensor", "memory_bytes") == [("nvml-other", size) for size in holding.values()]
    assert {one["scope"] for one in inside} == {"device"}


def test_a_divided_card_tells_the_memory_of_its_parts() -> None:
    """Its energy is of all of them together."""
    card = Card("GPU-a", energy_mj=1, parts=[Card("MIG-1", memory_bytes=5), Card("MIG-2", memory_bytes=6)])
    with cards(card):
        readings = read(nvml(lambda: None))
    told = shown(readings, "sensor", "device_uuid", "memory_bytes", "energy_uj")
    assert told == [
        ("nvml-total-energy", "GPU-a", None, 1000), ("nvml-mig", "MIG-1", 5, None), ("nvml-mig", "MIG-2", 6, None),
    ]  # fmt: skip


def test_no_card_has_its_reason() -> None:
    """As where the driver is there and the cards are not."""
    with cards():
        assert nvml(lambda: None) == (None, "no NVIDIA device (NVML: none is here)")


def test_processors_without_a_counter_are_estimated_where_their_power_is_told(tmp_path: Path) -> None:
    """And never beside a counter."""
    (estimated,) = [one for one in read_all([host(rated_w=65.0)]) if one["sensor"] == "rated"]
    assert (estimated["method"], estimated["power_w"]) == ("estimated", 65.0 * estimated["util_ratio"])
    zone(tmp_path, "0", name="package-0", uj=1)
    for rated, sensors in ((None, {"rapl-package"}), (65.0, {"rapl-package"})):
        meters, _ = find_meters(lambda: None, rated_w=rated, sys=tmp_path)
        assert {one["sensor"] for one in read_all(meters)} & set(SENSORS) == sensors
    meters, _ = find_meters(lambda: None, rated_w=65.0, sys=tmp_path / "none")
    assert {one["sensor"] for one in read_all(meters)} & set(SENSORS) == {"rated"}


PLIST = b"""<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0"><dict>
<key>elapsed_ns</key><integer>100000000</integer>
<key>thermal_pressure</key><string>%b</string>
<key>processor</key><dict><key>cpu_power</key><real>2978.45</real><key>combined_power</key><real>%b</real></dict>
<key>gpu</key><dict><key>freq_hz</key><real>338</real><key>idle_ratio</key><real>0.75</real></dict>
</dict></plist>
\0"""


def test_apples_chips_tell_their_power_by_a_program_that_goes_on(tmp_path: Path) -> None:
    """Each list once, at the middle of its time; what cannot be read, or tells no power, makes a gap."""
    lists = [PLIST % (b"Nominal", b"3248.07"), b"<plist>\0", PLIST % (b"Heavy", b"no"), PLIST % (b"Heavy", b"5000")]
    (tmp_path / "lists").write_bytes(b"".join(lists))
    program = tmp_path / "powermetrics"
    program.write_text(f'#!/bin/sh\n[ "$*" = "-i 100 -f plist -s cpu_power,gpu_power,thermal" ] && cat {tmp_path}/lists\n')
    program.chmod(0o755)
    assert powermetrics(str(tmp_path / "none"), root=True) == (None, "no powermetrics")
    assert powermetrics(str(program), root=False) == (None, "powermetrics runs as root alone")
    meter, _ = powermetrics(str(program), root=True)
    assert meter is not None
    told, deadline = list[Reading](), time.monotonic() + PATIENCE_S
    while len(told) < 2 and time.monotonic() < deadline:
        told += meter()
    assert shown(told, "sensor", "power_w", "util_ratio", "throttle") == [
        ("powermetrics", pytest.approx(3.24807), 0.25, ""), ("powermetrics", 5.0, 0.25, "thermal-heavy"),
    ]  # fmt: skip
    assert time.perf_counter_ns() - told[0]["mono_ns"] >= 50_000_000 and not list(meter())
    assert SENSORS["powermetrics"].grade == "estimated"


def test_a_control_group_tells_its_memory_and_processor_time(tmp_path: Path) -> None:
    """By its own path, and in a container by what is mounted there; a process tells its processor time too."""
    own = tmp_path / "cgroup"
    own.write_text("0::/user.slice/agent\n")
    assert cgroup(tmp_path, own=own)[1] == "no control group that tells its memory (cgroup v2)"
    for folder, memory in (("", 7), ("user.slice/agent", 5)):
        at = tmp_path / "fs" / "cgroup" / folder
        at.mkdir(parents=True, exist_ok=True)
        (at / "memory.current").write_text(f"{memory}\n")
        (at / "cpu.stat").write_text("usage_usec 1500000\nuser_usec 1\n")
        (told,) = read(cgroup(tmp_path, own=own))
        assert (told["memory_bytes"], told["processor_s"]) == (memory, 1.5)
    (told,) = read((process(os.getpid), ""))
    assert told["processor_s"] > 0 and told["memory_bytes"] > 2**20


def test_what_a_device_draws_without_a_job_is_its_mean_power() -> None:
    """By its counter or by its power, over two seconds at least; after a job it begins anew."""
    idle = Idle()

    def seconds(*at_s: float) -> None:
        for at in at_s:
            mono = {"mono_ns": round(at * 1e9)}
            idle.take([
                mono | {"sensor": "rapl-package", "device_uuid": "p", "energy_uj": round(at * 12.5e6)},
                mono | {"sensor": "nvml-device", "device_uuid": "g", "power_w": 50.0 + at},
                mono | {"sensor": "psutil-host", "device_uuid": None, "memory_bytes": 1},
            ])  # fmt: skip

    seconds(0, 1)
    assert idle.watts() == {}
    seconds(5, 6, 7)
    assert idle.watts() == pytest.approx({("rapl-package", "p"): 12.5, ("nvml-device", "g"): 56.0})
    assert idle.watts() == {}


def test_reading_all_meters_ten_times_a_second_takes_less_than_a_hundredth_of_a_core(tmp_path: Path) -> None:
    """By the processor time of a reading of each: the machine's, a process's, a card's and four counters'."""
    for number in range(4):
        zone(tmp_path, f"{number}", name=f"package-{number}", uj=number)
    with cards(Card("GPU-a", energy_mj=1)):
        meters, _ = find_meters(os.getpid, rated_w=None, sys=tmp_path)
        assert {"nvml-total-energy", "rapl-package", "psutil-host", "psutil-process"} <= {one["sensor"] for one in read_all(meters)}
        took = []
        for _ in range(10):
            began = time.process_time()
            for _ in range(20):
                read_all(meters)
            took.append((time.process_time() - began) / 20)
    assert min(took) < 0.01 / 10  # what else the machine does makes it more and never less


def test_a_known_allocation_is_told_within_2_percent() -> None:
    """Of a process, by what it grew by."""
    size = 128 * 2**20
    (before,) = read((process(os.getpid), ""))
    held = bytearray(os.urandom(2**20)) * (size // 2**20)
    (after,) = read((process(os.getpid), ""))
    assert len(held) == size and after["memory_bytes"] - before["memory_bytes"] == pytest.approx(size, rel=0.02)
