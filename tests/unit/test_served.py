"""Models behind an address, before anything is asked of it: what a request may say, who may be asked, and which keys are shown to whom."""

from pathlib import Path
from typing import Any

import pytest

from gpu_agent.engines.served.client import _asked_wait_s
from gpu_agent.engines.served.likelihoods import BY
from gpu_agent.workloads.answers import Answer
from gpu_agent.workloads.asking import place_of, request_of
from gpu_agent.workloads.connections import Exchange
from gpu_agent.workloads.http1 import Response
from gpu_agent.workloads.reading import refused
from gpu_agent.workloads.schedule import Planned
from infra.credentials import key_of
from infra.harness.chat import MESSAGES
from infra.preparing import dress_of, estimate_of, facts_of
from query_api.cli.overriding import engine_said
from query_api.drawing.dressing import served as told_server
from query_api.drawing.dressing import unseen
from schemas.event import Producer
from schemas.jobs import BuildPlace, JobPlanned, Need
from schemas.requests import Chat, EngineChoice, EvaluationRequested, Generation, Judgement, ModelRef, TaskChoice, Workload
from streams.boards.books import Books
from streams.errors import Invalid
from streams.planning import Chosen, check, jobs
from streams.served import base_of
from streams.settling.dumping import dumped, loaded
from streams.settling.runs import OpenRuns
from streams.speed.usage import Asked
from tests import measured
from tests.runs import run_named

URL = "http://127.0.0.1:8000"
JUDGE = Judgement(task="assay_judge", model=ModelRef(uri="j"), engine=EngineChoice(name="openai"))


def asked(options: dict[str, str] | None = None, **told: Any) -> EvaluationRequested:
    """A request for a model behind an address."""
    engine = EngineChoice(name="openai", options={"url": URL} if options is None else options)
    given: dict[str, Any] = {"model": ModelRef(uri="m"), "engine": engine, "tasks": (TaskChoice(name="t"),)} | told
    return EvaluationRequested(occurred_us=0, producer=Producer(service="t", version="0"), run_id=run_named("r"), **given)


@pytest.mark.parametrize("told", [URL, f"{URL}/", f"{URL}/v1", f"{URL}/v1/"])
def test_an_address_is_written_in_one_way(told: str) -> None:
    """With the interface's own path or without."""
    assert base_of(told) == URL
    assert base_of("https://host/prefix/v1") == "https://host/prefix"


@pytest.mark.parametrize("wrong", ["host:8000", "ftp://host", "http://", "http://host:99999", "http://[::1"])
def test_what_is_no_address_is_refused(wrong: str) -> None:
    """By a run and by a load alike, with what one is."""
    for request in (asked({"url": wrong}), asked(tasks=(), workload=Workload(requests=1, url=wrong))):
        with pytest.raises(Invalid, match=r"give http://HOST:PORT"):
            check(request)


@pytest.mark.parametrize("secret", ["http://me:pw-1@host", "https://host/v1?api-key=pw-1", "https://pw-1@host", "http://host#pw-1"])
def test_an_address_that_holds_a_secret_is_refused_without_repeating_it(secret: str) -> None:
    """It would be in the record for ever."""
    with pytest.raises(Invalid, match="--credential") as caught:
        check(asked({"url": secret}))
    assert "pw-1" not in str(caught.value)


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (asked({}), "wants the server's address: --url"),
        (asked({"url": URL, "threads": "2"}), "has no option 'threads'; it has concurrency, max_length"),
        (asked({"url": URL, "credential": "mine"}), "has no option 'credential'"),
        (asked({"url": URL, "max_length": "9"}), "only option tokenizer tells"),
        (asked(chat=Chat(template="model", thinking=True)), "leaves it to the server whether a model thinks"),
        (asked(workload=Workload(requests=1)), "give workload.url too"),
        (asked(engine=EngineChoice(name="echo"), judgements=(JUDGE,)), "wants the server's address"),
        (asked(engine=EngineChoice(name="echo"), credential_ref="mine"), "credential_ref would change nothing: it is shown to servers"),
    ],
)  # fmt: skip
def test_what_no_server_is_told_is_refused(request_: EvaluationRequested, said: str) -> None:
    """When it is planned, of judges too."""
    with pytest.raises(Invalid, match=said):
        check(request_)


def test_a_credential_goes_by_name_to_whoever_asks_a_server() -> None:
    """With every job of a run, and of a load; an engine of ours is told none."""
    place = BuildPlace(build_id="b", task="t", partition=0, first_offset=0, last_offset=9)
    for engine, told in ((asked().engine, ["mine"] * 3), (EngineChoice(name="echo"), [None, None, "mine"])):
        request = asked(engine=engine, credential_ref="mine", workload=Workload(requests=1, url=URL))
        check(request)
        planned = jobs(request, [Chosen(request.tasks[0], place, 3)], per_job=2, need=Need())
        assert [job.credential_ref for job in planned.each] == told


HUBS, HERE = ModelRef(uri="org/name"), ModelRef(uri="/models/own")


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ({"model": HUBS}, ["mine"] * 2),
        ({"model": ModelRef(uri="/an/adapter", base="org/name")}, ["mine"] * 2),
        ({"model": HUBS, "workload": Workload(requests=1)}, ["mine"] * 3),
        ({"model": HUBS, "workload": Workload(requests=1, url=URL)}, [None, None, "mine"]),
        ({"model": HERE, "judgements": (JUDGE.model_copy(update={"engine": EngineChoice(), "model": HUBS}),)}, [None, None]),
    ],
)
def test_a_credential_goes_to_the_hub_that_has_the_model(told: dict[str, Any], shown: list[str | None]) -> None:
    """Unless a server elsewhere is asked too, which it is then for; a model that lies here wants none."""
    place = BuildPlace(build_id="b", task="t", partition=0, first_offset=0, last_offset=9)
    request = asked(engine=EngineChoice(), credential_ref="mine", **told)
    check(request)
    planned = jobs(request, [Chosen(request.tasks[0], place, 3)], per_job=2, need=Need())
    assert [job.credential_ref for job in planned.each] == shown
    with pytest.raises(Invalid, match="credential_ref would change nothing"):
        check(asked(engine=EngineChoice(), credential_ref="mine", model=HERE))


@pytest.mark.parametrize(("engine", "elsewhere"), [("openai", True), ("echo", False), ("gone", False)])
def test_a_run_that_a_server_answers_is_settled_as_such(engine: str, elsewhere: bool) -> None:
    """So that its costs, energy and recommendations are not those of the agent's machine."""
    request = asked(engine=EngineChoice(name=engine, options={"url": URL}))
    place, runs = BuildPlace(build_id="b", task="t", partition=0, first_offset=0, last_offset=9), OpenRuns()
    (job,) = jobs(request, [Chosen(request.tasks[0], place, 1)], per_job=2, need=Need()).each
    runs.fold(JobPlanned(occurred_us=0, producer=request.producer, pool="default", job_id=job.job_id, run_id=job.run_id, job=job))
    assert runs.run(job.run_id).served_elsewhere is elsewhere


def test_a_run_knows_how_long_its_loads_answers_were_to_be() -> None:
    """From its job, over a snapshot too."""
    runs = OpenRuns()
    for job in jobs(asked(engine=EngineChoice(), workload=Workload(requests=1, output_tokens=8)), [], per_job=2, need=Need()).each:
        runs.fold(JobPlanned(occurred_us=0, producer=asked().producer, pool="default", job_id=job.job_id, run_id=job.run_id, job=job))
    told = [one.run(one_id).lengths for one in (runs, loaded(dumped(runs))) for one_id in runs.runs]
    assert told == [Asked(8, 8)] * 2


def test_no_file_is_read_and_what_nobody_sees_is_not_said() -> None:
    """Neither is memory asked for; arguments that the interface does not have are refused."""
    assert facts_of(asked()) is None
    assert estimate_of(None, engine=asked().engine).weights_bytes == 0
    with pytest.raises(Invalid, match="dtype of m would say what nobody here can see"):
        facts_of(asked(model=ModelRef(uri="m", dtype="float16")))
    beams = TaskChoice(name="t", generation=Generation(json_text='{"num_beams": 4}'))
    with pytest.raises(Invalid, match="engine openai does not take generation argument num_beams=4"):
        facts_of(asked(tasks=(beams,)))


def test_the_servers_own_template_dresses_its_messages() -> None:
    """What is sent is what it dresses; a template as text is rendered here."""
    assert dress_of(asked(chat=Chat(template="model")), None).template == MESSAGES
    assert dress_of(asked(chat=Chat(template="{{ 1 }}")), None).template == "{{ 1 }}"
    render = dress_of(asked(chat=Chat(template="model", fold_system=True)), None).render
    assert render is not None
    told = render([{"role": "system", "content": "Be brief."}, {"role": "user", "content": 'say "é"'}])
    assert told == '[{"role": "user", "content": "Be brief.\\n\\nsay \\"é\\""}]'


def test_a_key_is_shown_to_its_own_address_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its file says which; no message holds it, and no name leads out of the folder."""
    monkeypatch.setenv("ASSAY_CREDENTIALS", str(tmp_path / "keys"))
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "mine").write_text("https://host/v1\nsk-1\n")
    (tmp_path / "keys" / "half").write_text("sk-1\n")
    (tmp_path / "outside").write_text("https://host\nsk-1\n")
    assert key_of(None, URL) is None
    assert key_of("mine", "https://host:443") == key_of("mine", "https://host/prefix") == "sk-1"
    for name, url, said in (
        ("mine", "http://host", "is for https://host, and the run asks http://host"), ("mine", "https://host.evil", "name the one"),
        ("half", "https://host", "must hold two lines"), ("../outside", "https://host", "no credential"), ("none", URL, "no credential"),
    ):  # fmt: skip
        with pytest.raises(Invalid, match=said) as caught:
            key_of(name, url)
        assert "sk-1" not in str(caught.value)


def test_a_load_shows_the_key_and_tells_it_nobody() -> None:
    """Also where the server repeats it in its refusal."""
    planned = Planned(0, "steady", None, 2, 2, 1)
    request = request_of(place_of(Workload(url=URL)), planned, model="m", mark="", key="sk-1")
    assert request.count(b"\r\nAuthorization: Bearer sk-1\r\n") == 1
    assert b"Authorization" not in request_of(place_of(Workload(url=URL)), planned, model="m", mark="")
    exchange = Exchange(request, 10_000, lambda _: None, response=Response())
    exchange.pieces = [(1, exchange.response.feed(b"HTTP/1.1 401 No\r\nContent-Length: 15\r\n\r\nwrong key: sk-1"))]
    error = refused(exchange, Answer())
    assert error is not None
    assert (str(error).partition(";")[0], error.code) == ("the server answers 401: wrong key: …", "http-401")
    assert "--credential" in str(error)


def test_the_hardware_of_a_server_is_not_its_agents() -> None:
    """A row tells what is not known; one of a model whose files were read does not."""
    machine, task, books = measured.environment("H200"), measured.planned(), Books()
    books.fold(machine)
    for number, name in enumerate(("openai", "vllm")):
        for event in measured.run(number, "m", machine, scores={task: measured.rights(0.5, seed=1)}, engine=EngineChoice(name=name)):
            books.fold(event)
    assert {entry.run.plan.engine.name: entry.hardware for entry in books.entries("task:gsm8k")} == {"openai": "", "vllm": "H200"}
    assert (unseen("unknown"), unseen("3f2a")) == ("weights, dtype, quantisation unknown", "")


def test_a_server_is_told_in_words() -> None:
    """What it does not say is left out."""
    nothing = {"owner": None, "version": None, "header": None, "likelihoods": None}
    unknown = "; weights, dtype, quantisation and hardware are unknown"
    assert told_server({"address": URL, "model": "m", "apis": ["chat"], **nothing}) == (
        f"{URL}, model m, version unknown, chat, no likelihoods{unknown}"
    )
    whole = {"owner": "vllm", "version": "0.32.0", "header": "uvicorn", "likelihoods": "echo"}
    assert told_server({"address": URL, "model": "m", "apis": ["completions", "chat"], **whole}) == (
        f"{URL}, model m, vllm 0.32.0 (uvicorn), completions, chat, likelihoods by echo{unknown}"
    )


def test_a_url_is_the_engines_option() -> None:
    """On the command line it names the engine too, unless another is named."""
    assert engine_said(None, ["retries=1"], url=URL) == {"name": "openai", "options": {"retries": "1", "url": URL}}
    assert engine_said("echo", []) == {"name": "echo", "options": {}}


@pytest.mark.parametrize(
    ("told", "seconds"), [("7", 7.0), ("", 0.0), ("soon", 0.0), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0), ("-1", 0.0)]
)  # fmt: skip
def test_how_long_a_server_asks_to_wait(told: str, seconds: float) -> None:
    """In seconds, or until a date that may be over."""
    assert _asked_wait_s(told) == seconds


def test_likelihoods_are_read_as_servers_tell_them() -> None:
    """Without the generated token behind them; an answer that does not hold the prompt's is none."""
    legacy = {"token_logprobs": [None, -1.0, -2.0, -0.5], "top_logprobs": [None, {"a": -1.0}, {"b": -0.1, "c": -2.0}, {"d": -0.5}]}
    for usage in ({}, {"usage": {"prompt_tokens": 3}}):
        found = BY["echo"].tokens({"choices": [{"logprobs": legacy}], **usage})
        assert [(one.logprob, one.greedy) for one in found] == [(None, False), (-1.0, True), (-2.0, False)]
    ranks = [None, {"7": {"logprob": -2.0, "rank": 3}, "9": {"logprob": -0.1, "rank": 1}}, {"5": {"logprob": -0.2, "rank": 1}}]
    beside = BY["prompt_logprobs"].tokens({"choices": [{"prompt_logprobs": ranks}]})
    assert [(one.logprob, one.greedy) for one in beside] == [(None, False), (-2.0, False), (-0.2, True)]
    generated = {"token_logprobs": [-0.5], "top_logprobs": [{"d": -0.5}]}
    choices: list[dict[str, Any]] = [{"logprobs": None}, {"logprobs": generated}, {"logprobs": {"content": []}}, {}]
    for told in choices:
        assert not BY["echo"].reads({"choices": [told], "usage": {"prompt_tokens": 3}})
