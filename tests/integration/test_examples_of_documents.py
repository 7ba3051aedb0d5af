"""Few-shot examples of a client's task: what cannot be shown, or would be shown wrongly, is told as of any document, or left out."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from infra.harness.building import Build, build, identify
from infra.harness.chat import Dress
from infra.settings import Settings
from schemas.requests import Chat, TaskChoice, TaskPart
from streams.errors import Invalid
from tests.integration.test_documents import ROWS
from tests.unit.test_definitions import GENERATED, WHOLE

pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore")]
FROM_TRAIN = ("test_split: test", "test_split: test\nfewshot_split: train")
CHOSEN, WRITTEN = WHOLE.replace(*FROM_TRAIN), GENERATED.replace(*FROM_TRAIN).replace("answer", "said")
ROW = "few-shot document 3 (me__capitals/default/train.jsonl, line 4)"


def asked(folder: Path, definition: str, train: str, **told: Any) -> tuple[TaskChoice, dict[str, Any]]:
    """A task that draws its examples from another split, and what it is built with."""
    rows = "\n".join(json.dumps(row | {"said": "x", "hint": "y"}) for row in ROWS)
    for split, written in (("test", rows), ("train", train)):
        data = folder / "me__capitals" / "default" / f"{split}.jsonl"
        data.parent.mkdir(parents=True, exist_ok=True)
        data.write_text(written)
    choice = TaskChoice(name="capitals", definition=definition, **{"fewshot": 5} | told)
    return choice, {"dress": Dress(Chat()), "settings": Settings(home=folder, datasets=folder)}


def built(folder: Path, definition: str, train: str, **told: Any) -> Build:
    """Its build."""
    choice, with_ = asked(folder, definition, train, **told)
    return build(choice, **with_)


def written(**instead: Any) -> str:
    """Rows with a text that was said, and one of them changed."""
    return "\n".join(json.dumps(row | {"said": f"It is {n}."} | (instead if n == 3 else {})) for n, row in enumerate(ROWS))


BAD: list[tuple[str, dict[str, Any], str]] = [
    (CHOSEN, {"country": None}, f"line 5: {ROW}, doc_to_text: country is null, and would be shown as None; give a value"),
    (CHOSEN, {"choices": None}, f"line 8: {ROW}, doc_to_choice: null: it must be a list of texts"),
    (CHOSEN, {"choices": ["a", ""]}, f"{ROW}, doc_to_choice: choice 1 is a text of 0"),
    (CHOSEN, {"answer": 7}, f"line 9: {ROW}, doc_to_target: the number 7 is no place of its 2 choices; give 0 to 1"),
    (CHOSEN, {"answer": -1}, f"{ROW}, doc_to_target: the number -1 is no place of its 2 choices; give 0 to 1"),
    (CHOSEN, {"answer": None}, f"{ROW}, doc_to_target: it is empty: the example would have no answer"),
    (WRITTEN, {"said": None}, f"{ROW}, doc_to_target: it is empty: the example would have no answer"),
    (WRITTEN, {"said": ""}, f"{ROW}, doc_to_target: it is empty: the example would have no answer"),
]


@pytest.mark.parametrize(("definition", "instead", "says"), BAD)
def test_an_example_that_is_wrong_is_told_with_its_place(tmp_path: Path, definition: str, instead: dict[str, Any], says: str) -> None:
    """As a document that is asked would be: with file, line, field, document, and what to do. Without examples it is no matter."""
    with pytest.raises(Invalid) as refused:
        built(tmp_path, definition, written(**instead), fewshot=6)
    told = str(refused.value)
    assert re.sub(r"^line \d+: ", "", says) in re.sub(r"^line \d+: ", "", told)
    assert told.startswith("line ")
    assert built(tmp_path, definition, written(**instead), fewshot=0).samples


@pytest.mark.parametrize(("definition", "instead", "says"), BAD)
def test_an_example_that_is_wrong_is_left_out_where_the_request_says_so(
    tmp_path: Path, definition: str, instead: dict[str, Any], says: str
) -> None:
    """And counted apart from what is asked; that changes the build's name, where there are examples."""
    choice, with_ = asked(tmp_path, definition, written(**instead), skip_bad_rows=True)
    made, named = build(choice, **with_), identify(choice, **with_)
    assert (made.rows_skipped, made.examples_skipped, len(made.samples)) == (0, 1, 6)
    assert re.sub(r"^line \d+: ", "", says) in str(made.examples_skipped_first)
    assert all("Land 3 is" not in (call.prefix + call.context)[:-25] for one in made.samples[:3] for call in one.requests)
    assert named.build_id == made.build_id
    (told,) = named.told
    assert told.startswith("capitals: 1 row was left out, of which no few-shot example can be made; few-shot document 3 (me__")
    whole = choice.model_copy(update={"skip_bad_rows": False, "fewshot": 0})
    none = choice.model_copy(update={"fewshot": 0})
    assert identify(whole, **with_) == identify(none, **with_)
    with pytest.raises(Invalid, match=r"at 6 shots needs 6 examples, and has 5 \(1 cannot be shown, and are left out; the first: few-shot"):
        build(choice.model_copy(update={"fewshot": 6}), **with_)


def test_rows_of_examples_that_are_no_json_count_as_left_out_of_them(tmp_path: Path) -> None:
    """And not of the task's own."""
    made = built(tmp_path, CHOSEN, written() + "\n{\n", skip_bad_rows=True)
    assert (made.rows_skipped, made.examples_skipped) == (0, 1)
    assert "train.jsonl, line 7: not JSON" in str(made.examples_skipped_first)


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ([5] * 6, "the number 5, and an example shows a text; give one, as {{ column }} does of a number"),
        ([{"a": 1}] * 6, "an object of 1, and an example shows a text"),
        ([[1, 2]] * 6, "the number 1, and an example shows a text"),
        ([["a"], ["a"], ["a"], [], ["a"], ["a"]], "there is no right answer in its list; give one, or leave the row out"),
    ],
)
def test_an_answer_that_no_example_shows_is_told_in_words(tmp_path: Path, said: list[Any], says: str) -> None:
    """lm-eval ends with "Answer is not a string!", or "list index out of range"."""
    train = "\n".join(json.dumps(row | {"said": one}) for row, one in zip(ROWS, said, strict=True))
    with pytest.raises(Invalid) as refused:
        built(tmp_path, WRITTEN, train, fewshot=6)
    assert re.search(rf"^line \d+: few-shot document \d \(me__capitals/default/train.jsonl, line \d\), doc_to_target: {re.escape(says)}",
                     str(refused.value))  # fmt: skip


def test_only_examples_that_are_drawn_are_looked_at(tmp_path: Path) -> None:
    """The first ones, where the task takes those: what comes behind is no matter."""
    first = WRITTEN + "fewshot_config: {sampler: first_n}\n"
    assert built(tmp_path / "a", first, written(said=None), fewshot=3).samples
    with pytest.raises(Invalid, match="few-shot document 3"):
        built(tmp_path / "b", first, written(said=None), fewshot=4)


def test_a_form_of_their_own_is_what_examples_are_looked_at_by(tmp_path: Path) -> None:
    """`fewshot_config` may show them in another way, or bring them."""
    own = WRITTEN + 'fewshot_config: {doc_to_target: "{{hint}}"}\n'
    train = written(hint="x").replace('"said"', '"hint": null, "said"', 1)
    with pytest.raises(Invalid, match=r"few-shot document \d .*train.jsonl, line \d\), doc_to_target: hint is null"):
        built(tmp_path / "a", own, train, fewshot=6)
    samples = [{"country": "Elsewhere", "said": "There."}, {"country": None, "said": "x"}]
    brought = GENERATED.replace("answer", "said") + f"fewshot_config: {json.dumps({'samples': samples, 'sampler': 'first_n'})}\n"
    with pytest.raises(Invalid, match="few-shot document 1 of fewshot_config's samples, doc_to_text: country is null"):
        built(tmp_path / "b", brought, written(), fewshot=2)
    made = built(tmp_path / "c", brought, written(), fewshot=1, skip_bad_rows=True)
    assert made.examples_skipped == 1


def test_an_example_that_is_no_object_is_told(tmp_path: Path) -> None:
    """As a function of the task's own may make one."""
    own = WRITTEN + "fewshot_config: {process_docs: !function mine.docs, sampler: first_n}\n"
    parts = (TaskPart(path="mine.py", text="def docs(docs):\n    return [*docs][:2] + [None]\n"),)
    told: dict[str, Any] = {"file": "a.yaml", "parts": parts, "trust_code": True}
    with pytest.raises(Invalid) as refused:
        built(tmp_path / "a", own, written(), fewshot=3, **told)
    assert "few-shot document 2 (of what process_docs makes of me__capitals/default/train.jsonl), process_docs: null" in str(refused.value)
    assert built(tmp_path / "b", own, written(), fewshot=2, skip_bad_rows=True, **told).examples_skipped == 1
