"""Which tasks of a run ask about the same documents, whichever file and order they have them from."""

import numpy as np
import pytest

from benchmarks.rigor_joined import ranked, result
from streams.boards.comparison import Measured, Sample, compare
from streams.quality.matching import BYTES, MOST, Asked, Matched, matched, names_of
from streams.settling.documents import Columns

WORDS = [f"Question {n}?" for n in range(40)]
ORDER = np.random.default_rng(7).permutation(200)


def asked(sha: str, questions: list[str]) -> Asked:
    """A build of these questions."""
    return Asked(sha, len(questions), names_of(questions))


def test_tasks_over_one_file_stand_in_its_order() -> None:
    """By the name of its content; tasks of which nothing is known too, as older builds are."""
    assert matched([asked("a", WORDS), asked("a", WORDS), asked("b", WORDS[:0])]) == [Matched("a"), Matched("a"), Matched("b")]
    assert matched([Asked("a", 40, b""), asked("a", WORDS), Asked("a", 40, b"")]) == [Matched("a")] * 3
    other = [f"Another form of {one}" for one in WORDS]
    assert matched([asked("a", WORDS), asked("a", other)]) == [Matched("a")] * 2  # whatever each calls them


def test_the_same_questions_of_another_file_stand_where_they_do() -> None:
    """In another order, with white space and case of their own, and some that the other lacks."""
    turned = [f" {one.upper()}  " for one in WORDS[::-1]]
    first, second, third = matched([asked("a", WORDS), asked("b", turned), asked("a", WORDS)])
    assert first == third and first.documents == second.documents not in ("a", "b")
    assert first.places == second.places[::-1] and sorted(first.places) == list(range(40))
    whole, part = matched([asked("a", WORDS), asked("b", ["Mine?", *WORDS[30:]])])
    assert whole.documents == part.documents
    assert part.places[1:] == whole.places[30:] and part.places[0] not in whole.places
    old, new, other = matched([Asked("a", 40, b""), asked("a", WORDS), asked("b", turned)])
    assert old == new and new.documents == other.documents  # an older build of the file is told by a newer one


def test_a_file_goes_by_the_names_that_other_files_have_too() -> None:
    """Of two tasks of one file one names whole rows, and came first: those of another file were taken for other documents."""
    rows = [f"{one} Yes. No." for one in WORDS]
    found = matched([asked("a", rows), asked("a", WORDS), asked("b", WORDS[::-1])])
    assert found[0] == found[1] and found[1].documents == found[2].documents
    assert found[1].places == found[2].places[::-1]


def test_what_hardly_anything_shares_is_left_apart() -> None:
    """Two files with a question of 40 in common; two parts of one file, of which each asks about others."""
    one, other = matched([asked("a", WORDS), asked("b", [WORDS[0], *(f"Mine {n}?" for n in range(39))])])
    assert (one, other) == (Matched("a"), Matched("b"))
    one, other = matched([asked("a", WORDS[:15]), asked("a", WORDS[15:])])
    assert one.documents != other.documents


def test_a_question_that_stands_twice_has_two_places() -> None:
    """The first of one task is the first of the other."""
    first, second = matched([asked("a", ["x", "y", "x"]), asked("b", ["x", "x", "y"])])
    assert len(set(first.places)) == 3
    assert (first.places[0], first.places[2], first.places[1]) == second.places


def test_more_than_an_event_holds_are_not_named() -> None:
    """100,000 are."""
    assert len(names_of(str(n) for n in range(MOST))) == MOST * BYTES
    assert names_of(str(n) for n in range(MOST + 1)) == b""


@pytest.mark.parametrize("known", [True, False])
def test_a_board_counts_what_a_task_in_another_order_shares(known: bool) -> None:
    """Two orders of one and the same task are no surer than it is alone; where nobody says so, they are taken for two."""
    draw = np.random.default_rng(2)
    models = [(draw.random(200) < share).astype(np.float64) for share in (0.5, 0.55)]

    def widths(*orders: np.ndarray) -> list[float]:
        places = {f"t{n}": tuple(order.tolist()) for n, order in enumerate(orders)} if known else {}
        there = np.arange(200, dtype=np.int32)
        runs = [
            result(number, {f"t{n}": Columns(there, own[order], None) for n, order in enumerate(orders)}, places=places)
            for number, own in enumerate(models)
        ]
        return [(row.high or 0) - (row.low or 0) for row in ranked(runs, [f"t{n}" for n in range(len(orders))]).rows]

    alone, two = widths(np.arange(200)), widths(np.arange(200), ORDER)
    assert two == pytest.approx(alone, rel=0.01) if known else all(wide < 0.85 * one for wide, one in zip(two, alone, strict=True))


def test_a_comparison_counts_it_too_whichever_run_tells() -> None:
    """The joined difference of two orders of one task is as wide as that of the task."""
    draw = np.random.default_rng(3)
    first, second = ((draw.random(200) < 0.6).astype(np.float64) for _ in range(2))

    def wide(one: dict[str, Measured], other: dict[str, Measured]) -> float:
        low, high = compare(one, other).overall_interval or (0.0, 0.0)
        return high - low

    def run(values: np.ndarray, orders: list[np.ndarray], *, told: bool) -> dict[str, Measured]:
        return {
            f"t{n}": Measured(
                "b", "acc", "none", True, "mean", {at: Sample(at, value) for at, value in enumerate(values[order].tolist())},
                documents="same" if told else f"sha{n}", places=tuple(order.tolist()) if told else (),
            )
            for n, order in enumerate(orders)
        }  # fmt: skip

    alone, both = [np.arange(200)], [np.arange(200), ORDER]
    widest = wide(run(first, alone, told=False), run(second, alone, told=False))
    for told in ((True, True), (True, False), (False, True)):
        assert wide(run(first, both, told=told[0]), run(second, both, told=told[1])) == pytest.approx(widest, rel=0.01)
    assert wide(run(first, both, told=False), run(second, both, told=False)) < 0.8 * widest
