"""How alike an answer is to the right answers of the task that it answers: what an encoder is asked, and what it says."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from infra.harness.data import Given
from infra.harness.metrics.cases import references
from infra.harness.tasks import without_data
from streams.errors import Invalid

REFERENCES = "references"


def referring(config_json: str, given: Given) -> Given | None:
    """The documents with the right answers (`references`) of the task that they answer, which its build's `config_json` tells of.

    None where no document has one. A blank right answer is none.
    """
    task, rows = without_data(config_json), [json.loads(row) for row in given.rows]
    for row in rows:
        row[REFERENCES] = [text for text in references(task, json.loads(row["document"])) if text.strip()]
    if not any(row[REFERENCES] for row in rows):
        return None
    return Given(tuple(json.dumps(row, ensure_ascii=False) for row in rows), given.source)


def texts(doc: Mapping[str, Any]) -> str:
    """What an encoder is to compare, as JSON."""
    return json.dumps({"answer": doc["answer"], "references": doc[REFERENCES]}, ensure_ascii=False)


def bertscore(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, float]:
    """`bertscore`: F1 of the best right answer, -1 to 1; its precision and recall. Raises: Invalid, where there is no right answer."""
    if not doc[REFERENCES]:
        raise Invalid("the judged task has no right answer here to compare with", code="no-reference")
    try:
        told = json.loads(results[0])
        return {"bertscore": float(told["f1"]), **{f"bertscore_{name}": float(told[name]) for name in ("precision", "recall")}}
    except (ValueError, KeyError, TypeError) as error:
        raise Invalid("the judge gave no precision, recall and f1 as JSON, as engine encoder does", code="no-score") from error
