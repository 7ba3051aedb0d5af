"""Commands of a recommendation, read back into the requests that they are; and that nothing else is."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query_api.operations.parsing import validated
from query_api.producing.buying import buying_of
from query_api.producing.submitting import Submission, requested
from schemas.decisions import NextRun, RecommendationMade
from schemas.requests import Chat, ModelRef
from schemas.requirements import Traffic
from streams.deciding import commands
from streams.deciding.asks import ask_of
from streams.deciding.evidence import Weights
from streams.errors import Invalid, NotFound
from tests.measured import STAMP
from tests.runs import run_named

OWN = Weights("org/a model", "sha", "vllm", "1", '{"gpu_memory_utilization": "0.9"}', "bfloat16", "")
MODEL = ModelRef(uri="org/a model", revision="main")
DRESS = Chat(template="model", system="Be brief; it's late", thinking=True, thinking_tokens=512, fold_system=True, multiturn=True)
TRAFFIC = Traffic(curve_per_s=(2.0,), input_tokens=800, output_tokens=200)


def asked(command: str) -> Submission:
    """The body as the API takes it."""
    return validated(json.dumps(ask_of(command).body).encode(), Submission)


def test_more_documents_of_a_task() -> None:
    """Model, revision, engine, options, dress, limit and examples are all there."""
    found = asked(commands.submit(MODEL, OWN, chat=DRESS, task="gsm8k", limit=400, fewshot=5))
    assert (found.model.uri, found.model.revision, found.engine.name) == ("org/a model", "main", "vllm")
    assert found.engine.options == {"gpu_memory_utilization": "0.9"} and found.chat == DRESS
    assert [(one.name, one.limit, one.fewshot) for one in found.tasks] == [("gsm8k", 400, 5)]


def test_the_weights_that_were_measured_are_asked_for() -> None:
    """At their revision, on the adapter's base, with the model's own code, by a load too; what no option says is no command."""
    adapter = ModelRef(uri="org/adapter", revision="0123abcd", base="org/base", trust_code=True)
    for typed in (commands.submit(adapter, OWN, chat=Chat(), task="gsm8k", limit=4), commands.perf(adapter, OWN, traffic=TRAFFIC)):
        assert "--model org/adapter@0123abcd --base org/base --trust-model-code" in typed
        assert asked(typed).model == adapter
    assert asked(commands.perf(MODEL, OWN, traffic=None)).model == MODEL
    said = (commands.can_say(model, chat) for model, chat in (
        (MODEL, DRESS), (MODEL, Chat(template="{{ messages }}")), (MODEL, Chat(thinking_end="</end>")),
        (MODEL.model_copy(update={"dtype": "float16"}), DRESS),
    ))  # fmt: skip
    assert [*said] == [True, False, False, False]


def test_more_of_a_suite_and_a_load() -> None:
    """A suite by its name; a load with its lengths; how often is told beside."""
    found = asked(commands.ask(MODEL, OWN, chat=Chat(), suite="reasoning", limit=50))
    assert (found.suite, found.limit, found.tasks) == ("reasoning", 50, ())
    named = asked(commands.ask(MODEL, OWN, chat=Chat(thinking=False), suite="a+b", tasks=("a", "b"), limit=50))
    assert [(one.name, one.limit) for one in named.tasks] == [("a", 50), ("b", 50)] and named.chat.thinking is False
    ask = ask_of(f"{commands.perf(MODEL, OWN, traffic=TRAFFIC, concurrency=16)}  # 4 times")
    load = asked(ask.command).workload
    assert load is not None and ask.times == 4
    assert (load.profile, load.concurrency, load.requests, load.input_tokens, load.output_tokens) == ("concurrent", 16, 200, 800, 200)
    event = requested(asked(ask.command), organisation="ours")
    assert event.workload == load and event.organisation_id == "ours"


@pytest.mark.parametrize(
    "typed",
    [
        "", "rm -rf /", "assay forget ours", "assay submit", "assay submit --model", "assay submit --model a --private",
        "assay submit x.yaml",
        "assay submit --model a --limit many", "assay submit --model a --task \'", "assay perf --model a --url http://169.254.169.254/",
        "assay submit --model a --task t; rm -rf /", "assay submit --model a  # 99 times", "assay submit --model a --task-file /etc/passwd",
    ],
)  # fmt: skip
def test_what_no_recommendation_gives_is_refused(typed: str) -> None:
    """Whoever wrote it."""
    with pytest.raises(Invalid, match="is no command that a recommendation gives"):
        ask_of(typed)


@given(st.text(), st.lists(st.sampled_from(["--model", "--task", "--limit", "--option", "--chat", "3", "a=b", "x"])))
def test_whatever_is_written_is_a_request_or_refused(text: str, words: list[str]) -> None:
    """Nothing breaks."""
    for typed in (text, " ".join(["assay", "submit", *words])):
        try:
            asked(typed)
        except Invalid:
            continue


def made(*next_runs: NextRun) -> RecommendationMade:
    """A recommendation that names these."""
    return RecommendationMade.model_validate({
        "occurred_us": 5, "producer": STAMP, "organisation_id": "ours", "recommendation_id": "r", "requirement": {}, "formula_version": "1",
        "draws": 1, "seed": 1, "inputs_digest": "d", "input_runs": (run_named(1),), "considered": 1, "contending": 1, "refused": 0,
        "decided": False, "words": "undecided", "choices": (), "rejected": (), "tradeoffs": (), "methods": None, "knee": None,
        "conflict": (),
        "nearest": None, "next": next_runs, "prices": None, "as_of_us": 5, "asked_by": "ada",
    })  # fmt: skip


def test_asking_twice_is_asking_for_the_same_runs() -> None:
    """Each run of each command has an id of its own, that follows from the recommendation and the place alone."""
    one = NextRun(what="a run", usd=0.1, confidence=0.9, gain=0.1, words="a run", commands=(
        commands.submit(MODEL, OWN, chat=Chat(), task="gsm8k", limit=4), f"{commands.perf(MODEL, OWN, traffic=None)}  # 4 times",
    ))  # fmt: skip
    found, again = (buying_of(made(one, one), 0) for _ in range(2))
    assert found == again and [len(several) for several in found.run_ids] == [1, 4]
    assert len({*found.runs, *buying_of(made(one, one), 1).runs}) == 10
    with pytest.raises(NotFound, match="names 1 next runs, and none at 1"):
        buying_of(made(one), 1)
