"""Devices that are owned: a choice runs on these, all of its replicas, and who needs more is told how many."""

from typing import Any

import pytest

from query_api.pages.recommending import form_of, told_by
from schemas.requirements import Requirement
from streams.deciding.measured import field_of
from streams.deciding.reading import requirement_of
from streams.deciding.recommending import Recommendation, recommend
from streams.errors import Invalid
from tests import measured

TASK = measured.planned("gsm8k")
WANTED: dict[str, Any] = {"tasks": {"gsm8k": 1}, "traffic": {"rate": "20/s", "input": "800 tokens", "output": "200 tokens"}}
# By name: the model, its device, how many of them a replica has, and how many requests a second it serves.
RUNS = {1: ("fast", "L40S", 1, 13.0), 2: ("slow", "L40S", 1, 7.0), 3: ("wide", "L40S", 2, 30.0), 4: ("other", "H100", 1, 40.0)}


def recommended(**owned: Any) -> Recommendation:
    """Who may be chosen where these are owned: 24 requests a second at the peak."""
    wanted: Requirement = requirement_of(WANTED | {"allowed": {"owned": owned}})
    events = []
    for number, (model, device, count, rate) in RUNS.items():
        place = measured.environment(device, count=count)
        values = {TASK: measured.rights(0.6, seed=3)}
        events.append([place, *measured.run(number, model, place, scores=values, speed=measured.load(rate, requests=10**6))])
    field = field_of(wanted, measured.evidence(*events), measured.priced())
    return recommend(wanted, field.candidates, field.scores)


def test_a_choice_runs_on_what_is_owned() -> None:
    """Two of 13 a second are two devices; four of 7 four; one of 30 takes two at once; an H100 is none of these."""
    found = recommended(L40S=2)
    assert {one.candidate.model for one in found.choices} == {"fast", "wide"}
    refused = {one.candidate.model: [(each.reason, each.change) for each in one.refusals] for one in found.refused}
    assert refused == {
        "slow": [("share of the owned devices that all replicas take is 2; wanted is at most 1", "own 2 times as many of its devices")],
        "other": [("hardware is H100; wanted is one of L40S", "allow H100")],
    }


def test_what_is_enough_of_one_is_counted_by_its_own_name() -> None:
    """One L40S serves nobody; one H100 does; what nobody owns bounds nothing."""
    assert recommended(L40S=1).choices == ()
    assert {one.candidate.model for one in recommended(L40S=1, H100=1).choices} == {"other"}
    assert len(recommended().choices) == len(RUNS)


@pytest.mark.parametrize("count", [0, -1, 1.5, "2 GB", "many", 10**9])
def test_how_many_there_are_is_a_count(count: object) -> None:
    """At least one."""
    with pytest.raises(Invalid, match=r"allowed.owned.L40S"):
        requirement_of(WANTED | {"allowed": {"owned": {"L40S": count}}})


def test_the_forms_field_says_the_same() -> None:
    """A name alone is one."""
    assert requirement_of(told_by({"owned": "L40S: 2, H100"})).allowed.owned == {"L40S": 2, "H100": 1}
    assert form_of({"allowed": {"owned": {"L40S": 2}}})["owned"] == "L40S: 2"
