"""Predictions of scores over what was measured, and how good those that were made have been."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from infra.identity import now_us, producer
from query_api.reading.deciding import REMEMBERED, Measurements
from query_api.reading.facts import event_of
from query_api.reading.paging import Listing
from query_api.reading.predicting import LOOKED_BACK, sizes_of
from query_api.reading.runs import Reading
from schemas.event import derive_id
from schemas.predictions import PredictedScore, ScorePredicted, UnpredictedScore
from streams.deciding.evidence import Evidence
from streams.errors import NotFound
from streams.predicting.families import family_of
from streams.predicting.score_record import ScoreCame, ScoresKept, came_of, kept_of
from streams.predicting.scored import groups_of, known_of, tasks_of
from streams.predicting.scores import FORMULA_VERSION, Asked, Known, NotTold, ScoreTold, predicted

LISTING: Final = Listing("score_prediction_list", sorts={"made_us": "Int64"}, key={"prediction_id": "String"})


@dataclass(frozen=True, slots=True)
class ScoreWanted:
    """Which scores somebody wants to know beforehand, of which model, and who. `family` None: as its name tells."""

    by: str
    model: str
    model_sha: str | None
    parameters: int
    family: str | None
    tasks: tuple[str, ...]
    known: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Learned:
    """Models that were scored, of these measurements, and the group of each task that is in one; `digest` is a name of them."""

    evidence: Evidence
    known: Sequence[Known]
    groups: Mapping[str, str]
    tasks: Sequence[str]
    digest: str


class PredictingScores:
    """Predictions of scores, one at a time. Those that were said last are known before they are projected."""

    def __init__(self, reading: Reading, measurements: Measurements, *, organisation: str) -> None:
        self._reading = reading
        self._measurements = measurements
        self._organisation = organisation
        self._learned: Learned | None = None
        self._made: dict[str, ScorePredicted] = {}

    async def reckoned(self, wanted: ScoreWanted) -> ScorePredicted:
        """The prediction, said to nobody."""
        async with self._measurements.alone:
            learned = await self._refreshed()
        known, told = await asyncio.to_thread(foretold, wanted, learned)
        about = {name: getattr(wanted, name) for name in ("model", "model_sha", "parameters")} | {"family": family(wanted)}
        asked = (FORMULA_VERSION, sorted(about.items(), key=repr), sorted(known.items()), wanted.tasks)
        return ScorePredicted(
            occurred_us=now_us(), producer=producer("query_api"), organisation_id=self._organisation,
            prediction_id=derive_id("ScorePrediction", self._organisation, *asked, learned.digest),
            asked_by=wanted.by, known=known, **about,
            scores=tuple(PredictedScore(**asdict(one)) for one in told if isinstance(one, ScoreTold)),
            unpredicted=tuple(UnpredictedScore(**asdict(one)) for one in told if isinstance(one, NotTold)),
            formula_version=FORMULA_VERSION, inputs_digest=learned.digest,
            input_runs=tuple(sorted({run_id for one in learned.known for run_id in one.runs.values()})),
        )  # fmt: skip

    async def predicted(self, wanted: ScoreWanted, say: Callable[[ScorePredicted], Awaitable[object]]) -> ScorePredicted:
        """The prediction, which is said where it was not before; else the one that was said first."""
        made = await self.reckoned(wanted)
        if found := await self._known(made.prediction_id):
            return found
        await say(made)
        self._made = dict([*self._made.items(), (made.prediction_id, made)][-REMEMBERED:])
        return made

    async def kept(self, prediction_id: str) -> ScorePredicted:
        """A prediction as it was made. Raises: NotFound."""
        if found := await self._known(prediction_id):
            return found
        raise NotFound(f"no prediction of scores {prediction_id}; `assay score-predictions` lists them", code="unknown-prediction")

    async def came(self, made: Sequence[ScorePredicted]) -> list[ScoreCame]:
        """What came of these predictions."""
        async with self._measurements.alone:
            evidence = (await self._refreshed()).evidence
            return await asyncio.to_thread(lambda: [one for prediction in made for one in came_of(prediction, evidence)])

    async def record(self) -> ScoresKept | None:
        """How good predictions of scores have been; of very many the newest. None where nothing was measured since."""
        rows = await self._reading.rows("score_prediction_events", limit=LOOKED_BACK)
        return kept_of(await self.came([event_of(ScorePredicted, row) for row in rows]))

    async def tasks(self) -> Sequence[str]:
        """The tasks, and groups, whose scores can be predicted."""
        async with self._measurements.alone:
            return (await self._refreshed()).tasks

    async def _refreshed(self) -> Learned:
        """What was learned of all that is known."""
        await self._measurements.refresh()
        evidence = self._measurements.evidence
        if self._learned is None or self._learned.evidence is not evidence:
            sizes = await sizes_of(self._reading)
            known = await asyncio.to_thread(known_of, evidence, sizes)
            digest = hashlib.sha256(repr([(one, sorted(one.scores.items())) for one in known]).encode()).hexdigest()
            self._learned = Learned(evidence, known, groups_of(evidence), list(tasks_of(evidence)), digest)
        return self._learned

    async def _known(self, prediction_id: str) -> ScorePredicted | None:
        if prediction_id in self._made:
            return self._made[prediction_id]
        rows = await self._reading.rows("score_prediction", prediction_id=prediction_id)
        return event_of(ScorePredicted, rows[0]) if rows else None


def family(wanted: ScoreWanted) -> str:
    """The model's family: as it is told, else as its name tells it."""
    return (wanted.family or family_of(wanted.model)).strip().lower()


def foretold(wanted: ScoreWanted, learned: Learned) -> tuple[dict[str, float], list[ScoreTold | NotTold]]:
    """Scores of other tasks that it rests on, and what is said of each task that is asked. A group's tasks count once, as the group."""
    own = [one for one in learned.known if is_it(one, wanted)]
    measured = {task: (score, one.runs[task]) for one in own for task, score in one.scores.items()}
    every = dict(wanted.known) | {task: score for task, (score, _) in measured.items()}
    known = {task: score for task, score in every.items() if learned.groups.get(task) not in every and task not in wanted.tasks}
    rest = [one for one in learned.known if not is_it(one, wanted)]
    asked = Asked(family(wanted), float(wanted.parameters), known)
    return known, [
        NotTold(task, f"it was measured: {measured[task][0]:.3f} in run {measured[task][1]}") if task in measured
        else predicted(asked, task, rest) for task in wanted.tasks
    ]  # fmt: skip


def is_it(one: Known, wanted: ScoreWanted) -> bool:
    """That model, by its files' hash where that is told, else by its name, whole or without its folder."""
    return one.sha == wanted.model_sha if wanted.model_sha else wanted.model in (one.name, one.name.rstrip("/").rpartition("/")[2])
