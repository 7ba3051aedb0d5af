"""The demo: three small models made here, evaluated for quality and speed on the embedded stack, ranked with intervals.

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
from infra.prices import EXAMPLE
from infra.settings import Settings
from query_api.cli import showing
from query_api.cli.client import Client
from query_api.cli.prices import import_file
from streams.errors import AssayError

sys.path.insert(0, str(Path(__file__).parent))
from train_models import SHAPES, train_all

PATIENCE_S = 20.0
TASKS = ("assay_copy", "assay_agreement", "assay_arithmetic", "assay_text")
WORKLOAD = {"profile": "single", "duration_s": 5.0, "input_tokens": 64, "output_tokens": 32}


def step(text: str) -> None:
    """Says what comes next."""
    showing.errors.print(f"[bold]▸ {text}[/]")


def start(settings: Settings) -> None:
    """Starts the stack, unless all of it is up."""
    states = [one.state for one in state.status(settings)]
    if states and all(one == "up" for one in states) and state.supervisor_of(settings):
        step("the stack is up already")
        return
    step(f"starting the stack: {', '.join(process.name for process in stack())}")
    supervisor.up(settings, agents=1, told=lambda name, what: showing.errors.print(f"  {name:>16}  {what}") if what == "up" else None)


def request(folder: Path) -> dict[str, Any]:
    """What is asked for each model."""
    return {
        "model": {"uri": str(folder.resolve())}, "suite": "assay-demo", "submitter": "demo", "tasks": [{"name": task} for task in TASKS],
        "workload": WORKLOAD,
    }  # fmt: skip


def evaluate(settings: Settings, models: Path) -> list[dict[str, Any]]:
    """Submits a run for each model, and follows them to their ends."""
    client = Client(settings)
    asked = [client.post("/v1/evaluations", request(models / shape.name))["run_id"] for shape in SHAPES]
    return [showing.followed(run_id, lambda one: client.get(f"/v1/runs/{one}"), quiet=False) for run_id in asked]


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
        showing.console.print()
    showing.ranking(ranked(Client(settings), {told["run_id"] for told in runs if told["state"] == "completed"}))
    showing.console.print(f"\ntook {took_s:.0f} s · dashboard: {settings.api} (stays up) · end it: make down", highlight=False)
    showing.console.print("ask further: .venv/bin/assay rank --task assay_copy · .venv/bin/assay replay --verify", highlight=False)


def main() -> None:
    """Runs the demo; exits 1 where a run did not complete."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1, help="of the models' weights and training (default 1)")
    given = parser.parse_args()
    settings, started = Settings(), time.monotonic()
    try:
        start(settings)
        models = settings.home / "models" / f"seed-{given.seed}"
        step("training three small models of different size (kept for the next time)")
        train_all(models, seed=given.seed)
        step(f"publishing the example price book: public list prices, not yours ({EXAMPLE.name})")
        import_file(Client(settings), EXAMPLE)
        step("evaluating them: four tasks each, and a constant load of 4 requests/s")
        runs = evaluate(settings, models)
        report(settings, runs, took_s=time.monotonic() - started)
    except AssayError as error:
        sys.exit(f"demo: {error}")
    if late := [told["run_id"] for told in runs if told["state"] != "completed"]:
        sys.exit(f"demo: not completed: {', '.join(late)}")


if __name__ == "__main__":
    main()
