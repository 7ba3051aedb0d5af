"""What a model's files may say that makes no sense: a refusal in words that name the folder, whatever stands in them."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.models import inspect
from infra.preparing import estimate_of
from schemas.requests import EngineChoice, ModelRef
from schemas.runs import Estimate
from streams.errors import Invalid
from tests.models import causal

BROKEN = (b"", b"{", b"[]", b"null", b"\xff\xfe{}", b"[" * 20_000, b'{"a":' * 20_000, b'{"a":1e999}')
VALUES: tuple[Any, ...] = (None, True, -1, 0, 10**30, 1e999, "x", "\ud800", "x" * 100_000, [], [[]], [{}], {}, {"a": {"b": []}})
FIELDS = {
    "config.json": (
        "architectures", "model_type", "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim",
        "vocab_size", "max_position_embeddings", "dtype", "text_config", "intermediate_size", "is_decoder", "quantization_config",
    ),
    "tokenizer.json": ("model", "added_tokens"),
    "tokenizer_config.json": ("bos_token", "eos_token", "tokenizer_class", "chat_template"),
    "special_tokens_map.json": ("bos_token", "unk_token"),
    "model.safetensors.index.json": ("weight_map", "metadata"),
    "adapter_config.json": ("base_model_name_or_path", "revision", "peft_type"),
}  # fmt: skip
HEADERS: tuple[Any, ...] = (
    [], {"a": 5}, {"a": {}}, {"a": {"dtype": "F32", "shape": [1]}}, {"a": {"shape": "x", "data_offsets": [0, 4]}},
    {"a": {"shape": [-4, 10**30], "data_offsets": [0, 4]}}, {"a": {"shape": [10**9], "data_offsets": [0, 4]}},
    {"a": {"shape": [1], "data_offsets": [4, 0]}}, {"a": {"shape": [1.5], "data_offsets": [0, 8]}},
    {"a": {"shape": [1], "data_offsets": 3}},
)  # fmt: skip


def survived(folder: Path) -> None:
    """Raises, where the files are neither taken nor refused in words."""
    try:
        facts = inspect(ModelRef(uri=str(folder)))
    except Invalid as refusal:
        assert str(folder) in str(refusal) and len(str(refusal)) < 2000
    else:
        assert isinstance(estimate_of(facts, engine=EngineChoice()), Estimate)
        assert facts.weights_bytes < 2**62


def told_wrongly(path: Path) -> Iterator[bytes]:
    """The file with other bytes, and with each of its fields of another kind."""
    yield from BROKEN
    told = json.loads(path.read_text()) if path.exists() else {}
    for name in FIELDS[path.name]:
        yield from (json.dumps(told | {name: value}).encode() for value in VALUES)


@pytest.mark.parametrize("name", FIELDS)
def test_a_file_of_another_kind_is_taken_or_refused(name: str, tmp_path: Path) -> None:
    """Whichever of its fields is not what it should be."""
    path = causal(tmp_path / "model") / name
    for told in tuple(told_wrongly(path)):
        path.write_bytes(told)
        survived(path.parent)


@pytest.mark.parametrize("header", HEADERS, ids=str)
def test_a_header_of_tensors_that_cannot_be_is_refused(header: Any, tmp_path: Path) -> None:
    """Their sizes would be planned with."""
    folder, told = causal(tmp_path / "model"), json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(told)) + told + bytes(16))
    with pytest.raises(Invalid, match="broken header"):
        inspect(ModelRef(uri=str(folder)))


def test_a_template_that_is_no_text_and_a_file_that_is_too_long_are_refused(tmp_path: Path) -> None:
    """What is read whole is held in memory."""
    folder = causal(tmp_path / "model")
    (folder / "chat_template.jinja").write_bytes(b"\xff\xfe")
    with pytest.raises(Invalid, match=r"chat_template\.jinja is no text"):
        inspect(ModelRef(uri=str(folder)))
    with (folder / "chat_template.jinja").open("wb") as file:
        file.truncate(200 * 2**20)
    with pytest.raises(Invalid, match="at most 104,857,600 are read"):
        inspect(ModelRef(uri=str(folder)))


def test_numbers_that_no_model_has_are_refused(tmp_path: Path) -> None:
    """Memory is planned by them."""
    path = causal(tmp_path / "model") / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"num_hidden_layers": 10**12}))
    with pytest.raises(Invalid, match="no model is as wide, as deep or as long as it says"):
        inspect(ModelRef(uri=str(path.parent)))
