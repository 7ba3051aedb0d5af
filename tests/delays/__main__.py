"""`python -m tests.delays`: serves until it is ended; its first line says where."""

import argparse
import asyncio
import gc
import signal
import ssl

from gpu_agent.workloads.timer import Timer
from tests.delays.server import Connection, State


async def serve(*, port: int, seed: int, certificate: str | None) -> None:
    """Serves on loopback until SIGTERM."""
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stopped.set)
    state, context = State(Timer(loop), seed=seed), None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        context.set_alpn_protocols(["h2", "http/1.1"])
    server = await loop.create_server(lambda: Connection(state), "127.0.0.1", port, ssl=context, backlog=4096)
    print(f"{'https' if context else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    # A collection in the middle of a stream is a delay that nobody asked for.
    gc.collect()
    gc.freeze()
    gc.disable()
    await stopped.wait()
    server.close()


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: any that is free")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--certificate", help="a PEM file with key and certificate; none: no TLS")
    given = parser.parse_args()
    asyncio.run(serve(port=given.port, seed=given.seed, certificate=given.certificate))


if __name__ == "__main__":
    main()
