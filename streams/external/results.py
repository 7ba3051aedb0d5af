"""What a sealed run came to, and what is written of it for others (in_toto.py, hugging_face.py, every_eval_ever.py).

Only what its seal is over, and the builds of its tasks, which its plan names: so whoever holds a file of the run can work all of it out.
"""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from schemas.builds import TaskBuilt
from schemas.results import Figure, RunScored
from schemas.runs import Plan, PlannedTask
from schemas.settled import RunSettled
from schemas.trust import RunSealed
from streams.errors import Conflict
from streams.times import moment
from streams.trust.statements import link, statement

UNSCORED: Final = "no-scores"
HUB: Final = "hub:"
MIRROR: Final = "folder:"  # of ASSAY_DATASETS, in which each data set is called as on the hub, by __ for /


@dataclass(frozen=True, slots=True)
class Scored:
    """A task that is scored: as it was planned and built, and its figures that have a value, the main one first."""

    planned: PlannedTask
    built: TaskBuilt
    figures: tuple[Figure, ...]
    scorer_version: str

    @property
    def hub_data(self) -> str | None:
        """The data set's name on the hub; None where its data are from elsewhere."""
        source = self.built.data_source
        if source.startswith(MIRROR):
            return source.removeprefix(MIRROR).replace("__", "/", 1)
        return source.removeprefix(HUB) if source.startswith(HUB) else None

    def lower_is_better(self, figure: Figure) -> bool:
        """Whether less of that metric is better."""
        named = (one for one in self.planned.expected if (one.metric, one.filter) == (figure.metric, figure.filter))
        return not next((one.higher_is_better for one in named), True)


@dataclass(frozen=True, slots=True)
class Results:
    """A sealed run's results. `release`: the version of Assay that writes them."""

    seal: RunSealed
    settled: RunSettled
    plan: Plan
    tasks: tuple[Scored, ...]
    release: str

    @property
    def model(self) -> str:
        """The model's name: a folder's is its last part."""
        uri = self.plan.model.uri.rstrip("/")
        return uri.rpartition("/")[2] if uri.startswith((".", "/", "~")) else uri.partition("://")[2] or uri

    @property
    def ended(self) -> str:
        """When it was over, as RFC 3339 has it."""
        return moment(self.settled.changed_us)

    @property
    def samples(self) -> int:
        """Over how many documents its tasks' main figures are, in all."""
        return sum(task.figures[0].n for task in self.tasks)

    @property
    def sealed(self) -> dict[str, str]:
        """What anybody can check the seal by: the statement, as it was signed, the signature and the public key, both base64."""
        return {
            "statement": statement(self.seal).decode(), "signature": _text(self.seal.signature), "publicKey": _text(self.seal.public_key),
            "keyId": self.seal.key_id, "statementSha256": link(self.seal), "merkleRoot": self.seal.root,
        }  # fmt: skip


def results(
    seal: RunSealed,
    settled: RunSettled | None,
    scored: Mapping[tuple[str, str], RunScored],
    builds: Mapping[str, TaskBuilt],
    *,
    release: str,
) -> Results:
    """The results of what the seal is over. `scored`: by task and scorer version; `builds`: by their ids.

    Raises: Conflict for a run without a scored task.
    """
    plan = settled.plan if settled else None
    tasks = tuple(_tasks(settled, plan, scored, builds)) if settled and plan else ()
    if not settled or not plan or not tasks:
        raise Conflict(f"run {seal.run_id} has no task with a score: there is nothing to write of it in this form", code=UNSCORED)
    return Results(seal, settled, plan, tasks, release)


def _tasks(
    settled: RunSettled, plan: Plan, scored: Mapping[tuple[str, str], RunScored], builds: Mapping[str, TaskBuilt]
) -> Iterator[Scored]:
    for one in settled.tasks:
        planned, found = plan.planned(one.task), scored.get((one.task, one.scorer_version))
        built = builds.get(planned.build_id) if planned else None
        if planned is None or found is None or built is None:
            continue
        main = (planned.main_metric, planned.main_filter)
        known = [figure for figure in found.figures if figure.value is not None]
        figures = sorted(known, key=lambda figure: (figure.metric, figure.filter) != main)
        if figures and (figures[0].metric, figures[0].filter) == main:
            yield Scored(planned, built, tuple(figures), one.scorer_version)


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()
