"""`python -m infra.suites.page` writes docs/suites.md from the suites; `--check` compares, and holds each suite to its digest."""

import argparse
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from infra.suites.reading import Member, Suite, check_version, names, suite
from streams.errors import Invalid

WRITTEN = Path(__file__).parents[2] / "docs" / "suites.md"
HEAD = """# Suites

Written from `infra/suites` by `make schemas`. `assay submit --model MODEL --suite NAME` asks for one; `--limit N` takes the first N samples
of each task. A task is pinned to its version and to the SHA-256 of its data; where they differ the run says so, and with `--pinned` it is
refused. A task that cannot run refuses the run, with all names; `--skip-missing` goes on without. Any other of lm-eval's tasks is asked
for by its name (`assay tasks`), your own by `--task-file`.

The sums are of a mirror's files (`ASSAY_DATASETS`); data from the hub have another sum, and the run says so.

The score of a suite is the mean over its tasks, chance-corrected; tasks of a group count as one, by their samples. "Tested" tasks are built
on this data, answered and scored by `make test-suites` where `ASSAY_DATASETS` is set, and compared with lm-eval sample by sample by `make
conformance` ([figures](conformance.md)), unless answers are drawn by chance; the others wait for what is said there. A licence is that of
the data, as its owner is known to state it; not every one was read at its source: read it before you rely on it. "Generated" are our own
requests. Metrics after a + are computed beside the task's own ([metrics](metrics.md)). "Published" is the month in which the data first
appeared, with their paper or before it, and empty where that is not surely known; it says whether a model may have seen them
([how](contamination.md)), and is no pin.

A pin that changes is a new version of its suites: each keeps the digest of what its version pins, and `make check` compares.
"""
COLUMNS = (
    "| task | version | few-shot | main metric | chance | samples | data, SHA-256 | published | licence | tested |\n" + "| --- " * 10 + "|"
)


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, *(line for name in names() for line in _suite(suite(name)))])


def _suite(found: Suite) -> Iterator[str]:
    yield f"## {found.name}\n"
    yield f"Version {found.version}, seed {found.seed}. {found.description}\n"
    yield COLUMNS
    for group, members in groupby(found.members, key=lambda member: member.group):
        if group:
            yield f"| **{group}** (counts as one) | | | | | | | | | |"
        yield from map(_member, members)
    yield ""


def _member(one: Member) -> str:
    pin = one.pin
    told = (
        [
            pin.version,
            str(one.fewshot),
            " + ".join([pin.metric, *one.metrics]),
            "" if pin.chance is None else f"{pin.chance:.3f}",
            f"{pin.samples:,}",
        ]
        if pin
        else ["", str(one.fewshot), "", "", ""]
    )
    source = one.source if "://" in one.source else f"../{one.source}"
    data = f"[{pin.data}]({source}) `{pin.sha256[:12]}`" if pin else f"[not pinned]({source})"
    return f"| {' | '.join([one.task, *told, data, one.published or '', one.licence, 'yes' if pin else 'no'])} |"


def main() -> None:
    """Writes or checks."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--check", action="store_true")
    if not asked.parse_args().check:
        WRITTEN.write_text(page())
        return
    try:
        for name in names():
            check_version(suite(name))
    except Invalid as error:
        sys.exit(str(error))
    if not WRITTEN.exists() or WRITTEN.read_text() != page():
        sys.exit(f"{WRITTEN} is not what infra/suites says; run `make schemas`")


if __name__ == "__main__":
    main()
