"""Classes of devices: what their makers publish, and what a benchmark assumes of it where it cannot measure."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class DeviceClass:
    """Peak rates as published: BF16 matrix products with float32 accumulation, dense (without sparsity), and memory.

    Looked up on 2026-11-25.
    """

    name: str
    flop_per_s: float
    bytes_per_s: float
    memory_bytes: int
    source: str


CLASSES: Final = (
    DeviceClass("NVIDIA L4", 121e12, 300e9, 24 * 10**9, "NVIDIA L4 Tensor Core GPU datasheet, 2023 (242 TFLOP/s with sparsity, halved)"),
    DeviceClass("GeForce RTX 4090", 165.2e12, 1008e9, 24 * 10**9, "NVIDIA Ada GPU Architecture white paper, 2022, appendix A"),
    DeviceClass("NVIDIA A100 80GB SXM", 312e12, 2039e9, 80 * 10**9, "NVIDIA A100 Tensor Core GPU datasheet, 2021"),
    DeviceClass("NVIDIA H100 SXM", 989.4e12, 3350e9, 80 * 10**9, "NVIDIA H100 Tensor Core GPU Architecture white paper, 2022, table 2"),
)
# What of the peaks an evaluation reaches: assumed, worse and better. Source: PaLM (Chowdhery et al. 2022, section 4.1, table 3) has 21 to
# 46 % of the peak for training, whose products are as large as those of packed prompts.
UTILISATION: Final = (0.2, 0.5)
BATCH: Final = 32  # texts that are generated together: each step reads the weights once for all of them
FITS_RATIO: Final = 0.8  # of the memory: the rest is for keys, values and activations
BYTES: Final = 2  # a parameter in BF16


def hours(device: DeviceClass, *, parameters: float, prompt_tokens: float, output_tokens: float, utilisation: float) -> float | None:
    """Hours that the tokens of a suite take on the device; None where the model does not fit.

    2 FLOP a parameter and token; a step of generation takes at least as long as reading the weights:
    (2 P prompt / F + output / B · max(2 P B / F, 2 P / M)) / u. Attention's own products and the reading of keys and values are left out.
    Source: Kaplan et al. 2020, section 2.1 (2 P a token); Pope et al. 2022, section 2 (what bounds generation).
    """
    if parameters * BYTES > FITS_RATIO * device.memory_bytes:
        return None
    reading_s = 2 * parameters * prompt_tokens / device.flop_per_s
    step_s = max(2 * parameters * BATCH / device.flop_per_s, parameters * BYTES / device.bytes_per_s)
    return (reading_s + output_tokens / BATCH * step_s) / utilisation / 3600
