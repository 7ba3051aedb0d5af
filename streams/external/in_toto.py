"""A sealed run's results as a statement of in-toto, of the proposed predicate eval-result: for policies that gate a release on a score.

The subject is the run's seal, for nothing else of it is signed: its SHA-256 is that of the statement, which stands beside it with its
signature. A claim holds by the value that was measured (`>=` it, or `<=` it where less is better); `value` and the ends of its interval
stand beside, so that who gates can hold a threshold of their own to either.

Source: in-toto Attestation Framework, Statement v1; in-toto/attestation pull request 575, spec/predicates/eval-result.md (v0.1).
"""

import base64
import hashlib
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

from schemas.results import Figure
from streams.engines import UNKNOWN
from streams.external.results import Results, Scored
from streams.trust.statements import TYPE

STATEMENT: Final = "https://in-toto.io/Statement/v1"
PREDICATE: Final = "https://in-toto.io/attestation/eval-result/v0.1"


def in_toto(results: Results) -> dict[str, Any]:
    """The statement."""
    sealed = results.sealed
    return {
        "_type": STATEMENT,
        "subject": [{"name": f"assay-run-{results.seal.run_id}", "digest": {"sha256": sealed["statementSha256"]}}],
        "predicateType": PREDICATE,
        "predicate": {
            "verifier": {"id": f"urn:assay:key:{sealed['keyId']}"},
            "evaluatedAt": results.ended,
            "suite": {"name": results.plan.suite or ", ".join(one.planned.task for one in results.tasks),
                      "version": results.plan.suite_version or ""},
            "claims": [claim for task in results.tasks for claim in _claims(task)],
            "sampleSize": results.samples,
            "commitments": {"model": _model(results), "dataset": _data(results)},
            "assuranceLevel": "self_attested",
            "subjectProfile": "receipt",
            "receipt": {"schema": TYPE, "merkleRootB64": base64.b64encode(bytes.fromhex(results.seal.root)).decode(), **sealed},
            "harness": {"name": "assay", "version": results.release},
        },
    }  # fmt: skip


def _claims(task: Scored) -> Iterator[dict[str, Any]]:
    for figure in task.figures:
        assert figure.value is not None
        yield {
            "metric": f"{task.planned.task}/{figure.metric}" + (f"/{figure.filter}" if figure.filter != "none" else ""),
            "comparator": "<=" if task.lower_is_better(figure) else ">=", "threshold": _decimal(figure.value), "passed": True,
            "value": _decimal(figure.value), **_interval(figure), "documents": figure.n,
        }  # fmt: skip


def _interval(figure: Figure) -> dict[str, Any]:
    ends = {name: _decimal(value) for name, value in (("low", figure.low), ("high", figure.high)) if value is not None}
    return {"interval": {"confidence": "0.95", **ends, "method": figure.method or ""}} if ends else {}


def _decimal(value: float) -> str:
    """The shortest decimal that is the same double, without an exponent."""
    return format(Decimal(repr(value)), "f")


def _model(results: Results) -> dict[str, Any]:
    """The model's hash; of one whose weights nobody here has seen that of its name, which is said."""
    if results.plan.model_sha == UNKNOWN:
        return {"alg": "sha256-of-name", "value": hashlib.sha256(results.plan.model.uri.encode()).hexdigest(), "salted": False}
    return {"alg": "assay-model-sha256", "value": results.plan.model_sha, "salted": False}


def _data(results: Results) -> dict[str, Any]:
    """The SHA-256 over each task's name and the hash of its data, a line each, by name."""
    lines = sorted(f"{task.planned.task} {task.built.data_sha}\n" for task in results.tasks)
    return {"alg": "assay-data-sha256", "value": hashlib.sha256("".join(lines).encode()).hexdigest(), "salted": False}
