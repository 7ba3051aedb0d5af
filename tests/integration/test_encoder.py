"""The engine of encoders: BERTScore as the package bert-score has it, whatever is asked together; what it refuses; right answers found."""

import json
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from gpu_agent.engines.encoder import Encoder
from gpu_agent.engines.engine import EngineRequest
from infra.harness.data import Given
from infra.harness.derived.likeness import bertscore, referring, texts
from schemas.requests import ModelRef
from streams.errors import Invalid, Permanent
from tests.models import overflowing, tiny_bert, tiny_llama, tiny_tokenizer
from tests.reference import ours

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
LENGTH, LAYERS = 32, 3
PAIRS = (
    ("the dog runs", ["the dogs run", "the cats near the dog sleep"]), ("the cats near the dog sleep", ["the cat near the dog sleeps"]),
    ("sum: 1+2=3", ["sum: 1+2=4", "the queen sings"]), ("  the dog runs ", ["the dog runs"]),
    ("the queen behind the sailors waits " * 20, ["the queen waits", "the sailors behind the queen wait " * 20]),
)  # fmt: skip
QUESTION = """task: questions
dataset_path: me/questions
output_type: generate_until
test_split: test
doc_to_text: question
doc_to_target: answers
metric_list:
  - metric: exact_match
"""


def loaded(folder: Path, **options: str) -> Encoder:
    """Ours."""
    engine = Encoder()
    engine.load(ModelRef(uri=str(folder)), options=options, device="cpu")
    return engine


def asked(pairs: Sequence[tuple[str, list[str]]]) -> list[EngineRequest]:
    """The requests that compare these."""
    told = [json.dumps({"answer": answer, "references": references}) for answer, references in pairs]
    return [EngineRequest(number, "generate_until", text) for number, text in enumerate(told)]


def figures(engine: Encoder, pairs: Sequence[tuple[str, list[str]]]) -> list[dict[str, float]]:
    """What ours says."""
    return [json.loads(answer.output or "") for answer in ours(engine, asked(pairs))]


def test_embeddings_that_are_no_numbers_are_no_answers(tmp_path: Path) -> None:
    """Of a model that overflows in float16; in float32 it answers."""
    norm = f"encoder.layer.{LAYERS - 1}.output.LayerNorm.weight"
    folder = overflowing(tiny_bert(tmp_path / "bert"), tmp_path / "m", norm=norm, by=6e4)
    for dtype in ("float16", "float32"):
        engine = Encoder()
        engine.load(ModelRef(uri=str(folder), dtype=dtype), options={}, device="cpu")
        with (
            nullcontext()
            if dtype == "float32"
            else pytest.raises(Permanent, match=r"not numbers .* overflows in float16; ask for dtype float32")
        ):
            assert figures(engine, PAIRS[:1])
        engine.close()


def bert_score(folder: Path, pairs: Sequence[tuple[str, str]], *, layer: int) -> list[tuple[float, ...]]:
    """Precision, recall and F1 as the package says them."""
    from bert_score import score

    answers, references = zip(*pairs, strict=True)
    found: Any = score(list(answers), list(references), model_type=str(folder), num_layers=layer, device="cpu", batch_size=1)
    return list(zip(*(one.tolist() for one in found), strict=True))


def tiny_bart(folder: Path) -> Path:
    """A random BART: an encoder and a decoder."""
    torch.manual_seed(3)
    config = transformers.BartConfig(
        vocab_size=512, d_model=32, encoder_layers=3, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
        encoder_ffn_dim=64, decoder_ffn_dim=64, max_position_embeddings=LENGTH, pad_token_id=2, bos_token_id=0, eos_token_id=1,
    )  # fmt: skip
    transformers.BartModel(config).save_pretrained(folder)
    return measured(folder)


def measured(folder: Path) -> Path:
    """The model with a tokenizer that knows how long texts may be, which bert-score asks of it."""
    tokenizer = tiny_tokenizer()
    tokenizer.model_max_length = LENGTH
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("layer", [1, LAYERS])
def test_it_is_bert_scores(tmp_path: Path, layer: int) -> None:
    """Of every layer, in small batches, of texts that are cut too; of several references, that of the best F1."""
    folder = tiny_bert(tmp_path, max_length=LENGTH)
    engine = loaded(folder, batch_tokens="16", **({} if layer == LAYERS else {"layer": str(layer)}))
    found = figures(engine, PAIRS)
    single = [(answer, one) for answer, references in PAIRS for one in references]
    theirs = iter(bert_score(folder, single, layer=layer))
    expected = [max((next(theirs) for _ in references), key=lambda told: told[2]) for _, references in PAIRS]
    assert [(one["precision"], one["recall"], one["f1"]) for one in found] == [pytest.approx(told, abs=1e-5) for told in expected]
    assert len({round(one["f1"], 3) for one in found}) > 3
    assert found[3]["f1"] == pytest.approx(1.0)


@pytest.mark.parametrize("made", [tiny_bart, lambda folder: measured(tiny_llama(folder))])
def test_so_it_is_of_other_kinds_of_models(tmp_path: Path, made: Any) -> None:
    """Of an encoder with a decoder its encoder; of a language model its last hidden states."""
    folder = made(tmp_path)
    pairs = [(answer, references[0]) for answer, references in PAIRS[:4]]
    layer = transformers.AutoConfig.from_pretrained(folder).num_hidden_layers
    found = figures(loaded(folder), [(answer, [reference]) for answer, reference in pairs])
    expected = bert_score(folder, pairs, layer=layer)
    assert [(one["precision"], one["recall"], one["f1"]) for one in found] == [pytest.approx(told, abs=1e-5) for told in expected]


def test_nothing_is_like_an_empty_text(tmp_path: Path) -> None:
    """0, as bert-score documents (it ends with an error there, with transformers 5); without references there are no figures."""
    found = figures(loaded(tiny_bert(tmp_path)), [("", ["the dog runs"]), (" \n", ["the dog"]), ("the dog", [])])
    assert found == [*[{"precision": 0.0, "recall": 0.0, "f1": 0.0}] * 2, {}]
    assert figures(loaded(tiny_llama(tmp_path / "llama")), [("", ["the dog"])])[0]["f1"] == 0.0


def test_it_says_what_it_left_out(tmp_path: Path) -> None:
    """Of the answer and of its references."""
    folder = tiny_bert(tmp_path, max_length=LENGTH)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    long = len(tokenizer(PAIRS[4][0])["input_ids"])
    (answer,) = ours(loaded(folder, max_length="16"), asked([(PAIRS[4][0], ["the dog", PAIRS[4][0]])]))
    assert (answer.truncated_tokens, answer.prompt_tokens) == (2 * (long - 16), 2 * 16 + len(tokenizer("the dog")["input_ids"]))


@pytest.mark.parametrize(
    ("request_type", "context"),
    [("generate_until", "Who are you?"), ("generate_until", '{"answer": "a"}'), ("loglikelihood", '{"answer": "a", "references": []}')],
)
def test_what_compares_no_texts_is_refused(tmp_path: Path, request_type: str, context: str) -> None:
    """With what to do."""
    with pytest.raises(Invalid, match="ask for task assay_judge_bertscore, without a chat template"):
        list(loaded(tiny_bert(tmp_path)).answer([EngineRequest(0, request_type, context, "b")]))


@pytest.mark.parametrize(
    ("options", "says"),
    [({"layer": "4"}, "has 3 layers; give 0 to 3"), ({"layer": "last"}, "give a whole number"), ({"idf": "1"}, "no option 'idf'; it has")],
)
def test_wrong_options_are_refused(tmp_path: Path, options: dict[str, str], says: str) -> None:
    """With what there is."""
    with pytest.raises(Invalid, match=says):
        loaded(tiny_bert(tmp_path), **options)


def test_only_a_pooler_may_be_lacking(tmp_path: Path) -> None:
    """Other weights would be random numbers."""
    from safetensors.torch import load_file, save_file

    weights = load_file(tiny_bert(tmp_path) / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if "layer.1.output.dense.weight" not in name}
    save_file(kept, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(Invalid, match=r"no weights encoder\.layer\.1\.output\.dense\.weight"):
        loaded(tmp_path)


def test_a_model_that_reads_no_texts_is_refused(tmp_path: Path) -> None:
    """With what to take."""
    config = transformers.ViTConfig(hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2, image_size=32)
    transformers.ViTModel(config, add_pooling_layer=False).save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    with pytest.raises(Invalid, match="take a model that encodes texts"):
        loaded(tmp_path)


def test_right_answers_are_the_judged_tasks() -> None:
    """All of them, each by itself, whatever lines they have; blank ones are none, and a task without any is said to have none."""
    documents = [{"question": "?", "answers": ["one\ntwo", "2"]}, {"question": "??", "answers": [" ", ""]}]
    config = {"task": "questions", "yaml": True, "custom_dataset": False, "document": documents[0], "definition": QUESTION}
    given = Given(tuple(json.dumps({"answer": "a", "document": json.dumps(one)}) for one in documents), "answers:questions")
    found = referring(json.dumps(config), given)
    assert found is not None and found.source == given.source
    assert [json.loads(row)["references"] for row in found.rows] == [["one\ntwo", "2"], []]
    assert referring(json.dumps(config), Given(given.rows[1:], "answers:questions")) is None


def test_an_encoder_says_its_figures_in_json() -> None:
    """What it is asked is JSON too."""
    doc = {"answer": 'a "quoted" dög', "references": ["a dog"]}
    assert json.loads(texts(doc)) == doc
    found = bertscore(doc, [json.dumps({"precision": 0.5, "recall": 1.0, "f1": 0.6})])
    assert found == {"bertscore": 0.6, "bertscore_precision": 0.5, "bertscore_recall": 1.0}


@pytest.mark.parametrize(("references", "text", "says"), [([], "{}", "no right answer"), (["a"], "a", "as JSON"), (["a"], "{}", "as JSON")])
def test_without_right_answers_or_figures_nothing_is_scored(references: list[str], text: str, says: str) -> None:
    """Never 0."""
    with pytest.raises(Invalid, match=says):
        bertscore({"answer": "a", "references": references}, [text])
