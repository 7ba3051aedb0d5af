"""`make sbom` lists for each image what its stage of the Dockerfile installs: every package, its version and the sums of its files."""

import json
import re
import subprocess

import pytest

from tests.dockerfile import ROOT, stages

pytestmark = [pytest.mark.images, pytest.mark.timeout(600)]
LOCKED = re.compile(r"^([a-z0-9._-]+)==(\S+)((?:\s*\\\n\s+--hash=sha256:[0-9a-f]{64})+)", re.MULTILINE)


def locked(image: str) -> dict[str, tuple[str, frozenset[str]]]:
    """What the image's packages are installed from: versions and sums by name."""
    (line,) = (line for line in stages()[f"{image}-packages"].told("RUN") if "pip sync" in line)
    text = (ROOT / "infra" / "requirements" / line.rsplit("/", 1)[1]).read_text()
    return {name: (version, frozenset(re.findall(r"sha256:([0-9a-f]{64})", sums))) for name, version, sums in LOCKED.findall(text)}


def test_an_images_bill_of_materials_is_its_lock() -> None:
    """CycloneDX 1.6, valid by its schema (the tool checks it), made twice the same."""
    told = []
    for _ in range(2):
        subprocess.run(["make", "sbom"], cwd=ROOT, check=True, capture_output=True)
        told.append({path.name: path.read_text() for path in sorted((ROOT / "dist" / "sbom").iterdir())})
    assert told[0] == told[1]
    assert set(told[0]) == {f"{image}.cdx.json" for image in ("api", "agents", "gpu_agent", "mlx_agent", "tensorflow_agent")}
    for name, text in told[0].items():
        found = json.loads(text)
        assert (found["bomFormat"], found["specVersion"]) == ("CycloneDX", "1.6")
        assert found["metadata"]["component"]["name"] == "assay"
        listed = {
            one["name"]: (one["version"], frozenset(sum_["content"] for told in one["externalReferences"] for sum_ in told["hashes"]))
            for one in found["components"]
        }
        assert len(listed) > 50
        assert listed == locked(name.removesuffix(".cdx.json"))
