"""An NVML that a test owns, at its C interface: functions that NVIDIA's own Python binding calls by their names and with its structures.

What a card does not tell is None, and its function then answers that it is not supported, as NVML does.
"""

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import pynvml

Fill = Callable[..., int]
OUT: Final = ctypes.c_void_p
# nvmlReturn_t
OK: Final = 0
NOT_SUPPORTED: Final = 3
NOT_FOUND: Final = 6
MORE: Final = 7  # room than there was


@dataclass(slots=True)
class Card:
    """A card as it is at the moment; tests turn it. `processes`: their memory in bytes; `parts`: those of a card that is divided."""

    uuid: str
    energy_mj: int | None = None
    power_mw: int | None = None
    limit_mw: int | None = None
    busy_percent: int | None = None
    memory_bytes: int | None = None
    celsius: int | None = None
    sm_mhz: int | None = None
    reasons: int | None = None
    vbios: str | None = None
    gsp: str | None = None
    processes: dict[int, int] = field(default_factory=dict)
    parts: list["Card"] = field(default_factory=list)


class Library:
    """What stands where the driver's library would: the functions by their names, each of C's calling convention."""

    def __init__(self, cards: list[Card]) -> None:
        self._cards = [*cards, *(part for card in cards for part in card.parts)]  # a handle is a place in it, from 1
        numbers = {
            "nvmlDeviceGetTotalEnergyConsumption": ("energy_mj", ctypes.c_uint64), "nvmlDeviceGetPowerUsage": ("power_mw", ctypes.c_uint),
            "nvmlDeviceGetPowerManagementDefaultLimit": ("limit_mw", ctypes.c_uint),
            "nvmlDeviceGetCurrentClocksEventReasons": ("reasons", ctypes.c_ulonglong),
            "nvmlDeviceGetCurrentClocksThrottleReasons": ("reasons", ctypes.c_ulonglong),
        }  # fmt: skip
        for name, (of, kind) in numbers.items():
            self._add(name, (OUT, OUT), self._number(of, kind))
        self._add("nvmlInitWithFlags", (ctypes.c_uint,), lambda _flags: 0)
        self._add("nvmlDeviceGetCount_v2", (OUT,), lambda out: _put(out, ctypes.c_uint, len(cards)))
        self._add("nvmlDeviceGetHandleByIndex_v2", (ctypes.c_uint, OUT), lambda index, out: _put(out, OUT, index + 1))
        self._add("nvmlDeviceGetUUID", (OUT, OUT, ctypes.c_uint), self._uuid)
        self._add("nvmlDeviceGetVbiosVersion", (OUT, OUT, ctypes.c_uint), lambda at, out, _size: _say(out, self._card(at).vbios))
        self._add("nvmlDeviceGetGspFirmwareVersion", (OUT, OUT), lambda at, out: _say(out, self._card(at).gsp))
        self._add("nvmlDeviceGetInforomImageVersion", (OUT, OUT, ctypes.c_uint), lambda _at, out, _size: _say(out, None))
        self._add("nvmlDeviceGetUtilizationRates", (OUT, OUT), self._busy)
        self._add("nvmlDeviceGetMemoryInfo", (OUT, OUT), self._memory)
        one_of = (OUT, ctypes.c_uint, OUT)
        self._add("nvmlDeviceGetTemperature", one_of, self._of("celsius"))
        self._add("nvmlDeviceGetClockInfo", one_of, self._of("sm_mhz"))
        self._add("nvmlDeviceGetComputeRunningProcesses_v3", (OUT, OUT, OUT), self._processes)
        self._add("nvmlDeviceGetMigMode", (OUT, OUT, OUT), self._mig)
        self._add("nvmlDeviceGetMaxMigDeviceCount", (OUT, OUT), lambda at, out: _put(out, ctypes.c_uint, len(self._card(at).parts) + 1))
        self._add("nvmlDeviceGetMigDeviceHandleByIndex", one_of, self._part)

    def _add(self, name: str, kinds: tuple[Any, ...], does: Fill) -> None:
        setattr(self, name, ctypes.CFUNCTYPE(ctypes.c_int, *kinds)(does))

    def _card(self, handle: int) -> Card:
        return self._cards[handle - 1]

    def _number(self, of: str, kind: Any) -> Fill:
        return lambda at, out: _put(out, kind, getattr(self._card(at), of))

    def _of(self, of: str) -> Fill:
        return lambda at, _which, out: _put(out, ctypes.c_uint, getattr(self._card(at), of))

    def _uuid(self, at: int, out: int, size: int) -> int:
        told = self._card(at).uuid.encode() + b"\0"
        ctypes.memmove(out, told, min(size, len(told)))
        return OK

    def _busy(self, at: int, out: int) -> int:
        return _put(out, ctypes.c_uint, self._card(at).busy_percent)

    def _memory(self, at: int, out: int) -> int:
        used = self._card(at).memory_bytes
        if used is None:
            return NOT_SUPPORTED
        pynvml.c_nvmlMemory_t.from_address(out).used = used
        return OK

    def _processes(self, at: int, count: int, out: int | None) -> int:
        told, room = self._card(at).processes, ctypes.c_uint.from_address(count)
        if told and (out is None or room.value < len(told)):
            room.value = len(told)
            return MORE
        for place, (pid, used) in enumerate(told.items()):
            size = ctypes.sizeof(pynvml.c_nvmlProcessInfo_v3_t)
            one = pynvml.c_nvmlProcessInfo_v3_t.from_address((out or 0) + place * size)
            one.pid, one.usedGpuMemory = pid, used
        room.value = len(told)
        return OK

    def _mig(self, at: int, now: int, later: int) -> int:
        divided = int(bool(self._card(at).parts))
        _put(later, ctypes.c_uint, divided)
        return _put(now, ctypes.c_uint, divided)

    def _part(self, at: int, index: int, out: int) -> int:
        parts = self._card(at).parts
        if index >= len(parts):
            return NOT_FOUND
        return _put(out, OUT, 1 + next(place for place, one in enumerate(self._cards) if one is parts[index]))


def _say(out: int, text: str | None) -> int:
    if text is None:
        return NOT_SUPPORTED
    ctypes.memmove(out, text.encode() + b"\0", len(text) + 1)
    return OK


def _put(out: int, kind: Any, value: int | None) -> int:
    if value is None:
        return NOT_SUPPORTED
    kind.from_address(out).value = value
    return OK


@contextmanager
def cards(*told: Card) -> Iterator[None]:
    """While it lasts, these are the cards of this process."""
    before, known = pynvml.nvmlLib, dict(pynvml._nvmlGetFunctionPointer_cache)
    pynvml.nvmlLib = Library(list(told))
    pynvml._nvmlGetFunctionPointer_cache.clear()
    try:
        yield
    finally:
        pynvml.nvmlLib = before
        pynvml._nvmlGetFunctionPointer_cache.clear()
        pynvml._nvmlGetFunctionPointer_cache.update(known)
