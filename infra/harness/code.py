"""The metric `code_eval`, which lm-eval's tasks of code ask for by name, with its programs run in the sandbox.

pass@k of n candidates of which c pass: 1 - C(n-c, k) / C(n, k), unbiased. A candidate passes when it and then its test come to their end.
Source: M. Chen et al., Evaluating Large Language Models Trained on Code (2021), arXiv 2107.03374, section 2.1 and figure 3; the metric
`code_eval` of Hugging Face's evaluate, whose values these are.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from statistics import fmean
from typing import Any

from infra.sandbox.running import Outcome, run

NAME = "code_eval"
_outcomes: ContextVar[list[Outcome]] = ContextVar("outcomes")


def pass_at_k(candidates: int, passed: int, k: int) -> float:
    """1 - C(n-c, k) / C(n, k): the chance that k of the candidates, drawn without putting back, hold one that passes. k ≤ n."""
    return 1.0 - math.comb(candidates - passed, k) / math.comb(candidates, k)


@contextmanager
def outcomes() -> Iterator[list[Outcome]]:
    """What the programs that run while it lasts come to."""
    found: list[Outcome] = []
    token = _outcomes.set(found)
    try:
        yield found
    finally:
        _outcomes.reset(token)


class CodeEval:
    """The metric. While `loading`, nothing is run: tasks try it as they are imported, also where there is no sandbox and no need of one."""

    def __init__(self, *, loading: bool) -> None:
        self.loading = loading

    def compute(
        self, *, references: Sequence[str], predictions: Sequence[Sequence[str]], k: Sequence[int] = (1, 10, 100)
    ) -> tuple[dict[str, float], dict[int, list[tuple[int, dict[str, Any]]]]]:
        """pass@k over all tests for each k for which every one has candidates enough, and each candidate's outcome by its test.

        Raises: Invalid where there is no sandbox.
        """
        if self.loading:
            return {f"pass@{one}": 0.0 for one in k}, {}
        pairs = zip(predictions, references, strict=True)
        found = {number: [_judged(one, test) for one in candidates] for number, (candidates, test) in enumerate(pairs)}
        counts = [(len(judged), sum(outcome.passed for outcome in judged)) for judged in found.values()]
        values = {f"pass@{one}": fmean(pass_at_k(n, passed, one) for n, passed in counts) for one in k if all(n >= one for n, _ in counts)}
        return values, {number: [_told(place, outcome) for place, outcome in enumerate(judged)] for number, judged in found.items()}


def _judged(candidate: str, test: str) -> Outcome:
    outcome = run(f"{candidate}\n{test}")
    if (noted := _outcomes.get(None)) is not None:
        noted.append(outcome)
    return outcome


def _told(place: int, outcome: Outcome) -> tuple[int, dict[str, Any]]:
    return place, {"completion_id": place, "passed": outcome.passed, "result": "passed" if outcome.passed else f"failed: {outcome.why}"}
