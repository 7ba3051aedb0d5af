"""What each process may do at the broker is what its code does there: the table is held to the modules that the process is made of."""

import ast
import shlex
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from infra.embedded.processes import STORES, stack
from infra.kafka.acls import GROUPS, JOBS, OPERATOR, OURS, RIGHTS, Acl, acls, commands
from streams import topics as all_of
from streams.boards import keeping
from streams.errors import Invalid
from streams.money import rates
from streams.queue import requests
from streams.settling import runs as settling
from streams.topics import BY_EVENT, DEAD_LETTERS, JOBS_DEFAULT, TOPICS, Topic
from streams.trust.stretches import SEALED_TOPICS
from tests.dockerfile import ROOT

OWN = ("agents", "gpu_agent", "query_api", "infra", "streams")
# What every process has, which reads and writes what it is told to; and what runs only on the command line.
SHARED = ("infra.kafka", "infra.registry", "infra.embedded", "infra.snapshots", "query_api.cli", "agents.missed")
TUPLES = {
    "streams.queue.requests": {topic for some in requests.INPUTS for topic in some}, "streams.settling.runs": set(settling.INPUTS),
    "streams.boards.keeping": set(keeping.INPUTS), "streams.money.rates": set(rates.INPUTS), "streams.trust.stretches": set(SEALED_TOPICS),
}  # fmt: skip
EVENTS = {event.__name__: topic for event, topic in {**BY_EVENT, JOBS_DEFAULT.event: JOBS_DEFAULT}.items()}
# Written again as they were, or with less in them, or where a record is passed (agents/missed.py): nothing else there makes one.
AGAIN = {
    "agents.settle": {all_of.ANSWERS, all_of.SCORES, all_of.NOT_SCORED, all_of.RESOURCES, all_of.JOB_STATUS},
    "agents.score": {all_of.RUNS}, "agents.code": {all_of.RUNS},
}  # fmt: skip
# Named in a module (infra/builds.py) of which the process uses another part.
BESIDE = {"gpu_agent": {all_of.BUILDS}, "agents.settle": {all_of.SAMPLES, all_of.CONTENTS}}
WHOLE = {"agents.project"}  # it reads every topic, whatever there is


def path_of(module: str) -> Path | None:
    """The file of a module of ours."""
    base = ROOT / module.replace(".", "/")
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.exists()), None)


@cache
def tree_of(module: str) -> ast.Module:
    """What a module says."""
    path = path_of(module)
    assert path is not None
    return ast.parse(path.read_text())


def imported(module: str) -> Iterator[tuple[str, str]]:
    """(module, name) of all that it imports from ours."""
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] in OWN:
            yield from ((node.module, one.name) for one in node.names)


def modules_of(process: str) -> set[str]:
    """The modules that a process may run: its own, and those that these import."""
    own = {"gpu_agent": "gpu_agent.worker", "query_api": "query_api.app"}.get(process, process)
    found, left = set[str](), [own]
    while left:
        module = left.pop()
        if module in found or module.startswith(SHARED) or path_of(module) is None:
            continue
        found.add(module)
        for source, name in imported(module):
            left += [source, f"{source}.{name}"]
    return found


def named(modules: set[str]) -> set[Topic]:
    """The topics that modules name, by themselves or many at once."""
    found = set[Topic]()
    for module in modules:
        if module.startswith("streams"):
            continue
        for source, name in imported(module):
            if source == "streams.topics" and isinstance(topic := getattr(all_of, name, None), Topic):
                found.add(topic)
            if source == "streams.topics" and name == "jobs_topic":
                found.add(JOBS_DEFAULT)
            if name in ("INPUTS", "SEALED_TOPICS"):
                found |= TUPLES[source]
            if f"{source}.{name}" in TUPLES and name != "stretches":  # `rates.INPUTS`
                found |= TUPLES[f"{source}.{name}"]
    return found


def made(modules: set[str], *, of: tuple[str, ...]) -> set[Topic]:
    """The topics of the events that modules make."""
    found = set[Topic]()
    for module in modules:
        if module.partition(".")[0] in of:
            for node in ast.walk(tree_of(module)):
                called = node.func if isinstance(node, ast.Call) else None
                if isinstance(called, ast.Attribute) and called.attr == "model_validate":
                    called = called.value
                if isinstance(called, ast.Name) and called.id in EVENTS:
                    found.add(EVENTS[called.id])
    return found


def test_every_process_has_its_rights_and_nobody_else() -> None:
    """Those of the stack, by their names there."""
    assert RIGHTS.keys() == {process.name for process in stack() if process.name not in STORES}


@pytest.mark.parametrize("process", sorted(RIGHTS.keys() - WHOLE))
def test_a_process_may_do_what_its_code_does(process: str) -> None:
    """Each topic that it names it may read or write, and what its own modules make, write; it has no right that nothing there uses."""
    rights, modules = RIGHTS[process], modules_of(process)
    needed = named(modules) - BESIDE.get(process, set())
    assert {one.name for one in needed} <= {one.name for one in rights.reads | rights.writes}
    assert {one.name for one in made(modules, of=("agents", "gpu_agent", "query_api"))} <= {one.name for one in rights.writes}
    assert {one.name for one in rights.reads} <= {one.name for one in named(modules)}
    unused = rights.writes - made(modules, of=OWN) - AGAIN.get(process, set()) - {DEAD_LETTERS}
    assert unused == set()


def test_who_reads_everything_reads_every_topic() -> None:
    """Whatever a release adds."""
    assert RIGHTS["agents.project"].reads == {*TOPICS, JOBS_DEFAULT}
    assert RIGHTS["agents.project"].writes == {DEAD_LETTERS}


def test_groups_are_those_that_the_processors_join() -> None:
    """By the name that each gives to `consume`."""
    joined = {}
    for process in RIGHTS:
        tree = tree_of({"gpu_agent": "gpu_agent.worker", "query_api": "query_api.app"}.get(process, process))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("consume", "consume_sharded"):
                assert isinstance(node.args[0], ast.Constant)
                joined[process] = GROUPS + str(node.args[0].value)
    assert joined == {process: rights.group for process, rights in RIGHTS.items() if rights.group}


def test_nobody_uses_transactions() -> None:
    """So there is no right to a transactional id."""
    assert not [path for folder in OWN for path in (ROOT / folder).rglob("*.py") if "transactional_id=" in path.read_text()]


def test_only_who_must_may_say_what_decides() -> None:
    """Keys, seals, leases and prices are their writers' alone; an agent may say nothing of a run but what it measured."""
    writers = {topic: {user for user, rights in RIGHTS.items() if topic in rights.writes} for topic in (*TOPICS, JOBS_DEFAULT)}
    assert writers[all_of.ACCESS] == writers[all_of.FORGOTTEN] == set()
    assert writers[all_of.SEALS] == writers[all_of.AUDITS] == writers[all_of.QUARANTINE] == {"agents.seal"}
    assert writers[all_of.DISPATCHERS] == writers[all_of.DISPATCHER_BEATS] == writers[JOBS_DEFAULT] == {"agents.dispatch"}
    assert writers[all_of.PRICES] == writers[all_of.RETRACTIONS] == {"query_api"}
    assert writers[all_of.SCORES] == {"agents.score", "agents.code", "agents.settle"}
    assert all_of.RUNS not in RIGHTS["gpu_agent"].writes
    assert {user for user, rights in RIGHTS.items() if all_of.ACCESS in rights.reads} == {"agents.project", "query_api"}


def test_commands_say_what_the_table_says() -> None:
    """Read back, they are the same rights, each once."""
    found = []
    for command in commands("broker:9092", told=acls()):
        words = shlex.split(command)
        assert words[:4] == ["kafka-acls.sh", "--bootstrap-server", "broker:9092", "--command-config"]
        told = list(pairwise(words))
        (user,) = [value.removeprefix("User:") for name, value in told if name == "--allow-principal"]
        (operation,) = [value for name, value in told if name == "--operation"]
        prefixed = "prefixed" in words
        resources = [(name.removeprefix("--"), value) for name, value in told if name in ("--topic", "--group")]
        resources += [("cluster", "kafka-cluster")] if "--cluster" in words else []
        found += [(user, operation, resource, name, prefixed) for resource, name in resources]
    assert sorted(found) == sorted((one.user, one.operation, one.resource, one.name, one.prefixed) for one in acls())
    assert len(set(found)) == len(found)


def test_rights_of_one_are_its_own() -> None:
    """An agent's: it sees which topics there are, reads its leases and samples, and makes nothing."""
    told = set(acls(["gpu_agent"]))
    assert Acl("gpu_agent", "Describe", "topic", OURS, prefixed=True) in told
    assert Acl("gpu_agent", "Read", "topic", JOBS, prefixed=True) in told
    assert Acl("gpu_agent", "Write", "topic", all_of.ANSWERS.name) in told
    assert not [one for one in told if one.operation in ("Create", "All") or one.resource != "topic"]
    assert [one for one in acls([OPERATOR]) if one.resource == "cluster"]


def test_an_agent_may_have_a_user_of_its_own() -> None:
    """With the rights of every agent; any name that is no process's is refused."""
    own = [replace(one, user="gpu_agent") for one in acls(["gpu_agent.rack-7"])]
    assert own == list(acls(["gpu_agent"]))
    for name in ("nobody", "gpu_agent.a b", "gpu_agent.$(x)", "agents.plan.x", ""):
        with pytest.raises(Invalid, match="no process is called"):
            list(acls([name]))
