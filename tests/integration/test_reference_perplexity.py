"""Reference perplexity of answers: by our engine from derived documents, and by lm-eval's own rolling log-likelihood."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from gpu_agent.engines.engine import EngineRequest
from gpu_agent.engines.transformers import Transformers
from infra.harness.aggregating import aggregate
from infra.harness.building import build
from infra.harness.chat import Dress
from infra.harness.data import Given
from infra.harness.scoring import Scorer
from infra.settings import Settings
from schemas.builds import BuiltRequest
from schemas.event import Text
from schemas.measurements import Answer
from schemas.requests import Chat, ModelRef, TaskChoice
from streams.quality.judging import UNANSWERED
from streams.statistics.clusters import CLUSTER
from tests.models import tiny_llama
from tests.reference import hflm, ours, theirs

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
ANSWERS = ("the dogs near the cat run", "42", "[1, 2]", " a leading space and {{ braces }}", "ünïcödé — ok. " * 40)


def document(answer: str) -> str:
    """A derived task's document."""
    return json.dumps({"prompt": "write", "answer": answer, "target": "", "document": "{}", CLUSTER: answer[:3], UNANSWERED: False})


def test_it_is_lm_evals_own(tmp_path: Path) -> None:
    """Each text's log-likelihood, over windows where it is long; bits per byte over all of them."""
    folder = tiny_llama(tmp_path, max_length=64)
    made = build(
        TaskChoice(name="assay_judge_perplexity:story"), dress=Dress(Chat()), settings=Settings(),
        given=Given(tuple(map(document, ANSWERS)), "answers:story"),
    )  # fmt: skip
    engine = Transformers()
    engine.load(ModelRef(uri=str(folder)), options={}, device="cpu")
    calls = [sample.requests[0] for sample in made.samples]
    assert [call.prefix + call.context for call in calls] == list(ANSWERS)
    found = ours(engine, [EngineRequest(number, call.request_type, call.prefix + call.context) for number, call in enumerate(calls)])
    expected = theirs(hflm(folder), "loglikelihood_rolling", [(answer,) for answer in ANSWERS])
    assert [answer.loglikelihood for answer in found] == pytest.approx(expected, rel=1e-4)
    parts = [_bits(Scorer(made.config_json), document(text), answer.loglikelihood) for text, answer in zip(ANSWERS, found, strict=True)]
    value, _ = aggregate(made.config_json, "bits_per_byte", parts)
    bytes_in_all = sum(len(answer.encode()) for answer in ANSWERS)
    assert value == pytest.approx(-sum(expected) / bytes_in_all / math.log(2), rel=1e-4)


def _bits(scorer: Scorer, row: str, likelihood: float | None) -> str:
    request = BuiltRequest(request_type="loglikelihood_rolling", context=Text.plain(json.loads(row)["answer"]))
    told: dict[str, Any] = {"request_index": 0, "request_type": "loglikelihood_rolling", "finish_reason": "none", "prompt_tokens": 1}
    scores = scorer.score(row, 0, [request], {}, [Answer.model_validate(told | {"loglikelihood": likelihood})])
    return next(score.parts_json or "" for score in scores if score.metric == "bits_per_byte")
