"""Small models that tests make themselves: ordinary Hugging Face folders."""

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from infra.harness.bundled import corpus

TEXT = "Question: What is it that grows in the garden, and why? Answer: A tree, a flower, or 12 apples; (see [title]) ünïcödé — ok.\n"


def _lines() -> Iterator[str]:
    yield from corpus.lines(seed=1, count=500)
    yield from [TEXT] * 20


def tiny_tokenizer() -> Any:
    """A byte-level BPE of 512 tokens, trained on the spot."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=512, special_tokens=["<s>", "</s>", "<pad>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(_lines(), trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>")


def save(config: Any, folder: Path, *, seed: int = 0, template: bool = False) -> Path:
    """A random model of that configuration with its tokenizer, saved in `folder`."""
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    tokenizer = tiny_tokenizer()
    if template:
        tokenizer.chat_template = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}{{ eos_token }}\n{% endfor %}assistant:"
    torch.manual_seed(seed)
    model = (AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM).from_config(config, dtype=torch.float32)
    # Random weights of the usual size say next to nothing; larger ones give answers that differ.
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.data.mul_(8)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def tiny_llama(folder: Path, *, seed: int = 0, max_length: int = 512, template: bool = False, head_size: int = 16) -> Path:
    """A random Llama of some 100,000 parameters with its own tokenizer, saved in `folder`."""
    from transformers import LlamaConfig

    config = LlamaConfig(
        vocab_size=512, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        head_dim=head_size, max_position_embeddings=max_length, bos_token_id=0, eos_token_id=1, pad_token_id=2, tie_word_embeddings=False,
    )  # fmt: skip
    return save(config, folder, seed=seed, template=template)


def tiny_t5(folder: Path, *, max_length: int = 128) -> Path:
    """A random T5: an encoder and a decoder. As T5's own, its tokenizer ends a text, and has no token that begins one."""
    from tokenizers.processors import TemplateProcessing
    from transformers import T5Config

    config = T5Config(
        vocab_size=512, d_model=32, d_kv=16, d_ff=64, num_layers=3, num_decoder_layers=2, num_heads=2, feed_forward_proj="gated-gelu",
        pad_token_id=2, eos_token_id=1, decoder_start_token_id=2, tie_word_embeddings=False,
    )  # fmt: skip
    save(config, folder)
    tokenizer = tiny_tokenizer()
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer.bos_token = None
    tokenizer.model_max_length = max_length
    tokenizer.save_pretrained(folder)
    return folder


def tiny_bart(folder: Path, *, max_length: int = 128) -> Path:
    """A random BART: an encoder and a decoder, whose tokenizer marks nothing."""
    from transformers import BartConfig

    config = BartConfig(
        vocab_size=512, d_model=32, encoder_layers=3, decoder_layers=2, encoder_attention_heads=2, decoder_attention_heads=2,
        encoder_ffn_dim=64, decoder_ffn_dim=64, max_position_embeddings=max_length, pad_token_id=2, bos_token_id=0, eos_token_id=1,
        decoder_start_token_id=1, forced_eos_token_id=None,
    )  # fmt: skip
    return save(config, folder)


def adapter_of(base: Path, into: Path, *, trained: bool = True, rank: int = 4) -> Path:
    """A LoRA adapter of that model; not `trained`, it adds zero."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM

    torch.manual_seed(3)
    apart = AutoConfig.from_pretrained(base).is_encoder_decoder
    kind, targets = (AutoModelForSeq2SeqLM, ["q", "v", "wo"]) if apart else (AutoModelForCausalLM, ["q_proj", "v_proj", "down_proj"])
    model = get_peft_model(kind.from_pretrained(base, dtype=torch.float32), LoraConfig(r=rank, target_modules=targets))
    for name, parameter in model.named_parameters():
        if trained and "lora_B" in name:
            parameter.data.normal_(0, 0.5)
    model.save_pretrained(into)
    return into


def causal(place: Path) -> Path:
    """A causal model's files, of the smallest size, saved in `place`; its numbers are all 0."""
    import numpy as np
    from safetensors.numpy import save_file

    place.mkdir(parents=True, exist_ok=True)
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 4, "num_hidden_layers": 1, "num_attention_heads": 1,
        "vocab_size": 3, "max_position_embeddings": 16, "dtype": "float32",
    }  # fmt: skip
    (place / "config.json").write_text(json.dumps(config))
    (place / "tokenizer.json").write_text(json.dumps({"model": {"type": "BPE", "vocab": {"<s>": 0, "</s>": 1, "a": 2}, "merges": []}}))
    (place / "tokenizer_config.json").write_text(json.dumps({"bos_token": "<s>", "eos_token": "</s>"}))
    save_file({"embeddings": np.zeros((3, 4), dtype=np.float32)}, place / "model.safetensors")
    return place


def overflowing(folder: Path, into: Path, *, norm: str = "model.norm.weight", by: float = 3e38) -> Path:
    """The model of that folder with a last norm so large that its outputs are no numbers, though its weights are; saved in `into`."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(folder, into)
    tensors = load_file(into / "model.safetensors")
    tensors[norm].fill_(by)
    save_file(tensors, into / "model.safetensors", metadata={"format": "pt"})
    return into


def gguf_of(folder: Path, into: Path, *, quantised: bool = False, template: str | None = None) -> Path:
    """The Llama of that folder as a GGUF file: the same weights in float32, or in Q8_0, and its tokenizer.

    Source: llama.cpp, convert_hf_to_gguf.py (LlamaModel): rows of queries and keys lie by pairs, as llama.cpp turns them.
    """
    import gguf
    import numpy as np
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder, dtype="float32"), AutoTokenizer.from_pretrained(folder)
    config, writer = model.config, gguf.GGUFWriter(into, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(config.vocab_size)
    _add_tokenizer(writer, gguf, tokenizer, template)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    for name, tensor in model.state_dict().items():
        numbers = tensor.numpy()
        if heads := {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}.get(name.split(".")[-2]):
            halves = numbers.reshape(heads, 2, numbers.shape[0] // heads // 2, *numbers.shape[1:])
            numbers = halves.swapaxes(1, 2).reshape(numbers.shape)
        kind = gguf.GGMLQuantizationType.Q8_0 if quantised and numbers.ndim > 1 else gguf.GGMLQuantizationType.F32
        packed = gguf.quantize(np.ascontiguousarray(numbers), kind)
        writer.add_tensor(names.get_name(name, try_suffixes=(".weight",)), packed, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return into


def _add_tokenizer(writer: Any, gguf: Any, tokenizer: Any, template: str | None) -> None:
    """A byte-level BPE as llama.cpp has it, with GPT-2's way of taking texts apart."""
    import json

    told = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    ordered = sorted(tokenizer.get_vocab().items(), key=lambda one: one[1])
    kinds = [gguf.TokenType.CONTROL if number in tokenizer.all_special_ids else gguf.TokenType.NORMAL for _, number in ordered]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([text for text, _ in ordered])
    writer.add_token_types(kinds)
    writer.add_token_merges([one if isinstance(one, str) else " ".join(one) for one in told["merges"]])
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_pad_token_id(tokenizer.pad_token_id)
    writer.add_add_bos_token(False)
    if template is not None:
        writer.add_chat_template(template)


def tiny_bert(folder: Path, *, seed: int = 0, max_length: int = 32) -> Path:
    """A random BERT of three layers, without a pooler, saved in `folder`; its tokenizer of word pieces adds [CLS] and [SEP]."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=512, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]"], show_progress=False)
    tokenizer.train_from_iterator(_lines(), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=512, hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=2, max_position_embeddings=max_length
    )
    model = BertModel(config, add_pooling_layer=False)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.data.mul_(8)
    model.save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", model_max_length=max_length
    ).save_pretrained(folder)
    return folder


def taught_llama(folder: Path, lessons: Sequence[tuple[str, str]], *, template: str, seed: int = 0, steps: int = 400) -> Path:
    """A small Llama that was taught until it writes each lesson's text after its prompt, saved in `folder` with that chat template."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    plain = Tokenizer(models.BPE())
    plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    plain.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=2048, special_tokens=["<s>", "</s>", "<pad>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    plain.train_from_iterator([text for lesson in lessons for text in lesson], trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=plain, bos_token="<s>", eos_token="</s>", pad_token="<pad>")
    tokenizer.chat_template = template
    torch.manual_seed(seed)
    model = LlamaForCausalLM(LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=2048, bos_token_id=0, eos_token_id=1, pad_token_id=2,
    ))  # fmt: skip
    rows = [(tokenizer(prompt)["input_ids"], [*tokenizer(text)["input_ids"], 1]) for prompt, text in lessons]
    longest = max(len(prompt) + len(text) for prompt, text in rows)
    given = torch.tensor([[*prompt, *text, *[2] * (longest - len(prompt) - len(text))] for prompt, text in rows])
    wanted = torch.tensor([[*[-100] * len(prompt), *text, *[-100] * (longest - len(prompt) - len(text))] for prompt, text in rows])
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(steps):
        loss = model(given, labels=wanted).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if loss.item() < 0.01:
            break
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
