"""Whether the ports that the stack needs are free, and who has them where not."""

from collections.abc import Sequence

import psutil

from infra.embedded.processes import Process, endpoint
from infra.settings import Settings
from streams.errors import Conflict


def check_free(settings: Settings, processes: Sequence[Process]) -> None:
    """Raises: Conflict where a port that the stack needs is taken."""
    for process in processes:
        if process.address is None:
            continue
        _, port = endpoint(str(getattr(settings, process.address)))
        if holder := _holder(port):
            raise Conflict(
                f"port {port} of {process.name} is taken by {holder}; end that, or set ASSAY_{process.address.upper()} to another port",
                code="port-taken",
            )


def _holder(port: int) -> str | None:
    for connection in psutil.net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port:
            try:
                return f"pid {connection.pid} ({psutil.Process(connection.pid).name()})" if connection.pid else "another process"
            except psutil.NoSuchProcess:
                return "another process"
    return None
