"""The notebooks of examples/ run from their first cell to their last on the real stack, and are committed without outputs."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from infra.settings import Settings
from tests.conftest import environment
from tests.flow import PATIENCE_S

EXAMPLES = Path(__file__).parents[2] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_committed_without_outputs(path: Path) -> None:
    """What it shows is what it does, not what it once did."""
    cells = nbformat.read(path, as_version=4).cells  # type: ignore[no-untyped-call]  # it ships no types
    assert [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")] == []


@pytest.mark.integration
@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(flow: Settings, path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without an error, and with a plot."""
    for name, value in environment(flow).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    book = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    NotebookClient(book, timeout=PATIENCE_S, kernel_name="python3", resources={"metadata": {"path": str(EXAMPLES)}}).execute()
    shown = [output for cell in book.cells for output in cell.get("outputs", ())]
    assert any("image/png" in output.get("data", {}) for output in shown)
    assert [output for output in shown if output.output_type == "error" or output.get("name") == "stderr"] == []
