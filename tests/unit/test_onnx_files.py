"""What an ONNX file says of its model: read by itself, held to what onnx writes; files that are cut, odd, foreign or no decoders."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save_model

from infra import onnx_files, onnx_graphs
from infra.models import inspect
from schemas.requests import ModelRef
from streams.errors import Invalid
from tests.models import causal

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
TOKENS = ("input_ids", INT64, ["rows", "tokens"])
LOGITS = ("logits", FLOAT, ["rows", "tokens", 3])
PAST = [(f"past_key_values.{n}.{part}", FLOAT, ["rows", 2, "past", 8]) for n in (0, 1, 10) for part in ("key", "value")]
PRESENT = [(f"present.{n}.{part}", FLOAT, ["rows", 2, "all", 8]) for n in (10, 1, 0) for part in ("key", "value")]
WEIGHTS = {"a": np.ones((40, 50), np.float32), "b": np.ones((7,), np.float32), "shape": np.array([1, 2, 3])}


def made(
    place: Path, *, inputs: Any = (TOKENS, *PAST), outputs: Any = (LOGITS, *PRESENT), weights: Any = WEIGHTS, nodes: Any = (),
    beside: bool = False,
) -> Path:  # fmt: skip
    """A file with these inputs, outputs and weights."""
    ports = [[helper.make_tensor_value_info(*one) for one in some] for some in (inputs, outputs)]
    named = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    model = helper.make_model(helper.make_graph(list(nodes), "g", *ports, named), opset_imports=[helper.make_opsetid("", 17)])
    told = {"save_as_external_data": True, "location": "m.onnx_data", "size_threshold": 0} if beside else {}
    save_model(model, place / "m.onnx", **told)
    return place / "m.onnx"


def test_a_file_says_what_is_in_it(tmp_path: Path) -> None:
    """Inputs and outputs by layer, shapes, types, numbers; what is no weight is not counted."""
    read = onnx_files.read(made(tmp_path))
    onnx_files.check_decoder(read)
    assert [port.name for port in read.past] == [name for name, *_ in PAST]
    assert [port.name for port in read.present] == [name.replace("past_key_values", "present") for name, *_ in PAST]
    assert (read.kv_numbers, read.kv_dtype, read.dtype, read.parameters, read.beside) == (6 * 16, "float32", "float32", 2007, ())
    assert read.inputs[0] == onnx_graphs.Port("input_ids", 7, (None, None))
    assert (read.quantised, read.weights_type, read.size_bytes) == (False, "float32", read.path.stat().st_size)


def test_quantised_weights_are_told_and_counted(tmp_path: Path) -> None:
    """Of 8 bits, of 4 bits that lie packed, within a graph of a graph; zero points are none."""
    whole = made(tmp_path, weights={"w": np.ones((40, 50), np.int8), "e": np.ones((40, 60), np.float32)})
    assert (onnx_files.read(whole).weights_type, onnx_files.read(whole).quantised, onnx_files.read(whole).dtype) == (
        "int8",
        True,
        "float32",
    )
    few = made(tmp_path, weights={"z": np.ones(40, np.uint8), "e": np.ones((40, 60), np.float16)})
    assert (onnx_files.read(few).weights_type, onnx_files.read(few).quantised, onnx_files.read(few).dtype) == ("float16", False, "float16")
    node = helper.make_node("MatMulNBits", ["x", "w", "s"], ["y"], domain="com.microsoft", K=64, N=10, bits=4, block_size=32)
    inner = helper.make_graph([node], "inner", [], [helper.make_tensor_value_info("y", FLOAT, None)],
                              [numpy_helper.from_array(np.ones((10, 2, 16), np.uint8), "w")])  # fmt: skip
    way = helper.make_node("If", ["use_cache_branch"], ["z"], then_branch=inner, else_branch=helper.make_graph([], "n", [], []))
    packed = onnx_files.read(made(tmp_path, weights={"s": np.ones(20, np.float32)}, nodes=[way]))
    assert (dict(packed.counted), packed.weights_type) == ({"float32": 20, "int4": 640}, "int4")


@pytest.mark.parametrize("kept", [0, 1, 30, 200, 0.5, 0.9, 0.999])
def test_a_file_that_is_cut_is_refused(tmp_path: Path, kept: float) -> None:
    """Wherever it was; and what lies beside it."""
    file = made(tmp_path)
    whole = file.read_bytes()
    file.write_bytes(whole[: int(kept * len(whole)) if 0 < kept < 1 else int(kept)])
    with pytest.raises(Invalid, match=r"m\.onnx is no whole ONNX file: .*; fetch the model again") as caught:
        onnx_files.read(file)
    assert caught.value.code == "model-truncated"


def test_every_cut_of_its_end_is_seen(tmp_path: Path) -> None:
    """Also of the last bytes, which say what its operators are."""
    file = made(tmp_path, weights={})
    whole = file.read_bytes()
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        with pytest.raises(Invalid, match="is no whole ONNX file"):
            onnx_files.read(file)


@pytest.mark.parametrize(
    "content", [b"GGUF" * 40, b"<html>" * 30, b"version https://git-lfs.github.com/spec/v1\n", b"\x80\x04}." * 20, b"\xff" * 99]
)
def test_a_foreign_file_is_refused(tmp_path: Path, content: bytes) -> None:
    """Another format, a page, a pointer, a pickle."""
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(Invalid, match="is no whole ONNX file"):
        onnx_files.read(tmp_path / "m.onnx")


def test_a_file_that_makes_no_sense_is_refused_or_read(tmp_path: Path) -> None:
    """Any byte of it may be anything, and nothing else happens."""
    file, draw = made(tmp_path), np.random.default_rng(1)
    whole = file.read_bytes()
    for place in [*range(60), *draw.integers(0, len(whole), 200)]:
        file.write_bytes(whole[:place] + bytes([int(draw.integers(256))]) + whole[place + 1 :])
        try:
            onnx_files.check_decoder(onnx_files.read(file))
        except Invalid as error:
            assert "m.onnx" in str(error)


def test_numbers_beside_it_must_be_there(tmp_path: Path) -> None:
    """All of them, and nowhere else."""
    file, beside = made(tmp_path, beside=True), tmp_path / "m.onnx_data"
    assert onnx_files.read(file).beside == (beside,)
    assert onnx_files.read(file).size_bytes == file.stat().st_size + beside.stat().st_size
    whole = beside.read_bytes()
    beside.write_bytes(whole[:-1])
    with pytest.raises(Invalid, match=rf"m\.onnx_data has {len(whole) - 1} of {len(whole)} bytes; fetch the model again"):
        onnx_files.read(file)
    beside.unlink()
    with pytest.raises(Invalid, match=r"m\.onnx lacks m\.onnx_data, in which its numbers lie") as caught:
        onnx_files.read(file)
    assert caught.value.code == "model-truncated"
    for elsewhere in (b"../../etc/a", b"/etc/passwd"):
        file.write_bytes(file.read_bytes().replace(b"m.onnx_data", elsewhere))
        with pytest.raises(Invalid, match=r"names numbers outside of its folder|is no whole ONNX file"):
            onnx_files.read(file)


@pytest.mark.parametrize(
    ("inputs", "outputs", "said"),
    [
        ((TOKENS, ("token_type_ids", INT64, ["rows", "tokens"])), (LOGITS,), "wants the input token_type_ids"),
        ((TOKENS, ("encoder_hidden_states", FLOAT, ["r", "t", 4])), (LOGITS,), "wants the input encoder_hidden_states"),
        ((TOKENS,), (("last_hidden_state", FLOAT, ["rows", "tokens", 4]),), "has no logits"),
        ((("input_ids", INT64, [1, 128]),), (LOGITS,), r"takes \(1, 128\) tokens and no other number"),
        ((TOKENS, *PAST), (LOGITS,), "takes other keys and values than it gives"),
        ((TOKENS, *PAST[:2]), (LOGITS, *PRESENT), "takes other keys and values than it gives"),
        ((TOKENS, ("past_key_values.0.key", FLOAT, ["r", "p", 8])), (LOGITS, ("present.0.key", FLOAT, ["r", "p", 8])), "keeps past_key"),
        ((("input_ids", FLOAT, ["rows", "tokens"]),), (LOGITS,), "takes input_ids as other than whole numbers"),
    ],
)  # fmt: skip
def test_what_is_no_decoder_is_refused(tmp_path: Path, inputs: Any, outputs: Any, said: str) -> None:
    """With what it wants or lacks, and how to export one, before anything is loaded."""
    place = causal(tmp_path)
    (place / "model.safetensors").unlink()
    made(place, inputs=inputs, outputs=outputs)
    with pytest.raises(Invalid, match=rf"m\.onnx {said}.*engine onnx cannot run it.*text-generation-with-past") as caught:
        inspect(ModelRef(uri=str(place)))
    assert caught.value.code == "engine-cannot"


def test_a_folder_of_one_is_a_model(tmp_path: Path) -> None:
    """With its configuration and tokenizer in the folder above; without these it says what lacks."""
    place = causal(tmp_path / "m")
    (place / "model.safetensors").unlink()
    (place / "onnx").mkdir()
    file = made(place / "onnx")
    facts = inspect(ModelRef(uri=str(place)))
    assert (facts.format, facts.file, facts.folder, facts.kv_bytes_per_token) == ("onnx", file, place, 2 * 6 * 16 * 4)
    with pytest.raises(Invalid, match="has the hash"):
        inspect(ModelRef(uri=str(place), sha256="0" * 64))
    (place / "tokenizer.json").unlink()
    with pytest.raises(Invalid, match="has no tokenizer"):
        inspect(ModelRef(uri=str(file)))
    (place / "config.json").unlink()
    with pytest.raises(Invalid, match=r"has no config\.json"):
        inspect(ModelRef(uri=str(file)))
