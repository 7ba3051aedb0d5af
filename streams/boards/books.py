"""All boards: the fold of runs' results, and which boards have come to stand otherwise.

Of a model's runs on a board only the newest on the same data can count. One that counts on none is forgotten once its result is final, but
for its name and that it is one of its model's, so that what is held goes with models and boards, not with history; as long as nothing newer
tells its speed, or a run is here that judges it, it is held without its documents. Results may come in any order, any number of times.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from schemas.event import Event
from schemas.jobs import EnvironmentSeen
from schemas.results import Documents, RunScored
from schemas.runs import Plan, PlannedTask
from schemas.settled import RunSettled
from schemas.trust import RunRetracted
from streams.boards.ranking import Chosen, Data, Entry, boards_of, chosen, data_of, estimates
from streams.boards.results import Result, result_of
from streams.boards.speeds import chosen as chosen_speed
from streams.engines import is_elsewhere
from streams.names import Names
from streams.quality.judging import by
from streams.settling.documents import unpacked

Model = tuple[str, ...]
SWEPT_AFTER: Final = 200  # runs


@dataclass(slots=True)
class Books:
    """What boards are made from. `said`: board → the digest of what was said of it last; `touched`: those that may stand otherwise now.

    `whole`: also what counts no more is held; `past`: the runs that are forgotten; `stood`: board → how many runs of each model could stand
    there. `scores`: run → task and scorer version → its documents; of a run those that its result names count, and newer ones are held.
    """

    whole: bool = False
    results: dict[str, Result] = field(default_factory=dict)
    settled: dict[str, RunSettled] = field(default_factory=dict)
    scores: dict[str, dict[tuple[str, str], Documents]] = field(default_factory=lambda: defaultdict(dict))
    environments: dict[str, EnvironmentSeen] = field(default_factory=dict)
    retracted: dict[str, RunRetracted] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)
    touched: set[str] = field(default_factory=set)
    past: Names = field(default_factory=Names)
    stood: dict[str, Counter[Model]] = field(default_factory=lambda: defaultdict(Counter))
    _on: dict[str, dict[tuple[Model, frozenset[Data], bool], str]] = field(default_factory=lambda: defaultdict(dict))
    _counts: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    _measured: dict[Model, set[str]] = field(default_factory=lambda: defaultdict(set))
    _runs: dict[Model, set[str]] = field(default_factory=lambda: defaultdict(set))
    _judgements: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    _tasks: dict[tuple[str, str], list[PlannedTask]] = field(default_factory=lambda: defaultdict(list))
    _lists: dict[tuple[int, ...], tuple[PlannedTask, ...]] = field(default_factory=dict)
    _boards: dict[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    _alike: dict[tuple[object, ...], Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    _forgotten: int = 0

    def fold(self, event: Event) -> None:
        """Takes a result, a task's scores, an environment or a retraction in."""
        match event:
            case EnvironmentSeen():
                self._see(event)
            case RunRetracted() if event.run_id not in self.retracted:
                self.retracted[event.run_id] = event
                self.touched |= {name for name, on in self._on.items() if event.run_id in on.values()}
            case RunScored(documents=Documents() as documents) if event.complete and event.run_id not in self.past:
                self._score(event, documents)
            case RunSettled() if event.run_id not in self.past:
                if event.state == "completed" and event.plan:
                    self._settle(event)
                elif event.final and event.run_id not in self.results:  # what has completed has not failed
                    self._forget(event.run_id)

    def _see(self, event: EnvironmentSeen) -> None:
        if event.sha not in self.environments:
            self.environments[event.sha] = event
            there = {run_id for run_id, result in self.results.items() if event.sha in result.environments}
            self.touched |= {name for name, on in self._on.items() if there & set(on.values())}

    def _score(self, event: RunScored, documents: Documents) -> None:
        """Of one scorer's scores the first count; which scorer's do, its run's result says. Raises: Invalid, and holds nothing."""
        unpacked(documents)
        which, known = (event.task, event.scorer_version), self.scores.get(event.run_id, {})
        if which not in known and not self.counts_no_more(event.run_id) and not self._is_older(event.run_id, *which):
            self.scores[event.run_id][which] = documents
            self._join(event.run_id)

    def _is_older(self, run_id: str, task: str, version: str) -> bool:
        """The run's result names a newer scorer of that task."""
        settled = self.settled.get(run_id)
        return settled is not None and any(one.task == task and one.scorer_version > version for one in settled.tasks)

    def _settle(self, event: RunSettled) -> None:
        known = self.settled.get(event.run_id)
        if known is not None and known.knows >= event.knows:
            return
        if self.counts_no_more(event.run_id):
            self.recall(event)
            self._touch(self.results[event.run_id])
        else:
            self.settled[event.run_id] = self._kept(event)
            named = {one.task: one.scorer_version for one in event.tasks}
            for which in [which for which in self.scores.get(event.run_id, ()) if which[1] < named.get(which[0], "")]:
                del self.scores[event.run_id][which]
            self._join(event.run_id)
        self._forget_past([event.run_id])

    def _kept(self, event: RunSettled) -> RunSettled:
        """What is held of a result."""
        return event.model_copy(update={"plan": self._shared(event.plan), "attempts": (), "attempts_packed": None, "through": {}})

    def _shared(self, plan: Plan | None) -> Plan | None:
        """The plan, with tasks that are equal to those of other plans being theirs: thousands of runs share a few."""
        if plan is None:
            return None
        if any(task.adaptive for task in plan.tasks):  # hardly two are equal
            return plan
        tasks = tuple(map(self._known, plan.tasks))
        return plan.model_copy(update={"tasks": self._lists.setdefault(tuple(map(id, tasks)), tasks)})

    def _known(self, task: PlannedTask) -> PlannedTask:
        """The task that is held and equal to this one. It is told by two of its fields: a hash of all costs ten times as much."""
        alike = self._tasks[task.task, task.build_id]
        found = next((one for one in alike if one is task or one == task), None)
        if found is None:
            alike.append(task)
        return found or task

    def _boards_of(self, result: Result) -> Mapping[str, tuple[str, ...]]:
        """The run's boards, each with its tasks: the same mapping for runs that ask the same."""
        tasks = result.plan.tasks
        if self._lists.get(tuple(map(id, tasks))) is not tasks:
            return boards_of(result)
        same = (id(tasks), result.plan.suite, by(result.plan))  # the list is held, and so is its id
        return self._alike.get(same) or self._alike.setdefault(same, boards_of(result))

    def _join(self, run_id: str) -> None:
        """A run stands on boards once its result is here and every score that it names: until then as it stood before."""
        settled, scores = self.settled.get(run_id), self.scores.get(run_id, {})
        if settled and settled.plan and settled.plan.audit_of:
            if settled.final:
                self._forget(run_id)  # what an audit says is held to the run, and ranks nobody
            return
        named = {one.task: (one.task, one.scorer_version) for one in settled.tasks} if settled else {}
        if settled is None or any(which not in scores for which in named.values()):
            return
        result = result_of(settled, {task: scores[which] for task, which in named.items()})
        if result is None or not result.whole:
            return
        self._hold(result)
        self._stand(result)
        self._touch(result)

    def _touch(self, result: Result) -> None:
        """A speed measured now belongs to every row of the same model, and to those that judge it."""
        for other in list(self._runs[result.model]) if result.speed else [result.run_id]:
            self.touched |= self._boards.get(other, {}).keys()
        for judgement in self._judgements.get(result.run_id, ()):
            self.touched |= self._boards[judgement].keys()
        if result.speed:
            self._forget_past(list(self._measured[result.model]))

    def counts_no_more(self, run_id: str) -> bool:
        """The run has stood, and stands on no board any more."""
        return run_id in self.results and not self._counts.get(run_id)

    def recall(self, settled: RunSettled) -> None:
        """Takes in a run that counts no more, and was counted: it may have its model's speed, or be judged."""
        self.settled[settled.run_id] = self._kept(settled).model_copy(update={"tasks": ()})
        if result := result_of(self.settled[settled.run_id], {}):
            self._put(result)

    def lacking(self, name: str) -> list[str]:
        """The runs that are judged on a board, and were forgotten before: recall them, or it stands without their machines and speeds."""
        standing = (self.results[run_id].plan.subject for run_id in set(self._on.get(name, {}).values()))
        return sorted({one.run_id for one in standing if one and one.run_id in self.past and one.run_id not in self.results})

    def _hold(self, result: Result) -> None:
        """Counts the run among its model's, on its boards, in place of what it came to before."""
        run_id = result.run_id
        if before := self.results.get(run_id):
            for name in self._boards[run_id]:
                self.stood[name][before.model] -= 1
        self._put(result)
        for name in self._boards[run_id]:
            self.stood[name][result.model] += 1

    def _put(self, result: Result) -> None:
        run_id = result.run_id
        self.results[run_id], self._boards[run_id] = result, self._boards_of(result)
        self._runs[result.model].add(run_id)
        if result.plan.subject:
            self._judgements[result.plan.subject.run_id].add(run_id)
        if result.speed:
            self._measured[result.model].add(run_id)

    def _stand(self, result: Result) -> None:
        """Puts a run on its boards; of a model's runs on the same data the newest stays, and of those that asked a part."""
        for name, tasks in self._boards[result.run_id].items():
            place = (result.model, data_of(result, tasks), estimates(result, tasks))
            before = self.results.get(self._on[name].get(place, ""))
            if before is None or (before.changed_us, before.run_id) <= (result.changed_us, result.run_id):
                self._on[name][place] = result.run_id
                self._counts[result.run_id].add(name)
                if before and before.run_id != result.run_id:
                    self._leave(before.run_id, name)
        if not self._counts.get(result.run_id):
            self._let_go(result.run_id)

    def _leave(self, run_id: str, name: str) -> None:
        self._counts[run_id].discard(name)
        if not self._counts[run_id]:
            self._let_go(run_id)

    def _let_go(self, run_id: str) -> None:
        """The run counts on no board: what its tasks came to is needed no more."""
        self._counts.pop(run_id, None)
        self.results[run_id] = replace(self.results[run_id], documents={}, tasks={})
        self.settled[run_id] = self.settled[run_id].model_copy(update={"tasks": ()})
        self.scores.pop(run_id, None)
        self._forget_past([run_id])

    def _forget_past(self, run_ids: Iterable[str]) -> None:
        """Forgets those of the runs that count no more, of which all is said, and that nothing here needs."""
        for run_id in run_ids:
            if not self.whole and self.counts_no_more(run_id) and self.settled[run_id].final and not self._needed(self.results[run_id]):
                self._forget(run_id)

    def _needed(self, result: Result) -> bool:
        """Its speed is its model's, or a run is here that judges it."""
        return result.run_id in self._judgements or (bool(result.speed) and self._fastest(result) is result)

    def _forget(self, run_id: str) -> None:
        self.past.add(run_id)
        self.settled.pop(run_id, None)
        self.scores.pop(run_id, None)
        self._boards.pop(run_id, None)
        self._counts.pop(run_id, None)
        if result := self.results.pop(run_id, None):
            _discard(self._runs, result.model, run_id)
            _discard(self._measured, result.model, run_id)
            if subject := result.plan.subject:
                _discard(self._judgements, subject.run_id, run_id)
                self._forget_past([subject.run_id])
        self._forgotten += 1
        if self._forgotten % SWEPT_AFTER == 0:
            self._sweep()

    def _sweep(self) -> None:
        """Lets go of lists of tasks that no run here has."""
        lists = {id(one.plan.tasks) for one in self.settled.values() if one.plan}
        self._lists = {key: tasks for key, tasks in self._lists.items() if id(tasks) in lists}
        self._alike = {key: boards for key, boards in self._alike.items() if key[0] in lists}
        held = {id(task) for tasks in self._lists.values() for task in tasks}
        kept = {key: [task for task in tasks if id(task) in held] for key, tasks in self._tasks.items()}
        self._tasks = defaultdict(list, {key: tasks for key, tasks in kept.items() if tasks})

    def entries(self, name: str) -> list[Entry]:
        """The runs that may stand on a board, with what is joined to them."""
        return [self._entry(self.results[run_id], name) for run_id in sorted(set(self._on.get(name, {}).values()))]

    def changed(self, names: Iterable[str]) -> Iterator[Chosen]:
        """Of these boards, those that stand otherwise than was said last."""
        for name in names:
            entries = self.entries(name)
            if entries and self.said.get(name) != (board := chosen(name, entries)).digest:
                yield board

    @property
    def boards(self) -> Mapping[str, object]:
        """Every board that a run stands on."""
        return self._on

    def _entry(self, result: Result, name: str) -> Entry:
        judged = self.results.get(result.plan.subject.run_id) if result.plan.subject else None
        ranked = judged or result
        measured = self._fastest(ranked)
        speed, speed_run = (measured.speed, measured.run_id) if measured else ({}, None)
        return Entry(
            result, self._boards[result.run_id][name], hardware=self._hardware(ranked), speed=speed, speed_run=speed_run, judged=judged,
            runs=self.stood[name][result.model], retracted=result.run_id in self.retracted,
        )  # fmt: skip

    def _fastest(self, result: Result) -> Result | None:
        """The run of the very same model, engine and environment that tells its speed."""
        return chosen_speed(result, (self.results[run_id] for run_id in self._measured.get(result.model, ())))

    def _hardware(self, result: Result) -> str:
        if is_elsewhere(result.plan.engine.name):
            return ""
        seen = [self.environments[sha] for sha in result.environments if sha in self.environments]
        names = {", ".join(device.name for device in one.devices) or one.cpu for one in seen}
        return " / ".join(sorted(names))


def _discard(sets: dict[Any, set[str]], key: object, run_id: str) -> None:
    if key in sets:
        sets[key].discard(run_id)
        if not sets[key]:
            del sets[key]
