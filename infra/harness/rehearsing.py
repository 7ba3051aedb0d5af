"""Answers that a model could give, filtered and scored before any model runs: what breaks over these would break over a model's.

One document tells: what a filter takes, and what a metric, hangs on no other. Functions of a client's own score what they know; they are
not tried, for they may run for long.
"""

import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Final

from infra.harness.defined_targets import answer_of
from infra.harness.definition_files import CODE, Fields, line_of
from infra.harness.limits import words
from infra.harness.rows import kind_of
from infra.marked_yaml import items, pairs, place
from streams.errors import Invalid

FILTERS: Final = "filter_list"
NO_TEXT: Final = "log-likelihoods are filtered here, and no texts: leave filter_list out, or give output_type generate_until"


def rehearse(task: Any, definition: Fields) -> None:
    """Raises: Invalid where an answer to a client's task breaks a filter, or cannot be scored behind it; with its line in the definition.

    `task`: its requests are built.
    """
    first = task.instances[0].doc_id
    asked = list(takewhile(lambda instance: instance.doc_id == first, task.instances))
    for ensemble in task._filters:
        rehearsal = _Rehearsal(task, definition, asked, ensemble)
        for named, answers in _answers(task, asked):
            rehearsal.score(named, [[answer] * (one.repeats or 1) for one, answer in zip(asked, answers, strict=True)])


def _answers(task: Any, asked: Sequence[Any]) -> Iterator[tuple[str, list[Any]]]:
    """What a model could answer to each of a document's requests, and how that is called."""
    if task.OUTPUT_TYPE == "loglikelihood_rolling":
        yield "a log-likelihood", [-1.0] * len(asked)
    elif task.OUTPUT_TYPE != "generate_until":
        yield "a log-likelihood", [(-1.0 - number, number == 0) for number in range(len(asked))]
    else:
        texts = {"an empty answer": "", "the answer 'a'": "a", "the right answer": _right(task, asked[0].doc)}
        yield from ((named, [text] * len(asked)) for named, text in texts.items() if text is not None)


def _right(task: Any, document: Any) -> str | None:
    """A document's right answer, the first of several; None where only a function of the task's own knows."""
    if task.config.doc_to_target is None or task.config.process_results is not None:
        return None
    gold = answer_of(task, document)
    if task.config.doc_to_choice is not None:
        gold = task.doc_to_choice(document)[gold]
    return str(gold[0] if isinstance(gold, list) else gold)


@dataclass(frozen=True, slots=True)
class _Rehearsal:
    """One filter of a task, and the metrics behind it, over a document's requests."""

    task: Any
    definition: Fields
    asked: Sequence[Any]
    ensemble: Any

    def score(self, named: str, responses: list[Any]) -> None:
        """Raises: Invalid where these answers break the filter, or cannot be scored behind it."""
        made = self._filtered(named, responses)
        if (fault := self._unscored(made)) is None:
            return
        if FILTERS not in self.definition:
            raise Invalid(f"{line_of(self.definition, 'metric_list')}{named} cannot be scored ({fault}); give another metric", code=CODE)
        where, steps = self._pipeline()
        told = f"{where}filter {self.ensemble.name!r} makes {kind_of(made[0])} of {named}, which cannot be scored ({fault})"
        raise Invalid(f"{told}; {self._hint(made[0], steps)}", code=CODE)

    def _filtered(self, named: str, responses: list[Any]) -> list[Any]:
        made = responses
        for number, step in enumerate(self.ensemble.filters):
            try:
                made = list(step().apply(made, [one.doc for one in self.asked]))
            except Exception as error:  # filters are others': whatever one raises over an answer is this definition's refusal
                where, function = self._step(number)
                told = f"{where}filter {self.ensemble.name!r}: {function} breaks over {named} ({words(error)})"
                hint = "let it take any answer" if self.task.OUTPUT_TYPE == "generate_until" else NO_TEXT
                raise Invalid(f"{told}; {hint}", code=CODE) from error
        return made

    def _unscored(self, made: list[Any]) -> str | None:
        """Why what comes of the filter cannot be scored; None where it can, or where functions of a client's own score it."""
        config = self.task.config
        if config.process_results is not None or any(callable(one.get("metric")) for one in config.metric_list or ()):
            return None
        try:
            with warnings.catch_warnings(action="ignore"):
                values = self.task.process_results(self.asked[0].doc, made)
        except Exception as error:  # noqa: BLE001  metrics are lm-eval's: whatever one raises is told as this definition's refusal
            return words(error)
        none = [metric for metric, value in values.items() if isinstance(value, float) and math.isnan(value)]
        return f"{none[0]} is no number" if none else None

    def _hint(self, made: Any, steps: Sequence[str]) -> str:
        if self.task.OUTPUT_TYPE != "generate_until":
            return NO_TEXT
        if made is None and "map" in steps:
            return "give map a default_value"
        return "end it with take_first" if isinstance(made, list) else "let it make a text of every answer"

    def _pipeline(self) -> tuple[str, list[str]]:
        """Where the definition says this filter, and the functions of its steps."""
        for one in items(self.definition[FILTERS][1]):
            told = pairs(one)
            if str(told["name"][1].value) == str(self.ensemble.name):
                functions = [str(pairs(step)["function"][1].value) for step in items(told["filter"][1])]
                return place(told["name"][0].start_mark), functions
        return line_of(self.definition, FILTERS), []

    def _step(self, number: int) -> tuple[str, str]:
        """Where the definition says this filter, and the function of one of its steps; take_first where it says none."""
        where, functions = self._pipeline() if FILTERS in self.definition else (line_of(self.definition, "metric_list"), ["take_first"])
        return where, functions[number] if number < len(functions) else f"step {number}"
