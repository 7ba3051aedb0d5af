"""An ONNX graph as a function of tokens and of what came before them: its keys and values, which go in as a past and come out as a present.

Source: Optimum's exports for text generation (inputs `input_ids`, `attention_mask`, `position_ids`, `past_key_values.N.key` and `.value`;
outputs `logits`, `present.N.key` and `.value`; `use_cache_branch` of merged decoders), and ONNX Runtime's Python API, version 1.32.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import onnxruntime

from gpu_agent.engines.failures import is_out_of_memory
from gpu_agent.engines.graphs.graph import Numbers, Past, Whole, past_of
from infra.onnx_files import LOGITS, WHOLE, Onnx
from infra.onnx_graphs import Port
from streams.errors import Invalid, Temporary

PROVIDERS: Final = {"cuda": "CUDAExecutionProvider", "cpu": "CPUExecutionProvider"}
NUMBER_TYPES: Final = {1: np.float32, 10: np.float16}
# Neither what it warns of nor what it raises: the latter is told by whoever asked.
FATAL: Final = 4
LACKS_MEMORY: Final = ("Failed to allocate memory", "bad allocation", "bad_alloc")


class Ours:
    """ONNX Runtime's memory."""

    def hold(self, array: Numbers) -> Any:
        """As graphs/graph.py has it."""
        return onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array))

    def read(self, value: Any) -> Numbers:
        """As graphs/graph.py has it."""
        found: Numbers = value.numpy()
        return found


MEMORY: Final = Ours()


class Graph:
    """One graph in a session."""

    def __init__(self, read: Onnx, *, threads: int, provider: str) -> None:
        """Raises: whatever ONNX Runtime raises over the file."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = FATAL
        options.enable_mem_pattern = False  # inputs of every size come
        # Threads that wait sleep: an agent shares its machine.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        providers = list(dict.fromkeys([provider, "CPUExecutionProvider"]))
        self._session = onnxruntime.InferenceSession(str(read.path), sess_options=options, providers=providers)
        self._inputs: Mapping[str, Port] = {port.name: port for port in read.inputs}
        self._past = read.past
        self._wanted = [LOGITS, *(port.name for port in read.present)]

    @property
    def keeps(self) -> bool:
        """Whether it takes a past, and gives a present."""
        return bool(self._past)

    def run(self, tokens: Whole, past: Past | None = None) -> tuple[Numbers, Past | None]:
        """Logits [rows, tokens, vocabulary] of tokens [rows, tokens] behind a past, in float32 where they were less, and all as a past.

        Raises: Temporary where memory ran out, and whatever ONNX Runtime raises.
        """
        rows, count = tokens.shape
        before = past.seen if past is not None else np.zeros((rows, 0), np.int64)
        seen = np.concatenate([before, np.ones((rows, count), np.int64)], axis=1)
        told = {
            "input_ids": tokens, "attention_mask": seen, "position_ids": before.sum(-1, keepdims=True) + np.arange(count),
            "use_cache_branch": np.array([before.shape[1] > 0]), "num_logits_to_keep": np.array(count),
        }  # fmt: skip
        fed = {name: self._fed(name, value) for name, value in told.items() if name in self._inputs}
        if self.keeps:
            kept = (past or self._empty(rows)).values
            fed |= {port.name: value for port, value in zip(self._past, kept, strict=True)}
        try:
            logits, *present = self._session.run_with_ort_values(self._wanted, fed)
        except Exception as error:  # its classes are no kind of each other
            if is_out_of_memory(error) or any(told in str(error) for told in LACKS_MEMORY):
                raise Temporary("out of memory; take a smaller model, or an agent with more memory", code="out-of-memory") from error
            raise
        found = logits.numpy()
        narrow = found.dtype == np.float16
        return found.astype(np.float32) if narrow else found, Past(tuple(present), seen, MEMORY) if present else None

    def _fed(self, name: str, value: Numbers) -> Any:
        port = self._inputs[name]
        shaped = value.reshape(()) if not port.shape else value.reshape(-1) if len(port.shape) == 1 else value
        return onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(shaped.astype(WHOLE[port.type])))

    def _empty(self, rows: int) -> Past:
        made = [np.zeros((rows, port.shape[1] or 0, 0, port.shape[3] or 0), NUMBER_TYPES[port.type]) for port in self._past]
        return past_of(made, np.zeros((rows, 0), np.int64), MEMORY)


def device_of(wanted: str) -> str:
    """The wanted device; for `auto` CUDA where it can be had. Raises: Invalid where ONNX Runtime is here without a provider for it."""
    there, named = onnxruntime.get_available_providers(), PROVIDERS if wanted == "auto" else [wanted]
    if (found := next((one for one in named if PROVIDERS.get(one) in there), None)) is None:
        raise Invalid(
            f"ONNX Runtime is here without a provider for {wanted} (it has {', '.join(there)}); give the model to another agent, or start "
            "this one with ASSAY_DEVICE=cpu", code="engine-cannot",
        )  # fmt: skip
    return found
