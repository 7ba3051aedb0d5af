"""A model and its tokenizer from their files: checked before, whole after, and tried on how its attention can be had."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch
import transformers

from gpu_agent.engines.adapters import put_on
from gpu_agent.engines.devices import chosen, free_bytes, peak_bytes
from gpu_agent.engines.engine import Loaded
from gpu_agent.engines.failures import is_lost, words_of
from gpu_agent.engines.likelihood import Roots, forward
from gpu_agent.engines.memory import memory_errors
from gpu_agent.engines.prefix_tree import rows
from gpu_agent.engines.tree_attention import NAME, pack_of
from infra import model_fitness
from infra.models import ModelFacts, inspect, read_by
from infra.settings import Settings
from infra.trust import HOW, trusted
from schemas.jobs import EngineUsed
from schemas.requests import ModelRef
from streams.engines import quantised_by
from streams.errors import AssayError, Invalid

# Beyond the weights themselves, in which loading and running must fit.
HEADROOM_BYTES = 256 * 2**20
# What older files hold though it is reckoned, not learned.
MADE_ANEW = ("inv_freq", "masked_bias", "attn.bias", "attention.bias", "position_ids", "num_batches_tracked")
# How layers attend that a pack can be told to: all that is before, or the nearest of it.
KINDS = frozenset({"full_attention", "sliding_attention"})
# Rotary positions that depend on how long the whole input is.
LENGTH_ROPES = frozenset({"dynamic", "longrope"})
# Logits may differ by this part of the largest one: two orders of the dtype's rounding, far below what a wrong mask does.
CLOSE_RATIO = {torch.float32: 1e-3, torch.float64: 1e-3}
CLOSE_RATIO_HALF = 5e-2


@dataclass(frozen=True, slots=True)
class Model:
    """What is loaded; `roots` is None where the model takes the plain path."""

    network: Any
    tokenizer: Any
    roots: Roots | None


def prepared(engine: str, model: ModelRef, *, threads: int | None, device: str, parts: int = 1) -> tuple[ModelFacts, torch.device]:
    """What the model's files say and the device for it, before it is loaded; torch has so many `threads`, where any are
    given. `parts`: over how many devices it is spread.

    Raises: Invalid for a model that cannot be read, is too large or not one that the engine can run.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    facts, on = read_by(inspect(model), engine=engine), chosen(device)
    model_fitness.check(facts, engine=engine)
    check_readers(facts, engine=engine)
    check_memory(facts, on, parts=parts)
    return facts, on


def check_readers(facts: ModelFacts, *, engine: str) -> None:
    """Raises: Invalid where the package is not here by which the engine reads weights that are quantised so."""
    for package in quantised_by(engine, facts.shape.method, model=facts.folder):
        if find_spec(package) is None:
            raise Invalid(
                f"the weights of {facts.folder} are quantised by {facts.shape.method}, which engine {engine} reads with the package "
                f"{package}: install it beside the agent", code="engine-package",
            )  # fmt: skip


def loaded_as(
    name: str, model: ModelRef, network: Any, device: torch.device, *, facts: ModelFacts, max_len: int, batch: str, load_ns: int,
    warmup_ns: int, kv_bytes: int | None = None, compiled: bool = False,
) -> Loaded:  # fmt: skip
    """What is said of a model that an engine of transformers' has loaded: how it is used, how long it took, and what it takes."""
    parameters = list(network.parameters())
    used = EngineUsed(
        name=name, version=transformers.__version__, dtype=str(network.dtype).removeprefix("torch."), quantisation=_quantised(facts),
        max_len=max_len, device=str(device), batch=batch, compile=compiled,
    )  # fmt: skip
    return Loaded(
        used=used, download_ns=0, load_ns=load_ns, warmup_ns=warmup_ns, kv_bytes=kv_bytes,
        weights_bytes=sum(one.numel() * one.element_size() for one in parameters), parameters=sum(one.numel() for one in parameters),
        model_sha=facts.model_sha,
        peak_bytes=peak_bytes(device),
    )  # fmt: skip


def _quantised(facts: ModelFacts) -> str | None:
    if facts.file is not None and facts.shape.quantised:
        return f"{facts.weights_type}, dequantised"
    return facts.weights_type if facts.shape.quantised else None


def check_memory(facts: ModelFacts, device: torch.device, *, parts: int = 1) -> None:
    """Raises: Invalid where the weights, or the device's part of them, do not fit into the free memory."""
    free, needed = free_bytes(device), facts.weights_bytes // parts + HEADROOM_BYTES
    if needed > free:
        raise Invalid(
            f"the model needs {needed / 2**30:.1f} GiB, and {free / 2**30:.1f} GiB are free on this {device.type}; "
            "take a smaller model or dtype, or an agent with more memory",
            code="model-too-large",
        )


def load(facts: ModelFacts, model: ModelRef, *, device: torch.device) -> Model:
    """A language model on its device. Raises: as `read`."""
    kind = transformers.AutoModelForSeq2SeqLM if facts.shape.encoder_decoder else transformers.AutoModelForCausalLM
    network, tokenizer = read(facts, model, kind=kind, device=device, whole=facts.file is None)
    if facts.adapter is not None:
        network = put_on(network, facts.adapter, base=facts.folder, device=device)
    return Model(network, tokenizer, Roots(network, device) if sees_trees(network, device) else None)


def read(
    facts: ModelFacts, model: ModelRef, *, kind: Any, device: torch.device, unused: str | None = None, whole: bool = False
) -> tuple[Any, Any]:
    """A model of that kind (a class of transformers') on its device, and its tokenizer; weights whose names begin with `unused` may lack.

    `whole`: none of the files' weights may be left over.

    Raises: Invalid where its files cannot be read, lack weights or hold NaN, Temporary where memory ran out.
    """
    trust = trusted(model, Settings())
    try:
        with memory_errors():
            more = {"gguf_file": facts.file.name} if facts.file else {}
            dtype = getattr(torch, facts.dtype) if model.dtype or facts.file else "auto"
            beside = facts.tokenizer_folder or facts.folder
            tokenizer = transformers.AutoTokenizer.from_pretrained(beside, trust_remote_code=trust, **more)
            network, told = kind.from_pretrained(
                facts.folder,
                dtype=dtype,
                trust_remote_code=trust,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
                **more,
            )
            network.to(device).eval()
    except AssayError:
        raise
    except Exception as error:  # what libraries raise over a model's files, and its own code, is about this model
        if is_lost(error):
            raise
        raise unloadable(error, facts, trust=trust) from error
    _check_names(told, facts, unused=unused, whole=whole)
    _check_numbers(network, facts)
    return network, tokenizer


def unloadable(error: Exception, facts: ModelFacts, *, trust: bool) -> Invalid:
    """What is said of a model that cannot be loaded; of one that brings code of its own, what lets it run."""
    if not trust and "trust_remote_code" in str(error):
        return Invalid(
            f"{facts.folder} brings Python of its own, which runs only where it is trusted by {HOW}; read it first", code="model-own-code"
        )
    return Invalid(f"{facts.folder} cannot be loaded: {words_of(error)}", code="model-broken")


def sees_trees(network: Any, device: torch.device) -> bool:
    """Whether the model's answers over a packed tree are those of plain forwards; if not, it is left as it was."""
    before = network.config._attn_implementation
    if network.config.is_encoder_decoder or not _may(network.config.get_text_config()):
        return False
    try:
        network.set_attn_implementation(NAME)
        with torch.inference_mode():
            if _agrees(network, device):
                return True
    # What a model does with arguments that it does not know is its own affair.
    except (TypeError, ValueError, RuntimeError, AttributeError, KeyError, IndexError, NotImplementedError):
        pass
    network.set_attn_implementation(before)
    return False


def _may(config: Any) -> bool:
    kinds = set(getattr(config, "layer_types", None) or ())
    rope = getattr(config, "rope_parameters", None) or {}
    ropes = {part.get("rope_type") for part in (rope, *rope.values()) if isinstance(part, dict)}
    return kinds <= KINDS and not ropes & LENGTH_ROPES


def _agrees(network: Any, device: torch.device) -> bool:
    """Tries a tree of a root, a trunk and two branches, and another row, against the sequences one by one."""
    size = network.config.get_text_config().vocab_size
    root, trunk, *ends = (tuple((17 * n * n + 5 * n + 3 * k) % size for n in range(length)) for k, length in enumerate((8, 6, 3, 4, 7)))
    sequences = [root + trunk + ends[0], root + trunk + ends[1], root + ends[2]]
    first = pack_of(rows([root], root=0, longest=99), device=device)
    first.keep = True
    forward(network, first, keep=1)
    found = rows(sequences, root=len(root), longest=99)
    pack = pack_of(found, device=device)
    pack.root = first.kept
    starts = [sum(row.length for row in found[:number]) for number in range(len(found))]
    at = {seq: start + row.places(seq, last=1)[0] for row, start in zip(found, starts, strict=True) for seq in row.leaves}
    packed = forward(network, pack, keep=torch.tensor([at[sequence] for sequence in sequences], device=device)).float()
    alone = torch.stack([network(torch.tensor([sequence], device=device)).logits[0, -1] for sequence in sequences]).float()
    close = CLOSE_RATIO.get(network.dtype, CLOSE_RATIO_HALF)
    return bool((packed - alone).abs().max() <= close * alone.abs().max())


def _check_names(told: Mapping[str, Any], facts: ModelFacts, *, unused: str | None, whole: bool) -> None:
    """Raises: Invalid where the files' weights are not the model's; `told`: what transformers says of loading them."""
    if wrong := sorted(told["mismatched_keys"]):
        name, stored, wanted = wrong[0]
        raise Invalid(
            f"{name} of {facts.folder} has the shape {list(stored)}, and its config.json wants {list(wanted)}; take the config.json that "
            "belongs to these weights", code="model-shape",
        )  # fmt: skip
    if lacking := sorted(name for name in told["missing_keys"] if unused is None or not name.startswith(unused)):
        # transformers would go on with random numbers in their place.
        raise Invalid(f"{facts.folder} has no weights {lacking[0]}; is it a model of another kind?", code="model-lacks-weights")
    if whole and (over := sorted(name for name in told["unexpected_keys"] if not name.endswith(MADE_ANEW))):
        raise Invalid(
            f"{facts.folder} has weights that its config.json makes no use of, {len(over)} in all, the first {over[0]}: it would "
            "be another model than it seems; take the config.json that belongs to these weights, or save the model anew without them",
            code="model-weights-left",
        )  # fmt: skip


def _check_numbers(network: Any, facts: ModelFacts) -> None:
    for name, parameter in network.named_parameters():
        # The least and the greatest, for they are NaN where any is, and take no memory of their own.
        if parameter.is_floating_point() and parameter.numel() and not all(torch.isfinite(end) for end in parameter.aminmax()):
            raise Invalid(f"{name} of {facts.folder} holds NaN or infinite weights; fetch or train it again", code="model-nan-weights")
