"""From events to a recommendation: who is a candidate, at which load, on which runs it rests, and what is said of it."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from infra.clickhouse import ClickHouse
from infra.settings import Settings
from query_api.reading.deciding import KINDS, Asking, Measurements, chosen
from query_api.reading.facts import event_of
from query_api.reading.runs import Reading
from schemas.decisions import Guide
from schemas.event import Event
from schemas.released import released_codec
from schemas.requests import Adapter, Chat, EngineChoice, ModelRef, Stopping
from schemas.requirements import Latency, Requirement, Traffic
from schemas.results import Documents, Figure, PricePublished, RunScored
from schemas.runs import ModelCard, PlannedTask
from schemas.settled import RunSettled
from streams.boards.ranking import chosen as chosen_board
from streams.boards.ranking import rank
from streams.deciding.answering import answer, digest_of
from streams.deciding.candidates import Candidate
from streams.deciding.drawing import worlds
from streams.deciding.evidence import Evidence
from streams.deciding.measured import Field, Priced, field_of, kind_of
from streams.deciding.next_runs import Asked, Question, next_runs
from streams.deciding.operating import fitting, operating_point, points_of
from streams.deciding.price_ages import prices_of, stale_prices
from streams.deciding.reading import requirement_of
from streams.deciding.recommending import Recommendation, recommend
from streams.deciding.scoring import scores_of
from streams.errors import Invalid
from streams.projection import row, table_of
from streams.settling.documents import packed
from streams.statistics.intervals import ratio_of
from streams.statistics.joining import stretch
from streams.trust.visibility import Seen
from tests.measured import MIT, STAMP, environment, evidence, load, planned, price, priced, rights, run
from tests.runs import run_named

L40S, H100, CPU = environment("L40S"), environment("H100"), environment("cpu")
GSM, OURS = planned(), {"occurred_us": 5, "producer": STAMP, "organisation_id": "ours"}
HEADER = OURS | {"seed": 1, "prices": "1", "as_of_us": 10, "asked_by": "ada"}
WANTED: dict[str, Any] = {
    "tasks": {"gsm8k": 1}, "latency": {"ttft_p95": "800 ms"}, "threshold": 0.5,
    "traffic": {"rate": "20/s", "input": "800 tokens", "output": "200 tokens"}, "prefer": {"points": {"quality": 100, "usd_per_month": 50}},
}  # fmt: skip


def world() -> Evidence:
    """A small model and a large one, scored on one device each and under loads on both; the large one is better and slower."""
    return evidence(
        [L40S, H100],
        run(1, "small", L40S, scores={GSM: rights(0.6, seed=2)}, speed=load(20, ttft_s=0.2)),
        run(2, "small", H100, speed=load(50, ttft_s=0.1)),
        run(3, "large", H100, scores={GSM: rights(0.75, seed=3)}, speed=load(12, ttft_s=0.4)),
        run(4, "large", L40S, speed=load(3, ttft_s=1.2)),
        peaks={run_named(3): 30 * 10**9},
    )


def wanted(**changed: Any) -> Requirement:
    """The requirement with other parts."""
    return requirement_of(WANTED | changed)


def asked(requirement: Requirement, seen: Evidence, prices: Priced | None = None) -> tuple[Field, Recommendation]:
    """Who may be chosen, and the recommendation."""
    own = field_of(requirement, seen, prices or priced())
    return own, recommend(requirement, own.candidates, own.scores)


def test_scores_say_what_their_documents_share() -> None:
    """A group's tasks over the same documents: each stands and falls with itself in the other; passages as they are told; else nothing."""
    same = [planned(name, group="g", documents=4).model_copy(update={"documents": "d"}) for name in ("t", "u")]
    passage, alone = planned("p", documents=4), planned("alone", documents=4)
    told = [*run(1, "small", L40S, scores={task: [1.0, 0.0, 1.0, 1.0] for task in (*same, passage, alone)})]
    shared = packed(dict(enumerate([1.0, 0.0, 1.0, 1.0])), {0: "x", 1: "x"})
    told = [one.model_copy(update={"documents": shared}) if isinstance(one, RunScored) and one.task == "p" else one for one in told]
    found = {name: own for name, (own, _) in scores_of(wanted(tasks={"g": 1, "p": 1, "alone": 1, "t": 1}), evidence([L40S], told)).items()}
    assert found["g"].clusters == [("d", n) for n in (0, 1, 2, 3)] * 2
    assert found["p"].clusters == ["x", "x", 2, 3] and found["alone"].clusters is None
    assert found["t"].documents == "d" and found["t"].places.tolist() == [0, 1, 2, 3]


def test_quality_is_drawn_as_surely_as_boards_say_that_it_is() -> None:
    """Of a task that stopped early its interval counts, of one asked in several set-ups what these leave open; a group has both."""
    values = [float(n % 2) for n in range(50)]
    stopped = planned("stopped", group="g", documents=200).model_copy(update={"stopping": Stopping(half_width=0.1)})
    varied = planned("varied", group="g", documents=50)
    figures = {
        "stopped": Figure(metric="acc", value=0.5, low=0.3, high=0.7, n=50, sequential=True),
        "varied": Figure(metric="acc", value=0.5, low=0.2, high=0.8, n=50, repeats=5, setups=5, between_setups=0.02),
    }
    told = [*run(1, "small", L40S, scores={stopped: values, varied: values})]
    told = [
        one.model_copy(update={"tasks": tuple(task.model_copy(update={"figure": figures[task.task]}) for task in one.tasks)})
        if isinstance(one, RunSettled) else one for one in told
    ]  # fmt: skip
    found = {name: own for name, (own, _) in scores_of(wanted(tasks={"stopped": 1, "varied": 1, "g": 1}), evidence([L40S], told)).items()}

    def drawn(name: str) -> float:
        one = Candidate("small", found[name].models[0], "e", "h", {})
        return float(worlds([one], [found[name]], draws=4000).drawn["quality"].std())

    as_told, documents, setups = ratio_of(0.5, (0.3, 0.7)).variance, 0.25 / 50, stretch(5) * 0.02 / 5
    assert drawn("stopped") == pytest.approx(math.sqrt(as_told), rel=0.05)
    assert drawn("varied") == pytest.approx(math.sqrt(documents + setups), rel=0.07)
    assert drawn("g") == pytest.approx(math.sqrt((as_told + documents + setups) / 4), rel=0.07)


def test_quality_is_joined_to_every_place_that_the_model_ran_on() -> None:
    """Four candidates of four runs; each rests on the run that scored it and on the one that measured its speed there."""
    own = field_of(wanted(), world(), priced())
    by_name = {(one.model, one.hardware): one for one in own.candidates}
    assert set(by_name) == {(model, device) for model in ("small", "large") for device in ("L40S", "H100")}
    assert by_name["small", "H100"].figures["goodput_per_s"].value == 50
    assert by_name["small", "H100"].usd_per_hour == 3
    runs = own.origins[by_name["small", "H100"].key].runs
    assert (runs["gsm8k"], runs["speed"]) == (run_named(1), run_named(2))
    assert own.runs == tuple(sorted(map(run_named, (1, 2, 3, 4))))
    (scores,) = own.scores
    assert dict(zip(scores.models, scores.values.mean(axis=1), strict=True)) == {"small": 0.6, "large": 0.75}
    assert by_name["large", "H100"].figures["memory_bytes"].value == 30e9


def test_a_recommendation_is_said_with_all_that_it_rests_on() -> None:
    """The choice, the refusal with its change, the trade-offs, the size and the command; the same question again is the same event."""
    requirement, seen = wanted(), world()
    own, told = asked(requirement, seen)
    question = Question(requirement, seen, own)
    made = answer(question, told, next_runs(told, question), header=HEADER)
    assert (made.considered, made.contending, made.refused) == (4, 3, 1)
    assert made.rejected[0].reason == "time to first token (p95) is 1.2 s; wanted is at most 0.8 s"
    assert made.rejected[0].changes == ("raise the bound from 0.8 s to 1.2 s",)
    first = made.choices[0]
    assert set(first.measured_by) <= set(made.input_runs)
    assert first.capacity is not None and first.capacity.replicas >= first.capacity.by_rate
    assert first.capacity.replicas == next(one.value for one in first.figures if one.figure == "replicas")
    assert first.guide is not None and (first.guide.command or "").startswith("vllm serve ")
    compose = yaml.safe_load(first.guide.compose or "")["services"]["model"]
    assert compose["entrypoint"][:3] == ["vllm", "serve", first.model]
    assert compose["image"] == "${VLLM_IMAGE:-vllm/vllm-openai:v1}"
    assert compose["deploy"]["resources"]["reservations"]["devices"][0]["count"] == 1
    assert {one.figure for one in made.tradeoffs} >= {"goodput_per_s"}
    assert all(figure.low <= figure.value <= figure.high for figure in first.figures if figure.figure == "quality")
    later = answer(question, told, (), header=HEADER | {"occurred_us": 99, "asked_by": "bo"})
    assert (later.recommendation_id, later.event_id) == (made.recommendation_id, made.event_id)
    other = asked(wanted(threshold=0.6), seen)
    assert answer(Question(wanted(threshold=0.6), seen, other[0]), other[1], (), header=HEADER).event_id != made.event_id
    assert answer(question, told, (), header=HEADER | {"organisation_id": "theirs"}).event_id != made.event_id


def test_the_runs_that_are_named_are_enough_to_reckon_it_again() -> None:
    """Events of just those runs give the same inputs; a run that nothing rests on does not matter."""
    more = [*run(5, "small", L40S, speed=load(4, ttft_s=0.1)), *run(6, "small", L40S, speed=load(9, tokens=(10, 10)))]
    every = [[L40S, H100], *world_events(), more]
    own = field_of(wanted(), evidence(*every), priced())
    named = [events for events in every[1:] if any(event.run_id in own.runs for event in events if hasattr(event, "run_id"))]
    assert digest_of(field_of(wanted(), evidence([L40S, H100], *named), priced())) == digest_of(own)
    assert run_named(5) not in own.runs


def world_events() -> list[list[Any]]:
    """The world's runs, each as its events."""
    return [
        [*run(1, "small", L40S, scores={GSM: rights(0.6, seed=2)}, speed=load(20, ttft_s=0.2))],
        [*run(2, "small", H100, speed=load(50, ttft_s=0.1))],
        [*run(7, "small", L40S, speed=load(20.5, ttft_s=0.2))],
    ]


def test_the_load_is_the_fastest_that_keeps_the_service_level() -> None:
    """Of three loads; where none keeps it the nearest one; short requests and a client that was the bottleneck say nothing."""
    slow, fast, late = load(5, ttft_s=0.2), load(15, ttft_s=0.5), load(30, ttft_s=2.0)
    runs = [
        *evidence([L40S], *(run(n, "m", L40S, speed=speed) for n, speed in enumerate((slow, fast, late), 1))).results.values(),
    ]
    points = points_of(runs)
    for bound, found in ((0.8, 2), (0.3, 1), (5.0, 3), (0.1, 1)):
        point = operating_point(points, Latency(ttft_p95_s=bound))
        assert point is not None and point.run_id == run_named(found)
    assert fitting(points, Traffic(curve_per_s=(1.0,), input_tokens=880, output_tokens=200)) == points
    assert fitting(points, Traffic(curve_per_s=(1.0,), input_tokens=900, output_tokens=200)) == ()
    overloaded = evidence([L40S], run(1, "m", L40S, speed=load(5, client_overloaded=1.0)))
    assert points_of(overloaded.results.values()) == ()


def test_servers_elsewhere_and_runs_on_several_machines_are_no_candidates() -> None:
    """Of neither is the hardware known."""
    seen = evidence([L40S], run(1, "small", L40S, speed=load(5), served_elsewhere=True))
    assert field_of(wanted(tasks={}, prefer={"points": {"goodput_per_s": 1}}), seen, priced()).candidates == ()


def test_an_air_gapped_place_refuses_who_needs_a_net_and_says_how_to_do_without() -> None:
    """A server elsewhere by name and with its reason; an engine of ours may be chosen, and its guide says what to bring."""
    hub = "hf:org/large"
    seen = evidence(
        [L40S, CPU],
        run(1, hub, L40S, scores={GSM: rights(0.7, seed=2)}, speed=load(20), used={"name": "transformers"}),
        run(2, "there", L40S, scores={GSM: rights(0.9, seed=3)}, speed=load(50), served_elsewhere=True, used={"name": "openai"}),
        run(3, "slow", CPU, scores={GSM: rights(0.6, seed=3)}, speed=load(20), used={"name": "gguf"}),
    )
    requirement = wanted(allowed={"places": ["air-gapped", "one-gpu"]}, prefer={"points": {"quality": 1}})
    own, told = asked(requirement, seen)
    refused = {one.candidate.model: [refusal.reason for refusal in one.refusals] for one in told.refused}
    assert refused["there"][0] == "net at run time is a server elsewhere; wanted is one of none"
    assert refused["slow"] == ["place is cpu; wanted is one of one-gpu"]
    question = Question(requirement, seen, own)
    made = answer(question, told, (), header=HEADER)
    assert [one.model for one in made.choices] == [hub] and run_named(2) in made.input_runs
    guide = made.choices[0].guide
    assert guide is not None and any("assay pull" in note and "HF_HUB_OFFLINE=1" in note for note in guide.notes)
    assert any("installs its packages as it starts" in note for note in guide.notes)
    plain = wanted(prefer={"points": {"quality": 1}})
    assert "there" not in {one.candidate.model for one in asked(plain, seen)[1].refused}
    bare = wanted(tasks={}, latency={}, traffic=None, allowed={"places": ["air-gapped"]}, prefer={"points": {"goodput_per_s": 1}})
    _, nobody = asked(bare, evidence([L40S], run(2, "there", L40S, served_elsewhere=True)))
    assert [one.words for one in nobody.conflict] == ["net at run time one of none"]


def test_variants_of_one_model_are_told_apart_by_what_differs() -> None:
    """Prompt dress and precision; each has its own scores."""
    seen = evidence(
        [L40S],
        run(1, "m", L40S, scores={GSM: rights(0.5, seed=2)}),
        run(2, "m", L40S, scores={GSM: rights(0.7, seed=3)}, chat=Chat(template="model"), chat_template_sha="c"),
        run(3, "m", L40S, scores={GSM: rights(0.6, seed=4)}, used={"quantisation": "fp8"}),
    )
    own = field_of(wanted(traffic=None, latency={}, prefer={"points": {"quality": 1}}), seen, priced())
    assert {one.model for one in own.candidates} == {"m", "m [chat]", "m [fp8]"}
    assert {own.scores[0].models[n]: round(float(row.mean()), 2) for n, row in enumerate(own.scores[0].values)}["m [chat]"] == 0.7


def test_a_groups_documents_are_those_of_its_tasks() -> None:
    """Weighed by their samples; a model that lacks one of them has no score of the group."""
    law, sums = planned("law", group="exams", documents=100), planned("sums", group="exams", documents=300)
    seen = evidence(
        [L40S],
        run(1, "whole", L40S, scores={law: rights(0.2, seed=2, documents=100), sums: rights(0.8, seed=2, documents=300)}),
        run(2, "half", L40S, scores={law: rights(0.9, seed=2, documents=100)}),
    )
    (scores,) = field_of(wanted(tasks={"exams": 1}, traffic=None, latency={}, prefer={"points": {"quality": 1}}), seen, priced()).scores
    assert scores.models == ("whole",)
    assert np.nanmean(scores.values) == pytest.approx((0.2 * 100 + 0.8 * 300) / 400)


def suite_of_three(**documents: int) -> list[PlannedTask]:
    """A suite: a task that guessing gets half right, and a group of two of unequal size."""
    size = {"alone": 100, "law": 60, "sums": 140} | documents
    alone = planned("alone", documents=size["alone"]).model_copy(update={"chance": 0.5})
    return [alone, *(planned(name, group="exams", documents=size[name]) for name in ("law", "sums"))]


def test_a_suite_is_the_score_of_its_board() -> None:
    """Each task corrected by chance, a group as one, from the runs on its board: not the mean of its documents, and not of other runs."""
    tasks = suite_of_three()
    one = [rights(share, seed=n, documents=task.samples) for n, (task, share) in enumerate(zip(tasks, (0.8, 0.5, 0.3), strict=True))]
    other = [rights(share, seed=n + 9, documents=task.samples) for n, (task, share) in enumerate(zip(tasks, (0.6, 0.7, 0.9), strict=True))]
    seen = evidence(
        [L40S],
        run(1, "one", L40S, scores=dict(zip(tasks, one, strict=True)), suite="ours"),
        run(2, "other", L40S, scores=dict(zip(tasks, other, strict=True)), suite="ours"),
        run(3, "other", L40S, scores={tasks[0]: rights(0.99, seed=5, documents=100)}),  # newer, and not on the suite's board
        run(4, "part", L40S, scores={tasks[0]: rights(0.7, seed=5, documents=100)}),
    )
    requirement = wanted(tasks={"ours": 2, "alone": 1}, traffic=None, latency={}, prefer={"points": {"quality": 1}})
    own = field_of(requirement, seen, priced())
    made = worlds(own.candidates, own.scores, weights=requirement.tasks)
    board = rank(chosen_board("ours", seen.books.entries("ours")))
    scores = {row.model: row.score for row in board.rows}
    found = dict(zip([one.model for one in own.candidates], made.points["quality:ours"].tolist(), strict=True))
    assert scores["one"] == pytest.approx(((0.8 - 0.5) / 0.5 + (0.5 * 60 + 0.3 * 140) / 200) / 2, abs=0.01)
    assert found["one"] == pytest.approx(scores["one"]) and found["other"] == pytest.approx(scores["other"])
    assert math.isnan(found["part"])
    by_task = dict(zip([one.model for one in own.candidates], made.points["quality:alone"].tolist(), strict=True))
    assert found["other"] != by_task["other"] and {name for name in made.points if name.startswith("quality:")} == {
        "quality:ours", "quality:alone"
    }  # fmt: skip
    assert made.points["quality"][0] == pytest.approx((2 * made.points["quality:ours"][0] + made.points["quality:alone"][0]) / 3)
    row = next(row for row in board.rows if row.model == "one")
    low, high = np.percentile(made.drawn["quality:ours"][:, [one.model for one in own.candidates].index("one")], [2.5, 97.5])
    assert row.low is not None and row.high is not None and high - low == pytest.approx(row.high - row.low, rel=0.15)


def test_a_suites_floor_holds_and_more_of_it_is_offered() -> None:
    """A floor is of its score; undecided, all of its tasks are asked again, by the suite's name; who lacks it is asked for it.

    The price is that of what the command asks: as many documents of each task as the largest has, those that are known already with them.
    """
    tasks = suite_of_three()
    several = [
        run(n, model, L40S, scores={task: rights(share, seed=7 * n + m, documents=task.samples) for m, task in enumerate(tasks)},
            suite="ours", suite_version="1")
        for n, (model, share) in enumerate({"a": 0.80, "b": 0.79, "bad": 0.4}.items(), 1)
    ]  # fmt: skip
    seen = evidence([L40S], *several, run(9, "new", L40S, scores={GSM: rights(0.5, seed=1)}))
    requirement = wanted(
        tasks={"ours": 1}, floors={"ours": "50 %"}, threshold=0.9999, prefer={"points": {"quality": 100}}, traffic=None, latency={}
    )
    own, told = asked(requirement, seen)
    refused = {one.candidate.model: [refusal.reason for refusal in one.refusals] for one in told.refused}
    assert refused["bad"][0].startswith("quality of ours is ") and refused["new"] == ["quality of ours is not known"]
    known = Asked({run_named(1): 0.03, run_named(2): 0.03})
    found = next_runs(told, Question(requirement, seen, own, known))
    again = next(one for one in found if one.usd is not None)
    times = int(again.what.split()[0]) if "×" in again.what else 1
    assert again.what.endswith("300 documents of ours") and again.usd == pytest.approx((1 + times) * 3 * 140 * 2 * 0.03 / 300)
    assert f"assay submit --model a --engine vllm --suite ours --limit {(1 + times) * 140} --wait" in again.commands
    first = next(one for one in found if one.what == "a first measurement of new (vllm) on L40S")
    assert first.commands == ("assay submit --model new --engine vllm --suite ours --limit 140 --wait",)


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"tasks": {"gsm9k": 1}}, "nobody has scores of gsm9k; there are gsm8k"),
        ({"tasks": {}}, "quality of what? name the tasks that count"),
        ({"traffic": WANTED["traffic"] | {"input": "4000 tokens"}, "latency": {}}, "assay perf --model small --engine vllm"),
    ],
)
def test_what_cannot_be_answered_says_what_to_do(told: dict[str, Any], says: str) -> None:
    """A slip of the finger, no task at all, and requests longer than any that was measured."""
    with pytest.raises(Invalid) as refusal:
        chosen(Asking(wanted(**told), "ada"), world(), priced())
    assert says in str(refusal.value)


def test_undecided_it_names_the_runs_to_buy_with_their_price() -> None:
    """Two models that few documents cannot tell apart: as many again, and the first ones once more; whole tasks have no more."""
    requirement = wanted(threshold=0.999, prefer={"points": {"quality": 100}}, traffic=None, latency={})
    seen = evidence([L40S], run(1, "a", L40S, scores={GSM: rights(0.6, seed=2)}), run(2, "b", L40S, scores={GSM: rights(0.62, seed=3)}))
    own, told = asked(requirement, seen)
    known = Asked({run_named(1): 0.02, run_named(2): 0.02}, fewshots={(run_named(1), "gsm8k"): 5})
    (bought,) = next_runs(told, Question(requirement, seen, own, known))
    times = 1 if bought.what[0] == "2" else int(bought.what.split()[0])
    assert bought.usd == pytest.approx((1 + times) * 0.04)
    assert f"about ${bought.usd:.2g}" in bought.words
    assert f"assay submit --model a --engine vllm --task gsm8k --limit {200 + times * 200} --fewshot 5 --wait" in bought.commands
    whole = Asked(known.usd, frozenset({run_named(1)}))
    assert next_runs(told, Question(requirement, seen, own, whole)) == ()


def test_what_nobody_measured_is_asked_for_first_hand() -> None:
    """A model without a load cannot be chosen, and the command that measures it is named."""
    requirement = wanted(latency={}, threshold=1.0)
    seen = evidence(
        [L40S], run(1, "a", L40S, scores={GSM: rights(0.6, seed=2)}, speed=load(9)), run(2, "b", L40S, scores={GSM: rights(0.9, seed=3)})
    )
    own, told = asked(requirement, seen)
    question = Question(requirement, seen, own)
    made = answer(question, told, next_runs(told, question), header=HEADER)
    assert made.choices[0].model == "a"
    assert next(one for one in made.choices if one.model == "b").lacks == ("usd_per_month",)
    assert "--input-tokens 800 --output-tokens 200" in made.next[-1].commands[0]


def test_names_allow_what_has_them_as_a_word() -> None:
    """A device by its short name, a region by its first part; the card's licence and languages count."""
    far = environment("NVIDIA L40S", region="eu-west-1")
    seen = evidence([far], run(1, "org/a", far, scores={GSM: rights(0.6, seed=2)}))
    for allowed, left in (
        ({"hardware": ["L40S"], "regions": ["eu"], "models": ["a"], "licences": ["MIT"], "languages": ["de"]}, 1),
        ({"hardware": ["L40"]}, 0), ({"languages": ["fr"]}, 0), ({"context": "9 k"}, 0), ({"places": ["one-gpu"]}, 1),
        ({"kinds": ["base"]}, 1), ({"kinds": ["fine-tuned"]}, 0), ({"kinds": ["base", "fine-tuned"]}, 1),
    ):  # fmt: skip
        _, told = asked(wanted(allowed=allowed, traffic=None, latency={}, prefer={"points": {"quality": 1}}), seen)
        assert len(told.choices) == left, allowed
    assert MIT.licence == "mit"


@pytest.mark.parametrize(
    ("model", "card", "kind"),
    [
        (ModelRef(uri="org/a"), MIT, "base"), (ModelRef(uri="org/a"), ModelCard(), None),
        (ModelRef(uri="org/a"), ModelCard(base="org/b"), "fine-tuned"), (ModelRef(uri="org/a", base="org/b"), MIT, "fine-tuned"),
        (ModelRef(uri="org/a", adapter=Adapter(uri="org/c", method="lora")), MIT, "fine-tuned"),
        (ModelRef(uri="org/A-7B-Instruct"), MIT, "fine-tuned"), (ModelRef(uri="/models/gemma-2b-it/"), MIT, "fine-tuned"),
        (ModelRef(uri="it/ItalianBERT"), MIT, "base"),
    ],
)  # fmt: skip
def test_a_models_kind_is_what_card_request_and_name_say(model: ModelRef, card: ModelCard, kind: str | None) -> None:
    """Made from another one, or from none; not known without a card."""
    assert kind_of(model, card) == kind


def test_both_kinds_together_allow_any_model() -> None:
    """One whose card names no base, one whose card does, and one without a card; by one kind each has its own."""
    cards = {"base": MIT, "fine-tuned": ModelCard(base="org/b"), "unknown": ModelCard()}
    seen = evidence(
        [L40S], *(run(n, f"org/{name}", L40S, scores={GSM: rights(0.6, seed=2)}, card=card) for n, (name, card) in enumerate(cards.items()))
    )
    for kinds, left in (
        (("base",), {"org/base"}),
        (("fine-tuned",), {"org/fine-tuned"}),
        (("base", "fine-tuned"), {f"org/{x}" for x in cards}),
    ):
        _, told = asked(wanted(allowed={"kinds": kinds}, traffic=None, latency={}, prefer={"points": {"quality": 1}}), seen)
        assert {one.candidate.model for one in told.choices} == left


def test_capital_and_carbon_follow_from_prices() -> None:
    """Devices to buy for all replicas; a joule's grams of the grid."""
    prices = priced()
    for item, amount, unit, currency in (
        ("device:L40S", 8000, "device", "USD"), ("gco2_per_kwh", 400, "g/kWh", ""), ("pue", 1.5, "1", ""),
    ):  # fmt: skip
        prices.book.fold(price(item, amount, unit=unit, currency=currency))
    seen = evidence([L40S], run(1, "a", L40S, scores={GSM: rights(0.6, seed=2)}, speed=load(10, energy_per_output_token_uj=2e6)))
    own, told = asked(wanted(budget={"capital": "24000 USD"}, latency={}), seen, prices)
    assert told.made is not None
    assert told.made.worlds.points["capital_usd"].tolist() == [24_000]  # 20/s with a fifth to spare at 10/s each
    assert own.candidates[0].figures["gco2_per_1m_tokens"].value == pytest.approx(2e6 / 3.6e6 * 1.5 * 400)


def test_prices_that_figures_rest_on_are_old_whatever_else_is_new() -> None:
    """The GPU's hour is of 1970; a price of another thing under a new version makes it no younger."""
    prices, now = priced(), 10**15
    new = price("kwh", 0.3, unit="kWh").model_dump(exclude={"event_id"}) | {"occurred_us": now, "version": "2026"}
    prices.book.fold(PricePublished.model_validate(new))
    places = evidence([L40S], run(1, "a", L40S, scores={GSM: rights(0.6, seed=2)}, speed=load(10))).deployed
    assert stale_prices(prices_of(places, prices), now_us=now) == ("gpu_hour:L40S in region any: of 1970-01-01",)
    assert stale_prices(prices_of(places, prices), now_us=10) == ()


def test_facts_are_read_back_as_the_events_that_they_were(tmp_path: Path) -> None:
    """Every event from its row; one that cannot be used is passed, and the others count."""
    events: list[Any] = [
        L40S,
        H100,
        *(event for events in world_events() for event in events),
        price("gpu_hour:L40S", 2, unit="device-hour"),
    ]
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in KINDS}
    for offset, event in enumerate(events):
        name = next(name for name, kind in KINDS.items() if kind is type(event))
        kind: type[Event] = type(event)
        told = dict(zip(table_of(kind).columns, row(event, partition=0, offset=offset, written_us=1), strict=True))
        assert event_of(kind, told) == event
        rows[name].append(told)
    broken = Documents(ordinals=b"no", values=b"zlib")
    scored = next(event for event in events if isinstance(event, RunScored)).model_copy(update={"documents": broken, "event_id": "broken"})
    columns = table_of(RunScored).columns
    rows["scored"].insert(0, dict(zip(columns, row(scored, partition=0, offset=99, written_us=1), strict=True)))
    measured = Measurements(Reading(ClickHouse(Settings(home=tmp_path)), Seen()))
    measured.fold(rows)
    assert measured.prices.at("gpu_hour:L40S", at_us=5, region="any").amount_nano == 2 * 10**9
    assert set(measured.evidence.books.results) >= {run_named(2), run_named(7)}


def test_of_very_many_the_first_are_said_and_all_are_counted() -> None:
    """One record holds the event: of 260 that are refused it names 200, the nearest first."""
    runs = [run(n, f"{'long ' * 50}{n}", L40S, scores={GSM: rights(0.5, seed=2)}, speed=load(5, ttft_s=1 + n / 100)) for n in range(260)]
    requirement, seen = wanted(floors={"gsm8k": 0.9}), evidence([L40S], *runs)
    own, told = asked(requirement, seen)
    question = Question(requirement, seen, own)
    made = answer(question, told, next_runs(told, question), header=HEADER)
    assert (made.considered, made.refused, len(made.rejected), len(made.input_runs)) == (260, 260, 200, 260)
    assert "1.01 s" in made.rejected[1].reason
    assert len(released_codec().encode(made)) < 2**20


def guided(model: ModelRef, **told: Any) -> Guide:
    """The guide for a model that was measured so."""
    events = run(1, model.uri, L40S, scores={GSM: rights(0.5, seed=2)}, speed=load(5), **told)
    asked_for = (
        event.model_copy(update={"plan": event.plan.model_copy(update={"model": model})})
        if isinstance(event, RunSettled) and event.plan
        else event
        for event in events
    )
    requirement = wanted(latency={}, prefer={"points": {"quality": 1}})
    seen = evidence([L40S], asked_for)
    own, told_of = asked(requirement, seen)
    guide = answer(Question(requirement, seen, own), told_of, (), header=HEADER).choices[0].guide
    assert guide is not None
    return guide


def test_the_server_is_told_what_the_measured_engine_was() -> None:
    """Revision, own code, the share of memory, no graphs, tokens at once; an adapter on its base; llama.cpp's threads and cache."""
    options = {"gpu_memory_utilization": "0.5", "max_length": "4096"}
    pinned = ModelRef(uri="org/a", revision="0123abcd", trust_code=True)
    command = guided(pinned, engine=EngineChoice(name="vllm", options=options), used={"batch": "2048 tokens"}).command or ""
    assert command.startswith("vllm serve org/a --dtype bfloat16 ")
    for words in (
        "--revision 0123abcd", "--trust-remote-code", "--gpu-memory-utilization 0.5", "--enforce-eager", "--max-num-batched-tokens 2048",
    ):  # fmt: skip
        assert f"{words} " in command
    plain = guided(ModelRef(uri="org/a"), used={"compile": True}).command or ""
    assert not {"--revision", "--trust-remote-code", "--gpu-memory-utilization", "--enforce-eager", "--max-num-batched-tokens"} & {
        *plain.split()
    }
    lora = guided(ModelRef(uri="org/lora", base="org/base"))
    assert (lora.command or "").startswith("vllm serve org/base ") and "--lora-modules adapter=org/lora" in (lora.command or "")
    assert any("ask the server for the model named adapter" in note for note in lora.notes)
    merged = guided(ModelRef(uri="org/lora", base="org/base"), used={"name": "transformers"})
    assert any("merged into org/base" in note for note in merged.notes)
    llama = guided(
        ModelRef(uri="/m.gguf"), engine=EngineChoice(name="gguf", options={"threads": "8", "kv": "float16"}), used={"name": "gguf"}
    )
    assert "--threads 8 --cache-type-k f16 --cache-type-v f16" in (llama.command or "")
    served = guided(pinned, used={"name": "transformers"})
    assert (served.command or "").startswith("transformers serve org/a@0123abcd ")
    assert any("--model org/a@0123abcd" in note for note in served.notes)


@pytest.mark.parametrize(("engine", "command"), [("gguf", "llama-server --model m"), ("transformers", "transformers serve m")])
def test_an_engine_of_ours_is_served_by_its_library(engine: str, command: str) -> None:
    """With the check to run before it goes live, for it is not quite what was measured."""
    seen = evidence([CPU], run(1, "m", CPU, scores={GSM: rights(0.5, seed=2)}, speed=load(5), used={"name": engine, "device": "cpu"}))
    own, told = asked(wanted(latency={}, prefer={"points": {"quality": 1}}), seen)
    made = answer(Question(wanted(), seen, own), told, (), header=HEADER)
    guide = made.choices[0].guide
    assert guide is not None and (guide.command or "").startswith(command)
    assert any(note.startswith("assay perf --url http://HOST:8000 --model m") for note in guide.notes)
    assert "model" in yaml.safe_load(guide.compose or "")["services"]
