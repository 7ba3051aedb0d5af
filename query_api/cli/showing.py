"""What the command line shows: tables and progress for people, one JSON document for programs."""

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from query_api.drawing.auditing import reproduced
from query_api.drawing.charts import number, seconds, stopped, usd
from query_api.drawing.dressing import dressed, left_out, placed, provenance, served, unseen
from query_api.drawing.grouping import arranged
from query_api.drawing.sweeps import level
from query_api.drawing.varied import varied
from streams.times import utc
from streams.visible import in_json, plain

OVER = frozenset({"completed", "failed", "rejected", "cancelled"})
POLL_S = 0.5
BARS = 12
REACHED = {"slo_rate_per_s": "highest rate under the service level", "knee_rate_per_s": "knee", "cliff_rate_per_s": "cliff",
           "capacity_requests_per_s": "capacity"}  # fmt: skip
SAID = {"alone": "of one stream alone", "capacity": "at capacity"}
IDS = ("run", "audit of", "prediction", "key")  # columns of ids, which are copied: each in one line
NARROWEST, GAP = 16, 2  # of a column of names, and between two columns
Part = str | tuple[str, str]  # a text, or a text and its style
# Texts of users and of models are texts: no markup is read in them.
console = Console(markup=False)
errors = Console(stderr=True, markup=False)


def document(value: Any) -> None:
    """Prints one JSON document."""
    sys.stdout.write(in_json(json.dumps(value, ensure_ascii=False)) + "\n")


def lines(values: Iterable[Any]) -> None:
    """Prints JSON lines."""
    for value in values:
        document(value)


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str | None = None) -> None:
    """Prints a table; figures are right-aligned, and a column in which no row has anything is left out. A head may have several lines."""
    told = [[_cell(value) for value in row] for row in rows]
    shown = [at for at in range(len(columns)) if not told or any(row[at] is not None for row in told)]
    drawn, whole = (
        Table(
            title=Text(plain(title), "table.title") if title else None, title_justify="left", header_style="bold", box=None, pad_edge=False
        ),
        -GAP,
    )
    for at in shown:
        head, figure = columns[at].removeprefix(">"), columns[at].startswith(">")
        longest = max((len(row[at] or "") for row in told), default=0)
        wide = max(map(len, head.splitlines()), default=0)
        least = max(wide, longest if figure or head in IDS else min(longest, NARROWEST))
        drawn.add_column(head, justify="right" if figure else "left", overflow="fold", no_wrap=figure or head in IDS, min_width=least)
        whole += least + GAP
    for row in told:
        drawn.add_row(*(row[at] or ("–" if row[at] is None else "") for at in shown))
    # A terminal too narrow for that wraps the lines itself: names in pieces of five letters are harder to read.
    Console(width=max(console.width, whole), markup=False).print(drawn, soft_wrap=True)


def _cell(value: Any) -> str | None:
    """A value as a table has it: a bare figure with five digits that count."""
    return None if value is None else f"{value:.5g}" if isinstance(value, float) else plain(str(value))


def _places(row: Mapping[str, Any]) -> str | None:
    """Which places a model may have, as "2–5"."""
    low, high = row["rank_low"], row["rank_high"]
    return None if low is None else f"{low}–{high}" if low != high else str(low)


def note(text: str) -> None:
    """Prints what explains the figures above it."""
    say((text, "dim"))


def say(*parts: Part, to: Console | None = None) -> None:
    """Prints a line of texts, each as it is or with a style."""
    styled = [("", part) if isinstance(part, str) else part[::-1] for part in parts]
    (to or console).print(Text.assemble(*((plain(text), style) for style, text in styled)))


def remark(*parts: Part) -> None:
    """Says a line beside the output, to whoever sits there."""
    say(*parts, to=errors)


def command(text: str) -> None:
    """Prints a command in one line, however long, so that it can be copied."""
    console.print(Text(plain(text)), soft_wrap=True)


def short(model: str) -> str:
    """A model's name without its folder."""
    return model.rstrip("/").rpartition("/")[2] or model


def ranking(board: Mapping[str, Any]) -> None:
    """Prints a board."""
    if not board["rows"]:
        say("No model is ranked yet: a ranking appears when the first evaluation is complete.")
        return
    table(
        [
            ">#",
            ">places",
            "model",
            ">score",
            ">95 % interval",
            ">samples",
            "data",
            ">tokens/s\nat\ncapacity",
            ">TTFT p50\nalone",
            ">J/token",
            ">$/1M out",
        ],
        [_ranked(row, alike=_alike(board)) for row in board["rows"]],
        title=f"ranking: {board['board']}",
    )
    for told in _of_board(board):
        note(told)


def _alike(board: Mapping[str, Any]) -> bool:
    """Whether all models answered as many samples: then a line says so, and a column is spared."""
    return len({row["samples"] for row in board["rows"]}) == 1


def _ranked(row: Mapping[str, Any], *, alike: bool) -> tuple[Any, ...]:
    return (
        row["rank"], _places(row), _named(row), number(row["score"]), _ends(row), None if alike else row["samples"],
        row["data_age"] if row["data_age"] != "unknown" else None,
        number(row["output_tokens_per_s"], 1), seconds(row["ttft_p50_s"]),
        energy(row["joules_per_token"], row["energy_grade"]) if row["joules_per_token"] is not None else None,
        usd(row["cost"].get("per_1m_output_tokens_usd")) if row["cost"] else None,
    )  # fmt: skip


def _of_board(board: Mapping[str, Any]) -> Iterator[str]:
    rows = board["rows"]
    if _alike(board):
        yield f"{rows[0]['samples']} samples of each model" if len(rows) > 1 else f"{rows[0]['samples']} samples"
    if any(row["rank_low"] is not None for row in rows):
        yield "places: with 95 % all of them are right at once; models whose places overlap may be equally good"
    if methods := dict.fromkeys(row["method"] for row in rows if row.get("method")):
        yield f"intervals: {' · '.join(methods)}{'; places: ' + by if (by := board.get('places_method')) else ''}"
    if board.get("no_places"):
        yield board["no_places"]
    if several := [f"{short(row['model'])} (newest of {row['run_count']})" for row in rows if row.get("run_count", 1) > 1]:
        yield f"models with several runs: {', '.join(several)}"
    yield from _under_level(rows)
    yield from _at_concurrency(rows)
    if board.get("chance_corrected"):
        yield "score: chance-corrected, (value - chance) / (1 - chance); 0 is guessing, below 0 is worse"
    if board.get("left_out"):
        yield left_out(board["left_out"])
    yield from _proved(rows)
    yield from _sources(board)


def _at_concurrency(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What the rows' servers did with so many requests at a time, where no capacity was proven."""
    for row in rows:
        if told := row.get("at_concurrency"):
            rate = number(told["tokens_per_s"], 1)
            yield f"{short(row['model'])}: {rate} tokens/s at concurrency {told['concurrency']}; its capacity is not known"


def _under_level(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What the rows' servers can take, where their speed was measured by a sweep under a service level."""
    for row in rows:
        if under := row.get("under_slo"):
            yield f"{short(row['model'])}: {number(under['rate_per_s'], 2)} requests/s under its service level, {level(under['slo'])}"


def marks(row: Mapping[str, Any]) -> str:
    """Whether a run is sealed, audited or retracted, or is an audit."""
    told = [name for name in ("retracted", "sealed", "audited") if row.get(name)]
    return ", ".join([*told, *(["audit"] if row.get("audit_of") else [])])


def _proved(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Which runs are retracted, sealed and audited."""
    if retracted := [short(row["model"]) for row in rows if row.get("retracted")]:
        yield f"retracted, and without a place: {', '.join(retracted)}"
    if count := sum(bool(row.get("sealed")) for row in rows):
        yield f"sealed: {'every run here' if count == len(rows) else f'{count} of {len(rows)} runs here; the page says which'}"
    if audited := [f"{short(row['model'])} ({told})" for row in rows if (told := reproduced(row))]:
        yield f"run again: {', '.join(audited)}"


def _sources(board: Mapping[str, Any]) -> Iterator[str]:
    rows = board["rows"]
    if all(row["joules_per_token"] is None for row in rows):
        yield "energy: no meter here"
    if any(row["data_age"] != "unknown" for row in rows):
        yield "data: older than the model, which may have seen them, or newer; – is unknown: docs/contamination.md"
    yield from (
        f"~ estimated, without a place: {short(row['model'])} ({row['adaptive']}): docs/adaptive.md" for row in rows if row.get("adaptive")
    )
    if any(row["sequential"] for row in rows):
        yield "* a confidence sequence: the run stopped early"
    if versions := sorted({row["cost"]["price_version"] for row in rows if row["cost"]}):
        yield f"costs by the prices of {', '.join(versions)}; more: `assay cost --board {board['board']}`"


def _ends(row: Mapping[str, Any]) -> str:
    return f"{number(row['low'])} – {number(row['high'])}{'~' if row.get('adaptive') else '*' if row['sequential'] else ''}"


def _named(row: Mapping[str, Any]) -> str:
    told = ", ".join(filter(None, (dressed(row["chat"]), unseen(row.get("model_sha", "")))))
    return f"{short(row['model'])} ({told})" if told else short(row["model"])


def energy(joules_per_token: float | None, grade: str | None) -> str:
    """Energy as it was measured, or that it was not."""
    return "no meter here" if joules_per_token is None else f"{joules_per_token:.4f} ({grade})"


def run(told: Mapping[str, Any]) -> None:
    """Prints a run."""
    say((short(told.get("model", "")), "bold"), f"  {told['state']}  {100 * told['progress']:.0f} %  ", (told["run_id"], "dim"))
    if told.get("message"):
        say(f"  {told['message']}")
    for part in _remarks(told):
        say("  ", part)
    if told["scores"]:
        rows = [_score(score) for score in arranged(told["scores"], told["groups"])]
        table(["task", "metric", ">value", ">stderr", ">95 % interval", ">samples", ""], rows)
    if told["performance"]:
        performance(told["performance"])


def _remarks(told: Mapping[str, Any]) -> Iterator[Part]:
    """Whom a run judges, what it waits for, and what about it is not as one may expect."""
    yield from (
        f"{verb} {short(told[side]['model'])}  {told[side]['run_id']}"
        for side, verb in (("subject", "judges"), ("against", "against")) if told.get(side)
    )  # fmt: skip
    yield from _trust(told)
    if server := told.get("server"):
        yield f"answered by {served(server)}"
    yield from _origins(told)
    if told.get("waits_for"):
        yield f"waits for {told['waits_for']}"
    if told.get("visibility") == "private":
        yield "private: its prompts and answers are in the log alone"
    if told.get("visibility") == "public":
        yield "public: every organisation here sees it"
    if dress := dressed(told.get("chat") or {}):
        yield f"prompts: {dress}"
    if told.get("unscored"):
        yield told["unscored"], "yellow"
        yield from ((f"  {why['samples']:,}: {why['reason']}", "yellow") for why in told["why_unscored"])
    yield from (f"{task['task']} {stopped(task)}" for task in told["tasks"] if task["half_width"] is not None)
    yield from ((flag, "yellow") for flag in told["flags"])
    yield from told["exposure"]
    yield from ((warning, "yellow") for warning in told["warnings"])
    yield from ((f"{skipped['task']} was left out: {skipped['reason']}", "yellow") for skipped in told["skipped"])


def _origins(told: Mapping[str, Any]) -> Iterator[Part]:
    """Where model and data are from, under which licences, and where the model goes."""
    if where := provenance(told):
        yield f"model: {where}"
    if licences := told.get("data_licences"):
        yield f"data under {', '.join(licences)}"
    if where := placed(told):
        yield f"placed: {where}"


def _trust(told: Mapping[str, Any]) -> Iterator[Part]:
    """Whether a run counts, and what proves it."""
    if retraction := told.get("retraction"):
        yield f"retracted by {retraction['by']}: {retraction['reason']}", "red"
    if gone := told.get("forgotten"):
        yield f"the texts of this run were forgotten on {utc(gone['at_us'], '%Y-%m-%d')} by {gone['by']}: {gone['reason']}", "yellow"
    if seal := told.get("seal"):
        yield f"sealed: {seal['events']} events, key {seal['key_id']}"
    if parent := told.get("audit_of"):
        yield f"audit of run {parent}: `assay audits {told['run_id']}` tells what came of it"
    if again := reproduced(told.get("audited") or {}):
        yield f"run again: {again}; `assay audits {told['run_id']}` tells each"
    if late := told.get("quarantined"):
        yield f"{late} event{'s' if late > 1 else ''} said of it after its seal, and no part of it: `assay tail quarantine`", "yellow"


def interval(s: Mapping[str, Any]) -> str | None:
    """A score's interval; None where it has none."""
    return None if s["low"] is s["high"] is None else f"{number(s['low'])} – {number(s['high'])}"


def _score(s: Mapping[str, Any]) -> tuple[Any, ...]:
    ends, note = interval(s), ", ".join(_notes(s)) or None
    metric = s["metric"] if s["filter"] == "none" else f"{s['metric']} ({s['filter']})"
    name = s["task"] or f"{s['group']} ({s['tasks']} tasks)"
    name = f"  {name}" if s["task"] and s["group"] else name
    return name, metric, number(s["value"], 4), number(s["stderr"], 4), ends, s["samples"], note


def _notes(s: Mapping[str, Any]) -> Iterator[str]:
    if s.get("why_undefined") and s["value"] is None:
        yield s["why_undefined"]
    if not s["complete"]:
        yield "provisional"
    if s["sequential"]:
        yield "sequence"
    if s.get("repeats", 1) > 1:
        yield f"× {s['repeats']} repeats{varied(s)}"
    yield from _on_method(s.get("method") or "")
    if s.get("truncated"):
        yield f"{s['truncated']:,} truncated"
    if s.get("rows_skipped"):
        yield f"{s['rows_skipped']:,} rows left out"


def _energy(told: Mapping[str, Any]) -> str:
    """What an output token took and how that is known; else why it is not."""
    if told["joules_per_token"] is None:
        return told["why_undefined"] or "no meter here"
    return f"{told['joules_per_token']:.4f} J/token ({told['grade']}, {told['boundary']})"


def _on_method(method: str) -> Iterator[str]:
    """What of a figure's method everybody should know."""
    if method.startswith("adaptive"):
        yield method
    for few in ("few clusters", "few unlike values"):
        if few in method:
            yield few


def performance(told: Mapping[str, Any]) -> None:
    """Prints a run's speed."""
    spread = [(name.upper(), *(_duration(told, name, part) for part in ("mean", "p50", "p95", "p99"))) for name in ("ttft", "itl", "e2e")]
    table(["", ">mean", ">p50", ">p95", ">p99"], spread)
    rate, tokens = number(told["requests_per_s"], 2), number(told["output_tokens_per_s"], 1)
    say(f"{told['requests']} requests, {told['errors']} failed · {rate} requests/s · {tokens} tokens/s · energy: {_energy(told['energy'])}")
    for what in ("alone", "capacity"):
        if (value := told[f"{what}_tokens_per_s"]) is not None:
            say(f"{number(value, 1)} tokens/s {SAID[what]}")
    if (value := told.get("concurrent_tokens_per_s")) is not None:
        say(f"{number(value, 1)} tokens/s at concurrency {told['concurrency']}: the server may be able to do more")
    if told["slo"]:
        say(f"{number(told['goodput_per_s'], 2)} requests/s kept the service level: {level(told['slo'])}")
    if told["sweep"]:
        sweep(told["sweep"])
    if told["rules"]:
        rules(told["rules"])
    _not_answered(told)
    _flagged(told)


def _flagged(told: Mapping[str, Any]) -> None:
    """Prints why a load's figures are to be read with care."""
    if repeated := told.get("prompts_repeated"):
        say(f"{repeated} requests had a prompt of the data set that was sent before: a server may have kept it")
    if told["steady"]["steady"] is False:
        remark((f"the load was not steady: {told['steady']['why']}; its figures depend on how long it was", "yellow"))
    if contradicted := told.get("usage_contradicted"):
        remark((f"the server's count of tokens contradicts its texts: {contradicted}; figures rest on its count", "yellow"))
    if told["client"]["overloaded"]:
        why = told["client"]["why"] or "it did not keep its schedule"
        remark((f"the load's sender was the bottleneck ({why}): these figures say more about it than about the model", "yellow"))


def _not_answered(told: Mapping[str, Any]) -> None:
    """Prints what no answer came of: what was given up, and what failed."""
    if told["cancelled"]:
        say(f"{told['cancelled']} requests were given up by the client, as it was asked to")
    if told["errors_by_kind"]:
        say("failed: " + ", ".join(f"{count} × {kind}" for kind, count in told["errors_by_kind"].items()))


def rules(told: Mapping[str, Any]) -> None:
    """Prints how a load stands to MLPerf's rules, and that it is no result of MLPerf's."""
    kept = {True: "kept", False: "not kept", None: "told"}
    say((told["note"], "yellow"), f"; its load beside MLPerf's rules, scenario {told['scenario']}:")
    table(["rule", "", ""], [(one["rule"], kept[one["kept"]], one["told"]) for one in told["checks"]])


def sweep(told: Mapping[str, Any]) -> None:
    """Prints a sweep: its steps by their rates, and what they came to."""
    steps = sorted(told["steps"], key=lambda step: step["rate_per_s"] or 0.0)
    rows = [
        ("alone" if step["rate_per_s"] is None else number(step["rate_per_s"], 2), number(step["requests_per_s"], 2),
         number(step["goodput_per_s"], 2), seconds(step["ttft_s"]["p95"]), seconds(step["itl_s"]["p95"]), seconds(step["e2e_s"]["mean"]),
         step["verdict"] + (f": {step['why']}" if step["why"] else "") + (f"; not steady: {step['unsteady']}" if step["unsteady"] else ""))
        for step in steps
    ]  # fmt: skip
    table([">asked/s", ">served/s", ">goodput/s", ">TTFT p95", ">ITL p95", ">E2E mean", ""], rows)
    for name, words in REACHED.items():
        if told[name]:
            say((words, "bold"), f": {_reached(told[name])}")


def _reached(one: Mapping[str, Any]) -> str:
    if one["value"] is None:
        return f"none; {one['why_undefined']}"
    ends = f" ({number(one['low'], 2)} to {number(one['high'], 2)})" if one["low"] is not None else ""
    return f"{number(one['value'], 2)} requests/s{ends}" + (f"; {one['note']}" if one["note"] else "")


def _duration(told: Mapping[str, Any], name: str, part: str) -> str:
    """A duration; one that the sample cannot support says what it needs."""
    value = told[f"{name}_s"][part]
    why = told["undefined"].get(f"{name}_{part}", "")
    return str(why.partition(";")[0] + ")") if value is None and why.startswith("n/a") else seconds(value)


def followed(run_id: str, fetch: Callable[[str], dict[str, Any]], *, quiet: bool) -> dict[str, Any]:
    """The run once it is over, with progress bars while it is not."""
    columns = (_column("{task.description:>28}"), BarColumn(), _column("{task.fields[note]}"), TimeElapsedColumn())
    with Progress(*columns, console=errors, disable=quiet, transient=False) as progress:
        bars: dict[str, TaskID] = {"": progress.add_task(run_id[:8], total=None, note="requested")}
        while True:
            told = fetch(run_id)
            progress.update(bars[""], description=plain(short(told.get("model") or run_id[:8])), note=_note(told),
                            total=1.0 if told["state"] in OVER else None, completed=1.0)  # fmt: skip
            for task in told["tasks"]:
                name, done = task["task"], task["scored"] + task["not_scored"]
                if name not in bars:
                    bars[name] = progress.add_task(name, note="")
                shown = len(told["tasks"]) <= BARS or 0 < done < task["expected"]  # of a suite, what moves
                progress.update(bars[name], completed=done, total=task["expected"], note=f"{done} / {task['expected']}", visible=shown)
            if told["state"] in OVER and whole(told):
                return told
            time.sleep(POLL_S)


def _column(form: str) -> TextColumn:
    return TextColumn(form, markup=False)


def _note(told: Mapping[str, Any]) -> str:
    return f"{told['state']}, waits for {told['waits_for']}" if told.get("waits_for") else str(told["state"])


def whole(told: Mapping[str, Any]) -> bool:
    """What completes a run may reach the API before its figures do; a task of which no sample could be scored has none."""
    if told["state"] != "completed":
        return True
    complete = {score["task"] for score in told["scores"] if score["complete"]}
    measured = told.get("perf_requests") is None or told["performance"] is not None
    return measured and complete >= {task["task"] for task in told["tasks"] if task["not_scored"] < task["expected"]}
