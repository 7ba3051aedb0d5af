"""What tests of code tasks share: solutions known to be right or wrong, and the reference's way to judge them, without walls."""

import json
import multiprocessing
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

TIMEOUT_S = 3.0


def problem(number: int) -> dict[str, Any]:
    """A problem as HumanEval's data set has them."""
    return {
        "task_id": f"Test/{number}",
        "prompt": f'def add{number}(a, b):\n    """The sum of a and b and {number}."""\n',
        "canonical_solution": f"    return a + b + {number}\n",
        "test": f"def check(candidate):\n    assert candidate(1, 2) == {3 + number}\n    assert candidate(0, 0) == {number}\n",
        "entry_point": f"add{number}",
    }


PROBLEMS = tuple(map(problem, range(12)))
WRONG = (
    "    return a\n",
    "    return a + b - 1\n",
    "    raise ValueError\n",
    "    while True: pass\n",
    "    return (\n",
    "    import os; os._exit(0)\n",
    "    raise SystemExit\n",
    "",
)


def mirror(folder: Path, *, count: int = len(PROBLEMS)) -> Path:
    """A mirror of so many problems as HumanEval's data set."""
    place = folder / "openai__openai_humaneval" / "default"
    place.mkdir(parents=True)
    (place / "test.jsonl").write_text("".join(json.dumps(problem(number)) + "\n" for number in range(count)))
    return folder


class Reference:
    """The metric as Hugging Face's `code_eval` has it: a forked process runs candidate and test in an empty namespace, for 3 s."""

    def compute(
        self, *, references: Sequence[str], predictions: Sequence[Sequence[str]], k: Sequence[int]
    ) -> tuple[dict[str, float], None]:
        """pass@k, by the product that its authors give."""
        counts = [(len(told), sum(_ends(f"{one}\n{test}") for one in told)) for told, test in zip(predictions, references, strict=True)]
        return {f"pass@{one}": float(np.mean([_estimate(n, passed, one) for n, passed in counts])) for one in k}, None


def _estimate(n: int, passed: int, k: int) -> float:
    return 1.0 if n - passed < k else 1.0 - float(np.prod(1.0 - k / np.arange(n - passed + 1, n + 1)))


def _ends(program: str) -> bool:
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_execute, args=(program, theirs))
    child.start()
    theirs.close()
    child.join(TIMEOUT_S + 1)
    if child.is_alive():
        child.kill()
        child.join()
    try:
        return ours.poll() and ours.recv() == "passed"
    except EOFError:
        return False


def _execute(program: str, result: Any) -> None:
    def stop(*_: object) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, TIMEOUT_S)
    try:
        exec(program, {})
    except BaseException as error:  # noqa: BLE001  # whatever the program raises is its failure
        result.send(f"failed: {error}")
    else:
        result.send("passed")
