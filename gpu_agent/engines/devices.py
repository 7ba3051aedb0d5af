"""The device that an engine of torch's runs on."""

import torch


def chosen(wanted: str) -> torch.device:
    """The wanted device; for `auto` the fastest that is here."""
    if wanted != "auto":
        return torch.device(wanted)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
