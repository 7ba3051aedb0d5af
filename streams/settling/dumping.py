"""Open runs as JSON and back, for snapshots. Scores and timings are columns, for they are most of it."""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from dataclasses import astuple, replace
from typing import Any, Final

from schemas.jobs import EngineUsed
from schemas.requests import CancellationRequested, Objective
from schemas.results import TaskStopped
from schemas.runs import Plan
from schemas.settled import RunSettled
from streams.quality.scores import Cell, Tally, TaskScores
from streams.settling.closed import Closed
from streams.settling.runs import Finished, OpenRuns, Run
from streams.settling.used import Attempt, Came, Counter, Used
from streams.speed import performance, timings
from streams.speed.performance import Speed
from streams.speed.timings import Timings

VERSION: Final = "settling-15"  # of this form and of the folds: raise it with either
Json = dict[str, Any]
PIECE: Final = 5_000  # some milliseconds


def pictured(open_runs: OpenRuns) -> OpenRuns:
    """The runs as they are now; what comes later changes nothing of them. It copies columns, and costs little beside their bytes."""
    return OpenRuns({run_id: _pictured(run) for run_id, run in open_runs.runs.items()}, open_runs.closed.copy())


def _pictured(run: Run) -> Run:
    return replace(
        run, scores={key: scores.taken() for key, scores in run.scores.items()},
        speeds={job_id: _pictured_speed(speed) for job_id, speed in run.speeds.items()}, finished=dict(run.finished),
        answered=dict(run.answered), used=run.used.pictured(), stops=dict(run.stops), heard=set(run.heard),
    )  # fmt: skip


def _pictured_speed(speed: Speed) -> Speed:
    attempts = {number: one.pictured() for number, one in speed.attempts.items()}
    return replace(speed, attempts=attempts, unnamed=speed.unnamed.pictured(), latest=dict(speed.latest))


def dumped(open_runs: OpenRuns) -> bytes:
    """The runs as bytes."""
    runs = (part for run in open_runs.runs.values() for part in (",", *_pieces(_run(run, timings.dumped))))
    next(runs, None)
    return "".join(['{"closed":', *_pieces(open_runs.closed.told()), ',"runs":[', *runs, "]}"]).encode()


def _pieces(value: Any) -> Iterator[str]:
    """A value's JSON in pieces, none of them long: json writes each without letting any other thread of the process go on."""
    if isinstance(value, dict):
        yield "{"
        for number, (name, one) in enumerate(value.items()):
            yield f"{',' * bool(number)}{json.dumps(str(name))}:"
            yield from _pieces(one)
        yield "}"
    elif isinstance(value, list) and len(value) > PIECE:
        yield "["
        for first in range(0, len(value), PIECE):
            yield f"{',' * bool(first)}{_json(value[first : first + PIECE])[1:-1]}"
        yield "]"
    elif isinstance(value, list) and any(isinstance(one, (list, dict)) for one in value):
        yield "["
        for number, one in enumerate(value):
            yield "," * bool(number)
            yield from _pieces(one)
        yield "]"
    else:
        yield _json(value)


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def loaded(state: bytes) -> OpenRuns:
    """The runs in such bytes. Raises: ValueError, KeyError, TypeError where they are none."""
    told = json.loads(state)
    return OpenRuns({run["run_id"]: _loaded(run) for run in told["runs"]}, Closed.loaded(told["closed"]))


def canonical(open_runs: OpenRuns) -> dict[str, str]:
    """Each open run as a text that says the same of equal runs, in whatever order they came to be so."""
    return {run_id: json.dumps(_sorted(_run(run, timings.canonical)), sort_keys=True) for run_id, run in open_runs.runs.items()}


def _sorted(told: Any) -> Any:
    """The same with every list in an order of its own: all that is listed here is a set, or columns of one."""
    if isinstance(told, dict):
        return {name: _by_sample_order(one) if name == "scores" else _sorted(one) for name, one in told.items()}
    if isinstance(told, list):
        return sorted((_sorted(one) for one in told), key=lambda one: json.dumps(one, sort_keys=True))
    return told


def _by_sample_order(scores: list[Any]) -> list[Any]:
    """Scores with their columns as rows."""
    return sorted(([task, version, _as_rows(one)] for task, version, one in scores), key=repr)


def _as_rows(scores: Json) -> list[Any]:
    cells = sorted([filter_, metric, _rows(columns)] for filter_, metric, *columns in scores["cells"])
    return [cells, _rows(scores["missing"]), _rows(scores["not_scored"]), scores["latest_us"], scores["scored"]]


def _rows(columns: Any) -> list[Any]:
    return sorted(map(list, zip(*columns, strict=True)), key=repr)


PLAIN: Final = ("run_id", "organisation_id", "visibility", "planned_at", "state", "changed_us", "served_elsewhere", "deadline_us", "lacks")


def _run(run: Run, timed: Callable[[Timings], Any]) -> Json:
    """The run; `timed` says how its loads' timings are written."""
    return {name: getattr(run, name) for name in PLAIN} | {
        "heard": sorted(run.heard),
        "plan": run.plan.model_dump(mode="json") if run.plan else None,
        "scores": [[*key, _scores(scores)] for key, scores in run.scores.items()],
        "speeds": [_speed(speed, timed) for speed in run.speeds.values()],
        "finished": {job: [one.attempt, _model(one.engine), one.environment_sha] for job, one in run.finished.items()},
        "answered": {job: b64encode(done).decode() for job, done in run.answered.items()},
        "used": _used(run.used),
        "before": _model(run.before),
        "asked": _model(run.asked),
        "slo": _model(run.slo),
        "stops": [stop.model_dump(mode="json") for stop in run.stops.values()],
    }  # fmt: skip


def _loaded(told: Json) -> Run:
    stops = [TaskStopped.model_validate(stop) for stop in told["stops"]]
    scores = {(task, version): _loaded_scores(scores) for task, version, scores in told["scores"]}
    return Run(
        **{name: told[name] for name in PLAIN},
        heard=set(told["heard"]),
        plan=Plan.model_validate(told["plan"]) if told["plan"] else None,
        scores=scores,
        versions={version for _, version in scores},
        speeds={speed["job_id"]: _loaded_speed(speed) for speed in told["speeds"]},
        finished={
            job: Finished(attempt, EngineUsed.model_validate(engine) if engine else None, sha)
            for job, (attempt, engine, sha) in told["finished"].items()
        },
        answered={job: b64decode(done) for job, done in told["answered"].items()},
        used=_loaded_used(told["used"]),
        before=RunSettled.model_validate(told["before"]) if told["before"] else None,
        slo=Objective.model_validate(told["slo"]) if told["slo"] else None,
        asked=CancellationRequested.model_validate(told["asked"]) if told["asked"] else None,
        stops={stop.task: stop for stop in stops},
    )


def _model(value: Any) -> Any:
    return value.model_dump(mode="json") if value else None


def _scores(scores: TaskScores) -> Json:
    return {
        "cells": [
            [*key, list(cells), [cell.value for cell in cells.values()], [cell.parts_json for cell in cells.values()],
             [cell.cluster for cell in cells.values()]] for key, cells in scores.cells.items()
        ],
        "missing": [list(scores.missing), list(scores.missing.values())],
        "not_scored": [list(scores.not_scored), list(scores.not_scored.values())],
        "latest_us": scores.latest_us,
        "scored": scores.scored,
        "tallies": [list(astuple(scores.tallies[key])) for key in scores.cells],
    }  # fmt: skip


def _loaded_scores(told: Json) -> TaskScores:
    cells = {
        (filter_, metric): {
            (ordinal, repeat): Cell(*cell) for (ordinal, repeat), *cell in zip(samples, values, parts, clusters, strict=True)
        }
        for filter_, metric, samples, values, parts, clusters in told["cells"]
    }
    tallies = {key: Tally(*tally) for key, tally in zip(cells, told["tallies"], strict=True)}
    return TaskScores(cells, _by_sample(told["not_scored"]), _by_sample(told["missing"]), told["latest_us"], told["scored"], tallies)


def _by_sample(columns: Any) -> dict[tuple[int, int], Any]:
    return {(ordinal, repeat): value for (ordinal, repeat), value in zip(*columns, strict=True)}


def _speed(speed: Speed, timed: Callable[[Timings], Any]) -> Json:
    finished = speed.finished
    return {
        "job_id": speed.job_id, "latest_us": speed.latest_us, "latest": sorted(speed.latest.items()),
        "finished": [finished.attempt, dict(finished.counts)] if finished else None,
        "unnamed": timed(speed.unnamed), "attempts": {number: timed(one) for number, one in speed.attempts.items()},
    }  # fmt: skip


def _loaded_speed(told: Json) -> Speed:
    attempts = {int(number): timings.loaded(one) for number, one in told["attempts"].items()}
    finished = performance.Finished(*told["finished"]) if told["finished"] else None
    latest = {int(attempt): at_us for attempt, at_us in told["latest"]}
    return Speed(told["job_id"], attempts, timings.loaded(told["unnamed"]), finished, told["latest_us"], latest)


def _used(used: Used) -> Json:
    return {
        "attempts": [[*which, *astuple(a)] for which, a in used.attempts.items()],
        "counters": [
            [*which, [[*sensor, c.mono_ns, c.shown, c.grown_uj] for sensor, c in counters.items()]]
            for which, counters in used.counters.items()
        ],
        "given_up": sorted(used.given_up),
        "latest_us": used.latest_us,
        "came": [[*which, [[*source, *astuple(one)] for source, one in came.items()]] for which, came in used.came.items()],
    }  # fmt: skip


def _loaded_used(told: Json) -> Used:
    return Used(
        {(job, agent, attempt): Attempt(*rest) for job, agent, attempt, *rest in told["attempts"]},
        {
            (job, agent, attempt): {(boot, sensor, device): Counter(*rest) for boot, sensor, device, *rest in counters}
            for job, agent, attempt, counters in told["counters"]
        },
        set(told["given_up"]),
        told["latest_us"],
        {
            (job, agent, attempt): {(boot, scope, sensor, device): Came(*rest) for boot, scope, sensor, device, *rest in came}
            for job, agent, attempt, came in told["came"]
        },
    )
