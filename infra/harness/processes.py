"""What scoring processes run: samples with their answers in, scores out. A refusal is an outcome, never an exception."""

import functools
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from infra.harness.limits import OWN_CODE, Overdue, heard, within, words
from infra.harness.scoring import NOT_SCORABLE, Score, Scorer
from schemas.builds import BuiltRequest
from schemas.measurements import Answer
from streams.errors import Permanent, Temporary
from streams.quality.judging import UNANSWERED
from streams.statistics.clusters import cluster_of

MOST_OVERDUE: Final = 3


@dataclass(frozen=True, slots=True)
class ToScore:
    """One sample with its answers, and all that scoring it needs. `whose`: a name of what it is one of, a run's task."""

    config_json: str
    document: str
    doc_id: int
    requests: tuple[BuiltRequest, ...]
    prefixes: Mapping[str, str]
    answers: tuple[Answer, ...]
    beside: tuple[tuple[str, str], ...] = ()
    whose: str = ""


@dataclass(frozen=True, slots=True)
class Scored:
    """A sample's scores and the cluster it belongs to; no scores, and the reason, where it cannot be scored.

    `broke`: its task's scoring raised over it, took too long, or ended the process; `overdue`: it took too long.
    """

    doc_id: int
    scores: tuple[Score, ...]
    reason: str | None = None
    cluster: str | None = None
    broke: bool = False
    overdue: bool = False


def prepare() -> None:
    """Imports what takes long, so that the first work does not wait for it."""
    import lm_eval.tasks  # noqa: F401


@functools.lru_cache(maxsize=32)
def _scorer(config_json: str) -> Scorer:
    return Scorer(config_json)


def score_all(work: Sequence[ToScore], limit_s: float | None = None, overdue: Mapping[str, int] = MappingProxyType({})) -> list[Scored]:
    """The outcome of every sample, in order. `limit_s`: seconds that scoring one may take.

    `overdue`: how many of whose samples took longer before. Of whom MOST_OVERDUE did, the others are not tried: they would hold up
    everybody else for as long each.
    """
    counts, outcomes = Counter(overdue), list[Scored]()
    for one in work:
        outcomes.append(_given_up(one, limit_s) if limit_s is not None and counts[one.whose] >= MOST_OVERDUE else _score(one, limit_s))
        counts[one.whose] += outcomes[-1].overdue
    return outcomes


def _given_up(one: ToScore, limit_s: float) -> Scored:
    why = f"scoring {MOST_OVERDUE} other samples of this task took longer than {limit_s:g} s each, so that this one was not tried"
    return Scored(one.doc_id, (), f"{why}; look for a regular expression or a metric that is slow over what was answered", broke=True)


def _scores(one: ToScore) -> list[Score]:
    return _scorer(one.config_json).score(one.document, one.doc_id, one.requests, one.prefixes, one.answers, beside=one.beside)


def _score(one: ToScore, limit_s: float | None) -> Scored:
    if errors := [answer.error for answer in one.answers if answer.error]:
        return Scored(one.doc_id, (), f"the engine gave no answer: {errors[0]}")
    if cut := sum(answer.output_cut_bytes for answer in one.answers):
        return Scored(one.doc_id, (), f"its answers are {cut} bytes more than a record of the log holds, and were cut")
    document = json.loads(one.document)
    if isinstance(document, dict) and document.get(UNANSWERED) is True:
        return Scored(one.doc_id, (), "the judged model gave no answer")
    try:
        with within(limit_s):
            scores = heard(lambda: _scores(one))
    except Overdue:
        return Scored(one.doc_id, (), f"scoring took longer than {limit_s:g} s", broke=True, overdue=True)
    except Permanent as error:
        return Scored(one.doc_id, (), str(error), broke=error.code in (NOT_SCORABLE, OWN_CODE))
    except Temporary:
        raise
    except Exception as error:  # noqa: BLE001  # a task's own module may raise anything as it is loaded
        return Scored(one.doc_id, (), f"its task cannot be loaded: {words(error)}", broke=True)
    return Scored(one.doc_id, tuple(scores), cluster=cluster_of(document) if isinstance(document, dict) else None)
