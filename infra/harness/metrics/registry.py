"""The metrics by the names under which they are asked for, and which of them a task can have."""

import math
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from infra.harness.metrics import certainty, contamination, diversity, overlap, verse
from infra.harness.metrics.measure import Case, Groups, Metric, Total
from schemas.runs import ExpectedMetric
from streams.errors import Invalid

# A name asked for → its figures.
FAMILIES: dict[str, tuple[Metric, ...]] = {
    "exact_match": overlap.EXACT_MATCH, "f1": overlap.F1, "rouge": overlap.ROUGE, "bleu": overlap.BLEU, "chrf": overlap.CHRF,
    "ter": overlap.TER, "distinct": diversity.DISTINCT, "self_bleu": diversity.SELF_BLEU, "repetition": diversity.REPETITION,
    "mtld": diversity.MTLD, "calibration": certainty.CALIBRATION, "bits_per_byte": certainty.BITS_PER_BYTE,
    "perplexity": certainty.PERPLEXITY, "rhyme": verse.RHYME, "syllables": verse.SYLLABLES,
    "contamination": contamination.CONTAMINATION,
}  # fmt: skip
METRICS: dict[str, Metric] = {metric.name: metric for family in FAMILIES.values() for metric in family}
# What tasks of a kind give; the key is lm-eval's output_type.
GIVEN: dict[str, frozenset[str]] = {
    "generate_until": frozenset({"answer", "text"}), "multiple_choice": frozenset({"choices", "likelihood"}),
    "loglikelihood": frozenset({"likelihood"}), "loglikelihood_rolling": frozenset({"likelihood"}),
}  # fmt: skip
WORDS = {"answer": "generated text", "text": "generated text", "choices": "choices", "likelihood": "log-likelihoods"}
# A name asked for that is had of a judgement instead → the command that asks for it.
JUDGED = {"bertscore": "assay judge RUN --task assay_judge_bertscore --engine encoder --model ENCODER"}
# A name asked for → the library that only it needs, and the extra that brings this.
OPTIONAL = dict.fromkeys(("rhyme", "syllables"), (verse.LIBRARY, "poetry"))


def expected(task: Any, asked: Sequence[str]) -> tuple[ExpectedMetric, ...]:
    """The figures that a task (lm-eval's object) will have beside its own, under each of its filters. Its own of that name comes first.

    Raises: Invalid for a name that is none, for a metric of what the task does not give, and for one whose library is not installed.
    """
    figures = [metric for name in dict.fromkeys(asked) for metric in _family(name, task)]
    return tuple(
        ExpectedMetric(filter=ensemble.name, metric=one.name, higher_is_better=one.higher_is_better, aggregation=one.aggregation)
        for ensemble in task._filters for one in figures if one.name not in task.aggregation()
    )  # fmt: skip


def _family(name: str, task: Any) -> tuple[Metric, ...]:
    if name in JUDGED:
        raise Invalid(f"metric {name} needs a model of its own: ask for it when the run is over, `{JUDGED[name]}`", code="metric")
    if name not in FAMILIES:
        raise Invalid(f"unknown metric {name!r}; there are {', '.join(sorted(FAMILIES))}", code="unknown-metric")
    needed = FAMILIES[name][0].needs
    if needed not in GIVEN.get(task.OUTPUT_TYPE, frozenset()):
        raise Invalid(f"metric {name} needs {WORDS[needed]}, which task {task.config.task} does not give", code="metric")
    library, extra = OPTIONAL.get(name, (None, None))
    if library and find_spec(library) is None:
        raise Invalid(f"metric {name} needs the library {library}, which is not installed: pip install 'assay[{extra}]'", code="metric")
    return FAMILIES[name]


def measured(name: str, case: Case) -> tuple[float | None, Any]:
    """A sample's value and parts. Both are None where the metric is undefined for it."""
    metric = METRICS[name]
    parts = metric.parts(case)
    value = metric.value(parts) if parts is not None else None
    return value if value is None or not math.isnan(value) else None, parts


def total(name: str, parts: Sequence[Any], groups: Groups = None) -> Total:
    """The figure of all samples, and its standard error."""
    return METRICS[name].total(list(parts), groups)
