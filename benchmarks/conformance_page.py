"""docs/conformance.md from benchmarks/results/conformance.json; a test holds the two together."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.harness import RESULTS
from infra.harness.catalogue import HARNESS_VERSION

SOURCE = RESULTS / "conformance.json"
WRITTEN = RESULTS.parents[1] / "docs" / "conformance.md"
HEAD = """# Conformance

Written by `make conformance`: Assay, through Kafka and its agents with the transformers engine, against `lm_eval.simple_evaluate` with HFLM
on the same small random model, data and samples. *Argmax or text* counts samples in which another answer is the likeliest, or a text
differs. *Values* are every metric of every sample: discrete ones (0, 1) must be equal, continuous ones within 1e-4 relative. *Largest
difference* is that of log-likelihoods, relative. Aggregates and standard errors must agree alike: the main metric's are shown. Left out
are HumanEval and MBPP: lm-eval would run what the model writes on the machine itself.
"""
NAMES = ("task", "few-shot", "samples", "argmax or text", "values equal", "largest difference", "metric", "here", "there", "stderr here",
         "stderr there")  # fmt: skip


def page(told: Mapping[str, Any]) -> str:
    """The whole page."""
    machine, again = told["machine"], told["again"]
    lines = [
        HEAD,
        f"lm-eval {HARNESS_VERSION}, torch {machine['versions'].get('torch')}, transformers {machine['versions'].get('transformers')}; "
        f"the first {told['limit']} samples of each task; {machine['measured_utc']}.\n",
        f"## Plain\n\n{_summary(told['tasks'])}\n", *_table(told["tasks"]),
        f"\n## In a chat template\n\n{_summary(told['chat'])}\n", *_table(told["chat"]),
        "\n## Asked again\n",
        f"The same {len(again['tasks'])} tasks twice, with batches of another size and every process started anew in between: "
        f"{again['equal']:,} of {again['values']:,} values are the same to the last bit.", "",
    ]  # fmt: skip
    return "\n".join(lines)


def write_page() -> None:
    """Writes the page of the newest result."""
    WRITTEN.write_text(page(json.loads(SOURCE.read_text())))


def _summary(rows: Sequence[Mapping[str, Any]]) -> str:
    equal, discrete, same = (sum(row[name] for row in rows) for name in ("equal", "discrete", "discrete_equal"))
    return (
        f"{equal} of {len(rows)} tasks are equal in all. Of {discrete:,} discrete values {same:,} are "
        f"equal; log-likelihoods differ by {max((row['max_relative'] for row in rows), default=0.0):.1e} at most."
    )


def _table(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield f"| {' | '.join(NAMES)} |"
    yield "| --- " * len(NAMES) + "|"
    for row in rows:
        main: Mapping[str, Any] = next((one for one in row["aggregates"] if one["metric"] == row["main"]), {})
        argmax = "; ".join(f"document {one['doc_id']}, ahead by {one['margin_nats']:.1e} nats" for one in row["argmax_differ"])
        differ = " ".join(part for part in (argmax, f"{row['texts_differ']} texts" if row["texts_differ"] else "") if part)
        figures = [_number(main.get(name)) for name in ("here", "there", "stderr_here", "stderr_there")]
        yield (
            f"| {row['task']} | {row['fewshot']} | {row['samples']} | {differ or '0'} | {row['values_equal']} of {row['values']} | "
            f"{row['max_relative']:.1e} | {main.get('metric', '')} | {' | '.join(figures)} |"
        )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
