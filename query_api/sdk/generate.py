"""Writes what of the client is made: its models and filters from the API's description, the blocking client from the awaiting one.

`--check` compares.

python query_api/sdk/generate.py [--check]
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent / "assay_client"
DESCRIPTION = Path(__file__).parents[2] / "docs" / "openapi.json"
MODELS_HEAD = '"""What the API takes and answers. Made from docs/openapi.json by `make schemas`."""\n\n'
ASKED_HEAD = '''"""What submissions may say and lists be asked for, by name. Made from docs/openapi.json by `make schemas`."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

from assay_client import models
'''
# Lists, by the address that answers them; what a page is, is the client's own matter.
LISTS = {
    "RunFilters": "/v1/runs", "SampleFilters": "/v1/runs/{run_id}/samples", "BoardFilters": "/v1/boards", "PriceFilters": "/v1/prices",
    "AgentFilters": "/v1/agents", "LetterFilters": "/v1/dead-letters", "RankingFilters": "/v1/rankings",
    "JudgementFilters": "/v1/runs/{run_id}/judgements",
    "LabelFilters": "/v1/runs/{run_id}/labels", "CostFilters": "/v1/runs/{run_id}/cost", "SuiteFilters": "/v1/suites",
    "SuiteTaskFilters": "/v1/suites/{suite}/tasks", "RecommendationFilters": "/v1/recommendations",
    "PredictionFilters": "/v1/predictions", "ScorePredictionFilters": "/v1/score-predictions", "DecisionFilters": "/v1/decisions",
}  # fmt: skip
PAGING = frozenset({"limit", "cursor"})
# What a list is asked for by arguments of its own.
PLACED = {"/v1/rankings": frozenset({"board", "task"})}
# What a submission says by arguments of its own.
NAMED = frozenset({"run_id", "model", "models", "tasks", "campaign"})
PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
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


def asked() -> str:
    """The source of the filters and of a submission's terms."""
    told = json.loads(DESCRIPTION.read_text())
    terms = told["components"]["schemas"]["Submission"]["properties"]
    parts = [_typed("Terms", "What a submission asks for, beside its model and tasks.", {n: t for n, t in terms.items() if n not in NAMED})]
    for name, path in LISTS.items():
        parameters = {one["name"]: one["schema"] | one for one in told["paths"][path]["get"]["parameters"] if one["in"] == "query"}
        filters = {n: p for n, p in parameters.items() if n not in PAGING | PLACED.get(path, frozenset())}
        parts.append(_typed(name, f"Filters and order of `{path}`; null is as left out.", filters, or_null=True))
    return formatted("\n\n".join([ASKED_HEAD, *parts]), "asked.py")


def _typed(name: str, purpose: str, fields: Mapping[str, Any], *, or_null: bool = False) -> str:
    return "\n".join([f"class {name}(TypedDict, total=False):", f'    """{purpose}"""', "", *_lines(fields, or_null=or_null)])


def _lines(fields: Mapping[str, Any], *, or_null: bool) -> Iterator[str]:
    for name, schema in fields.items():
        yield f"    {name}: {_hint(schema.get('schema', schema))}{' | None' if or_null else ''}"
        if "description" in schema:
            yield f'    """{schema["description"]}"""'


def _hint(schema: Mapping[str, Any]) -> str:
    """The type that values of a schema have in Python."""
    if "$ref" in schema:
        return f"models.{schema['$ref'].rpartition('/')[2].replace('-', '')} | Mapping[str, Any]"
    if "anyOf" in schema:
        return " | ".join(map(_hint, schema["anyOf"]))
    if "enum" in schema:
        return f"Literal[{', '.join(map(repr, schema['enum']))}]"
    if schema["type"] == "array":
        return f"Sequence[{_hint(schema['items'])}]"
    return f"Mapping[str, {_hint(schema['additionalProperties'])}]" if schema["type"] == "object" else PLAIN[schema["type"]]


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
    made = {HERE / "models.py": models(), HERE / "asked.py": asked(), HERE / "client.py": client()}
    if "--check" not in sys.argv:
        for path, source in made.items():
            path.write_text(source)
    elif drifted := [str(path) for path, source in made.items() if not path.exists() or path.read_text() != source]:
        sys.exit(f"not what they are made from: {', '.join(drifted)}; run `make schemas` and commit what it writes")


if __name__ == "__main__":
    main()
