"""Scores of another code have another scorer's version, so that no run mixes them."""

import ast
import hashlib
import json
from pathlib import Path

from infra.harness import scoring

STORED = Path(__file__).parents[1] / "stored" / "scorers.json"
FOLDER = Path(scoring.__file__).parent
SOURCES = (FOLDER / "scoring.py", FOLDER / "code.py", *sorted((FOLDER / "metrics").glob("*.py")))


def _code(path: Path) -> str:
    """The code of a module, whatever its comments and docstrings are."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


def test_a_scorer_whose_code_changed_has_another_version() -> None:
    """What is stored names the code of each version; a change that leaves all values as they are is written over its digest by hand."""
    digest = hashlib.sha256("".join(_code(path) for path in SOURCES).encode()).hexdigest()
    stored = json.loads(STORED.read_text())
    assert stored.get(scoring.SCORER_VERSION) == digest, (
        f"the code of scores has changed. Raise SCORER_VERSION where a value may differ; then write {digest} as its digest to {STORED.name}"
    )
