"""`python -m query_api`: serves the API and the pages at ASSAY_API until SIGTERM."""

import asyncio
from urllib.parse import urlsplit

import uvicorn

from infra.clickhouse import migrate
from infra.kafka import Log
from infra.logging import configure
from infra.patience import Patient
from infra.retrying import until_available
from infra.settings import Settings, of_process
from query_api.access.door import provider_of
from query_api.access.proxies import proxies_of
from query_api.access.rates import Rates
from query_api.app import app
from streams.errors import Invalid


async def _prepared(settings: Settings) -> None:
    await until_available(lambda: migrate(settings), what="clickhouse")
    async with Log(settings, client_id="query_api") as log:
        await until_available(log.create_topics, what="topics")


def main() -> None:
    """Serves."""
    settings = of_process()
    configure(settings, process="query_api")
    try:
        (
            provider_of(settings),
            Rates(settings),
            (proxies := proxies_of(settings)),
        )  # what cannot be right is told before anything is waited for
    except Invalid as error:
        raise SystemExit(str(error)) from error
    asyncio.run(_prepared(settings))
    address = urlsplit(settings.api)
    # Streams never end by themselves: after two seconds they are cut, and their readers resume by their cursors.
    uvicorn.run(
        app(settings), http=Patient, host=address.hostname or "127.0.0.1", port=address.port or 18000, log_level="warning",
        timeout_graceful_shutdown=2, forwarded_allow_ips=proxies,
    )  # fmt: skip


if __name__ == "__main__":
    main()
