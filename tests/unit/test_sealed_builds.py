"""Private builds and scores, sealed, as planner, scorer and settler have them."""

import asyncio
import hashlib
from pathlib import Path
from typing import Any, cast

import pytest

from agents.aggregating import gathered
from agents.building import Building
from agents.repeating import planned_again
from infra.builds import Builds, contents_of, samples_of
from infra.first_seals import FirstSeals
from infra.harness.building import Build, BuiltCall, BuiltSample
from infra.kafka import Log
from infra.settings import Settings
from infra.vault import Vault
from schemas.builds import ContentPublished, SampleBuilt, TaskBuilt
from schemas.event import Event, Producer
from schemas.jobs import JobPlanned
from schemas.requests import Chat, EvaluationRequested
from schemas.results import SampleScored
from schemas.runs import RunChanged
from streams import planning
from streams.errors import Permanent
from streams.quality.scores import TaskScores
from streams.trust.answers import held
from streams.trust.privacy import PRIVATE
from tests.in_memory import InMemory
from tests.runs import run_named
from tests.sealed import STAMP
from tests.unit.test_audits import A, asked, jobs, plan
from tests.unit.test_sealed_texts import answered

SECRET, R = "the dog walks at midnight", run_named("r")
SHA = hashlib.sha256(SECRET.encode()).hexdigest()
SAMPLES = [BuiltSample(0, 0, f'{{"q": "{SECRET}"}}', (BuiltCall("loglikelihood", f"{SECRET}?", "", " a", None, 1),), SHA, SECRET)]
BUILD = Build("plain", "t", "1", "1", "data", "", None, 1, 0, SHA, SAMPLES, (), "acc", "none", None, f'{{"task": "{SECRET}"}}')


class Sealing(InMemory):
    """A log in memory that seals what is written, as the real one does."""

    def __init__(self, home: Path) -> None:
        super().__init__()
        self.vault = Vault(Settings(home=home))

    def write(self, event: Event, **told: Any) -> Any:
        return super().write(self.vault.sealed(event), **told)

    @property
    def events(self) -> list[Event]:
        """All that it holds."""
        return [record.event for records in self.records.values() for record in records if record.event]


def built(log: Sealing, build_id: str, **header: str) -> TaskBuilt:
    """The build as the planner has it, once it is written under that id."""
    building = Building(cast("Log", log), processes=1, limit_s=1.0)

    async def make() -> Build:
        return BUILD

    try:
        return asyncio.run(building.of(build_id, make, {"organisation_id": "acme", "visibility": PRIVATE} | header))
    finally:
        building.close()


def test_a_private_build_is_sealed_and_names_nothing_by_a_hash_of_its_texts(tmp_path: Path) -> None:
    """Whoever has the key reads it as it was built; of an open one all is as it is."""
    log = Sealing(tmp_path)
    own, open_ = built(log, "mine"), built(log, "theirs", visibility="organisation")
    private = [event for event in log.events if event.visibility == PRIVATE]
    assert {type(event) for event in private} == {TaskBuilt, SampleBuilt, ContentPublished} and len(private) == 3
    assert all(SECRET not in repr(event) and SHA not in repr(event) for event in private)
    contents = {planning.content_id(text) for text in (f"{SECRET}?", f"mine{SECRET}?", f"plain{SECRET}?")}
    assert not contents & {event.content_id for event in private if isinstance(event, ContentPublished)}
    assert (own.build_id, own.config_json) == ("mine", BUILD.config_json) and own.chat_sha != SHA == open_.chat_sha

    async def read(place: TaskBuilt) -> tuple[SampleBuilt, dict[str, str], TaskBuilt | None]:
        there = cast("Log", log)
        return (await samples_of(there, place))[0], await contents_of(there, place.contents), await Builds(there).of(place.build_id)

    for place in (own, open_):
        sample, texts, again = asyncio.run(read(place))
        (request,) = sample.requests
        assert sample.target is not None and (sample.document.read(), sample.target.read()) == (SAMPLES[0].document, SECRET)
        assert texts == {str(request.prefix_ref): f"{SECRET}?"}
        assert again == place


def test_a_forgotten_build_says_so_and_only_its_means_are_still_known(tmp_path: Path) -> None:
    """Nothing of it aggregates any more."""
    log = Sealing(tmp_path)
    own = built(log, "mine")
    log.vault.keys.forget("acme", by="ann", reason="")

    async def act() -> None:
        builds = Builds(cast("Log", log))
        assert await builds.config_of("mine") == "{}" == await builds.config_of("none")
        for wanted in (builds.of("mine"), samples_of(cast("Log", log), own), contents_of(cast("Log", log), own.contents)):
            with pytest.raises(Permanent, match="were forgotten on") as refused:
                await wanted
            assert refused.value.code == "forgotten"

    asyncio.run(act())


def test_parts_that_the_settler_holds_sealed_are_aggregated_as_they_were(tmp_path: Path) -> None:
    """In the order of samples; its digest is over what lies in the log. Forgotten, they are not aggregated."""
    vault, scores, plain = Vault(Settings(home=tmp_path)), TaskScores(), TaskScores()
    for ordinal in (2, 0, 1):
        event = SampleScored(
            occurred_us=1, producer=Producer(service="t", version="1"), organisation_id="acme", visibility=PRIVATE, run_id=R, task="t",
            ordinal=ordinal, doc_id=ordinal, repeat=0, scorer_version="1", filter="none", metric="bleu", value=None,
            parts_json=f'["{SECRET} {ordinal}"]',
        )  # fmt: skip
        plain.add(event)
        scores.add(vault.sealed(event))
    opened = vault.parts_of("t", "1", run_id=R, organisation_id="acme")
    assert SECRET not in repr(scores)
    assert gathered(scores, frozenset(), opened) == gathered(plain, frozenset(), opened)
    assert scores.digest() != plain.digest()
    vault.keys.forget("acme", by="ann", reason="")
    with pytest.raises(Permanent, match="were forgotten on"):
        gathered(scores, frozenset(), opened)


def test_a_private_run_is_audited_by_what_it_was_asked(tmp_path: Path) -> None:
    """Its jobs once more, sealed as the audit's own; equal answers are equal, though no byte of them is. Forgotten, it cannot be."""
    log = Sealing(tmp_path)
    told: dict[str, Any] = {"organisation_id": "acme", "visibility": PRIVATE}
    was = plan().model_copy(update={"chat": Chat(system=SECRET)})
    for state in ("planned", "completed"):
        change = {"occurred_us": 1, "producer": STAMP, "run_id": R, "state": state, "plan": was if state == "planned" else None}
        log.write(RunChanged.model_validate(change | told))
    job = jobs()[0].model_copy(update={"run_id": R, "job_id": f"{R}/t/0/0", "chat": was.chat, **told})
    log.write(JobPlanned(occurred_us=1, producer=STAMP, pool="p", run_id=R, job_id=job.job_id, job=job, **told))
    request = asked(**told, audit_of=R)

    async def bring(own: EvaluationRequested) -> tuple[EvaluationRequested, None]:
        assert own.chat == was.chat
        return own, None

    async def planned() -> Any:
        return await planned_again(request, log=cast("Log", log), seals=cast("FirstSeals", None), bring=bring)

    again, audited = asyncio.run(planned())
    (one,) = audited.each
    assert (again.chat, one.chat, one.job_id) == (was.chat, was.chat, f"{A}/t/0/0")
    own, other = answered(run_id=R, **told), answered(run_id=A, job_id=one.job_id, **told)
    sealed, theirs = log.vault.sealed(own), log.vault.sealed(other)
    assert held(sealed) != held(theirs)
    assert held(log.vault.opened(sealed)) == held(log.vault.opened(theirs)) == held(own)
    log.vault.keys.forget("acme", by="ann", reason="")
    with pytest.raises(Permanent, match="were forgotten on"):
        asyncio.run(planned())
