"""Who may see what, by the headers of events; and that nobody judges or audits what they may not see."""

import asyncio
import re
from itertools import product
from typing import Any, cast, get_args

import pytest
from jinja2 import DictLoader, Environment
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.templating import Jinja2Templates

from agents.judged import Judging
from agents.repeating import planned_again
from infra.clickhouse import DDL
from infra.identity import producer
from infra.row_policies import statements
from query_api.access.callers import PLACE, Caller, caller_of
from query_api.pages.lasting import lasting
from query_api.reading.runs import narrowed, queries
from schemas.catalogue import EVENTS
from schemas.event import Visibility
from schemas.requests import EvaluationRequested, ModelRef
from schemas.results import RankingChanged
from schemas.runs import Plan, RunChanged
from streams.errors import Invalid, Unavailable
from streams.projection import table_of
from streams.trust.visibility import ALL, NARROWED, OF_RUNS, SHARED, Seen, conditions, seen_by
from tests.filled import event, filled
from tests.in_memory import InMemory
from tests.runs import run_named

MADE = re.compile(r"^CREATE (?:OR REPLACE )?((?:MATERIALIZED )?VIEW) (?:IF NOT EXISTS )?(\w+)", re.MULTILINE)
R, MARK = run_named("r"), "sesamum"
OURS, THEIRS = Seen("ours"), Seen("theirs")
OF_SEVERAL = {"organisation_id": "ours", "occurred_us": 1}


@pytest.mark.parametrize("visibility", get_args(Visibility))
def test_what_is_public_is_everybodys_and_all_else_its_organisation_s(visibility: Visibility) -> None:
    """Whoever needs no key sees all; nothing of another organisation says that it is there."""
    told = event(RunChanged, mark=MARK, of_run=R, visibility=visibility, **OF_SEVERAL)
    assert (ALL.takes(told), OURS.takes(told), THEIRS.takes(told)) == (True, True, visibility == "public")
    assert (seen_by(OURS, told), seen_by(THEIRS, told)) == (told, told if visibility == "public" else None)


def test_a_board_that_has_changed_has_no_rows_for_who_sees_not_all() -> None:
    """For they are of many organisations; who sees all has them."""
    told: RankingChanged = event(RankingChanged, mark=MARK, of_run=R, visibility="public", **OF_SEVERAL)
    assert seen_by(ALL, told) == told
    shown = seen_by(THEIRS, told)
    assert shown is not None and (shown.board, shown.rows, shown.runs, shown.tasks) == (told.board, (), (), ())


def test_every_event_is_filtered_or_shared() -> None:
    """A new one is filtered; who sees all has no filter."""
    filtered = conditions("ours")
    assert len(filtered) == len(EVENTS) - len(SHARED) + 2
    assert ALL.filters() == "" and "'fact_runs'" in OURS.filters()


def test_no_query_reads_past_the_views_that_leave_out_what_may_not_be_seen() -> None:
    """What all share is read by them, and what a board says by nothing else."""
    for name, sql in queries().items():
        told = narrowed(sql)
        assert not any(f" {view} " in told.replace("\n", " ") for view in NARROWED), name
        assert "fact_rankings" not in told and "fact_heartbeats" not in told, name


def test_people_who_ask_clickhouse_have_a_policy_for_every_table() -> None:
    """A name is quoted; boards and keys are nobody's, prices everybody's, all else goes by its header."""
    told = [one for one in statements("o'x", database="d") if one.startswith("CREATE ROW POLICY")]
    rules = {re.findall(r"`d`\.(\w+) USING", one)[0]: one.partition("USING ")[2].rpartition(" TO ")[0] for one in told}
    assert rules.keys() == {table_of(one).name for one in EVENTS.values()} | {*OF_RUNS}
    assert (rules["fact_rankings"], rules["fact_access"], rules["fact_prices"]) == ("0", "0", "1")
    assert rules["fact_runs"] == rules["fact_builds"] == "organisation_id = 'o\\'x' OR visibility = 'public'"
    assert rules["sample_sets"] == f"run_id IN (SELECT run_id FROM `d`.fact_requests WHERE {rules['fact_runs']})"


def test_people_who_ask_clickhouse_read_what_a_policy_holds_and_nothing_past_it() -> None:
    """Tables with a policy and the views over them, each by its name; no materialized view, which reads past its table's policies."""
    told = list(statements("acme", database="d"))
    (granted,) = (one for one in told if one.startswith("GRANT"))
    readable = re.findall(r"SELECT ON `d`\.([\w*]+)", granted)
    held = {re.findall(r"`d`\.(\w+) USING", one)[0] for one in told if one.startswith("CREATE ROW POLICY")}
    made = [(kind, name) for path in DDL.glob("*.sql") for kind, name in MADE.findall(path.read_text())]
    materialized = {name for kind, name in made if kind == "MATERIALIZED VIEW"}
    assert materialized >= {"values_in_order", "scored_sets", "answered_sets", "not_scored_sets", "truncated_sets"}
    assert set(readable) == held | {name for kind, name in made if kind == "VIEW"} and not materialized & set(readable)
    assert told[:2] == ["CREATE ROLE IF NOT EXISTS `assay_acme`", "REVOKE ALL ON *.* FROM `assay_acme`"] and told[-1] == granted


def test_no_view_and_no_query_reads_a_materialized_view() -> None:
    """The filters of tables would not hold there; what fills a table is named where it is made, and nowhere else."""
    sql = [*(path.read_text() for path in DDL.glob("*.sql")), *queries().values()]
    materialized = {name for told in sql for kind, name in MADE.findall(told) if kind == "MATERIALIZED VIEW"}
    assert len(sql) > 40
    assert not [name for told in sql for name in materialized if re.search(rf"(?i)\b(FROM|JOIN|IN)\s*\(?{name}\b", told)]


def over(organisation: str, visibility: Visibility) -> InMemory:
    """A log of a run that is over."""
    log = InMemory()
    plan = filled(Plan, {}, mark=MARK, of_run=R)
    for state in ("planned", "completed"):
        header: dict[str, Any] = {"organisation_id": organisation, "visibility": visibility, "occurred_us": 1}
        log.write(event(RunChanged, mark=MARK, of_run=R, state=state, plan=plan if state == "planned" else None, **header))
    return log


def asked(**told: Any) -> EvaluationRequested:
    """A request of ours."""
    header: dict[str, Any] = {"occurred_us": 1, "producer": producer("test"), "organisation_id": "ours"}
    return EvaluationRequested(run_id=run_named("asked"), model=ModelRef(uri="m"), **header, **told)


@pytest.mark.parametrize(("visibility", "own"), [*product(get_args(Visibility), (True, False))])
def test_nobody_judges_or_audits_what_they_may_not_see(visibility: Visibility, own: bool) -> None:
    """A judgement has the answers in its documents, and an audit has them again: of such a run it is said that it is not there."""
    log, nothing = cast("Any", over("ours" if own else "theirs", visibility)), cast("Any", None)
    seen, not_there = own or visibility == "public", f"run {R} is not in the log"
    judged = Judging(log, nothing).judged(asked(parent_run=R, visibility=visibility))
    if seen:
        assert asyncio.run(judged).subject.run_id == R
    else:
        with pytest.raises(Invalid, match=not_there):
            asyncio.run(judged)
    with pytest.raises(Invalid, match="had another model" if seen else not_there):
        asyncio.run(planned_again(asked(audit_of=R, visibility=visibility), log=log, seals=nothing, bring=nothing))


def test_a_page_that_outlasts_clickhouse_is_shown_to_those_who_saw_it_alone() -> None:
    """Another organisation is not shown what the first one's page was: it is told that nothing answers."""
    away, shown = [False], Jinja2Templates(env=Environment(loader=DictLoader({"x": "the page of {{ whose }}"}), autoescape=True))

    async def load(request: Request) -> Response:
        if away[0]:
            raise Unavailable("away")
        return shown.TemplateResponse(request, "x", {"whose": caller_of(request).organisation})

    def asked(organisation: str) -> Response:
        scope = {"type": "http", "method": "GET", "path": "/x", "headers": [], "query_string": b"", "server": ("a", 80), "scheme": "http"}
        caller = Caller("reader", "ann", organisation)
        return cast("Response", asyncio.run(cast("Any", route.endpoint)(Request({**scope, PLACE: caller}))))

    (route,) = lasting([Route("/x", load)])
    assert asked("ours").body == b"the page of ours"
    away[0] = True
    told = asked("ours")
    assert (told.status_code, told.body) == (503, b"the page of ours")
    with pytest.raises(Unavailable):
        asked("theirs")
