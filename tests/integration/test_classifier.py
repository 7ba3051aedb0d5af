"""The engine of classifiers: labels' probabilities as transformers has them, whatever is asked together; and what it refuses."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from gpu_agent.engines.classifier import Classifier
from gpu_agent.engines.engine import EngineRequest
from schemas.requests import ModelRef
from streams.errors import Invalid
from tests.models import tiny_llama, tiny_tokenizer
from tests.reference import ours

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
LENGTH = 32
TEXTS = ("the dog runs", "the cats near the dog sleep", "", "sum: 1+2=3", "the dog sings", "the queen behind the sailors waits " * 20)
LABELS = ("neutral", "LABEL_1", "rude")


def saved(folder: Path, *, several: bool = False, labels: tuple[str, ...] = LABELS) -> Path:
    """A random classifier of three labels with a tokenizer of its own."""
    torch.manual_seed(1)
    config = transformers.BertConfig(
        vocab_size=512, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, max_position_embeddings=LENGTH,
        pad_token_id=2, id2label=dict(enumerate(labels)), problem_type="multi_label_classification" if several else None,
    )  # fmt: skip
    model = transformers.AutoModelForSequenceClassification.from_config(config)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.data.mul_(8)
    model.save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


def loaded(folder: Path, **options: str) -> Classifier:
    """Ours."""
    engine = Classifier()
    engine.load(ModelRef(uri=str(folder)), options=options, device="cpu")
    return engine


def theirs(folder: Path, text: str, *, several: bool) -> list[float]:
    """The labels' probabilities as transformers says them, of one text alone."""
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokens: list[int] = tiny_tokenizer()(text)["input_ids"][:LENGTH] or [0]
    with torch.inference_mode():
        logits: Any = model(torch.tensor([tokens])).logits[0].double()
    return list((torch.sigmoid(logits) if several else torch.softmax(logits, dim=-1)).tolist())


@pytest.mark.parametrize("several", [False, True])
def test_a_labels_likelihood_is_the_logarithm_of_its_probability(tmp_path: Path, several: bool) -> None:
    """Also of an empty text, and of one that is cut, which is said."""
    folder = saved(tmp_path, several=several)
    asked = [(text, label) for text in TEXTS for label in ("neutral", "toxic", " rude")]
    requests = [EngineRequest(number, "loglikelihood", text, label) for number, (text, label) in enumerate(asked)]
    answers = ours(loaded(folder, labels="toxic=LABEL_1", batch_tokens="24"), requests)
    for place, text in enumerate(TEXTS):
        expected, own = theirs(folder, text, several=several), answers[3 * place : 3 * place + 3]
        assert [math.exp(answer.loglikelihood or 0) for answer in own] == pytest.approx(expected, rel=1e-5)
        likely = [value > 0.5 for value in expected] if several else [value == max(expected) for value in expected]
        assert [answer.is_greedy for answer in own] == likely
        whole = len(tiny_tokenizer()(text)["input_ids"])
        assert {answer.truncated_tokens for answer in own} == {max(0, whole - LENGTH)}


@pytest.mark.parametrize(
    ("request_type", "label", "says"),
    [("loglikelihood", "toxic", "no label 'toxic'; it has neutral"), ("generate_until", None, "cannot answer")],
)
def test_what_it_cannot_answer_it_refuses(tmp_path: Path, request_type: str, label: str | None, says: str) -> None:
    """With what to do."""
    with pytest.raises(Invalid, match=says):
        list(loaded(saved(tmp_path)).answer([EngineRequest(0, request_type, "text", label)]))


@pytest.mark.parametrize(
    ("labels", "option", "meant"),
    [
        (("neutral", "toxicity"), {}, "toxicity"), (("Toxic", "mild"), {}, "Toxic"), (("toxicity", "toxic"), {}, "toxic"),
        (("toxic", "rude"), {"labels": "toxic=rude"}, "rude"),
    ],
)  # fmt: skip
def test_the_toxic_label_is_found_unless_it_is_named(tmp_path: Path, labels: tuple[str, ...], option: dict[str, str], meant: str) -> None:
    """By either name; one that is named counts."""
    folder = saved(tmp_path, labels=labels)
    (answer,) = ours(loaded(folder, **option), [EngineRequest(0, "loglikelihood", "the dog runs", "toxic")])
    assert math.exp(answer.loglikelihood or 0) == pytest.approx(theirs(folder, "the dog runs", several=False)[labels.index(meant)])


@pytest.mark.parametrize("labels", [("good", "bad"), ("Toxic", "TOXICITY")])
def test_where_the_toxic_label_is_not_plain_it_must_be_named(tmp_path: Path, labels: tuple[str, ...]) -> None:
    """The labels that there are are told."""
    with pytest.raises(Invalid, match=f"no label 'toxic'; it has {', '.join(labels)}. Say which is meant: option labels=toxic="):
        list(loaded(saved(tmp_path, labels=labels)).answer([EngineRequest(0, "loglikelihood", "text", "toxic")]))


def test_a_language_model_is_no_classifier(tmp_path: Path) -> None:
    """Its head would be random numbers."""
    with pytest.raises(Invalid, match=r"no weights score\.weight"):
        loaded(tiny_llama(tmp_path))


@pytest.mark.parametrize(("options", "says"), [({"labels": "toxic"}, "give asked=model's"), ({"temperature": "1"}, "no option")])
def test_wrong_options_are_refused(tmp_path: Path, options: dict[str, str], says: str) -> None:
    """Before anything is loaded."""
    with pytest.raises(Invalid, match=says):
        loaded(tmp_path, **options)
