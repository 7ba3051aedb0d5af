"""Sockets that say when their bytes came: by the kernel, which stamps a packet as it comes in, before anybody is woken for it.

So what the loop does meanwhile is in no latency: only its health says how late it was. Of several packets that are read at once the stamp
is the last one's. It is on the clock of the day, and is told on this process's own by how long ago it was. Without a stamp bytes came when
they are read: where a system has none, and in the first milliseconds in which any socket of a machine asks for them.

Source: Linux, socket(7) and Documentation/networking/timestamping.rst, SO_TIMESTAMPNS (TCP: since 4.16, tcp_recvmsg).
"""

import asyncio
import ipaddress
import socket
import struct
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

STAMPS: Final = 35  # SO_TIMESTAMPNS, of the generic numbers
MOMENT: Final = struct.Struct("@qq")  # struct timespec
ROOM: Final = socket.CMSG_SPACE(MOMENT.size) if sys.platform == "linux" else 0
LONGEST_NS: Final = 10 * 10**9  # what is said to have waited for longer is a clock that was set
TRIES, BESIDE_NS = 10, 20_000  # two clocks are read at one moment, where no more than that lies between


class Stamped(socket.socket):
    """`came_ns`: when what was read last came (`perf_counter_ns`)."""

    came_ns: int = 0

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Reads, and stamps."""
        data, told, _, _ = self.recvmsg(size, ROOM, flags)
        self.came_ns = moment_ns(told)
        return data

    def recv_into(self, buffer: object, nbytes: int = 0, flags: int = 0) -> int:
        """Reads into a buffer, and stamps."""
        view = memoryview(buffer)  # type: ignore[arg-type]  # whatever has a buffer
        count, told, _, _ = self.recvmsg_into([view[:nbytes] if nbytes else view], ROOM, flags)
        self.came_ns = moment_ns(told)
        return count


def moment_ns(told: Iterable[tuple[int, int, bytes]]) -> int:
    """The kernel's stamp among what came with the bytes, else this moment."""
    stamp = next((data for level, kind, data in told if (level, kind) == (socket.SOL_SOCKET, STAMPS)), None)
    if stamp is None:
        return time.perf_counter_ns()
    seconds, nanoseconds = MOMENT.unpack_from(stamp)
    for _ in range(TRIES):
        before_ns, now_ns, after_ns = time.time_ns(), time.perf_counter_ns(), time.time_ns()
        if after_ns - before_ns <= BESIDE_NS:
            break
    ago_ns = before_ns - (seconds * 10**9 + nanoseconds)
    return now_ns - ago_ns if 0 <= ago_ns <= LONGEST_NS else now_ns


async def connected(host: str, port: int) -> Stamped:
    """A connection to the first of a name's addresses that takes one. Raises: OSError."""
    loop, failed = asyncio.get_running_loop(), OSError(f"{host} has no address")
    for family, address in await _addresses(host, port):
        made = Stamped(family, socket.SOCK_STREAM)
        try:
            made.setblocking(False)
            if ROOM:
                with suppress(OSError):
                    made.setsockopt(socket.SOL_SOCKET, STAMPS, 1)
            await loop.sock_connect(made, address)
        except OSError as error:
            made.close()
            failed = error
        except BaseException:
            made.close()
            raise
        else:
            return made
    raise failed


async def _addresses(host: str, port: int) -> list[tuple[int, tuple[str, int]]]:
    """A name's addresses, in the system's order; of an address it alone, for which nobody need be asked."""
    with suppress(ValueError):
        family = socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET
        return [(family, (host, port))]
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(family, address) for family, _, _, _, address in found]  # type: ignore[misc]  # IPv6 has two more numbers
