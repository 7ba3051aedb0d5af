"""Prefix trees: every sequence can be read from its row, nothing that is shared stands twice, and packs keep to their budget."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gpu_agent.engines.prefix_tree import Row, Tokens, packs, rows, shared

# Few different tokens, so that much is shared.
SEQUENCES = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=12).map(tuple), min_size=1, max_size=12)
LONGEST = 30


def tokens_of(row: Row) -> list[int]:
    """The row's tokens by place."""
    return [token for segment in row.segments for token in segment.tokens]


def root_of(sequences: list[Tokens]) -> int:
    """What all begin with, but for a token that each keeps."""
    return min(shared(min(sequences), max(sequences)), min(map(len, sequences)) - 1)


@given(SEQUENCES)
def test_every_sequence_is_in_one_row_and_can_be_read_from_it(sequences: list[Tokens]) -> None:
    """Its places hold its tokens, at their positions, in the row's order."""
    root = root_of(sequences)
    found = rows(sequences, root=root, longest=LONGEST)
    assert sorted(sequence for row in found for sequence in row.leaves) == sorted(set(sequences))
    for row in found:
        tokens = tokens_of(row)
        positions = [segment.position + n for segment in row.segments for n in range(len(segment.tokens))]
        for sequence in row.leaves:
            places = row.places(sequence, last=len(sequence) - root)
            assert tuple(tokens[place] for place in places) == sequence[root:]
            assert [positions[place] for place in places] == list(range(root, len(sequence)))
            assert row.places(sequence, last=1) == places[-1:]
            assert all(a < b for a, b in pairwise(places))


@given(SEQUENCES)
def test_nothing_that_is_shared_stands_twice_in_a_row(sequences: list[Tokens]) -> None:
    """A row has as many tokens as its sequences have different beginnings."""
    root = root_of(sequences)
    for row in rows(sequences, root=root, longest=LONGEST):
        beginnings = {sequence[:end] for sequence in row.leaves for end in range(root + 1, len(sequence) + 1)}
        assert row.length == len(tokens_of(row)) == len(beginnings)


@given(SEQUENCES, st.integers(1, 40))
def test_packs_hold_all_rows_and_keep_to_the_budget(sequences: list[Tokens], budget: int) -> None:
    """Only a row that is longer by itself goes over it; neighbours are of like length."""
    found = rows(sequences, root=0, longest=LONGEST)
    together = list(packs(found, budget=budget))
    assert sorted(map(id, found)) == sorted(id(row) for pack in together for row in pack)
    assert all(len(pack) == 1 or sum(row.length for row in pack) <= budget for pack in together)
    lengths = [row.length for pack in together for row in pack]
    assert lengths == sorted(lengths, reverse=True)


def test_endings_of_one_context_share_it_and_strangers_do_not_share_a_row() -> None:
    """Multiple choice: a trunk and a branch an ending; another document is another row, though it begins alike."""
    first, second = tuple(range(10, 50)), (10, 11, *range(60, 100))
    found = rows([*((*first, ending, ending) for ending in (1, 2, 3)), (*second, 1, 1)], root=0, longest=1000)
    assert sorted((row.length, len(row.segments)) for row in found) == [(44, 1), (46, 4)]
    assert [row.is_chain for row in sorted(found, key=lambda row: row.length)] == [True, False]
