"""Language models saved as TensorFlow's SavedModels, on a CPU: likelihoods and texts, each text read whole."""

import tensorflow as tf

from gpu_agent.engines.graphs.engine import GraphEngine, Opened
from gpu_agent.engines.tensorflow.graph import Graph
from infra.models import ModelFacts
from infra.trust import HOW
from schemas.requests import ModelRef
from streams.errors import Invalid


class TensorFlow(GraphEngine):
    """One SavedModel in this process, which bears no second one: its threads are set once."""

    name, runtime, version = "tensorflow", "TensorFlow", tf.__version__

    def _device(self, wanted: str) -> str:
        return "cpu"

    def _open(self, facts: ModelFacts, model: ModelRef, *, device: str, threads: int, trust: bool) -> Opened:
        if not trust:
            raise Invalid(
                f"{facts.folder} is a program of TensorFlow's, which runs only where it is trusted by {HOW}", code="model-own-code"
            )
        assert facts.file is not None
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        graph = Graph(facts.file.parent)
        return Opened(graph, facts.weights_bytes, graph.parameters or None)
