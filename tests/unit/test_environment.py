"""What an agent says of where it runs."""

from importlib.metadata import Distribution, distributions
from pathlib import Path

from gpu_agent.environment import container_image, environment, packages, sum_of
from gpu_agent.firmware import firmware
from tests.nvml import Card, cards

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


def test_an_environment_has_every_package_with_its_sum() -> None:
    """Of those that list their files; by the name that any tool gives it."""
    seen = environment("o", region="any", engines={"vllm": "ab"}, image="sha256:cd")
    assert {"torch", "numpy", "pydantic", "lm-eval", "typing-extensions"} <= seen.package_sums.keys() <= seen.packages.keys()
    assert (seen.packages["engine vllm"], seen.container_digest) == ("sha256:ab", "sha256:cd")
    assert len(seen.packages) > 100


def test_of_two_copies_of_a_package_the_one_that_is_imported_counts(tmp_path: Path) -> None:
    """The first on the path, whichever way its name is written."""
    for folder, name in (("first", "My.Package"), ("second", "my_package")):
        path = tmp_path / folder / "my_package-1.dist-info"
        path.mkdir(parents=True)
        (path / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {folder}\n")
    found = packages(distributions(path=[str(tmp_path / "first"), str(tmp_path / "second")]))
    assert {name: one.version for name, one in found.items()} == {"my-package": "first"}


def test_an_image_is_told_where_its_container_says_it(tmp_path: Path) -> None:
    """As Podman writes it; any other text is none."""
    (tmp_path / "run").mkdir()
    assert container_image(tmp_path) is None
    file = tmp_path / "run" / ".containerenv"
    file.write_text(f'engine="podman-4.3.1"\nname="a"\nid="{"b" * 64}"\nimage="localhost/agent"\nimageid="{"a" * 64}"\nrootless=1\n')
    assert container_image(tmp_path) == f"sha256:{'a' * 64}"
    file.write_text("")
    assert container_image(tmp_path) is None


def test_firmware_is_told_where_it_can_be_read(tmp_path: Path) -> None:
    """Of board, processor and cards; what is not there, or says nothing, is left out."""
    assert firmware(tmp_path) == {}
    for name, text in {"sys/class/dmi/id/bios_version": "F35\n", "sys/class/dmi/id/board_name": "\n",
                       "proc/cpuinfo": "model name\t: X\nmicrocode\t: 0xa101\n\nmicrocode\t: 0xb\n"}.items():  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert firmware(tmp_path) == {"bios_version": "F35", "microcode": "0xa101"}
    with cards(Card("GPU-1", vbios="96.00.A5.00.03", gsp="580.82.07"), Card("GPU-2", vbios="96.00")):
        assert firmware(tmp_path / "none") == {
            "GPU 0 VBIOS": "96.00.A5.00.03", "GPU 0 GSP firmware": "580.82.07", "GPU 1 VBIOS": "96.00",
        }  # fmt: skip
