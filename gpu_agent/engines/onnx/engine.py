"""ONNX models through ONNX Runtime: likelihoods with shared beginnings, and texts, on a CPU, or by CUDA where the runtime has it."""

import onnxruntime

from gpu_agent.engines.graphs.engine import GraphEngine, Opened
from gpu_agent.engines.onnx.graph import PROVIDERS, Graph, device_of
from infra import onnx_files
from infra.models import ModelFacts
from schemas.requests import ModelRef


class Onnx(GraphEngine):
    """One ONNX model in this process."""

    name, runtime, version = "onnx", "ONNX Runtime", onnxruntime.__version__

    def _device(self, wanted: str) -> str:
        return device_of(wanted)

    def _open(self, facts: ModelFacts, model: ModelRef, *, device: str, threads: int, trust: bool) -> Opened:
        assert facts.file is not None
        graph = Graph(onnx_files.read(facts.file), threads=threads, provider=PROVIDERS[device])
        return Opened(graph, facts.weights_bytes, facts.parameters or None, facts.weights_type if facts.shape.quantised else None)
