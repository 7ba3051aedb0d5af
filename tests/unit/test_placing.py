"""Where a model goes: the first way that an agent has room for, whoever is asked first; what fits nowhere is refused with numbers."""

from dataclasses import astuple, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.jobs import Device
from schemas.requests import EngineChoice, EvaluationRequested, ModelRef
from schemas.runs import Estimate, Placement
from streams.engines import KINDS
from streams.errors import Invalid
from streams.model_memory import TOKENS_AT_ONCE, activation_bytes, kv_bytes
from streams.placing.choosing import applied, choose
from streams.placing.ways import LEAST_BATCH, Machine, Sizes, needed_bytes, taken_by
from streams.planning import need_of
from streams.queue.queueing import unfit
from tests.pool import STAMP, beat
from tests.runs import run_named

GIB = 2**30
VLLM, TRANSFORMERS = EngineChoice(name="vllm"), EngineChoice(name="transformers")


def sizes(gib: float, **more: Any) -> Sizes:
    """A model with so many GiB of weights in bfloat16, and 32 heads in 32 layers."""
    told: dict[str, Any] = {
        "kv_bytes_per_token": 2**17,
        "max_len": 4096,
        "widest": 14336,
        "vocabulary": 128_256,
        "dtype": "bfloat16",
        "itemsize": 2,
    }
    return Sizes(**{"weights_bytes": int(gib * GIB), "heads": 32, "kv_heads": 8, "layers": 32} | told | more)


def machine(name: str, *devices: float, gib: float = 64, engines: str = "transformers vllm", package: str = "") -> Machine:
    """An agent with devices of so many GiB, and so much memory of its own."""
    able = {
        f"device:{'cuda' if devices else 'cpu'}",
        *(f"engine:{one}" for one in engines.split()),
        *([f"package:{package}"] * bool(package)),
    }
    return Machine(name, frozenset(able), tuple(int(one * GIB) for one in devices), int(gib * GIB))


def fit(model: Sizes, engine: EngineChoice, *machines: Machine) -> Placement:
    """The placement that there is."""
    found = choose(model, engine, machines)
    assert found is not None
    return found


def test_a_model_too_large_for_one_device_is_spread_over_two() -> None:
    """And who cannot have it is told with what it would need."""
    found = fit(sizes(30), VLLM, machine("b", 24, 24), machine("a", 24, gib=16))
    assert (found.device, found.devices, found.tp, found.pp, found.dtype, found.agents) == ("cuda", 2, 2, 1, "bfloat16", ("b",))
    assert found.reasons[0] == "fits agent b: 2 × 24.0 GiB, TP 2, bfloat16"
    assert found.reasons[1].startswith("does not fit a: needs 35.") and found.reasons[1].endswith(" GiB, has 24.0 on 1 device")
    assert applied(ModelRef(uri="m"), VLLM, found, sizes=sizes(30))[1].options == {"tensor_parallel_size": "2"}


def test_what_a_model_takes_is_told_in_the_parts_that_the_engine_has() -> None:
    """llama.cpp takes 512 tokens at once, and a mask of 6 bytes for each of them and each that is kept; their sum is what is needed."""
    model = sizes(0.5, kv_bytes_per_token=2**13, max_len=1024, widest=1024, vocabulary=512, itemsize=4)
    plain, masked = (taken_by(model, engine, batch=1024) for engine in ("transformers", "gguf"))
    kept = kv_bytes(per_token=2**13, max_len=1024, weights_bytes=model.weights_bytes) // 2**13
    assert plain.kv_bytes == masked.kv_bytes == kept * 2**13
    assert plain.activation_bytes == activation_bytes(widest=1024, vocabulary=512, itemsize=4, tokens=1024)
    assert masked.activation_bytes == activation_bytes(widest=1024, vocabulary=512, itemsize=4, tokens=512) + 6 * 512 * kept
    assert plain.runtime_bytes > masked.runtime_bytes
    assert needed_bytes(model, "gguf", device="cpu", batch=1024) == sum(astuple(masked))


def test_layers_are_spread_where_heads_do_not_divide() -> None:
    """Three devices, and eight heads."""
    found = fit(sizes(60, heads=8), VLLM, machine("a", 24, 24, 24, 24))
    assert (found.tp, found.pp) == (4, 1)
    found = fit(sizes(50, heads=7, kv_heads=7), VLLM, machine("a", 24, 24, 24))
    assert (found.tp, found.pp) == (1, 3)


def test_a_processor_is_chosen_where_no_gpu_has_room() -> None:
    """Before the dtype is changed; engine transformers spreads nothing."""
    found = fit(sizes(30), TRANSFORMERS, machine("a", 24, 24), machine("b", gib=64))
    assert (found.device, found.devices, found.agents) == ("cpu", 0, ("b",))
    assert found.reasons[0].startswith("fits agent b: ") and "on cpu, bfloat16" in found.reasons[0]


def test_wide_weights_go_in_bfloat16_where_they_fit_no_agent_otherwise() -> None:
    """Not where the request says their dtype."""
    wide = sizes(60, dtype="float32", itemsize=4)
    found = fit(wide, TRANSFORMERS, machine("a", 80, gib=32))
    assert (found.dtype, found.device) == ("float32", "cuda")
    found = fit(wide, TRANSFORMERS, machine("a", 40, gib=32))
    assert found.dtype == "bfloat16" and any(one.startswith("bfloat16, for float32 needs ") for one in found.reasons)
    assert applied(ModelRef(uri="m"), TRANSFORMERS, found, sizes=wide)[0].dtype == "bfloat16"
    with pytest.raises(Invalid, match=r"fits no agent: does not fit a: needs \d+\.\d GiB, has 40\.0 on 1 device\. Take a smaller"):
        choose(replace(wide, told=True), TRANSFORMERS, [machine("a", 40, gib=32)])


def test_fewer_tokens_go_at_once_where_all_do_not_fit() -> None:
    """Then the engine is told."""
    need = needed_bytes(sizes(4), "transformers", device="cpu", batch=256)
    found = fit(sizes(4), TRANSFORMERS, machine("a", gib=(need + 1) / GIB))
    assert found.batch_tokens == 256 and "256 tokens at once, for 1024 need more than there is" in found.reasons
    assert applied(ModelRef(uri="m"), TRANSFORMERS, found, sizes=sizes(4))[1].options == {"batch_tokens": "256"}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"tensor_parallel_size": "3"}, "32 heads, which tensor_parallel_size 3 does not divide; give 1, 2, 4, 8, 16, 32"),
        ({"pipeline_parallel_size": "33"}, "32 layers, and pipeline_parallel_size is 33; give 32 at most"),
        ({"tensor_parallel_size": "4"}, "does not fit a: needs 4 devices, has 2; does not fit b: needs 4 devices, has 0"),
    ],
)
def test_sizes_that_cannot_be_are_refused(options: dict[str, str], says: str) -> None:
    """By the model's heads and layers, and by the devices that there are."""
    with pytest.raises(Invalid, match=says):
        choose(sizes(2), EngineChoice(name="vllm", options=options), [machine("a", 24, 24), machine("b")])


def test_quantised_weights_go_where_the_package_is_that_reads_them() -> None:
    """Where none has it, it is named."""
    awq = sizes(4, quantisation="awq", packages=("gptqmodel",))
    found = fit(awq, TRANSFORMERS, machine("a", 24), machine("b", 24, package="gptqmodel"))
    assert (found.agents, found.quantisation) == (("b",), "awq") and "package:gptqmodel" in found.capabilities
    assert found.reasons[1] == "does not fit a: it has no package gptqmodel"
    with pytest.raises(Invalid, match="quantised by awq, which engine transformers reads with the package gptqmodel, and no agent has it"):
        choose(awq, TRANSFORMERS, [machine("a", 24)])


def test_nothing_is_said_while_nobody_has_the_engine() -> None:
    """It can be installed: the run waits for it."""
    assert choose(sizes(4), VLLM, [machine("a", 24, engines="transformers")]) is None
    assert choose(sizes(4), VLLM, []) is None
    assert choose(sizes(40), TRANSFORMERS, [machine("a"), machine("b", 80, engines="vllm")]) is not None


def several(name: str, count: int, size: int, gib: int, engines: str) -> Machine:
    """An agent with so many devices of one size."""
    return machine(name, *[size] * count, gib=gib, engines=engines)


AGENTS = st.tuples(
    st.integers(0, 8), st.sampled_from([8, 24, 48, 80]), st.sampled_from([8, 32, 128, 512]),
    st.sampled_from(["transformers", "vllm", "transformers vllm gguf"]),
)  # fmt: skip
MACHINES = st.lists(AGENTS, min_size=1, max_size=5).map(lambda told: [several(f"m{n}", *one) for n, one in enumerate(told)])
MODELS = st.builds(
    lambda gib, heads, kv, dtype: sizes(gib, heads=heads, kv_heads=kv, dtype=dtype, itemsize=4 if dtype == "float32" else 2),
    st.floats(0.1, 300), st.sampled_from([7, 16, 32]), st.sampled_from([1, 8]), st.sampled_from(["float32", "bfloat16", "float16"]),
)  # fmt: skip
ENGINES = st.sampled_from([EngineChoice(name=one) for one in ("vllm", "transformers", "gguf")])


def outcome(model: Sizes, engine: EngineChoice, machines: list[Machine]) -> Placement | str | None:
    """What is chosen, or the code of the refusal."""
    try:
        return choose(model, engine, machines)
    except Invalid as error:
        return error.code


@given(MODELS, ENGINES, MACHINES)
def test_the_queue_gives_its_jobs_to_those_whom_it_fits(model: Sizes, engine: EngineChoice, machines: list[Machine]) -> None:
    """And to none whom it does not."""
    found = outcome(model, engine, machines)
    if not isinstance(found, Placement):
        return
    asked = EvaluationRequested(occurred_us=1, producer=STAMP, run_id=run_named("placed"), model=ModelRef(uri="m"), engine=engine)
    need = need_of(asked, Estimate(), found)
    taking = {one.name for one in machines if unfit(need, as_beat(one)) is None}
    assert found.agents and set(found.agents) <= taking
    assert found.tp * found.pp == max(1, found.devices) and LEAST_BATCH <= found.batch_tokens <= TOKENS_AT_ONCE
    assert f"engine:{engine.name}" in need.capabilities and found.device in KINDS[engine.name].devices


@given(MODELS, ENGINES, MACHINES, st.randoms())
def test_the_order_of_agents_does_not_matter(model: Sizes, engine: EngineChoice, machines: list[Machine], draw: Any) -> None:
    """The same is chosen, and the same said."""
    turned = list(machines)
    draw.shuffle(turned)
    assert outcome(model, engine, turned) == outcome(model, engine, machines)


@given(MODELS, ENGINES, MACHINES, MACHINES)
def test_another_agent_takes_nothing_away(model: Sizes, engine: EngineChoice, machines: list[Machine], more: list[Machine]) -> None:
    """What was placed is placed with more agents too, and in no narrower dtype."""
    first = outcome(model, engine, machines)
    both = outcome(model, engine, [*machines, *(replace(one, name=f"n{one.name}") for one in more)])
    if isinstance(first, Placement):
        assert isinstance(both, Placement) and first.dtype in ("bfloat16", both.dtype)


@given(MODELS, ENGINES, MACHINES, st.floats(0.05, 1))
def test_a_smaller_model_fits_where_a_larger_does(model: Sizes, engine: EngineChoice, machines: list[Machine], share: float) -> None:
    """With the weights that it has left."""
    smaller = replace(model, weights_bytes=int(model.weights_bytes * share))
    if isinstance(found := outcome(model, engine, machines), Placement):
        assert isinstance(outcome(smaller, engine, machines), Placement), found


def as_beat(one: Machine) -> Any:
    """The agent's heartbeat."""
    devices = tuple(Device(uuid=str(n), name="d", memory_bytes=size) for n, size in enumerate(one.device_bytes))
    return beat(one.name, gib=one.total_bytes // GIB, devices=devices, capabilities=tuple(one.capabilities))
