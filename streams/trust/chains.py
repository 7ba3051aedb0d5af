"""Chains of seals, as the log tells them: which links count, and what the next one must say. A fold over `RunSealed` in the log's order.

All seals lie in one partition. A link counts where it is signed by the key that it names and goes on from the link that came before it:
of two sealers that write a link of one number the first counts, and the other is void, and writes its own behind it. So they make one
chain, without a term or a leader.

A chain goes on under another key where the key before endorsed it; the newest two of its keys count, so that a key can be changed while the
other still signs. Where a key is lost, or links are missing, a new chain begins, which names the last link of the old one.
"""

from dataclasses import dataclass, field

from schemas.trust import RunSealed
from streams.trust.merkle import Tree, leaf_hash
from streams.trust.statements import endorses, genuine, link, statement

OVERLAP = 2


@dataclass(slots=True)
class Chain:
    """A chain: its last link, the tree over its links, and its newest keys (public, the newest last). `broken`: a link is missing."""

    name: str
    head: str
    tree: Tree
    keys: tuple[bytes, ...]
    broken: bool = False

    def add(self, seal: RunSealed) -> None:
        """Takes the next link in."""
        self.head = link(seal)
        self.tree.add(leaf_hash(statement(seal)))
        if seal.public_key not in self.keys:
            self.keys = (*self.keys, seal.public_key)[-OVERLAP:]

    def goes_on_with(self, public: bytes, endorsement: bytes | None) -> bool:
        """Whether a link under that key may be its next."""
        return public in self.keys or (endorsement is not None and endorses(public, endorsement, by=self.keys[-1]))


@dataclass(frozen=True, slots=True)
class Next:
    """Where the next link stands."""

    chain: str
    position: int
    previous_seal: str | None
    chain_root: str


@dataclass(slots=True)
class Chains:
    """Every chain of the log. `known`: the public keys of who asks; `own` is the newest chain that began under one of them."""

    known: frozenset[bytes] = frozenset()
    every: dict[str, Chain] = field(default_factory=dict)
    own: Chain | None = None
    newest: str | None = None

    def fold(self, seal: RunSealed) -> str | None:
        """Takes a seal in; why it does not count, where it does not."""
        chain = self.every.get(seal.chain)
        why = _not_next(seal, chain)
        if why is None and chain is not None:
            chain.add(seal)
        elif why is None:
            self._begin(seal)
        self.newest = link(seal)
        return why

    def _begin(self, seal: RunSealed) -> None:
        chain = Chain(seal.chain, "", Tree(), ())
        chain.add(seal)
        self.every[seal.chain] = chain
        if seal.public_key in self.known and (self.own is None or seal.previous_seal == self.own.head):
            self.own = chain

    @property
    def head(self) -> str | None:
        """The link that the next one names."""
        return self.own.head if self.own else self.newest

    def is_own(self, seal: RunSealed) -> bool:
        """Whether a seal that counted is of the chain that is gone on with."""
        return self.own is not None and seal.chain == self.own.name

    def next(self, public: bytes, endorsement: bytes | None, *, begins: str) -> Next:
        """Where this key's next link stands: in the own chain, else as the first of a new one of that name, which names the old."""
        own = self.own
        if own is not None and not own.broken and own.goes_on_with(public, endorsement):
            return Next(own.name, own.tree.size, own.head, own.tree.root.hex())
        return Next(begins, 0, self.head, Tree().root.hex())


def _not_next(seal: RunSealed, chain: Chain | None) -> str | None:
    """Why a seal is not its chain's next link, where it is not."""
    if not genuine(seal):
        return f"its signature is not that of key {seal.key_id}"
    if chain is None:
        return None if seal.position == 0 else f"link {seal.position} of chain {seal.chain}, whose links before are not in the log"
    if not chain.goes_on_with(seal.public_key, seal.endorsement):
        return f"key {seal.key_id} is not one of chain {seal.chain}"
    if seal.position > chain.tree.size:
        chain.broken = True
        return f"link {seal.position} of chain {seal.chain}, whose link {chain.tree.size} is missing"
    if (seal.position, seal.previous_seal, seal.chain_root) != (chain.tree.size, chain.head, chain.tree.root.hex()):
        return f"link {seal.position} of chain {seal.chain} was written before, by another sealer"
    return None
