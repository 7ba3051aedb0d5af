"""The images' own commands, run in a clean folder: packages installed by the same lines, processes started by the same words.

No container engine is needed: paths of the Dockerfile are moved into a folder, everything else is as it stands there.
"""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from infra.settings import Settings
from tests.conftest import end, environment, free_ports
from tests.dockerfile import ROOT, command, lineage, run, stages
from tests.flow import until

pytestmark = [pytest.mark.images, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the installer's stage makes."""
    root = tmp_path_factory.mktemp("image")
    (root / "tmp").mkdir()
    (root / "tmp" / "requirements").symlink_to(ROOT / "infra" / "requirements")
    for line in stages()["installer"].told("RUN"):
        run(line, root)
    return root


def copied(kind: str, root: Path) -> None:
    """The image's packages of ours, and no other."""
    place = root / "srv" / "assay"
    place.mkdir(parents=True, exist_ok=True)
    for source, name in (words.split() for stage in lineage(kind) for words in stage.told("COPY") if not words.startswith("--from")):
        if not (place / name).exists():
            (place / name).symlink_to(ROOT / source)


@contextmanager
def started(words: list[str], root: Path, settings: Settings, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The image's command, with its own interpreter."""
    given = environment(settings) | {"PYTHONPATH": str(root / "srv" / "assay"), "PYTHONDONTWRITEBYTECODE": "1"}
    with log.open("ab") as out:
        child = subprocess.Popen(
            [str(root / "opt/assay/bin/python"), *words[1:]], env=given, cwd=root / "srv/assay", stdout=out, stderr=out
        )
    try:
        yield child
    finally:
        end(child)


def version(root: Path) -> str:
    """What the image's code says that it is, though it is no installed distribution."""
    line, place = "from infra.identity import release; print(release())", root / "srv" / "assay"
    told = subprocess.run(
        [root / "opt/assay/bin/python", "-c", line], env={"PYTHONPATH": str(place)}, cwd=place, stdout=subprocess.PIPE, check=True
    )
    return told.stdout.decode().strip()


def probed(root: Path, settings: Settings, *address: str) -> bool:
    """What the health check says."""
    python = str(root / "opt/assay/bin/python")
    given = environment(settings) | {"PYTHONPATH": str(root / "srv" / "assay")}
    return subprocess.run([python, "-m", "infra.probe", *address], env=given, capture_output=True, check=False).returncode == 0


def test_the_light_image_runs_the_api_and_the_registry(installed: Path, stack: Settings, tmp_path: Path) -> None:
    """Installed from wheels alone, by their hashes; both come up, and the health check sees it."""
    for line in stages()["api-packages"].told("RUN"):
        run(line, installed)
    copied("api", installed)
    assert f'version = "{version(installed)}"' in (ROOT / "pyproject.toml").read_text()
    registry, api = free_ports(2)
    settings = stack.model_copy(update={"api": f"http://127.0.0.1:{api}"})
    with started(command("api"), installed, settings, tmp_path / "api.log") as child:
        until(lambda: probed(installed, settings) or child.poll() is not None)
        assert child.poll() is None, (tmp_path / "api.log").read_text()[-2000:]
    elsewhere = stack.model_copy(update={"registry": f"http://127.0.0.1:{registry}"})
    with started(["python", "-m", "infra.embedded.registry"], installed, elsewhere, tmp_path / "registry.log"):
        until(lambda: probed(installed, elsewhere, f"{elsewhere.registry}/subjects"))
    assert not probed(installed, settings)


def test_the_gpu_images_lock_can_be_had_whole(installed: Path) -> None:
    """Every package by its hash, found; gigabytes of them are not fetched."""
    for line in stages()["gpu_agent-packages"].told("RUN"):
        run(line.replace(" sync ", " sync --dry-run "), installed)


def test_the_agents_image_runs_a_processor(installed: Path, stack: Settings, tmp_path: Path) -> None:
    """Its lock is installed over the light one's; the dispatcher comes up, and stops being healthy when it is ended."""
    for line in stages()["agents-packages"].told("RUN"):
        run(line, installed)
    copied("agents", installed)
    settings = stack.model_copy(update={"metrics": f"127.0.0.1:{free_ports(1)[0]}", "pool": "images"})
    with started([*command("agents"), "dispatch"], installed, settings, tmp_path / "agents.log") as child:
        until(lambda: probed(installed, settings) or child.poll() is not None)
        assert child.poll() is None, (tmp_path / "agents.log").read_text()[-2000:]
    assert not probed(installed, settings)
