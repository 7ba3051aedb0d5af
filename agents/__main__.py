"""`python -m agents NAME` runs one stream processor. Each is a module with `async def main(settings)`."""

import argparse
import asyncio
import gc
import importlib

from infra.health import observed
from infra.logging import configure
from infra.settings import of_process

AGENTS = {
    "plan": "resolves requests, builds tasks, splits runs into jobs",
    "dispatch": "leases jobs of a pool to its gpu_agents",
    "score": "scores answers",
    "code": "scores answers that are programs, by running them in the sandbox",
    "settle": "says what runs come to: their scores, speed, completion and results",
    "rank": "keeps the boards",
    "cost": "says what runs cost, under every version of the price book",
    "seal": "seals runs that are over, and quarantines what is said of them later",
    "project": "writes facts to ClickHouse",
}


def main() -> None:
    """Runs the agent that is named, until SIGTERM."""
    described = "\n".join(f"  {name:10} {what}" for name, what in AGENTS.items())
    parser = argparse.ArgumentParser("python -m agents", description=described, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("agent", choices=list(AGENTS))
    chosen: str = parser.parse_args().agent
    # Events are trees, freed by their counts: looking for cycles among them costs a third of decoding, and finds none.
    gc.set_threshold(100_000, 20, 20)
    settings = of_process()
    configure(settings, process=f"agents.{chosen}")
    asyncio.run(observed(settings, importlib.import_module(f"agents.{chosen}").main))


if __name__ == "__main__":
    main()
