"""What stands around an NVIDIA GPU: what lacks is said, nvidia-smi's lines are read, a model is made that fills the card."""

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.cards import Told, read
from benchmarks.filling import BESIDE_RATIO, ENGINES, ITEMSIZE, Shape, filling
from benchmarks.gpu import energies, floor_s
from infra.engine_environments import has_nvidia_gpu
from streams.errors import Invalid
from streams.model_memory import TOKENS_AT_ONCE
from streams.placing.ways import needed_bytes

GIB = 2**30


@pytest.mark.skipif(has_nvidia_gpu(), reason="there is a GPU here")
def test_without_a_gpu_one_line_says_so_and_it_is_no_success() -> None:
    """So that `make test-gpu` and `make bench-gpu` end there."""
    done = subprocess.run([sys.executable, "-m", "benchmarks.cards"], capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == ["no NVIDIA GPU: the driver's library (libnvidia-ml.so.1) is not here, or shows none"]


def test_nvidia_smis_lines_are_read() -> None:
    """What a card does not tell is not known, however it says so."""
    said = "GPU-1, NVIDIA H200, 123.45, 1024, 512, 41, 7\nGPU-2, A, [N/A], 10, [Not Supported], [Unknown Error], [N/A]\n"
    assert read(said) == [
        Told("GPU-1", "NVIDIA H200", 123.45, 1536 * 2**20, 41.0, 0.07), Told("GPU-2", "A", None, 10 * 2**20, None, None),
    ]  # fmt: skip
    assert read("") == []


@given(st.integers(4, 200), st.integers(4, 500), st.integers(4, 500))
def test_a_model_fills_the_card_and_nothing_beside_it(card: int, host: int, disk: int) -> None:
    """Planning gives it to the card on both engines, and a layer more would not go."""
    shape = filling(card_bytes=card * GIB, host_bytes=host * GIB, disk_bytes=disk * GIB)
    deeper = Shape(shape.width, shape.layers + 1)

    def fits(one: Shape) -> bool:
        whole = max(needed_bytes(one.sizes, engine, device="cuda", batch=TOKENS_AT_ONCE) for engine in ENGINES)
        return whole <= card * GIB and ITEMSIZE * one.parameters <= BESIDE_RATIO * min(host, disk) * GIB

    assert fits(shape) and not fits(deeper)
    assert shape.sizes.heads % shape.kv_heads == 0


def test_a_model_fills_most_of_the_cards_that_there_are() -> None:
    """Weights are two fifths of a card of 16 GiB, and more of larger ones; what is too small bears none."""
    for card in (16, 24, 80, 141):
        assert ITEMSIZE * filling(card_bytes=card * GIB, host_bytes=2000 * GIB, disk_bytes=2000 * GIB).parameters > 0.4 * card * GIB
    with pytest.raises(Invalid, match="no model is small enough"):
        filling(card_bytes=GIB, host_bytes=GIB, disk_bytes=GIB)


def test_the_floor_is_the_bytes_that_steps_cannot_do_without() -> None:
    """Weights once a step; keys and values of every text, as many as there are half way."""
    shape = Shape(1024, 8)
    alone = floor_s(shape, texts=1, prompt_tokens=10, output_tokens=100, bytes_per_s=1e9)
    assert alone == pytest.approx(100 * (shape.step_bytes + shape.sizes.kv_bytes_per_token * 60) / 1e9)
    assert floor_s(shape, texts=64, prompt_tokens=10, output_tokens=100, bytes_per_s=1e9) < 64 * alone


def reading(at_s: float, *, mj: int | None, power_w: float | None) -> dict[str, Any]:
    """A reading of a card."""
    return {"mono_ns": round(at_s * 1e9), "energy_uj": None if mj is None else mj * 1000, "power_w": power_w}


def test_energy_counted_stands_beside_power_integrated() -> None:
    """300 W for a second are 300 J; what a card does not tell is not known."""
    taken = [reading(n / 10, mj=1000 + 30_300 * n, power_w=300.0) for n in range(11)]
    assert energies(taken) == {"counted_j": 303.0, "integrated_j": 300.0, "ratio": pytest.approx(1.01), "readings": 11}
    assert energies([reading(n, mj=None, power_w=None) for n in range(2)])["ratio"] is None
