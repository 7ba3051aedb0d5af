"""Turns answers into scores. It keeps no state: a sample's document and its answers are all in the log.

An answer over which scoring breaks is a dead letter, and its sample is said to be not scored: no run waits for it.

Scoring runs in processes of its own, outside the event loop; it needs no data set. Answers that are programs take seconds each, and must
not hold others up: they are left to agents/code.py.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace

from agents.app import consume
from agents.care import LONGEST_TOLD, give_up
from agents.missed import ended, undecoded
from infra.builds import Builds, contents_of, held_bytes, samples_of
from infra.harness.processes import Scored, ToScore, prepare, score_all
from infra.harness.scoring import NOT_SCORABLE, SCORER_VERSION, runs_code
from infra.identity import producer
from infra.kafka import MOST_BYTES, Log, Record
from infra.kept import Kept
from infra.plans import Plans
from infra.pools import end, pool
from infra.pulse import PULSE
from infra.retrying import noticed
from infra.settings import Settings
from schemas.builds import SampleBuilt, TaskBuilt
from schemas.event import Event
from schemas.measurements import SampleAnswered
from schemas.results import SampleNotScored, SampleScored
from schemas.trust import DeadLettered
from streams.errors import Permanent, Temporary
from streams.fitting import scored_within
from streams.topics import ANSWERS, RUNS
from streams.trust.privacy import PRIVATE
from streams.trust.sealing import room

HELD_BYTES = 256 * 2**20
HELD_COUNTS = 10_000
AT_ONCE = 200
SERVICE = "agents.score"


@dataclass(frozen=True, slots=True)
class Material:
    """A build as scoring needs it."""

    built: TaskBuilt
    samples: Mapping[int, SampleBuilt]
    prefixes: Mapping[str, str]


class Scorer:
    """The scoring processes, and the builds used last. `code`: it takes the answers that are programs, and only those.

    `limit_s`: seconds that scoring one sample may take; None for programs, whose sandbox has limits of its own.
    """

    def __init__(self, log: Log, *, processes: int, limit_s: float | None = None, code: bool = False, at_once: int = AT_ONCE) -> None:
        self._log = log
        self._count = processes
        self._limit_s = limit_s
        self._code = code
        self._at_once = at_once
        self._processes = self._start()
        self._held: Kept[str, Material] = Kept(most_bytes=HELD_BYTES, weigh=lambda one: held_bytes(one.samples, one.prefixes))
        self._builds = Builds(log)
        self._missing: set[str] = set()
        self._plans = Plans(log)
        self._overdue = Counter[str]()

    def _start(self) -> ProcessPoolExecutor:
        return pool(self._count)

    async def handle(self, records: Sequence[Record]) -> None:
        """Scores a batch of answers. Raises: Permanent where the scoring process died over them."""
        self._missing.clear()
        for record in records:
            self._plans.remember(record.event)
        told = [(record, record.event) for record in records if isinstance(record.event, SampleAnswered)]
        own = {build_id for build_id in {answered.build_id for _, answered in told} if await self._is_code(build_id) == self._code}
        told = [(record, answered) for record, answered in told if answered.build_id in own]
        # Those of one build together, so that it is held while it is needed.
        told.sort(key=lambda one: one[1].build_id)
        for first in range(0, len(told), self._at_once):
            PULSE.touch()
            chunk = told[first : first + self._at_once]
            scored = await self._outcomes([answered for _, answered in chunk], alone=len(told) == 1)
            letters = await self._broken([record for record, _ in chunk], scored)
            await self._log.publish_all(
                event
                for number, ((_, answered), outcome) in enumerate(zip(chunk, scored, strict=True))
                for event in _events(answered, outcome, letter=letters.get(number))
            )

    async def _outcomes(self, answers: Sequence[SampleAnswered], *, alone: bool) -> list[Scored]:
        """Outcomes in the order of the answers. Raises: Permanent where the process died over several of them; one alone broke it."""
        try:
            return await self._score(answers)
        except Permanent as error:
            if not alone:
                raise
            self._overdue[_whose(answers[0])] += 1
            return [Scored(0, (), str(error), broke=True)]

    async def _broken(self, records: Sequence[Record], scored: Sequence[Scored]) -> dict[int, str]:
        """Number → id of the dead letter, for those answers over which scoring broke."""
        broken = [number for number, outcome in enumerate(scored) if outcome.broke]
        letters = await give_up([(records[number], NOT_SCORABLE, scored[number].reason or "") for number in broken], log=self._log)
        return dict(zip(broken, (letter.event_id for letter in letters), strict=True))

    async def _score(self, answers: Sequence[SampleAnswered]) -> list[Scored]:
        """Outcomes in the order of the answers; one whose build or sample is not in the log cannot be scored, and says so."""
        outcomes: dict[int, Scored] = {}
        work: dict[int, ToScore] = {}
        for number, answered in enumerate(answers):
            try:
                work[number] = await self._to_score(answered)
            except Temporary:
                raise
            except Permanent as error:
                outcomes[number] = Scored(0, (), str(error))
            except Exception as error:  # noqa: BLE001  # one answer's: it is told, and its run does not wait for it
                outcomes[number] = Scored(0, (), f"scoring it failed: {type(error).__name__}: {error}"[:LONGEST_TOLD], broke=True)
        outcomes |= dict(zip(work, await self._run(list(work.values())), strict=True))
        return [await self._named(answered, outcomes[number]) for number, answered in enumerate(answers)]

    async def _named(self, answered: SampleAnswered, outcome: Scored) -> Scored:
        """The outcome with its passage called as the log may tell it: of a private build by no hash of that text."""
        if outcome.cluster is None:
            return outcome
        built = await self._built(answered.build_id)
        name = self._log.vault.named(outcome.cluster, organisation=built.organisation_id, visibility=built.visibility)
        return replace(outcome, cluster=name)

    async def _run(self, work: list[ToScore]) -> list[Scored]:
        if not work:
            return []
        loop, size = asyncio.get_running_loop(), -(-len(work) // self._count)
        parts = [work[first : first + size] for first in range(0, len(work), size)]
        try:
            # A part of slow metrics may take as long as its samples' limits together: that is no hang (what a limit cannot end is).
            most_s = None if self._limit_s is None else size * (self._limit_s + 1)
            done = await noticed(
                asyncio.gather(*[
                    loop.run_in_executor(self._processes, score_all, part, self._limit_s, self._told_overdue(part)) for part in parts
                ]),
                what="scoring", most_s=most_s,
            )  # fmt: skip
        except BrokenProcessPool as error:
            self._processes = self._start()
            raise Permanent("the scoring process died over these answers", code="scorer-died") from error
        outcomes = [outcome for part in done for outcome in part]
        self._count_overdue(work, outcomes)
        return outcomes

    def _told_overdue(self, part: Sequence[ToScore]) -> dict[str, int]:
        return {one.whose: self._overdue[one.whose] for one in part if one.whose in self._overdue}

    def _count_overdue(self, work: Sequence[ToScore], outcomes: Sequence[Scored]) -> None:
        """A task whose samples take too long again and again is not tried for ever: others wait meanwhile."""
        self._overdue.update(one.whose for one, outcome in zip(work, outcomes, strict=True) if outcome.overdue)
        while len(self._overdue) > HELD_COUNTS:
            del self._overdue[next(iter(self._overdue))]

    async def _to_score(self, answered: SampleAnswered) -> ToScore:
        material = await self._material(answered.build_id)
        sample = material.samples.get(answered.ordinal)
        if sample is None:
            raise Permanent(f"build {answered.build_id} has no sample {answered.ordinal}", code="sample-missing")
        if sample.arguments_sha != answered.arguments_sha:
            raise Permanent(f"sample {answered.ordinal} of {answered.task} was answered for other arguments", code="other-arguments")
        wanted = {name for request in sample.requests if (name := request.prefix_ref)}
        answers = self._log.vault.opened(answered).answers
        return ToScore(
            material.built.config_json, sample.document.read(), sample.doc_id, sample.requests,
            {name: material.prefixes[name] for name in wanted}, answers, await self._plans.beside(answered.run_id, material.built),
            whose=_whose(answered),
        )  # fmt: skip

    async def _material(self, build_id: str) -> Material:
        return await self._held.of(build_id, lambda: self._read(build_id))

    async def _read(self, build_id: str) -> Material:
        built = await self._built(build_id)
        return Material(built, await samples_of(self._log, built), await contents_of(self._log, built.contents))

    async def _is_code(self, build_id: str) -> bool:
        """The build's answers are programs. One that is not in the log is not code: that it is missing is said once."""
        try:
            return runs_code((await self._built(build_id)).config_json)
        except Permanent:
            return False

    async def _built(self, build_id: str) -> TaskBuilt:
        # A build is in the log before its answers are: one that is missing is looked for once a batch.
        built = None if build_id in self._missing else await self._builds.of(build_id)
        if built is None:
            self._missing.add(build_id)
            raise Permanent(f"no build {build_id} in the log", code="build-missing")
        return built

    def prepare(self) -> None:
        """Lets the scoring processes import what they need, while others start."""
        for _ in range(self._count):
            asyncio.get_running_loop().run_in_executor(self._processes, prepare)

    def close(self) -> None:
        """Ends the scoring processes."""
        end(self._processes)


def _whose(answered: SampleAnswered) -> str:
    return f"{answered.run_id}/{answered.task}"


def missed(record: Record, letter: DeadLettered) -> Sequence[Event]:
    """That the sample of an answer which is passed is not scored; of an answer that nobody could decode, that its run has failed."""
    if isinstance(record.event, SampleAnswered):
        return _events(record.event, Scored(0, (), letter.message), letter=letter.event_id)
    return ended(record, letter, "failed", service=SERVICE) if undecoded(record, letter, ANSWERS) else ()


def _events(answered: SampleAnswered, outcome: Scored, *, letter: str | None) -> list[SampleScored | SampleNotScored]:
    header = {
        "occurred_us": answered.occurred_us, "producer": producer(SERVICE), "organisation_id": answered.organisation_id,
        "visibility": answered.visibility, "run_id": answered.run_id, "task": answered.task, "ordinal": answered.ordinal,
        "repeat": answered.repeat, "scorer_version": SCORER_VERSION,
    }  # fmt: skip
    if not outcome.scores:
        reason = outcome.reason or "the task gave no metric for this sample"
        return [SampleNotScored.model_validate(header | {"reason": reason, "dead_letter_ref": letter})]
    scores = [
        SampleScored.model_validate(header | {
            "doc_id": outcome.doc_id, "filter": score.filter, "metric": score.metric, "value": score.value,
            "parts_json": score.parts_json, "metrics": len(outcome.scores), "cluster": outcome.cluster, "sandbox": score.sandbox,
        })
        for score in outcome.scores
    ]  # fmt: skip
    return scored_within(scores, most_bytes=room(MOST_BYTES, texts=1) if answered.visibility == PRIVATE else MOST_BYTES)


async def main(settings: Settings) -> None:
    """Scores until SIGTERM."""
    async with Log(settings, client_id=SERVICE) as log:
        scorer = Scorer(log, processes=settings.score_processes, limit_s=settings.score_limit_s)
        scorer.prepare()
        try:
            await consume("score", (ANSWERS, RUNS), scorer.handle, log=log, settings=settings, tells=missed)
        finally:
            scorer.close()
