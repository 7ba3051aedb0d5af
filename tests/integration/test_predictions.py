"""Predictions on the real stack: asked for, in the log as they were made, listed, shown, and held to what is measured later."""

import asyncio
from typing import Any

import pytest
from assay_client import Client

from infra.kafka import Log
from infra.settings import Settings
from schemas.predictions import PredictionMade
from streams.topics import PREDICTIONS
from tests.flow import get, post
from tests.integration.test_api import until
from tests.integration.test_cli import assay, document
from tests.models import tiny_llama

pytestmark = [pytest.mark.integration, pytest.mark.slow]
ASKED: dict[str, Any] = {
    "model": "some-8b", "parameters": 8 * 10**9, "weights_bytes": 16 * 10**9, "kv_bytes_per_token": 131_072, "engine": "vllm",
    "hardware": "2 x NVIDIA L40S", "in_flight": 7, "input_tokens": 511, "output_tokens": 127, "by": "ada",
}  # fmt: skip


def listed(flow: Settings, prediction_id: str) -> None:
    """Waits until the list has the prediction: it is of what is projected, a moment later."""
    until(flow.api, "/v1/predictions", holds=lambda page: prediction_id in [one["prediction_id"] for one in page["predictions"]])


def test_a_prediction_is_an_event_and_says_nothing_beyond_what_was_measured(flow: Settings) -> None:
    """The same question is the same prediction; what nobody has measured on that engine is not predicted, and why is said."""
    told = post(f"{flow.api}/v1/predictions", json=ASKED).raise_for_status().json()
    assert (told["hardware"], told["asked_by"], told["measured"]) == ("2 × NVIDIA L40S", "ada", [])
    assert len(told["figures"]) + len(told["unpredicted"]) == 5
    assert any("vllm" in one["why"] or "measured" in one["why"] for one in told["unpredicted"])
    assert post(f"{flow.api}/v1/predictions", json=ASKED).json()["prediction_id"] == told["prediction_id"]
    kept = until(flow.api, f"/v1/predictions/{told['prediction_id']}", holds=lambda one: bool(one.get("model")))
    assert kept == told
    listed(flow, told["prediction_id"])

    async def said() -> list[PredictionMade]:
        async with Log(flow, client_id="test") as log:
            records = [record async for record in log.of_key(PREDICTIONS, told["prediction_id"].encode())]
        return [record.event for record in records if isinstance(record.event, PredictionMade)]

    assert [one.asked_by for one in asyncio.run(said())] == ["ada"]
    page = get(f"{flow.api}/predict?id={told['prediction_id']}").text
    assert "Predicted, not measured: some-8b (vllm) on 2 × NVIDIA L40S" in page
    with Client(flow.api) as client:
        assert client.predict(**ASKED).prediction_id == told["prediction_id"]
        assert client.prediction(told["prediction_id"]).hardware == "2 × NVIDIA L40S"
        assert told["prediction_id"] in [one.prediction_id for one in client.predictions()]


def test_the_command_line_reads_a_model_or_is_told_its_size(flow: Settings, tmp_path_factory: pytest.TempPathFactory) -> None:
    """From its files; by numbers, as people write them; else it says what is missing."""
    folder = tiny_llama(tmp_path_factory.mktemp("m") / "tiny")
    told = document(assay(flow, "predict", "--model", str(folder), "--on", "NVIDIA L4", "--json"))
    assert told["model_sha"] and told["parameters"] > 50_000 and told["weights_bytes"] == 4 * told["parameters"]
    said = document(assay(flow, "predict", "--model", "x", "--parameters", "7B", "--on", "NVIDIA L4", "--json"))
    assert (said["parameters"], said["weights_bytes"]) == (7 * 10**9, 14 * 10**9)
    shown = assay(flow, "predictions", said["prediction_id"]).stdout
    assert "predicted, not measured: x (transformers) on NVIDIA L4" in shown
    listed(flow, said["prediction_id"])
    assert said["prediction_id"] in assay(flow, "predictions").stdout
    assert "of a model that is not here say its size" in assay(flow, "predict", "--model", "nowhere", "--on", "NVIDIA L4").stderr.lower()
    assert "how many? write 8B" in assay(flow, "predict", "--model", "x", "--parameters", "many", "--on", "NVIDIA L4").stderr
    assert "no data sheet of 'abacus' is here" in assay(flow, "predict", "--model", "x", "--parameters", "1B", "--on", "abacus").stderr


def test_a_predicted_score_is_an_event_and_says_nothing_of_what_nobody_scored(flow: Settings) -> None:
    """By the API, the client, the page and the command line; the same question is the same prediction."""
    asked = {"model": "some-1B", "parameters": 10**9, "tasks": ["nobody_asked_this"], "known": {"hellaswag": 0.5}, "by": "ada"}
    told = post(f"{flow.api}/v1/score-predictions", json=asked).raise_for_status().json()
    assert (told["family"], told["known"], told["scores"], told["measured"]) == ("some", {"hellaswag": 0.5}, [], [])
    assert told["unpredicted"] == [{"task": "nobody_asked_this", "why": "nobody whose size is known has been scored on it"}]
    assert post(f"{flow.api}/v1/score-predictions", json=asked).json()["prediction_id"] == told["prediction_id"]
    page = get(f"{flow.api}/predict/scores?id={told['prediction_id']}").text
    assert "Predicted, not measured: some-1B" in page and "nobody whose size is known" in page
    until(
        flow.api, "/v1/score-predictions", holds=lambda page: told["prediction_id"] in [one["prediction_id"] for one in page["predictions"]]
    )
    with Client(flow.api) as client:
        assert client.predict_scores(**asked).prediction_id == told["prediction_id"]
        assert client.score_prediction(told["prediction_id"]).family == "some"
        assert told["prediction_id"] in [one.prediction_id for one in client.score_predictions()]
    line = ("predict-scores", "--model", "some-1B", "--parameters", "1B", "--task", "nobody_asked_this", "--known", "hellaswag=50 %")
    assert document(assay(flow, *line, "--by", "ada", "--json"))["prediction_id"] == told["prediction_id"]
    assert "predicted, not measured: some-1B" in assay(flow, "score-predictions", told["prediction_id"]).stdout
    assert told["prediction_id"] in assay(flow, "score-predictions").stdout
    assert "write a task and its score, as hellaswag=0.54" in assay(flow, *line[:7], "--known", "hellaswag").stderr
    refused = post(f"{flow.api}/v1/score-predictions", json=asked | {"known": {"hellaswag": 54}})
    assert refused.status_code == 422 and "known.hellaswag" in refused.json()["detail"]


@pytest.mark.parametrize(
    ("changed", "field"), [({"in_flight": 0}, "in_flight"), ({"parameters": -1}, "parameters"), ({"colour": 1}, "colour")]
)
def test_a_wrong_question_names_its_field(flow: Settings, changed: dict[str, Any], field: str) -> None:
    """And what it may be."""
    answer = post(f"{flow.api}/v1/predictions", json=ASKED | changed)
    assert (answer.status_code, field in answer.json()["detail"]) == (422, True), answer.text
