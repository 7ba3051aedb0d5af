"""Whether an engine can run a model, as far as the model's files tell: what would load and then fail, or be another thing than it seems."""

from collections.abc import Mapping
from typing import Final

from infra.adapters import CONFIG
from infra.model_files import read_json
from infra.model_weights import other_for_vllm
from infra.models import ONNX, ONNX_FOLDER, ModelFacts
from infra.trust import HOW
from schemas.requests import ModelRef
from streams.engines import ADAPTING, NAMES, check_format, quantised_by
from streams.errors import Invalid

# What numbers can be computed with; others only store weights.
COMPUTED: Final = ("float64", "float32", "float16", "bfloat16")
# Families whose models see a whole text at once, unless their configuration makes decoders of them: those of which transformers 5.19 has a
# masked language model (modeling_auto.py, MODEL_FOR_MASKED_LM_MAPPING_NAMES; a test holds the list against it), older ones, and XLNet that
# reads in any order. A family that is not here is found when it is loaded (gpu_agent/engines/causality.py).
ENCODERS: Final = frozenset({
    "albert", "bert", "big_bird", "camembert", "convbert", "data2vec-text", "deberta", "deberta-v2", "distilbert", "electra", "ernie",
    "esm", "esmc", "eurobert", "flaubert", "fnet", "funnel", "gte", "ibert", "jina_embeddings_v3", "layoutlm", "longformer", "luke",
    "megatron-bert", "mobilebert", "modernbert", "modernvbert", "mpnet", "mra", "neomme", "nezha", "nomic_bert", "nystromformer",
    "perceiver", "reformer", "rembert", "roberta", "roberta-prelayernorm", "roc_bert", "roformer", "splinter", "squeezebert", "tapas",
    "xlm", "xlm-roberta", "xlm-roberta-xl", "xlnet", "xmod", "yoso",
})  # fmt: skip
# Models that are encoders by their own names, of whatever family: T5EncoderModel is T5's.
ENCODING: Final = ("ForMaskedLM", "EncoderModel")
CLASSIFIERS: Final = ("ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering", "ForMultipleChoice")
CAUSAL: Final = ("mlx", "onnx", "tensorflow", "transformers", "vllm")
WITHOUT_DOUBLE: Final = ("mlx", "vllm")  # engines that compute in no float64
# What the settings of an adapter say that vLLM serves.
SERVED_BY_VLLM: Final[Mapping[str, tuple[object, ...]]] = {
    "peft_type": ("LORA",),
    "use_dora": (None, False),
    "bias": (None, "none"),
    "modules_to_save": (None, []),
}
SEEN_IN_FILES: Final = ("revision", "sha256", "format", "dtype", "quantisation")


def check(facts: ModelFacts, *, engine: str) -> None:
    """Raises: Invalid, saying what the model is and what to do, where the engine cannot run it."""
    _check_named(facts, engine=engine)
    check_format(engine, facts.format, model=facts.file or facts.folder)
    if facts.adapter is not None and engine not in ADAPTING:
        raise Invalid(
            f"{facts.adapter} is an adapter, which engine {engine} puts on no model; give engine {', '.join(ADAPTING)}, or merge it (peft: "
            "merge_and_unload), save it with its tokenizer, and name the result", code="model-adapter",
        )  # fmt: skip
    quantised_by(engine, facts.shape.method, model=facts.folder)
    if facts.dtype not in COMPUTED:
        raise Invalid(
            f"dtype {facts.dtype} of {facts.folder} stores weights, and nothing is computed with it by engine {engine}; give dtype "
            f"{', '.join(COMPUTED[1:-1])} or {COMPUTED[-1]}", code="model-dtype",
        )  # fmt: skip
    _check_unread(facts, engine=engine)
    _check_tokenizer(facts)
    if engine in CAUSAL and facts.format != "gguf":
        _check_causal(facts, engine=engine)
    if engine in WITHOUT_DOUBLE and facts.dtype == "float64":
        raise Invalid(
            f"engine {engine} does not compute with dtype float64 of {facts.folder}; give dtype float32, or engine transformers",
            code="model-dtype",
        )
    if engine == "vllm":
        _check_for_vllm(facts)


def check_told(model: ModelRef, facts: ModelFacts | None) -> None:
    """Raises: Invalid where the request says of the model what its files deny, or what nobody here can see; `facts`: None without files."""
    if facts is None:
        if told := [name for name in SEEN_IN_FILES if getattr(model, name) is not None]:
            raise Invalid(
                f"{told[0]} of {model.uri} would say what nobody here can see, for its files are not read; leave it out",
                code="model-unseen",
            )
        return
    place = facts.file or facts.folder
    if facts.format == "savedmodel" and not model.trust_code:
        raise Invalid(
            f"{place} is a program of TensorFlow's, which may read and write files: it runs only where it is trusted by {HOW}",
            code="model-own-code",
        )
    if model.format is not None and model.format != facts.format:
        raise Invalid(
            f"{place} is {NAMES.get(facts.format, facts.format)}, not {model.format} as the request says; name the model that is, or leave "
            "format out", code="model-format",
        )  # fmt: skip
    if model.quantisation is not None and model.quantisation != facts.weights_type:
        has = f"its weights are {facts.weights_type}" if facts.weights_type else "nothing in its files says that"
        raise Invalid(
            f"{place} is not quantised as {model.quantisation}: {has}, and no engine here quantises weights as it loads them; name weights "
            "that are, or leave quantisation out", code="model-quantisation",
        )  # fmt: skip


def check_load(max_len: int, *, input_tokens: int, output_tokens: int) -> None:
    """Raises: Invalid where a load's requests are longer than the model's window: what was cut would be measured for the whole."""
    if input_tokens + output_tokens > max_len:
        raise Invalid(
            f"the load's requests have {input_tokens} + {output_tokens} tokens, and the model's window {max_len}; give fewer input_tokens "
            "or output_tokens", code="load-too-long",
        )  # fmt: skip


def _check_named(facts: ModelFacts, *, engine: str) -> None:
    """Raises: Invalid, with the files, where engine onnx is given a model whose export to ONNX lies in a folder of the model's."""
    if engine == "onnx" and facts.format != engine and (own := sorted((facts.folder / ONNX_FOLDER).glob(f"*{ONNX}"))):
        told = f"{facts.folder} itself is {NAMES.get(facts.format, facts.format)}; name the ONNX file that is meant"
        raise Invalid(f"{told}: {', '.join(map(str, own))}", code="engine-format")


def _check_unread(facts: ModelFacts, *, engine: str) -> None:
    if facts.unread:
        raise Invalid(
            f"{facts.folder} holds {facts.unread[0]} beside the weights that are loaded; name a folder of one model, or move it away",
            code="model-two-weights",
        )
    if engine == "vllm" and facts.weights and (other := other_for_vllm(facts.folder, facts.weights)) is not None:
        raise Invalid(
            f"engine vllm loads other weights of {facts.folder} than those that model_sha is over: they differ in {other}; move it "
            "away, or give engine transformers", code="model-two-weights",
        )  # fmt: skip


def _check_tokenizer(facts: ModelFacts) -> None:
    size, rows = facts.tokenizer.size, facts.shape.vocabulary
    if size is not None and 0 < rows < size:
        raise Invalid(
            f"the tokenizer of {facts.folder} has {size} tokens and the model embeddings for {rows}: it is another model's; save the "
            "model's own beside it", code="model-tokenizer",
        )  # fmt: skip


def _check_for_vllm(facts: ModelFacts) -> None:
    """Raises: Invalid for a kind of adapter that vLLM has not. Source: vLLM 0.32, lora/peft_helper.py."""
    if facts.adapter is None:
        return
    told = read_json(facts.adapter / CONFIG)
    for name, served in SERVED_BY_VLLM.items():
        if told.get(name) not in served:
            raise Invalid(
                f"{facts.adapter} is an adapter with {name} {told.get(name)}, which vLLM does not serve; give engine transformers, which "
                "merges it into its base", code="model-adapter",
            )  # fmt: skip


def _check_causal(facts: ModelFacts, *, engine: str) -> None:
    """Whether the model goes on from a text, token by token; also one whose encoder reads the text first."""
    shape = facts.shape
    named = f"{facts.folder} ({', '.join(shape.architectures) or shape.model_type})"
    if shape.architectures and all(name.endswith(CLASSIFIERS) for name in shape.architectures):
        raise Invalid(
            f"{named} classifies texts, and engine {engine} wants a model that writes them; give engine classifier, or a model for causal "
            "language modelling", code="engine-cannot",
        )  # fmt: skip
    encoding = bool(shape.architectures) and all(name.endswith(ENCODING) for name in shape.architectures)
    if encoding or (shape.model_type in ENCODERS and not shape.decoder and not shape.encoder_decoder):
        raise Invalid(
            f"{named} is an encoder: it sees what comes after each token, so that no likelihood or text of it means anything; give engine "
            "encoder, for a task that compares texts, or a model for causal language modelling", code="engine-cannot",
        )  # fmt: skip
    if shape.encoder_decoder and engine != "transformers":
        raise Invalid(
            f"{named} has an encoder and a decoder, and engine {engine} runs models of a decoder alone; give engine transformers",
            code="engine-cannot",
        )
    if not facts.tokenizer.brings_special and not {"bos_token", "eos_token"} & set(facts.special_tokens):
        raise Invalid(
            f"the tokenizer of {facts.folder} has no bos_token and no eos_token, one of which begins a text; name one in its "
            "tokenizer_config.json", code="model-no-special-tokens",
        )  # fmt: skip
