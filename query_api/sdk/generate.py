"""Writes what of the client is made: its models from the API's description, the blocking client from the awaiting one. `--check` compares.

python query_api/sdk/generate.py [--check]
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent / "assay_client"
DESCRIPTION = Path(__file__).parents[2] / "docs" / "openapi.json"
MODELS_HEAD = '"""What the API takes and answers. Made from docs/openapi.json by `make schemas`."""\n\n'
CLIENT_HEAD = '"""The blocking client. Made from asynchronous.py by `make schemas`."""\n'
OPTIONS = (
    "--input-file-type=openapi", "--output-model-type=pydantic_v2.BaseModel", "--target-python-version=3.11", "--use-union-operator",
    "--use-standard-collections", "--disable-timestamp", "--use-schema-description", "--enum-field-as-literal=all", "--strict-nullable",
    "--use-annotated", "--base-class=assay_client.shape.Shape", "--use-field-description", "--use-double-quotes", "--formatters=builtin",
)  # fmt: skip
# Docstrings and settings of one line stand on one.
SHORTER = ((r'"""\n +(.+)\n +"""', r'"""\1"""'), (r"ConfigDict\(\n +(.+),\n +\)", r"ConfigDict(\1)"))
# The awaiting client's words, and the blocking one's.
BLOCKING = (
    (r"\basync (def|with|for)\b", r"\1"), (r"\bawait ", ""), (r"\bAsyncClient\b", "Client"),
    (r"\bAsyncGenerator\[(\w+), None\]", r"Generator[\1, None, None]"), (r"\bAsyncGenerator\b", "Generator"),
    (r"\b__a(enter|exit)__\b", r"__\1__"), (r"\ba(close|read|iter_lines)\(", r"\1("), (r"\basyncio\b", "time"),
)  # fmt: skip


def models() -> str:
    """The models' source."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "models.py"
        codegen = [sys.executable, "-m", "datamodel_code_generator", *OPTIONS]
        subprocess.run([*codegen, f"--input={DESCRIPTION}", f"--output={out}"], check=True)
        told = re.sub(r"\A(#.*\n)+", "", out.read_text()).lstrip()
    for long, short in SHORTER:
        told = re.sub(long, short, told)
    return formatted(MODELS_HEAD + told, "models.py")


def client() -> str:
    """The blocking client's source."""
    told = (HERE / "asynchronous.py").read_text()
    _, _, told = told.partition('"""\n')
    for awaiting, blocking in BLOCKING:
        told = re.sub(awaiting, blocking, told)
    return formatted(CLIENT_HEAD + told, "client.py")


def formatted(source: str, name: str) -> str:
    """The source as `make check` wants it."""
    ruff = [sys.executable, "-m", "ruff"]
    for command in (["check", "--fix", "--quiet", "--exit-zero"], ["format", "--quiet"]):
        done = subprocess.run(
            [*ruff, *command, "--stdin-filename", str(HERE / name), "-"], input=source, capture_output=True, text=True, check=True
        )
        source = done.stdout
    return source


def main() -> None:
    """Writes, or compares; exits 1 where something has drifted."""
    made = {HERE / "models.py": models(), HERE / "client.py": client()}
    if "--check" not in sys.argv:
        for path, source in made.items():
            path.write_text(source)
    elif drifted := [str(path) for path, source in made.items() if not path.exists() or path.read_text() != source]:
        sys.exit(f"not what they are made from: {', '.join(drifted)}; run `make schemas` and commit what it writes")


if __name__ == "__main__":
    main()
