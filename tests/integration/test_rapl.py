"""A folder that looks as Linux's powercap does, which the test turns: what the meter reads of it, and what that comes to."""

from pathlib import Path

import pytest

from gpu_agent.meters.rapl import Reading, rapl
from streams.speed.counters import grown_uj

pytestmark = pytest.mark.integration
RANGE_UJ = 262_143_328_850


def zone(folder: Path, number: str, *, name: str, uj: int) -> Path:
    """A domain of the folder."""
    made = folder / f"intel-rapl:{number}"
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


def test_packages_are_read_and_nothing_is_counted_twice(tmp_path: Path) -> None:
    """Neither the platform, which has them in it, nor the domains within them."""
    for number, name in (("0", "package-0"), ("0:0", "core"), ("0:1", "dram"), ("1", "package-1"), ("2", "psys")):
        zone(tmp_path, number, name=name, uj=5)
    meter, why = rapl(tmp_path)
    assert meter is not None and why == ""
    assert [(one["device_uuid"], one["energy_uj"], one["energy_range_uj"]) for one in meter()] == [
        ("intel-rapl:0", 5, RANGE_UJ), ("intel-rapl:1", 5, RANGE_UJ),
    ]  # fmt: skip


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
