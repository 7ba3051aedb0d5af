"""The device that an engine of torch's runs on, and its memory."""

from typing import Any, Final

import psutil
import torch

from streams.errors import Invalid

HERE: Final = {"cuda": torch.cuda.is_available, "xpu": torch.xpu.is_available, "mps": torch.backends.mps.is_available}
# Devices with memory of their own, and what of torch's tells of it; the others take the machine's.
OWN: Final[dict[str, Any]] = {"cuda": torch.cuda, "xpu": torch.xpu}


def chosen(wanted: str) -> torch.device:
    """The wanted device; for `auto` CUDA, else MPS, else the processor. Raises: Invalid where torch is here without it."""
    if wanted == "auto":
        return torch.device(next((name for name in ("cuda", "mps") if HERE[name]()), "cpu"))
    kind = wanted.partition(":")[0]
    if kind != "cpu" and not HERE.get(kind, bool)():
        raise Invalid(
            f"torch {torch.__version__} is here without {wanted}; give the model to another agent, or start this one with ASSAY_DEVICE=cpu",
            code="engine-cannot",
        )
    return torch.device(wanted)


def free_bytes(device: torch.device) -> int:
    """Memory that can still be had on the device."""
    own = OWN.get(device.type)
    return int(own.mem_get_info(device)[0]) if own else int(psutil.virtual_memory().available)


def peak_bytes(device: torch.device) -> int:
    """Memory of the device that this process's tensors took at most; of a processor's, what the process has now."""
    own = OWN.get(device.type)
    return int(own.max_memory_allocated(device)) if own else int(psutil.Process().memory_info().rss)


def give_back(device: torch.device) -> None:
    """Gives back to the device what no tensor holds any more."""
    if own := OWN.get(device.type):
        own.empty_cache()
