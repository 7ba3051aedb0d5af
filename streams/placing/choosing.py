"""The first way to run a model for which an agent has room: what a run is planned with."""

from collections.abc import Iterable, Sequence

from schemas.requests import EngineChoice, ModelRef
from schemas.runs import Placement
from streams import model_memory
from streams.engines import Kind, kind_of, read_options
from streams.errors import Invalid
from streams.placing.verdicts import MOST_VERDICTS, reasons, verdicts
from streams.placing.ways import BATCH, PIPELINE, TENSOR, Machine, Sizes, Way, spreads_of, ways_of


def choose(sizes: Sizes, engine: EngineChoice, machines: Sequence[Machine]) -> Placement | None:
    """The first way for which there is room, and who has it. None where that cannot be told yet: no agent has the engine.

    Raises: Invalid, with what it needs and what each agent has, where it fits none; where sizes that are asked for cannot be; and where no
    agent has the package that reads its weights.
    """
    options, kind = read_options(engine.name, engine.options), kind_of(engine.name)
    spreads = spreads_of(sizes, engine.name, options, most=max((len(one.device_bytes) for one in machines), default=0))
    able = sorted((one for one in machines if f"engine:{engine.name}" in one.capabilities), key=lambda one: one.name)
    if not able:
        return None
    if lacking := [one for one in sizes.packages if not any(f"package:{one}" in machine.capabilities for machine in able)]:
        raise Invalid(
            f"the weights are quantised by {sizes.quantisation}, which engine {engine.name} reads with the package {lacking[0]}, and no "
            "agent has it: install it beside one, or name weights that are not quantised", code="engine-package",
        )  # fmt: skip
    able = [one for one in able if all(f"package:{package}" in one.capabilities for package in sizes.packages)]
    ways = list(ways_of(sizes, engine.name, kind, options, spreads))
    for way in ways:
        if fitting := [one for one in able if way.fits(one, kind)]:
            return _placement(way, engine.name, kind, fitting, reasons(way, ways, machines, engine.name, kind))
    if any(way.fits(one, kind) for way in ways for one in machines):
        return None  # who has room lacks the engine, which can be installed
    told = "; ".join(verdicts(None, ways, able, engine.name, kind))
    raise Invalid(
        f"the model fits no agent: {told}. Take a smaller model, dtype or max_length, or an agent with more memory",
        code="model-fits-nowhere",
    )


def applied(model: ModelRef, engine: EngineChoice, placement: Placement, *, sizes: Sizes) -> tuple[ModelRef, EngineChoice]:
    """Model and engine as a placement has them: what the request left open is said."""
    told = {TENSOR: placement.tp if placement.tp > 1 else None, PIPELINE: placement.pp if placement.pp > 1 else None}
    if placement.batch_tokens < model_memory.TOKENS_AT_ONCE:
        told[BATCH] = placement.batch_tokens
    options = {name: str(value) for name, value in told.items() if value is not None} | engine.options
    narrowed = model.model_copy(update={"dtype": placement.dtype}) if placement.dtype != sizes.dtype else model
    return narrowed, engine.model_copy(update={"options": options})


def _placement(way: Way, engine: str, kind: Kind, fitting: Sequence[Machine], why: Iterable[str]) -> Placement:
    said = len(kind.devices) > 1 and all(f"device:{way.device}" in one.capabilities for one in fitting)
    needs = (f"engine:{engine}", *([f"device:{way.device}"] if said else []), *(f"package:{one}" for one in way.sizes.packages))
    return Placement(
        device=way.device, devices=way.devices, dtype=way.sizes.dtype, quantisation=way.sizes.quantisation, tp=way.tp, pp=way.pp,
        batch_tokens=way.batch, needed_bytes=way.needed_bytes, capabilities=needs, reasons=tuple(why),
        agents=tuple(one.name for one in fitting[:MOST_VERDICTS]),
    )  # fmt: skip
