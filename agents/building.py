"""Tasks built in processes of their own and written to the log, each once: the samples, and the texts that they share."""

import asyncio
import functools
import time
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from typing import Any, ParamSpec, TypeVar

import structlog

from agents.turns import Turns
from infra.builds import Builds
from infra.harness.building import Build, BuiltCall, BuiltSample
from infra.harness.limits import bounded
from infra.harness.processes import prepare
from infra.identity import now_us, producer
from infra.kafka import Log, Place
from infra.pools import alone, end, pool
from infra.retrying import noticed
from schemas.builds import BuiltRequest, ContentPlace, ContentPublished, SampleBuilt, TaskBuilt
from schemas.event import Text
from streams import bounds, planning
from streams.errors import Invalid
from streams.trust.privacy import PRIVATE

SAMPLES_AT_ONCE = 1000
T = TypeVar("T")
P = ParamSpec("P")
log_line = structlog.get_logger()


class Building:
    """The builders' processes, and the builds that the log holds. Runs that want one build wait for it together."""

    def __init__(self, log: Log, *, processes: int, limit_s: float) -> None:
        self._log = log
        self._limit_s = limit_s
        self._count = processes
        self._processes = pool(processes)
        self._turns = Turns(processes)
        self._building: dict[str, asyncio.Lock] = {}
        self.builds = Builds(log)

    async def of(self, build_id: str, make: Callable[[], Any], header: dict[str, Any]) -> TaskBuilt:
        """The build of that id: the log's, else what `make` builds, once it is written under that id. Raises: whatever building raises."""
        lock = self._building.setdefault(build_id, asyncio.Lock())
        async with lock:
            built = await self.builds.of(build_id)
            if built is None:
                built = await self._publish(replace(await make(), build_id=build_id), header)
                self.builds.hold(built)
        if not lock.locked():
            self._building.pop(build_id, None)
        return built

    async def _publish(self, made: Build, header: dict[str, Any]) -> TaskBuilt:
        """Writes a build to the log: contents, samples, and last the event that says it is whole."""
        started = time.perf_counter()
        header |= {"occurred_us": now_us(), "producer": producer("agents.plan")}
        made, contents = self._named(made, header), await self._publish_contents(made, header)
        places: list[Place] = []
        for first in range(0, len(made.samples), SAMPLES_AT_ONCE):
            chunk = made.samples[first : first + SAMPLES_AT_ONCE]
            places += await self._log.publish_all(_sample(made.build_id, sample, contents, header) for sample in chunk)
        used = {place.content_id: place for place in contents.values()}
        named = ("build_id", "task", "task_version", "harness_version", "data_sha", "data_source", "licence", "fewshot", "seed", "chat_sha",
                 "expected", "main_metric", "main_filter", "chance", "config_json", "own_examples", "rows_skipped",
                 "skipped_first", "format", "questions")  # fmt: skip
        built = TaskBuilt.model_validate(header | {name: getattr(made, name) for name in named} | {
            "samples": len(made.samples), "partition": places[0].partition, "contents": tuple(used.values()),
            "first_offset": min(place.offset for place in places), "last_offset": max(place.offset for place in places),
        })  # fmt: skip
        way = "ask for the task without few-shot examples (--fewshot 0), or bring one of fewer documents"
        await self._log.publish(bounds.held(built, way=way))
        log_line.info("built", task=made.task, samples=len(made.samples), took_s=round(time.perf_counter() - started, 3))
        return built

    async def _publish_contents(self, made: Build, header: dict[str, Any]) -> dict[str, ContentPlace]:
        """Text → its place, for every text that samples refer to."""
        texts = dict.fromkeys(text for sample in made.samples for call in sample.requests if (text := _apart(call)))
        found: dict[str, ContentPlace] = {}
        for text in texts:
            # A private text is another content than the same one in a public build, for the first that is told counts.
            salt = made.build_id if header["visibility"] == PRIVATE else ""
            name, pieces = self._name(planning.content_id(salt + text), header), planning.chunks(text)
            places = await self._log.publish_all(
                ContentPublished(
                    **header, content_id=name, media_type="text/plain", chunk=number, chunks=len(pieces), text=Text(bytes=piece)
                )
                for number, piece in enumerate(pieces)
            )
            offsets = [place.offset for place in places]
            found[text] = ContentPlace(content_id=name, partition=places[0].partition, first_offset=min(offsets), last_offset=max(offsets))
        return found

    def _name(self, name: str, header: dict[str, Any]) -> str:
        """A hash of texts as the log tells it."""
        return self._log.vault.named(name, organisation=header["organisation_id"], visibility=header["visibility"])

    def _named(self, made: Build, header: dict[str, Any]) -> Build:
        """The build with its hashes of texts as the log tells them."""
        samples = [replace(sample, arguments_sha=self._name(sample.arguments_sha, header)) for sample in made.samples]
        return replace(made, chat_sha=self._name(made.chat_sha, header), samples=samples)

    async def run(self, function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """Runs in a builder's process, so that Kafka's client stays alive and a crash of a library is one failed task."""
        whole = functools.partial(function, *arguments, **named)
        name, processes = str(getattr(next(iter(whole.args), None), "name", "a task")), self._processes
        work = functools.partial(bounded, whole, name, self._limit_s)
        try:
            return await noticed(asyncio.get_running_loop().run_in_executor(processes, work), what="a task's building")
        except BrokenProcessPool:
            if self._processes is processes:  # of several that were in it, one starts another
                self._processes = pool(self._count)
        try:
            return await noticed(alone(work), what="a task's building")
        except BrokenProcessPool as error:
            raise Invalid(f"building {name!r} ended the builder's process; the planner's log says more", code="builder-died") from error

    def asked_by(self, who: str) -> "Builder":
        """The builders, as somebody asks them."""
        return Builder(self, self._turns, who)

    def prepare(self) -> None:
        """Lets a builder's process import what it needs, while others start."""
        asyncio.get_running_loop().run_in_executor(self._processes, prepare)

    def close(self) -> None:
        """Ends the builders' processes."""
        end(self._processes)


@dataclass(frozen=True, slots=True)
class Builder:
    """The builders as one submitter asks them: with others, in turn, for what may take half an hour each."""

    building: Building
    turns: Turns
    who: str

    async def run(self, function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """As Building.run, when it is its turn."""
        async with self.turns.of(self.who):
            return await self.building.run(function, *arguments, **named)

    async def of(self, build_id: str, work: Callable[[], Any], header: dict[str, Any]) -> TaskBuilt:
        """As Building.of, of what `work` builds in a process, when it is its turn: else others who want that build would wait for it."""
        async with self.turns.of(self.who):
            return await self.building.of(build_id, functools.partial(self.building.run, work), header)


def _apart(call: BuiltCall) -> str:
    """The text of a request that is published once by itself: the shared prefix, or all of a context too long for an event."""
    return call.prefix + call.context if len(call.context) > planning.LONGEST_INLINE else call.prefix


def _sample(build_id: str, sample: BuiltSample, contents: dict[str, ContentPlace], header: dict[str, Any]) -> SampleBuilt:
    return SampleBuilt(
        **header, build_id=build_id, ordinal=sample.ordinal, doc_id=sample.doc_id, document=Text.plain(sample.document),
        requests=tuple(_request(call, contents) for call in sample.requests), arguments_sha=sample.arguments_sha,
        target=Text.plain(sample.target) if sample.target is not None else None,
    )  # fmt: skip


def _request(call: BuiltCall, contents: dict[str, ContentPlace]) -> BuiltRequest:
    apart = _apart(call)
    return BuiltRequest(
        request_type=call.request_type, prefix_ref=contents[apart].content_id if apart else None,
        context=Text.plain("" if len(call.context) > planning.LONGEST_INLINE else call.context),
        continuation=Text.plain(call.continuation) if call.continuation is not None else None,
        generation_json=call.generation_json, repeats=call.repeats,
    )  # fmt: skip
