"""A run of Assay's against lm_eval.simple_evaluate: the same model, data and samples; every value compared, times side by side.

    python -m benchmarks.against_lm_eval --model FOLDER --task hellaswag --task arc_easy --task gsm8k --limit 200

The stack must be up, with ASSAY_DATASETS set. Discrete per-sample values must be equal, continuous ones within 1e-4 relative; an answer
that differs is listed with its margin. Writes benchmarks/results/against_lm_eval.json.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.harness import write
from infra.harness.catalogue import find
from infra.harness.data import reading
from infra.settings import Settings
from query_api.cli import showing
from query_api.cli.client import Client

CLOSE = 1e-4


def ours(model: str, tasks: list[str], limit: int) -> tuple[dict[str, Any], list[dict[str, Any]], float]:
    """The run, its samples, and the seconds from its submission to its end."""
    client, started = Client(Settings()), time.monotonic()
    body = {"model": {"uri": str(Path(model).resolve())}, "tasks": [{"name": task, "limit": limit} for task in tasks]}
    run_id = client.post("/v1/evaluations", body)["run_id"]
    told = showing.followed(run_id, lambda one: client.get(f"/v1/runs/{one}"), quiet=False)
    took_s = time.monotonic() - started
    if told["state"] != "completed":
        sys.exit(f"run {run_id} is {told['state']}: {told['message']}")
    return told, list(client.lines(f"/v1/runs/{run_id}/samples")), took_s


def theirs(model: str, tasks: list[str], limit: int) -> tuple[dict[str, Any], float]:
    """What simple_evaluate says, and the seconds that it took; batch size 1, its best on a CPU."""
    import lm_eval
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    settings = Settings()
    folders = sorted({str(find(task, settings).folder) for task in tasks})
    started = time.monotonic()
    with reading(settings.datasets):
        lm = HFLM(pretrained=model, device="cpu", batch_size=1)
        manager = TaskManager(include_defaults=False, include_path=folders)
        found = lm_eval.simple_evaluate(lm, tasks=tasks, task_manager=manager, limit=limit, log_samples=True)
    return dict(found), time.monotonic() - started


def compare(run: dict[str, Any], samples: list[dict[str, Any]], reference: dict[str, Any]) -> dict[str, Any]:
    """How many values were compared, and every one that is not equal."""
    values = {(s["task"], s["doc_id"], s["metric"], s["filter"]): s["value"] for s in samples}
    compared, differences = 0, []
    for task, rows in reference["samples"].items():
        for row in rows:
            for metric in row["metrics"]:
                mine, yours = values.get((task, row["doc_id"], metric, row["filter"])), row[metric]
                compared += 1
                if not isinstance(yours, (int, float)) or mine is None or abs(mine - yours) > CLOSE * abs(yours):
                    differences.append({"task": task, "doc_id": row["doc_id"], "metric": metric, "ours": mine, "theirs": str(yours),
                                        "margin": _margin(row)})  # fmt: skip
    aggregates = []
    for score in run["scores"]:
        told = reference["results"][score["task"]]
        value, stderr = told[f"{score['metric']},{score['filter']}"], told[f"{score['metric']}_stderr,{score['filter']}"]
        named = {name: score[name] for name in ("task", "metric", "filter")}
        mine, yours = [score["value"], score["stderr"]], [value, None if stderr == "N/A" else stderr]
        aggregates.append(named | {"ours": mine, "theirs": yours, "equal": mine == yours})
    return {"compared": compared, "differences": differences, "aggregates": aggregates}


def _margin(row: dict[str, Any]) -> float | None:
    """By how much the likeliest answer leads, in nats."""
    totals = sorted((float(one[0]) for one in row["filtered_resps"] if isinstance(one, (list, tuple))), reverse=True)
    return totals[0] - totals[1] if len(totals) > 1 else None


def main() -> None:
    """Runs both, and exits 1 where a value differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--task", action="append", required=True)
    parser.add_argument("--limit", type=int, default=200)
    given = parser.parse_args()
    run, samples, own_s = ours(given.model, given.task, given.limit)
    reference, their_s = theirs(given.model, given.task, given.limit)
    told = compare(run, samples, reference) | {
        "tasks": given.task, "limit": given.limit, "parameters": run["parameters"], "ours_s": own_s, "lm_eval_s": their_s,
        "ratio": their_s / own_s,
    }  # fmt: skip
    write("against_lm_eval", told)
    print(json.dumps({name: told[name] for name in ("compared", "differences", "ours_s", "lm_eval_s", "ratio")}))
    if told["differences"] or not all(one["equal"] for one in told["aggregates"]):
        sys.exit("values differ")


if __name__ == "__main__":
    main()
