"""Token sequences as rows of prefix trees: what sequences share stands in a row once. No tensors here.

A row is a list of segments, each a stretch of tokens behind its parent; a sequence is the path from a leaf up. A root, shared by all
rows and computed before them, is left out of the rows. A token sees the root, the segments above its own, and its own up to itself.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Tokens = tuple[int, ...]
# A sequence joins the row before it where at least this part of it is there already.
SHARED_RATIO = 0.25


@dataclass(frozen=True, slots=True)
class Segment:
    """Tokens from place `start` of the row on, at position `position` of their sequences; `parent`: the segment before, -1 for none."""

    start: int
    position: int
    tokens: Tokens
    parent: int


@dataclass(frozen=True, slots=True)
class Row:
    """Segments, and for every sequence the segment that ends it."""

    segments: tuple[Segment, ...]
    leaves: dict[Tokens, int]
    length: int

    @property
    def is_chain(self) -> bool:
        """Whether plain causal attention is the row's: each segment goes on where the one before it ends."""
        return all(segment.parent == number - 1 for number, segment in enumerate(self.segments))

    def path(self, segment: int) -> Iterator[Segment]:
        """The segment and those above it, upwards."""
        while segment >= 0:
            yield self.segments[segment]
            segment = self.segments[segment].parent

    def places(self, sequence: Tokens, *, last: int) -> list[int]:
        """Where in the row the sequence's last tokens stand, in their order."""
        found: list[int] = []
        for segment in self.path(self.leaves[sequence]):
            stop = segment.start + len(segment.tokens)
            found = [*range(max(segment.start, stop - (last - len(found))), stop), *found]
            if len(found) == last:
                break
        return found


def shared(a: Sequence[int], b: Sequence[int], *, begin: int = 0) -> int:
    """How many tokens both begin with, where the first `begin` are known to be equal."""
    end = min(len(a), len(b))
    if a[begin:end] == b[begin:end]:
        return end
    while a[begin] == b[begin]:
        begin += 1
    return begin


def rows(sequences: Sequence[Tokens], *, root: int, longest: int) -> list[Row]:
    """Rows that hold every sequence once, without the `root` tokens that all begin with; a row of several has at most `longest`."""
    return [_row(family, root=root) for family in _families(sorted(set(sequences)), root=root, longest=longest)]


def _families(ordered: Sequence[Tokens], *, root: int, longest: int) -> Iterator[list[Tokens]]:
    """Sequences that are worth a row together; sorted ones that share much lie side by side."""
    family: list[Tokens] = []
    trunk = length = 0
    for sequence in ordered:
        common = shared(family[-1], sequence, begin=root) if family else 0
        own, more = len(sequence) - root, len(sequence) - common
        kept = min(trunk, common)
        if family and kept - root >= SHARED_RATIO * max(own, trunk - root) and length + more <= longest:
            family.append(sequence)
            trunk, length = kept, length + more
            continue
        if family:
            yield family
        family, trunk, length = [sequence], len(sequence), own
    if family:
        yield family


def _row(family: list[Tokens], *, root: int) -> Row:
    segments: list[Segment] = []
    leaves: dict[Tokens, int] = {}
    length = 0
    open_: list[tuple[list[Tokens], int, int]] = [(family, root, -1)]
    while open_:
        members, begin, parent = open_.pop()
        end = shared(members[0], members[-1], begin=begin)
        if end > begin:
            segments.append(Segment(length, begin, members[0][begin:end], parent))
            length, parent = length + end - begin, len(segments) - 1
        if len(members[0]) == end:
            leaves[members[0]] = parent
            members = members[1:]
        open_ += [(branch, end, parent) for branch in reversed(_branches(members, at=end))]
    return Row(tuple(segments), leaves, length)


def _branches(members: list[Tokens], *, at: int) -> list[list[Tokens]]:
    """Members by the token at that position; sorted ones stand side by side."""
    branches: list[list[Tokens]] = []
    for member in members:
        if branches and branches[-1][0][at] == member[at]:
            branches[-1].append(member)
        else:
            branches.append([member])
    return branches


def packs(found: Sequence[Row], *, budget: int) -> Iterator[list[Row]]:
    """The rows, longest first, in packs of at most `budget` tokens (or one row): neighbours are of like length, so little is padded."""
    pack: list[Row] = []
    length = 0
    for row in sorted(found, key=lambda row: -row.length):
        if pack and length + row.length > budget:
            yield pack
            pack, length = [], 0
        pack.append(row)
        length += row.length
    if pack:
        yield pack
