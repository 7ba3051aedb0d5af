"""`python -m gpu_agent`: an agent of the pool that ASSAY_POOL names, until SIGTERM."""

import asyncio

from gpu_agent.worker import main as work
from infra.health import observed
from infra.logging import configure
from infra.settings import of_process


def main() -> None:
    """Runs one agent."""
    settings = of_process()
    configure(settings, process="gpu_agent")
    asyncio.run(observed(settings, work))


if __name__ == "__main__":
    main()
