"""What the API can be asked for, as steps: the one list that both clients have."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from assay_client import models, steps
from assay_client.steps import Ask, Steps
from assay_client.tables import Table

ADDRESS = "http://127.0.0.1:18000"
KEY = "ASSAY_API_KEY"
Model: TypeAlias = str | Path | Mapping[str, Any] | models.ModelRef
Task: TypeAlias = str | Mapping[str, Any] | models.TaskChoice
Label: TypeAlias = Mapping[str, Any] | models.LabelTold
Price: TypeAlias = Mapping[str, Any] | models.PriceTold


def shown(key: str | None) -> dict[str, str]:
    """How a key is shown: the one that is given, else the environment's."""
    key = os.environ.get(KEY, "") if key is None else key
    return {"Authorization": f"Bearer {key}"} if key else {}


def submit(model: Model, tasks: Sequence[Task], *, run_id: str | None, terms: Mapping[str, Any]) -> Steps[models.Submitted]:
    """Asks for an evaluation; its id is drawn here, so that asking again is no second run."""
    body = {"run_id": run_id or steps.new_id(), "model": _model(model), **_terms(tasks, terms)}
    return steps.document(Ask("POST", "/v1/evaluations", body=body), models.Submitted)


def submit_batch(
    given: Sequence[Model], tasks: Sequence[Task], *, campaign: str | None, terms: Mapping[str, Any]
) -> Steps[models.BatchSubmitted]:
    """Asks for the same evaluation of several models."""
    body = {"campaign": campaign or steps.new_id(), "models": [_model(one) for one in given], **_terms(tasks, terms)}
    return steps.document(Ask("POST", "/v1/batches", body=body), models.BatchSubmitted)


def cancel(run_id: str, *, by: str, message: str) -> Steps[models.Cancelling]:
    """Stops a run."""
    return steps.document(Ask("POST", f"/v1/runs/{run_id}/cancel", body={"by": by, "message": message}), models.Cancelling)


def retract(run_id: str, *, by: str, reason: str) -> Steps[models.Retracted]:
    """Says that a run no longer counts."""
    return steps.document(Ask("POST", f"/v1/runs/{run_id}/retract", body={"by": by, "reason": reason}), models.Retracted)


def run(run_id: str) -> Steps[models.Run]:
    """A run with all that is known of it."""
    return steps.document(Ask("GET", f"/v1/runs/{run_id}"), models.Run)


def runs(*, most: int | None, filters: Mapping[str, Any]) -> Steps[Table[models.RunRow]]:
    """Runs, the newest first."""
    return _table("/v1/runs", models.RunPage, "runs", most=most, filters=filters)


def samples(run_id: str, *, most: int | None, filters: Mapping[str, Any]) -> Steps[Table[models.Sample]]:
    """A run's samples with prompt, answer, expected answer and scores; the prompt's beginning is joined to its context."""
    found: list[Any] = yield from steps.listed(_get(f"/v1/runs/{run_id}/samples", filters), _Joined, rows="whole", most=most)
    return Table(found)


def scores(run_id: str, *, filters: Mapping[str, Any]) -> Steps[Table[models.SampleLine]]:
    """The scores of all samples of a run, one metric a row."""
    given = _get(f"/v1/runs/{run_id}/samples", filters)
    return Table((yield from steps.lines(Ask("GET", given.path, given.query, accept=steps.LINES), models.SampleLine)))


def cost(run_id: str, *, most: int | None, filters: Mapping[str, Any]) -> Steps[models.RunCost]:
    """What a run cost."""
    return steps.whole(_get(f"/v1/runs/{run_id}/cost", filters), models.RunCost, rows="versions", most=most)


def repeated(run_id: str) -> Steps[models.RepeatedLoad]:
    """A run's speed beside that of other runs of the same load."""
    return steps.document(Ask("GET", f"/v1/runs/{run_id}/repeated"), models.RepeatedLoad)


def judgements(run_id: str, *, most: int | None, filters: Mapping[str, Any]) -> Steps[models.Judgements]:
    """What judges say of a run's answers."""
    return steps.whole(_get(f"/v1/runs/{run_id}/judgements", filters), models.Judgements, rows="judgements", most=most)


def labels(run_id: str, *, most: int | None, filters: Mapping[str, Any]) -> Steps[Table[models.Label]]:
    """People's labels of a run's answers."""
    return _table(f"/v1/runs/{run_id}/labels", models.LabelPage, "labels", most=most, filters=filters)


def publish_labels(run_id: str, told: Sequence[Label], about: Mapping[str, Any]) -> Steps[models.LabelsPublished]:
    """Publishes labels, all or none; the same again is the same label."""
    body = {**about, "labels": [_plain(one) for one in told]}
    return steps.document(Ask("POST", f"/v1/runs/{run_id}/labels", body=body), models.LabelsPublished)


def corrections(run_id: str) -> Steps[models.Corrections]:
    """Judges held to people."""
    return steps.document(Ask("GET", f"/v1/runs/{run_id}/corrections"), models.Corrections)


def strengths(run_id: str) -> Steps[models.Strengths]:
    """Strengths from comparisons in pairs."""
    return steps.document(Ask("GET", f"/v1/runs/{run_id}/strengths"), models.Strengths)


def compare(a: str, b: str, *, task: str | None) -> Steps[models.Compared]:
    """Two runs on the samples that both have."""
    return steps.document(_get("/v1/compare", {"a": a, "b": b, "task": task}), models.Compared)


def compare_loads(a: str, b: str) -> Steps[models.LoadsCompared]:
    """The loads of two runs."""
    return steps.document(_get("/v1/compare-loads", {"a": a, "b": b}), models.LoadsCompared)


def parity(reference: str, others: Sequence[str], *, margin: float | None) -> Steps[models.ParityTold]:
    """Runs held to a reference."""
    return steps.document(_get("/v1/parity", {"reference": reference, "run": list(others), "margin": margin}), models.ParityTold)


def prices(*, most: int | None, filters: Mapping[str, Any]) -> Steps[Table[models.PriceRow]]:
    """The price book."""
    return _table("/v1/prices", models.PricePage, "prices", most=most, filters=filters)


def ranking(*, board: str | None, task: str | None, most: int | None, filters: Mapping[str, Any]) -> Steps[models.Ranking]:
    """A board as it stands. The board that changed last may be another one before all of its pages are read: they are asked for by name."""
    asked = _get("/v1/rankings", {"board": board, "task": task, **filters})
    return steps.whole(asked, models.Ranking, rows="rows", most=most, named=None if task else "board")


def suites(*, most: int | None, filters: Mapping[str, Any]) -> Steps[Table[models.SuiteTold]]:
    """The project's suites."""
    return _table("/v1/suites", models.Suites, "suites", most=most, filters=filters)


def suite_tasks(suite: str, *, most: int | None, filters: Mapping[str, Any]) -> Steps[Table[models.SuiteTask]]:
    """The tasks of a suite."""
    return _table(f"/v1/suites/{suite}/tasks", models.SuiteTasks, "tasks", most=most, filters=filters)


def boards(*, most: int | None, filters: Mapping[str, Any]) -> Steps[Table[models.BoardRow]]:
    """The boards."""
    return _table("/v1/boards", models.BoardPage, "boards", most=most, filters=filters)


def agents(*, most: int | None, filters: Mapping[str, Any]) -> Steps[Table[models.AgentRow]]:
    """The agents that are alive."""
    return _table("/v1/agents", models.AgentPage, "agents", most=most, filters=filters)


def publish_prices(prices: Sequence[Price]) -> Steps[models.Published]:
    """Publishes prices, all or none; the same again is the same price."""
    return steps.document(Ask("POST", "/v1/prices", body={"prices": [_plain(one) for one in prices]}), models.Published)


def recommend(requirement: Mapping[str, Any], *, by: str, seed: int | None) -> Steps[models.Recommendation]:
    """Recommends; the same question to the same measurements is the same recommendation."""
    body = {"requirement": dict(requirement), "by": by, **({} if seed is None else {"seed": seed})}
    return steps.document(Ask("POST", "/v1/recommendations", body=body), models.Recommendation)


def recommendation(recommendation_id: str) -> Steps[models.Recommendation]:
    """A recommendation as it was made."""
    return steps.document(Ask("GET", f"/v1/recommendations/{recommendation_id}"), models.Recommendation)


def recommendations(*, most: int | None, filters: Mapping[str, Any]) -> Steps[Table[models.RecommendationRow]]:
    """Recommendations, the newest first."""
    return _table("/v1/recommendations", models.RecommendationPage, "recommendations", most=most, filters=filters)


def ask_for_next(recommendation_id: str, *, place: int, by: str) -> Steps[models.NextBought]:
    """Asks for a next run that a recommendation names; asked again it is the same runs."""
    return steps.document(Ask("POST", f"/v1/recommendations/{recommendation_id}/next", body={"place": place, "by": by}), models.NextBought)


def score_history(task: str, *, model: str, limit: int | None) -> Steps[models.ScoreHistory]:
    """A task's scores over time, our own and others'."""
    query = {"task": task, "model": model, **({} if limit is None else {"limit": limit})}
    return steps.document(Ask("GET", "/v1/score-history", query=query), models.ScoreHistory)


def read_sentence(sentence: str, *, reader: bool) -> Steps[models.RequirementRead]:
    """What a sentence asks for, by rules, and by a model where that is wanted."""
    return steps.document(Ask("POST", "/v1/requirements", body={"sentence": sentence, "reader": reader}), models.RequirementRead)


def savings(run: str, requirement: Mapping[str, Any], *, margin: float | None) -> Steps[models.SavingsTold]:
    """What would save against what a run measured."""
    body = {"run": run, "requirement": dict(requirement), **({} if margin is None else {"margin": margin})}
    return steps.document(Ask("POST", "/v1/savings", body=body), models.SavingsTold)


def grid(campaign: str) -> Steps[models.Grid]:
    """A campaign's loads, with their figures."""
    return steps.document(Ask("GET", "/v1/grids", query={"campaign": campaign}), models.Grid)


def predict(asked: Mapping[str, Any]) -> Steps[models.Prediction]:
    """Predicts; the same question to the same measurements is the same prediction."""
    return steps.document(Ask("POST", "/v1/predictions", body=dict(asked)), models.Prediction)


def prediction(prediction_id: str) -> Steps[models.Prediction]:
    """A prediction as it was made, and what was measured since."""
    return steps.document(Ask("GET", f"/v1/predictions/{prediction_id}"), models.Prediction)


def predictions(*, most: int | None, filters: Mapping[str, Any]) -> Steps[Table[models.PredictionRow]]:
    """Predictions, the newest first."""
    return _table("/v1/predictions", models.PredictionPage, "predictions", most=most, filters=filters)


def predict_scores(asked: Mapping[str, Any]) -> Steps[models.ScorePrediction]:
    """Predicts scores; the same question to the same measurements is the same prediction."""
    return steps.document(Ask("POST", "/v1/score-predictions", body=dict(asked)), models.ScorePrediction)


def score_prediction(prediction_id: str) -> Steps[models.ScorePrediction]:
    """A prediction of scores as it was made, and what was measured since."""
    return steps.document(Ask("GET", f"/v1/score-predictions/{prediction_id}"), models.ScorePrediction)


def score_predictions(*, most: int | None, filters: Mapping[str, Any]) -> Steps[Table[models.ScorePredictionRow]]:
    """Predictions of scores, the newest first."""
    return _table("/v1/score-predictions", models.ScorePredictionPage, "predictions", most=most, filters=filters)


def calculate(assumptions: Mapping[str, Any]) -> Steps[models.Calculation]:
    """Reckons costs from stated assumptions."""
    return steps.document(Ask("POST", "/v1/costs/tco", body=dict(assumptions)), models.Calculation)


def record_decision(*, by: str, terms: Mapping[str, Any]) -> Steps[models.Recorded]:
    """Writes a decision down; its id is drawn here, so that asking again is no second one."""
    return steps.document(Ask("POST", "/v1/decisions", body={"decision_id": steps.new_id(), "by": by, **terms}), models.Recorded)


def report_outcome(decision_id: str, *, by: str, figures: Mapping[str, Any]) -> Steps[models.Reported]:
    """Reports what a decision came to."""
    return steps.document(Ask("POST", f"/v1/decisions/{decision_id}/outcomes", body={"by": by, **figures}), models.Reported)


def decisions(*, most: int | None, filters: Mapping[str, Any]) -> Steps[Table[models.Decision]]:
    """Decisions, the newest first."""
    return _table("/v1/decisions", models.DecisionPage, "decisions", most=most, filters=filters)


def dead_letters(*, most: int | None, filters: Mapping[str, Any]) -> Steps[Table[models.Letter]]:
    """Records that could not be decoded or processed."""
    return _table("/v1/dead-letters", models.LetterPage, "dead_letters", most=most, filters=filters)


class _Joined(models.SamplePage):
    """A page whose prompts are whole: what they begin with is sent once a page."""

    @property
    def whole(self) -> list[models.Sample]:
        """The samples; no request of them refers to anything."""
        return [sample.model_copy(update={"requests": [self._joined(one) for one in sample.requests]}) for sample in self.samples]

    def _joined(self, one: models.SampleRequest) -> models.SampleRequest:
        if one.prefix_ref is None:
            return one
        return one.model_copy(update={"context": self.contents[one.prefix_ref] + one.context, "prefix_ref": None})


def _table(path: str, page: type[Any], rows: str, *, most: int | None, filters: Mapping[str, Any]) -> Steps[Table[Any]]:
    return Table((yield from steps.listed(_get(path, filters), page, rows=rows, most=most)))


def _get(path: str, filters: Mapping[str, Any]) -> Ask:
    return Ask("GET", path, {name: value for name, value in filters.items() if value is not None})


def _terms(tasks: Sequence[Task], terms: Mapping[str, Any]) -> dict[str, Any]:
    return {"tasks": [_task(task) for task in tasks], **{name: _plain(value) for name, value in terms.items()}}


def _model(model: Model) -> Any:
    """A model as the API takes it; a folder by its full path, for the agent has a working directory of its own."""
    if isinstance(model, Path) or (isinstance(model, str) and Path(model).is_dir()):
        return {"uri": str(Path(model).resolve())}
    if isinstance(model, str):
        uri, _, revision = model.partition("@")
        return {"uri": uri, "revision": revision or None}
    return _plain(model)


def _task(task: Task) -> Any:
    return {"name": task} if isinstance(task, str) else _plain(task)


def _plain(value: Any) -> Any:
    return value.model_dump(exclude_unset=True) if isinstance(value, models.Shape) else value
