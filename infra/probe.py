"""`python -m infra.probe [URL]`: exits 0 where the process here is ready, or the URL answers: what containers' health checks run."""

import sys
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

from infra.proving import context_of
from infra.settings import Settings, of_process

TIMEOUT_S = 5.0


def readiness(settings: Settings) -> str:
    """Where the process of these settings says whether it is ready: at its metrics' port, or at the API's own."""
    port = settings.metrics.rpartition(":")[2] or urlsplit(settings.api).port
    return f"http://127.0.0.1:{port}/readyz"


def main() -> None:
    """Asks once."""
    settings = of_process()
    address = sys.argv[1] if sys.argv[1:] else readiness(settings)
    trusted = context_of("registry", settings) if address.startswith("https:") else None  # of ours, the registry alone has a certificate
    try:
        with urlopen(address, timeout=TIMEOUT_S, context=trusted):  # noqa: S310  # an address of settings
            return
    except (URLError, OSError) as error:
        raise SystemExit(f"{address}: {error}") from error


if __name__ == "__main__":
    main()
