"""What people call the figures that are predicted."""

from collections.abc import Mapping
from typing import Final

WORDS: Final[Mapping[str, str]] = {
    "ttft_p50_s": "TTFT (p50)",
    "itl_p50_s": "ITL (p50)",
    "tokens_per_s": "output tokens/s",
    "memory_bytes": "memory",
    "j_per_token": "J/token",
}
