"""What a model's files say, without loading it: its hashes, size, length, licence; and whether they are whole."""

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from infra import gguf_files, model_weights, onnx_files, pulled_models, saved_models
from infra.adapters import Adapted, adapted
from infra.hub.cache import Cache
from infra.model_cards import base, languages, licence, published
from infra.model_files import WEIGHTS, counted, read_json, read_text, sha_of
from infra.model_shapes import Shape, shape_of
from infra.places import nameable
from infra.settings import Settings
from schemas.requests import ModelRef
from streams import hub_names
from streams.errors import Invalid

TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")
TOKENIZER_PARTS = (*TOKENIZER_FILES, "merges.txt", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
DTYPE_BYTES = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "int8": 1, "float8_e4m3fn": 1}
GGUF, ONNX = ".gguf", ".onnx"
# The folder of a model's folder in which its ONNX files lie, as Optimum and its kin publish them.
ONNX_FOLDER = "onnx"
# A number of keys and values, as llama.cpp keeps them by default: float16.
KV_BYTES = 2
# An ONNX graph takes keys and values as a past and gives them as a present: both are there at once.
ONNX_COPIES = 2
# Classes of tokenizers that have the special tokens which their files name, and no others: since transformers 5, and before.
PLAIN_TOKENIZERS = ("TokenizersBackend", "PreTrainedTokenizerFast")
# What comes of files whose parts are of other kinds than they should be.
FAILING = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError)


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """What a tokenizer's files say: the number of texts in its own vocabulary, and whether its class brings special tokens of its own.

    `size` is None where only the library can tell. Tokens that were added to it later do not count: many never come up.
    """

    size: int | None = None
    brings_special: bool = True


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """A model as its files describe it. `weights_bytes` as they will be in memory, at the dtype asked for; `published` as its card says.

    `file` and `weights_type` (as `Q4_1`, `int8`) are of a GGUF or ONNX model, which is one file. `weights`: the files of a folder that
    are loaded; `unread`: files of weights beside those; `older`: those of the older form, PyTorch's, beside safetensors, which are not
    loaded either and mostly the same ones.
    Of an adapter `folder` is its base's, `adapter` its own, and the hashes are over both; `tokenizer_folder` is whichever brings one.
    """

    folder: Path
    model_sha: str
    tokenizer_sha: str
    chat_template: str | None
    weights_bytes: int
    parameters: int
    kv_bytes_per_token: int
    max_len: int
    dtype: str
    licence: str | None
    format: str
    languages: tuple[str, ...] = ()
    base: str | None = None
    special_tokens: dict[str, str] = field(default_factory=dict)
    published: str | None = None
    shape: Shape = field(default_factory=Shape)
    tokenizer: Tokenizer = field(default_factory=Tokenizer)
    file: Path | None = None
    weights_type: str | None = None
    unread: tuple[str, ...] = ()
    older: tuple[str, ...] = ()
    weights: tuple[Path, ...] = ()
    adapter: Path | None = None
    tokenizer_folder: Path | None = None


def inspect(model: ModelRef) -> ModelFacts:
    """The model's facts. Raises: Invalid, where it is not there, not whole, of another format, or another than `model.sha256` says."""
    folder = locate(model)
    try:
        return _inspected(model, folder)
    except OSError as error:
        told = f"a file of {folder} cannot be read ({error}); look after its disk, or fetch the model again"
        raise Invalid(told, code="model-broken") from error
    except FAILING as error:
        told = f"the files of {folder} make no sense ({type(error).__name__}: {error!s:.200}); fetch the model again"
        raise Invalid(told, code="model-broken") from error


def _inspected(model: ModelRef, folder: Path) -> ModelFacts:
    if (file := gguf_of(folder)) is not None:
        return _of_gguf(model, gguf_files.read(file))
    if (file := onnx_of(folder)) is not None:
        return _of_onnx(model, onnx_files.read(file))
    if (saved := saved_of(folder)) is not None:
        return _of_saved(model, saved_models.read(saved))
    if (adapter := adapted(folder)) is not None:
        return _on_its_base(model, adapter)
    if model.base is not None:
        raise Invalid(
            f"{folder} is a whole model, and no adapter that base {model.base} could be under; leave base out, or name the adapter's "
            "folder as the model", code="model-adapter",
        )  # fmt: skip
    config = read_json(folder / "config.json", code="model-no-config")
    tokenizer, weights = _tokenizer_files(folder), model_weights.loaded(folder, config)
    parameters, stored_bytes = counted(weights)
    dtype = model.dtype or str(config.get("dtype") or config.get("torch_dtype") or "float32")
    if dtype not in DTYPE_BYTES:
        raise Invalid(f"dtype {dtype[:80]!r} of {model.uri} is unknown; give one of {', '.join(DTYPE_BYTES)}", code="model-dtype")
    settings = read_json(folder / "tokenizer_config.json") if (folder / "tokenizer_config.json").exists() else {}
    shape, sha = shape_of(config, tokenizer=settings), sha_of([*_told_beside(folder), *weights, *tokenizer])
    if model.sha256 is not None and model.sha256 != sha:
        raise Invalid(f"{folder} has the hash {sha}, not {model.sha256} as the request says; is it another model?", code="model-changed")
    return ModelFacts(
        folder=folder, model_sha=sha, tokenizer_sha=sha_of(tokenizer),
        chat_template=_template(folder, settings), parameters=parameters,
        # What is quantised lies in memory as it does in its files: packed, so that its numbers are no parameters.
        weights_bytes=stored_bytes if shape.quantised else parameters * DTYPE_BYTES[dtype] or stored_bytes,
        kv_bytes_per_token=shape.kv_numbers * DTYPE_BYTES[dtype], max_len=shape.max_len, dtype=dtype, licence=licence(folder),
        format=weights[0].suffix.removeprefix("."), special_tokens=_special(folder, settings), published=published(folder), shape=shape,
        languages=languages(folder), base=base(folder), tokenizer=_tokenizer(folder, settings), 
        unread=model_weights.unread(folder, weights), older=model_weights.older(folder, weights),
        weights=tuple(weights), weights_type=shape.method or None,
    )  # fmt: skip


def _tokenizer_files(folder: Path) -> list[Path]:
    """The tokenizer's files. Raises: Invalid where there is none."""
    if not any((folder / name).exists() for name in TOKENIZER_FILES):
        raise Invalid(
            f"{folder} has no tokenizer (one of {', '.join(TOKENIZER_FILES)}); save it beside the model", code="model-no-tokenizer"
        )
    return [folder / name for name in TOKENIZER_PARTS if (folder / name).exists()]


def _on_its_base(model: ModelRef, adapter: Adapted) -> ModelFacts:
    """The facts of an adapter on the model that it is for. Raises: Invalid, where that is not here, or an adapter too."""
    named = model.base or adapter.base
    if named is None:
        raise Invalid(f"{adapter.folder} does not say of which model it is an adapter; give --base", code="model-adapter")
    whole = ModelRef(uri=named, revision=None if model.base else adapter.revision, dtype=model.dtype, trust_code=model.trust_code)
    try:
        place = locate(whole)
        if any(of(place) is not None for of in (gguf_of, onnx_of, saved_of, adapted)):
            told = f"{named} is a GGUF or ONNX file, a SavedModel, or an adapter itself; a folder of a whole model is needed"
            raise Invalid(told, code="model-adapter")
        under = inspect(whole)
    except Invalid as error:
        raise Invalid(f"{adapter.folder} is an adapter of {named}, which --base can name otherwise: {error}", code=error.code) from error
    own = [adapter.folder / name for name in TOKENIZER_PARTS if (adapter.folder / name).exists()]
    brings = any((adapter.folder / name).exists() for name in TOKENIZER_FILES)
    place = adapter.folder if brings else under.folder
    settings = read_json(place / "tokenizer_config.json") if (place / "tokenizer_config.json").exists() else {}
    sha = hashlib.sha256(f"{under.model_sha}\x1f{sha_of([*adapter.files, *(own if brings else [])])}".encode()).hexdigest()
    if model.sha256 is not None and model.sha256 != sha:
        raise Invalid(f"{adapter.folder} on {named} has the hash {sha}, not {model.sha256} as the request says", code="model-changed")
    more = counted([adapter.weights])
    return replace(
        under, model_sha=sha, tokenizer_sha=sha_of(own) if brings else under.tokenizer_sha, adapter=adapter.folder, tokenizer_folder=place,
        chat_template=_template(place, settings) or under.chat_template, special_tokens=_special(place, settings),
        tokenizer=_tokenizer(place, settings), weights_bytes=under.weights_bytes + more[0] * DTYPE_BYTES[under.dtype],
        licence=licence(adapter.folder) or under.licence, languages=languages(adapter.folder) or under.languages,
        published=published(adapter.folder), base=named,
    )  # fmt: skip


def _told_beside(folder: Path) -> list[Path]:
    """What an engine reads beside weights and tokenizer: the model's shape, how it generates by itself, and code of its own."""
    generation = folder / "generation_config.json"
    return [folder / "config.json", *([generation] if generation.exists() else []), *sorted(folder.glob("*.py"))]


def _of_gguf(model: ModelRef, read: gguf_files.Gguf) -> ModelFacts:
    """The facts of a GGUF file, which is computed with as llama.cpp does: in float32, but where its weights are plain."""
    folder, sha, shape = read.path.parent, sha_of([read.path]), read.shape
    if model.sha256 is not None and model.sha256 != sha:
        raise Invalid(f"{read.path} has the hash {sha}, not {model.sha256} as the request says; is it another model?", code="model-changed")
    dtype = model.dtype or gguf_files.PLAIN.get(read.weights_type, "float32")
    told = read.metadata.get("general.license")
    return ModelFacts(
        folder=folder, model_sha=sha, tokenizer_sha=read.tokenizer_sha, chat_template=read.metadata.get("tokenizer.chat_template"),
        weights_bytes=read.path.stat().st_size, parameters=read.parameters, kv_bytes_per_token=shape.kv_numbers * KV_BYTES,
        max_len=shape.max_len, dtype=dtype, licence=licence(folder) or (told if isinstance(told, str) else None), format="gguf",
        special_tokens=read.special_tokens, published=published(folder), shape=shape, languages=languages(folder), base=base(folder),
        tokenizer=Tokenizer(len(read.tokens), brings_special=False), file=read.path, weights_type=read.weights_type,
    )  # fmt: skip


def _of_onnx(model: ModelRef, read: onnx_files.Onnx) -> ModelFacts:
    """The facts of an ONNX file, which is computed with as it stands; configuration and tokenizer lie beside it, or in the folder above."""
    onnx_files.check_decoder(read)
    folder = read.path.parent if (read.path.parent / "config.json").exists() else read.path.parent.parent
    config, tokenizer = read_json(folder / "config.json", code="model-no-config"), _tokenizer_files(folder)
    settings = read_json(folder / "tokenizer_config.json") if (folder / "tokenizer_config.json").exists() else {}
    sha = sha_of([*_told_beside(folder), read.path, *read.beside, *tokenizer])
    if model.sha256 is not None and model.sha256 != sha:
        raise Invalid(f"{read.path} has the hash {sha}, not {model.sha256} as the request says; is it another model?", code="model-changed")
    shape = replace(shape_of(config, tokenizer=settings), quantised=read.quantised)
    per_token = ONNX_COPIES * read.kv_numbers * DTYPE_BYTES[read.kv_dtype]
    return ModelFacts(
        folder=folder, model_sha=sha, tokenizer_sha=sha_of(tokenizer), chat_template=_template(folder, settings),
        weights_bytes=read.size_bytes, parameters=read.parameters, kv_bytes_per_token=per_token,
        max_len=shape.max_len, dtype=read.dtype, licence=licence(folder), format="onnx", special_tokens=_special(folder, settings),
        published=published(folder), shape=shape, languages=languages(folder), base=base(folder), tokenizer=_tokenizer(folder, settings),
        file=read.path, weights_type=read.weights_type,
    )  # fmt: skip


def _of_saved(model: ModelRef, read: saved_models.SavedModel) -> ModelFacts:
    """The facts of a SavedModel; configuration and tokenizer lie beside it, or in the folder above. It keeps no keys and values."""
    above = read.path.parent.parent
    folder = next((one for one in (read.path.parent, above, above.parent) if (one / "config.json").exists()), read.path.parent)
    config, tokenizer = read_json(folder / "config.json", code="model-no-config"), _tokenizer_files(folder)
    settings = read_json(folder / "tokenizer_config.json") if (folder / "tokenizer_config.json").exists() else {}
    sha = sha_of([*_told_beside(folder), *read.files, *tokenizer])
    if model.sha256 is not None and model.sha256 != sha:
        raise Invalid(f"{read.path} has the hash {sha}, not {model.sha256} as the request says; is it another model?", code="model-changed")
    shape, dtype = shape_of(config, tokenizer=settings), str(config.get("dtype") or config.get("torch_dtype") or "float32")
    return ModelFacts(
        folder=folder, model_sha=sha, tokenizer_sha=sha_of(tokenizer), chat_template=_template(folder, settings),
        weights_bytes=read.size_bytes, parameters=0, kv_bytes_per_token=0, max_len=shape.max_len, dtype=dtype, licence=licence(folder),
        format="savedmodel", special_tokens=_special(folder, settings), published=published(folder), shape=shape,
        languages=languages(folder), base=base(folder), tokenizer=_tokenizer(folder, settings), file=read.path,
    )  # fmt: skip


def read_by(facts: ModelFacts, *, engine: str) -> ModelFacts:
    """The facts as they are where that engine has the model in memory: any but llama.cpp's dequantises a GGUF file."""
    if facts.format != "gguf" or engine == "gguf":
        return facts
    size = DTYPE_BYTES[facts.dtype]
    return replace(facts, weights_bytes=facts.parameters * size, kv_bytes_per_token=facts.shape.kv_numbers * size)


def locate(model: ModelRef) -> Path:
    """Where a model is: its folder, its GGUF or ONNX file, the folder into which it was pulled by that name, or brought from a hub.

    Raises: Invalid where it is nowhere.
    """
    folder = Path(model.uri).expanduser()
    if not nameable(folder):
        raise Invalid(f"{model.uri[:80]}… is longer than a name of a file may be; name a folder", code="model-not-found")
    if folder.is_dir() or (folder.is_file() and (folder.suffix in (GGUF, ONNX) or folder.name == saved_models.GRAPH)):
        _refuse_revision(model)
        return folder
    if folder.is_file():
        raise Invalid(
            f"{model.uri} is a file; name the folder that holds it, with its config.json and its tokenizer: {folder.parent}",
            code="model-not-found",
        )
    if (pulled := pulled_models.folder_of(model.uri)) is not None:
        _refuse_revision(model)
        return pulled
    hub = hub_names.named(model)
    if hub is None:
        raise Invalid(f"no model at {model.uri}: there is no such folder here{pulled_models.hint(model.uri)}", code="model-not-found")
    if (brought := Cache(Settings()).folder_of(hub)) is not None:
        return brought
    what = f"{model.uri}@{model.revision}" if model.revision else model.uri
    raise Invalid(f"no model {what}: no such folder is here, and none was fetched; `assay pull {what}` fetches it", code="model-not-found")


def _refuse_revision(model: ModelRef) -> None:
    if model.revision is not None:
        raise Invalid(
            f"{model.uri} lies here, and has no revision {model.revision}: only the hub has revisions; leave it out, or give sha256 to be "
            "sure of the files", code="model-revision",
        )  # fmt: skip


def gguf_of(place: Path) -> Path | None:
    """The GGUF file that a place is, or that its folder holds and nothing else; None where weights of another format are there.

    Raises: Invalid where there are several, or weights of another format beside it.
    """
    if place.is_file():
        return place if place.suffix == GGUF else None
    return _only(place, sorted(place.glob(f"*{GGUF}")), _others(place, f"*{ONNX}"), kind="GGUF")


def onnx_of(place: Path) -> Path | None:
    """The ONNX file that a place is, or that its folder, or one named onnx in it, holds and nothing else; None as for `gguf_of`.

    Where weights of another format lie in the folder itself, these are the model, and what lies in its folder onnx is another, by its name.

    Raises: Invalid as `gguf_of`.
    """
    if place.is_file():
        return place if place.suffix == ONNX else None
    files, others = sorted(place.glob(f"*{ONNX}")), _others(place, f"*{GGUF}")
    if not files and not others:
        files = sorted((place / ONNX_FOLDER).glob(f"*{ONNX}"))
    return _only(place, files, others, kind="ONNX")


def saved_of(place: Path) -> Path | None:
    """The graph of the SavedModel that a folder is or holds; None where weights of another format lie in the folder itself.

    Raises: Invalid where it lies beside such.
    """
    found = saved_models.graph_in(place)
    others = [path for pattern in WEIGHTS for path in place.glob(pattern)] if place.is_dir() else []
    if found is None or (others and found.parent != place):
        return None
    return _only(place, [found], others, kind="SavedModel")


def _others(place: Path, beside: str) -> list[Path]:
    return [path for pattern in (*WEIGHTS, beside) for path in place.glob(pattern)]


def _only(place: Path, files: list[Path], others: list[Path], *, kind: str) -> Path | None:
    """The one of these files; None where there is none. Raises: Invalid where there are several, or others beside them."""
    if files and others:
        raise Invalid(
            f"{place} holds {files[0].name} and {others[0].name}, two formats; name the file {files[0]}, or move it away",
            code="model-two-formats",
        )
    if len(files) > 1:
        raise Invalid(
            f"{place} holds {len(files)} {kind} files; name the one that is meant: {', '.join(map(str, files))}", code="model-parts"
        )
    return files[0] if files else None


def _template(folder: Path, settings: dict[str, Any]) -> str | None:
    if (folder / "chat_template.jinja").exists():
        return read_text(folder / "chat_template.jinja")
    template = settings.get("chat_template")
    return template if isinstance(template, str) else None


def _special(folder: Path, settings: dict[str, Any]) -> dict[str, str]:
    older = read_json(folder / "special_tokens_map.json") if (folder / "special_tokens_map.json").exists() else {}
    told = {name: settings.get(name) or older.get(name) for name in ("bos_token", "eos_token", "pad_token", "unk_token")}
    texts = {name: value.get("content") if isinstance(value, dict) else value for name, value in told.items()}
    return {name: text for name, text in texts.items() if isinstance(text, str)}


def _tokenizer(folder: Path, settings: dict[str, Any]) -> Tokenizer:
    brings = settings.get("tokenizer_class") not in PLAIN_TOKENIZERS
    if not (folder / "tokenizer.json").exists():
        return Tokenizer(brings_special=brings)
    model = read_json(folder / "tokenizer.json").get("model")
    if not isinstance(model, dict):
        raise Invalid(f"{folder / 'tokenizer.json'} has no model of a tokenizer; fetch the model again", code="model-broken")
    vocabulary = model.get("vocab")
    if isinstance(vocabulary, dict):  # text → id
        ids = [value for value in vocabulary.values() if isinstance(value, int)]
        return Tokenizer(max(ids, default=-1) + 1, brings)
    return Tokenizer(len(vocabulary) if isinstance(vocabulary, list) else None, brings)
