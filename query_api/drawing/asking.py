"""A run's request as people can give it again: the command that asks for exactly the same."""

import json
from collections.abc import Mapping
from typing import Any

import yaml

from query_api.producing.submitting import Submission

NESTED = (
    "model", "engine", "tasks", "chat", "workload", "slo", "judges", "budget", "labels", "judgements", "stopping", "model_licences",
    "data_licences",
)  # fmt: skip
LONGEST = 20_000


def request_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """What a row of `requests` asked for, without what is the default anyway."""
    # A nested field that is empty is one that its row, an older one, does not have.
    asked = [name for name in Submission.model_fields if name in row and not (name in NESTED and not row[name])]
    told = {name: json.loads(row[name]) if name in NESTED else row[name] for name in asked}
    return Submission.model_validate_json(json.dumps(told)).model_dump(mode="json", exclude_defaults=True, exclude={"run_id"})


def command(row: Mapping[str, Any]) -> str | None:
    """The command line that asks for the same again, its request within it; None for one too long to be read, as that of a trace."""
    if len(row.get("workload") or "") > LONGEST:
        return None
    text = yaml.safe_dump(request_of(row), sort_keys=False, allow_unicode=True, width=120)
    return f"assay submit /dev/stdin <<'END'\n{text}END"
