"""Where a run's model goes: on which device and how many of them, in which dtype, how many tokens at once. Chosen when it is planned.

A *way* says all of that. Ways are tried in an order, and the first one that an agent has room for is chosen:

1. by dtype: the one that is asked for, else the weights' own; what is float32 or wider, and was not asked for, goes in bfloat16 where no
   agent has room for it otherwise. Nothing is quantised that is not;
2. by device: CUDA, then XPU (Intel's cards, whose own memory no agent tells), then MPS, then a processor;
3. by how many tokens go through at once: as many as usual, else half of it, down to 64;
4. by how many devices it is spread over: as few as will do, over the numbers in a layer (tensor parallel) before layers (pipeline).

Each of the devices holds an equal part of the weights and of the keys and values, and activations and a runtime of its own: that is more
than it takes where layers are spread. Source: what vLLM 0.32 can spread, config/parallel.py and models/llama.py (heads must divide).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any, Final

from schemas.jobs import AgentBeat
from streams import model_memory
from streams.engines import Kind, kind_of
from streams.errors import Invalid

DEVICES: Final = ("cuda", "xpu", "mps", "cpu")  # the first that fits is the fastest
LEAST_BATCH: Final = 64
NARROW, NARROW_BYTES = "bfloat16", 2
# Of a GPU vLLM takes this share of the memory, where it is not told another. Source: vLLM 0.32, config/cache.py.
VLLM_SHARE: Final = 0.9
TENSOR, PIPELINE, BATCH, UTILISATION = "tensor_parallel_size", "pipeline_parallel_size", "batch_tokens", "gpu_memory_utilization"
SPREADING: Final = frozenset({"vllm"})  # engines that spread a model over devices
NARROWING: Final = frozenset({"mlx", "transformers", "vllm"})  # those that compute in another dtype than the weights'


@dataclass(frozen=True, slots=True)
class Sizes:
    """What of a model says how much memory it takes, at `dtype`, a number of which has `itemsize` bytes; `told`: that dtype is asked for.

    `packages`: modules that read its weights, by which they are quantised.
    """

    weights_bytes: int
    kv_bytes_per_token: int
    max_len: int
    widest: int
    vocabulary: int
    dtype: str
    itemsize: int
    told: bool = False
    heads: int = 0
    kv_heads: int = 0
    layers: int = 0
    quantisation: str | None = None
    packages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Machine:
    """An agent as choosing sees it; `device_bytes` of each of its devices."""

    name: str
    capabilities: frozenset[str]
    device_bytes: tuple[int, ...]
    total_bytes: int

    @classmethod
    def of(cls, beat: AgentBeat) -> "Machine":
        """The agent of a heartbeat."""
        return cls(beat.agent_id, frozenset(beat.capabilities), tuple(one.memory_bytes for one in beat.devices), beat.total_bytes)

    def device(self, kind: Kind) -> str | None:
        """What such an engine runs on there; None where it has nothing for it. An agent that does not say has what its driver shows."""
        said = next((one.removeprefix("device:") for one in self.capabilities if one.startswith("device:")), None)
        own = said or ("cuda" if self.device_bytes else "cpu")
        return own if own in kind.devices else "cpu" if "cpu" in kind.devices else None

    def room(self, devices: int) -> int:
        """Bytes that so many of its devices have for equal parts; without any, its own memory."""
        if devices == 0:
            return self.total_bytes
        return devices * sorted(self.device_bytes)[-devices] if devices <= len(self.device_bytes) else 0


@dataclass(frozen=True, slots=True)
class Way:
    """One way to run the model; `parts` are its devices, or one processor."""

    sizes: Sizes
    device: str
    batch: int
    tp: int
    pp: int
    needed_bytes: int

    @property
    def parts(self) -> int:
        """Over how many devices it is spread."""
        return self.tp * self.pp

    @property
    def devices(self) -> int:
        """How many devices of an agent it takes; none where its own memory is the device's."""
        return self.parts if self.device == "cuda" else 0

    def fits(self, machine: Machine, kind: Kind) -> bool:
        """Whether an agent has the devices, and room for it."""
        return machine.device(kind) == self.device and self.devices <= len(machine.device_bytes) and (
            self.needed_bytes <= machine.room(self.devices)
        )  # fmt: skip


def ways_of(sizes: Sizes, engine: str, kind: Kind, options: Mapping[str, Any], spreads: Sequence[tuple[int, int]]) -> Iterator[Way]:
    """Every way, in their order."""
    several = [sizes]
    if not sizes.told and engine in NARROWING and sizes.itemsize > NARROW_BYTES and sizes.quantisation is None:
        several.append(narrowed(sizes))
    for one in several:
        for device in (name for name in DEVICES if name in kind.devices):
            for batch in _batches(options):
                for tp, pp in spreads if device == "cuda" else spreads[:1] if spreads[0] == (1, 1) else []:
                    needed = needed_bytes(one, engine, device=device, batch=batch, parts=tp * pp, options=options)
                    yield Way(one, device, batch, tp, pp, needed)


@dataclass(frozen=True, slots=True)
class Taken:
    """What a model takes on one device, each part at most: seldom are all that large at once, so that their sum errs upwards."""

    weights_bytes: int
    kv_bytes: int
    activation_bytes: int
    runtime_bytes: int


def taken_by(sizes: Sizes, engine: str, *, batch: int) -> Taken:
    """The parts of what a model takes on an engine with so many tokens at once."""
    kind = kind_of(engine)
    kept = model_memory.kv_bytes(per_token=sizes.kv_bytes_per_token, max_len=sizes.max_len, weights_bytes=sizes.weights_bytes, tokens=batch)
    through = min(batch, kind.step_tokens or batch)
    activations = model_memory.activation_bytes(widest=sizes.widest, vocabulary=sizes.vocabulary, itemsize=sizes.itemsize, tokens=through)
    masks = kind.mask_bytes * through * (kept // sizes.kv_bytes_per_token if sizes.kv_bytes_per_token else 0)
    return Taken(sizes.weights_bytes, kind.kv_times * kept, activations + masks, kind.runtime_bytes)


def needed_bytes(sizes: Sizes, engine: str, *, device: str, batch: int, parts: int = 1, options: Mapping[str, Any] | None = None) -> int:
    """Bytes on all devices together, so that each has room for its part; as planning estimates; vLLM takes a share."""
    whole = taken_by(sizes, engine, batch=batch)
    shared = device == "cuda" and engine == "vllm"  # it takes what is left, and must have room for one text
    kept = sizes.kv_bytes_per_token * sizes.max_len if shared else whole.kv_bytes
    each = (sizes.weights_bytes + kept) / parts + whole.activation_bytes + whole.runtime_bytes
    return parts * ceil(each / ((options or {}).get(UTILISATION) or VLLM_SHARE) if shared else each)


def narrowed(sizes: Sizes) -> Sizes:
    """The same in bfloat16."""
    weights, kept = (size * NARROW_BYTES // sizes.itemsize for size in (sizes.weights_bytes, sizes.kv_bytes_per_token))
    return replace(sizes, weights_bytes=weights, kv_bytes_per_token=kept, dtype=NARROW, itemsize=NARROW_BYTES)


def _batches(options: Mapping[str, Any]) -> Iterator[int]:
    """How many tokens may go through at once; the one that is asked for alone."""
    batch = options.get(BATCH) or model_memory.TOKENS_AT_ONCE
    yield batch
    while BATCH not in options and batch // 2 >= LEAST_BATCH:
        batch //= 2
        yield batch


def spreads_of(sizes: Sizes, engine: str, options: Mapping[str, Any], *, most: int) -> list[tuple[int, int]]:
    """Over how many devices numbers (first) and layers (second) may be spread, the fewest first. Raises: Invalid where what is asked for
    cannot be: heads must divide."""
    if engine not in SPREADING:
        return [(1, 1)]
    asked = options.get(TENSOR), options.get(PIPELINE)
    if asked != (None, None):
        tp, pp = asked[0] or 1, asked[1] or 1
        _check_spread(sizes, tp, pp)
        return [(tp, pp)]
    pairs = ((tp, pp) for tp in range(1, max(most, 1) + 1) for pp in range(1, max(most, 1) // tp + 1))
    return sorted((one for one in pairs if _why_not(sizes, *one) is None), key=lambda one: (one[0] * one[1], one[1]))


def _check_spread(sizes: Sizes, tp: int, pp: int) -> None:
    if (why := _why_not(sizes, tp, pp)) is not None:
        raise Invalid(why, code="parallel")


def _why_not(sizes: Sizes, tp: int, pp: int) -> str | None:
    """Why a model cannot be spread so; None where it can, as far as its numbers are known."""
    if sizes.heads and sizes.heads % tp:
        few = [n for n in range(1, sizes.heads + 1) if sizes.heads % n == 0]
        return f"the model has {sizes.heads} heads, which {TENSOR} {tp} does not divide; give {', '.join(map(str, few))}"
    if sizes.kv_heads and sizes.kv_heads % tp and tp % sizes.kv_heads:
        return f"the model has {sizes.kv_heads} heads of keys and values, which {TENSOR} {tp} neither divides nor is a multiple of"
    if sizes.layers and pp > sizes.layers:
        return f"the model has {sizes.layers} layers, and {PIPELINE} is {pp}; give {sizes.layers} at most"
    return None
