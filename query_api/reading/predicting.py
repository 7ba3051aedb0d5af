"""Predictions over what was measured, and how good those that were made have been."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from infra.identity import now_us, producer
from query_api.reading.deciding import REMEMBERED, Measurements
from query_api.reading.facts import event_of
from query_api.reading.paging import Listing
from query_api.reading.runs import Reading
from schemas.event import derive_id
from schemas.predictions import PredictedFigure, PredictionMade, Unpredicted
from streams.errors import NotFound
from streams.predicting import others
from streams.predicting.evidence import Size, digest_of, machine_named, rows_of
from streams.predicting.others import FORM, Published
from streams.predicting.predicting import FORMULA_VERSION, Abstained, Predictor
from streams.predicting.record import Came, Kept, came_of, kept_of
from streams.predicting.subjects import FIGURES, Load, Model, Row, Subject

LISTING: Final = Listing("prediction_list", sorts={"made_us": "Int64"}, key={"prediction_id": "String"})
FRESH_S: Final = 1.0
LOOKED_BACK: Final = 2_000  # predictions whose record is told, the newest


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody wants to know beforehand, and who. `hardware` as people call it; the model's size in whole numbers."""

    by: str
    model: str
    model_sha: str | None
    parameters: int
    weights_bytes: int
    kv_bytes_per_token: int
    engine: str
    hardware: str
    load: Load


@dataclass(frozen=True, slots=True)
class Learned:
    """Rows, and what was learned of them; it is learned anew where there are others."""

    rows: Sequence[Row]
    digest: str
    predictor: Predictor


async def sizes_of(reading: Reading) -> dict[str, Size]:
    """What each run's engine said of the model as it loaded it."""
    return {row["run_id"]: Size(row["parameters"], row["weights_bytes"], row["kv_bytes"], row["peak_bytes"])
            for row in await reading.rows("model_sizes")}  # fmt: skip


class Predicting:
    """Predictions, one at a time. Those that were said last are known before they are projected."""

    def __init__(self, reading: Reading, measurements: Measurements, *, organisation: str) -> None:
        self._reading = reading
        self._measurements = measurements
        self._organisation = organisation
        self._learned: Learned | None = None
        self._read_s = 0.0
        self._made: dict[str, PredictionMade] = {}

    async def reckoned(self, wanted: Wanted) -> PredictionMade:
        """The prediction, said to nobody. Raises: Invalid for hardware of which nothing is known."""
        async with self._measurements.alone:
            learned = await self._refreshed()
            machine = machine_named(wanted.hardware, self._measurements.evidence)
            size = (float(wanted.parameters), float(wanted.weights_bytes), float(wanted.kv_bytes_per_token))
            subject = Subject(Model(wanted.model_sha or wanted.model, *size), wanted.engine, machine, wanted.load)
            told = await asyncio.to_thread(learned.predictor.predict, subject)
        about = asdict(wanted)
        load, by, _ = about.pop("load"), about.pop("by"), about.pop("hardware")
        asked = (FORMULA_VERSION, sorted(about.items()), machine.name, sorted(load.items()))
        return PredictionMade(
            occurred_us=now_us(), producer=producer("query_api"), organisation_id=self._organisation,
            prediction_id=derive_id("Prediction", self._organisation, *asked, learned.digest),
            asked_by=by, hardware=machine.name, **about, **load,
            figures=tuple(PredictedFigure(unit=FIGURES[one.figure], **asdict(one)) for one in told if not isinstance(one, Abstained)),
            unpredicted=tuple(Unpredicted(**asdict(one)) for one in told if isinstance(one, Abstained)),
            formula_version=FORMULA_VERSION, inputs_digest=learned.digest,
            input_runs=tuple(sorted({row.run_id for row in learned.rows if row.source is None})),
        )  # fmt: skip

    async def predicted(self, wanted: Wanted, say: Callable[[PredictionMade], Awaitable[object]]) -> PredictionMade:
        """The prediction, which is said where it was not before; else the one that was said first. Raises: as `reckoned`."""
        made = await self.reckoned(wanted)
        if known := await self._known(made.prediction_id):
            return known
        await say(made)
        self._made = dict([*self._made.items(), (made.prediction_id, made)][-REMEMBERED:])
        return made

    async def kept(self, prediction_id: str) -> PredictionMade:
        """A prediction as it was made. Raises: NotFound."""
        if known := await self._known(prediction_id):
            return known
        raise NotFound(f"no prediction {prediction_id}; `assay predictions` lists them", code="unknown-prediction")

    async def came(self, made: Sequence[PredictionMade]) -> list[Came]:
        """What came of these predictions."""
        async with self._measurements.alone:
            rows = (await self._refreshed()).rows
        return await asyncio.to_thread(lambda: [one for prediction in made for one in came_of(prediction, rows)])

    async def record(self) -> list[Kept]:
        """How good predictions have been, figure by figure; of very many the newest."""
        rows = await self._reading.rows("prediction_events", limit=LOOKED_BACK)
        made = [event_of(PredictionMade, row) for row in rows]
        return kept_of(made, await self.came(made))

    async def places(self) -> list[str]:
        """The hardware that something was measured on."""
        async with self._measurements.alone:
            rows = (await self._refreshed()).rows
        return sorted({row.subject.machine.name for row in rows if row.source is None})

    async def _refreshed(self) -> Learned:
        """What was learned of all that is known: a page asks several times at once, and is told of one moment."""
        if self._learned is not None and time.monotonic() - self._read_s < FRESH_S:
            return self._learned
        await self._measurements.refresh()
        rows = await asyncio.to_thread(rows_of, self._measurements.evidence, await sizes_of(self._reading))
        published = [Published(**row) for row in await self._reading.rows("external_loads", form=FORM)]
        rows += await asyncio.to_thread(others.rows_of, published)
        digest = digest_of(rows)
        if self._learned is None or self._learned.digest != digest:
            self._learned = Learned(rows, digest, Predictor(rows))
        self._read_s = time.monotonic()
        return self._learned

    async def _known(self, prediction_id: str) -> PredictionMade | None:
        if prediction_id in self._made:
            return self._made[prediction_id]
        rows = await self._reading.rows("prediction", prediction_id=prediction_id)
        return event_of(PredictionMade, rows[0]) if rows else None
