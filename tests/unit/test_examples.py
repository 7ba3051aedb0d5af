"""Documents among their own few-shot examples: counted as they are built, and left out where the request says so."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from infra.harness.examples import Examples, own_examples
from streams.errors import Invalid

DOCUMENTS = [{"question": f"{n}?", "answer": n} for n in range(6)]


class Sampler:
    """Documents in a row, as lm-eval's sampler leaves one out: where it is told which."""

    def __init__(self, *, leaves_out: bool = True) -> None:
        self._leaves_out = leaves_out
        self._next = 0

    def sample(self, n: int, eval_doc: Any = None) -> Sequence[Any]:
        """So many of them."""
        pool = [one for one in DOCUMENTS if not (self._leaves_out and one == eval_doc)]
        self._next += 1
        return [pool[(2 * self._next + at) % len(pool)] for at in range(n)]


def prompts(examples: Examples, *, leaves_out: bool = True, asked: Sequence[Any] = DOCUMENTS, of_task: Any = ()) -> list[Sequence[Any]]:
    """The examples of each document's prompt. `of_task`: the columns that the task shows of what is asked, where examples have others."""
    fields = {"doc_to_text": "question", "doc_to_choice": None, "doc_to_target": "answer"}
    task = SimpleNamespace(
        sampler=Sampler(leaves_out=leaves_out), config=SimpleNamespace(**fields | dict(of_task)), fewshot_cfg=SimpleNamespace(**fields),
        doc_to_text=lambda doc, column: doc[column], doc_to_target=lambda doc, column: str(doc[column]),
    )  # fmt: skip
    task.fewshot_context = lambda doc, num_fewshot: task.sampler.sample(n=num_fewshot, eval_doc=None)
    examples.watch(task)
    return [task.fewshot_context(doc, num_fewshot=2) for doc in asked]


def test_documents_among_their_own_examples_are_counted() -> None:
    """The values stay lm-eval's."""
    examples = Examples("t", exclude=False)
    drawn = prompts(examples)
    assert examples.own == sum(doc in shown for doc, shown in zip(DOCUMENTS, drawn, strict=True)) > 0


def test_a_document_is_left_out_of_its_own_examples() -> None:
    """Where it is asked for; each prompt has as many examples as before."""
    examples = Examples("t", exclude=True)
    drawn = prompts(examples)
    assert all(doc not in shown and len(shown) == 2 for doc, shown in zip(DOCUMENTS, drawn, strict=True))
    assert examples.own == 0


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ([one | {"id": "another"} for one in DOCUMENTS], {}),  # another row of the same document
        ([{"question": f" {one['question']}", "answer": str(one["answer"])} for one in DOCUMENTS], {}),  # as process_docs makes it
        ([{"q": one["question"], "a": one["answer"]} for one in DOCUMENTS], {"text": "q", "target": "a"}),  # in columns of another name
    ],
)
def test_a_document_is_known_by_what_is_shown_of_it(asked: list[dict[str, Any]], says: dict[str, str]) -> None:
    """Its row is another than the example's, and its text and answer are the same: counted, and left out where that is asked for."""
    of_task: dict[str, Any] = {"asked": asked, "of_task": {f"doc_to_{name}": column for name, column in says.items()}}
    counted, left = Examples("t", exclude=False), Examples("t", exclude=True)
    drawn = prompts(counted, **of_task)
    assert counted.own == sum(doc in shown for doc, shown in zip(DOCUMENTS, drawn, strict=True)) > 0
    kept = prompts(left, **of_task)
    assert all(doc not in shown and len(shown) == 2 for doc, shown in zip(DOCUMENTS, kept, strict=True))


def test_the_same_question_with_another_answer_is_no_documents_own() -> None:
    """What its prompt shows is not what is asked for."""
    examples = Examples("t", exclude=False)
    prompts(examples, asked=[one | {"answer": 9} for one in DOCUMENTS])
    assert examples.own == 0


def test_a_sampler_that_cannot_leave_it_out_is_refused() -> None:
    """Rather than showing the answer all the same."""
    with pytest.raises(Invalid, match="task t cannot leave a document out"):
        prompts(Examples("t", exclude=True), leaves_out=False)


def test_a_task_without_a_sampler_is_left_alone() -> None:
    """It draws by code of its own."""
    task = SimpleNamespace()
    Examples("t", exclude=True).watch(task)
    assert vars(task) == {}


def test_what_is_said_names_the_task_and_the_way_out() -> None:
    """Nothing where no prompt shows its own answer."""
    assert own_examples("t", 0, samples=9) == ()
    (told,) = own_examples("t", 3, samples=1200)
    assert told.startswith(
        "t draws few-shot examples from the split that is asked, or from copies of its documents: 3 of its 1,200 documents"
    )
    assert "--fewshot-exclude-self" in told
