"""A task whose answers take too long to score holds nobody up for long: a few of its samples are tried, the others are told."""

import json
from pathlib import Path

import pytest

from infra.harness.processes import MOST_OVERDUE, ToScore, score_all
from schemas.event import Text
from schemas.measurements import Answer
from tests.integration.test_documents import ROWS, built
from tests.integration.test_harness import on_the_wire
from tests.unit.test_definitions import FILTER, GENERATED

pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore")]
SLOW = FILTER + 'regex\n        regex_pattern: "^((?:a+)+)$"\n      - function: take_first\n'
LIMIT_S = 0.5


@pytest.mark.usefixtures("patient")
def test_only_a_few_samples_of_a_task_are_waited_for(tmp_path: Path) -> None:
    """An expression that goes back and forth for ever over an answer that its sender chose. Others' samples are tried as before."""
    rows = "\n".join(json.dumps(row | {"answer": "aaa"}) for row in ROWS)
    made = built(tmp_path, GENERATED + SLOW, rows)
    requests, prefixes = on_the_wire(made.samples[0])

    def sample(whose: str, text: str) -> ToScore:
        answer = Answer(request_index=0, request_type="generate_until", finish_reason="stop", prompt_tokens=1, output=Text.plain(text))
        return ToScore(made.config_json, made.samples[0].document, 0, requests, prefixes, (answer,), whose=whose)

    work = [sample("slow", "a" * 40 + "!") for _ in range(MOST_OVERDUE + 3)] + [sample("other", "aaa"), sample("slow", "aaa")]
    assert [one.overdue for one in score_all([sample("other", "aaa")])] == [False]  # now the task is loaded, which is no scoring
    outcomes = score_all(work, LIMIT_S)
    assert [one.overdue for one in outcomes] == [True] * MOST_OVERDUE + [False] * 5
    assert all(one.reason == f"scoring took longer than {LIMIT_S:g} s" for one in outcomes[:MOST_OVERDUE])
    given_up = [*outcomes[MOST_OVERDUE:-2], outcomes[-1]]
    assert all(
        f"took longer than {LIMIT_S:g} s each, so that this one was not tried" in (one.reason or "") and one.broke for one in given_up
    )
    assert [score.value for score in outcomes[-2].scores] == [1.0]
    (later,) = score_all([sample("slow", "aaa")], LIMIT_S, {"slow": MOST_OVERDUE})
    assert later.reason == given_up[0].reason
