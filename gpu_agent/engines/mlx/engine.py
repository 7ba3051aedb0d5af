"""Language models through MLX: likelihoods with shared beginnings, and texts, on Apple's GPUs, or a CPU."""

from collections.abc import Mapping
from typing import Any, Final

import mlx.core as mx
from mlx.utils import tree_flatten
from mlx_lm import __version__ as version
from mlx_lm.utils import load_model

from gpu_agent.engines.graphs.engine import GraphEngine, Opened
from gpu_agent.engines.mlx.graph import Graph
from infra.models import ModelFacts
from schemas.requests import ModelRef
from streams.errors import Invalid

DEVICES: Final[Mapping[str, Any]] = {"cpu": mx.cpu, "mps": mx.gpu}


class Mlx(GraphEngine):
    """One model in this process."""

    name, runtime, version = "mlx", "MLX", version

    def _device(self, wanted: str) -> str:
        """As the base has it; from now on it is MLX's own."""
        name = ("mps" if mx.metal.is_available() else "cpu") if wanted == "auto" else wanted
        if name not in DEVICES or (name == "mps" and not mx.metal.is_available()):
            told = f"MLX is here without {wanted}; give the model to another agent, or start this one with ASSAY_DEVICE=cpu"
            raise Invalid(told, code="engine-cannot")
        mx.set_default_device(DEVICES[name])
        return name

    def _open(self, facts: ModelFacts, model: ModelRef, *, device: str, threads: int, trust: bool) -> Opened:
        network, config = load_model(facts.folder, trust_remote_code=trust)
        if model.dtype is not None:
            network.set_dtype(getattr(mx, model.dtype))
        size = sum(array.nbytes for _, array in tree_flatten(network.parameters()))
        return Opened(Graph(network, dtype=getattr(mx, facts.dtype)), size, facts.parameters or None, _quantised(config))

    def _peak_bytes(self, device: str) -> int:
        return int(mx.get_peak_memory()) if device == "mps" else super()._peak_bytes(device)

    def close(self) -> None:
        """Gives the model's memory back."""
        super().close()
        mx.clear_cache()


def _quantised(config: Mapping[str, Any]) -> str | None:
    """How the weights are, as MLX's own settings say it: `mlx 4 bits`."""
    told = config.get("quantization")
    return f"mlx {told['bits']} bits" if isinstance(told, dict) and "bits" in told else None
