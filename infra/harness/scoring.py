"""Scores of one sample: lm-eval's filters and `process_results`, from events alone. No data set is read."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from infra.harness import code
from infra.harness.catalogue import HARNESS_VERSION
from infra.harness.limits import words
from infra.harness.metrics.cases import case_of
from infra.harness.metrics.registry import measured
from infra.harness.tasks import without_data
from schemas.builds import BuiltRequest
from schemas.measurements import Answer
from streams.errors import AssayError, Invalid

NOT_SCORABLE = "not-scorable"
SCORER_VERSION = f"lm-eval-{HARNESS_VERSION}+assay-3"


def runs_code(config_json: str) -> bool:
    """The build's task takes answers for programs, and runs them."""
    return bool(json.loads(config_json).get("runs_code"))


@dataclass(frozen=True, slots=True)
class Score:
    """One metric under one filter. `value` is None where only the aggregation of all samples makes a number of the parts; both are None
    where a metric beside the task's own is undefined for the sample.

    `sandbox` names the walls behind which programs were run for it.
    """

    filter: str
    metric: str
    value: float | None
    parts_json: str | None
    sandbox: str | None = None


class Scorer:
    """Scores samples of one build."""

    def __init__(self, config_json: str) -> None:
        """`config_json`: TaskBuilt's. Raises: NotFound, Invalid."""
        self._name: str = json.loads(config_json)["task"]
        self._task = without_data(config_json)

    def score(
        self, document: str, doc_id: int, requests: Sequence[BuiltRequest], prefixes: Mapping[str, str], answers: Sequence[Answer],
        *, beside: Sequence[tuple[str, str]] = (),
    ) -> list[Score]:  # fmt: skip
        """Every metric of a sample, under every filter, and those (filter, metric) that are wanted beside the task's own.

        Raises: Invalid where an answer is missing or the task refuses.
        """
        doc = json.loads(document)
        instances = list(self._instances(doc, doc_id, requests, prefixes, answers))
        try:
            return [*self._process(doc, instances), *self._beside(doc, instances, beside)]
        except AssayError:
            raise
        except Exception as error:  # a task's scoring is code of others: whatever it raises is this sample's refusal
            raise Invalid(f"task {self._name} cannot score document {doc_id}: {words(error)}", code=NOT_SCORABLE) from error

    def _instances(
        self, doc: Any, doc_id: int, requests: Sequence[BuiltRequest], prefixes: Mapping[str, str], answers: Sequence[Answer]
    ) -> Iterator[Any]:
        from lm_eval.api.instance import Instance

        for index, request in enumerate(requests):
            context = (prefixes[request.prefix_ref] if request.prefix_ref else "") + request.context.read()
            last = request.continuation.read() if request.continuation else json.loads(request.generation_json or "null")
            arguments = (context,) if request.request_type == "loglikelihood_rolling" else (context, last)
            own = sorted((answer for answer in answers if answer.request_index == index), key=lambda answer: answer.draw)
            if len(own) != request.repeats:
                raise Invalid(f"request {index} of document {doc_id} has {len(own)} answers, not {request.repeats}", code="answers-missing")
            metadata = (self._name, doc_id, request.repeats)
            instance = Instance(request_type=request.request_type, doc=doc, arguments=arguments, idx=index, metadata=metadata)
            instance.resps = [_response(answer, request.request_type) for answer in own]
            yield instance

    def _process(self, doc: Any, instances: list[Any]) -> Iterator[Score]:
        for ensemble in self._task._filters:
            ensemble.apply(instances)
            with code.outcomes() as ran:
                found = self._task.process_results(doc, [instance.filtered_resps[ensemble.name] for instance in instances])
            walls = ran[0].walls if ran else None
            for metric, item in found.items():
                yield Score(ensemble.name, metric, _value(item), json.dumps(item, default=_plain), walls)

    def _beside(self, doc: Any, instances: list[Any], wanted: Sequence[tuple[str, str]]) -> Iterator[Score]:
        for filter_name, metric in wanted:
            value, parts = measured(metric, case_of(self._task, doc, instances, filter_name=filter_name))
            yield Score(filter_name, metric, value, json.dumps(parts) if parts is not None else None)


def _response(answer: Answer, request_type: str) -> Any:
    if request_type == "generate_until":
        return answer.output.read() if answer.output else ""
    if request_type == "loglikelihood_rolling":
        return answer.loglikelihood
    return (answer.loglikelihood, answer.is_greedy)


def _value(item: Any) -> float | None:
    if isinstance(item, (bool, int, float, np.bool_, np.integer, np.floating)):
        return float(item) if not math.isnan(float(item)) else None
    return None


def _plain(item: Any) -> Any:
    if isinstance(item, np.ndarray):
        return item.tolist()
    if isinstance(item, np.generic):
        return item.item()
    raise Invalid(f"a metric gave a {type(item).__name__}, which cannot be kept", code=NOT_SCORABLE)
