"""Repeats in several set-ups: the harness's own objects, and a run of them from the command line to the page."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.harness.building import Build, build, identify, setups_of
from infra.harness.chat import Dress
from infra.settings import Settings
from schemas.requests import Chat, TaskChoice
from streams.errors import Invalid
from tests.flow import until_listed
from tests.integration.test_cli import ECHO, assay, document

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def builds(choice: TaskChoice, folder: Path) -> list[Build]:
    """The build of each repeat."""
    told: dict[str, Any] = {"dress": Dress(Chat()), "settings": Settings(home=folder)}
    setups = setups_of(choice, **told)
    assert setups[0].build_id == identify(choice, **told).build_id == build(choice, **told).build_id
    made = [build(choice, **told, seed=one.seed, format=one.format) for one in setups]
    assert [one.build_id for one in made] == [one.build_id for one in setups]
    return made


def first(made: Build) -> str:
    """The first prompt."""
    call = made.samples[0].requests[0]
    return call.prefix + call.context


def test_each_set_up_writes_the_same_questions_in_its_own_way(tmp_path: Path) -> None:
    """By seed other examples, by format another label; the first is the task as it is. Documents and answers stay."""
    made = builds(TaskChoice(name="assay_copy", fewshot=2, repeats=4, vary=("seed", "format")), tmp_path)
    assert [(one.seed, one.format) for one in made] == [(1234, "own"), (1235, "capitals"), (1236, "dash"), (1237, "bold")]
    texts = [first(one) for one in made]
    letters = texts[0].removesuffix("=").rpartition("copy: ")[2]
    assert [text.count(label) for text, label in zip(texts, ("copy: ", "COPY: ", "copy - ", "**copy:** "), strict=True)] == [3] * 4
    assert all(text.endswith(f"{letters}=") for text in texts)
    assert len({text.partition("=")[0].split()[-1] for text in texts}) == 4  # the first example's letters
    assert len({tuple((one.document, one.target) for one in whole.samples) for whole in made}) == 1


def test_seeds_alone_change_the_examples_alone(tmp_path: Path) -> None:
    """All in the task's own format."""
    made = builds(TaskChoice(name="assay_copy", fewshot=2, repeats=3, vary=("seed",)), tmp_path)
    assert [(one.seed, one.format) for one in made] == [(1234, "own"), (1235, "own"), (1236, "own")]
    assert len({first(one) for one in made}) == 3


def test_what_a_task_cannot_vary_is_told(tmp_path: Path) -> None:
    """No examples, no seed; a prompt that is the document alone has no formats but that with an instruction."""
    told: dict[str, Any] = {"dress": Dress(Chat()), "settings": Settings(home=tmp_path)}
    with pytest.raises(Invalid, match="cannot vary seed: it has no few-shot examples that are drawn by chance"):
        setups_of(TaskChoice(name="assay_copy", repeats=3, vary=("seed",)), **told)
    with pytest.raises(Invalid, match="cannot vary format: it has 2 prompt formats"):
        setups_of(TaskChoice(name="assay_agreement", repeats=3, vary=("format",)), **told)
    with pytest.raises(Invalid, match="cannot vary format: it has 1 prompt formats"):
        setups_of(TaskChoice(name="assay_text", repeats=3, vary=("format",)), **told)


def test_a_run_of_set_ups_says_where_its_variance_comes_from(flow: Settings) -> None:
    """On the command line, in the API and on the page; its plan names each repeat's build, and each answer the one that it is of."""
    asked = ("--task", "assay_copy", "--limit", "8", "--fewshot", "2", "--repeats", "4", "--vary", "seed,format")
    told = document(assay(flow, "submit", *ECHO, *asked, "--wait", "--json"))
    assert told["state"] == "completed", told
    (score,) = told["scores"]
    assert (score["samples"], score["repeats"], score["setups"]) == (8, 4, 4)
    assert {score[name] is None for name in ("between_documents", "within_documents", "between_setups", "half_width_setups")} == {False}
    run_id = told["run_id"]
    until_listed(flow, run_id, samples=32)
    samples = httpx.get(f"{flow.api}/v1/runs/{run_id}/samples", params={"limit": 50}, timeout=60).json()["samples"]
    by_repeat = {sample["repeat"]: sample["build_id"] for sample in samples}
    assert len(samples) == 32 and len(set(by_repeat.values())) == 4
    page = httpx.get(f"{flow.api}/runs/{run_id}", timeout=60).text
    assert "4 repeats in 4 set-ups" in page and "format capitals" in page
    shown = assay(flow, "run", run_id).stdout
    assert "4 repeats in 4 set-ups" in " ".join(shown.split())
    plain = document(assay(flow, "submit", *ECHO, "--task", "assay_copy", "--limit", "8", "--fewshot", "2", "--wait", "--json"))
    until_listed(flow, plain["run_id"], samples=8)
    assert "built differently" in assay(flow, "compare", run_id, plain["run_id"]).stderr  # the same task, asked otherwise


def test_a_run_that_cannot_vary_is_refused_in_words(flow: Settings) -> None:
    """Before anything is built."""
    told = assay(flow, "submit", *ECHO, "--task", "assay_copy", "--repeats", "3", "--vary", "seed", "--wait")
    assert told.returncode == 1
    assert "cannot vary seed" in " ".join((told.stdout + told.stderr).split())
