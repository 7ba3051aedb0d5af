"""Recommendations from a requirement as people write it: who is left, who is refused and why, and how sure the choice is."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from schemas.requirements import Requirement
from streams.deciding.candidates import Candidate, Estimate, TaskScores
from streams.deciding.constraints import Constraint, Refusal
from streams.deciding.measuring_next import Offer
from streams.deciding.naming import stands_for
from streams.deciding.offering import contenders, documents, speed_run
from streams.deciding.reading import requirement_of
from streams.deciding.recommending import recommend
from streams.deciding.screening import Decision
from streams.errors import Invalid

MODELS = ("small", "middle", "large")
SHARES = {"small": 0.55, "middle": 0.70, "large": 0.73}
SPEED = {"small": 40.0, "middle": 12.0, "large": 4.0}
WANTED: dict[str, Any] = {
    "tasks": {"gsm8k": 1}, "floors": {"gsm8k": "60 %"}, "latency": {"ttft_p95": "800 ms"},
    "traffic": {"curve": {"0-8": "2/s", "8-18": "20/s", "18-24": "5/s"}, "input": "800 tokens", "output": "200 tokens"},
    "budget": {"per_month": "30000 USD"}, "allowed": {"licences": ["apache-2.0", "mit"], "languages": ["de"]},
    "prefer": {"points": {"quality": 100, "usd_per_month": 50}}, "threshold": "80 %",
}  # fmt: skip


def scores(documents: int = 400) -> TaskScores:
    """Each model right on its share of documents, whichever."""
    chance = np.random.default_rng(5)
    return TaskScores(
        "gsm8k", MODELS, np.stack([(chance.permutation(documents) < SHARES[model] * documents).astype(float) for model in MODELS])
    )


def somebody(model: str, hardware: str = "L40S", **changed: Any) -> Candidate:
    """A model on a device, measured by one run."""
    run = f"{model} on {hardware}"
    fast = SPEED[model] * (2.5 if hardware == "H100" else 1.0)
    own = {"goodput_per_s": Estimate(fast, 0.05 * fast, run), "ttft_p95_s": Estimate(4 / fast, 0.2 / fast, run)}
    traits: dict[str, Any] = {"licence": "apache-2.0", "languages": frozenset({"de", "en"}), "context_tokens": 8192.0} | changed
    return Candidate(run, model, "vllm", hardware, own, traits, usd_per_hour=1.0 if hardware == "L40S" else 3.0)


def everybody() -> list[Candidate]:
    """Three models on two devices."""
    return [somebody(model, hardware) for model in MODELS for hardware in ("L40S", "H100")]


def wanted(**changed: Any) -> Requirement:
    """The requirement with other parts."""
    return requirement_of(WANTED | changed)


def test_a_whole_recommendation() -> None:
    """The small model is too bad, the large one too slow on its small device; of the rest one is chosen, with its chances."""
    told = recommend(wanted(threshold=0.5), everybody(), [scores()])
    refused = {one.candidate.key: [refusal.reason for refusal in one.refusals] for one in told.refused}
    assert set(refused) == {"small on L40S", "small on H100", "large on L40S"}
    assert refused["small on L40S"][0].startswith("quality of gsm8k is 0.55")
    assert refused["large on L40S"] == ["time to first token (p95) is 1 s; wanted is at most 0.8 s"]
    assert told.decided
    assert told.choices[0].candidate.key == "large on H100"  # its quality counts twice what the bill does
    assert sum(one.confidence for one in told.choices) == pytest.approx(1)
    assert all(0 <= chance <= 1 for one in told.choices for chance in (one.feasible, one.front, one.confidence, one.loss))


def test_a_recommendation_hangs_on_nothing_but_its_inputs() -> None:
    """Said twice it is the same, and the order of candidates is of no account."""
    one, other = recommend(wanted(), everybody(), [scores()]), recommend(wanted(), everybody()[::-1], [scores()])
    assert {(c.candidate.key, c.confidence, c.feasible, c.front) for c in one.choices} == {
        (c.candidate.key, c.confidence, c.feasible, c.front) for c in other.choices
    }
    assert one == recommend(wanted(), everybody(), [scores()])


def test_each_refusal_names_the_change_that_would_admit() -> None:
    """And with that change it is admitted."""
    told = recommend(wanted(allowed={"languages": ["de", "fr"]}), everybody(), [scores()])
    assert all("do without fr" in [refusal.change for refusal in one.refusals] for one in told.refused)
    assert recommend(wanted(allowed={"languages": ["de"]}), everybody(), [scores()]).choices


@given(st.floats(1e-6, 1e12), st.floats(1e-6, 1e12), st.sampled_from(["at least", "at most"]))
def test_the_change_that_is_named_admits(own: float, bound: float, rule: Any) -> None:
    """Whatever digits are shown: the bound that it names is kept by what there is, and is not the bound of before."""
    if (own < bound) != (rule == "at least") or own == bound:
        own, bound = bound, own
    change = Refusal(Constraint("usd_per_month", rule, bound), own).change
    before, after = (float(words.split()[0].replace(",", "")) for words in change.partition("from ")[2].split(" to "))
    assert (own >= after if rule == "at least" else own <= after) or own == bound
    assert before == pytest.approx(bound, rel=1e-11) and after == pytest.approx(own, rel=1e-3)


def test_what_differs_in_the_fifth_digit_is_told_apart() -> None:
    """The reason has as many digits as it takes, the change is a bound that is kept."""
    found = Refusal(Constraint("ttft_p95_s", "at most", 0.8123), 0.81234)
    assert found.reason == "time to first token (p95) is 0.81234 s; wanted is at most 0.8123 s"
    assert found.change == "raise the bound from 0.8123 s to 0.8124 s"
    assert Refusal(Constraint("quality", "at least", 0.6667), 0.66664).change == "lower the bound from 0.6667 to 0.6666"
    assert Refusal(Constraint("owned_ratio", "at most", 1.0), 4 / 3).change == "own 1.334 times as many of its devices"
    assert Refusal(Constraint("memory_bytes", "at most", 4e10), 45_678_901_234.0).change.endswith("to 45,678,901,234 bytes")


def test_contradictory_constraints_are_named() -> None:
    """Cheap and good cannot be had together; latency and licence have no part in it. The nearest miss is shown."""
    told = recommend(
        wanted(floors={"gsm8k": 0.65}, budget={"per_month": "1000 USD"}, latency={"ttft_p95": "900 ms"}), everybody(), [scores()]
    )
    assert {one.subject for one in told.conflict} == {"quality:gsm8k", "usd_per_month"}
    assert not told.choices
    assert told.words.startswith("nobody keeps these together: quality of gsm8k at least 0.65; cost of a month at most 1,000 USD/month")
    assert told.nearest is not None
    assert len(told.nearest.refusals) == 1


def test_without_candidates_it_says_so() -> None:
    """It is no conflict."""
    assert recommend(wanted(tasks={}, floors={}), [], []).words == "there are no candidates"
    assert recommend(wanted(), [], [scores(60)]).words == "there are no candidates"


def test_an_unsure_choice_is_none_and_says_what_to_measure() -> None:
    """Two models that few documents cannot tell apart: both are named, and more documents are worth more than a speed run."""
    few = scores(60)

    def offered(made: Decision) -> list[Offer]:
        places = contenders(made)
        run = speed_run(made, places[0], usd=0.1, relative_error=0.05)
        return [documents(made, few, 500, usd_per_document=0.0001, places=places), run]

    told = recommend(wanted(prefer={"points": {"quality": 100}}, threshold=0.99), everybody(), [few], offers=offered)
    assert not told.decided
    assert told.words.startswith("undecided: ")
    assert told.next[0].offer.name == "500 documents of gsm8k"
    assert told.next[0].gain > told.next[1].gain
    assert "500 documents of gsm8k: about $" in told.next[0].words


@pytest.mark.parametrize("documents", [1, 20, 400])
def test_a_measured_tie_is_undecided(documents: int) -> None:
    """Three models with as many right: none is surely the best, be it of one document or of many, and whatever else counts."""
    right = np.zeros((3, documents))
    for n, row in enumerate(right):
        row[np.random.default_rng(n).permutation(documents)[: (documents + 1) // 2]] = 1
    task, names = TaskScores("gsm8k", ("a", "b", "c"), right), ("a", "b", "c")
    alike = [Candidate(one, one, "vllm", "L40S", {"goodput_per_s": Estimate(2.0, 0.1, one)}, {}, 1.0) for one in names]
    quality = {"tasks": {"gsm8k": 1}, "prefer": {"points": {"quality": 100}}}
    for told in (quality, quality | {"traffic": {"rate": "1/s", "input": "1 tokens", "output": "1 tokens"}}):
        found = recommend(requirement_of(told), alike, [task])
        assert found.words.startswith("undecided: ") and not found.decided
        assert all(one.confidence == pytest.approx(1 / 3, abs=0.08) for one in found.choices)


def test_what_is_decided_is_not_measured_further() -> None:
    """Nobody is asked what could be."""

    def never(_: Decision) -> list[Offer]:
        raise AssertionError

    assert recommend(wanted(threshold=0.3), everybody(), [scores()], offers=never).next == ()


def test_each_choice_has_its_intervals() -> None:
    """What was measured lies within, and what follows from the load has one too."""
    made = recommend(wanted(), everybody(), [scores()]).made
    assert made is not None
    (told,) = made.figures([0])
    assert {"quality", "goodput_per_s", "ttft_p95_s", "replicas", "usd_per_month"} <= told.keys()
    assert all(low <= value <= high for value, low, high in told.values())


def test_offers_need_something_to_go_by() -> None:
    """Documents that models share, and a figure of speed that counts."""
    made = recommend(wanted(latency={}, traffic=None, budget={}, prefer={"points": {"quality": 1}}), everybody(), [scores()]).made
    assert made is not None
    apart = TaskScores("gsm8k", MODELS, np.where(np.arange(6) % 3 == np.arange(3)[:, None], 1.0, np.nan))
    with pytest.raises(Invalid, match="share fewer than two documents"):
        documents(made, apart, 10, usd_per_document=1.0, places=range(len(made.worlds.candidates)))
    slow = [Candidate(one.key, one.model, one.engine, one.hardware, {}, one.traits) for one in everybody()]
    bare = recommend(wanted(latency={}, traffic=None, budget={}, prefer={"points": {"quality": 1}}), slow, [scores()]).made
    assert bare is not None
    with pytest.raises(Invalid, match="no figure of speed that counts"):
        speed_run(bare, 0, usd=1.0, relative_error=0.1)


def test_methods_that_disagree_say_so() -> None:
    """The order takes the best and does not look at its price."""
    told = recommend(wanted(prefer={"points": {"quality": 10, "usd_per_month": 100}, "order": ["quality"]}), everybody(), [scores()])
    assert told.methods is not None
    assert not told.methods.agree
    assert "the order chooses large (vllm) on H100, because it puts quality first" in told.methods.words


def test_what_was_not_measured_is_not_kept() -> None:
    """A bound on energy refuses those whose energy nobody metered, and says so; a preference for it is refused."""
    told = recommend(wanted(energy={"per_token": "2 J"}), everybody(), [scores()])
    assert {one.refusals[-1].reason for one in told.refused} == {"energy of a token is not known"}
    assert {one.refusals[-1].change for one in told.refused} == {"measure or state energy of a token"}
    with pytest.raises(Invalid, match="energy of a token is known of nobody who is left; measure it"):
        recommend(wanted(prefer={"points": {"j_per_token": 1}}), everybody(), [scores()])
    with pytest.raises(Invalid, match="state the traffic, and measure goodput"):
        recommend(wanted(traffic=None, budget={}), everybody(), [scores()])


def test_two_candidates_of_one_key_are_refused() -> None:
    """Which of them was chosen could not be told."""
    with pytest.raises(Invalid, match="two candidates are called small on L40S"):
        recommend(wanted(), [*everybody(), somebody("small")], [scores()])


def test_a_requirement_is_read_into_base_units() -> None:
    """Seconds, requests a second, tokens, billionths of a USD."""
    told = requirement_of({
        "latency": {"e2e_p95": "0.5 min"}, "traffic": {"rate": "30/min", "input": "2 k", "output": "100 tokens", "headroom": "10 %"},
        "budget": {"per_month": "3000 EUR/month", "capital": "2e5 USD"}, "rates": {"EUR": 1.08},
        "allowed": {"memory": "48 GB", "context": "32 k", "kinds": ["base"]},
    })  # fmt: skip
    assert told.latency.e2e_p95_s == 30
    assert told.traffic is not None
    assert (told.traffic.curve_per_s, told.traffic.input_tokens, told.traffic.headroom_ratio) == ((0.5,), 2000, 0.1)
    assert (told.spending.per_month_usd_nano, told.spending.capital_usd_nano) == (3240 * 10**9, 200_000 * 10**9)
    assert (told.allowed.memory_bytes, told.allowed.context_tokens) == (48 * 10**9, 32_000)


def test_the_pages_example_is_read() -> None:
    """What docs/deciding.md shows is a requirement."""
    page = (Path(__file__).parents[2] / "docs" / "deciding.md").read_text()
    told = requirement_of(yaml.safe_load(page.partition("```yaml")[2].partition("```")[0]))
    assert told.traffic is not None
    assert (len(told.traffic.curve_per_s), max(told.traffic.curve_per_s)) == (24, 20.0)
    assert [step.figure for step in told.preference.order] == ["quality", "usd_per_month"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"latency": {"ttft_p95": 500}}, "latency.ttft_p95 has no unit; write it as 500 s. There are s, ms, min"),
        ({"latency": {"ttft_p95": "5 hours"}}, "has the unit 'hours'"),
        ({"latency": {"ttft": "5 s"}}, "did you mean ttft_p95"),
        ({"latency": {"itl_p95": "0 ms"}}, "is 0, which nothing keeps"),
        ({"budget": {"per_month": 3000}}, "has no currency; write it as 3000 USD"),
        ({"budget": {"per_month": "3000 EUR"}}, "is in EUR, which has no rate"),
        ({"budget": {"per_month": "0 USD"}}, "nothing can be had for that"),
        ({"budget": {"per_month": "3,000 USD"}}, "is no amount"),
        ({"rates": {"EUR": "0"}}, "rates.EUR is '0'"),
        ({"traffic": {"rate": 20, "input": "8 tokens", "output": "8 tokens"}}, "rate has no unit; write it as 20/s"),
        ({"traffic": {"rate": "20/s", "input": "8 tokens"}}, "traffic has no output"),
        ({"traffic": {"input": "8 tokens", "output": "8 tokens"}}, "either a rate, as 20/s, or a curve"),
        ({"traffic": {"curve": {"0-8": "2/s", "9-23": "3/s"}, "input": "8 tokens", "output": "8 tokens"}}, "no rate for hours 8, 23"),
        ({"traffic": {"curve": {"0-24": "2/s", "9": "3/s"}, "input": "8 tokens", "output": "8 tokens"}}, "names hour 9 twice"),
        ({"traffic": {"curve": {"noon": "2/s"}, "input": "8 tokens", "output": "8 tokens"}}, "names 'noon'"),
        ({"traffic": {"curve": ["2/s"] * 23, "input": "8 tokens", "output": "8 tokens"}}, "has 23 rates; a day has 24"),
        ({"traffic": {"curve": ["0/s"] * 24, "input": "8 tokens", "output": "8 tokens"}}, "0 all day"),
        ({"floors": {"gsm8k": 60}}, "it is a share"),
        ({"threshold": "80"}, "threshold is '80'"),
        ({"treshold": 1}, "did you mean threshold"),
        ({"tasks": {"gsm8k": -1}}, "cannot be below 0"),
        ({"tasks": {"gsm8k": 0}}, "all tasks weigh 0"),
        ({"tasks": ["gsm8k"]}, "must be a mapping"),
        ({"allowed": {"licences": []}}, "write names, or leave it out"),
        ({"allowed": {"kinds": ["tuned"]}}, "allowed.kinds has 'tuned'; there are base, fine-tuned"),
        ({"allowed": {"places": ["moon"]}}, "allowed.places has 'moon'; there are cpu, one-gpu, several-gpus, air-gapped"),
        ({"allowed": {"places": ["cpu", "cloud"]}}, "allowed.places has 'cloud'"),
        ({"prefer": {"points": {"price": 1}}}, "prefer has no field 'price'"),
        ({"prefer": {"order": [3]}}, "write a figure"),
        ({"prefer": {"order": [{"figure": "quality", "tolerance": "10 ms"}]}}, "quality has the unit 'ms'; write 10 without one, or in %"),
        ({"prefer": {"order": [{"figure": "usd_per_month", "tolerance": "10 GBP"}]}}, "is in GBP, which has no rate"),
        ({"prefer": {"order": [{"figure": "price", "tolerance": 1}]}}, "prefer has no field 'price'"),
        ({"prefer": {"points": {"quality": "50 USD"}}}, "points.quality has the unit 'USD'"),
        ({"tasks": {"gsm8k": "50 USD"}}, "tasks.gsm8k has the unit 'USD'; write 50 without one"),
        ({"rates": {"USD": 0.5}}, "rates has USD, which rates are in"),
    ],
)
def test_what_cannot_be_read_is_said(change: dict[str, Any], says: str) -> None:
    """With the field and what to write."""
    with pytest.raises(Invalid) as refused:
        requirement_of(WANTED | change)
    assert says in str(refused.value)


def test_a_tolerance_has_its_figures_unit() -> None:
    """Or another of the same kind, which is turned into it; without one it is the figure's."""
    told = {
        "ttft_p95_s": "10 ms", "quality": "1 %", "usd_per_month": "120 EUR/year", "usd_per_1m_tokens": 0.1, "memory_bytes": "1 GB",
        "goodput_per_s": "60/min", "e2e_p95_s": 2,
    }  # fmt: skip
    order = [{"figure": name, "tolerance": value} for name, value in told.items()]
    found = requirement_of({"rates": {"EUR": 1.1}, "prefer": {"order": order}}).preference.order
    assert {one.figure: one.tolerance for one in found} == pytest.approx({
        "ttft_p95_s": 0.01, "quality": 0.01, "usd_per_month": 11, "usd_per_1m_tokens": 0.1, "memory_bytes": 1e9, "goodput_per_s": 1,
        "e2e_p95_s": 2,
    })  # fmt: skip


def test_places_and_kinds_are_read_in_any_case() -> None:
    """As people write them."""
    found = requirement_of({"allowed": {"places": ["Air-Gapped", "CPU"], "kinds": "Base"}}).allowed
    assert found.places == ("air-gapped", "cpu") and found.kinds == ("base",)


@pytest.mark.parametrize(
    ("subject", "wanted", "own", "other"),
    [
        ("licence", "cc-by", {"cc-by", "CC-BY"}, {"cc-by-nc-4.0", "cc-by-4.0"}),
        ("licence", "Apache 2.0", {"apache-2.0"}, {"mit"}),
        ("kind", "base", {"base"}, {"fine-tuned"}),
        ("engine", "vllm", {"vllm"}, {"vllm-cpu"}),
        ("hardware", "L40S", {"NVIDIA L40S", "2 × NVIDIA L40S"}, {"NVIDIA L40"}),
        ("model", "Llama-3.1-8B", {"meta-llama/Llama-3.1-8B"}, {"meta-llama/Llama-3.1-80B"}),
        ("region", "eu", {"eu", "eu-west-1", "europe-west4", "europe-west4-a", "westeurope", "germanywestcentral", "swedencentral"},
         {"us-east-1", "eu-west-2", "eu-central-2", "europe-west2", "europe-west6-b", "uksouth", "switzerlandnorth", "neu"}),
        ("region", "europe", {"eu-west-2", "europe-west6", "westeurope", "uksouth"}, {"eastus", "asia-east1"}),
        ("region", "us", {"us-east-1", "us-central1", "eastus", "westus2", "northcentralus"}, {"eu-west-1", "westeurope", "australiaeast"}),
        ("region", "eu-west", {"eu-west-1"}, {"eu-north-1"}),
        ("region", "home", {"home", "home-2"}, {"any"}),
        ("languages", "DE", {"de"}, {"en"}),
    ],
)  # fmt: skip
def test_what_a_name_stands_for(subject: str, wanted: str, own: set[str], other: set[str]) -> None:
    """A licence is one of just that name; hardware has it as a word; a region lies in an area, whatever its cloud calls it."""
    assert {name for name in own | other if stands_for(wanted, name, subject)} == own


def test_without_traffic_there_is_no_bill_to_prefer_by() -> None:
    """Quality alone counts then, unless something else is said."""
    assert requirement_of(WANTED | {"traffic": None, "prefer": {}}).preference.points == {"quality": 100}
    assert set(requirement_of(WANTED | {"prefer": {}}).preference.points) == {"quality", "usd_per_month"}
    said = requirement_of(WANTED | {"traffic": None, "prefer": {"points": {"ttft_p95_s": 1}}})
    assert said.preference.points == {"ttft_p95_s": 1}


def test_who_lacks_a_figure_that_counts_is_not_chosen() -> None:
    """Not even where all others are alike in it, so that it counts for nothing among them."""
    unpriced = replace(somebody("large", "H100"), usd_per_hour=None)
    told = recommend(wanted(floors={}, latency={}, budget={}, allowed={}), [somebody("small"), unpriced], [scores()])
    assert {one.candidate.model: one.confidence for one in told.choices} == {"small": 1.0, "large": 0.0}


def test_who_is_as_good_is_said() -> None:
    """Two that differ in nothing that counts: one comes first, and the other is named beside it."""
    both = [somebody("small"), replace(somebody("small"), key="another", hardware="L40S of ours")]
    told = recommend(wanted(floors={}, latency={}, budget={}, allowed={}), both, [scores()])
    assert told.words.endswith("is as good by what counts")
    cheaper = [both[0], replace(both[1], usd_per_hour=0.5)]
    assert recommend(wanted(prefer={"points": {"quality": 1}}, floors={}), cheaper, [scores()]).choices[0].candidate.key == "another"
    assert "as good" not in recommend(wanted(floors={}), everybody(), [scores()]).words
