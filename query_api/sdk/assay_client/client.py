"""The blocking client. Made from asynchronous.py by `make schemas`."""

import time
from collections.abc import Generator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

import httpx

from assay_client import calls, models, steps
from assay_client.asked import (
    AgentFilters,
    BoardFilters,
    CostFilters,
    DecisionFilters,
    JudgementFilters,
    LabelFilters,
    LetterFilters,
    PredictionFilters,
    PriceFilters,
    RankingFilters,
    RecommendationFilters,
    RunFilters,
    SampleFilters,
    ScorePredictionFilters,
    SuiteFilters,
    SuiteTaskFilters,
    Terms,
)
from assay_client.calls import ADDRESS
from assay_client.errors import refusal
from assay_client.listening import TIMEOUT, Listening, LiveEvent
from assay_client.steps import Ask, Back, Steps
from assay_client.tables import Table

T = TypeVar("T")


class Client:
    """Assay's API. Terms and filters are those of the API's description, by name: `priority=1`, `state="completed"`.

    `key`: the API key, where the API wants one; unset, ASSAY_API_KEY's.
    """

    def __init__(self, url: str = ADDRESS, *, key: str | None = None, timeout_s: float = 60.0) -> None:
        self._http = httpx.Client(base_url=url, timeout=timeout_s, headers=calls.shown(key))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Closes its connections."""
        self._http.close()

    def submit(
        self, model: calls.Model, tasks: Sequence[calls.Task] = (), *, run_id: str | None = None, campaign: str | None = None,
        **terms: Unpack[Terms],
    ) -> models.Submitted:  # fmt: skip
        """Asks for an evaluation. Asking again under the same `run_id` is the same run."""
        return self._do(calls.submit(model, tasks, run_id=run_id, terms={"campaign": campaign, **terms}))

    def submit_batch(
        self, given: Sequence[calls.Model], tasks: Sequence[calls.Task], *, campaign: str | None = None, **terms: Unpack[Terms]
    ) -> models.BatchSubmitted:
        """Asks for the same evaluation of several models, under one campaign."""
        return self._do(calls.submit_batch(given, tasks, campaign=campaign, terms=terms))

    def wait(self, run_id: str, *, timeout_s: float | None = None) -> models.Run:
        """The run once it is completed. Raises: Unsuccessful where it ends otherwise, TimedOut."""
        return self._do(steps.over(run_id, timeout_s=timeout_s))

    def cancel(self, run_id: str, *, by: str = "assay-client", message: str = "") -> models.Cancelling:
        """Stops a run; what it has measured stays."""
        return self._do(calls.cancel(run_id, by=by, message=message))

    def retract(self, run_id: str, *, reason: str, by: str = "assay-client") -> models.Retracted:
        """Says that a run no longer counts; it stays in the record, with the reason."""
        return self._do(calls.retract(run_id, by=by, reason=reason))

    def run(self, run_id: str) -> models.Run:
        """A run with all that is known of it."""
        return self._do(calls.run(run_id))

    def runs(self, *, most: int | None = None, **filters: Unpack[RunFilters]) -> Table[models.RunRow]:
        """Runs, the newest first: all, or the first `most`."""
        return self._do(calls.runs(most=most, filters=filters))

    def samples(self, run_id: str, *, most: int | None = None, **filters: Unpack[SampleFilters]) -> Table[models.Sample]:
        """A run's samples with prompt, answer, expected answer and scores."""
        return self._do(calls.samples(run_id, most=most, filters=filters))

    def scores(self, run_id: str, **filters: Unpack[SampleFilters]) -> Table[models.SampleLine]:
        """The scores of all samples of a run, one metric a row."""
        return self._do(calls.scores(run_id, filters=filters))

    def cost(self, run_id: str, *, most: int | None = None, **filters: Unpack[CostFilters]) -> models.RunCost:
        """What a run cost, under every version of the price book."""
        return self._do(calls.cost(run_id, most=most, filters=filters))

    def repeated(self, run_id: str) -> models.RepeatedLoad:
        """How much a run's speed differs from that of other runs of the same load."""
        return self._do(calls.repeated(run_id))

    def judgements(self, run_id: str, *, most: int | None = None, **filters: Unpack[JudgementFilters]) -> models.Judgements:
        """What judges say of a run's answers, and how far they agree."""
        return self._do(calls.judgements(run_id, most=most, filters=filters))

    def labels(self, run_id: str, *, most: int | None = None, **filters: Unpack[LabelFilters]) -> Table[models.Label]:
        """People's labels of a run's answers, of each the newest."""
        return self._do(calls.labels(run_id, most=most, filters=filters))

    def publish_labels(
        self, run_id: str, labels: Sequence[calls.Label], *, judgement: str, by: str, metric: str = "", against_run: str | None = None
    ) -> int:
        """How many of the labels said something new: all are published or none. Raises: Invalid."""
        about = {"judgement": judgement, "metric": metric, "against_run": against_run, "by": by}
        return (self._do(calls.publish_labels(run_id, labels, about))).published

    def corrections(self, run_id: str) -> models.Corrections:
        """Judges of a run's answers, held to people's labels."""
        return self._do(calls.corrections(run_id))

    def strengths(self, run_id: str) -> models.Strengths:
        """Strengths of the models that judges compared with a run's in pairs."""
        return self._do(calls.strengths(run_id))

    def compare(self, a: str, b: str, *, task: str | None = None) -> models.Compared:
        """Two runs on the samples that both have, with intervals: whether the difference is real."""
        return self._do(calls.compare(a, b, task=task))

    def compare_loads(self, a: str, b: str) -> models.LoadsCompared:
        """The loads of two runs, figure by figure, with intervals. Raises: NotFound, Invalid where one has no load."""
        return self._do(calls.compare_loads(a, b))

    def parity(self, reference: str, *others: str, margin: float | None = None) -> models.ParityTold:
        """What runs of the same weights lose and gain beside a reference. Raises: NotFound, Invalid where they share no data."""
        return self._do(calls.parity(reference, others, margin=margin))

    def prices(self, *, most: int | None = None, **filters: Unpack[PriceFilters]) -> Table[models.PriceRow]:
        """The price book."""
        return self._do(calls.prices(most=most, filters=filters))

    def publish_prices(self, prices: Sequence[calls.Price]) -> int:
        """How many of the prices were new: all are published or none. Raises: Invalid, Conflict where one is known otherwise."""
        return (self._do(calls.publish_prices(prices))).published

    def recommend(self, requirement: Mapping[str, Any], *, by: str = "assay-client", seed: int | None = None) -> models.Recommendation:
        """Which model on which hardware, how surely, and what to measure next. Raises: Invalid where the requirement is wrong."""
        return self._do(calls.recommend(requirement, by=by, seed=seed))

    def recommendation(self, recommendation_id: str) -> models.Recommendation:
        """A recommendation as it was made. Raises: NotFound."""
        return self._do(calls.recommendation(recommendation_id))

    def ask_for_next(self, recommendation_id: str, *, place: int = 0, by: str = "assay-client") -> models.NextBought:
        """Asks for the next run that a recommendation names at that place, once; look at its price before. Raises: NotFound, Invalid."""
        return self._do(calls.ask_for_next(recommendation_id, place=place, by=by))

    def score_history(self, task: str, *, model: str = "", limit: int | None = None) -> models.ScoreHistory:
        """How a task's scores went over time, what was measured here and what others report; the newest first."""
        return self._do(calls.score_history(task, model=model, limit=limit))

    def read_sentence(self, sentence: str, *, reader: bool = False) -> models.RequirementRead:
        """A sentence as a requirement to be looked over; `reader`: by the API's model too. Raises: Invalid where nothing is understood."""
        return self._do(calls.read_sentence(sentence, reader=reader))

    def savings(self, run: str, requirement: Mapping[str, Any], *, margin: float | None = None) -> models.SavingsTold:
        """What would save against what a run measured, under the requirement's traffic. Raises: Invalid, NotFound."""
        return self._do(calls.savings(run, requirement, margin=margin))

    def recommendations(self, *, most: int | None = None, **filters: Unpack[RecommendationFilters]) -> Table[models.RecommendationRow]:
        """Recommendations, the newest first."""
        return self._do(calls.recommendations(most=most, filters=filters))

    def grid(self, campaign: str) -> models.Grid:
        """A campaign's loads by concurrency and lengths, with their figures. Raises: NotFound."""
        return self._do(calls.grid(campaign))

    def predict(self, **asked: Any) -> models.Prediction:
        """What nobody has measured: `model`, its size, `engine`, `hardware`, load, as /v1/predictions takes them. Raises: Invalid."""
        return self._do(calls.predict(asked))

    def prediction(self, prediction_id: str) -> models.Prediction:
        """A prediction as it was made, and what was measured since. Raises: NotFound."""
        return self._do(calls.prediction(prediction_id))

    def predictions(self, *, most: int | None = None, **filters: Unpack[PredictionFilters]) -> Table[models.PredictionRow]:
        """Predictions, the newest first."""
        return self._do(calls.predictions(most=most, filters=filters))

    def predict_scores(self, **asked: Any) -> models.ScorePrediction:
        """What a model would score: `model`, `parameters`, `tasks`, as /v1/score-predictions takes them. Raises: Invalid."""
        return self._do(calls.predict_scores(asked))

    def score_prediction(self, prediction_id: str) -> models.ScorePrediction:
        """A prediction of scores as it was made, and what was measured since. Raises: NotFound."""
        return self._do(calls.score_prediction(prediction_id))

    def score_predictions(self, *, most: int | None = None, **filters: Unpack[ScorePredictionFilters]) -> Table[models.ScorePredictionRow]:
        """Predictions of scores, the newest first."""
        return self._do(calls.score_predictions(most=most, filters=filters))

    def calculate(self, assumptions: Mapping[str, Any]) -> models.Calculation:
        """The total cost of ownership, own against rent and hosted, from stated assumptions. Raises: Invalid."""
        return self._do(calls.calculate(assumptions))

    def record_decision(self, *, by: str, **terms: Any) -> models.Recorded:
        """Writes down what was decided: `recommendation_id` and perhaps `candidate`, or `chosen`. Raises: Invalid, NotFound."""
        return self._do(calls.record_decision(by=by, terms=terms))

    def report_outcome(self, decision_id: str, *, by: str, **figures: Any) -> models.Reported:
        """Reports what a decision came to, as before_usd_per_month and after_usd_per_month. Raises: Invalid, NotFound."""
        return self._do(calls.report_outcome(decision_id, by=by, figures=figures))

    def decisions(self, *, most: int | None = None, **filters: Unpack[DecisionFilters]) -> Table[models.Decision]:
        """Decisions with what came of them, the newest first."""
        return self._do(calls.decisions(most=most, filters=filters))

    def ranking(
        self, board: str | None = None, *, task: str | None = None, most: int | None = None, **filters: Unpack[RankingFilters]
    ) -> models.Ranking:
        """A board as it stands, or its first `most` rows; without a name, the suite's that changed last."""
        return self._do(calls.ranking(board=board, task=task, most=most, filters=filters))

    def suites(self, *, most: int | None = None, **filters: Unpack[SuiteFilters]) -> Table[models.SuiteTold]:
        """The project's suites."""
        return self._do(calls.suites(most=most, filters=filters))

    def suite_tasks(self, suite: str, *, most: int | None = None, **filters: Unpack[SuiteTaskFilters]) -> Table[models.SuiteTask]:
        """The tasks of a suite, with what they are pinned to."""
        return self._do(calls.suite_tasks(suite, most=most, filters=filters))

    def boards(self, *, most: int | None = None, **filters: Unpack[BoardFilters]) -> Table[models.BoardRow]:
        """The boards."""
        return self._do(calls.boards(most=most, filters=filters))

    def agents(self, *, most: int | None = None, **filters: Unpack[AgentFilters]) -> Table[models.AgentRow]:
        """The agents that are alive."""
        return self._do(calls.agents(most=most, filters=filters))

    def dead_letters(self, *, most: int | None = None, **filters: Unpack[LetterFilters]) -> Table[models.Letter]:
        """Records that could not be decoded or processed, the newest first."""
        return self._do(calls.dead_letters(most=most, filters=filters))

    def live(
        self, *, run: str | None = None, topics: str | None = None, board: str | None = None, cursor: str | None = None
    ) -> Generator[LiveEvent, None, None]:
        """Events as they happen, for ever: a connection that breaks is made again, and nothing is missed."""
        listening = Listening({"run": run, "topics": topics, "board": board}, cursor=cursor)
        while True:
            try:
                with self._http.stream("GET", "/v1/live", params=listening.query, headers=listening.headers(), timeout=TIMEOUT) as answer:
                    if answer.is_client_error:
                        answer.read()
                        raise refusal(answer)
                    if answer.is_success:
                        for line in answer.iter_lines():
                            if told := listening.feed(line):
                                yield told
            except httpx.TransportError:
                pass
            time.sleep(listening.pause_s())

    def _do(self, call: Steps[T]) -> T:
        back: Back = None
        while True:
            try:
                step = call.send(back)
            except StopIteration as end:
                result: T = end.value
                return result
            if isinstance(step, Ask):
                back = self._sent(step)
            else:
                time.sleep(step.seconds)
                back = None

    def _sent(self, ask: Ask) -> Back:
        try:
            return self._http.request(ask.method, ask.path, params=ask.query, json=ask.body, headers={"Accept": ask.accept})
        except httpx.TransportError as error:
            return error
