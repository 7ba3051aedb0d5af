"""What an agent says of where it runs."""

from importlib.metadata import Distribution
from pathlib import Path

from gpu_agent.environment import environment, sum_of

OWN = "pkg/a.py,sha256=AAA,10\npkg/b.py,sha256=BBB,20\n"
BY_PIP = "../../bin/pkg,sha256=CCC,3\npkg-1.dist-info/INSTALLER,sha256=DDD,4\npkg/__pycache__/a.pyc,,\npkg-1.dist-info/RECORD,,\n"
BY_UV = "pkg-1.dist-info/INSTALLER,sha256=EEE,2\npkg-1.dist-info/uv_cache.json,sha256=FFF,4\npkg-1.dist-info/RECORD,,\n"


def installed(folder: Path, record: str) -> Distribution:
    """A package with that list of its files."""
    (folder / "pkg-1.dist-info").mkdir(parents=True)
    (folder / "pkg-1.dist-info" / "RECORD").write_text(record)
    return Distribution.at(folder / "pkg-1.dist-info")


def test_a_package_has_one_sum_whoever_installed_it_and_another_where_a_file_differs(tmp_path: Path) -> None:
    """What installers write beside it, and in which order, is none of it."""
    pip, uv = installed(tmp_path / "pip", OWN + BY_PIP), installed(tmp_path / "uv", BY_UV + "\n".join(reversed(OWN.splitlines())))
    other = installed(tmp_path / "other", OWN.replace("BBB", "XXX"))
    assert sum_of(pip) == sum_of(uv) != sum_of(other)
    assert sum_of(installed(tmp_path / "none", "")) is sum_of(installed(tmp_path / "worked on", "_pkg.pth,sha256=GGG,9\n")) is None


def test_an_environment_has_the_sums_of_its_packages() -> None:
    """Of those that it names."""
    seen = environment("o", region="any", engines={})
    assert {"torch", "numpy"} <= seen.package_sums.keys() <= seen.packages.keys()
