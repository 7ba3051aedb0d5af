"""A file system of ours that never answers a read, as a network disk that has gone: who reads it cannot even be killed. Linux, as root.

Source: Linux 6, include/uapi/linux/fuse.h, version 7.31 of its protocol.
"""

import ctypes
import errno
import os
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
READ = 15
UNANSWERED = (2, 36, 42)  # FORGET, INTERRUPT, BATCH_FORGET
NOSUID_NODEV, DETACH = 6, 2
FOLDER, FILE = 0o40755, 0o100644


@contextmanager
def stuck(folder: Path) -> Iterator[Path]:
    """A file in that folder, any read of which hangs as long as this lasts. Raises: OSError where the machine does not let us."""
    device = os.open("/dev/fuse", os.O_RDWR)
    told = f"fd={device},rootmode=40000,user_id=0,group_id=0".encode()
    if LIBC.mount(b"stuck", str(folder).encode(), b"fuse", NOSUID_NODEV, told):
        os.close(device)
        raise OSError(ctypes.get_errno(), "mount")
    threading.Thread(target=_serve, args=(device,), daemon=True).start()
    try:
        yield folder / "file.json"
    finally:
        LIBC.umount2(str(folder).encode(), DETACH)
        os.close(device)


def _serve(device: int) -> None:
    while True:
        try:
            told = os.read(device, 2**17)
            _, kind, unique, node = struct.unpack_from("<IIQQ", told)
            if kind != READ and kind not in UNANSWERED:
                body = _answer(kind, node)
                failed = 0 if body is not None else -errno.ENOSYS
                os.write(device, struct.pack("<IiQ", 16 + len(body or b""), failed, unique) + (body or b""))
        except OSError:
            return


def _answer(kind: int, node: int) -> bytes | None:
    """The body of an answer; None for what is not known here."""
    return {
        1: struct.pack("<QQQQII", 2, 0, 9, 9, 0, 0) + _attributes(2),  # LOOKUP
        3: struct.pack("<QII", 9, 0, 0) + _attributes(node),  # GETATTR
        14: struct.pack("<QII", 1, 0, 0),  # OPEN
        18: b"",  # RELEASE
        25: b"",  # FLUSH
        26: struct.pack("<IIIIHHII", 7, 31, 2**16, 0, 12, 9, 2**16, 1) + bytes(32),  # INIT
    }.get(kind)


def _attributes(node: int) -> bytes:
    return struct.pack("<6Q10I", node, 1000, 1, 0, 0, 0, 0, 0, 0, FOLDER if node == 1 else FILE, 1, 0, 0, 0, 4096, 0)
