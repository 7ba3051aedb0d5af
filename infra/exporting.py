"""A sealed run taken out of the log as one file, which proves itself: its events, its seal, and its place in the chain of seals."""

import json
import os
from collections import defaultdict
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra import seal_keys
from infra.kafka import Log
from infra.run_files import Endorsement, RunFile
from infra.sealed_events import events, leaves, seals
from infra.settings import Settings
from infra.text_keys import FORGOTTEN
from schemas.requests import EvaluationRequested
from schemas.runs import RunChanged
from schemas.trust import RunSealed
from streams.errors import Conflict, Invalid, NotFound, Permanent
from streams.projection import plain
from streams.runs import TERMINAL, state_of
from streams.topics import REQUESTS, RUNS
from streams.trust.chains import Chains
from streams.trust.merkle import Tree, consistency, inclusion, leaf_hash
from streams.trust.privacy import PRIVATE, texts_of
from streams.trust.statements import statement


@dataclass(slots=True)
class Found:
    """What the log's seals say: each chain's links by their hashes, its newest one, and who endorsed whom.

    `told` are the seals of the run `of` (of every run, where it is None), each with why it does not count, where it does not.
    """

    chains: Chains
    of: str | None = None
    links: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    heads: dict[str, RunSealed] = field(default_factory=dict)
    endorsements: list[Endorsement] = field(default_factory=list)
    told: list[tuple[RunSealed, str | None]] = field(default_factory=list)

    def take(self, seal: RunSealed) -> None:
        """Takes a seal in, in the log's order."""
        before = self.chains.every.get(seal.chain)
        by = before.keys[-1] if before else None
        why = self.chains.fold(seal)
        if self.of in {None, seal.run_id}:
            self.told.append((seal, why))
        if why is not None:
            return
        if by is not None and by != seal.public_key and seal.endorsement:
            self.endorsements.append((seal.public_key, by, seal.endorsement))
        self.links[seal.chain].append(leaf_hash(statement(seal)))
        self.heads[seal.chain] = seal

    @property
    def seal(self) -> RunSealed | None:
        """The run's newest seal that counts: of the own chain, where that has one."""
        every = [seal for seal, why in self.told if why is None]
        return next((seal for seal in reversed(every) if self.chains.is_own(seal)), every[-1] if every else None)


async def found(log: Log, settings: Settings, *, of: str | None = None) -> Found:
    """What the log's seals say, those of one run or of all. Raises: Unavailable."""
    told = Found(Chains(frozenset(key.public for key in seal_keys.keys_of(settings))), of)
    async with aclosing(seals(log)) as every:
        async for _, seal in every:
            told.take(seal)
    return told


async def sealed_of(log: Log, settings: Settings, run_id: str) -> tuple[Found, RunSealed]:
    """What the log's seals say, and the run's own. Raises: Conflict for a run that is not sealed yet, NotFound, Unavailable."""
    told = await found(log, settings, of=run_id)
    if told.seal is None:
        raise await _unsealed(log, run_id)
    return told, told.seal


async def export(log: Log, settings: Settings, run_id: str, path: Path, *, private: bool) -> dict[str, Any]:
    """Writes a sealed run to a file; what it holds, in words for programs.

    Raises: Conflict for one that is not sealed yet, NotFound, Invalid for a private one without `private`, Permanent where the log says no
    longer what was sealed, Unavailable.
    """
    told, seal = await sealed_of(log, settings, run_id)
    if seal.visibility == PRIVATE and not private:
        raise Invalid(f"run {run_id} is private: say --private to write a file of it, and its texts beside that", code="private")
    hashes, head = told.links[seal.chain], told.heads[seal.chain]
    before, at = hashes[: head.position], seal.position
    with RunFile(path) as file:
        async with aclosing(leaves(log, run_id, seal.stretches)) as every:
            async for leaf, schema in every:
                file.add(leaf, schema)
        check_said(seal, file.tree)
        file.finish(
            seal, head, inclusion=inclusion(before, at) if at < len(before) else [],
            consistency=consistency(before, at) if 0 < at < len(before) else [], endorsements=told.endorsements,
        )  # fmt: skip
    texts = await _beside(log, seal, path.with_suffix(".texts.jsonl")) if seal.visibility == PRIVATE else {}
    return {"run_id": run_id, "file": str(path), "events": seal.events, "root": seal.root, "key_id": seal.key_id, "chain": seal.chain,
            "position": seal.position} | texts  # fmt: skip


async def _beside(log: Log, seal: RunSealed, path: Path) -> dict[str, Any]:
    """Writes the texts of a private run's events, which its file holds as they were sealed: a line an event, for its owner alone.

    Where they were forgotten there is no such file, and it is said so.
    """
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            async with aclosing(events(log, seal.run_id, seal.stretches)) as found:
                async for event in found:
                    if texts := {at: plain(text) for at, text in texts_of(log.vault.opened(event)).items()}:
                        line = {"event": type(event).__name__, "event_id": event.event_id, "texts": texts}
                        out.write(json.dumps(line, ensure_ascii=False) + "\n")
        new.replace(path)
    except Permanent as error:
        if error.code != FORGOTTEN:
            raise
        return {"texts": None, "forgotten": str(error)}
    finally:
        new.unlink(missing_ok=True)
    return {"texts": str(path), "forgotten": None}


def check_said(seal: RunSealed, tree: Tree) -> None:
    """Raises: Permanent, where the log, over whose events the tree is, no longer says what was sealed."""
    if (tree.root.hex(), tree.size) != (seal.root, seal.events):
        raise Permanent(
            f"the log no longer says what was sealed of run {seal.run_id}: {tree.size} events with root {tree.root.hex()}, where the seal "
            f"is over {seal.events} with root {seal.root}",
            code="log-altered",
        )


async def _unsealed(log: Log, run_id: str) -> Conflict | NotFound:
    """Why a run has no seal."""
    changes = [record.event async for record in log.of_key(RUNS, run_id.encode()) if isinstance(record.event, RunChanged)]
    state = state_of(change for change in changes if change.run_id == run_id)
    if state is None:
        asked = [record async for record in log.of_key(REQUESTS, run_id.encode()) if isinstance(record.event, EvaluationRequested)]
        if not asked:
            return NotFound(f"no run {run_id}; `assay runs` lists them", code="unknown-run")
    if state == "rejected":
        return Conflict(f"run {run_id} was rejected: nothing was measured, and nothing is sealed", code="not-sealed")
    if state not in TERMINAL:
        return Conflict(
            f"run {run_id} is {state or 'requested'}: only what is over and sealed can be exported; `assay run {run_id} --wait`",
            code="in-flight",
        )
    return Conflict(
        f"run {run_id} is {state}, and not sealed yet: agents.seal does it seconds after nothing more is awaited of it; `assay status` "
        "says whether it is up",
        code="not-sealed",
    )
