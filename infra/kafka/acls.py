"""Which process may do what at the broker: one table, and the commands that give it. `python -m infra.kafka.acls` prints them.

Every process has a user of its own, called as the process is (`agents.plan`), and may write just the topics that it says things on: so a
process that was taken over says nothing in the others' place (SECURITY.md). What it reads is as narrow. All may see which topics there
are and where they end; that tells counts, and no event. `operator` is who runs `assay` beside the API: makes keys, requeues, forgets.
No process uses transactions, so none has a transactional id.

Source: Apache Kafka 4.1 documentation, 7.4 Authorization and ACLs (operations and resources in Kafka, for each protocol).
"""

import argparse
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from infra.settings import Settings
from streams import topics as all_of
from streams.boards import keeping
from streams.errors import Invalid
from streams.money import rates
from streams.queue import requests
from streams.settling import runs as settling
from streams.topics import JOBS_DEFAULT, TOPICS, Topic
from streams.trust.stretches import SEALED_TOPICS

OPERATOR, AGENT = "operator", "gpu_agent"
NAME: Final = re.compile(r"[0-9A-Za-z_.-]+").fullmatch  # that no shell and no principal takes for more
OURS: Final = "assay."  # what our topics' names begin with
JOBS: Final = "assay.jobs."  # job topics of any pool
GROUPS: Final = "assay-"

Operation = Literal["Read", "Write", "Describe", "Create", "All", "DescribeConfigs", "AlterConfigs"]
Resource = Literal["topic", "group", "cluster"]


@dataclass(frozen=True, slots=True)
class Rights:
    """What a process reads and writes; the consumer group that it is a member of; whether it makes the topics that lack.

    The default pool's job topic stands for every pool's.
    """

    reads: frozenset[Topic]
    writes: frozenset[Topic]
    group: str | None = None
    makes: bool = True


@dataclass(frozen=True, slots=True)
class Acl:
    """A user may do that with that resource; with `prefixed` with all whose names begin so."""

    user: str
    operation: Operation
    resource: Resource
    name: str
    prefixed: bool = False


def _rights(*, reads: Iterable[Topic], writes: Iterable[Topic], group: str | None = None, makes: bool = True) -> Rights:
    return Rights(frozenset(reads), frozenset(writes), f"{GROUPS}{group}" if group else None, makes)


# Texts of builds, which whoever asks, scores or judges reads.
BUILT: Final = (all_of.BUILDS, all_of.SAMPLES, all_of.CONTENTS)
SCORED: Final = (all_of.SCORES, all_of.NOT_SCORED, all_of.RUNS, all_of.DEAD_LETTERS)

RIGHTS: Final[Mapping[str, Rights]] = {
    "agents.plan": _rights(
        group="plan",
        # Answers are judged, seals draw parts of audits, heartbeats say where a model can go; other models' runs choose adaptively.
        reads=(
            *(topic for some in requests.INPUTS for topic in some), *BUILT, all_of.ANSWERS, all_of.STOPS, all_of.SEALS,
            all_of.HEARTBEATS, all_of.RETRACTIONS, all_of.RUN_SCORES,
        ),
        writes=(*BUILT, all_of.RUNS, all_of.JOBS_PLANNED, all_of.REQUESTS, all_of.DEAD_LETTERS),
    ),
    "agents.dispatch": _rights(
        reads=(
            all_of.RUNS, all_of.JOBS_PLANNED, all_of.JOB_STATUS, all_of.STOPS, all_of.CANCELLATIONS, all_of.DISPATCHERS,
            all_of.DISPATCHER_BEATS, JOBS_DEFAULT, all_of.HEARTBEATS, all_of.DELAYS, all_of.ENVIRONMENTS, all_of.PRICES,
        ),
        writes=(
            JOBS_DEFAULT, all_of.DISPATCHERS, all_of.DISPATCHER_BEATS, all_of.DELAYS, all_of.RUNS, all_of.JOB_STATUS, all_of.DEAD_LETTERS,
        ),
    ),
    "agents.score": _rights(group="score", reads=(all_of.ANSWERS, all_of.RUNS, *BUILT), writes=SCORED),
    "agents.code": _rights(group="code", reads=(all_of.ANSWERS, all_of.RUNS, *BUILT), writes=SCORED),
    "agents.settle": _rights(
        group="settle",
        reads=(*settling.INPUTS, all_of.RESULTS, all_of.ANSWERS, all_of.BUILDS),
        # An answer is written again for the newest scorer; what it passes it says bare, in its place (agents/missed.py).
        writes=(
            all_of.PROGRESS, all_of.RUN_SCORES, all_of.STOPS, all_of.PERFORMANCE, all_of.RESULTS, all_of.RUNS, all_of.ANSWERS,
            all_of.SCORES, all_of.NOT_SCORED, all_of.RESOURCES, all_of.JOB_STATUS, all_of.DEAD_LETTERS,
        ),
    ),
    "agents.rank": _rights(group="rank", reads=keeping.INPUTS, writes=(all_of.RANKINGS, all_of.DEAD_LETTERS)),
    "agents.cost": _rights(group="cost", reads=(*rates.INPUTS, all_of.RESULTS), writes=(all_of.COSTS, all_of.DEAD_LETTERS)),
    "agents.seal": _rights(
        reads=(*SEALED_TOPICS, all_of.SEALS, all_of.ENVIRONMENTS),
        writes=(all_of.SEALS, all_of.QUARANTINE, all_of.AUDITS, all_of.REQUESTS, all_of.DEAD_LETTERS),
    ),
    "agents.project": _rights(group="project", reads=(*TOPICS, JOBS_DEFAULT), writes=(all_of.DEAD_LETTERS,)),
    "gpu_agent": _rights(
        reads=(JOBS_DEFAULT, all_of.DISPATCHERS, all_of.SAMPLES, all_of.CONTENTS),
        writes=(
            all_of.ENVIRONMENTS, all_of.HEARTBEATS, all_of.JOB_STATUS, all_of.MODEL_LOADS, all_of.ANSWERS, all_of.REQUEST_TIMINGS,
            all_of.TOKEN_TIMINGS, all_of.RESOURCES,
        ),
        makes=False,
    ),
    "query_api": _rights(
        # What it tells live, what it follows keys by, and what it looks at before it says something again.
        reads=(
            all_of.REQUESTS, all_of.RUNS, all_of.JOB_STATUS, all_of.PROGRESS, all_of.RUN_SCORES, all_of.PERFORMANCE, all_of.COSTS,
            all_of.RANKINGS, all_of.DEAD_LETTERS, all_of.DELAYS, all_of.SEALS, all_of.RETRACTIONS, all_of.QUARANTINE, all_of.AUDITS,
            all_of.ACCESS, all_of.PRICES, all_of.LABELS, all_of.EXTERNAL, all_of.DECISIONS, all_of.OUTCOMES,
        ),
        writes=(
            all_of.REQUESTS, all_of.CANCELLATIONS, all_of.RETRACTIONS, all_of.LABELS, all_of.PRICES, all_of.RECOMMENDATIONS,
            all_of.DECISIONS, all_of.OUTCOMES, all_of.PREDICTIONS, all_of.SCORE_PREDICTIONS, all_of.EXTERNAL,
        ),
    ),
}  # fmt: skip


def acls(users: Iterable[str] = (*RIGHTS, OPERATOR)) -> Iterator[Acl]:
    """What these users may do, and nothing else; `gpu_agent.NAME` is an agent with a user of its own. Raises: as `rights_of`."""
    for user in users:
        yield from _of_operator() if user == OPERATOR else _of(user, rights_of(user))


def rights_of(user: str) -> Rights:
    """The rights of a process by its user. Raises: Invalid."""
    process = AGENT if user.startswith(f"{AGENT}.") else user
    if process not in RIGHTS or not NAME(user):
        raise Invalid(
            f"no process is called {user!r}; there are {', '.join(RIGHTS)}, {OPERATOR}, and {AGENT}.NAME for each agent", code="no-process"
        )
    return RIGHTS[process]


def _of(user: str, rights: Rights) -> Iterator[Acl]:
    yield Acl(user, "Describe", "topic", OURS, prefixed=True)
    if rights.makes:
        yield Acl(user, "Create", "topic", OURS, prefixed=True)
    told: tuple[tuple[Operation, frozenset[Topic]], ...] = (("Read", rights.reads), ("Write", rights.writes))
    for operation, topics in told:
        yield from (_on(user, operation, topic) for topic in sorted(topics, key=lambda one: one.name))
    if rights.group:
        yield Acl(user, "Read", "group", rights.group)


def _on(user: str, operation: Operation, topic: Topic) -> Acl:
    is_jobs = topic == JOBS_DEFAULT
    return Acl(user, operation, "topic", JOBS if is_jobs else topic.name, prefixed=is_jobs)


def _of_operator() -> Iterator[Acl]:
    yield Acl(OPERATOR, "All", "topic", OURS, prefixed=True)
    yield Acl(OPERATOR, "All", "group", GROUPS, prefixed=True)
    told: tuple[Operation, ...] = ("Describe", "DescribeConfigs", "AlterConfigs")
    yield from (Acl(OPERATOR, operation, "cluster", "kafka-cluster") for operation in told)


def commands(server: str, *, told: Iterable[Acl]) -> Iterator[str]:
    """Commands for Kafka's own tool that give these rights: one for each user, operation and way of naming."""
    together = dict[tuple[str, str, str, bool], list[str]]()
    for one in told:
        together.setdefault((one.user, one.operation, one.resource, one.prefixed), []).append(one.name)
    for (user, operation, resource, prefixed), names in together.items():
        named = " --cluster" if resource == "cluster" else "".join(f" --{resource} {name}" for name in names)
        pattern = " --resource-pattern-type prefixed" if prefixed else ""
        yield (
            f"kafka-acls.sh --bootstrap-server {server} --command-config admin.properties --add"
            f" --allow-principal User:{user} --operation {operation}{pattern}{named}"
        )


def main() -> None:
    """Prints them, for an administrator to read and run."""
    parser = argparse.ArgumentParser("python -m infra.kafka.acls", description="Prints the commands that give each process its rights.")
    parser.add_argument("user", nargs="*", help="of these alone; gpu_agent.NAME: of an agent with a user of its own")
    users = parser.parse_args().user or [*RIGHTS, OPERATOR]
    try:
        told = list(commands(Settings().kafka, told=acls(users)))
    except Invalid as error:
        raise SystemExit(str(error)) from error
    sys.stdout.writelines(f"{command}\n" for command in told)


if __name__ == "__main__":
    main()
