"""Merkle trees: one hash over a list, and short proofs of what is in it and of how it grew.

Leaves and nodes are hashed with different first bytes, so that no node can be passed off as a leaf. A tree of n leaves is split at the
largest power of two below n. Source: RFC 6962, section 2.1 (hash SHA-256). Who verifies does so with code of its own
(query_api/verify), which a test holds to this.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

LEAF, NODE = b"\x00", b"\x01"
EMPTY = hashlib.sha256().digest()


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf."""
    return hashlib.sha256(LEAF + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of a node over its two parts."""
    return hashlib.sha256(NODE + left + right).digest()


@dataclass(slots=True)
class Tree:
    """A tree that grows by leaves, in memory that goes with the logarithm of their number: the roots of its whole parts, largest first."""

    size: int = 0
    _parts: list[bytes] = field(default_factory=list)

    def add(self, leaf: bytes) -> None:
        """Adds the hash of a leaf behind the others."""
        full = self.size
        while full & 1:
            leaf = node_hash(self._parts.pop(), leaf)
            full >>= 1
        self._parts.append(leaf)
        self.size += 1

    @property
    def root(self) -> bytes:
        """The hash over all of it."""
        if not self._parts:
            return EMPTY
        *rest, root = self._parts
        for part in reversed(rest):
            root = node_hash(part, root)
        return root


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The root over leaves' hashes."""
    tree = Tree()
    for leaf in leaves:
        tree.add(leaf)
    return tree.root


def inclusion(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The proof that the leaf of that index is in the tree: its siblings, from the bottom. Source: RFC 6962, 2.1.1 (PATH)."""
    if len(leaves) == 1:
        return []
    split = _split(len(leaves))
    if index < split:
        return [*inclusion(leaves[:split], index), root_of(leaves[split:])]
    return [*inclusion(leaves[split:], index - split), root_of(leaves[:split])]


def consistency(leaves: Sequence[bytes], first: int) -> list[bytes]:
    """The proof that the tree of all leaves goes on from that of the `first` ones (1 ≤ first ≤ all). Source: RFC 6962, 2.1.2 (PROOF)."""
    return _grown(leaves, first, whole=True)


def _grown(leaves: Sequence[bytes], first: int, *, whole: bool) -> list[bytes]:
    if first == len(leaves):
        return [] if whole else [root_of(leaves)]
    split = _split(len(leaves))
    if first <= split:
        return [*_grown(leaves[:split], first, whole=whole), root_of(leaves[split:])]
    return [*_grown(leaves[split:], first - split, whole=False), root_of(leaves[:split])]


def _split(size: int) -> int:
    """The largest power of two below a size of at least two."""
    return 1 << (size - 1).bit_length() - 1
