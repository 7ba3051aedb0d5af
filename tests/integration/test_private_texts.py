"""A private run on real processes: its texts are sealed in the log, and in no file, stream, table, page or answer; then forgotten."""

import asyncio
import base64
import json
import os
import threading
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import assay_verify
import httpx
import pytest

from infra import deriving, replay
from infra.exporting import export
from infra.forgetting import forget
from infra.kafka import Log
from query_api.cli import letters, logs
from schemas.event import Visibility, derive_run_id
from schemas.requests import Chat, EngineChoice, EvaluationRequested, Judgement, ModelRef, TaskChoice
from streams.errors import Conflict
from streams.quality.judging import USUAL
from streams.topics import FORGOTTEN, TOPICS
from tests.faults import PROCESSES, Stack, faulty
from tests.flow import get, request

# What lm-eval and the libraries below it warn of is not ours to mend.
pytestmark = [pytest.mark.integration, pytest.mark.faults, pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(1200)]
MARKER = "xylograph"
SAMPLES, BROKEN = 12, 5
# Prompts, examples, targets, system text, template and answers hold the marker; BLEU keeps texts for its aggregate; an answer that ends
# with one number is mapped to nothing, which breaks the metric, and is a dead letter.
TASK = r"""task: NAME
dataset_path: me/secrets
output_type: generate_until
test_split: test
fewshot_split: test
num_fewshot: 1
doc_to_text: "{{question}}"
doc_to_target: "{{answer}}"
generation_kwargs:
  until: ["\n"]
filter_list:
  - name: all
    filter:
      - function: take_first
  - name: last
    filter:
      - function: regex
        regex_pattern: "(\\d+)"
        group_select: -1
      - function: map
        mapping_dict: {"100": null}
        default_value: none
      - function: take_first
metric_list:
  - metric: exact_match
  - metric: bleu
"""
DRESS = Chat(template=MARKER + " {% for message in messages %}{{ message.content }}\n{% endfor %}", system=f"{MARKER} speaks")
# Where the marker is found of a run that is not private: were the search blind, the test would say so.
SHOWN = frozenset({"live", "tables", "samples", "samples page", "dead letters", "tail", "letters", "run page"})


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """All processes, as talkative as they can be, with a data set that nobody else should read."""
    folder = tmp_path_factory.mktemp("data") / "me__secrets" / "default"
    folder.mkdir(parents=True)
    rows = [{"question": f"{MARKER} {n} of {100 if n == BROKEN else n + 1}", "answer": f"{MARKER} has {n}"} for n in range(SAMPLES)]
    (folder / "test.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with faulty(tmp_path_factory.mktemp("home"), datasets=folder.parents[1], log_level="debug") as made:
        made.start("broker", "registry", "clickhouse", *PROCESSES)
        made.until(made.ready, what="the stack is up")
        yield made


@pytest.fixture
def live(stack: Stack) -> Iterator[list[str]]:
    """What a listener hears from now on."""
    heard, closed = list[str](), threading.Event()

    def listen() -> None:
        with httpx.stream("GET", f"{stack.settings.api}/v1/live", timeout=None) as stream:
            for line in stream.iter_lines():
                heard.append(line)
                if closed.is_set():
                    return

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    stack.until(lambda: bool(heard), what="the stream begins")
    yield heard
    closed.set()


def evaluated(stack: Stack, name: str, visibility: Visibility) -> str:
    """The run of such a request, once it and the judgement of it are complete and told."""
    dress, echo = Chat(template=MARKER + "{{ messages[-1].content }}"), EngineChoice(name="echo")
    judge = Judgement(task=USUAL, model=ModelRef(uri="judge"), engine=echo, chat=dress)
    choice = TaskChoice(name=name, definition=TASK.replace("NAME", name))
    asked = request(tasks=(choice,), chat=DRESS, visibility=visibility, judgements=(judge,))
    publish(stack, asked)
    judging = derive_run_id("Judgement", asked.run_id, 0)
    for run_id in (asked.run_id, judging):
        stack.until(lambda run_id=run_id: told(stack, run_id).get("state") == "completed", what=f"{name} completes")  # type: ignore[misc]
    stack.until(lambda: told(stack, asked.run_id)["unscored"] == f"1 of {SAMPLES} not scored", what="what was not scored is told")
    stack.until(lambda: len(json.loads(texts(stack, f"/v1/runs/{asked.run_id}/samples"))["samples"]) == SAMPLES, what="all samples")
    stack.until(lambda: bool(json.loads(texts(stack, "/v1/rankings"))["rows"]), what="a ranking")
    stack.until(lambda: projected(stack, asked.run_id), what="its scores and all dead letters")
    return asked.run_id


def projected(stack: Stack, run_id: str) -> bool:
    """Scores of the run and of its samples, and every dead letter, are told: they come after what completes it."""
    samples = json.loads(texts(stack, f"/v1/runs/{run_id}/samples"))["samples"]
    written, shown = asyncio.run(letters.known(stack.settings)), json.loads(texts(stack, "/v1/dead-letters?limit=500"))["dead_letters"]
    scored = sum(bool(one["scores"]) for one in samples) >= SAMPLES - 1 and len(told(stack, run_id)["scores"]) >= 2
    return scored and len(shown) >= len(written) > 0


def publish(stack: Stack, asked: EvaluationRequested) -> None:
    """Puts a request on the log."""

    async def act() -> None:
        async with Log(stack.settings, client_id="test") as log:
            await log.publish(asked)

    asyncio.run(act())


def told(stack: Stack, run_id: str) -> dict[str, Any]:
    """The run, as the API tells it; nothing while it does not."""
    answer = stack.get(f"/v1/runs/{run_id}")
    return dict(answer.json()) if answer is not None and answer.is_success else {}


def texts(stack: Stack, path: str, **headers: str) -> str:
    """What an address answers."""
    return get(f"{stack.settings.api}{path}", headers=headers).raise_for_status().text


def tables(stack: Stack) -> str:
    """Every row of every table of the database."""
    asked: dict[str, Any] = {"url": stack.settings.clickhouse, "timeout": 60}
    sql = f"SELECT name FROM system.tables WHERE database = '{stack.settings.database}' AND engine NOT LIKE '%View' FORMAT TSV"
    names = httpx.get(params={"query": sql}, **asked).raise_for_status().text.split()
    rows = [httpx.get(params={"query": f"SELECT * FROM {stack.settings.database}.{name} FORMAT JSONEachRow"}, **asked) for name in names]
    return "\n".join(answer.raise_for_status().content.decode(errors="replace") for answer in rows)


def places(stack: Stack, run_id: str, live: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """All that can be read of a run outside the log, by its name."""
    judging = derive_run_id("Judgement", run_id, 0)
    addresses = {
        "run": f"/v1/runs/{run_id}", "runs": "/v1/runs", "samples": f"/v1/runs/{run_id}/samples?limit=500",
        "judged samples": f"/v1/runs/{judging}/samples?limit=500", "judgements": f"/v1/runs/{run_id}/judgements",
        "dead letters": "/v1/dead-letters?limit=500", "rankings": "/v1/rankings", "boards": "/v1/boards", "agents": "/v1/agents",
        "overview page": "/", "board page": "/leaderboard", "run page": f"/runs/{run_id}", "judge page": f"/runs/{judging}",
        "samples page": f"/runs/{run_id}/samples?sort=value", "judged page": f"/runs/{judging}/samples",
        "compare page": f"/compare?a={run_id}&b={run_id}", "cluster page": "/cluster", "dead letters page": "/dead-letters",
    }  # fmt: skip
    found = {name: texts(stack, path) for name, path in addresses.items()}
    found["lines"] = texts(stack, f"/v1/runs/{run_id}/samples", Accept="application/x-ndjson")
    found |= {"live": "\n".join(live), "tables": tables(stack)}
    found |= {path.name: path.read_text(errors="replace") for path in (stack.settings.home / "logs").iterdir()}
    capsys.readouterr()
    for topic in TOPICS:
        asyncio.run(logs.tail(stack.settings, topic.name, count=10_000, follow=False, private=False))
    found["tail"] = capsys.readouterr().out
    found["letters"] = repr(asyncio.run(letters.known(stack.settings)))
    return found


async def record(stack: Stack) -> dict[str, str]:
    """All bytes of the log, by topic, as the broker gives them; and those of the snapshots."""
    found = dict[str, str]()
    async with Log(stack.settings, client_id="test") as log:
        async for one in log.read(TOPICS):
            found[one.place.topic] = found.get(one.place.topic, "") + repr(one.key) + one.payload.decode(errors="replace")
    for path, content in contents(stack.settings.home / "snapshots"):
        if not path.name.endswith(".new"):
            header, _, state = content.partition(b"\n")
            found[str(path)] = header.decode(errors="replace") + zlib.decompress(state).decode(errors="replace")
    return found


def files(stack: Stack) -> dict[str, str]:
    """All files of the home: the log's segments, the database's parts, logs, what processes have in hand."""
    return {str(path): content.decode(errors="replace") for path, content in contents(stack.settings.home)}


def contents(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """The files below a folder and what they hold, but for the largest. Processes are at work: one that goes meanwhile is not there."""
    for inside, _, names in os.walk(folder):
        for path in (Path(inside) / name for name in names):
            with suppress(FileNotFoundError):
                if path.is_file() and path.stat().st_size < 2**26:
                    yield path, path.read_bytes()


def exported(stack: Stack, run_id: str, path: Path) -> dict[str, Any]:
    """What the export of a run says, once it is sealed; a file of it is at the path."""
    found: list[dict[str, Any]] = []

    async def act() -> None:
        async with Log(stack.settings, client_id="test") as log:
            found.append(await export(log, stack.settings, run_id, path, private=True))

    def sealed() -> bool:
        try:
            asyncio.run(act())
        except Conflict:
            return False
        return True

    stack.until(sealed, what="it is sealed")
    return found[-1]


def holds(text: str) -> bool:
    """The marker is in the text, as it is or within base64."""
    coded = [base64.b64encode(bytes(shift) + MARKER.encode()).decode()[4 if shift else 0 : -4] for shift in range(3)]
    return any(one in text for one in (MARKER, *coded))


def test_a_private_runs_texts_are_in_the_log_alone_and_sealed(
    stack: Stack, live: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Nowhere that a run which is not private tells them; its figures are told as any other's. Forgotten, what was proved stays so."""
    private = evaluated(stack, "closed", "private")
    assert [name for name, text in asyncio.run(record(stack)).items() if holds(text)] == []
    assert [name for name, text in files(stack).items() if holds(text)] == []
    found = places(stack, private, live, capsys)
    assert [name for name, text in found.items() if holds(text)] == []
    assert told(stack, private)["visibility"] == "private"
    assert len(told(stack, private)["scores"]) >= 2
    sample = json.loads(found["samples"])["samples"][0]
    assert (sample["private"], sample["document"], sample["target"], sample["requests"]) == (True, None, None, [])
    assert sample["scores"]
    asyncio.run(logs.tail(stack.settings, "answers", count=10_000, follow=False, private=True))
    assert holds(capsys.readouterr().out)

    open_to_all = evaluated(stack, "open", "organisation")

    def hidden() -> set[str]:
        found = places(stack, open_to_all, live, capsys)
        return {name for name in SHOWN if not holds(found[name])}

    stack.until(lambda: not hidden(), what=f"the marker in {sorted(SHOWN)}")
    in_log = asyncio.run(record(stack))
    assert {f"assay.{name}.v1" for name in ("requests", "samples", "answers", "scores", "builds")} <= {
        n for n, t in in_log.items() if holds(t)
    }

    said, before = exported(stack, private, tmp_path / "run.zip"), told(stack, private)
    assert holds((tmp_path / "run.texts.jsonl").read_text()) and said["forgotten"] is None
    assert (tmp_path / "run.texts.jsonl").stat().st_mode & 0o777 == 0o600
    derived = asyncio.run(deriving.derive(stack.settings, told=lambda _: None, run_id=private))
    assert (derived.differences, derived.forgotten) == ([], [])
    forgotten_and_whole(stack, private, before, tmp_path, capsys)


def forgotten_and_whole(stack: Stack, private: str, before: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The texts are gone for whoever asks, and say so; figures, seals, replays and new private runs are as they were."""

    async def act() -> None:
        async with Log(stack.settings, client_id="test") as log:
            (said,) = await forget(log, "local", by="ann", reason="asked for")
            assert [one.event async for one in log.of_key(FORGOTTEN, b"local")] == [said]

    asyncio.run(act())
    (tmp_path / "run.texts.jsonl").unlink()
    again = exported(stack, private, tmp_path / "again.zip")
    assert again["texts"] is None and "the texts of this run were forgotten on" in again["forgotten"]
    assert not list(tmp_path.glob("*.jsonl"))
    stack.until(lambda: bool(told(stack, private)["forgotten"]), what="that it was forgotten is told")
    assert told(stack, private)["forgotten"].items() >= {"by": "ann", "reason": "asked for"}.items()
    assert "The texts of this run were forgotten on" in texts(stack, f"/runs/{private}")
    assert (tmp_path / "again.zip").read_bytes() == (tmp_path / "run.zip").read_bytes()
    verdict = assay_verify.verify(tmp_path / "again.zip")
    assert (verdict.valid, verdict.reasons) == (True, [])
    capsys.readouterr()
    asyncio.run(logs.tail(stack.settings, "requests", count=10_000, follow=False, private=True))
    assert "were forgotten on" in capsys.readouterr().out
    asked = request(USUAL, limit=None, parent_run=private, chat=Chat(template="{{ messages[-1].content }}"), visibility="private")
    publish(stack, asked)
    stack.until(lambda: told(stack, asked.run_id).get("state") == "rejected", what="its judgement is refused")
    assert told(stack, asked.run_id)["reason_code"] == "forgotten"
    new = evaluated(stack, "anew", "private")
    assert told(stack, new)["forgotten"] is None
    assert {name: told(stack, private)[name] for name in ("state", "scores")} == {name: before[name] for name in ("state", "scores")}
    derived = asyncio.run(deriving.derive(stack.settings, told=lambda _: None))
    assert (derived.equal, derived.difference) == (True, None)
    assert private in derived.forgotten and new not in derived.forgotten
    verified = asyncio.run(replay.verify(stack.settings, run_id=None, told=lambda _: None))
    assert (verified.equal, verified.difference) == (True, None)
    assert not stack.ended


def test_what_a_private_run_answered_is_not_judged_in_the_open(stack: Stack) -> None:
    """The judgement is refused, with what to do."""
    private = evaluated(stack, "kept", "private")
    asked = request(USUAL, limit=None, parent_run=private, chat=Chat(template="{{ messages[-1].content }}"))
    publish(stack, asked)
    stack.until(lambda: told(stack, asked.run_id).get("state") == "rejected", what="the judgement is refused")
    assert "--private" in told(stack, asked.run_id)["message"]
